export const LABELS = [
  {
    close: "Close", next: "Next", skip: "Skip", send: "Send", thanks: "Thank you!",
    csatLow: "Very dissatisfied", csatHigh: "Very satisfied", npsLow: "Not at all likely", npsHigh: "Extremely likely", cesLow: "Strongly disagree", cesHigh: "Strongly agree",
  },
  {
    close: "閉じる", next: "次へ", skip: "スキップ", send: "送信", thanks: "ご回答ありがとうございました。",
    csatLow: "とても不満", csatHigh: "とても満足", npsLow: "まったく思わない", npsHigh: "とてもそう思う", cesLow: "まったく同意しない", cesHigh: "強く同意する",
  },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<
  "close" | "next" | "skip" | "send" | "thanks" | "csatLow" | "csatHigh" | "npsLow" | "npsHigh" | "cesLow" | "cesHigh",
  string
>;
