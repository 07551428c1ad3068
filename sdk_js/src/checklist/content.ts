import { isDict } from "../core/options";
import type { Delivery, Dict } from "../types";
import { text } from "../ui/dom";

export interface Item extends Dict {
  readonly id: string;
  readonly label: string;
  readonly text?: string;
  readonly url?: string;
  readonly article?: string;
  /** The id of a tour, and what it shows. */
  readonly tour?: string;
  readonly content?: Dict;
}

/** The items that have an id and a label. */
export function itemsOf({ content }: Delivery): Item[] {
  const { items } = content;
  return (Array.isArray(items) ? items : []).filter((item) => isDict(item) && text(item.id) && text(item.label)) as Item[];
}
