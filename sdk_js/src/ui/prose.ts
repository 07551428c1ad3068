import { inline } from "../markdown/inline";
import { el } from "./dom";

/** Anything beyond paragraphs: headings, lists, quotes, rules, fenced code. */
const BLOCKS = /^\s*(#{1,6}\s|>|```|~~~|[-*+]\s|\d+[.)]\s|([-*_])(\s*\2){2,}\s*$)/m;

/** Markdown of a message. Nearly always it is a paragraph or two; the parser for the rest is loaded when it is needed,
 * and fills the element a moment later. */
export function prose(source: string): HTMLElement {
  const node = el("div", { class: "md" });
  if (BLOCKS.test(source)) void import("../markdown/markdown").then(({ markdown }) => node.append(markdown(source)), () => node.append(source));
  else node.append(...source.trim().split(/\n\s*\n/).map((words) => el("p", {}, ...inline(words))));
  return node;
}
