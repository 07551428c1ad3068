import { el } from "../ui/dom";
import { prose } from "../ui/prose";
import type { Labels } from "./labels";

export interface Transcript {
  readonly log: HTMLElement;
  say(source: string): void;
  answer(words: string): void;
  /** Three dots for a moment, then the words. */
  type(source: string): Promise<void>;
}

/** What was said, newest at the end; screen readers hear each line as it comes. */
export function createTranscript(labels: Labels): Transcript {
  const log = el("div", { class: "log", role: "log" });
  function add(kind: string, ...words: (Node | string)[]): HTMLElement {
    const line = el("div", { class: "line " + kind }, ...words);
    log.append(line);
    log.scrollTop = log.scrollHeight;
    return line;
  }
  const hidden = (who: string): Node => el("span", { class: "hidden" }, who);
  const say = (source: string): void => void add("theirs", hidden(labels.assistant), prose(source));
  return {
    log,
    say,
    answer: (words) => void add("mine", hidden(labels.you), words),
    async type(source) {
      const dots = add("theirs dots", el("i"), el("i"), el("i"));
      await new Promise((done) => setTimeout(done, 600));
      dots.remove();
      say(source);
    },
  };
}
