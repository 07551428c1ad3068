import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { place } = await load("ui/place.ts");
const view = { width: 1000, height: 700 };
const popover = { width: 340, height: 180 };

test("without a target it is in the middle", () => {
  assert.deepEqual(place(undefined, popover, view), { side: "center", left: 330, top: 260, arrow: 0 });
});

test("the asked side is taken when there is room", () => {
  assert.equal(place({ left: 450, top: 300, width: 100, height: 40 }, popover, view, "left").side, "left");
});

test("another side is taken when there is none", () => {
  assert.equal(place({ left: 5, top: 300, width: 100, height: 40 }, popover, view, "left").side, "bottom");
});

test("nothing leaves the viewport, and the arrow still points at the target", () => {
  for (let left = -50; left < 1050; left += 37) {
    for (let top = -50; top < 750; top += 41) {
      const found = place({ left, top, width: 60, height: 30 }, popover, view);
      assert.ok(found.left >= 12 && found.left + popover.width <= view.width - 12, `${left},${top}: ${found.left}`);
      assert.ok(found.top >= 12 && found.top + popover.height <= view.height - 12, `${left},${top}: ${found.top}`);
      assert.ok(found.arrow >= 22);
    }
  }
});

test("the popover does not lie over its target while any side has room", () => {
  for (let left = 20; left < 900; left += 53) {
    for (let top = 20; top < 640; top += 47) {
      const target = { left, top, width: 60, height: 30 };
      const found = place(target, popover, view);
      const apart =
        found.left >= left + 60 || found.left + popover.width <= left || found.top >= top + 30 || found.top + popover.height <= top;
      assert.ok(apart, `${left},${top}: ${JSON.stringify(found)}`);
    }
  }
});
