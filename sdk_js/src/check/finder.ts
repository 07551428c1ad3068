import { deep } from "../ui/deep";
import { findTarget, useDeep, visible } from "../ui/target";

useDeep(deep);

/** What the snippet would make of a target on this page, now. */
export interface Looked {
  /** `invalid`: the target is no CSS selector, and none of the other forms. */
  readonly state: "found" | "hidden" | "missing" | "invalid";
  /** How many elements it names that can be seen; where it is hidden, that cannot. */
  readonly count: number;
  /** The one that the snippet takes (or the first that is hidden), like `button#new.wide`. */
  readonly element?: string;
}

/** For `engage rules check --url`: what is seen of each target, in the same order. */
export function look(targets: readonly string[]): Looked[] {
  return targets.map(lookFor);
}

function lookFor(target: string): Looked {
  let named: Element[];
  try {
    named = [...new Set(deep.find(target))];
  } catch {
    return { state: "invalid", count: 0 };
  }
  const taken = findTarget(target);
  if (taken) return { state: "found", count: named.filter((element) => visible(() => [element])).length, element: described(taken) };
  if (named[0]) return { state: "hidden", count: named.length, element: described(named[0]) };
  return { state: "missing", count: 0 };
}

function described({ id, classList, localName }: Element): string {
  return `${localName}${id && "#" + id}${[...classList].map((name) => "." + name).join("")}`.slice(0, 80);
}
