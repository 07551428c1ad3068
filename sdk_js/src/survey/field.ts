import { el, icon, text } from "../ui/dom";
import { SCALES } from "./content";
import type { Answer, Question } from "./content";
import type { Labels } from "./labels";

/** A face from sad (-2) to glad (2), in 24 × 24 units. */
const face = (mood: number): string => `M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M9 9.5v.6M15 9.5v.6M8 ${15 - mood * 0.7}q4 ${mood * 2.2} 8 0`;

/** What a question is answered with. `done` gets the answer; undefined when it is left out. */
export function fieldFor(question: Question, labels: Labels, done: (answer?: Answer) => void): HTMLElement {
  const { type, options = [], optional } = question;
  const scale = SCALES[type];
  const skip = optional ? button({ class: "quiet" }, undefined, labels.skip) : undefined;
  const words = options.filter(text);
  if (!scale && type !== "choice") {
    const box = el("div");
    void import("./form").then(
      ({ formFor }) => box.append(formFor(question, words, skip, labels, done)),
      () => done(), // it cannot be had: the next question may be
    );
    return box;
  }
  const [first, last] = scale ?? [0, words.length - 1];
  const ends = scale && [text(question.low) || labels[`${type}Low` as "npsLow"], text(question.high) || labels[`${type}High` as "npsHigh"]];
  const buttons = [...Array<never>(last - first + 1)].map((_, index) => {
    if (!ends) return button({}, words[index], words[index]!);
    const value = first + index;
    const end = value === first ? ends[0] : value === last ? ends[1] : "";
    return button({ "aria-label": `${value} / ${last} ${end}` }, value, type === "csat" ? icon(face(value - 3)) : String(value));
  });
  return el(
    "div",
    {},
    el("div", { class: scale ? "scale " + type : "list", role: "group", "aria-labelledby": "question", onkeydown: (event: KeyboardEvent) => step(event, buttons) }, ...buttons),
    ends && el("div", { class: "ends", "aria-hidden": "true" }, ...ends.map((words) => el("span", {}, words))),
    el("div", { class: "foot" }, skip),
  );

  function button(attributes: Record<string, string>, answer: Answer | undefined, label: Node | string): HTMLElement {
    return el("button", { type: "button", ...attributes, onclick: () => done(answer) }, label);
  }
}

/** The arrow keys go from one button to the next. */
function step(event: KeyboardEvent, buttons: HTMLElement[]): void {
  const forward = getComputedStyle(buttons[0]!).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  const by = event.key === forward || event.key === "ArrowDown" ? 1 : /^Arrow/.test(event.key) ? -1 : 0;
  if (!by) return;
  event.preventDefault();
  const at = buttons.indexOf(event.target as HTMLElement) + by;
  buttons[(at + buttons.length) % buttons.length]?.focus();
}
