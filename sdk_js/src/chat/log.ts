import type { Core, Delivery } from "../types";
import type { Reply, Turn } from "./content";

export const KEY = "chat.log";
/** Waits for as long as the conversation is open, and lets nothing new interrupt it. */
export const HOLD: Delivery = { kind: "chat", priority: 1e9, content: { text: "…" } };
/** A conversation left for longer than this is not taken up again. ms */
const FORGET_AFTER = 30 * 24 * 3600_000;

export interface Line {
  readonly from: "assistant" | "person";
  readonly text: string;
}

/** The conversation of this browser, as it is stored: every page and tab goes on with it. */
export interface Conversation {
  /** The message that spoke last. */
  readonly delivery: Delivery;
  readonly lines: Line[];
  /** What can be chosen from the beginning, and was not yet. */
  menu: Reply[];
  /** What can be chosen now, in answer to a question within it. */
  replies?: Reply[] | undefined;
  input?: Turn | undefined;
  /** How often the person has answered that message. */
  answered: number;
  /** Somebody will reply. */
  handed?: boolean;
  unread: number;
  open: boolean;
  /** When it was stored. Unix ms */
  at: number;
  /** Whose it is: on another host somebody else may have come, of whom this one's storage has not heard. */
  by?: string | undefined;
}

export function recall({ person, store }: Core): Conversation | undefined {
  try {
    const kept = JSON.parse(store.get(KEY)!) as Conversation;
    const by = person().anonymousId;
    if (kept.at > Date.now() - FORGET_AFTER && (kept.by ??= by) === by) return kept;
  } catch {
    // none, or of another release
  }
  store.remove(KEY);
  return undefined;
}
