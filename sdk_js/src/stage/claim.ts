import type { Core } from "../types";
import { post } from "./wire";

export type Claim = "won" | "lost" | "later";

/** Asks for the right to show a delivery: of all tabs and devices exactly one wins. */
export async function claim(core: Core, deliveryId: string): Promise<Claim> {
  try {
    const reply = await post(core, path(deliveryId, "claim"));
    if (reply.ok) return ((await reply.json()) as { claimed?: boolean }).claimed ? "won" : "lost";
    return reply.status < 429 ? "lost" : "later";
  } catch {
    return "later";
  }
}

/** Gives it back: it was won, and could not be shown after all; or it is to go on at `step`, on another page, or (`snooze`)
 * after the time its rule sets. Answers nothing when the service was not reached. */
export function release(core: Core, deliveryId: string, again?: { snooze?: true; step: number; turn?: number }): Promise<Response | void> {
  return post(core, path(deliveryId, "release"), again).catch(() => {});
}

function path(deliveryId: string, what: string): string {
  return `/v1/deliveries/${encodeURIComponent(deliveryId)}/${what}`;
}
