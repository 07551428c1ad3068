/** Where the popover goes beside its target. Pure geometry, in pixels of the viewport. */

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}
export type Side = "top" | "right" | "bottom" | "left";
export interface Place {
  side: Side | "center";
  left: number;
  top: number;
  /** Where the arrow sits along the popover's edge. */
  arrow: number;
}

const GAP = 14;
const MARGIN = 12;
/** Against the clock. */
export const SIDES: readonly Side[] = ["bottom", "right", "top", "left"];

/** The asked side when the popover fits there, else the first that fits, else the one with the most room. */
export function place(target: Box | undefined, popover: { width: number; height: number }, view: { width: number; height: number }, asked?: string): Place {
  const { width, height } = popover;
  if (!target) return { side: "center", left: (view.width - width) / 2, top: (view.height - height) / 2, arrow: 0 };
  const room: Record<Side, number> = {
    top: target.top - (GAP + MARGIN) - height,
    bottom: view.height - target.top - target.height - (GAP + MARGIN) - height,
    left: target.left - (GAP + MARGIN) - width,
    right: view.width - target.left - target.width - (GAP + MARGIN) - width,
  };
  const side = [asked as Side, ...SIDES].find((one) => room[one] >= 0) ?? [...SIDES].sort((one, other) => room[other] - room[one])[0]!;
  const upright = SIDES.indexOf(side) % 2 === 0;
  const middleX = target.left + target.width / 2;
  const middleY = target.top + target.height / 2;
  const left = clamp(upright ? middleX - width / 2 : side === "left" ? target.left - GAP - width : target.left + target.width + GAP, MARGIN, view.width - width - MARGIN);
  const top = clamp(!upright ? middleY - height / 2 : side === "top" ? target.top - GAP - height : target.top + target.height + GAP, MARGIN, view.height - height - MARGIN);
  const arrow = upright ? clamp(middleX - left, 22, width - 22) : clamp(middleY - top, 22, height - 22);
  return { side, left, top, arrow };
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(value, high));
}
