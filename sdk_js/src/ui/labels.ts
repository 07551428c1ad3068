import type { Delivery } from "../types";
import { text } from "./dom";

const EN = {
  next: "Next",
  back: "Back",
  close: "Close",
  done: "Done",
  read: "Read",
  of: (step: number, all: number) => `Step ${step} of ${all}`,
  you: "You",
  assistant: "Assistant",
  typing: "Typing",
  handoff: "Thanks! Someone from our team will reply here shortly.",
  article: "Help article",
  loading: "Loading",
  failed: "The article could not be loaded.",
  again: "Try again",
};
export type Labels = typeof EN;

const JA: Labels = {
  next: "次へ",
  back: "戻る",
  close: "閉じる",
  done: "完了",
  read: "読む",
  of: (step, all) => `${all}件中${step}件目`,
  you: "あなた",
  assistant: "アシスタント",
  typing: "入力中",
  handoff: "ありがとうございます。担当者がまもなくこちらでお返事します。",
  article: "ヘルプ記事",
  loading: "読み込み中",
  failed: "記事を読み込めませんでした。",
  again: "再試行",
};

const KANA = /[\u3041-\u30ff]/;

/** The language a message is written in: as it says itself, else Japanese where it has kana, else English. */
export function languageOf(delivery: Delivery): string {
  return text(delivery.locale) || (KANA.test(JSON.stringify(delivery.content)) ? "ja" : "en");
}

/** Labels in the language of the message; `content.labels` has the last word. */
export function labelsFor(delivery: Delivery): Labels {
  const labels: Labels = { ...(languageOf(delivery).startsWith("ja") ? JA : EN) };
  const given = delivery.content.labels;
  if (typeof given !== "object" || given === null) return labels;
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "string" && typeof labels[name as keyof Labels] === "string") Object.assign(labels, { [name]: value });
  }
  return labels;
}
