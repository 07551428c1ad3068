export const LABELS = [
  { close: "Close", article: "Help article", loading: "Loading", failed: "The article could not be loaded.", again: "Try again" },
  { close: "閉じる", article: "ヘルプ記事", loading: "読み込み中", failed: "記事を読み込めませんでした。", again: "再試行" },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"close" | "article" | "loading" | "failed" | "again", string>;
