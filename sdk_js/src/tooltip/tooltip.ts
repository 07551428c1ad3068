import type { Kind, Scene, Showing } from "../stage/kind";
import { createWatch } from "../stage/watch";
import { el, icon, CROSS, appear, text } from "../ui/dom";
import { createFollower, move, stand } from "../ui/follow";
import type { Size } from "../ui/follow";
import { labelsFor, languageOf } from "../ui/labels";
import type { Box } from "../ui/place";
import { prose } from "../ui/prose";
import { findTarget } from "../ui/target";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import css from "./tooltip.css";

export * from "../shared";

export const kind: Kind = {
  interrupts: false,
  problem: ({ content }) => (text(content.target) && text(content.text) ? undefined : "expected content.target and content.text"),
  ready: ({ content }) => !!findTarget(content.target as string),
  watch: createWatch,
  show: showTooltip,
};

/** A card beside an element of the page, which stays usable; as a hotspot it opens from a dot on the element. Using the
 * element completes it. */
function showTooltip(scene: Scene): Showing {
  const { content } = scene.delivery;
  const labels = labelsFor<Labels>(scene.delivery, LABELS);
  const title = text(content.title);
  const name = title || labels.tip;
  const arrow = el("div", { class: "arrow" });
  const buttons = el("div", { class: "buttons" });
  const card = el(
    "section",
    { class: "card tooltip", role: "dialog", "aria-label": name, lang: languageOf(scene.delivery), dir: "auto", tabindex: "-1" },
    arrow,
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: () => finish("dismissed") }, icon(CROSS)),
    el("div", { class: "words", role: "status" }, title && el("h2", {}, title), prose(content.text as string)),
    buttons,
  );
  const dot = content.hotspot === true && el("button", { type: "button", class: "dot", "aria-label": name, "aria-expanded": "false", onclick: () => open(!!card.hidden) });
  const layer = el("div", { class: "tips", onkeydown: key }, dot, card);
  const follower = createFollower(css, layer, card, draw, () => finish("parked"));

  function draw(rect: Box | undefined, size: Size, view: Size): void {
    if (dot && rect) move(dot, rect.left + rect.width - 12, rect.top - 12);
    stand(card, arrow, rect, size, view, content.placement);
  }
  function open(wanted: boolean): void {
    card.hidden = !wanted;
    if (dot) dot.ariaExpanded = `${wanted}`;
    if (!wanted) return;
    scene.report("Message Clicked", { button: "hotspot" });
    card.focus();
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
  }

  if (content.actions) void import("../ui/actions").then(({ actionButtons }) => buttons.append(...actionButtons(scene, close)));
  card.hidden = !!dot;
  document.addEventListener("click", used, true);
  follower.to(() => findTarget(content.target as string));
  appear(layer);
  return { box: buttons, close };
}
