import type { Core, Delivery } from "../types";
import { release } from "./claim";
import type { Waiting } from "./kind";

/** A tour that goes on from another page keeps others from the screen for so long, while its element does not come. ms */
const HOLD = 5_000;

/** A step of it is on another host, which has a storage of its own: such a tour goes by way of the service. */
const TRAVELS = /"(path|navigate)":\[?"([^"]*:)?\/\//;

/** A message left for longer than this is not taken up again. ms */
const FORGET_AFTER = 30 * 24 * 3600_000;

export interface Kept {
  delivery: Delivery;
  step: number;
  /** Whether `Message Shown` was reported. */
  shown: boolean;
  at: number;
  /** Whose it is: on another host somebody else may have come, of whom this one's storage has not heard. */
  by?: string;
}

/** What is under way, stored per delivery, so that the next page can go on with it without claiming it again. */
export interface Memory {
  keep(core: Core, delivery: Delivery, step: number, shown: boolean): void;
  forget(core: Core, deliveryId: string | undefined): void;
  /** What was under way when the last page went away goes on here; of several tabs in one. */
  resume(core: Core, stage: Taking): void;
  /** Runs `work` in one tab at a time; `done` lets the next one in. */
  alone(deliveryId: string, signal: AbortSignal, work: (done: () => void) => void): void;
}

/** What the stage lends to a memory. */
export interface Taking {
  readonly entries: Set<Under>;
  /** Until another person is here; ended for good with the stage. */
  signal(): AbortSignal;
  known(delivery: Delivery): boolean;
  enter(delivery: Delivery, given: Partial<Under>): void;
}
interface Under extends Waiting {
  readonly claimed: boolean;
  holdUntil: number;
  done?: () => void;
}

/** The page is on its way out: what is kept now is another page's. */
let away = false;

export const tourMemory: Memory = {
  keep(core, delivery, step, shown) {
    if (away || !delivery.delivery_id) return;
    const kept: Kept = { delivery, step, shown, at: Date.now(), by: visitor(core) };
    core.store.set(key(delivery.delivery_id), JSON.stringify(kept));
  },
  forget(core, deliveryId) {
    if (deliveryId) core.store.remove(key(deliveryId));
  },
  resume(core, stage) {
    const { entries, signal, known, enter } = stage;
    const take = (): void => {
      for (const name of core.store.keys("tour.")) {
        tourMemory.alone(name.slice(5), signal(), (done) => {
          const kept = recall(core, name);
          if (!kept || known(kept.delivery)) return done();
          enter(kept.delivery, { ...kept, claimed: true, holdUntil: Date.now() + HOLD, done });
        });
      }
    };
    // Of a page that goes into the back/forward cache the next one takes it; and when that page comes back, it takes it again.
    // Before a tour hears of it, so that what leaves the screen is not shown again.
    addEventListener("pagehide", ({ persisted }) => {
      away = true;
      for (const entry of entries) {
        const { claimed, delivery, done, shown, step } = entry;
        const travels = delivery.delivery_id && claimed && shown && navigator.onLine && TRAVELS.test(JSON.stringify(delivery.content));
        if (travels) {
          tourMemory.forget(core, delivery.delivery_id);
          void release(core, delivery.delivery_id, { step });
        }
        if (travels || (persisted && done)) {
          entries.delete(entry);
          done?.();
        }
      }
    });
    addEventListener("pageshow", ({ persisted }) => {
      away = false;
      if (persisted && !signal().aborted) take();
    });
    take();
  },
  /** By a Web Lock: the browser hands over when the tab closes or crashes. Where there are none (pages without https)
   * every tab runs it. */
  alone(deliveryId, signal, work) {
    const run = (): Promise<void> => new Promise((done) => (signal.addEventListener("abort", () => done()), work(done)));
    if (navigator.locks) navigator.locks.request("engage." + deliveryId, { signal }, run).catch(() => {});
    else void run();
  },
};

function recall(core: Core, name: string): Kept | undefined {
  try {
    const kept = JSON.parse(core.store.get(name)!) as Kept;
    if (key(kept.delivery.delivery_id!) === name && kept.at > Date.now() - FORGET_AFTER && (kept.by ?? visitor(core)) === visitor(core)) return kept;
  } catch {
    // not ours, or of another release
  }
  core.store.remove(name);
  return undefined;
}

function visitor(core: Core): string {
  return core.person().anonymousId!;
}

function key(deliveryId: string): string {
  return "tour." + deliveryId;
}
