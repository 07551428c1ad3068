import { el } from "../ui/dom";
import type { Hit } from "./load";
import type { Labels } from "./panel_labels";

/** What was found, the best first, and a word about it for who does not see it. */
export function hitList(hits: readonly Hit[], labels: Labels, open: (id: string) => void): HTMLElement[] {
  const rows = hits.map(({ id, locale, title, excerpt }) =>
    el("li", {}, el("button", { type: "button", class: "hit", lang: locale, onclick: () => open(id) }, el("strong", {}, title), el("span", {}, excerpt))),
  );
  const count = el("p", { class: hits.length ? "hidden" : "none", role: "status" }, hits.length ? `${labels.found}: ${hits.length}` : labels.none);
  return [count, el("ul", { class: "hits" }, ...rows)];
}
