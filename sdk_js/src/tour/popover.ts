import { el, icon, CROSS, text } from "../ui/dom";
import { prose } from "../ui/prose";
import { advanceOf, branchesOf } from "./content";
import type { Step } from "./content";
import type { Labels } from "./labels";

export interface Popover {
  readonly box: HTMLElement;
  readonly later: HTMLElement;
  readonly arrow: HTMLElement;
  /** Whether it is *Next* that leads on. */
  readonly plain: boolean;
  fill(step: Step, index: number, count: number, back: boolean): void;
}

interface Actions {
  back(): void;
  /** With the words on the button of a branch, and the step it leads to. */
  next(button?: string, to?: string): void;
  close(): void;
}

/** The card beside the target. It is filled anew for each step, so that it can glide from one to the next. */
export function createPopover(labels: Labels, language: string, { back, next, close }: Actions): Popover {
  const show = el("div", { class: "show" });
  const title = el("h2", { id: "title" });
  const body = el("div", { id: "text" });
  const progress = el("span", { class: "progress" });
  const bar = el("i");
  const backwards = el("button", { type: "button", class: "quiet", onclick: back }, labels.back);
  const buttons = el("span", { class: "buttons" });
  const later = el("span");
  const arrow = el("div", { class: "arrow" });
  const box = el(
    "div",
    { class: "popover card", role: "dialog", "aria-describedby": "text", tabindex: "-1", lang: language, dir: "auto" },
    arrow,
    show,
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: close }, icon(CROSS)),
    // Read out as it changes, also when the focus stays in the page.
    el("div", { class: "words", "aria-live": "polite" }, title, body),
    el("div", { class: "foot" }, progress, later, buttons),
    el("div", { class: "bar", "aria-hidden": "true" }, bar),
  );
  let plain = true;
  let shown: Step | undefined;
  return {
    box,
    later,
    arrow,
    get plain() {
      return plain;
    },
    fill(step, index, count, earlier) {
      const branches = branchesOf(step);
      plain = !branches.length && !Object.keys(advanceOf(step)).length;
      if (plain) branches.push({ label: index === count - 1 ? labels.done : labels.next });
      shown = step;
      show.replaceChildren();
      if (step.image || step.video) void import("../ui/media").then(({ media }) => shown === step && show.append(media(step, text(step.title)) ?? ""), () => {});
      title.textContent = text(step.title);
      title.hidden = !title.textContent;
      body.replaceChildren(prose(text(step.text)));
      progress.textContent = `${index + 1} / ${count}`;
      progress.setAttribute("aria-label", `${labels.step} ${progress.textContent}`);
      progress.hidden = count < 2;
      bar.style.width = `${((index + 1) / count) * 100}%`;
      const focused = buttons.contains((box.getRootNode() as ShadowRoot).activeElement);
      const forward = branches.map(({ label, to }, at) =>
        el("button", { type: "button", class: at < branches.length - 1 ? "quiet" : "main", onclick: () => next(plain ? undefined : label, to) }, label),
      );
      buttons.replaceChildren(...(earlier ? [backwards] : []), ...forward);
      if (focused) (forward[forward.length - 1] ?? box).focus(); // the one that had it is gone
      box.setAttribute("aria-labelledby", title.hidden ? "text" : "title");
    },
  };
}
