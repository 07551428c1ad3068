// Where links and pictures of a message may lead.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

globalThis.location = new URL("http://shop.example/pricing");
const { safeImage, safeLink } = await load("markdown/url.ts");

const OTHERS = ["http://elsewhere.example/", "//elsewhere.example/", "http://shop.example:81/", "ftp://shop.example/", "javascript:alert(1)", " java\nscript:alert(1)", "data:text/html,x", "blob:http://shop.example/1", "http://[", "", 7, null];

test("a link goes by https, to a mail program, or within the site", () => {
  for (const href of ["https://elsewhere.example/", "mailto:a@b.example", "http://shop.example/plans"]) assert.equal(safeLink(href), href);
  for (const href of ["/plans", "plans", "//shop.example/plans"]) assert.equal(safeLink(href), "http://shop.example/plans");
  for (const href of OTHERS) assert.equal(safeLink(href), undefined, String(href));
});

test("a picture comes by https or from the site", () => {
  assert.equal(safeImage("https://cdn.example/a.png"), "https://cdn.example/a.png");
  assert.equal(safeImage("/a.png"), "http://shop.example/a.png");
  for (const href of [...OTHERS, "mailto:a@b.example"]) assert.equal(safeImage(href), undefined, String(href));
});
