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
  ["/a*b*b", "/ab", false],
  ["/a*ab", "/ab", false],
  ["/a**b", "/ab", true],
  ["*/x", "/x/x", true],
  ["/x*", "/y/x", false],
  ["https://*", "/x", true],
  ["*://app.example.com/*", "/x", true],
  ["https://app.example.com", "/", false],
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

for (const pattern of ["*-".repeat(5000) + "x", "*".repeat(10_000) + "x", "/" + "a*".repeat(40) + "x"]) {
  test(`${pattern.length} characters are looked at in no time: ${pattern.slice(0, 6)}…`, () => {
    const began = performance.now();
    assert.equal(pathMatches(pattern, { origin: "https://app.example.com", pathname: "/" + "a-".repeat(1000) }), false);
    assert.ok(performance.now() - began < 100);
  });
}

test("a delivery expires at its time", () => {
  const delivery = { expires_at: "2026-12-01T00:00:00.000Z" };
  const at = Date.parse(delivery.expires_at);
  assert.equal(expired(delivery, at - 1), false);
  assert.equal(expired(delivery, at), true);
  assert.equal(expired({ expires_at: null }, at), false);
});
