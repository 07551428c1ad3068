import type { Emitter } from "./core/emitter";
import type { Kind } from "./stage/kind";

/** What travels between the service, the loader and the lazily loaded parts. */

export type Dict = Record<string, unknown>;

/** One message for one person, as `GET /v1/stream` and `GET /v1/inbox` give it. Without `delivery_id` it is a preview:
 * shown at once, never claimed, never reported. */
export interface Delivery {
  readonly delivery_id?: string;
  readonly rule_id?: string;
  readonly message_id?: string;
  readonly kind: KindName;
  readonly variant?: string | null;
  readonly priority?: number;
  readonly content: Dict;
  readonly show_on?: { readonly path?: string | readonly string[] } | null;
  readonly expires_at?: string | null;
  /** The items of a checklist that are ticked off. */
  readonly done?: readonly string[];
  /** It was snoozed until then. */
  readonly not_before?: string | null;
  /** How long *remind me later* puts it off; nothing: it is not offered. ms */
  readonly snooze?: number | null;
  /** Where a tour that was under way goes on, from 0. */
  readonly step?: number;
  /** It was on the screen before, on a page of another host, and goes on here. */
  readonly shown?: boolean;
  /** How often it was given back, to go on elsewhere. */
  readonly turn?: number;
  readonly locale?: string | null;
}

export type StorageMode = "local" | "cookie" | "memory";

export interface Options {
  readonly writeKey: string;
  readonly host: string;
  readonly userHash?: string;
  readonly locale?: string;
  readonly autoPage: boolean;
  readonly stream: boolean;
  readonly storage: StorageMode;
  /** The pages under it share their people. Empty: each host has its own. */
  readonly cookieDomain: string;
  /** Nothing is stored or sent before the person agrees. */
  readonly consent: boolean;
}

export type Listener = (payload: unknown) => void;

export interface Store {
  get(key: string): string | undefined;
  /** True when the value outlives this page; else storage is full or forbidden. */
  set(key: string, value: string): boolean | undefined;
  remove(key: string): void;
  keys(prefix: string): string[];
}

/** What the loader lends to the lazily loaded parts. */
export interface Core extends Emitter {
  readonly options: Options;
  readonly store: Store;
  locale(): string;
  track(event: string, properties: Dict): void;
  /** Who is here, as queries and bodies name them. */
  person(): Record<string, string>;
  /** Rejects when the part cannot be had now; another attempt may succeed. */
  load(kind: KindName): Promise<PartModule>;
}

/** Decides what is on the screen, and when. */
export interface Stage {
  add(delivery: Delivery): void;
  /** Shows it now, wherever the page is. */
  show(delivery: Delivery): void;
  /** Takes up what was under way on the page before. */
  resume(kind: KindName): void;
  /** The address changed. */
  moved(): void;
  /** Takes everything from the screen and forgets it: another person from here on. */
  clear(): void;
  stop(): void;
}

export type KindName = "tour" | "chat" | "article" | "banner" | "modal" | "tooltip" | "survey" | "checklist";

/** The lazily loaded part behind `debug`. */
export interface DebugModule {
  debug(emitter: Emitter, on: boolean): void;
}

/** What every lazily loaded kind exports. */
export interface PartModule {
  readonly kind: Kind;
  createStage(core: Core): Stage;
}
