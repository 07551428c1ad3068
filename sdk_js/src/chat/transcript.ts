import { el } from "../ui/dom";
import { prose } from "../ui/prose";
import type { Labels } from "./labels";
import type { Line } from "./log";

export interface Transcript {
  readonly log: HTMLElement;
  add(line: Line): void;
  /** Three dots for a moment. */
  type(): Promise<void>;
}

/** What was said, newest at the end; screen readers hear each line as it comes. */
export function createTranscript(labels: Labels): Transcript {
  const log = el("div", { class: "log", role: "log" });
  function put(kind: string, ...words: (Node | string)[]): HTMLElement {
    const line = el("div", { class: "line " + kind }, ...words);
    log.append(line);
    log.scrollTop = log.scrollHeight;
    return line;
  }
  return {
    log,
    add({ from, text }) {
      const mine = from === "person";
      put(mine ? "mine" : "theirs", el("span", { class: "hidden" }, mine ? labels.you : labels.assistant), mine ? text : prose(text));
    },
    async type() {
      const dots = put("theirs dots", el("i"), el("i"), el("i"));
      await new Promise((done) => setTimeout(done, 600));
      dots.remove();
    },
  };
}
