import type { Enter, Kind, Scene, Showing, Waiting } from "../stage/kind";
import type { Core } from "../types";
import { el, settled, text } from "../ui/dom";
import { inputOf, repliesOf } from "./content";
import { HOLD, KEY, recall } from "./log";
import type { Conversation } from "./log";
import { BUBBLE, createView } from "./view";
import type { View } from "./view";

export * from "../shared";

/** There is one conversation: what a further message says is added to it. */
export interface Slot extends Readonly<typeof lent> {
  view?: View | undefined;
  /** Frees the screen for others, while a message of the conversation has it. */
  end?: (() => void) | undefined;
  open?: (() => void) | undefined;
  /** It stands on every page; before that, it is a prompt. */
  standing?: boolean;
  enter?: Enter;
  /** It is open: `HOLD` waits, and what is said further does not. */
  holds?: boolean | undefined;
}
/** What stands is lent what it has in common with the prompt: to import it would take a file more. */
const lent = { BUBBLE, HOLD, KEY, createView, recall };
const slot: Slot = { ...lent };

export const kind: Kind = {
  interrupts: true,
  problem: ({ content }) => (text(content.text) ? undefined : "expected content.text to be text"),
  ready: (delivery) => delivery !== HOLD,
  show: showChat,
  own: openChat,
  resume(core, enter) {
    slot.enter = enter;
    if (!core.store.get(KEY)) return;
    if ((slot.holds = recall(core)?.open)) enter(HOLD, { holdUntil: Infinity });
    void import("./standing").then(
      ({ resume }) => resume(core, slot),
      () => {
        kind.clear!();
        enter(HOLD); // has the stage look, and drop it
      },
    );
  },
  clear() {
    slot.view?.close();
    slot.view = slot.open = slot.end = slot.holds = undefined;
  },
};

/** A prompt in the corner that can be answered with one click. What stands begins with the first answer. */
function showChat(scene: Scene): Showing {
  const { core, delivery } = scene;
  const { content } = delivery;
  const open = content.open !== false;
  const input = inputOf(content);
  const past = delivery.delivery_id ? recall(core)?.lines : undefined;
  const talk: Conversation = { delivery, lines: [...(past ?? []), { from: "assistant", text: text(content.text) }], menu: repliesOf(content), input, answered: 0, unread: +!open, open, at: 0 };
  slot.view?.close();
  slot.standing = false;
  slot.end = () => scene.end(talk.answered ? "closed" : "dismissed");
  /** What makes it stand is on its way. */
  let coming: Promise<unknown> | undefined;
  const view: View = (slot.view = createView(core, talk, {
    tell: scene.report,
    changed: stand,
    dismissed() {
      if (coming) return void coming.then(() => view.wishes.dismissed());
      leave();
      slot.end!();
    },
    gone() {
      leave();
      scene.end(talk.answered ? "closed" : "parked");
    },
  }));
  const { close, card } = view;
  function leave(): void {
    close();
    slot.view = slot.holds = undefined;
  }
  function stand(): void {
    coming = import("./standing").then(({ stand }) => stand(core, slot), () => (card.hidden = false)).then(() => (coming = undefined));
  }
  if (input || past || !open) {
    card.hidden = true; // it would grow under the hand
    stand();
  }
  // A prompt takes no focus: it waits to be turned to. It is read out by a live region, which has to be there before it speaks.
  const spoken = el("div", { class: "hidden", role: "status" });
  card.append(spoken);
  void settled().then(() => (spoken.textContent = card.querySelector(".line:last-child")!.textContent));
  setTimeout(() => spoken.remove(), 2000);
  return { box: card, close: leave };
}

/** The page has a button that opens it; or something more is said in one that is open, before all that is held back. */
function openChat(_core: Core, { delivery, shown }: Waiting): boolean {
  if (delivery === HOLD) return !slot.holds;
  const further = slot.holds && !shown && delivery.priority !== Infinity;
  if (further) queueMicrotask(() => slot.enter!({ ...delivery, priority: Infinity })); // once this one is taken
  const asked = !delivery.delivery_id && !text(delivery.content.text);
  if (asked) slot.open?.();
  return asked || !!further;
}
