import type { Kind, Scene, Showing } from "../stage/kind";
import { actionButtons } from "../ui/actions";
import { el, icon, CROSS, appear, text } from "../ui/dom";
import { typing } from "../ui/focus";
import { labelsFor, languageOf } from "../ui/labels";
import { media } from "../ui/media";
import { prose } from "../ui/prose";
import { enterRoot } from "../ui/root";
import { isDict } from "../core/options";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import css from "./modal.css";

export * from "../shared";

export const kind: Kind = {
  interrupts: true,
  problem: ({ content }) =>
    ["title", "text", "image", "video"].some((name) => text(content[name])) ? undefined : "expected content with a title, a text, an image or a video",
  ready: () => !typing(),
  watch(changed) {
    const look = (): number => requestAnimationFrame(changed);
    return { set: (on) => document[on ? "addEventListener" : "removeEventListener"]("focusout", look) };
  },
  show: showModal,
};

/** What a form's field may be; anything else is text. */
const TYPES = ["text", "email", "number", "tel", "url"];

/** A window in front of the page. The platform's own dialog: the page behind is inert, the focus stays in it and goes back. */
function showModal(scene: Scene): Showing {
  const { content } = scene.delivery;
  const labels = labelsFor<Labels>(scene.delivery, LABELS);
  const root = enterRoot(css, () => (close(), scene.end(answered ? "closed" : "parked")));
  const title = text(content.title);
  const box = el("div", { class: "buttons" }, ...actionButtons(scene, close));
  const dialog = el(
    "dialog",
    { class: "card modal", "aria-label": title || labels.message, lang: languageOf(scene.delivery), dir: "auto", oncancel: cancelled, onclose: dismiss, onclick: beside },
    media(content, title),
    el(
      "div",
      { class: "scroll" },
      title ? el("h2", {}, title) : undefined,
      text(content.text) ? prose(text(content.text)) : undefined,
      isDict(content.form) ? form(content.form) : undefined,
      box,
    ),
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: dismiss }, icon(CROSS)),
  );
  let answered = false;

  /** One question with one field; the answer is reported with the field's name. */
  function form({ name, label, type, placeholder, thanks, required }: Record<string, unknown>): HTMLElement {
    const input = el("input", { id: "field", type: TYPES.includes(text(type)) ? text(type) : "text", placeholder: text(placeholder) || undefined, required: required !== false, maxlength: "1000" });
    const box = el(
      "form",
      { onsubmit: send },
      el("label", { for: "field" }, text(label)),
      el("div", { class: "row" }, input, el("button", { type: "submit", class: "main" }, labels.send)),
    );
    box.addEventListener("keydown", (event) => event.stopPropagation()); // the page's shortcuts are not meant
    return box;

    function send(event: SubmitEvent): void {
      event.preventDefault();
      const value = input.value.trim();
      scene.report("Message Clicked", { button: labels.send, field: text(name) || "value", value });
      scene.report("Message Completed");
      answered = true;
      if (!text(thanks)) return dismiss();
      box.replaceWith(el("div", { role: "status" }, prose(text(thanks))));
      dialog.focus();
    }
  }
  function cancelled(event: Event): void {
    event.preventDefault(); // by Escape: ended like by any other way
    dismiss();
  }
  function beside({ target, clientX: x, clientY: y }: MouseEvent): void {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    if (target === dialog && (x < left || x > right || y < top || y > bottom)) dismiss();
  }
  function dismiss(): void {
    close();
    scene.end(answered ? "closed" : "dismissed");
  }
  function close(): void {
    if (dialog.open) dialog.close(); // gives the focus back
    dialog.replaceWith(); // also when it is out already: Prototype's `remove` throws then
    root.leave();
  }

  root.shadow.append(dialog);
  dialog.showModal();
  appear(dialog);
  return { box, close };
}
