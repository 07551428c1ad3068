const LONGEST = 30_000;

/** How long to wait after so many failures, in ms: doubling from half a second, with jitter so that clients spread. */
export function backoff(failures: number): number {
  return Math.min(LONGEST, 500 * 2 ** failures) * (0.5 + Math.random() / 2);
}
