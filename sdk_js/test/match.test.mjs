import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { expired, pathMatches } = await load("stage/match.ts");

for (const [patterns, path, fits] of [
  [undefined, "/x", true],
  [null, "/x", true],
  [[], "/x", true],
  ["/pricing", "/pricing", true],
  ["/pricing", "/pricing/team", false],
  ["/pricing*", "/pricing/team", true],
  ["/a/*/c", "/a/b/c", true],
  ["/a/*/c", "/a/b/d", false],
  ["/a.b", "/axb", false],
  ["*", "/anything", true],
  [["/one", "/two*"], "/two/2", true],
  [["/one", "/two*"], "/three", false],
  ["https://app.example.com/x", "/x", true],
  ["https://app.example.com/*", "/x/y", true],
  ["https://docs.example.com/*", "/x", false],
  ["https://*.example.com/x", "/x", true],
  ["https://app.example.com/x", "/xy", false],
]) {
  test(`${JSON.stringify(patterns)} ${fits ? "fits" : "does not fit"} ${path}`, () => {
    assert.equal(pathMatches(patterns, { origin: "https://app.example.com", pathname: path }), fits);
  });
}

test("a delivery expires at its time", () => {
  const delivery = { expires_at: "2026-12-01T00:00:00.000Z" };
  const at = Date.parse(delivery.expires_at);
  assert.equal(expired(delivery, at - 1), false);
  assert.equal(expired(delivery, at), true);
  assert.equal(expired({ expires_at: null }, at), false);
});
