import type { Core, Delivery } from "../types";
import type { Memory } from "./memory";

/** How a message left the screen. `closed`: how it went was reported before. `parked`: it goes on at `step` as soon as
 * that can be shown. */
export type Ending = "completed" | "dismissed" | "closed" | "parked";

/** What a kind gets to work with while it is on the screen. */
export interface Scene {
  readonly core: Core;
  readonly delivery: Delivery;
  /** Where to begin; 0 unless it was under way before. */
  readonly step: number;
  /** Reports what the person did: `Message Clicked`, `Tour Step Viewed` … */
  report(event: string, properties?: Record<string, unknown>): void;
  /** Remembers, over reloads, where to go on. */
  keep(step: number): void;
  end(how: Ending, step?: number): void;
}

export interface Showing {
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
}
