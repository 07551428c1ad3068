import base from "./base.css";
import { el } from "./dom";

/** The one element that Engage puts into the page, while there is something to show. */
let host: HTMLElement | undefined;
let dock: HTMLElement;
let users = 0;
const sheets = new Set<string>();

export interface Root {
  readonly shadow: ShadowRoot;
  /** The stack of cards in the corner. */
  readonly dock: HTMLElement;
  /** The last one to leave takes the element out of the page. */
  leave(): void;
}

export function enterRoot(css: string): Root {
  if (!host?.isConnected) {
    host = el("div", { "data-engage": "" });
    host.attachShadow({ mode: "open" });
    dock = el("div", { class: "dock" });
    host.shadowRoot!.append(dock);
    (document.body ?? document.documentElement).append(host);
    users = 0;
    sheets.clear();
  }
  const current = host;
  const shadow = current.shadowRoot!;
  adopt(shadow, base);
  adopt(shadow, css);
  users++;
  let here = true;
  return {
    shadow,
    dock,
    leave() {
      if (!here) return;
      here = false;
      if (current !== host || --users) return;
      current.remove();
      host = undefined;
    },
  };
}

/** Constructable sheets pass a strict Content-Security-Policy; a style element serves browsers without them. */
function adopt(shadow: ShadowRoot, css: string): void {
  if (sheets.has(css)) return;
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    shadow.adoptedStyleSheets = [...shadow.adoptedStyleSheets, sheet];
  } catch {
    shadow.prepend(el("style", {}, css));
  }
  sheets.add(css);
}
