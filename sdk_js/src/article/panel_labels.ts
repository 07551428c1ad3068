export const LABELS = [
  {
    language: "en",
    close: "Close",
    back: "Back",
    search: "Search for help",
    center: "Help center",
    results: "Search results",
    found: "Articles found",
    none: "Nothing found. Other words may help.",
    loading: "Loading",
    failed: "This could not be loaded.",
    again: "Try again",
    helped: "Did this help?",
    yes: "Yes",
    no: "No",
    thanks: "Thank you for telling us.",
    sorry: "Thank you for telling us. A search may find what you need.",
  },
  {
    language: "ja",
    close: "閉じる",
    back: "戻る",
    search: "ヘルプを検索",
    center: "ヘルプセンター",
    results: "検索結果",
    found: "見つかった記事",
    none: "見つかりませんでした。別の言葉でお試しください。",
    loading: "読み込み中",
    failed: "読み込めませんでした。",
    again: "再試行",
    helped: "この記事は役に立ちましたか?",
    yes: "はい",
    no: "いいえ",
    thanks: "ご回答ありがとうございます。",
    sorry: "ご回答ありがとうございます。検索で見つかるかもしれません。",
  },
] as const satisfies readonly [Labels, Labels];

export type Labels = Record<
  "language" | "close" | "back" | "search" | "center" | "results" | "found" | "none" | "loading" | "failed" | "again" | "helped" | "yes" | "no" | "thanks" | "sorry",
  string
>;
