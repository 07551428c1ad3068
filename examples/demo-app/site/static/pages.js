/** What each page does, and what it tells Engage: `identify` and `track`, as any customer's app would. */
import { lineChart, sparkline } from "./chart.js";
import { figures, projectLine, RANGES, ROWS } from "./figures.js";
import { $, el, language, money, number, say, tell, user } from "./words.js";

/** As slow as a real backend on a bad day: the tour has to wait for what comes so late. ms */
const LATE = 2400;
const EXPORT_TAKES = 900;
const PRICES = { solo: 0, team: 24, company: 96 };

/** Buttons of which one is pressed. */
function choice(selector, name, first, chosen) {
  const buttons = [...document.querySelectorAll(selector)];
  const choose = (value) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset[name] === value));
    chosen(value);
  };
  for (const button of buttons) button.onclick = () => choose(button.dataset[name]);
  choose(first);
}

/** Saves a change of the account, and tells Engage what is known of the person now. */
async function saveAccount(change) {
  const saved = await tell("account", change);
  if (saved) engage.push(["identify", saved.user.userId, saved.user.traits, { userHash: saved.user.userHash }]);
}

function notice(node, words, good) {
  node.classList.toggle("good", good);
  node.textContent = words;
  node.hidden = false;
}

export const PAGES = {
  index() {
    const form = $("#sign-up");
    choice(".tabs button", "mode", "up", (mode) => {
      form.dataset.mode = mode;
      form.first_name.required = mode === "up";
      $("#sign-problem").hidden = true;
    });
    form.onsubmit = async (event) => {
      event.preventDefault();
      const first_name = form.dataset.mode === "up" ? form.first_name.value : "";
      const known = await tell("sign-in", { email: form.email.value, first_name });
      if (!known) return void ($("#sign-problem").hidden = false);
      engage.push(["identify", known.user.userId, known.user.traits, { userHash: known.user.userHash }]);
      engage.push(["track", known.isNew ? "Signed Up" : "Signed In"]);
      location.assign("/dashboard");
    };
    for (const node of document.querySelectorAll("[data-money]")) node.textContent = money(Number(node.dataset.money));
    const { revenue, before, labels } = figures("12m");
    lineChart($("#preview-chart"), { labels, now: revenue, before, format: short, title: say("dash.chart"), height: 210 });
  },

  dashboard() {
    let range;
    choice("[data-range]", "range", "12m", (chosen) => {
      range = chosen;
      drawDashboard(range);
    });
    setTimeout(showInvitation, LATE);
    const button = $("#export");
    button.onclick = async () => {
      button.disabled = true;
      button.lastElementChild.textContent = say("dash.exporting");
      $("#export-notice").hidden = true;
      await new Promise((done) => setTimeout(done, EXPORT_TAKES));
      runExport(range);
      button.disabled = false;
      button.lastElementChild.textContent = say("dash.export");
    };
  },

  projects() {
    const list = $("#project-list");
    const add = (name, note, first) => {
      const card = el("article", { className: "card project" }, sparkline(projectLine(name), 240, 54), el("h2", { textContent: name }), el("p", { textContent: note }));
      if (first) list.prepend(card);
      else list.append(card);
    };
    for (const name of user.projects) add(name, say("projects.new_note"));
    [4, 7, 2].forEach((count, at) => add(say(`projects.sample${at + 1}`), `${say("projects.reports", { count })} · ${say(`projects.changed${at + 1}`)}`));
    const dialog = $("#project-dialog");
    const form = dialog.querySelector("form");
    $("#new-project").onclick = () => dialog.showModal();
    closeable(dialog);
    form.onsubmit = () => {
      const name = form.elements.name.value;
      add(name, say("projects.new_note"), true);
      engage.push(["track", "Project Created", { name, source: form.source.value }]);
      void tell("account", { project: name });
      form.reset();
    };
  },

  pricing() {
    let billing = "month";
    const amount = (plan) => (billing === "year" ? PRICES[plan] * (10 / 12) : PRICES[plan]);
    choice("[data-billing]", "billing", billing, (chosen) => {
      billing = chosen;
      for (const [plan, card] of plans()) card.querySelector(".amount b").textContent = money(amount(plan));
    });
    const dialog = $("#checkout");
    closeable(dialog);
    let chosen;
    const label = (current) => {
      for (const [plan, card] of plans()) {
        const button = card.querySelector("button");
        button.disabled = plan === current;
        button.textContent = plan === current ? say("price.current") : !user && plan === "solo" ? say("price.start") : say("price.choose", { plan: say(`price.${plan}`) });
      }
    };
    label(user?.traits.plan);
    for (const [plan, card] of plans()) {
      card.querySelector("button").onclick = () => {
        chosen = plan;
        engage.push(["track", "Plan Selected", { plan, billing, price: amount(plan) }]);
        $("#order-plan").textContent = say(billing === "year" ? "checkout.plan_year" : "checkout.plan", { plan: say(`price.${plan}`) });
        $("#order-amount").textContent = `${money(amount(plan))} ${say("price.per_month")}`;
        dialog.showModal();
      };
    }
    $("#buy").onclick = () => {
      engage.push(["track", "Plan Purchased", { plan: chosen, billing, price: amount(chosen) }]);
      void saveAccount({ plan: chosen });
      const name = say(`price.${chosen}`);
      notice($("#bought"), say("checkout.bought", { plan: name }), true);
      $("#plan-name").textContent = name;
      label(chosen);
      scrollTo({ top: 0, behavior: "smooth" });
    };
  },

  settings() {
    const form = $("#profile");
    form.role.value = user.traits.role;
    form.onsubmit = async (event) => {
      event.preventDefault();
      engage.push(["track", "Profile Saved", { role: form.role.value }]);
      await saveAccount({ first_name: form.first_name.value, role: form.role.value });
      form.querySelector(".saved").textContent = say("settings.saved");
    };
    $("#ledger button").onclick = ({ target }) => {
      engage.push(["track", "Source Reconnected", { source: "ledger" }]);
      $("#ledger i").className = "ok";
      target.replaceWith(el("small", { textContent: say("source.reconnected") }));
    };
  },

  help() {
    const form = $("#contact");
    form.onsubmit = (event) => {
      event.preventDefault();
      engage.push(["track", "Support Requested", { length: form.message.value.length }]);
      form.reset();
      form.querySelector(".saved").textContent = say("help.sent");
    };
  },
};

