export const LABELS = [
  { close: "Close", send: "Send", message: "Message" },
  { close: "閉じる", send: "送信", message: "メッセージ" },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"close" | "send" | "message", string>;
