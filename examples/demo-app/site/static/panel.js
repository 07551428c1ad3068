/** The side panel: asks this app's backend (which asks Engage with the secret key) what was decided, and shows it. */
import { language, say } from "./texts.js";

const KEPT = 40;
const $ = (selector) => document.querySelector(selector);

function line(tag, className, text) {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

function eventLine(record) {
  const row = line("div", "event", "");
  const { event } = record;
  const name = line("span", "", event ? (say.events[event.name] ?? event.name) : say.events.timer);
  if (event?.path) name.append(" ", line("code", "", event.path));
  const time = line("time", "", new Date(record.at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" }));
  row.append(name, time);
  return row;
}

const LOOK = { matched: "good", delayed: "wait", waiting: "wait", cancelled: "bad", withdrawn: "bad", error: "bad" };

function ruleLine(considered, delivery, names) {
  const card = line("div", `rule ${LOOK[considered.outcome] ?? ""}`, "");
  const said = delivery ? say.sent(say.kinds[delivery.kind] ?? delivery.kind) : say.outcomes[considered.outcome] ?? considered.outcome;
  const detail = considered.detail && !delivery ? ` · ${considered.detail}` : "";
  card.append(line("b", "", names[considered.rule_id] ?? considered.rule_id), line("span", "result", said + detail));
  return card;
}

function entry(record, names) {
  const item = line("li", record.deliveries.length ? "woke decided" : record.considered.length ? "woke" : "", "");
  item.append(eventLine(record));
  for (const considered of record.considered) {
    item.append(ruleLine(considered, considered.outcome === "matched" && record.deliveries.find((one) => one.rule_id === considered.rule_id), names));
  }
  const echo = record.event?.properties?.delivery_id; // what people do with a message comes back as an event
  if (echo) item.className = "echo";
  else if (!record.considered.length) item.append(line("p", "none", say.none));
  return item;
}

/** The userId, or the visitor's anonymousId once the snippet has made one. */
async function person(user) {
  if (user) return user.userId;
  while (!window.engage.anonymousId) await new Promise((resolve) => setTimeout(resolve, 100));
  return window.engage.anonymousId;
}

async function follow(user) {
  const id = await person(user);
  let after = "";
  for (;;) {
    try {
      const reply = await fetch(`/backend/activity?id=${encodeURIComponent(id)}&after=${after}&language=${language}`);
      if (!reply.ok) throw new Error(String(reply.status));
      const { records, cursor, names } = await reply.json();
      after = cursor;
      const list = $("#panel-list");
      for (const record of records) list.prepend(entry(record, names));
      while (list.children.length > KEPT) list.lastChild.remove();
      $("#panel-empty").hidden = list.children.length > 0;
      $(".pulse").classList.remove("off");
    } catch {
      $(".pulse").classList.add("off"); // Engage restarts, or the page is being left
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

export function startPanel(user) {
  const toggle = $("#panel-toggle");
  const narrow = matchMedia("(max-width: 980px)");
  toggle.setAttribute("aria-expanded", String(!narrow.matches));
  toggle.onclick = () => narrow.matches && toggle.setAttribute("aria-expanded", String(toggle.getAttribute("aria-expanded") !== "true"));
  void follow(user);
}
