export const LABELS = [
  {
    close: "Close",
    you: "You",
    assistant: "Assistant",
    handoff: "Thanks! Someone from our team will reply here shortly.",
  },
  {
    close: "閉じる",
    you: "あなた",
    assistant: "アシスタント",
    handoff: "ありがとうございます。担当者がまもなくこちらでお返事します。",
  },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"close" | "you" | "assistant" | "handoff", string>;
