/** DOM nodes, one by one: nothing here, or anywhere in the snippet, turns text into markup. */

type Child = Node | string | undefined | false;
type Attributes = Record<string, string | boolean | undefined | ((event: never) => void)>;

/** An element with attributes, `onclick`-like listeners, and children. Attribute names are ours, never content. The page
 * may style it as `::part(…)` of its tag and its classes. */
export function el<K extends keyof HTMLElementTagNameMap>(tag: K, attributes?: Attributes, ...children: Child[]): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) node.setAttribute(name, "");
    else if (typeof value === "string") node.setAttribute(name, value);
  }
  node.setAttribute("part", `${tag} ${node.className}`);
  node.append(...children.filter((child): child is Node | string => typeof child === "string" || child instanceof Node));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** A stroked icon of 24 × 24 units. */
export function icon(path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const CROSS = "M6 6l12 12M18 6L6 18";

/** A value of untrusted content as text; anything that is not text is none. */
export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Lets it fade in: the style it begins with has to be in force before the one it ends with. */
export function appear(node: HTMLElement): void {
  void node.offsetWidth;
  node.classList.add("in");
}

/** Two animation frames: styles set before are on the screen, so what is set next moves there. */
export function settled(): Promise<void> {
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())));
}
