import type { Panel } from "../article/panel";
import { safeLink } from "../markdown/url";
import type { Core, Dict } from "../types";
import { el, icon, CROSS, appear, text } from "../ui/dom";
import { labelsFor, languageOf } from "../ui/labels";
import { enterRoot } from "../ui/root";
import { visit } from "../ui/visit";
import css from "./chat.css";
import { inputOf, repliesOf } from "./content";
import type { Reply, Turn } from "./content";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import type { Conversation, Line } from "./log";
import { createTranscript } from "./transcript";

export const BUBBLE = "M21 12a8 8 0 0 1-8 8H4l1.8-2.9A8 8 0 1 1 21 12z";
/** What goes along when a person is asked for. */
const CONTEXT_LINES = 20;

/** What a view leaves to others. */
export interface Wishes {
  tell(event: string, properties?: Dict): void;
  /** Something was said; `heard`: to the person. */
  changed(heard?: boolean): void;
  /** The person has closed it. */
  dismissed(): void;
  /** The page has taken it out. */
  gone(): void;
}

export interface View {
  readonly talk: Conversation;
  readonly card: HTMLElement;
  readonly wishes: Wishes;
  /** Puts something into the corner of the page, until the view is closed. */
  dock(node: HTMLElement): void;
  /** The person says `words`, and `turn` follows. */
  answer(words: string, turn: Turn, event: string, said: Dict): Promise<void>;
  focused(): boolean;
  close(): void;
}

/** A card with a conversation: what was said, and what may be said next. */
export function createView(core: Core, talk: Conversation, wishes: Wishes): View {
  const { delivery } = talk;
  const labels = labelsFor<Labels>(delivery, LABELS);
  const transcript = createTranscript(labels);
  const root = enterRoot(css, () => wishes.gone());
  const before = document.activeElement;
  const docked: HTMLElement[] = [];
  let panel: Panel | undefined;

  const choices = el("div", { class: "choices" });
  const card = el(
    "section",
    { class: "card chat", role: "dialog", "aria-label": labels.assistant, lang: languageOf(delivery), dir: "auto", tabindex: "-1", onkeydown: key },
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: () => wishes.dismissed() }, icon(CROSS)),
    el("div", { class: "face" }, icon(BUBBLE)),
    transcript.log,
    choices,
  );

  function offer(): void {
    choices.replaceChildren(...(talk.replies ?? talk.menu).map((reply) => el("button", { type: "button", onclick: () => void choose(reply) }, reply.label)));
  }
  function choose(reply: Reply): Promise<void> {
    talk.menu = talk.menu.filter((other) => other !== reply);
    talk.replies = undefined;
    card.focus({ preventScroll: true }); // the button that had it goes
    return answer(reply.label, reply, "Message Clicked", { reply: reply.label });
  }
  async function answer(words: string, turn: Turn, event: string, said: Dict): Promise<void> {
    const step = ++talk.answered;
    const spoken = text(turn.text) || (turn.handoff && labels.handoff);
    const next = repliesOf(turn);
    if (next.length) talk.replies = next;
    talk.input = inputOf(turn) ?? talk.input;
    say({ from: "person", text: words });
    wishes.tell(event, { ...said, step });
    if (step === 1) wishes.tell("Message Completed");
    if (turn.handoff) {
      talk.handed = true;
      wishes.tell("Handoff Requested", { ...said, step, transcript: talk.lines.slice(-CONTEXT_LINES) });
    }
    choices.replaceChildren();
    if (spoken) {
      const line: Line = { from: "assistant", text: spoken };
      talk.lines.push(line); // it is said even if the page goes meanwhile
      wishes.changed();
      await transcript.type();
      transcript.add(line);
    }
    if (!card.isConnected) return;
    offer();
    wishes.changed(!!spoken);
    if (text(turn.article)) {
      const { openPanel } = await import("../article/panel");
      if (!card.isConnected) return;
      panel = openPanel(core, text(turn.article), delivery, { report: wishes.tell, closed: () => (panel = undefined) });
    }
    const url = safeLink(turn.url);
    if (url) visit(url);
  }
  function say(line: Line): void {
    talk.lines.push(line);
    transcript.add(line);
  }
  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") wishes.dismissed();
  }
  function dock(node: HTMLElement): void {
    docked.push(node);
    root.dock.append(node);
  }
  function focused(): boolean {
    return card.contains(root.shadow.activeElement);
  }
  function close(): void {
    if (!docked.length) return;
    const had = focused();
    for (const node of docked.splice(0)) node.remove();
    panel?.close();
    root.leave();
    if (had && before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  }

  card.hidden = !talk.open;
  dock(card);
  appear(card);
  talk.lines.forEach(transcript.add);
  offer();
  return { talk, card, wishes, dock, answer, focused, close };
}
