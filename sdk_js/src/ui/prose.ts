import { plainInline } from "../markdown/plain";
import { el } from "./dom";

/** Anything beyond paragraphs: headings, lists, quotes, rules, fenced code. */
const BLOCKS = /^\s*(#{1,6}\s|>|```|~~~|[-*+]\s|\d+[.)]\s|([-*_])(\s*\2){2,}\s*$)/m;

/** Markdown of a message. Nearly always it is a paragraph or two of plain words; the parser for the rest is loaded when
 * it is needed, and fills the element a moment later. */
export function prose(source: string): HTMLElement {
  const node = el("div", { class: "md" });
  const paragraphs = BLOCKS.test(source) ? [undefined] : source.trim().split(/\n\s*\n/).map(plainInline);
  if (paragraphs.every((words) => words)) node.append(...paragraphs.map((words) => el("p", {}, ...words!)));
  else void import("../markdown/markdown").then(({ markdown }) => node.append(markdown(source)), () => node.append(source));
  return node;
}
