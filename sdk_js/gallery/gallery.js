// Every kind of message, as a person meets it, on a small page of its own: /sdk/gallery. With ?show=… it is such a page; with
// ?writeKey=… the theme of that project can be chosen too.
const asked = new URLSearchParams(location.search);
const writeKey = asked.get("writeKey");
const ACTIONS = { en: [{ label: "Show me" }, { label: "Not now" }], ja: [{ label: "見てみる" }, { label: "あとで" }] };
const SAMPLES = [
  ["tour", "Tour", { steps: [{ target: "#new", title: "Start with a project", text: "Everything you **plan, write and measure** lives in one." }, { target: ".tiles", title: "Your numbers", text: "They come in as they happen." }] },
    { steps: [{ target: "#new", title: "まずはプロジェクトから", text: "**計画も記録も計測も**、ひとつのプロジェクトに入ります。" }, { target: ".tiles", title: "数字はここに", text: "リアルタイムで届きます。" }] }],
  ["chat", "Chat prompt", { text: "Comparing plans? Most teams of your size take **Team**.", replies: [{ label: "What is in it?", text: "Shared projects, roles, and a person to ask." }, { label: "Talk to a person", handoff: true }] },
    { text: "プランをお探しですか？同じ規模のチームの多くは**チーム**プランを選んでいます。", replies: [{ label: "何が使えますか", text: "共有プロジェクト、権限、そして専任の担当者です。" }, { label: "担当者と話す", handoff: true }] }],
  ["chat", "Conversation", { text: "How can we help?", replies: [{ label: "Billing", text: "What about it?", replies: [{ label: "An invoice" }, { label: "A refund" }] }, { label: "Something else" }], input: { text: "Thank you. Somebody from our team will **reply here**.", placeholder: "Ask anything" } },
    { text: "ご用件をお聞かせください。", replies: [{ label: "お支払い", text: "どのようなことでしょうか？", replies: [{ label: "請求書" }, { label: "返金" }] }, { label: "その他" }], input: { text: "ありがとうございます。担当者が**こちらで**お返事します。", placeholder: "ご質問をどうぞ" } }],
  ["chat", "Conversation behind its launcher", { text: "Ann here: your invoice is on its way.", open: false, replies: [{ label: "Thank you" }] },
    { text: "担当の佐藤です。請求書をお送りしました。", open: false, replies: [{ label: "ありがとう" }] }],
  ["article", "Help article", { article: "export-troubles", title: "Trouble with the export?", text: "Three things that **usually** help." },
    { article: "export-troubles", title: "書き出しでお困りですか？", text: "**たいていは**この三つで解決します。" }],
  ["banner", "Banner", { title: "Scheduled reports", text: "Reports can now be **sent every Monday**.", actions: ACTIONS.en },
    { title: "レポートの自動送信", text: "レポートを**毎週月曜日**に送れるようになりました。", actions: ACTIONS.ja }],
  ["banner", "Banner within the page", { text: "Your trial ends in **3 days**.", into: "main", actions: [{ label: "See plans" }] },
    { text: "トライアルはあと**3日**です。", into: "main", actions: [{ label: "プランを見る" }] }],
  ["modal", "Modal", { title: "Meet the new dashboard", text: "Everything you look at every day, **in one place**.", actions: ACTIONS.en },
    { title: "新しいダッシュボード", text: "毎日見る数字を**ひとつの画面に**まとめました。", actions: ACTIONS.ja }],
  ["modal", "Modal with a form", { title: "Stay in touch", text: "One mail a month, no more.", form: { label: "Your address", type: "email", placeholder: "you@example.com", thanks: "**Thank you.** See you on the first." } },
    { title: "お知らせを受け取る", text: "月に一度だけお送りします。", form: { label: "メールアドレス", type: "email", placeholder: "you@example.com", thanks: "**ありがとうございます。**" } }],
  ["tooltip", "Tooltip", { target: "#new", title: "Start here", text: "A project holds **everything**: files, people, reports.", actions: [{ label: "Got it" }] },
    { target: "#new", title: "ここから始めます", text: "プロジェクトには**すべて**が入ります。", actions: [{ label: "わかりました" }] }],
  ["tooltip", "Hotspot", { target: "#new", title: "New", text: "Projects can be **copied** now.", hotspot: true },
    { target: "#new", title: "新機能", text: "プロジェクトを**複製**できるようになりました。", hotspot: true }],
  ["checklist", "Checklist", { title: "Get started", text: "Three steps to your **first report**.", items: [{ id: "create", label: "Create a project", text: "It holds files, people and reports." }, { id: "invite", label: "Invite your team", url: "#invite", text: "They get a mail with a link." }, { id: "report", label: "Share a report", url: "#report" }] },
    { title: "はじめに", text: "**最初のレポート**まで三つの手順です。", items: [{ id: "create", label: "プロジェクトを作る", text: "ファイルも人もレポートも入ります。" }, { id: "invite", label: "チームを招待する", url: "#invite", text: "リンクをメールでお送りします。" }, { id: "report", label: "レポートを共有する", url: "#report" }] }, ["create"]],
  ["survey", "Survey: NPS, then why", { questions: [{ id: "score", type: "nps", text: "How likely are you to recommend us to a colleague?" }, { type: "choice", text: "What is missing most?", options: ["Speed", "Features", "Help"], when: { question: "score", at_most: 6 } }, { type: "text", text: "Anything else?", optional: true }] },
    { questions: [{ id: "score", type: "nps", text: "同僚にすすめたいと思いますか？" }, { type: "choice", text: "いちばん足りないものは？", options: ["速さ", "機能", "サポート"], when: { question: "score", at_most: 6 } }, { type: "text", text: "ほかにありますか？", optional: true }] }],
  ["survey", "Survey: CSAT", { questions: [{ type: "csat", text: "How was the help you got?", optional: true }] }, { questions: [{ type: "csat", text: "サポートはいかがでしたか？", optional: true }] }],
  ["survey", "Survey: choices", { questions: [{ type: "choices", text: "What do you use most?", options: ["Reports", "Projects", "The assistant"] }] }, { questions: [{ type: "choices", text: "よく使うものは？", options: ["レポート", "プロジェクト", "アシスタント"] }] }],
];
/** Themes are nothing but custom properties on :root of the page; some say others in the dark. */
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const THEMES = {
  Indigo: {},
  Emerald: { "--engage-accent": dark ? "#34d399" : "#047857", "--engage-on-accent": dark ? "#022c22" : "#fff", "--engage-radius": "10px" },
  Rose: { "--engage-accent": dark ? "#fb7185" : "#be123c", "--engage-on-accent": dark ? "#3b0512" : "#fff", "--engage-radius": "22px" },
  Midnight: {
    "--engage-accent": "#7dd3fc", "--engage-on-accent": "#082f49", "--engage-surface": "#0b1220", "--engage-sunken": "#17213a", "--engage-text": "#eef4ff",
    "--engage-muted": "#a3b3cf", "--engage-border": "rgb(255 255 255 / 14%)", "--engage-radius": "4px",
  },
  ...(writeKey && { Yours: {} }),
};
const LANGUAGES = { en: "English", ja: "日本語" };
const APP = { en: ["Acme", "Home", "New project", "Dashboard"], ja: ["Acme", "ホーム", "新規プロジェクト", "ダッシュボード"] };

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A page of a product, with one message on it. */
function frame(show, language, theme) {
  const [kind, , en, ja, done] = SAMPLES[show] ?? SAMPLES[0];
  const [name, home, create, title] = APP[language];
  document.documentElement.lang = language;
  for (const [property, value] of Object.entries(THEMES[theme])) document.documentElement.style.setProperty(property, value);
  if (theme === "Yours") document.head.append(make("link", { rel: "stylesheet", href: `../v1/projects/${encodeURIComponent(writeKey)}/theme.css` }));
  document.body.className = "app";
  document.body.append(
    make("header", {}, make("b", {}, name), make("span", {}, home), make("button", { id: "new", type: "button" }, create)),
    make("main", {}, make("h2", {}, title), make("div", { class: "tiles" }, ...Array.from({ length: 6 }, () => make("i")))),
  );
  const { engage } = window;
  // A preview is neither claimed nor reported: nothing leaves this page.
  engage.init({ writeKey: "gallery", stream: false, autoPage: false, storage: "memory", consent: false, locale: language });
  engage.show({ kind, content: language === "ja" ? ja : en, locale: language, done });
}

