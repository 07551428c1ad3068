import type { Core, Delivery } from "../types";

/** A tour left for longer than this is not taken up again. ms */
const FORGET_AFTER = 30 * 24 * 3600_000;

export interface Kept {
  delivery: Delivery;
  step: number;
  /** Whether `Message Shown` was reported. */
  shown: boolean;
  at: number;
}

/** What is under way, stored per delivery, so that the next page can go on with it without claiming it again. */
export function keep(core: Core, delivery: Delivery, step: number, shown: boolean): void {
  if (!delivery.delivery_id) return;
  const kept: Kept = { delivery, step, shown, at: Date.now() };
  core.store.set(key(delivery.delivery_id), JSON.stringify(kept));
}

export function forget(core: Core, deliveryId: string | undefined): void {
  if (deliveryId) core.store.remove(key(deliveryId));
}

export function keptIds(core: Core): string[] {
  return core.store.keys("tour.").map((name) => name.slice(5));
}

export function recall(core: Core, deliveryId: string): Kept | undefined {
  try {
    const kept = JSON.parse(core.store.get(key(deliveryId)) ?? "") as Kept;
    if (kept.delivery.delivery_id === deliveryId && kept.at > Date.now() - FORGET_AFTER) return kept;
  } catch {
    // not ours, or of another release
  }
  forget(core, deliveryId);
  return undefined;
}

function key(deliveryId: string): string {
  return "tour." + deliveryId;
}

/**
 * Runs `work` in one tab at a time; the browser hands over when that tab closes or crashes. `work` gets a function that
 * lets the next one in. Where there are no Web Locks (pages without https) every tab runs it.
 */
export function alone(name: string, signal: AbortSignal, work: (done: () => void) => void): void {
  const run = (): Promise<void> => new Promise((done) => (signal.addEventListener("abort", () => done()), work(done)));
  if (navigator.locks) navigator.locks.request("engage." + name, { signal }, run).catch(() => {});
  else void run();
}
