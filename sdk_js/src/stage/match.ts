import type { Delivery } from "../types";

/** Whether a page fits one of the patterns: by its path, or by its whole address where a pattern has a host. `*` stands for
 * anything. No pattern: every page fits. */
export function pathMatches(patterns: string | readonly string[] | null | undefined, { origin, pathname } = location): boolean {
  if (!patterns?.length) return true;
  return [patterns].flat().some((pattern) => {
    const source = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${source.join(".*")}$`).test(pattern.includes("://") ? origin + pathname : pathname);
  });
}

export function expired(delivery: Delivery, now = Date.now()): boolean {
  return !!delivery.expires_at && Date.parse(delivery.expires_at) <= now;
}
