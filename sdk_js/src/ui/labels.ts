import type { Delivery } from "../types";
import { text } from "./dom";

const KANA = /[\u3041-\u30ff]/;

/** The language a message is written in: as it says itself, else Japanese where it has kana, else English. */
export function languageOf(delivery: Delivery): string {
  return text(delivery.locale) || (KANA.test(JSON.stringify(delivery.content)) ? "ja" : "en");
}

/** A kind's labels, English and Japanese, in the language of the message; `content.labels` has the last word. */
export function labelsFor<T extends Record<string, string>>(delivery: Delivery, [en, ja]: readonly [T, T]): T {
  const labels: Record<string, string> = { ...(languageOf(delivery).startsWith("ja") ? ja : en) };
  for (const [name, value] of Object.entries(delivery.content.labels ?? {})) {
    if (name in labels && typeof value === "string") labels[name] = value;
  }
  return labels as T;
}
