export const LABELS = [
  { next: "Next", back: "Back", close: "Close", done: "Done", step: "Step" },
  { next: "次へ", back: "戻る", close: "閉じる", done: "完了", step: "ステップ" },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"next" | "back" | "close" | "done" | "step", string>;
