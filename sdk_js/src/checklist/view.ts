import { safeLink } from "../markdown/url";
import type { Waiting } from "../stage/kind";
import type { Core, Delivery } from "../types";
import { el, icon, CROSS, appear, text } from "../ui/dom";
import { labelsFor, languageOf } from "../ui/labels";
import { prose } from "../ui/prose";
import { enterRoot } from "../ui/root";
import { visit } from "../ui/visit";
import css from "./checklist.css";
import { itemsOf } from "./content";
import type { Item } from "./content";
import { LABELS } from "./labels";
import type { Labels } from "./labels";

const TICK = "M5 12.5l4.5 4.5L19 7.5";

export interface View {
  /** What is done is ticked off. */
  update(done: readonly string[]): void;
  /** It does not belong on this page. */
  away(away: boolean): void;
  close(): void;
}

interface Wishes {
  opened(open: boolean): void;
  begin(delivery: Delivery): void;
  report: Waiting["report"];
  ended(how: "Completed" | "Dismissed"): void;
  gone(): void;
}

/** A launcher with the progress, and the list that it opens. */
export function createView(core: Core, delivery: Delivery, open: boolean, { opened, begin, report, ended, gone }: Wishes): View {
  const { content } = delivery;
  const labels = labelsFor<Labels>(delivery, LABELS);
  const items = itemsOf(delivery);
  let root = enter();
  let done: readonly string[] = [];
  let completed = false;
  let over = false;
  let started = 0;

  const ring = el("span", { class: "ring", "aria-hidden": "true" });
  const count = el("span", { class: "count" });
  const launcher = el(
    "button",
    { type: "button", class: "launcher", onclick: () => toggle(!!list.hidden) },
    ring,
    el("span", {}, text(content.title)),
    count,
  );
  const rows = el("ul");
  const thanks = el("div", { class: "thanks", role: "status" });
  const bar = el("i");
  const list = el(
    "section",
    { class: "card checklist", "aria-label": text(content.title), tabindex: "-1", onkeydown: key },
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: () => toggle(false) }, icon(CROSS)),
    el("h2", {}, text(content.title)),
    text(content.text) ? prose(text(content.text)) : undefined,
    el("div", { class: "bar", "aria-hidden": "true" }, bar),
    rows,
    thanks,
    el("button", { type: "button", class: "quiet", onclick: dismiss }, labels.dismiss),
  );
  const box = el("div", { class: "box", lang: languageOf(delivery), dir: "auto" }, list, launcher);

  function enter(): ReturnType<typeof enterRoot> {
    return enterRoot(css, () => {
      // The page drew its body anew: it stands again, four times a second at most.
      root.leave();
      setTimeout(() => {
        if (!over) (root = enter()).dock.append(box);
      }, 250);
    });
  }
  function toggle(wanted: boolean): void {
    if (completed && !wanted) return close();
    show(wanted);
    opened(wanted);
    (wanted ? list : launcher).focus({ preventScroll: true });
  }
  function show(wanted: boolean): void {
    list.hidden = !wanted;
    launcher.setAttribute("aria-expanded", String(wanted));
  }
  function dismiss(): void {
    close();
    if (!completed) ended("Dismissed");
  }
  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") toggle(false);
  }
  function row(item: Item): HTMLElement {
    const ticked = done.includes(item.id);
    const leads = text(item.url) || text(item.article) || item.content;
    const mark = el("button", { type: "button", class: "tick", "aria-label": `${item.label}: ${ticked ? labels.done : labels.mark}`, "aria-disabled": ticked ? "true" : undefined, onclick: () => !ticked && tick(item) }, icon(TICK));
    return el(
      "li",
      { class: ticked ? "done" : "" },
      mark,
      el("div", {}, el("span", { class: "label" }, item.label), text(item.text) && !ticked ? prose(text(item.text)) : undefined),
      leads && !ticked ? el("button", { type: "button", class: "go", "aria-label": `${item.label}: ${labels.start}`, onclick: () => void go(item) }, labels.start) : undefined,
    );
  }
  /** The person says that it is done; the service has the last word. */
  function tick(item: Item): void {
    report("Checklist Item Completed", { item: item.id });
    update([...done, item.id]);
    list.focus({ preventScroll: true });
  }
  async function go(item: Item): Promise<void> {
    report("Message Clicked", { item: item.id });
    const url = safeLink(item.url);
    if (item.content) {
      toggle(false);
      const { delivery_id, rule_id, locale } = delivery;
      const id = delivery_id && { delivery_id: `${delivery_id}.${item.id}.${started++}` };
      begin({ ...id, ...(rule_id && { rule_id }), ...(item.tour && { message_id: item.tour }), kind: "tour", content: item.content, locale: locale ?? null });
    } else if (url) visit(url);
    else if (text(item.article)) (await import("../article/panel")).openPanel(core, text(item.article), delivery, { report });
  }
  function update(now: readonly string[]): void {
    done = now;
    const ticked = items.filter(({ id }) => done.includes(id)).length;
    const share = ticked / items.length;
    const all = ticked === items.length;
    count.textContent = all ? labels.all : `${ticked} / ${items.length}`;
    ring.style.setProperty("--share", `${share * 100}%`);
    bar.style.width = `${share * 100}%`;
    rows.replaceChildren(...items.map(row));
    if (!all || completed) return;
    completed = true;
    ended("Completed"); // what is on the screen stays until it is closed
    thanks.replaceChildren(prose(text(content.thanks) || labels.all));
  }
  function close(): void {
    over = true;
    gone();
    box.remove();
    root.leave();
  }

  show(open);
  root.dock.append(box);
  appear(box);
  return {
    update,
    away: (away) => (box.hidden = away),
    close,
  };
}
