import { el, text } from "../ui/dom";
import type { Answer, Question } from "./content";
import type { Labels } from "./labels";

export * from "../shared";

/** Questions that are answered by more than one click, so with a button of their own: free text, and several of a list.
 * Loaded when there is one. */
export function formFor({ type, placeholder }: Question, words: readonly string[], skip: HTMLElement | undefined, labels: Labels, done: (answer: Answer) => void): HTMLElement {
  const area = el("textarea", { rows: "3", maxlength: "2000", placeholder: text(placeholder) || undefined, "aria-labelledby": "question", oninput: look });
  const boxes = words.map((word) => el("input", { type: "checkbox", value: word, onchange: look }));
  const send = el("button", { type: "submit", class: "main" }, type === "text" ? labels.send : labels.next);
  const form = el(
    "form",
    { onsubmit: submit },
    type === "text"
      ? area
      : el("div", { class: "list", role: "group", "aria-labelledby": "question" }, ...boxes.map((box, index) => el("label", {}, box, el("span", {}, words[index])))),
    el("div", { class: "foot" }, skip, send),
  );
  form.addEventListener("keydown", (event) => event.key !== "Escape" && event.stopPropagation()); // the page's shortcuts are not meant
  const value = (): string | string[] => (type === "text" ? area.value.trim() : boxes.filter((box) => box.checked).map((box) => box.value));
  function look(): void {
    send.disabled = !value().length;
  }
  function submit(event: Event): void {
    event.preventDefault();
    if (value().length) done(value());
  }
  look();
  return form;
}
