import arrow from "./arrow.css";
import type { Box, Place } from "./place";

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

  function next(): void {
    frame = requestAnimationFrame(next);
    if (target && !(target.isConnected && target.getClientRects().length)) {
      target = find?.();
      if (!target) return gone();
    }
    look();
  }
  function look(): void {
    const { left, top, width, height } = target?.getBoundingClientRect() ?? { left: NaN, top: 0, width: 0, height: 0 };
    const size = { width: card.offsetWidth, height: card.offsetHeight };
    const view = { width: document.documentElement.clientWidth, height: innerHeight };
    const now = [left, top, width, height, size.width, size.height, view.width, view.height].join();
    if (now === drawn) return;
    drawn = now;
    draw(target && { left, top, width, height }, size, view);
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

/** Puts a card where `place` says. */
export function stand(box: HTMLElement, { side, left, top, arrow }: Place): void {
  box.style.transform = `translate(${Math.round(left)}px,${Math.round(top)}px)`;
  box.style.setProperty("--at", `${arrow}px`);
  box.dataset.side = side;
}
