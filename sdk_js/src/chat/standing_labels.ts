export const LABELS = [
  { open: "Open the chat", write: "Write a message", send: "Send", end: "End chat", unread: "new", found: "This may help:", other: "None of these" },
  { open: "チャットを開く", write: "メッセージを入力", send: "送信", end: "チャットを終了", unread: "新着", found: "こちらが参考になるかもしれません。", other: "どれも違います" },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"open" | "write" | "send" | "end" | "unread" | "found" | "other", string>;