function gallery() {
  const chosen = { language: navigator.language.startsWith("ja") ? "ja" : "en", theme: writeKey ? "Yours" : "Indigo", width: "desktop" };
  const choice = (what, options) =>
    make("fieldset", {}, make("legend", {}, what), ...Object.entries(options).map(([value, label]) => {
      const input = make("input", { type: "radio", name: what, value });
      input.checked = chosen[what] === value;
      input.addEventListener("change", () => {
        chosen[what] = value;
        draw();
      });
      return make("label", {}, input, make("span", {}, label));
    }));
  const grid = make("main", { class: "grid" });
  document.body.append(
    make("header", { class: "top" }, make("h1", {}, "Engage: every kind of message"), choice("language", LANGUAGES), choice("theme", Object.fromEntries(Object.keys(THEMES).map((name) => [name, name]))), choice("width", { desktop: "Desktop", phone: "Phone" })),
    grid,
  );
  function draw() {
    document.body.classList.toggle("phone", chosen.width === "phone");
    grid.replaceChildren(...SAMPLES.map(([, title], show) => {
      const src = `gallery?${new URLSearchParams({ show, language: chosen.language, theme: chosen.theme, ...(writeKey && { writeKey }) })}`;
      return make("figure", {}, make("figcaption", {}, title, make("a", { href: src, target: "_blank" }, "open")), make("iframe", { src, title, loading: "lazy" }));
    }));
  }
  draw();
  // A message that takes the focus in its frame brings the frame into view: not before somebody looks around.
  let touched = false;
  for (const type of ["wheel", "pointerdown", "keydown", "touchstart"]) addEventListener(type, () => (touched = true), { once: true, passive: true });
  addEventListener("scroll", () => touched || scrollTo(0, 0));
}

const known = (name, values) => (asked.get(name) in values ? asked.get(name) : Object.keys(values)[0]);
if (asked.has("show")) frame(+asked.get("show"), known("language", LANGUAGES), known("theme", THEMES));
else gallery();
