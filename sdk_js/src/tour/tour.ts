import { safeLink } from "../markdown/url";
import { tourMemory } from "../stage/memory";
import type { Kind, Scene, Showing } from "../stage/kind";
import { el, settled } from "../ui/dom";
import { borrowFocus, cycleTab, typing } from "../ui/focus";
import { labelsFor, languageOf } from "../ui/labels";
import { enterRoot } from "../ui/root";
import { findTarget, stepReady, stepsOf } from "./content";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import { place } from "./place";
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
  const root = enterRoot(css);
  const popover = createPopover(labelsFor<Labels>(scene.delivery, LABELS), languageOf(scene.delivery), go, () => leave("dismissed"));
  const light = el("div", { class: "light" });
  const layer = el("div", { class: "tour" }, light, popover.box);
  let index = scene.step;
  let target: Element | undefined;
  let frame = 0;
  let drawn = "";

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
    target = step.target ? findTarget(step) : undefined;
    popover.fill(step, index, steps.length);
    layer.classList.add("moving");
    setTimeout(() => layer.classList.remove("moving"), 260);
    bring(target);
    draw();
    scene.keep(index);
    scene.report("Tour Step Viewed", { step: index + 1 });
  }
  /** Follows the target wherever scrolling, resizing, animation and re-rendering take it. */
  function follow(): void {
    frame = requestAnimationFrame(follow);
    const step = steps[index]!;
    if (target && !(target.isConnected && target.getClientRects().length)) {
      target = findTarget(step); // a framework may have put another one in its place
      if (!target) return leave("parked");
    }
    draw();
  }
  function draw(): void {
    const rect = target?.getBoundingClientRect();
    const view = { width: document.documentElement.clientWidth, height: innerHeight };
    const size = { width: popover.box.offsetWidth, height: popover.box.offsetHeight };
    const now = [rect?.left, rect?.top, rect?.width, rect?.height, view.width, view.height, size.width, size.height].join();
    if (now === drawn) return;
    drawn = now;
    layer.classList.toggle("bare", !rect);
    if (rect) setBox(light, rect.left - HALO, rect.top - HALO, rect.width + 2 * HALO, rect.height + 2 * HALO);
    else setBox(light, view.width / 2, view.height / 2, 0, 0);
    const halo = rect && { left: rect.left - HALO, top: rect.top - HALO, width: rect.width + 2 * HALO, height: rect.height + 2 * HALO };
    const at = place(halo, size, view, steps[index]?.placement);
    popover.box.style.transform = `translate(${Math.round(at.left)}px,${Math.round(at.top)}px)`;
    popover.box.dataset.side = at.side;
    popover.arrow.style.setProperty("--at", `${at.arrow}px`);
  }
  function key(event: KeyboardEvent): void {
    const ours = event.composedPath().includes(popover.box);
    if (event.defaultPrevented || event.isComposing || (!ours && typing())) return;
    if (event.key === "Escape") leave("dismissed");
    else if (event.key === "ArrowRight") go(1);
    else if (event.key === "ArrowLeft") go(-1);
    else return ours ? cycleTab(event, popover.box, target) : undefined;
    event.preventDefault();
  }
  function close(): void {
    if (!layer.isConnected) return;
    cancelAnimationFrame(frame);
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
  frame = requestAnimationFrame(follow);

  return {
    moved() {
      // A router may draw the next page only after this; the target's absence is noticed by `follow`.
      if (!stepReady(steps[index]) && !(target && target.isConnected)) leave("parked");
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

function setBox(node: HTMLElement, left: number, top: number, width: number, height: number): void {
  Object.assign(node.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}
