import { el } from "../ui/dom";
import { anchor } from "./plain";
import { safeImage } from "./url";

const ESCAPABLE = /[!-/:-@[-`{-~]/;
const MAX_DEPTH = 12;

/** The inline part of Markdown: emphasis, code, links, pictures, line breaks, backslash escapes. */
export function inline(source: string, depth = 0): Node[] {
  const nodes: Node[] = [];
  let plain = "";
  let at = 0;
  const put = (node: Node, length: number): void => {
    if (plain) nodes.push(document.createTextNode(plain));
    plain = "";
    nodes.push(node);
    at += length;
  };
  while (at < source.length) {
    const rest = source.slice(at);
    const found = depth < MAX_DEPTH ? span(rest, depth, source[at - 1]) : undefined;
    if (found) put(found.node, found.length);
    else if (rest[0] === "\\" && rest[1] && ESCAPABLE.test(rest[1])) {
      plain += rest[1];
      at += 2;
    } else {
      plain += rest[0];
      at++;
    }
  }
  if (plain) nodes.push(document.createTextNode(plain));
  return nodes;
}

interface Span {
  node: Node;
  length: number;
}

function span(rest: string, depth: number, before: string | undefined): Span | undefined {
  switch (rest[0]) {
    case "\\":
      return rest[1] === "\n" ? { node: el("br"), length: 2 } : undefined;
    case " ": {
      const spaces = /^ {2,}\n/.exec(rest);
      return spaces ? { node: el("br"), length: spaces[0].length } : undefined;
    }
    case "`":
      return code(rest);
    case "*":
    case "_":
      return emphasis(rest, depth, before);
    case "!":
      return rest[1] === "[" ? picture(rest) : undefined;
    case "[":
      return link(rest, depth);
    case "<":
      return address(rest);
    default:
      return undefined;
  }
}

function code(rest: string): Span | undefined {
  const fence = /^`+/.exec(rest)![0];
  const body = new RegExp(`^${fence}(?!\`)([^]*?[^\`])${fence}(?!\`)`).exec(rest);
  return body ? { node: el("code", {}, body[1]!.replace(/\n/g, " ").replace(/^ (.*\S.*) $/, "$1")), length: body[0].length } : undefined;
}

function emphasis(rest: string, depth: number, before: string | undefined): Span | undefined {
  const mark = rest[0]!;
  // snake_case is no emphasis
  if (mark === "_" && before && /[\p{L}\p{N}]/u.test(before)) return undefined;
  for (const size of rest[1] === mark ? [2, 1] : [1]) {
    const end = closing(rest, mark.repeat(size));
    if (end < 0) continue;
    return { node: el(size === 2 ? "strong" : "em", {}, ...inline(rest.slice(size, end), depth + 1)), length: end + size };
  }
  return undefined;
}

/** Where the emphasis that begins `rest` ends; -1 when it does not. Escapes and code are stepped over. */
function closing(rest: string, mark: string): number {
  if (/\s/.test(rest[mark.length] ?? " ")) return -1;
  for (let at = mark.length; at < rest.length; at++) {
    if (rest[at] === "\\") at++;
    else if (rest[at] === "`") at += (code(rest.slice(at))?.length ?? 1) - 1;
    else if (rest.slice(at, at + mark.length) === mark && !/\s/.test(rest[at - 1]!) && at > mark.length) {
      const run = /^(.)\1*/.exec(rest.slice(at))![0].length;
      const word = mark[0] === "_" && /[\p{L}\p{N}]/u.test(rest[at + run] ?? " ");
      if (run !== mark.length && !(run === 3)) at += run - 1;
      else if (!word) return at + run - mark.length;
    }
  }
  return -1;
}

const TITLE = String.raw`(?:\s+(?:"[^"]*"|'[^']*'))?`;
const TARGET = new RegExp(String.raw`^\(\s*(?:<([^<>\n]*)>|((?:\\.|[^\s()\\]|\([^\s()]*\))*))${TITLE}\s*\)`);

/** `[label](address)`: how long the label is, with its brackets, and the rest. */
function bracket(rest: string): { label: string; target: string; length: number } | undefined {
  let level = 0;
  for (let at = 0; at < rest.length; at++) {
    if (rest[at] === "\\") at++;
    else if (rest[at] === "[") level++;
    else if (rest[at] === "]" && !--level) {
      const found = TARGET.exec(rest.slice(at + 1));
      if (!found) return undefined;
      const target = (found[1] ?? found[2] ?? "").replace(/\\([!-/:-@[-`{-~])/g, "$1");
      return { label: rest.slice(1, at), target, length: at + 1 + found[0].length };
    }
  }
  return undefined;
}

function link(rest: string, depth: number): Span | undefined {
  const found = bracket(rest);
  return found && { node: anchor(found.target, ...inline(found.label, depth + 1)), length: found.length };
}

function picture(rest: string): Span | undefined {
  const found = bracket(rest.slice(1));
  if (!found) return undefined;
  const src = safeImage(found.target);
  const alt = found.label.replace(/\\(.)/g, "$1");
  return { node: src ? el("img", { src, alt, loading: "lazy", referrerpolicy: "no-referrer" }) : document.createTextNode(alt), length: found.length + 1 };
}

function address(rest: string): Span | undefined {
  const found = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i.exec(rest);
  return found ? { node: anchor(found[1]!, found[1]!.replace(/^mailto:/i, "")), length: found[0].length } : undefined;
}
