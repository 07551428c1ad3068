/** A random UUID v4; `crypto.randomUUID` exists only in secure contexts. */
export function uuid(): string {
  const digit = (char: string): string => (+char ^ (crypto.getRandomValues(new Uint8Array(1))[0]! & (15 >> (+char / 4)))).toString(16);
  return crypto.randomUUID?.() ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g, digit);
}
