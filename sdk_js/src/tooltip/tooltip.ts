import type { Kind, Scene, Showing } from "../stage/kind";
import { createWatch } from "../stage/watch";
import { el, icon, CROSS, appear, text } from "../ui/dom";
import { ARROW, createFollower, move, stand } from "../ui/follow";
import type { Size } from "../ui/follow";
import { labelsFor, languageOf } from "../ui/labels";
import { place } from "../ui/place";
import type { Box } from "../ui/place";
import { prose } from "../ui/prose";
import { enterRoot } from "../ui/root";
import { findTarget } from "../ui/target";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import css from "./tooltip.css";

export * from "../shared";

export const kind: Kind = {
  interrupts: false,
  problem: ({ content }) => (text(content.target) && text(content.text) ? undefined : "expected content.target and content.text"),
  ready: ({ content }) => !!findTarget(text(content.target)),
  watch: createWatch,
  show: showTooltip,
};

/** A card beside an element of the page, which stays usable; as a hotspot it opens from a dot on the element. Using the
 * element completes it. */
function showTooltip(scene: Scene): Showing {
  const { content } = scene.delivery;
  const labels = labelsFor<Labels>(scene.delivery, LABELS);
  const root = enterRoot(css + ARROW, () => finish("parked"));
  const title = text(content.title);
  const name = title || labels.tip;
  const arrow = el("div", { class: "arrow" });
  const buttons = el("div", { class: "buttons" });
  const card = el(
    "section",
    { class: "card tooltip", role: "dialog", "aria-label": name, lang: languageOf(scene.delivery), dir: "auto", tabindex: "-1" },
    arrow,
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: () => finish("dismissed") }, icon(CROSS)),
    el("div", { class: "words", role: "status" }, title ? el("h2", {}, title) : undefined, prose(text(content.text))),
    buttons,
  );
  const dot = content.hotspot !== true ? undefined : el("button", { type: "button", class: "dot", "aria-label": name, "aria-expanded": "false", onclick: () => open(!!card.hidden) });
  const layer = el("div", { class: "tips", onkeydown: key }, dot, card);
  const follower = createFollower(card, draw, () => finish("parked"));

  function draw(rect: Box | undefined, size: Size, view: Size): void {
    if (dot && rect) move(dot, rect.left + rect.width - 12, rect.top - 12);
    stand(card, arrow, place(rect, size, view, text(content.placement)), size);
  }
  function open(wanted: boolean): void {
    card.hidden = !wanted;
    dot?.setAttribute("aria-expanded", `${wanted}`);
    if (!wanted) return;
    scene.report("Message Clicked", { button: "hotspot" });
    card.focus({ preventScroll: true });
  }
  function key(event: KeyboardEvent): void {
    if (event.key !== "Escape" || card.hidden) return;
    event.preventDefault();
    if (!dot) return finish("dismissed");
    open(false);
    dot.focus();
  }
  function used(event: Event): void {
    if (follower.target && event.composedPath().includes(follower.target)) finish("completed");
  }
  function finish(how: "completed" | "dismissed" | "parked"): void {
    close();
    scene.end(how);
  }
  function close(): void {
    follower.stop();
    document.removeEventListener("click", used, true);
    layer.remove();
    root.leave();
  }

  if (content.actions) void import("../ui/actions").then(({ actionButtons }) => buttons.append(...actionButtons(scene, close)));
  card.hidden = !!dot;
  root.shadow.append(layer);
  document.addEventListener("click", used, true);
  follower.to(() => findTarget(text(content.target)));
  appear(layer);
  return { box: buttons, close };
}
