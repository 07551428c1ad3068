import type { Core, Delivery } from "../types";
import { release } from "./claim";
import type { Waiting } from "./kind";

/** A tour that goes on from another page keeps others from the screen for so long, while its element does not come. ms */
const HOLD = 5_000;

/** A step of it is on another host, which has a storage of its own: such a tour goes by way of the service. */
const TRAVELS = /"(path|navigate)":\[?"([^"]*:)?\/\//;

/** ms */
const RELEASE_AGAIN = 5_000;

/** A message left for longer than this is not taken up again. ms */
const FORGET_AFTER = 30 * 24 * 3600_000;

export interface Kept {
  delivery: Delivery;
  step: number;
  /** Whether `Message Shown` was reported. */
  shown: boolean;
  at: number;
  /** It was given back as its page went away; whether the service has heard that is not known. */
  left?: boolean;
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
    if (!away) store(core, { delivery, step, shown });
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
          if (kept?.left) return void makeSure(core, kept, signal()).then(done);
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
          const left = { delivery, step, shown, left: true };
          store(core, left); // the next page here makes sure
          void giveBack(core, left);
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

function store(core: Core, kept: Omit<Kept, "at" | "by">): void {
  const { delivery_id: id } = kept.delivery;
  if (id) core.store.set(key(id), JSON.stringify({ ...kept, at: Date.now(), by: visitor(core) }));
}

/** Whether the service has heard it. */
async function giveBack(core: Core, { delivery, step }: Pick<Kept, "delivery" | "step">): Promise<boolean> {
  const reply = await release(core, delivery.delivery_id!, { step, turn: delivery.turn ?? 0 });
  return !!reply && reply.status < 429;
}

/** Gives it back until the service has heard it. If that was so already, its turn is over, and this takes it from nobody. */
async function makeSure(core: Core, kept: Kept, signal: AbortSignal): Promise<void> {
  const name = key(kept.delivery.delivery_id!);
  while (!(await giveBack(core, kept))) {
    await new Promise((over) => setTimeout(over, RELEASE_AGAIN));
    if (signal.aborted) return;
  }
  if (recall(core, name)?.left) core.store.remove(name); // or it goes on here already
}

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
