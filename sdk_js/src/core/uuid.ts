/** A random UUID v4; where there is none (pages without https), as many random bits. */
export function uuid(): string {
  return crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
}
