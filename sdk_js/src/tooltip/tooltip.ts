import type { Kind, Scene, Showing } from "../stage/kind";
import { actionButtons } from "../ui/actions";
import { el, icon, CROSS, settled, text } from "../ui/dom";
import { ARROW, createFollower, stand } from "../ui/follow";
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
  problem: ({ content }) => (text(content.target) && text(content.text) ? undefined : "expected content.target and content.text to be text"),
  ready: ({ content }) => !!findTarget(text(content.target)),
  show: showTooltip,
};

/** A card beside an element of the page, which stays usable; as a hotspot it opens from a dot on the element. Using the
 * element completes it. */
function showTooltip(scene: Scene): Showing {
  const { content } = scene.delivery;
  const labels = labelsFor<Labels>(scene.delivery, LABELS);
  const root = enterRoot(css + ARROW, () => finish("parked"));
  const title = text(content.title);
  const card = el(
    "section",
    { class: "card tooltip", role: "dialog", "aria-label": title || labels.tip, lang: languageOf(scene.delivery), dir: "auto", tabindex: "-1" },
    el("div", { class: "arrow" }),
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: () => finish("dismissed") }, icon(CROSS)),
    el("div", { class: "words", role: "status" }, title ? el("h2", {}, title) : undefined, prose(text(content.text))),
    el("div", { class: "buttons" }, ...actionButtons(scene, close)),
  );
  const dot = content.hotspot !== true ? undefined : el("button", { type: "button", class: "dot", "aria-label": title || labels.tip, "aria-expanded": "false", onclick: () => open(!!card.hidden) });
  const layer = el("div", { class: "tips" }, dot, card);
  const follower = createFollower(card, draw, () => finish("parked"));

  function draw(rect: Box | undefined, size: Size, view: Size): void {
    if (!rect) return;
    if (dot) dot.style.transform = `translate(${Math.round(rect.left + rect.width - 12)}px,${Math.round(rect.top - 12)}px)`;
    stand(card, place(rect, size, view, text(content.placement)));
  }
  function open(wanted: boolean): void {
    card.hidden = !wanted;
    if (dot) dot.setAttribute("aria-expanded", String(wanted));
    if (!wanted) return;
    scene.report("Message Clicked", { button: "hotspot" });
    card.focus({ preventScroll: true });
  }
  function key(event: KeyboardEvent): void {
    const ours = event.composedPath().includes(layer);
    if (event.key !== "Escape" || event.defaultPrevented || card.hidden || !ours) return;
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
    document.removeEventListener("keydown", key, true);
    document.removeEventListener("click", used, true);
    layer.remove();
    root.leave();
  }

  card.hidden = !!dot;
  root.shadow.append(layer);
  document.addEventListener("keydown", key, true);
  document.addEventListener("click", used, true);
  follower.to(() => findTarget(text(content.target)));
  void settled().then(() => layer.classList.add("in"));
  return { close };
}
