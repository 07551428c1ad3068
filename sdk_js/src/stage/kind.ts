import type { Core, Delivery } from "../types";
import type { Memory } from "./memory";

/** How a message left the screen. `closed`: how it went was reported before. `snoozed`: it comes back later. `parked`: it
 * goes on at `step` as soon as that can be shown. */
export type Ending = "completed" | "dismissed" | "snoozed" | "closed" | "parked";

/** What a kind gets to work with while it is on the screen. */
export interface Scene {
  readonly core: Core;
  readonly delivery: Delivery;
  /** Where to begin, 0 unless it was under way before; and then where it is. */
  readonly step: number;
  /** Reports what the person did: `Message Clicked`, `Tour Step Viewed` … */
  report(event: string, properties?: Record<string, unknown>): void;
  /** Whether it has to do without its target, which did not come in time. */
  readonly bare: boolean;
  /** Remembers, over reloads, where to go on. */
  keep(step: number): void;
  end(how: Ending, step?: number): void;
}

export interface Showing {
  /** Where *remind me later* goes. */
  readonly box: HTMLElement;
  /** The address changed. */
  moved?(): void;
  close(): void;
}

/** One kind of message: what a lazily loaded part exports. */
export interface Kind {
  /** One of those that interrupt is on the screen at a time. */
  readonly interrupts: boolean;
  /** How it goes on after a reload where it was; kinds without start and end on one page. */
  readonly memory?: Memory;
  /** What is wrong with the content, if anything. */
  problem(delivery: Delivery): string | undefined;
  /** Whether it could be on the screen now, beginning at `step`: the page is right and the target is there. */
  ready(delivery: Delivery, step: number): boolean;
  show(scene: Scene): Showing;
  /** Whether it takes it for its own, and what is told of it later: it claims it where it has to, and shows it. `begin` shows
   * another message from it. */
  own?(core: Core, entry: Waiting, begin: (delivery: Delivery) => void): boolean;
  /** Takes up what it left on the page before; `enter` has something of its own wait among the others. */
  resume?(core: Core, enter: Enter): void;
  /** The address changed, for what it took. */
  moved?(): void;
  /** Another person from here on, or none. */
  clear?(): void;
  /** Calls `changed` when something that `ready` asks about may have changed; only while it is switched on. */
  watch?(changed: () => void): Watch;
  /** What to do about a target that did not come. */
  late?(entry: Waiting): void;
}

/** `holdUntil`: until then it keeps what is less important from the screen. Unix ms */
export type Enter = (delivery: Delivery, given?: { holdUntil?: number }) => void;

export interface Watch {
  set(on: boolean): void;
}

/** A message that could be on the screen but for its target. */
export interface Waiting {
  readonly delivery: Delivery;
  step: number;
  readonly shown: boolean;
  bare: boolean;
  /** Since when it has waited for the target of `step`, on a page where it should be. */
  since?: number;
  /** Where the person was when `step` came up, unseen. */
  from?: string;
  /** Looks again after so many ms. */
  again(ms: number): void;
  report(event: string, properties: Record<string, unknown>): void;
  /** It ends here, as far as it came. */
  end(): void;
}
