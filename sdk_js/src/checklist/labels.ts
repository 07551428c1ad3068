export const LABELS = [
  { close: "Close", dismiss: "Don’t show this again", start: "Start", mark: "Mark as done", done: "Done", all: "All done" },
  { close: "閉じる", dismiss: "今後は表示しない", start: "はじめる", mark: "完了にする", done: "完了", all: "すべて完了" },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"close" | "dismiss" | "start" | "mark" | "done" | "all", string>;
