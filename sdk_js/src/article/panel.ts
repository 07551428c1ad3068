import { markdown } from "../markdown/markdown";
import type { Core, Delivery } from "../types";
import { el, icon, CROSS, appear } from "../ui/dom";
import { borrowFocus, cycleTab } from "../ui/focus";
import { labelsFor } from "../ui/labels";
import { enterRoot } from "../ui/root";
import { BOOK } from "./icons";
import { loadArticle } from "./load";
import css from "./panel.css";
import { LABELS } from "./panel_labels";
import type { Labels } from "./panel_labels";

export * from "../shared";

export interface Panel {
  close(): void;
}

/** Opens an article beside the page. `read` once it is there, `closed` when it has gone. */
export function openPanel(core: Core, id: string, from: Delivery, on: { read?: () => void; closed?: () => void }): Panel {
  const labels = labelsFor<Labels>(from, LABELS);
  const root = enterRoot(css, close);
  let closed = false;
  const title = el("h1", { id: "panel-title" });
  const body = el("div", { class: "md" });
  const scroll = el("div", { class: "scroll", tabindex: "0" }, title, body);
  const panel = el(
    "section",
    { class: "panel", role: "dialog", "aria-labelledby": "panel-title", tabindex: "-1", onkeydown: key },
    el(
      "header",
      {},
      el("span", { class: "eyebrow" }, icon(BOOK), labels.article),
      el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: close }, icon(CROSS)),
    ),
    scroll,
  );

  async function load(): Promise<void> {
    title.textContent = "";
    body.replaceChildren(...[70, 100, 92, 40].map((width) => skeleton(width)), el("span", { class: "hidden", role: "status" }, labels.loading));
    try {
      const article = await loadArticle(core, id, core.locale());
      if (!panel.isConnected) return;
      panel.lang = article.locale;
      title.textContent = article.title;
      body.replaceChildren(markdown(withoutTitle(article.body, article.title)));
      on.read?.();
    } catch (error) {
      core.emit("error", error);
      const again = el("button", { type: "button", class: "main", onclick: () => (panel.focus(), void load()) }, labels.again);
      body.replaceChildren(el("p", { role: "alert" }, labels.failed), again);
    }
  }
  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
    } else cycleTab(event, panel);
  }
  function close(): void {
    if (closed) return;
    closed = true;
    panel.remove();
    root.leave();
    returnFocus();
    on.closed?.();
  }

  root.shadow.append(panel);
  const returnFocus = borrowFocus(panel);
  appear(panel);
  void load();
  return { close };
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
