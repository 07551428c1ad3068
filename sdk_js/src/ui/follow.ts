import arrow from "./arrow.css";
import type { Box, Place } from "./place";
import { deep } from "./target";

/** The style of a card that points at something: of its `.arrow`. */
export const ARROW: string = arrow;

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
 * Calls `draw` in every frame in which the target, the window or `card` (the size of which counts) has changed. An
 * element that is gone is looked for again, for a framework may have put another one in its place; `gone` when there is
 * none.
 */
export function createFollower(card: HTMLElement, draw: (rect: Box | undefined, size: Size, view: Size) => void, gone: () => void): Follower {
  let find: (() => Element | undefined) | undefined;
  let target: Element | undefined;
  let drawn = "";
  let frame = requestAnimationFrame(next);
  // Where the page is zoomed by CSS, what is measured is not what is set; where nobody knows by how much, nothing is set.
  (card.parentElement!.style.zoom as unknown) = 1 / document.documentElement.currentCSSZoom;

  function next(): void {
    frame = requestAnimationFrame(next);
    if (target && !(target.isConnected && target.getClientRects().length)) {
      target = find?.();
      if (!target) return gone();
    }
    look();
  }
  function look(): void {
    const { left, top, width, height } = target ? (deep?.boxOf(target) ?? target.getBoundingClientRect()) : ({} as Box);
    const box = target && { left, top, width, height };
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
    stop: () => cancelAnimationFrame(frame),
  };
}

/** Puts a card, and its arrow, where `place` says. */
export function stand(box: HTMLElement, arrow: HTMLElement, { side, left, top, arrow: at }: Place, { width, height }: Size): void {
  const along = at - 6.5;
  const [x, y] = { bottom: [along, -6], top: [along, height - 7], right: [-6, along], left: [width - 7, along], center: [0, 0] }[side] as [number, number];
  move(box, left, top);
  move(arrow, x, y);
  arrow.hidden = side === "center";
}

export function move({ style }: HTMLElement, x: number, y: number): void {
  style.translate = `${Math.round(x)}px ${Math.round(y)}px`;
}
