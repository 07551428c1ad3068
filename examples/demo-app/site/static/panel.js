/** The Engage panel: follows, live, what Engage makes of the person at this browser. The data come through Kanso's
 * backend, which asks Engage with the secret key. What was seen already is kept for the next page, so nothing flickers. */
import { createFeed } from "./panel_feed.js";
import { $, language, say, texts, user } from "./words.js";

const KEPT = 80; // records
const OPEN = "engage-panel.open";
const JOURNEYS = () => [...document.querySelectorAll("#panel-journeys li")];

export function startPanel() {
  const panel = $("#engage-panel");
  layOnTop(panel);
  openAndClose(panel);
  const name = user?.traits.first_name;
  $("#panel-who").textContent = name ? say("panel.user", { name }) : say("panel.visitor");
  engage.push(["on", "ready", () => follow(user?.userId ?? engage.anonymousId)]);
}

/** Into the browser's top layer: a tour darkens the page, and the panel beside it stays readable. */
function layOnTop(panel) {
  if (!panel.showPopover) return;
  panel.popover = "manual";
  panel.showPopover();
}

function openAndClose(panel) {
  const narrow = matchMedia("(width <= 1000px)");
  const button = $("#panel-toggle");
  const show = (open) => {
    panel.dataset.open = open ? "yes" : "no";
    button.setAttribute("aria-expanded", String(open));
  };
  const wanted = () => !narrow.matches && localStorage.getItem(OPEN) !== "no";
  button.onclick = () => {
    const open = panel.dataset.open === "no";
    if (!narrow.matches) localStorage.setItem(OPEN, open ? "yes" : "no");
    show(open);
  };
  // The bar on a phone is one button.
  panel.querySelector("header").addEventListener("click", ({ target }) => narrow.matches && !button.contains(target) && button.click());
  narrow.onchange = () => show(wanted());
  show(wanted());
}

function follow(person) {
  const memory = `engage-panel.${person}.${language}`;
  const feed = createFeed($("#panel-feed"), { latest, delivered });
  const kept = recall(memory);
  let source;

  if (kept.rules) feed.setRules(kept.rules);
  for (const record of kept.records) feed.add(record, false);
  empty();

  function connect() {
    if (source || document.visibilityState === "hidden") return;
    source = new EventSource(`/backend/activity?${new URLSearchParams({ visitor: engage.anonymousId, after: kept.cursor })}`);
    source.addEventListener("rules", ({ data }) => {
      const { version, rules } = JSON.parse(data);
      const changed = kept.version !== undefined && kept.version !== version;
      Object.assign(kept, { rules: named(rules), version });
      feed.setRules(kept.rules);
      if (changed) feed.announce(say("panel.changed"), say("panel.changed_how", { version }));
      keep();
      online(true);
    });
    source.addEventListener("records", ({ data, lastEventId }) => {
      const records = JSON.parse(data);
      const first = !kept.cursor; // a person's past, all at once
      for (const record of records) feed.add(record, !first);
      kept.records = [...kept.records, ...records].slice(-KEPT);
      kept.cursor = lastEventId;
      empty();
      keep();
      online(true);
    });
    source.addEventListener("away", () => online(false));
    source.onerror = () => online(false);
  }
  function disconnect() {
    source?.close();
    source = undefined;
  }
  function keep() {
    sessionStorage.setItem(memory, JSON.stringify(kept));
  }
  function empty() {
    $("#panel-empty").hidden = kept.records.length > 0;
  }
  document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? disconnect() : connect()));
  addEventListener("pagehide", disconnect);
  connect();
}

function recall(memory) {
  const nothing = { records: [], cursor: "" };
  try {
    return JSON.parse(sessionStorage.getItem(memory)) ?? nothing;
  } catch {
    return nothing;
  }
}

/** Rules by id, with their names and descriptions in the page's language where Kanso has them. */
function named(rules) {
  const inWords = (text, otherwise) => (text ? (texts[`rule:${text}`] ?? text) : otherwise);
  return Object.fromEntries(rules.map(({ id, name, description }) => [id, { name: inWords(name, id), description: inWords(description, "") }]));
}

function online(is) {
  const light = $("#panel-live");
  light.classList.toggle("away", !is);
  light.title = say(is ? "panel.live" : "panel.away");
}

/** On a phone the folded panel is one line: the last decision. */
function latest(words) {
  $("#panel-latest").textContent = words;
}

function delivered(ruleId) {
  for (const item of JOURNEYS()) if (item.dataset.rule === ruleId) item.classList.add("done");
}
