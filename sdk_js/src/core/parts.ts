import type { Core, Stage, StageModule } from "../types";
import { warn } from "./warn";

/** The release's hash in the names of the lazily loaded files, put in by the build. */
declare const HASH: string;
const KINDS = ["tour", "chat", "article"];

/** The parts lie beside the loader. `currentScript` is known only while the script runs for the first time. */
const script = document.currentScript instanceof HTMLScriptElement ? document.currentScript.src : "";

/** The service's address as the script tag names it, when the service serves the script. */
export const scriptHost = /^(https?:\/\/.+)\/sdk\/[^/]*$/.exec(script)?.[1] ?? "";

/** Loads what decides about the screen and, at the same time, what the first message needs. */
export async function loadStage(core: Core, kind = ""): Promise<Stage | undefined> {
  const base = script ? new URL(".", script).href : core.options.host + "/sdk/";
  const part = (name: string): string => `${base}${name}-${HASH}.js`;
  // The stage imports it again and reports what goes wrong; this only makes the downloads run side by side.
  if (KINDS.includes(kind)) import(part(kind)).catch(() => {});
  try {
    const module = (await import(part("stage"))) as StageModule;
    return module.createStage(core);
  } catch (error) {
    warn(`no messages: ${error}`);
    core.emit("error", error);
    return undefined;
  }
}
