/** One entry for each event, newest on top: what happened, the rules it woke, what each of them came to, and why. */
import { el, language, say, texts } from "./words.js";

const SHOWN = 60;
const INTERACTIONS = new Set(["Message Shown", "Message Clicked", "Message Dismissed", "Message Completed", "Tour Step Viewed", "Handoff Requested"]);
const UNITS = { ms: 1, s: 1000, m: 60000, h: 3600000, d: 86400000, w: 604800000 };
const LOOK = { matched: "yes", delayed: "wait", waiting: "wait", queued: "wait", cancelled: "off", withdrawn: "off", expired: "off", failed: "off", suspended: "off", error: "off" };

/** `hooks.latest(words)` hears of each decision, `hooks.delivered(ruleId)` of each message that was sent. */
export function createFeed(list, hooks) {
  let rules = {};
  const waits = new Map(); // rule id → the verdict that counts down
  const trails = new Map(); // delivery id → what the person did with the message

  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

  function head(words, detail, at) {
    const time = el("time", { textContent: clock.format(at), dateTime: new Date(at).toISOString() });
    return el("div", { className: "what" }, el("span", {}, el("b", { textContent: words }), detail ? el("small", { textContent: ` ${detail}` }) : ""), time);
  }

  function put(item, isNew) {
    if (isNew) item.classList.add("new");
    list.prepend(item);
    while (list.children.length > SHOWN) list.lastElementChild.remove();
  }

  function add(record, isNew) {
    const { event } = record;
    const known = event && INTERACTIONS.has(event.name) && trails.get(event.properties.delivery_id);
    if (known) known(event);
    if (known && !record.considered.length) return;
    const [words, detail] = sentence(event);
    const item = el("li", {}, head(words, detail, record.at));
    item.dataset.event = event?.name ?? "timer";
    for (const considered of record.considered) {
      const delivery = considered.outcome === "matched" && record.deliveries.find((one) => one.rule_id === considered.rule_id);
      item.append(verdict(considered, delivery, record.at));
      item.classList.add("woke");
    }
    put(item, isNew);
  }

  function verdict({ rule_id, outcome, detail }, delivery, at) {
    const { name, description } = rules[rule_id] ?? { name: rule_id, description: "" };
    const result = say(...RESULTS[outcome]?.(detail, delivery) ?? ["out.error", { why: outcome }]);
    const look = LOOK[outcome] ?? "no";
    const card = el("div", { className: `verdict ${look}` }, el("b", { textContent: name }), el("span", { className: "result" }, sign(look), result));
    card.dataset.rule = rule_id;
    card.dataset.outcome = outcome;
    if (description && (outcome === "not_matched" || outcome === "matched")) card.append(el("p", { className: "when", textContent: `${say("panel.when")}: ${description}` }));
    if (["matched", "cancelled"].includes(outcome)) finishWait(rule_id);
    if (outcome === "delayed" && duration(detail)) startWait(rule_id, card, at + duration(detail), duration(detail));
    if (delivery) {
      card.append(trail(delivery));
      hooks.delivered(rule_id);
    }
    hooks.latest(result);
    return card;
  }

  function startWait(ruleId, card, until, length) {
    finishWait(ruleId);
    const bar = el("i");
    const words = el("span");
    card.append(el("div", { className: "countdown" }, bar, words));
    const tick = () => {
      const left = until - Date.now();
      bar.style.setProperty("--left", Math.max(0, left / length));
      words.textContent = say("out.delayed_left", { seconds: Math.max(0, Math.ceil(left / 1000)) });
      if (left <= 0) finishWait(ruleId);
    };
    waits.set(ruleId, { card, timer: setInterval(tick, 200) });
    tick();
  }

  function finishWait(ruleId) {
    const wait = waits.get(ruleId);
    if (!wait) return;
    clearInterval(wait.timer);
    wait.card.classList.add("over");
    waits.delete(ruleId);
  }

  function trail(delivery) {
    const holder = el("div", { className: "trail" }, el("span", { className: "pending", textContent: say("trail.on_its_way") }));
    let step;
    trails.set(delivery.delivery_id, ({ name, properties }) => {
      const words = reaction(name, properties, delivery);
      if (!words) return;
      holder.querySelector(".pending")?.remove();
      const chip = name === "Tour Step Viewed" && step ? step : holder.appendChild(el("span"));
      chip.textContent = words;
      if (name === "Tour Step Viewed") step = chip;
    });
    return holder;
  }

  return {
    add,
    setRules: (known) => (rules = known),
    announce(words, detail) {
      const item = el("li", { className: "woke" }, head(words, detail, Date.now()));
      item.dataset.event = "rules";
      put(item, true);
      hooks.latest(words);
    },
  };
}

