import type { Delivery } from "../types";

/** Whether a page fits one of the patterns: by its path, or by its whole address where a pattern has a host. `*` stands for
 * anything. No pattern: every page fits. */
export function pathMatches(patterns: string | readonly string[] | null | undefined, { origin, pathname } = location): boolean {
  if (!patterns?.length) return true;
  return [patterns].flat().some((pattern) => {
    const page = (pattern.includes("://") ? origin + pathname : pathname) + "\n";
    let at = 0;
    // Each part at the first place behind the one before: no way back, so no pattern takes long. Only the last has the line's end.
    return (pattern + "\n").split("*").every((part, index) => {
      const found = page.indexOf(part, at);
      at = found + part.length;
      return index ? found >= 0 : !found;
    });
  });
}

export function expired(delivery: Delivery, now = Date.now()): boolean {
  return !!delivery.expires_at && Date.parse(delivery.expires_at) <= now;
}
