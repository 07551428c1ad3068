import type { Core, DebugModule, KindName, PartModule } from "../types";
import type { Emitter } from "./emitter";

/** The release's hash in the names of the lazily loaded parts; put in by the build. */
declare const HASH: string;

/** What this release can show; a delivery of another kind is left for one that can. */
const KINDS = /^(tour|chat|article|banner|modal|tooltip|survey|checklist)$/;

/** The parts lie beside the loader. `currentScript` is known only while the script runs for the first time. */
const script = document.currentScript instanceof HTMLScriptElement && document.currentScript.src;

/** The service's address as the script tag names it, for it serves the script at `/sdk/engage.js`. */
export const scriptHost = script && new URL("..", script).href;

export function isKind(kind: unknown): kind is KindName {
  return KINDS.test(kind as KindName);
}

/** Loads what shows one kind of message. */
export function loadPart(core: Core, kind: KindName): Promise<PartModule> {
  const { host } = core.options;
  importPart("shared", host).catch(() => {}); // beside the part, not after it; the part's own import reports a failure
  return importPart(kind, host) as Promise<PartModule>;
}

/** Loads what tells the console what happens, or makes it silent again. */
export async function debug(emitter: Emitter, on: boolean, host?: string): Promise<void> {
  ((await importPart("debug", host)) as DebugModule).debug(emitter, on);
}

function importPart(name: string, host?: string): Promise<unknown> {
  return import((script ? new URL(".", script).href : host + "/sdk/") + name + `-${HASH}.js`);
}
