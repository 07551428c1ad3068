export const LABELS = [
  { close: "Close", read: "Read", article: "Help article" },
  { close: "閉じる", read: "読む", article: "ヘルプ記事" },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"close" | "read" | "article", string>;
