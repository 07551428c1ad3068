import arrow from "./arrow.css";
import { place, SIDES } from "./place";
import type { Box, Side } from "./place";
import { enterRoot } from "./root";
import type { Root } from "./root";
import { deep, loadDeep } from "./target";

export interface Size {
  width: number;
  height: number;
}

/** Follows an element wherever scrolling, resizing, animation and re-rendering take it. */
export interface Follower {
  readonly target: Element | undefined;
  /** From here on it is what `find` gives; nothing, when there is nothing to find. */
  to(find: (() => Element | undefined) | undefined): void;
  stop(): void;
}

/**
 * Puts `layer` on the page, in the style of `css` and that of an `.arrow`, and calls `draw` in every frame in which the
 * target, the window or `card` (the size of which counts) has changed. An element that is gone is looked for again, for a
 * framework may have put another one in its place; `gone` when there is none.
 */
export function createFollower(css: string, layer: HTMLElement, card: HTMLElement, draw: (rect: Box | undefined, size: Size, view: Size) => void, gone: () => void): Follower {
  let find: (() => Element | undefined) | undefined;
  let target: Element | undefined;
  let root: Root | undefined;
  let drawn = "";
  let frame = requestAnimationFrame(next);
  enter();
  if (!deep) void loadDeep();

  function next(): void {
    frame = requestAnimationFrame(next);
    if (target && !target.getClientRects().length) {
      target = find?.();
      if (!target) return gone();
    }
    look();
  }
  /** Goes there, from where it was. */
  function enter(into?: Element | ShadowRoot): HTMLElement {
    root?.leave();
    root = enterRoot(css + arrow, gone, into);
    root.shadow.append(layer);
    // Where the page is zoomed by CSS, what is measured is not what is set; where nobody knows by how much, nothing is set.
    (layer.style.zoom as unknown) = 1 / root.element.currentCSSZoom;
    return root.element;
  }
  function look(): void {
    deep?.front(layer, target, enter);
    const box = target && (deep?.boxOf(target) ?? target.getBoundingClientRect());
    const size = { width: card.offsetWidth, height: card.offsetHeight };
    const view = { width: document.documentElement.clientWidth, height: innerHeight };
    const now = JSON.stringify([box, size, view]);
    if (now === drawn) return;
    drawn = now;
    draw(box, size, view);
  }
  return {
    get target() {
      return target;
    },
    to(other) {
      find = other;
      target = find?.();
      drawn = "";
      look();
    },
    stop() {
      cancelAnimationFrame(frame);
      layer.remove();
      root?.leave();
    },
  };
}

/** Puts a card, and its arrow, beside its target. */
export function stand(box: HTMLElement, arrow: HTMLElement, target: Box | undefined, size: Size, view: Size, asked: unknown): void {
  const { side, left, top, arrow: at } = place(target, size, view, asked as string);
  const { width, height } = size;
  const along = at - 6.5;
  const turn = SIDES.indexOf(side as Side);
  const [x, y] = [[along, -6], [-6, along], [along, height - 7], [width - 7, along]].at(turn)!;
  move(box, left, top);
  move(arrow, x!, y!);
  arrow.style.rotate = 45 - 90 * turn + "deg"; // its two edges look outwards
  arrow.hidden = turn < 0;
}

export function move({ style }: HTMLElement, x: number, y: number): void {
  style.translate = `${Math.round(x)}px ${Math.round(y)}px`;
}
