import { pathMatches } from "../stage/match";
import type { Delivery, Dict } from "../types";
import { isDict } from "../core/options";

/** A step as the message document has it; every field may be missing. */
export interface Step {
  readonly target?: string;
  readonly title?: string;
  readonly text?: string;
  readonly path?: string | readonly string[];
  readonly navigate?: string;
  readonly placement?: string;
}

export function stepsOf(delivery: Delivery): Step[] {
  const { steps } = delivery.content as Dict;
  return Array.isArray(steps) ? (steps.filter(isDict) as Step[]) : [];
}

/** The element a step points at, once it is there and can be seen. */
export function findTarget(step: Step): Element | undefined {
  try {
    for (const found of document.querySelectorAll(step.target ?? "")) if (visible(found)) return found;
  } catch {
    // not a selector: the step waits for what cannot come, as for any element that is missing
  }
  return undefined;
}

export function stepReady(step: Step | undefined): boolean {
  return !!step && pathMatches(step.path) && (!step.target || !!findTarget(step));
}

function visible(element: Element): boolean {
  const { width, height } = element.getBoundingClientRect();
  return width > 0 && height > 0 && getComputedStyle(element).visibility === "visible";
}