/** Each outcome → the text that tells it. */
const RESULTS = {
  matched: (_, delivery) => ["out.matched", { kind: say(texts[`kind.${delivery?.kind}`] ? `kind.${delivery.kind}` : "kind.other") }],
  delayed: (detail) => (duration(detail) ? ["out.delayed", { time: spoken(duration(detail)) }] : ["out.delayed_again"]),
  not_matched: () => ["out.not_matched"],
  capped: (detail) => (detail === "1 of 1" ? ["out.capped"] : ["out.capped_of", { detail }]),
  cancelled: (detail) => ["out.cancelled", { why: why(detail) }],
  outside_schedule: () => ["out.outside_schedule", {}],
  withdrawn: (detail) => ["out.withdrawn", { why: why(detail) }],
  waiting: () => ["out.waiting"],
  holdout: () => ["out.holdout"],
  limited: () => ["out.limited"],
  lost: () => ["out.lost"],
  queued: () => ["out.queued"],
  expired: () => ["out.expired"],
  failed: () => ["out.failed"],
  suspended: () => ["out.suspended"],
  error: (detail) => ["out.error", { why: detail }],
};

const SIGNS = { yes: "M4 8.5l2.6 2.6L12 5.4", wait: "M8 4.6V8l2.3 1.7", off: "M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6", no: "M5 8h6" };

function sign(look) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SIGNS[look]);
  svg.append(path);
  return svg;
}

/** What happened, as [words, detail]. */
function sentence(event) {
  if (!event) return [say("event.timer")];
  const { name, type, properties = {} } = event;
  if (type === "page") {
    const path = event.path ?? properties.path ?? "";
    if (path === "/") return [say("event.page_index")];
    return [say("event.page", { page: texts[`page.${path.slice(1)}`] ?? path })];
  }
  const words = texts[`event.${name}`] ? say(`event.${name}`, { ...properties, plan: texts[`price.${properties.plan}`] ?? "" }) : name;
  const range = texts[`dash.range_${properties.range}`];
  return [words, range ? `· ${range}` : ""];
}

/** What the person did with a message, in a word or two. */
function reaction(name, properties, { kind }) {
  if (name === "Tour Step Viewed") return say("trail.step", { step: properties.step });
  if (name !== "Message Clicked") return texts[`trail.${name}`];
  if (properties.reply) return say("trail.reply", properties);
  return kind === "article" ? say("trail.read") : undefined;
}

/** `Plan Selected happened` → what the person did. */
function why(detail) {
  const event = /^(.+) happened$/.exec(detail)?.[1];
  if (!event) return detail.includes("no longer live") ? say("why.gone") : detail;
  return texts[`why.${event}`] ?? say("why.other", { event });
}

/** `1m30s` → 90000 */
function duration(words) {
  const parts = [...words.matchAll(/(\d+)(ms|[smhdw])/g)];
  return parts.reduce((total, [, count, unit]) => total + count * UNITS[unit], 0);
}

function spoken(ms) {
  const [unit, size] = ms < 120000 ? ["second", 1000] : ms < 7200000 ? ["minute", 60000] : ms < 172800000 ? ["hour", 3600000] : ["day", 86400000];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: language === "ja" ? "short" : "long" }).format(Math.round(ms / size));
}
