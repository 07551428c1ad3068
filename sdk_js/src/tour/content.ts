import { isDict } from "../core/options";
import { pathMatches } from "../stage/match";
import type { Delivery, Dict } from "../types";
import { text } from "../ui/dom";
import { findTarget } from "../ui/target";

/** A step as the message document has it; every field may be missing. */
export interface Step extends Dict {
  readonly id?: string;
  readonly target?: string;
  readonly title?: string;
  readonly text?: string;
  readonly path?: string | readonly string[];
  readonly navigate?: string;
  readonly placement?: string;
  readonly advance?: Advance;
  readonly buttons?: readonly Branch[];
  readonly then?: string;
  readonly missing?: string;
  readonly timeout?: string | number;
}

/** What the person does to go on: one of these. */
export interface Advance {
  readonly click?: boolean;
  readonly input?: string;
  readonly event?: string;
  readonly path?: string;
}

export interface Branch {
  readonly label: string;
  readonly to?: string;
}

export function stepsOf(delivery: Delivery): Step[] {
  const { steps } = delivery.content;
  return Array.isArray(steps) ? (steps.filter(isDict) as Step[]) : [];
}

export function branchesOf({ buttons }: Step): Branch[] {
  return Array.isArray(buttons) ? buttons.filter((button) => isDict(button) && text(button.label)) : [];
}

export function advanceOf({ advance }: Step): Advance {
  return isDict(advance) ? advance : {};
}

/** Whether the person has come where the step waits for them to come. */
export function arrived(step: Step): boolean {
  const { path } = advanceOf(step);
  return !!text(path) && pathMatches(path);
}

/** Whether the step can be shown: it is on this page, and so is its target. */
export function stepReady(step: Step | undefined): boolean {
  return !!step && !arrived(step) && pathMatches(step.path) && (!step.target || !!findTarget(step.target));
}

/** The index of the step that `to` names, by default of the one after `from`; behind the last for the end. */
export function follows(steps: readonly Step[], from: number, to: string | undefined = steps[from]?.then): number {
  if (to === "end") return steps.length;
  const index = to ? steps.findIndex(({ id }) => id === to) : -1;
  return index < 0 ? from + 1 : index;
}

/** The step before, where it is not remembered: the last one from which the tour comes to `at`. */
export function precedes(steps: readonly Step[], at: number): number {
  for (let from = at - 1; from >= 0; from--) {
    const ways = branchesOf(steps[from]!).map(({ to }) => follows(steps, from, to));
    if ((ways.length ? ways : [follows(steps, from)]).includes(at)) return from;
  }
  return -1;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** How long a step waits for its target: `timeout`, like "5s" or a number of ms. */
export function patience({ timeout = "5s" }: Step): number {
  if (typeof timeout === "number") return timeout;
  let sum = 0;
  for (const [, count, unit] of timeout.matchAll(/(\d+)(ms|s|m)/g)) sum += Number(count) * UNITS[unit!]!;
  return sum;
}
