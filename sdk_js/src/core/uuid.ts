/** A random UUID v4; `crypto.randomUUID` exists only in secure contexts. */
export function uuid(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit, at: number) =>
    (+digit ^ (bytes[at >> 1]! & (15 >> (+digit / 4)))).toString(16),
  );
}
