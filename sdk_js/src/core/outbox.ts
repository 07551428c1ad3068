import type { Store } from "../types";
import { uuid } from "./uuid";
import { warn } from "./warn";

export const MAX_EVENTS = 1000;
export const MAX_CHARS = 400_000;
/** A queue not written for this long belongs to a page that is gone. ms */
export const ORPHAN_AFTER = 60_000;

export interface Outbox {
  add(event: string): void;
  /** Takes the oldest events, at most `bytes` of UTF-8 and `count`; they stay stored until `settle`. */
  take(bytes: number, count: number): string[];
  /** What became of the events taken: done with, or to be sent again. */
  settle(done: boolean): void;
  /** What `take` would take. */
  waiting(bytes: number, count: number): string[];
  /** Takes over what closed pages left; their events are older and go first. */
  adopt(): void;
  /** The page is going away, and the next one may take over at once; or it has come back. */
  leave(leaving: boolean): void;
  /** Forgets what waits; the store is erased by its owner. */
  erase(): void;
}

/**
 * Events on their way out, oldest first. Every page keeps its own stored queue (a line with the time of writing, then an
 * event a line), so two tabs never write the same key. A page that starts adopts the queues of pages that left: it
 * writes them to its own key before it removes theirs. If two pages adopt one queue, the events go out twice with the
 * same messageId, which the service counts once; they cannot be lost.
 */
export function createOutbox(store: Store): Outbox {
  const key = "queue." + uuid();
  let taken: string[] = [];
  let events: string[] = [];
  let full = false;
  let adding = false;
  let gone = false;

  function save(): boolean | undefined {
    const all = taken.concat(events);
    if (all.length) return store.set(key, (gone ? 0 : Date.now()) + "\n" + all.join("\n"));
    store.remove(key);
    return true;
  }
  function bound(): void {
    let size = events.reduce((sum, event) => sum + event.length, 0);
    let dropped = 0;
    while (events.length > MAX_EVENTS || size > MAX_CHARS) {
      size -= events.shift()!.length;
      dropped++;
    }
    if (dropped && !full) warn("queue full");
    full = dropped > 0;
  }
  function added(): void {
    adding = false;
    bound();
    save();
  }
  return {
    add(event) {
      // Stored once for all that the page adds in one go.
      if (!adding) {
        adding = true;
        queueMicrotask(added);
      }
      events.push(event);
    },
    take(bytes, count) {
      taken = cut(events, bytes, count);
      events = events.slice(taken.length);
      return taken;
    },
    settle(done) {
      if (!done) events = taken.concat(events);
      taken = [];
      save();
    },
    waiting: (bytes, count) => cut(events, bytes, count),
    adopt() {
      const orphans = store.keys("queue.").filter((other) => other !== key && Date.now() - parseInt(store.get(other)!) >= ORPHAN_AFTER);
      if (!orphans.length) return;
      events = orphans.flatMap((orphan) => (store.get(orphan) ?? "").split("\n").slice(1)).concat(events);
      bound();
      if (save()) orphans.forEach((orphan) => store.remove(orphan));
    },
    leave(leaving) {
      gone = leaving;
      save();
    },
    erase() {
      taken = events = [];
    },
  };
}

function cut(events: string[], bytes: number, count: number): string[] {
  let size = 0;
  let n = 0;
  while (n < events.length && n < count && (size += byteLength(events[n]!) + 1) <= bytes) n++;
  return events.slice(0, n);
}

export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length; // a Blob asks another process, and waits for it
}
