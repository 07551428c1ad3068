import type { Kind, Scene, Showing } from "../stage/kind";
import { createWatch } from "../stage/watch";
import { actionButtons } from "../ui/actions";
import { el, icon, CROSS, appear, text } from "../ui/dom";
import { labelsFor, languageOf } from "../ui/labels";
import { prose } from "../ui/prose";
import { enterRoot } from "../ui/root";
import { findTarget } from "../ui/target";
import css from "./banner.css";
import { LABELS } from "./labels";
import type { Labels } from "./labels";

export * from "../shared";

export const kind: Kind = {
  interrupts: false,
  problem: ({ content }) => (text(content.text) ? undefined : "expected content.text to be text"),
  ready: ({ content }) => !text(content.into) || !!findTarget(text(content.into)),
  watch: createWatch,
  show: showBanner,
};

/** A line at the top or the bottom of the window; or within the page, at the start of an element of it. */
function showBanner(scene: Scene): Showing {
  const { content } = scene.delivery;
  const labels = labelsFor<Labels>(scene.delivery, LABELS);
  const into = text(content.into);
  const root = enterRoot(css, () => finish("parked"), into ? findTarget(into) : undefined);
  const title = text(content.title);
  const place = into ? "inline" : content.position === "bottom" ? "bottom" : "top";
  const banner = el(
    "section",
    { class: "card banner " + place, "aria-label": title || labels.banner, lang: languageOf(scene.delivery), dir: "auto", onkeydown: key },
    el("div", { class: "said", role: "status" }, title ? el("h2", {}, title) : undefined, prose(text(content.text))),
    el("div", { class: "buttons" }, ...actionButtons(scene, close)),
    content.dismissible !== false && el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: () => finish("dismissed") }, icon(CROSS)),
  );

  function key(event: KeyboardEvent): void {
    if (event.key === "Escape" && content.dismissible !== false) finish("dismissed");
  }
  function finish(how: "dismissed" | "parked"): void {
    close();
    scene.end(how);
  }
  function close(): void {
    banner.remove();
    root.leave();
  }

  root.shadow.append(banner);
  appear(banner);
  return { box: banner, close };
}
