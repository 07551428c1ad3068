import type { deep as all } from "./deep";

type Deep = typeof all;

/** What finds and measures elements that are not in the document itself, or are named by their words: there once it was
 * needed, for it is rarely. */
export let deep: Deep | undefined;

export function useDeep(loaded: Deep): void {
  deep = loaded;
}

/** Where it cannot be had, what needs it is not found. */
export function loadDeep(): Promise<void> {
  return import("./deep").then((loaded) => useDeep(loaded.deep), () => {});
}

/** The first element that can be seen of those that `target` names: a CSS selector, or what `deep.ts` knows beside. */
export function findTarget(target: string): Element | undefined {
  return visible(() => document.querySelectorAll(target)) ?? (deep && visible(() => deep!.find(target)));
}

/** The first that can be seen; none, too, where finding fails. */
export function visible(find: () => Iterable<Element>): Element | undefined {
  try {
    for (const found of find()) {
      const { width, height } = found.getBoundingClientRect();
      if (width * height && getComputedStyle(found).visibility === "visible") return found;
    }
  } catch {
    // not a selector: it waits for what cannot come, as for any element that is missing
  }
  return undefined;
}
