import { safeLink } from "../markdown/url";
import { createWatch } from "../stage/watch";
import { tourMemory } from "../stage/memory";
import type { Kind, Scene, Showing } from "../stage/kind";
import { el, appear } from "../ui/dom";
import { borrowFocus, cycleTab, typing } from "../ui/focus";
import { createFollower, stand } from "../ui/follow";
import type { Size } from "../ui/follow";
import { labelsFor, languageOf } from "../ui/labels";
import type { Box } from "../ui/place";
import { deep } from "../ui/deep";
import { findTarget, useDeep } from "../ui/target";
import { advanceOf, arrived, follows, precedes, stepReady, stepsOf } from "./content";
import { awaitDoing } from "./doing";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import { late, release } from "./late";
import { createPopover } from "./popover";
import css from "./tour.css";

/** How far the light reaches around the target. px */
const HALO = 6;

export * from "../shared";

useDeep(deep);

export const kind: Kind = {
  interrupts: true,
  memory: tourMemory,
  problem: (delivery) => (stepsOf(delivery).length ? undefined : "expected content.steps to be a list of at least one step"),
  ready: (delivery, step) => stepReady(stepsOf(delivery)[step]),
  watch: createWatch,
  late,
  show: showTour,
};

function showTour(scene: Scene): Showing {
  const steps = stepsOf(scene.delivery);
  const popover = createPopover(labelsFor<Labels>(scene.delivery, LABELS), languageOf(scene.delivery), { back, next, close: () => leave("dismissed") });
  const light = el("div", { class: "light" });
  const layer = el("div", { class: "tour" }, light, popover.box);
  /** The steps before this one. */
  const trail: number[] = [];
  const ending = new AbortController();
  let index = scene.step;
  let bare = scene.bare;
  let undo = (): void => {};
  const follower = createFollower(css, layer, popover.box, draw, () => leave("parked"));

  function leave(how: "completed" | "dismissed" | "parked", at = index): void {
    close();
    scene.end(how, at);
  }
  function next(button = "next", to?: string): void {
    on(follows(steps, index, to), { button });
  }
  function back(): void {
    const to = trail.pop() ?? precedes(steps, index);
    if (to < 0) return;
    if (stepReady(steps[to])) enter(to);
    else leave("parked", to);
  }
  /** What the person did leads to another step. */
  function on(to: number, how: Record<string, unknown>): void {
    const last = to >= steps.length;
    if (!last || !popover.plain) scene.report("Message Clicked", { step: index + 1, ...how });
    if (last) return leave("completed");
    trail.push(index);
    const url = !!how.button && safeLink(steps[index]!.navigate);
    if (url && url !== location.href) {
      leave("parked", to);
      location.assign(url);
    } else if (stepReady(steps[to])) enter(to);
    else leave("parked", to);
  }
  /** The step asked for it, and the person did it. */
  function did(advance: string): void {
    undo();
    const to = follows(steps, index);
    if (to < steps.length) scene.keep(to); // should it lead to another page
    setTimeout(() => layer.isConnected && on(to, { advance })); // after what the page does about it
  }
  function enter(to: number): void {
    undo();
    index = to;
    const step = steps[index]!;
    popover.fill(step, index, steps.length, trail.length > 0 || precedes(steps, index) >= 0);
    layer.classList.add("moving");
    setTimeout(() => layer.classList.remove("moving"), 260);
    const target = bare ? undefined : step.target;
    bring(target ? findTarget(target) : undefined);
    follower.to(target ? () => findTarget(target) : undefined);
    undo = awaitDoing(scene.core, advanceOf(step), () => follower.target, did);
    scene.keep(index);
    scene.report("Tour Step Viewed", { ...(step.target && { target: bare ? "missing" : "found" }), ...release() });
    bare = false;
  }
  function draw(rect: Box | undefined, size: Size, view: Size): void {
    layer.classList.toggle("bare", !rect);
    const halo = rect && { left: rect.left - HALO, top: rect.top - HALO, width: rect.width + 2 * HALO, height: rect.height + 2 * HALO };
    setBox(light, halo ?? { left: view.width / 2, top: view.height / 2, width: 0, height: 0 });
    stand(popover.box, popover.arrow, halo, size, view, steps[index]!.placement);
  }
  function key(event: KeyboardEvent): void {
    const ours = event.composedPath().includes(popover.box);
    if (event.defaultPrevented || event.isComposing || (!ours && (typing() || deep.covered(layer)))) return;
    if (event.key === "Escape") leave("dismissed");
    else if (/^Arrow(Left|Right)$/.test(event.key)) {
      const forward = (event.key === "ArrowRight") !== (getComputedStyle(popover.box).direction === "rtl");
      if (!forward) back();
      else if (popover.plain) next();
    } else return ours ? cycleTab(event, popover.box, follower.target) : undefined;
    event.preventDefault();
  }
  function hide({ persisted }: PageTransitionEvent): void {
    if (persisted) leave("parked");
  }
  function close(): void {
    undo();
    follower.stop();
    ending.abort();
    returnFocus();
  }

  const { signal } = ending;
  document.addEventListener("keydown", key, { signal, capture: true });
  addEventListener("pagehide", hide, { signal });
  enter(index);
  const returnFocus = borrowFocus(popover.box);
  appear(layer);

  return {
    box: popover.later,
    moved() {
      // A router may draw the next page only after this; the target's absence is noticed by `follow`.
      const step = steps[index]!;
      if (arrived(step)) did("path");
      else if (!stepReady(step)) leave("parked");
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

/** Moved by `translate`: what follows a page that scrolls is no layout shift. */
function setBox(node: HTMLElement, { left, top, width, height }: Box): void {
  Object.assign(node.style, { translate: `${left}px ${top}px`, width: `${width}px`, height: `${height}px` });
}
