import { el, icon, CROSS, text } from "../ui/dom";
import { prose } from "../ui/prose";
import type { Step } from "./content";
import type { Labels } from "./labels";

export interface Popover {
  readonly box: HTMLElement;
  fill(step: Step, index: number, count: number): void;
}

/** The card beside the target. It is filled anew for each step, so that it can glide from one to the next. */
export function createPopover(labels: Labels, language: string, go: (by: 1 | -1) => void, close: () => void): Popover {
  const title = el("h2", { id: "title" });
  const body = el("div", { id: "text" });
  const progress = el("span", { class: "progress" });
  const bar = el("i");
  const back = el("button", { type: "button", class: "quiet", onclick: () => go(-1) }, labels.back);
  const next = el("button", { type: "button", class: "main", onclick: () => go(1) });
  const box = el(
    "div",
    { class: "popover card", role: "dialog", "aria-describedby": "text", tabindex: "-1", lang: language, dir: "auto" },
    el("div", { class: "arrow" }),
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: close }, icon(CROSS)),
    // Read out as it changes, also when the focus stays in the page.
    el("div", { class: "words", "aria-live": "polite" }, title, body),
    el("div", { class: "foot" }, progress, el("span", { class: "buttons" }, back, next)),
    el("div", { class: "bar", "aria-hidden": "true" }, bar),
  );
  return {
    box,
    fill(step, index, count) {
      title.textContent = text(step.title);
      title.hidden = !title.textContent;
      body.replaceChildren(prose(text(step.text)));
      progress.textContent = `${index + 1} / ${count}`;
      progress.setAttribute("aria-label", `${labels.step} ${progress.textContent}`);
      progress.hidden = count < 2;
      bar.style.width = `${((index + 1) / count) * 100}%`;
      back.hidden = index === 0;
      next.textContent = index === count - 1 ? labels.done : labels.next;
      box.setAttribute("aria-labelledby", title.hidden ? "text" : "title");
    },
  };
}
