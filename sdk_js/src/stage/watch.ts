/** Calls `changed`, at most once a frame, when the document changes or the focus leaves a field; only while it is switched on. */
export interface Watch {
  set(on: boolean): void;
}

export function createWatch(changed: () => void): Watch {
  let observing = false;
  let frame = 0;
  const look = (): void => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      changed();
    });
  };
  const observer = new MutationObserver(look);
  return {
    set(on) {
      if (on === observing) return;
      observing = on;
      document[on ? "addEventListener" : "removeEventListener"]("focusout", look);
      if (on) return observer.observe(document, { childList: true, subtree: true, attributes: true });
      observer.disconnect();
      cancelAnimationFrame(frame);
      frame = 0;
    },
  };
}
