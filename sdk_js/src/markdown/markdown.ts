import { el } from "../ui/dom";
import { inline } from "./inline";

export * from "../shared";

const MAX_LENGTH = 200_000;
const MAX_DEPTH = 8;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)(?:\s+#+)?\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|(\d{1,9})[.)])(\s+|$)/;
const BLANK = /^\s*$/;

/** Markdown as DOM nodes. HTML in it is text. */
export function markdown(source: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks(source.slice(0, MAX_LENGTH).replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), 0));
  return fragment;
}

function blocks(lines: string[], depth: number): Node[] {
  const nodes: Node[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    const found = BLANK.test(line) ? undefined : (fenced(lines, at) ?? nested(lines, at, depth) ?? single(line) ?? paragraph(lines, at));
    if (found) nodes.push(found.node);
    at += found?.length ?? 1;
  }
  return nodes;
}

interface Block {
  node: Node;
  /** Lines. */
  length: number;
}

function fenced(lines: string[], start: number): Block | undefined {
  const open = FENCE.exec(lines[start]!);
  if (!open) return undefined;
  let end = start + 1;
  const close = new RegExp(`^ {0,3}${open[1]![0]}{${open[1]!.length},}\\s*$`);
  while (end < lines.length && !close.test(lines[end]!)) end++;
  return { node: el("pre", {}, el("code", {}, lines.slice(start + 1, end).join("\n"))), length: end - start + 1 };
}

function single(line: string): Block | undefined {
  const heading = HEADING.exec(line);
  if (heading) return { node: el(`h${heading[1]!.length}` as "h1", {}, ...inline(heading[2]!)), length: 1 };
  return RULE.test(line) ? { node: el("hr"), length: 1 } : undefined;
}

function nested(lines: string[], start: number, depth: number): Block | undefined {
  if (depth >= MAX_DEPTH) return undefined;
  if (QUOTE.test(lines[start]!)) return quote(lines, start, depth);
  return ITEM.test(lines[start]!) && !RULE.test(lines[start]!) ? list(lines, start, depth) : undefined;
}

function quote(lines: string[], start: number, depth: number): Block {
  let end = start;
  while (end < lines.length && QUOTE.test(lines[end]!)) end++;
  return { node: el("blockquote", {}, ...blocks(lines.slice(start, end).map((line) => line.replace(QUOTE, "")), depth + 1)), length: end - start };
}

function list(lines: string[], start: number, depth: number): Block {
  const first = ITEM.exec(lines[start]!)!;
  const ordered = !!first[3];
  const items: Node[] = [];
  let at = start;
  for (let found: RegExpExecArray | null; at < lines.length && (found = ITEM.exec(lines[at]!)) && !!found[3] === ordered && !RULE.test(lines[at]!); ) {
    const indent = found[0].length - (found[4]!.length > 4 ? found[4]!.length - 1 : 0);
    const body = [lines[at]!.slice(indent)];
    for (at++; at < lines.length; at++) {
      const line = lines[at]!;
      const inside = line.startsWith(" ".repeat(Math.min(indent, 2)));
      if (BLANK.test(line) ? !continues(lines[at + 1], indent) : !inside && (ITEM.test(line) || starts(line) || BLANK.test(lines[at - 1]!))) break;
      body.push(line.replace(new RegExp(`^ {0,${indent}}`), ""));
    }
    items.push(el("li", {}, ...tight(blocks(body, depth + 1))));
    while (at < lines.length && BLANK.test(lines[at]!) && ITEM.test(lines[at + 1] ?? "")) at++;
  }
  const node = ordered ? el("ol", first[3] === "1" ? {} : { start: String(+first[3]!) }, ...items) : el("ul", {}, ...items);
  return { node, length: at - start };
}

function continues(line: string | undefined, indent: number): boolean {
  return line !== undefined && !BLANK.test(line) && line.startsWith(" ".repeat(Math.min(indent, 2)));
}

/** An item of one paragraph is shown without the paragraph's spacing. */
function tight(nodes: Node[]): Node[] {
  const [first, ...rest] = nodes;
  return first instanceof HTMLParagraphElement ? [...first.childNodes, ...rest] : nodes;
}

/** Whether a line begins something that ends a paragraph. */
function starts(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line);
}

function paragraph(lines: string[], start: number): Block {
  let end = start + 1;
  while (end < lines.length && !BLANK.test(lines[end]!) && !starts(lines[end]!) && !ITEM.test(lines[end]!)) end++;
  const body = lines.slice(start, end).map((line) => line.replace(/^\s+/, "")).join("\n").replace(/\s+$/, "");
  return { node: el("p", {}, ...inline(body)), length: end - start };
}
