import { safeLink } from "../markdown/url";
import { tourMemory } from "../stage/memory";
import type { Kind, Scene, Showing } from "../stage/kind";
import { el, settled } from "../ui/dom";
import { borrowFocus, cycleTab, typing } from "../ui/focus";
import { ARROW, createFollower, stand } from "../ui/follow";
import type { Size } from "../ui/follow";
import { labelsFor, languageOf } from "../ui/labels";
import { place } from "../ui/place";
import type { Box } from "../ui/place";
import { enterRoot } from "../ui/root";
import { findTarget } from "../ui/target";
import { stepReady, stepsOf } from "./content";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import { createPopover } from "./popover";
import css from "./tour.css";

/** How far the light reaches around the target. px */
const HALO = 6;

export * from "../shared";

export const kind: Kind = {
  interrupts: true,
  memory: tourMemory,
  problem: (delivery) => (stepsOf(delivery).length ? undefined : "expected content.steps to be a list of at least one step"),
  ready: (delivery, step) => stepReady(stepsOf(delivery)[step]),
  show: showTour,
};

function showTour(scene: Scene): Showing {
  const steps = stepsOf(scene.delivery);
  const root = enterRoot(css + ARROW, () => leave("parked"));
  const popover = createPopover(labelsFor<Labels>(scene.delivery, LABELS), languageOf(scene.delivery), go, () => leave("dismissed"));
  const light = el("div", { class: "light" });
  const layer = el("div", { class: "tour" }, light, popover.box);
  let index = scene.step;
  const follower = createFollower(popover.box, draw, () => leave("parked"));

  function leave(how: "completed" | "dismissed" | "parked", at = index): void {
    close();
    scene.end(how, at);
  }
  function go(by: 1 | -1): void {
    const to = index + by;
    if (to < 0) return;
    if (to >= steps.length) return leave("completed");
    const url = by > 0 ? safeLink(steps[index]?.navigate) : undefined;
    if (by > 0) scene.report("Message Clicked", { step: index + 1, button: "next" });
    if (url && url !== location.href) {
      leave("parked", to);
      location.assign(url);
    } else if (stepReady(steps[to])) enter(to);
    else leave("parked", to);
  }
  function enter(to: number): void {
    index = to;
    const step = steps[index]!;
    popover.fill(step, index, steps.length);
    layer.classList.add("moving");
    setTimeout(() => layer.classList.remove("moving"), 260);
    const { target } = step;
    bring(target ? findTarget(target) : undefined);
    follower.to(target ? () => findTarget(target) : undefined);
    scene.keep(index);
    scene.report("Tour Step Viewed", { step: index + 1 });
  }
  function draw(rect: Box | undefined, size: Size, view: Size): void {
    layer.classList.toggle("bare", !rect);
    const halo = rect && { left: rect.left - HALO, top: rect.top - HALO, width: rect.width + 2 * HALO, height: rect.height + 2 * HALO };
    setBox(light, halo ?? { left: view.width / 2, top: view.height / 2, width: 0, height: 0 });
    stand(popover.box, place(halo, size, view, steps[index]?.placement));
  }
  function key(event: KeyboardEvent): void {
    const ours = event.composedPath().includes(popover.box);
    if (event.defaultPrevented || event.isComposing || (!ours && typing())) return;
    if (event.key === "Escape") leave("dismissed");
    else if (/^Arrow(Left|Right)$/.test(event.key)) go((event.key === "ArrowRight") !== (getComputedStyle(popover.box).direction === "rtl") ? 1 : -1);
    else return ours ? cycleTab(event, popover.box, follower.target) : undefined;
    event.preventDefault();
  }
  function close(): void {
    follower.stop();
    document.removeEventListener("keydown", key, true);
    layer.remove();
    root.leave();
    returnFocus();
  }

  root.shadow.append(layer);
  document.addEventListener("keydown", key, true);
  enter(index);
  const returnFocus = borrowFocus(popover.box);
  void settled().then(() => layer.classList.add("in"));

  return {
    moved() {
      // A router may draw the next page only after this; the target's absence is noticed by `follow`.
      if (!stepReady(steps[index]) && !follower.target?.isConnected) leave("parked");
      else if (steps[index]?.path && !stepReady(steps[index])) leave("parked");
    },
    close,
  };
}

function bring(target: Element | undefined): void {
  if (!target) return;
  const { top, bottom, left, right } = target.getBoundingClientRect();
  if (top >= 60 && bottom <= innerHeight - 60 && left >= 0 && right <= innerWidth) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  target.scrollIntoView({ block: "center", inline: "nearest", behavior: calm ? "auto" : "smooth" });
}

function setBox(node: HTMLElement, { left, top, width, height }: Box): void {
  Object.assign(node.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}
