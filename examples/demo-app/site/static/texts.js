/** The app's own texts. English stands in the pages; Japanese (and what scripts write) stands here. */
const JA = {
  skip: "本文へ", signout: "サインアウト", signin: "サインイン",
  "nav.dashboard": "ダッシュボード", "nav.projects": "プロジェクト", "nav.pricing": "料金", "nav.help": "ヘルプ", "nav.settings": "設定",
  "panel.title": "Engage の考えていること", "panel.hint": "ここでの操作、目を覚ましたルール、その結論をそのまま表示しています。", "panel.empty": "最初のイベントを待っています…",
  "home.eyebrow": "小さなチームのためのレポート", "home.title": "大切な数字だけを、ひと目で。", "home.lead": "Kansoは、お使いのサービスにつながり、毎週見るべきグラフだけを描きます。",
  "home.tick1": "5分で設定完了", "home.tick2": "1名なら無料", "home.tick3": "データはあなたのもの", "home.form": "はじめる", "home.name": "お名前", "home.email": "メールアドレス",
  "home.submit": "アカウントを作る", "home.fine": "デモです。データはこのマシンの外に出ません。同じメールアドレスで再びサインインできます。",
  "dash.title": "ダッシュボード", "dash.sub": "今週と前の週の比較", "dash.export": "CSVを書き出す", "dash.revenue": "売上", "dash.orders": "注文", "dash.visitors": "訪問者", "dash.chart": "日別の売上",
  "proj.title": "プロジェクト", "proj.sub": "見守りたいものごとに1つ", "proj.new": "新しいプロジェクト",
  "price.title": "わかりやすい料金", "price.sub": "毎月、変更も解約もできます。", "price.solo": "ソロ", "price.team": "チーム", "price.company": "カンパニー", "price.per": "1か月あたり", "price.best": "一番人気", "price.choose": "選ぶ",
  "price.solo1": "1名", "price.solo2": "データ元は2つ", "price.solo3": "1年分の履歴", "price.team1": "10名まで", "price.team2": "すべてのデータ元", "price.team3": "5年分の履歴",
  "price.company1": "人数制限なし", "price.company2": "シングルサインオン", "price.company3": "専任の担当者", "price.checkout": "お支払い", "price.buy": "購入する", "price.notyet": "まだ決めない",
  "set.title": "設定", "set.sub": "プロフィールとデータ元", "set.profile": "プロフィール", "set.role": "役割", "set.owner": "オーナー", "set.analyst": "アナリスト", "set.guest": "ゲスト", "set.save": "保存", "set.sources": "データ元", "set.shop": "オンラインショップ", "set.analytics": "アクセス解析", "set.ledger": "会計",
  "help.title": "ヘルプ", "help.sub": "短く、わかりやすく", "help.q1": "書き出しに失敗するのはなぜ?", "help.a1": "多くは、1つのファイルには大きすぎるためです。1か月ずつ書き出してください。", "help.q2": "あとからプランを変えられますか?", "help.a2": "毎月、いつでも変更できます。", "help.q3": "誰がレポートを見られますか?", "help.a3": "招待した人だけです。",
};

const SAID = {
  en: {
    hello: (name) => `Good to see you, ${name}`, failed: "The export failed: the report is too large.", preparing: "Preparing the export …",
    invite: "Invite your team", inviteText: "Reports are better when everyone can look for themselves.", inviteButton: "Send an invitation", invited: "Invitation sent.",
    projects: [["Spring campaign", "4 reports, changed today"], ["Shop, Tokyo", "7 reports, changed yesterday"], ["Newsletter", "2 reports, changed last week"]], newProject: "New project", justNow: "created just now",
    checkout: (plan) => `You chose ${plan}. This is a demo: buying costs nothing.`, bought: (plan) => `Thank you! You are on ${plan} now.`, saved: "Saved.",
    days: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    events: { page: "Looked at", identify: "Said who they are", group: "Joined a team", timer: "Time passed", "Message Shown": "Saw the message", "Message Clicked": "Clicked in it", "Message Dismissed": "Closed it", "Message Completed": "Finished it", "Tour Step Viewed": "Looked at a step" },
    outcomes: { matched: "Matched: message on its way", not_matched: "Not now: the condition does not hold", capped: "Already shown often enough", delayed: "Matched: waits first", waiting: "Waits to see what happens", cancelled: "Called off", withdrawn: "Taken back before it was shown", holdout: "In the comparison group: sees nothing", error: "Could not be evaluated" },
    kinds: { tour: "tour", chat: "chat prompt", article: "help article" }, sent: (kind) => `Sends a ${kind}`, none: "No rule woke up",
  },
  ja: {
    hello: (name) => `${name}さん、こんにちは`, failed: "書き出しに失敗しました。レポートが大きすぎます。", preparing: "書き出しを準備しています…",
    invite: "チームを招待する", inviteText: "みんなが自分で見られると、レポートはもっと役に立ちます。", inviteButton: "招待を送る", invited: "招待を送りました。",
    projects: [["春のキャンペーン", "レポート4件・今日更新"], ["東京ショップ", "レポート7件・昨日更新"], ["メールマガジン", "レポート2件・先週更新"]], newProject: "新しいプロジェクト", justNow: "たった今作成",
    checkout: (plan) => `${plan}プランを選びました。デモですので費用はかかりません。`, bought: (plan) => `ありがとうございます。${plan}プランになりました。`, saved: "保存しました。",
    days: ["月", "火", "水", "木", "金", "土", "日"],
    events: { page: "ページを表示", identify: "利用者を確認", group: "チームに参加", timer: "時間が経過", "Message Shown": "メッセージを見た", "Message Clicked": "メッセージ内をクリック", "Message Dismissed": "閉じた", "Message Completed": "最後まで完了", "Tour Step Viewed": "ツアーの一歩を見た", "Export Failed": "書き出しに失敗", "Signed Up": "登録した", "Signed In": "サインインした", "Plan Selected": "プランを選んだ", "Plan Purchased": "プランを購入した", "Project Created": "プロジェクトを作った", "Team Invited": "チームを招待した", "Handoff Requested": "担当者を希望した" },
    outcomes: { matched: "一致:メッセージを送ります", not_matched: "今ではない:条件を満たしません", capped: "すでに十分表示しました", delayed: "一致:少し待ちます", waiting: "様子を見ています", cancelled: "取りやめました", withdrawn: "表示前に取り下げました", holdout: "比較グループ:何も表示しません", error: "評価できませんでした" },
    kinds: { tour: "ツアー", chat: "チャット", article: "ヘルプ記事" }, sent: (kind) => `${kind}を送ります`, none: "目を覚ましたルールはありません",
  },
};

export const language = document.documentElement.lang === "ja" ? "ja" : "en";
export const say = SAID[language];

/** Puts the page into its language. */
export function translate() {
  if (language !== "ja") return;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = JA[element.dataset.text] ?? element.textContent;
}

export function chooseLanguage(chosen) {
  localStorage.setItem("kanso.language", chosen);
  location.reload();
}
