import { isDict } from "../core/options";
import type { Dict } from "../types";
import { text } from "../ui/dom";

/** What follows what the person said: an answer, and what may be said next. */
export interface Turn extends Dict {
  readonly text?: string;
  readonly article?: string;
  readonly url?: string;
  readonly handoff?: boolean;
}

/** One that can be chosen. */
export interface Reply extends Turn {
  readonly label: string;
}

/** The quick replies that have a label. */
export function repliesOf({ replies }: Dict): Reply[] {
  return Array.isArray(replies) ? (replies.filter((reply) => isDict(reply) && text(reply.label)) as Reply[]) : [];
}

/** What follows what the person types, where they may. */
export function inputOf({ input }: Dict): Turn | undefined {
  return isDict(input) ? input : undefined;
}
