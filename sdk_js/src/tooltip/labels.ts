export const LABELS = [
  { close: "Close", tip: "Tip" },
  { close: "閉じる", tip: "ヒント" },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"close" | "tip", string>;
