import base from "./base.css";
import { el } from "./dom";

/** An element that Engage puts into the page while there is something to show. */
interface Host {
  readonly element: HTMLElement;
  readonly shadow: ShadowRoot;
  readonly dock: HTMLElement;
  readonly sheets: Set<string>;
  /** What those who show something in it want done when the page takes it out. */
  readonly users: Set<() => void>;
  readonly observer: MutationObserver;
}
/** The one that all share, after the body: what moves, empties or lays out the body does not concern it. */
let common: Host | undefined;

export interface Root {
  readonly element: HTMLElement;
  readonly shadow: ShadowRoot;
  /** The stack of cards in the corner. */
  readonly dock: HTMLElement;
  /** The last one to leave takes the element out of the page. */
  leave(): void;
}

/** A place on the page: what all messages share, or one's own at the start of `into`. `gone` is called when the page takes
 * it out: frameworks draw anew what they own, and some the whole body. */
export function enterRoot(css: string, gone: () => void, into?: Element | ShadowRoot): Root {
  const host = into ? createHost("span") : (common = common?.element.isConnected ? common : createHost("div"));
  if (!host.element.isConnected) (into ?? document.documentElement)[into ? "prepend" : "append"](host.element);
  adopt(host, base);
  adopt(host, css);
  host.users.add(gone);
  return {
    ...host,
    leave() {
      host.users.delete(gone);
      if (host.users.size) return;
      host.observer.disconnect();
      host.element.replaceWith(); // not by `remove`: Prototype's throws when it was taken out before
    },
  };
}

function createHost(tag: "div" | "span"): Host {
  const element = el(tag, { "data-engage": "" });
  const shadow = element.attachShadow({ mode: "open" });
  const dock = el("div", { class: "dock" });
  shadow.append(dock);
  const users = new Set<() => void>();
  const observer = new MutationObserver(() => element.isConnected || users.forEach((gone) => gone()));
  observer.observe(document, { childList: true, subtree: true });
  return { element, shadow, dock, sheets: new Set(), users, observer };
}

/** Constructable sheets pass a strict Content-Security-Policy. */
function adopt({ shadow, sheets }: Host, css: string): void {
  if (sheets.has(css)) return;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  shadow.adoptedStyleSheets.push(sheet);
  sheets.add(css);
}
