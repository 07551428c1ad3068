import type { Core, KindName, PartModule } from "../types";

/** The release's hash in the names of the lazily loaded parts, and the name of the file they share; put in by the build. */
declare const HASH: string;
declare const SHARED: string;

/** What this release can show; a delivery of another kind is left for one that can. */
const KINDS: readonly string[] = ["tour", "chat", "article", "banner", "modal", "tooltip", "survey"] satisfies KindName[];

/** The parts lie beside the loader. `currentScript` is known only while the script runs for the first time. */
const script = document.currentScript instanceof HTMLScriptElement ? document.currentScript.src : "";

/** The service's address as the script tag names it, for it serves the script at `/sdk/engage.js`. */
export const scriptHost = script && new URL("..", script).href;

export function isKind(kind: unknown): kind is KindName {
  return KINDS.includes(kind as KindName);
}

/** Loads what shows one kind of message. */
export function loadPart(core: Core, kind: KindName): Promise<PartModule> {
  const base = script ? new URL(".", script).href : core.options.host + "/sdk/";
  import(base + SHARED).catch(() => {}); // beside the part, not after it; the part's own import reports a failure
  return import(`${base}${kind}-${HASH}.js`) as Promise<PartModule>;
}
