const FOCUSABLE = "a[href],button:not([disabled]),input,select,textarea,[tabindex]:not([tabindex='-1'])";

/** Whether the person is typing somewhere in the page: then nothing of ours may take the focus. */
export function typing(): boolean {
  const active = document.activeElement;
  return active instanceof HTMLElement && (active.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/i.test(active.tagName));
}

/** Moves the focus to `target`, unless the person is typing; the result gives it back to where it was. */
export function borrowFocus(target: HTMLElement): () => void {
  const before = document.activeElement;
  if (!typing()) target.focus({ preventScroll: true });
  return () => {
    if (before instanceof HTMLElement && before.isConnected && before !== document.body) before.focus({ preventScroll: true });
  };
}

/** Tab goes round within `box`; `outside`, when it can take the focus, is one more stop. */
export function cycleTab(event: KeyboardEvent, box: HTMLElement, outside?: Element): void {
  if (event.key !== "Tab") return;
  const stops = [...box.querySelectorAll<HTMLElement>(FOCUSABLE)];
  const active = (box.getRootNode() as ShadowRoot).activeElement;
  const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
  if (active !== edge && !(event.shiftKey && active === box)) return;
  event.preventDefault();
  if (outside instanceof HTMLElement && outside.matches(FOCUSABLE)) outside.focus();
  else (event.shiftKey ? stops[stops.length - 1] : stops[0])?.focus();
}
