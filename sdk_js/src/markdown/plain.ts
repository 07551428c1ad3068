import { el } from "../ui/dom";
import { safeLink, sameOrigin } from "./url";

/** Words without anything that means something itself; emphasis and links hold these here. */
const WORDS = /([^*_`\\[\]<\s](?:[^*_`\\[\]<]*[^*_`\\[\]<\s])?)/.source;
const TOKEN = new RegExp(
  [
    /\\([!-/:-@[-`{-~])/.source,
    /`([^`\s](?:[^`\n]*[^`\s])?)`(?!`)/.source,
    `\\*\\*${WORDS}\\*\\*(?!\\*)`,
    `\\*${WORDS}\\*(?!\\*)`,
    `\\[${WORDS}\\]${/\(([^\s()<>\\]*)\)/.source}`,
  ].join("|"),
  "g",
);
/** Pictures and line breaks; and, where it is left over, what begins anything else. */
const MORE = /!\[| \n/;
const MARK = /[*_`\\[<]/;

/**
 * The inline Markdown that nearly every message is written in: escapes, code, emphasis, links. What it gives is what
 * `inline` would give; undefined where there is more to it.
 */
export function plainInline(source: string): Node[] | undefined {
  if (MORE.test(source)) return undefined;
  const nodes: Node[] = [];
  let at = 0;
  let words = "";
  const put = (...node: Node[]): void => {
    if (words) nodes.push(document.createTextNode(words));
    nodes.push(...node);
    words = "";
  };
  for (const found of source.matchAll(TOKEN)) {
    const [all, escaped = "", code, strong, em, label, target] = found;
    const between = source.slice(at, found.index);
    if (MARK.test(between)) return undefined;
    words += between + escaped;
    at = found.index! + all.length;
    if (code) put(el("code", {}, code));
    if (strong) put(el("strong", {}, strong));
    if (em) put(el("em", {}, em));
    if (label) put(anchor(target!, label));
  }
  const rest = source.slice(at);
  if (MARK.test(rest)) return undefined;
  words += rest;
  put();
  return nodes;
}

/** A link, or nothing but its words when the address is not one we go to. */
export function anchor(target: string, ...label: (Node | string)[]): Node {
  const href = safeLink(target);
  if (!href) return el("span", {}, ...label);
  return el("a", sameOrigin(href) ? { href } : { href, target: "_blank", rel: "noopener noreferrer" }, ...label);
}
