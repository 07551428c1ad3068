/** The first element that a selector finds and that can be seen. */
export function findTarget(selector: string): Element | undefined {
  try {
    for (const found of document.querySelectorAll(selector)) if (visible(found)) return found;
  } catch {
    // not a selector: it waits for what cannot come, as for any element that is missing
  }
  return undefined;
}

function visible(element: Element): boolean {
  const { width, height } = element.getBoundingClientRect();
  return width > 0 && height > 0 && getComputedStyle(element).visibility === "visible";
}
