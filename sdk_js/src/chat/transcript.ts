import { markdown } from "../markdown/markdown";
import { el } from "../ui/dom";
import type { Labels } from "./labels";

export interface Transcript {
  readonly log: HTMLElement;
  say(source: string): HTMLElement;
  answer(words: string): void;
  /** Three dots for a moment, then the words. */
  type(source: string): Promise<void>;
}

/** What was said, newest at the end; screen readers hear each line as it comes. */
export function createTranscript(labels: Labels): Transcript {
  const log = el("div", { class: "log", role: "log", "aria-live": "polite" });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  function add(who: string, kind: string, ...words: Node[]): HTMLElement {
    const line = el("div", { class: `line ${kind}` }, el("span", { class: "hidden" }, who + ": "), ...words);
    log.append(line);
    log.scrollTop = log.scrollHeight;
    return line;
  }
  const say = (source: string): HTMLElement => add(labels.assistant, "theirs md", markdown(source));
  return {
    log,
    say,
    answer: (words) => void add(labels.you, "mine", document.createTextNode(words)),
    async type(source) {
      const dots = el("div", { class: "line theirs dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
      log.append(dots);
      log.scrollTop = log.scrollHeight;
      await new Promise((done) => setTimeout(done, calm ? 0 : 600));
      dots.remove();
      say(source);
    },
  };
}
