import { pathMatches } from "../stage/match";
import type { Entry } from "../stage/stage";
import type { Delivery, Dict, Listener, DebugModule } from "../types";

export * from "../shared";

const named = ({ kind, message_id, delivery_id }: Delivery): string => `${kind} ${message_id ?? ""} ${delivery_id ?? "(preview)"}`;
const call = ({ type, event, name }: Dict): string => [type, event ?? name].filter(Boolean).join(" ");
const did = (what: string): Listener => (about) => say(`${what}: ${named(about as Delivery)}`, about);

/** What is told of, in the order in which it happens. */
const LISTENERS: Readonly<Record<string, Listener>> = {
  event: (event) => say(`queued: ${call(event as Dict)}`, event),
  sent: (events) => {
    const all = (events as string[]).map((event) => JSON.parse(event) as Dict);
    say(`sent: ${all.map(call).join(", ")}`, all);
  },
  message: (delivery) => say(`received: ${named(delivery as Delivery)}`, delivery),
  looked: (entries) => (entries as Set<Entry>).forEach((entry, _, all) => hold(entry, all)),
  shown: did("shown"),
  clicked: did("clicked"),
  answered: did("answered"),
  snoozed: did("snoozed"),
  dismissed: did("dismissed"),
  completed: did("completed"),
  error: (error) => say("error", error),
};
const INTERRUPTS = /^(tour|modal|chat|survey)$/;
/** What is left when all else is ruled out; it is so for a moment too while the message's part is loaded. */
const NO_ROOM = "its target is not on the page, or the person is typing";
const MOMENT = 1000; // ms
let telling = false;
/** What was last said of each. */
let reasons = new WeakMap<Entry, string | undefined>();

/** Says why a message cannot be on the screen now, once. */
function hold(entry: Entry, all: ReadonlySet<Entry>): void {
  const { delivery } = entry;
  const reason = whyNot(entry, all);
  const told = (): void => say(`held back: ${named(delivery)}: ${reason!}`, delivery);
  if (reason && reason !== reasons.get(entry)) {
    if (reason === NO_ROOM) setTimeout(() => telling && all.has(entry) && whyNot(entry, all) === reason && told(), MOMENT);
    else told();
  }
  reasons.set(entry, reason);
}

function whyNot(entry: Entry, all: ReadonlySet<Entry>): string | undefined {
  const { behind, claimed, delivery, forced, holdUntil, notBefore, step } = entry;
  if (behind === entry || holdUntil === Infinity) return undefined;
  if (document.hidden) return "nobody looks at this page";
  if (notBefore > Date.now()) return `until ${new Date(notBefore).toISOString()}: it was snoozed, or the service could not be asked`;
  const paths = delivery.show_on?.path;
  if (!claimed && !forced && !pathMatches(paths)) return `its page is ${pages(paths)}`;
  if (behind) return `${named(behind.delivery)} is on the screen`;
  if (INTERRUPTS.test(delivery.kind) && [...all].some((other) => other.holdUntil === Infinity)) return "the conversation is open";
  const { path } = ((delivery.content.steps as Dict[] | undefined)?.[step] ?? {}) as { path?: string };
  if (!pathMatches(path)) return `the page of its step ${step + 1} is ${pages(path)}`;
  return NO_ROOM;
}

/** Pages that are meant, and beside them the one that is looked at: with its host, where that counts. */
function pages(meant: string | readonly string[] | null | undefined): string {
  const { origin, pathname } = location;
  return `${[meant].flat().join(", ")}, this is ${String(meant).includes("://") ? origin : ""}${pathname}`;
}

/** Tells the console what is sent, received, shown, and held back and why; or is silent again. */
export const debug: DebugModule["debug"] = (emitter, on) => {
  if (on === telling) return;
  telling = on;
  for (const [event, listener] of Object.entries(LISTENERS)) emitter[on ? "on" : "off"](event, listener);
  const { engage } = window;
  const who = engage && !Array.isArray(engage) ? (engage.userId ?? engage.anonymousId) : undefined;
  say(on ? `on; here is ${who ?? "nobody yet: init, or the person's consent, is waited for"}` : "off");
  reasons = new WeakMap();
  if (on) emitter.emit("look", undefined); // what waits already is told of too
};

function say(what: string, about?: unknown): void {
  console.log(`[engage] ${what}`, ...(about === undefined ? [] : [about]));
}
