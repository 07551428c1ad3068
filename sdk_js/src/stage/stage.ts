import type { Core, Delivery, Dict, KindName, Stage } from "../types";
import { claim, release } from "./claim";
import type { Ending, Kind, Scene, Showing, Waiting, Watch } from "./kind";
import { expired, pathMatches } from "./match";

/** A tour that waits for its next element keeps others from the screen for so long. ms */
const HOLD = 5_000;
const CLAIM_AGAIN = 2_000;
/** What is on the screen for less than this was taken away, not moved. ms */
const BRIEF = 300;

/** One message on its way to the screen. */
export interface Entry extends Waiting {
  claimed: boolean;
  shown: boolean;
  /** Shown wherever the page is: `show` of the API. */
  readonly forced: boolean;
  /** Not shown, and not claimed, earlier. ms */
  notBefore: number;
  /** What has the place it would take; itself, once it has it. */
  behind?: Entry | undefined;
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
  const watches = new Map<Kind["watch"], Watch>();
  let abort = new AbortController();
  /** Tells the browser's other pages what waits in this one, which is looked at: there it does no longer. Whichever is looked
   * at next hears of it anew; where there are no locks all have heard of it. */
  const others = navigator.locks && self.BroadcastChannel && new BroadcastChannel("engage");
  if (others) others.onmessage = ({ data }) => entries.forEach((entry) => entry.claimed || entry.delivery.delivery_id !== data || entries.delete(entry));

  function enter(delivery: Delivery, given: Partial<Entry> = {}): void {
    const entry: Entry = {
      delivery,
      step: 0,
      claimed: !delivery.delivery_id,
      shown: false,
      forced: false,
      bare: false,
      notBefore: 0,
      brief: 0,
      holdUntil: 0,
      again: later,
      report: (event, properties) => report(core, entry, event, properties),
      end: () => finish(entry),
      ...given,
    };
    entries.add(entry);
    pump();
  }
  /** Shows what was claimed, or needs no claim. */
  function begun(delivery: Delivery): void {
    enter(delivery, { forced: true, claimed: true });
  }
  function drop(entry: Entry): void {
    entries.delete(entry);
    if (entry.delivery.delivery_id) finished.add(entry.delivery.delivery_id);
    entry.done?.();
  }
  function finish(entry: Entry): void {
    loaded.get(entry.delivery.kind)?.memory?.forget(core, entry.delivery.delivery_id);
    drop(entry);
  }
  /** Whether it has been here; if it waits, what is told of it now counts. */
  function known({ delivery_id: id, not_before }: Delivery): boolean {
    if (!id) return false;
    const found = [...entries].find((entry) => entry.delivery.delivery_id === id);
    if (found && !found.claimed) found.notBefore = Date.parse(not_before!) || 0;
    return !!found || finished.has(id);
  }
  function laneOf(kind: Kind, { delivery }: Entry): Lane {
    const name = kind.interrupts ? "" : delivery.kind;
    if (!lanes.has(name)) lanes.set(name, {});
    return lanes.get(name)!;
  }
  function later(ms: number): void {
    const { signal } = abort;
    setTimeout(() => signal.aborted || pump(), ms);
  }

