import type { Delivery } from "../types";

/** Whether a path fits one of the patterns; `*` stands for anything. No pattern: every path fits. */
export function pathMatches(patterns: string | readonly string[] | null | undefined, path = location.pathname): boolean {
  if (!patterns?.length) return true;
  return [patterns].flat().some((pattern) => {
    const source = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${source.join(".*")}$`).test(path);
  });
}

export function expired(delivery: Delivery, now = Date.now()): boolean {
  return !!delivery.expires_at && Date.parse(delivery.expires_at) <= now;
}
