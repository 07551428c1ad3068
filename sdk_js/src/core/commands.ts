import type { Delivery, Dict, Listener } from "../types";
import type { Client } from "./client";
import type { Emitter } from "./emitter";
import { expected, isDict, isText } from "./options";
import { isKind } from "./parts";

/** What `on` may name. */
export const EVENTS = ["ready", "message", "shown", "clicked", "answered", "snoozed", "dismissed", "completed", "error"];

/** A command for a started client. What it returns is what is wrong with its arguments. */
export type Command = (client: Client, ...args: unknown[]) => string | void;

/** Number ids are what databases give; everything else must be text. */
const id = (value: unknown): string | undefined => (isText(value) || typeof value === "number" ? value + "" : undefined);
const given = (value: unknown): boolean => value !== undefined && value !== null;
const dict = (value: unknown): Dict | undefined => (given(value) ? (isDict(value) ? value : undefined) : {});

export const COMMANDS: Record<string, Command> = {
  identify(client, first, ...rest) {
    // identify(traits) describes whoever is here; identify(userId, traits?, {userHash}?) says who it is.
    const anonymous = isDict(first) || !given(first);
    const userId = anonymous ? undefined : id(first);
    if (!anonymous && !userId) return expected("a userId or traits", first);
    const traits = dict(isDict(first) ? first : rest[0]);
    if (!traits) return expected("an object of traits", rest[0]);
    const options = rest[isDict(first) ? 0 : 1];
    client.identify(userId, traits, isDict(options) ? id(options.userHash) : undefined);
  },
  track(client, event, properties) {
    if (!isText(event)) return expected("an event name", event);
    const data = dict(properties);
    if (!data) return expected("an object of properties", properties);
    client.send("track", { event, properties: data });
  },
  page(client, ...args) {
    // page(category?, name?, properties?): one text is the name.
    const names = args.filter(isText);
    const data = dict(args.find((arg) => given(arg) && !isText(arg)));
    if (!data || names.length > 2) return expected("a name and an object of properties", args);
    const [name, category] = names.reverse();
    client.send("page", { name, category, properties: data });
  },
  group(client, groupId, traits) {
    const data = dict(traits);
    if (!id(groupId)) return expected("a groupId", groupId);
    if (!data) return expected("an object of traits", traits);
    client.send("group", { groupId: id(groupId), traits: data });
  },
  alias(client, userId, previousId) {
    if (!id(userId)) return expected("a userId", userId);
    const before = client.identity.named();
    client.send("alias", { userId: id(userId), previousId: id(previousId) ?? before.userId ?? before.anonymousId });
  },
  reset: (client) => client.reset(),
  show(client, delivery) {
    if (!isDict(delivery) || !isKind(delivery.kind) || !isDict(delivery.content)) {
      return expected("{kind, content}", delivery);
    }
    client.show(delivery as unknown as Delivery);
  },
};

export function listen(emitter: Emitter, name: "on" | "off", event: unknown, listener: unknown): string | void {
  if (!EVENTS.includes(event as string)) return expected("one of " + EVENTS, event);
  if (typeof listener === "function" || (name === "off" && !given(listener))) emitter[name](event as string, listener as Listener);
  else return expected("a function", listener);
}
