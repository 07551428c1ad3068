import { markdown } from "../markdown/markdown";
import type { Core, Delivery, Dict } from "../types";
import { el, icon, CROSS, appear } from "../ui/dom";
import { borrowFocus, cycleTab } from "../ui/focus";
import { labelsFor } from "../ui/labels";
import { enterRoot } from "../ui/root";
import { hitList } from "./hits";
import { ARROW, LENS } from "./icons";
import { articleOf } from "./link";
import { loadArticle, searchArticles } from "./load";
import type { Hit } from "./load";
import css from "./panel.css";
import { LABELS } from "./panel_labels";
import type { Labels } from "./panel_labels";
import { rating } from "./rating";

export * from "../shared";

/** After the last key that was pressed. ms */
const SEARCH_AFTER = 250;

export interface Panel {
  close(): void;
}

export interface Reader {
  /** What the person did: `Article Rated`, `Articles Searched`. */
  report(event: string, properties: Dict): void;
  /** The article is there. */
  read?(): void;
  /** The panel has gone. */
  closed?(): void;
}

/** What the panel shows: an article, or what was found; an empty query finds all there are. */
type View = { readonly article: string } | { readonly query: string };

let opened: Panel | undefined;

/** Opens the help center beside the page, at the article `id`, or at its start when that is empty. One is open at a time. */
export function openPanel(core: Core, id: string, from: Delivery, reader: Reader): Panel {
  opened?.close();
  const labels = labelsFor<Labels>(from, LABELS);
  const root = enterRoot(css, close);
  const trail: View[] = [];
  const rated = new Set<string>();
  let view: View = id ? { article: id } : { query: "" };
  let closed = false;
  let timer = 0;
  let said = "";
  let last: { query: string; hits: Promise<Hit[]> } | undefined;

  const title = el("h1", { id: "panel-title" });
  const body = el("div", { class: "md", onclick: follow });
  const scroll = el("div", { class: "scroll", tabindex: "0" }, title, body);
  const back = el("button", { type: "button", class: "back", "aria-label": labels.back, onclick: goBack }, icon(ARROW));
  const field = el("input", { type: "search", placeholder: labels.search, "aria-label": labels.search, maxlength: "200", enterkeyhint: "search", autocomplete: "off", oninput: typed, onchange: settle });
  const panel = el(
    "section",
    { class: "panel", role: "dialog", "aria-labelledby": "panel-title", tabindex: "-1", onkeydown: key },
    el("div", { class: "top" }, back, el("div", { class: "search", role: "search", onclick: () => field.focus() }, icon(LENS), field), el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: close }, icon(CROSS))),
    scroll,
  );

  function go(to: View): void {
    trail.push(view);
    panel.focus({ preventScroll: true }); // what was pressed goes
    void draw(to);
  }
  function goBack(): void {
    const before = trail.pop();
    if (before) void draw(before);
    panel.focus({ preventScroll: true });
  }
  async function draw(to: View): Promise<void> {
    view = to;
    back.hidden = !trail.length;
    const query = queryOf(to);
    if (field.value.trim() !== query) field.value = query;
    const current = (): boolean => view === to && panel.isConnected;
    const heading = "query" in to ? (query ? labels.results : labels.center) : "";
    fill(heading, labels.language, ...[70, 100, 92, 40].map(skeleton), el("span", { class: "hidden", role: "status" }, labels.loading));
    try {
      if ("query" in to) {
        const hits = await search(query);
        if (current()) fill(heading, labels.language, ...hitList(hits, labels, (article) => go({ article })));
      } else {
        const { title, body, locale } = await loadArticle(core, to.article, core.locale());
        if (!current()) return;
        fill(title, locale, markdown(withoutTitle(body, title)), rated.has(to.article) ? "" : rating(labels, (helped) => rate(to.article, locale, helped)));
        reader.read?.();
      }
    } catch (error) {
      core.emit("error", error);
      if (!current()) return;
      const again = el("button", { type: "button", class: "main", onclick: () => (panel.focus(), void draw(to)) }, labels.again);
      fill(heading, labels.language, el("p", { role: "alert" }, labels.failed), again);
    }
  }
  function fill(heading: string, language: string, ...nodes: (Node | string)[]): void {
    scroll.lang = language;
    title.textContent = heading;
    body.replaceChildren(...nodes);
    scroll.scrollTop = 0;
  }
  function search(query: string): Promise<Hit[]> {
    if (last?.query !== query) {
      last = { query, hits: searchArticles(core, query, core.locale()) };
      last.hits.catch(() => (last = undefined));
    }
    return last.hits;
  }
  function typed(): void {
    clearTimeout(timer);
    timer = setTimeout(look, SEARCH_AFTER);
  }
  /** Shows what is found for the words in the field; without words, what was there before. */
  function look(): void {
    clearTimeout(timer);
    const query = field.value.trim();
    if (queryOf(view) === query) return;
    if ("article" in view) trail.push(view);
    const before = query ? undefined : trail.pop();
    void draw(before ?? { query });
  }
  /** What was looked for, once it is typed to its end. */
  function settle(): void {
    const query = field.value.trim();
    if (!query || query === said) return;
    said = query;
    look();
    search(query).then(({ length }) => reader.report("Articles Searched", { query, results: length }), () => {});
  }
  function rate(article: string, locale: string, helped: boolean): void {
    rated.add(article);
    reader.report("Article Rated", { article, locale, helped });
  }
  /** A link to another article is followed in here. */
  function follow(event: MouseEvent): void {
    const article = articleOf((event.target as Element).closest("a")?.hash ?? "");
    if (!article) return;
    event.preventDefault();
    go({ article });
  }
  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      event.stopPropagation();
      if (root.shadow.activeElement !== field || !field.value) return close();
      field.value = "";
      look();
    } else cycleTab(event, panel);
    const stops = [field, ...body.querySelectorAll<HTMLElement>(".hit")];
    const at = stops.indexOf(root.shadow.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || at < 0) return;
    event.preventDefault();
    stops[(at + step + stops.length) % stops.length]!.focus();
  }
  function close(): void {
    if (closed) return;
    closed = true;
    opened = undefined;
    clearTimeout(timer);
    settle();
    panel.remove();
    root.leave();
    returnFocus();
    reader.closed?.();
  }

  root.shadow.append(panel);
  const returnFocus = borrowFocus(panel);
  appear(panel);
  void draw(view);
  return (opened = { close });
}

/** What stands in the field. */
function queryOf(view: View): string {
  return "query" in view ? view.query : "";
}

function skeleton(width: number): HTMLElement {
  const line = el("div", { class: "skeleton" });
  line.style.width = `${width}%`;
  return line;
}

/** The body's own first heading says the title a second time. */
function withoutTitle(body: string, title: string): string {
  const first = /^\s*#\s+(.+?)\s*\n/.exec(body);
  return first?.[1] === title ? body.slice(first[0].length) : body;
}
