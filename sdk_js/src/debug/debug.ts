import type { Delivery, Dict, Listener, DebugModule } from "../types";

/** A delivery that cannot be on the screen now, and why. */
export interface Held {
  readonly delivery: Delivery;
  readonly why: string;
}

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
  held: (held) => say(`held back: ${named((held as Held).delivery)}: ${(held as Held).why}`, (held as Held).delivery),
  shown: did("shown"),
  clicked: did("clicked"),
  answered: did("answered"),
  snoozed: did("snoozed"),
  dismissed: did("dismissed"),
  completed: did("completed"),
  error: (error) => say("error", error),
};
let telling = false;

/** Tells the console what is sent, received, shown, and held back and why; or is silent again. */
export const debug: DebugModule["debug"] = (emitter, on) => {
  if (on === telling) return;
  telling = on;
  for (const [event, listener] of Object.entries(LISTENERS)) emitter[on ? "on" : "off"](event, listener);
  const { engage } = window;
  const who = engage && !Array.isArray(engage) ? (engage.userId ?? engage.anonymousId) : undefined;
  say(on ? `on; here is ${who ?? "nobody yet: init, or the person's consent, is waited for"}` : "off");
};

function say(what: string, about?: unknown): void {
  console.log(`[engage] ${what}`, ...(about === undefined ? [] : [about]));
}