const plans = () => [...document.querySelectorAll(".plan")].map((card) => [card.dataset.plan, card]);

function closeable(dialog) {
  dialog.querySelector("[data-close]").onclick = () => dialog.close();
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

/** Axis labels: 12k, 4万. */
function short(value, axis) {
  if (!axis) return money(value);
  const scaled = language === "ja" ? value * 150 : value;
  return new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 }).format(scaled);
}

function drawDashboard(range) {
  const { labels, revenue, before, metrics, products } = figures(range);
  $("#compared").textContent = say("dash.compared", { range: say(`dash.last_${range}`) });
  const told = { revenue: money, conversion: (value) => `${number(value, 1)} %` };
  $("#metrics").replaceChildren(
    ...metrics.map(({ id, value, change, line }) =>
      el(
        "article",
        { className: "card metric" },
        el("h2", { textContent: say(`dash.${id}`) }),
        el("p", { className: "figure", textContent: (told[id] ?? number)(value) }),
        el("div", { className: "foot" }, el("span", { className: change < 0 ? "down" : "up", textContent: `${number(Math.abs(change), 1)} %` }), sparkline(line)),
      ),
    ),
  );
  lineChart($("#chart"), { labels, now: revenue, before, format: short, title: say("dash.chart") });
  const most = Math.max(...products);
  $("#products").replaceChildren(
    ...products.map((value, at) => {
      const bar = el("i");
      bar.style.width = `${(value / most) * 100}%`;
      return el("li", {}, el("span", { textContent: say(`dash.product${at + 1}`) }), bar, el("b", { textContent: money(value) }));
    }),
  );
}

function showInvitation() {
  $("#late").replaceChildren($("#invite").content.cloneNode(true));
  const form = $("#invite-team form");
  form.onsubmit = (event) => {
    event.preventDefault();
    engage.push(["track", "Team Invited", { count: 1 }]);
    form.hidden = true;
    $("#invite-team .fine").hidden = false;
  };
}

/** A whole year is too much for one file, as the help article says; less than that works. */
function runExport(range) {
  const rows = ROWS[range];
  if (RANGES.indexOf(range) === RANGES.length - 1) {
    notice($("#export-notice"), say("dash.export_failed", { rows: number(rows) }), false);
    engage.push(["track", "Export Failed", { format: "csv", range, rows, reason: "too large" }]);
    return;
  }
  const { labels, revenue } = figures(range);
  const csv = ["date,revenue", ...labels.map((label, at) => `"${label}",${Math.round(revenue[at])}`)].join("\n");
  const file = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
  el("a", { href: file, download: `kanso-${range}.csv` }).click();
  notice($("#export-notice"), say("dash.exported", { rows: number(rows) }), true);
  engage.push(["track", "Report Exported", { format: "csv", range, rows }]);
}
