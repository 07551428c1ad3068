export const LABELS = [
  { close: "Close", banner: "Announcement" },
  { close: "閉じる", banner: "お知らせ" },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<"close" | "banner", string>;
