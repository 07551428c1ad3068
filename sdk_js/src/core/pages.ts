import type { Listen } from "./listening";

/** `window.navigation`, where the browser has it (TypeScript's DOM library may not). */
type Navigating = { navigation?: EventTarget };

/**
 * Calls `moved(before)` whenever the address changes within this document, and `follow` when its fragment did. By the
 * Navigation API where there is one, so that nothing of the page is touched; else by wrapping the two history methods,
 * which pass everything through. Returns what unwraps them.
 */
export function watchAddress(moved: (before: string) => void, follow: () => void, listen: Listen): () => void {
  let href = place();
  const look = (): void => {
    const before = href;
    href = place();
    if (href !== before) moved(before);
  };
  const api = (self as Navigating).navigation;
  let undo: (() => void)[] = [];
  if (api) listen(api, "currententrychange", look);
  else undo = [wrap("pushState", look), wrap("replaceState", look)];
  listen(window, "popstate", look);
  listen(window, "hashchange", () => (look(), follow()));
  return () => undo.forEach((run) => run());
}

/** The address as an app's router sees it: a `#section` on the same page is no new page, `#/route` is. */
function place(): string {
  return /^#[/!]/.test(location.hash) ? location.href : location.href.split("#")[0]!;
}

function wrap(name: "pushState" | "replaceState", look: () => void): () => void {
  const original = history[name];
  const wrapped: History["pushState"] = function (this: History, ...args) {
    original.apply(this, args);
    look();
  };
  history[name] = wrapped;
  return () => {
    // Someone may have wrapped ours since; then it stays.
    if (history[name] === wrapped) history[name] = original;
  };
}
