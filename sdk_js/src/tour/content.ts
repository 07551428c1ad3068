import { pathMatches } from "../stage/match";
import type { Delivery, Dict } from "../types";
import { isDict } from "../core/options";
import { findTarget } from "../ui/target";

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

export function stepReady(step: Step | undefined): boolean {
  return !!step && pathMatches(step.path) && (!step.target || !!findTarget(step.target));
}
