export const LABELS = [
  { open: "Open the chat", write: "Write a message", send: "Send", end: "End chat", unread: "new" },
  { open: "チャットを開く", write: "メッセージを入力", send: "送信", end: "チャットを終了", unread: "新着" },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"open" | "write" | "send" | "end" | "unread", string>;
