import { deep, loadDeep } from "../ui/target";
import type { Watch } from "./kind";


const ALL = { childList: true, subtree: true, attributes: true };

/** Calls `changed`, at most once a frame, when the document, or one that lies open within it, changes. */
export function createWatch(changed: () => void): Watch {
  let observing = false;
  let frame = 0;
  const look = (): void => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (!observing) return;
      for (const root of deep?.roots() ?? [document]) observer.observe(root, ALL);
      changed();
    });
  };
  const observer = new MutationObserver(look);
  return {
    set(on) {
      if (on === observing) return;
      observing = on;
      // Of a frame; of a popover, which no attribute tells of.
      for (const type of ["load", "toggle"]) document[on ? "addEventListener" : "removeEventListener"](type, look, true);
      if (!on) return observer.disconnect();
      observer.observe(document, ALL);
      // What is waited for is not in the document; it may be elsewhere.
      if (!deep) void loadDeep().then(look);
    },
  };
}
