import type { Core, Delivery, KindName, Stage } from "../types";
import { claim, release } from "./claim";
import type { Ending, Kind, Scene, Showing } from "./kind";
import { expired, pathMatches } from "./match";
import type { Memory } from "./memory";
import { createWatch } from "./watch";

/** A tour that waits for its next element keeps others from the screen for so long. ms */
const HOLD = 5_000;
const CLAIM_AGAIN = 2_000;
/** What is on the screen for less than this was taken away, not moved. ms */
const BRIEF = 300;

/** One message on its way to the screen. */
interface Entry {
  readonly delivery: Delivery;
  readonly arrived: number;
  step: number;
  claimed: boolean;
  shown: boolean;
  /** Shown wherever the page is: `show` of the API. */
  readonly forced: boolean;
  notBefore: number;
  /** How often the page has taken it away right after it was shown. */
  brief: number;
  holdUntil: number;
  /** Lets another tab have it. */
  done?: () => void;
}

interface Lane {
  entry?: Entry;
  showing?: Showing;
}

/** Decides what is on the screen: waits until a message can be shown, claims it, shows it, reports it. */
export function createStage(core: Core): Stage {
  const entries = new Set<Entry>();
  const finished = new Set<string>();
  const loaded = new Map<KindName, Kind | undefined>();
  const lanes = new Map<string, Lane>();
  const timers = new Set<number>();
  const watch = createWatch(pump);
  let abort = new AbortController();
  let count = 0;

  function enter(delivery: Delivery, given: Partial<Entry> = {}): Entry {
    const entry = { delivery, arrived: count++, step: 0, claimed: !delivery.delivery_id, shown: false, forced: false, notBefore: 0, brief: 0, holdUntil: 0, ...given };
    entries.add(entry);
    return entry;
  }
  function drop(entry: Entry): void {
    entries.delete(entry);
    if (entry.delivery.delivery_id) finished.add(entry.delivery.delivery_id);
    entry.done?.();
  }
  function known(delivery: Delivery): boolean {
    const id = delivery.delivery_id;
    return !!id && (finished.has(id) || [...entries].some((entry) => entry.delivery.delivery_id === id));
  }
  function laneOf(kind: Kind, { delivery }: Entry): Lane {
    const name = kind.interrupts ? "" : delivery.kind;
    if (!lanes.has(name)) lanes.set(name, {});
    return lanes.get(name)!;
  }
  function later(ms: number): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      pump();
    }, ms);
    timers.add(timer);
  }

  /** Looks at all that waits, the most important first, and begins what can be shown. */
  function pump(): void {
    if (document.visibilityState === "hidden") return;
    const now = Date.now();
    const closed = new Set<Lane>();
    let waiting = false;
    for (const entry of [...entries].sort(byImportance)) {
      const { delivery } = entry;
      if (!entry.claimed && expired(delivery)) drop(entry);
      if (!entries.has(entry) || entry.notBefore > now) continue;
      if (!entry.claimed && !entry.forced && !pathMatches(delivery.show_on?.path)) continue;
      const kind = loaded.get(delivery.kind);
      if (!kind) {
        load(delivery.kind);
        break; // what is less important waits until it is known which lane this one takes
      }
      const place = laneOf(kind, entry);
      if (place.entry || closed.has(place)) {
        continue;
      } else if (!valid(kind, entry)) {
        continue;
      } else if (kind.ready(delivery, entry.step)) {
        place.entry = entry;
        void begin(kind, entry, place);
      } else {
        waiting = true;
        if (entry.holdUntil > now) closed.add(place);
      }
    }
    watch.set(waiting);
  }
  function load(name: KindName): void {
    if (loaded.has(name)) return;
    loaded.set(name, undefined);
    core.load(name).then(
      ({ kind }) => {
        loaded.set(name, kind);
        if (kind.memory) resume(kind.memory);
        pump();
      },
      (error: unknown) => {
        loaded.delete(name); // the next page, or the next delivery, tries again
        core.emit("error", error);
      },
    );
  }
  function valid(kind: Kind, entry: Entry): boolean {
    const problem = kind.problem(entry.delivery);
    if (!problem) return true;
    drop(entry);
    kind.memory?.forget(core, entry.delivery.delivery_id);
    core.emit("error", new Error(`message ${entry.delivery.message_id ?? ""}: ${problem}`));
    return false;
  }

  async function begin(kind: Kind, entry: Entry, place: Lane): Promise<void> {
    const { delivery } = entry;
    const { signal } = abort;
    const id = delivery.delivery_id;
    if (!entry.claimed && id) {
      const answer = await claim(core, id);
      if (signal.aborted) return void (answer === "won" && release(core, id));
      if (answer === "won") entry.claimed = true;
      if (answer === "lost") drop(entry);
      if (answer === "later") {
        entry.notBefore = Date.now() + CLAIM_AGAIN;
        later(CLAIM_AGAIN);
      }
    }
    // The page may have changed while the claim was on its way.
    if (entry.claimed && !(kind.ready(delivery, entry.step) && document.visibilityState === "visible")) await giveBack(entry);
    else if (entry.claimed) return perform(kind, entry, place);
    free(place, entry);
  }
  async function giveBack(entry: Entry): Promise<void> {
    const id = entry.delivery.delivery_id;
    if (!id || entry.shown) return;
    entry.claimed = false;
    await release(core, id);
  }
  function free(place: Lane, entry: Entry): void {
    if (place.entry !== entry) return;
    delete place.entry;
    delete place.showing;
    pump();
  }

  function perform(kind: Kind, entry: Entry, place: Lane): void {
    const { delivery } = entry;
    const id = delivery.delivery_id;
    const { memory } = kind;
    const about = { delivery_id: id, rule_id: delivery.rule_id, message_id: delivery.message_id, kind: delivery.kind, variant: delivery.variant ?? null };
    const began = Date.now();
    let over = false;
    const remember = (): void => {
      memory?.keep(core, delivery, entry.step, entry.shown);
    };
    const scene: Scene = {
      core,
      delivery,
      step: entry.step,
      report(event, properties) {
        announce(); // it comes before what was done with it
        const all = { ...about, step: entry.step + 1, ...properties };
        if (id) core.track(event, all);
        // `Message Shown` is `shown` for the page's listeners.
        const [, name] = /^(?:Message|Survey) (.*)/.exec(event) ?? [];
        if (name) core.emit(name.toLowerCase(), all);
      },
      keep(step) {
        entry.step = step;
        remember();
      },
      end(how: Ending, step = entry.step) {
        if (over) return;
        over = true;
        // A page that wants it gone has its way.
        if (how === "parked" && Date.now() - began < BRIEF && ++entry.brief > 3) how = "closed";
        if (how === "parked") {
          scene.keep(step);
          entry.holdUntil = Date.now() + HOLD;
          later(HOLD);
        } else {
          memory?.forget(core, id);
          drop(entry);
          if (how !== "closed") scene.report(how === "completed" ? "Message Completed" : "Message Dismissed");
        }
        free(place, entry);
      },
    };
    function announce(): void {
      if (entry.shown) return;
      entry.shown = true;
      remember();
      scene.report("Message Shown");
    }
    try {
      if (id && !entry.done) memory?.alone(id, abort.signal, (done) => (entry.done = done));
      remember();
      const showing = kind.show(scene);
      if (over) return showing.close();
      place.showing = showing;
    } catch (error) {
      drop(entry);
      memory?.forget(core, id);
      void giveBack(entry);
      core.emit("error", error);
      return free(place, entry);
    }
    announce();
  }

  /** What was under way when the last page went away; of several tabs one goes on. */
  function resume(memory: Memory): void {
    for (const id of memory.ids(core)) {
      memory.alone(id, abort.signal, (done) => {
        const kept = memory.recall(core, id);
        if (!kept || known(kept.delivery)) return done();
        enter(kept.delivery, { step: kept.step, shown: kept.shown, claimed: true, holdUntil: Date.now() + HOLD, done });
        pump();
      });
    }
  }
  function clear(): void {
    abort.abort();
    abort = new AbortController();
    timers.forEach((timer) => clearTimeout(timer));
    timers.clear();
    entries.clear();
    const shown = [...lanes.values()];
    lanes.clear();
    for (const { showing } of shown) showing?.close();
    watch.set(false);
  }

  document.addEventListener("visibilitychange", pump);
  return {
    add(delivery) {
      if (known(delivery)) return;
      enter(delivery);
      core.emit("message", delivery);
      pump();
    },
    show(delivery) {
      if (known(delivery)) return;
      enter(delivery, { forced: true });
      pump();
    },
    resume: () => load("tour"),
    moved() {
      for (const { showing } of [...lanes.values()]) showing?.moved?.();
      pump();
    },
    clear() {
      clear();
      finished.clear();
    },
    stop() {
      document.removeEventListener("visibilitychange", pump);
      clear();
    },
  };
}

/** What is under way before what is new; then by priority, then by arrival. */
function byImportance(a: Entry, b: Entry): number {
  const priority = (entry: Entry): number => (entry.shown ? Infinity : (entry.delivery.priority ?? 0));
  return priority(b) - priority(a) || a.arrived - b.arrived;
}