  /** Looks at all that waits, the most important first, and begins what can be shown. */
  function pump(): void {
    queueMicrotask(() => core.emit("looked", entries));
    if (document.hidden) return;
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
      if (kind.own?.(core, entry, begun)) {
        entries.delete(entry);
        continue;
      }
      const place = laneOf(kind, entry);
      entry.behind = place.entry;
      if (place.entry || closed.has(place) || !valid(kind, entry)) continue;
      if (ready(kind, entry)) {
        place.entry = entry.behind = entry;
        void begin(kind, entry, place);
      } else {
        waiting = true;
        if (entry.holdUntil > now) closed.add(place);
        if (!entry.forced) kind.late?.(entry);
      }
    }
    watches.forEach((watch) => watch.set(waiting));
  }
  function load(name: KindName): void {
    if (loaded.has(name)) return;
    loaded.set(name, undefined);
    core.load(name).then(
      ({ kind }) => {
        loaded.set(name, kind);
        if (kind.watch && !watches.has(kind.watch)) watches.set(kind.watch, kind.watch(pump));
        kind.memory?.resume(core, { entries, signal: () => abort.signal, known, enter });
        kind.resume?.(core, enter);
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
    finish(entry);
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
      if (answer === "won") {
        entries.add(entry); // another page may have taken it for its own meanwhile
        entry.claimed = true;
        entry.shown = !!delivery.shown;
      }
      if (answer === "lost") entries.delete(entry); // it may come again
      if (answer === "later") {
        entry.notBefore = Date.now() + CLAIM_AGAIN;
        later(CLAIM_AGAIN);
      }
    }
    // The page may have changed while the claim was on its way.
    if (entry.claimed) {
      if (!document.hidden && ready(kind, entry)) return perform(kind, entry, place);
      await giveBack(entry);
    }
    free(place, entry);
  }
  async function giveBack(entry: Entry): Promise<void> {
    const id = entry.delivery.delivery_id;
    if (!id || entry.shown) return;
    entry.claimed = false;
    await release(core, id);
  }
  function ready(kind: Kind, { bare, delivery, step }: Entry): boolean {
    return bare || kind.ready(delivery, step);
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
    const began = Date.now();
    let over = false;
    const remember = (): void => {
      memory?.keep(core, delivery, entry.step, entry.shown);
    };
    const scene: Scene = {
      core,
      delivery,
      get step() {
        return entry.step;
      },
      bare: entry.bare,
      report(event, properties) {
        announce(); // it comes before what was done with it
        report(core, entry, event, properties);
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
          entry.from = location.href;
          scene.keep(step);
          entry.holdUntil = Date.now() + HOLD;
          later(HOLD);
        } else {
          finish(entry);
          if (how === "snoozed") finished.delete(id!);
          if (how !== "closed") scene.report("Message " + how[0]!.toUpperCase() + how.slice(1));
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
    entry.bare = false;
    delete entry.since;
    try {
      if (id && !entry.done) memory?.alone(id, abort.signal, (done) => (entry.done = done));
      remember();
      const showing = kind.show(scene);
      if (over) return showing.close();
      place.showing = showing;
      if (id && delivery.snooze) void import("./snooze").then(({ offer }) => over || offer(scene, showing));
    } catch (error) {
      finish(entry);
      void giveBack(entry);
      core.emit("error", error);
      return free(place, entry);
    }
    announce();
  }

  function clear(): void {
    abort.abort();
    entries.clear();
    lanes.forEach(({ showing }) => showing?.close());
    lanes.clear();
    loaded.forEach((kind) => kind?.clear?.());
    watches.forEach((watch) => watch.set(false));
  }

  document.addEventListener("visibilitychange", pump);
  core.on("look", pump);
  return {
    add(delivery) {
      if (document.hasFocus()) others?.postMessage(delivery.delivery_id);
      if (known(delivery)) return;
      const notBefore = Date.parse(delivery.not_before!) || 0;
      if (notBefore) later(notBefore - Date.now());
      core.emit("message", delivery);
      enter(delivery, { notBefore, step: delivery.step ?? 0 });
    },
    show(delivery) {
      if (!known(delivery)) enter(delivery, { forced: true });
    },
    resume: load,
    moved() {
      lanes.forEach(({ showing }) => showing?.moved?.());
      loaded.forEach((kind) => kind?.moved?.());
      pump();
    },
    clear() {
      clear();
      abort = new AbortController();
      finished.clear();
    },
    stop() {
      others?.close();
      document.removeEventListener("visibilitychange", pump);
      core.off("look", pump);
      clear();
    },
  };
}

/** Tells the service what was done with a message, and the page's listeners: of `Message Shown` as `shown`. */
export function report(core: Core, { delivery, step }: Pick<Waiting, "delivery" | "step">, event: string, properties?: Dict): void {
  const { delivery_id, rule_id, message_id, kind, variant = null } = delivery;
  const all = { delivery_id, rule_id, message_id, kind, variant, step: step + 1, ...properties };
  if (delivery_id) core.track(event, all);
  const [, name] = /^(?:Message|Survey) (.*)/.exec(event) ?? [];
  if (name) core.emit(name.toLowerCase(), all);
}

/** What is under way before what is new; then by priority, then by arrival. */
function byImportance(a: Entry, b: Entry): number {
  const priority = (entry: Entry): number => (entry.shown || entry.delivery.shown ? Infinity : (entry.delivery.priority ?? 0));
  return priority(b) - priority(a);
}
