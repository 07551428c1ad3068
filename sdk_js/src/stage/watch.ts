/** Calls `changed`, at most once a frame, when the document changes; only while it is switched on. */
export interface Watch {
  set(on: boolean): void;
}

export function createWatch(changed: () => void): Watch {
  let observing = false;
  let frame = 0;
  const observer = new MutationObserver(() => {
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      changed();
    });
  });
  return {
    set(on) {
      if (on === observing) return;
      observing = on;
      if (on) return observer.observe(document, { childList: true, subtree: true, attributes: true });
      observer.disconnect();
      cancelAnimationFrame(frame);
      frame = 0;
    },
  };
}
