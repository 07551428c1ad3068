import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { createOutbox, MAX_EVENTS, ORPHAN_AFTER } = await load("core/outbox.ts");

function storage() {
  const map = new Map();
  return {
    map,
    get: (key) => map.get(key),
    set: (key, value) => (map.set(key, value), true),
    remove: (key) => map.delete(key),
    keys: (prefix) => [...map.keys()].filter((key) => key.startsWith(prefix)),
  };
}
const everything = (outbox) => outbox.take(1e9, 1e9);

test("events come out in order, and stay stored until they are settled", async () => {
  const store = storage();
  const outbox = createOutbox(store);
  ["1", "2", "3"].forEach(outbox.add);
  assert.deepEqual(outbox.take(1000, 2), ["1", "2"]);
  outbox.add("4");
  await 0;
  assert.match([...store.map.values()][0], /\n1\n2\n3\n4$/);
  outbox.settle(false);
  assert.deepEqual(everything(outbox), ["1", "2", "3", "4"]);
  outbox.settle(true);
  assert.equal(store.map.size, 0);
});

test("a batch keeps within its bytes, counted as UTF-8", () => {
  const outbox = createOutbox(storage());
  ["ああ", "いい", "う"].forEach(outbox.add);
  assert.deepEqual(outbox.take(14, 9), ["ああ", "いい"]);
});

test("what a closed page left goes first, and is taken over once", () => {
  const store = storage();
  const gone = createOutbox(store);
  gone.add("old");
  gone.leave(true);
  const next = createOutbox(store);
  next.add("new");
  next.adopt();
  assert.deepEqual(everything(next), ["old", "new"]);
  assert.equal(store.map.size, 1);
  const third = createOutbox(store);
  third.adopt();
  assert.deepEqual(everything(third), []);
});

test("the queue of a living tab is left alone until it has been silent for long", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1e12 });
  const store = storage();
  createOutbox(store).add("theirs");
  await 0;
  const mine = createOutbox(store);
  mine.adopt();
  assert.deepEqual(everything(mine), []);
  t.mock.timers.setTime(1e12 + ORPHAN_AFTER);
  mine.adopt();
  assert.deepEqual(everything(mine), ["theirs"]);
});

test("beyond the bound the oldest are dropped, with one warning", async (t) => {
  const warn = t.mock.method(console, "warn", () => {});
  const outbox = createOutbox(storage());
  for (let n = 0; n < MAX_EVENTS + 20; n++) outbox.add(String(n));
  await 0;
  const left = everything(outbox);
  assert.equal(left.length, MAX_EVENTS);
  assert.equal(left[0], "20");
  assert.equal(warn.mock.callCount(), 1);
});
