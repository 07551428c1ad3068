import { el } from "../ui/dom";
import type { Labels } from "./panel_labels";

/** The question below an article, and thanks for the answer. */
export function rating(labels: Labels, rated: (helped: boolean) => void): HTMLElement {
  const answer = (helped: boolean, label: string): HTMLElement => {
    const chosen = (): void => {
      const thanks = el("p", { tabindex: "-1" }, helped ? labels.thanks : labels.sorry);
      box.replaceChildren(thanks);
      thanks.focus({ preventScroll: true }); // the button that had it is gone; and it is read out
      rated(helped);
    };
    return el("button", { type: "button", class: "answer", onclick: chosen }, label);
  };
  const box = el("div", { class: "rating", role: "group", "aria-label": labels.helped }, el("p", {}, labels.helped), answer(true, labels.yes), answer(false, labels.no));
  return box;
}
