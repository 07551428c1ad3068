// The short parser of inline Markdown gives what the whole one gives, or leaves it to it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

/** As much of a document as makes nodes: what is built is compared as text. */
class Node {
  constructor(tag, text = "") {
    Object.assign(this, { tag, text, attributes: {}, children: [] });
  }
  setAttribute(name, value) {
    if (name !== "part") this.attributes[name] = value; // for themes: every element has it
  }
  append(...children) {
    this.children.push(...children.map((child) => (typeof child === "string" ? new Node("", child) : child)));
  }
  toString() {
    return this.tag ? `<${this.tag} ${JSON.stringify(this.attributes)}>${this.children.join("")}</${this.tag}>` : this.text;
  }
}
Object.assign(globalThis, {
  Node,
  document: { createElement: (tag) => new Node(tag), createTextNode: (text) => new Node("", text) },
  location: new URL("https://shop.example/pricing"),
});
const { plainInline } = await load("markdown/plain.ts");
const { inline } = await load("markdown/inline.ts");

/** Numbers from a seed: a failure can be had again. */
function random(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

test("whatever the short parser takes, the whole one reads the same", () => {
  const pieces = ["a", "b ", " ", "é", "日本", "*", "**", "***", "_", "`", "``", "\\", "\\*", "[", "]", "(", ")", "[a](/b)", "](", "!", "![", "<", ">", "\n", "  \n", "https://x.example", ".", "<https://x.example>", "**b**", "*i*", "`c`", "javascript:x"];
  const next = random(7);
  let taken = 0;
  for (let round = 0; round < 200_000; round++) {
    const source = Array.from({ length: 1 + Math.floor(next() * 9) }, () => pieces[Math.floor(next() * pieces.length)]).join("");
    const short = plainInline(source);
    if (!short) continue;
    taken++;
    assert.equal(short.join(""), inline(source).join(""), JSON.stringify(source));
  }
  assert.ok(taken > 20_000, `taken ${taken}`);
});

test("it takes what messages are written in, and leaves the rest", () => {
  assert.equal(String(plainInline("Reports are **here**, *really*: `go` to [plans](/p) \\*now\\*.").join("")), 'Reports are <strong {}>here</strong>, <em {}>really</em>: <code {}>go</code> to <a {"href":"https://shop.example/p"}>plans</a> *now*.');
  assert.match(plainInline("[x](javascript:alert(1))")?.join("") ?? "left", /left|span/);
  for (const more of ["![p](/p.png)", "a  \nb", "<https://x.example>", "**a *b* c**", "_a_", "`` a ` b ``"]) assert.equal(plainInline(more), undefined, more);
});

test("emphasis next to Japanese, Chinese or Korean, where no space is, needs no other parser", () => {
  const strong = (words) => `<strong {}>${words}</strong>`;
  for (const [source, read] of [
    ["**すべて**が", strong("すべて") + "が"],
    ["これは**「重要」**です。", `これは${strong("「重要」")}です。`],
    ["**注意:**必ず", strong("注意:") + "必ず"],
    ["料金は**1,000円**から、*月額*です", `料金は${strong("1,000円")}から、<em {}>月額</em>です`],
    ["**中文**，**한국어**는", `${strong("中文")}，${strong("한국어")}는`],
  ]) {
    assert.equal(plainInline(source)?.join(""), read);
    assert.equal(inline(source).join(""), read);
  }
  assert.equal(inline("売上_合計_円").join(""), "売上_合計_円"); // as everywhere: within a word an underscore is one
});
