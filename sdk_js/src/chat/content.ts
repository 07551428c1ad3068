import { isDict } from "../core/options";
import type { Delivery } from "../types";
import { text } from "../ui/dom";

export interface Reply {
  readonly label: string;
  readonly text?: string;
  readonly article?: string;
  readonly url?: string;
  readonly handoff?: boolean;
}

/** The quick replies that have a label. */
export function repliesOf(delivery: Delivery): Reply[] {
  const { replies } = delivery.content;
  return Array.isArray(replies) ? (replies.filter((reply) => isDict(reply) && text(reply.label)) as Reply[]) : [];
}
