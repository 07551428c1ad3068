import type { Core, Delivery } from "../types";

/** A message left for longer than this is not taken up again. ms */
const FORGET_AFTER = 30 * 24 * 3600_000;

export interface Kept {
  delivery: Delivery;
  step: number;
  /** Whether `Message Shown` was reported. */
  shown: boolean;
  at: number;
}

/** What is under way, stored per delivery, so that the next page can go on with it without claiming it again. */
export interface Memory {
  keep(core: Core, delivery: Delivery, step: number, shown: boolean): void;
  forget(core: Core, deliveryId: string | undefined): void;
  ids(core: Core): string[];
  recall(core: Core, deliveryId: string): Kept | undefined;
  /** Runs `work` in one tab at a time; `done` lets the next one in. */
  alone(deliveryId: string, signal: AbortSignal, work: (done: () => void) => void): void;
}

export const tourMemory: Memory = {
  keep(core, delivery, step, shown) {
    if (!delivery.delivery_id) return;
    const kept: Kept = { delivery, step, shown, at: Date.now() };
    core.store.set(key(delivery.delivery_id), JSON.stringify(kept));
  },
  forget(core, deliveryId) {
    if (deliveryId) core.store.remove(key(deliveryId));
  },
  ids: (core) => core.store.keys("tour.").map((name) => name.slice(5)),
  recall(core, deliveryId) {
    try {
      const kept = JSON.parse(core.store.get(key(deliveryId)) ?? "") as Kept;
      if (kept.delivery.delivery_id === deliveryId && kept.at > Date.now() - FORGET_AFTER) return kept;
    } catch {
      // not ours, or of another release
    }
    this.forget(core, deliveryId);
    return undefined;
  },
  /** By a Web Lock: the browser hands over when the tab closes or crashes. Where there are none (pages without https)
   * every tab runs it. */
  alone(deliveryId, signal, work) {
    const run = (): Promise<void> => new Promise((done) => (signal.addEventListener("abort", () => done()), work(done)));
    if (navigator.locks) navigator.locks.request("engage." + deliveryId, { signal }, run).catch(() => {});
    else void run();
  },
};

function key(deliveryId: string): string {
  return "tour." + deliveryId;
}
