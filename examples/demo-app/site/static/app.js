import { chooseLanguage, language, say, translate } from "./texts.js";
import { startPanel } from "./panel.js";

const $ = (selector) => document.querySelector(selector);
const engage = window.engage;
const page = document.body.dataset.page;
const user = JSON.parse(localStorage.getItem("kanso.user") ?? "null");

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function shell() {
  translate();
  document.title = `${$(`nav a[href="/${page}"]`)?.textContent ?? "Kanso"} · Kanso`;
  $(`nav a[href="/${page}"]`)?.setAttribute("aria-current", "page");
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
    button.onclick = () => chooseLanguage(button.dataset.language);
  }
  if (user) {
    $(".who").hidden = false;
    $(".avatar").textContent = user.traits.first_name.slice(0, 1).toUpperCase();
    $("#sign-out").onclick = () => {
      engage.push(["reset"]);
      localStorage.removeItem("kanso.user");
      location.href = "/";
    };
  } else {
    $("#sign-in-link").hidden = page === "index";
  }
}

/** Signing in as any product does it: the backend says who it is, and proves it to Engage with the userHash. */
async function signIn(form) {
  const fields = Object.fromEntries(new FormData(form));
  const reply = await fetch("/backend/sign-in", { method: "POST", body: JSON.stringify(fields) });
  const { userId, userHash, isNew } = await reply.json();
  const traits = { first_name: fields.first_name, email: fields.email, plan: "free", locale: language };
  localStorage.setItem("kanso.user", JSON.stringify({ userId, userHash, traits }));
  engage.push(["identify", userId, traits, { userHash }]);
  engage.push(["track", isNew ? "Signed Up" : "Signed In", {}]);
  location.href = "/dashboard";
}

function identify(changes) {
  Object.assign(user.traits, changes);
  localStorage.setItem("kanso.user", JSON.stringify(user));
  engage.push(["identify", user.userId, user.traits, { userHash: user.userHash }]);
}

const PAGES = {
  index() {
    $("#sign-up").onsubmit = (event) => {
      event.preventDefault();
      void signIn(event.target);
    };
  },
  dashboard() {
    $("#greeting").textContent = say.hello(user.traits.first_name);
    drawChart();
    setTimeout(showInvite, 2000); // as a slow backend would: the tour waits for it
    $("#export").onclick = () => {
      const notice = Object.assign($("#export-notice"), { hidden: false, textContent: say.preparing });
      setTimeout(() => {
        notice.textContent = say.failed;
        engage.push(["track", "Export Failed", { format: "csv", reason: "too large", rows: 48210 }]);
      }, 400);
    };
  },
  projects() {
    const list = $("#project-list");
    const add = (name, note, first) => {
      const row = make("div", { className: "project" }, make("i", { textContent: name.slice(0, 1) }), make("span", {}, make("b", { textContent: name }), make("small", { textContent: note })));
      first ? list.prepend(row) : list.append(row);
    };
    for (const [name, note] of say.projects) add(name, note);
    $("#new-project").onclick = () => {
      add(say.newProject, say.justNow, true);
      engage.push(["track", "Project Created", { source: "shop" }]);
    };
  },
  pricing() {
    let chosen;
    const name = (plan) => $(`.plan:has([data-plan=${plan}]) h2`).textContent;
    for (const button of document.querySelectorAll("[data-plan]")) {
      button.onclick = () => {
        chosen = button.dataset.plan;
        engage.push(["track", "Plan Selected", { plan: chosen }]);
        $("#checkout-text").textContent = say.checkout(name(chosen));
        $("#checkout").hidden = false;
        $("#checkout").scrollIntoView({ behavior: "smooth", block: "center" });
      };
    }
    $("#not-yet").onclick = () => ($("#checkout").hidden = true);
    $("#buy").onclick = () => {
      engage.push(["track", "Plan Purchased", { plan: chosen }]);
      if (user) identify({ plan: chosen });
      $("#checkout").hidden = true;
      Object.assign($("#bought"), { hidden: false, textContent: say.bought(name(chosen)) });
      window.scrollTo({ top: 0, behavior: "smooth" });
    };
  },
  settings() {
    const form = $("#profile");
    form.first_name.value = user.traits.first_name;
    form.role.value = user.traits.role ?? "owner";
    form.onsubmit = (event) => {
      event.preventDefault();
      identify(Object.fromEntries(new FormData(form)));
      $("#saved").textContent = say.saved;
    };
  },
  help() {},
};

function showInvite() {
  const button = make("button", { className: "button ghost wide", type: "button", textContent: say.inviteButton });
  const card = make("section", { className: "card appear", id: "invite-team" }, make("h2", { textContent: say.invite }), make("p", { className: "fine", textContent: say.inviteText }), make("p"), button);
  button.onclick = () => {
    engage.push(["track", "Team Invited", {}]);
    button.textContent = say.invited;
    button.disabled = true;
  };
  $("#late").replaceChildren(card);
}

function drawChart() {
  const values = [142, 168, 151, 203, 224, 187, 209];
  const svg = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    return element;
  };
  const points = values.map((value, day) => [30 + day * 90, 200 - value * 0.72]);
  const line = "M" + points.map((point) => point.join(" ")).join("L");
  const root = svg("svg", { viewBox: "0 0 600 230", role: "img" });
  for (const y of [40, 90, 140, 190]) root.append(svg("line", { x1: 10, x2: 590, y1: y, y2: y, stroke: "#efede5" }));
  root.append(svg("path", { d: `${line}L570 205L30 205Z`, fill: "#e4efe9" }), svg("path", { d: line, fill: "none", stroke: "#234e46", "stroke-width": 2.5, "stroke-linejoin": "round" }));
  points.forEach(([x, y], day) => root.append(svg("circle", { cx: x, cy: y, r: 4, fill: "#fff", stroke: "#234e46", "stroke-width": 2 }), svg("text", { x, y: 224, "text-anchor": "middle" }, say.days[day])));
  $("#chart").append(root);
}

const MEMBERS_ONLY = ["dashboard", "projects", "settings"];
if (!user && MEMBERS_ONLY.includes(page)) {
  location.replace("/");
} else {
  shell();
  PAGES[page]();
  startPanel(user);
}
