import type { Box } from "./place";

/** What a text may be written on that a person would press: it is pointed at as a whole. */
const CONTROL = "a,button,label,summary,[role]";

/** The elements that `text=` and the words on them, `data-engage=` and the value of that attribute, or a CSS selector name; in
 * the document, its open shadow roots, and its frames of the same site. */
function* find(target: string): Generator<Element> {
  const [, how, what = ""] = /^(text|data-engage)=(.*)/s.exec(target) ?? [];
  const selector = how ? `[data-engage="${CSS.escape(what)}"]` : target;
  for (const root of roots()) yield* how === "text" ? byText(root, squash(what)) : root.querySelectorAll(selector);
}

/** Where an element is in our window, also when it is in a frame. */
function boxOf(element: Element): Box {
  const { left, top, width, height } = element.getBoundingClientRect();
  const box = { left, top, width, height };
  for (let view = element.ownerDocument.defaultView; view && view !== window; view = view.parent as typeof view) {
    const frame = view.frameElement!;
    const outer = frame.getBoundingClientRect();
    box.left += outer.left + frame.clientLeft;
    box.top += outer.top + frame.clientTop;
  }
  return box;
}

/** The document, and whatever documents lie open within it; but not ours. */
function* roots(root: Document | ShadowRoot = document): Generator<Document | ShadowRoot> {
  yield root;
  for (const element of root.querySelectorAll<HTMLIFrameElement>("*")) {
    const inner = element.shadowRoot ?? element.contentDocument;
    if (inner && element.dataset.engage !== "") yield* roots(inner);
  }
}

function* byText(root: Document | ShadowRoot, wanted: string): Generator<Element> {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode as Text;
    const part = squash(data);
    if (!part || !wanted.includes(part)) continue;
    // The words may be spread over several nodes.
    for (let element = parentElement; element; element = element.parentElement) {
      const words = squash(element.textContent!);
      if (words === wanted) yield element.closest(CONTROL) ?? element;
      if (words.length >= wanted.length) break;
    }
  }
}

function squash(words: string): string {
  return words.replace(/\s+/g, " ").trim().toLowerCase();
}

/** What the browser draws in front of all else: a modal window, a popover, what fills the screen. */
const TOP = ":is(:modal,:popover-open)";

/** Takes a layer to where it is in front and can be used: into what is in front of all else with the target in it (as it is
 * drawn: through slots, shadow roots and frames); without a target, into the page's modal window. */
function front(layer: HTMLElement, target: Element | undefined, enter: (into?: Element | ShadowRoot) => HTMLElement): void {
  let at: Element | undefined | null = target ?? modal();
  while (at && !(at.ownerDocument === document && at.matches(TOP))) {
    const root = at.getRootNode() as unknown as { host?: Element; defaultView?: Window };
    at = at.assignedSlot ?? at.parentElement ?? root.host ?? root.defaultView?.frameElement;
  }
  const into = at?.shadowRoot ?? at ?? undefined;
  const { host, activeElement } = layer.getRootNode() as ShadowRoot;
  if (into === ((host as HTMLElement).popover ? host.parentNode! : undefined)) return;
  const element = enter(into);
  if (into) {
    element.popover = "manual";
    element.showPopover?.();
    // Many a window takes a press outside its edges for one beside it, and keys for its own.
    for (const type of ["click", "keydown"]) element.addEventListener(type, (event) => event.stopPropagation());
  }
  (activeElement as HTMLElement | null)?.focus({ preventScroll: true });
}

function modal(): Element | undefined {
  return [...document.querySelectorAll(":modal")].pop();
}

/** Whether the page's modal window keeps it from use. */
function covered(node: Node): boolean {
  return modal()?.contains((node.getRootNode() as ShadowRoot).host) === false;
}

export const deep = { find, boxOf, roots, front, covered };
