import type { Kind, Scene, Showing, Waiting } from "../stage/kind";
import type { Core } from "../types";
import { el, icon, CROSS, appear, text } from "../ui/dom";
import { labelsFor, languageOf } from "../ui/labels";
import { enterRoot } from "../ui/root";
import { prose } from "../ui/prose";
import css from "./article.css";
import { ARROW, BOOK } from "./icons";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import { articleOf } from "./link";
import type { Panel } from "./panel";

export * from "../shared";

export const kind: Kind = {
  interrupts: false,
  problem: ({ content }) => (text(content.article) ? undefined : "expected content.article to be the id of an article"),
  ready: () => true,
  show: showArticle,
  own: openHelp,
};

/** Not from a rule but asked for, by a link or by the page: the help center opens at once. */
function openHelp(core: Core, { delivery }: Waiting): boolean {
  const { content, delivery_id } = delivery;
  if (delivery_id || !(content.open || articleOf(location.hash))) return false;
  const closed = (): void => {
    // So that the same link opens it again.
    if (articleOf(location.hash)) history.replaceState(history.state, "", location.pathname + location.search);
  };
  const from = { ...delivery, locale: delivery.locale ?? core.locale() };
  import("./panel").then(({ openPanel }) => openPanel(core, text(content.article), from, { report: core.track, closed }), (error) => core.emit("error", error));
  return true;
}

/** A suggestion in the corner; read in place. */
function showArticle(scene: Scene): Showing {
  const { core, delivery } = scene;
  const { content } = delivery;
  const labels = labelsFor<Labels>(delivery, LABELS);
  const root = enterRoot(css, () => finish(panel ? "dismissed" : "parked"));
  let panel: Panel | undefined;
  let read = false;

  const card = el(
    "aside",
    { class: "card suggestion", role: "complementary", lang: languageOf(delivery), dir: "auto", "aria-label": labels.article, onkeydown: key },
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: () => finish("dismissed") }, icon(CROSS)),
    el("div", { class: "eyebrow" }, icon(BOOK), labels.article),
    el(
      "div",
      { role: "status" },
      text(content.title) ? el("h2", {}, text(content.title)) : undefined,
      text(content.text) ? prose(text(content.text)) : undefined,
    ),
    el("button", { type: "button", class: "main", onclick: open }, labels.read, icon(ARROW)),
  );

  async function open(): Promise<void> {
    const { openPanel } = await import("./panel");
    if (!card.isConnected) return;
    scene.report("Message Clicked", { article: text(content.article) });
    card.remove();
    panel = openPanel(core, text(content.article), delivery, { report: scene.report, read: () => (read = true), closed: () => finish(read ? "completed" : "dismissed") });
  }
  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") finish("dismissed");
  }
  function finish(how: "completed" | "dismissed" | "parked"): void {
    close();
    scene.end(how);
  }
  function close(): void {
    card.replaceWith(); // it may be out already, and then Prototype's `remove` throws
    const opened = panel;
    panel = undefined;
    opened?.close();
    root.leave();
  }

  root.dock.append(card);
  appear(card);
  return { box: card, close };
}
