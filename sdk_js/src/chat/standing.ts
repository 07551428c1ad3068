import { searchArticles } from "../article/load";
import { report } from "../stage/stage";
import type { Core } from "../types";
import { el, icon, text } from "../ui/dom";
import { labelsFor } from "../ui/labels";
import { enterRoot } from "../ui/root";
import type { Slot } from "./chat";
import type { Turn } from "./content";
import type { Conversation } from "./log";
import css from "./standing.css";
import { LABELS } from "./standing_labels";
import type { Labels } from "./standing_labels";
import type { Wishes } from "./view";

export * from "../shared";

const SEND = "M12 20V4M5 11l7-7 7 7";
const MOST_LINES = 100;
/** Articles that are offered in answer to what was typed. */
const MOST_HITS = 3;
/** How long after the page has taken it out it stands again. ms */
const AGAIN = 250;

/** What the storage event goes on with. */
let heard: { core: Core; slot: Slot } | undefined;

/** The conversation stays: stored, on every page and in every tab, behind its launcher when it is closed, until the person
 * ends it. `kept`: it is stored already. */
export function stand(core: Core, slot: Slot, kept?: boolean): void {
  const { view } = slot;
  if (!view) return;
  listen(core, slot);
  if (slot.standing) return view.wishes.changed();
  slot.standing = true;
  const { talk, card, wishes, answer, close, focused } = view;
  const { delivery } = talk;
  const { content } = delivery;
  const labels = labelsFor<Labels>(delivery, LABELS);

  const field = el("input", { maxlength: "1000", autocomplete: "off" });
  const form = el("form", { onsubmit: send }, field, el("button", { class: "main send", "aria-label": labels.send }, icon(SEND)));
  const ending = el("button", { type: "button", class: "quiet end", onclick: finish }, labels.end);
  const badge = el("span", { class: "badge" });
  const launcher = el("button", { type: "button", class: "main bubble", onclick: open }, icon(slot.BUBBLE), badge);
  enterRoot(css, () => {}).leave(); // for the style: the view is in the same root
  card.append(form, ending);
  view.dock(launcher);

  /** Whether there is something to come back to. */
  function begun(): boolean {
    return content.open === false || talk.lines.some(({ from }) => from === "person");
  }
  function draw(): void {
    const { open, unread, input } = talk;
    card.hidden = !open;
    launcher.hidden = open;
    badge.hidden = !unread;
    badge.dataset.count = String(unread); // drawn by its style: the label says it
    launcher.setAttribute("aria-label", labels.open + (unread ? ` (${labels.unread}: ${unread})` : ""));
    form.hidden = !input;
    field.placeholder = text(input?.placeholder) || labels.write;
    field.setAttribute("aria-label", field.placeholder);
    ending.hidden = !begun();
  }
  function save(): void {
    draw();
    talk.at = Date.now();
    talk.by = core.person().anonymousId;
    talk.lines.splice(0, talk.lines.length - MOST_LINES);
    if (begun() && delivery.delivery_id) core.store.set(slot.KEY, JSON.stringify(talk)); // previews leave no trace
  }
  function send(event: Event): void {
    event.preventDefault();
    const words = field.value.trim();
    if (!words) return;
    field.value = "";
    const said = { conversation_id: delivery.delivery_id, message_body: words };
    void helped(words, talk.input!).then((turn) => answer(words, turn, "Live Chat Message Sent", said));
  }
  /** What the help center has on it comes before what the message says to it. */
  async function helped(words: string, turn: Turn): Promise<Turn> {
    const hits = turn.search === true ? await searchArticles(core, words, core.locale()).catch(() => []) : [];
    if (!hits.length) return turn;
    const articles = hits.slice(0, MOST_HITS).map(({ id, title }) => ({ label: title, article: id }));
    return { text: labels.found, replies: [...articles, { ...turn, label: labels.other }] };
  }
  function open(): void {
    talk.open = true;
    talk.unread = 0;
    save();
    hold(slot, true);
    card.focus({ preventScroll: true });
  }
  function minimise(): void {
    if (!begun() || content.launcher === false || !((talk.replies ?? talk.menu).length || talk.input || talk.handed)) return leave();
    const had = focused();
    talk.open = false;
    save();
    card.querySelector(".later")?.remove(); // its time is over
    if (had) launcher.focus({ preventScroll: true });
    hold(slot, false);
  }
  function finish(): void {
    wishes.tell("Live Chat Conversation Ended", { conversation_id: delivery.delivery_id });
    leave();
  }
  function leave(): void {
    core.store.remove(slot.KEY);
    close();
    slot.view = slot.open = undefined;
    hold(slot, false);
  }

  slot.open = open;
  wishes.changed = (heard) => {
    if (heard && !talk.open) talk.unread++;
    save();
  };
  wishes.dismissed = minimise;
  wishes.gone = () => {
    close();
    setTimeout(() => slot.view === view && revive(core, slot, talk, wishes.tell), AGAIN);
  };
  if (kept) draw(); // or two tabs would answer each other for ever
  else save();
  hold(slot, talk.open);
}

/** While it is open nothing new interrupts it; a message that is on the screen as it is opened stays there. */
function hold(slot: Slot, open: boolean): void {
  if (open !== slot.holds) {
    slot.holds = open;
    slot.enter?.(slot.HOLD, { holdUntil: Infinity }); // or has the stage look, and drop it
  }
  if (!open) slot.end?.();
}

/** Goes on with the conversation of the page before. */
export function resume(core: Core, slot: Slot): void {
  listen(core, slot);
  if (slot.view) stand(core, slot);
  else restore();
}

function listen(core: Core, slot: Slot): void {
  if (!heard) {
    addEventListener("storage", ({ key }) => key?.endsWith("." + slot.KEY) && restore());
    addEventListener("pageshow", ({ persisted }) => persisted && restore()); // it may have gone on on another page
  }
  heard = { core, slot };
}

/** As it is stored: by the page before, or by another tab. */
function restore(): void {
  const { core, slot } = heard!;
  const { view } = slot;
  if (view && !slot.standing) return; // a prompt of this tab's own
  const talk = slot.recall(core);
  view?.close();
  if (!talk) hold(slot, false);
  slot.end?.();
  slot.view = slot.open = slot.end = undefined;
  if (talk) revive(core, slot, { ...talk, open: view ? view.talk.open : talk.open }, (event, properties) => report(core, { delivery: talk.delivery, step: 0 }, event, properties));
}

function revive(core: Core, slot: Slot, talk: Conversation, tell: Wishes["tell"]): void {
  slot.view = slot.createView(core, talk, { tell, changed() {}, dismissed() {}, gone() {} });
  slot.standing = false;
  stand(core, slot, true);
}
