/** What all scripts share: the data that the backend wrote into the page, words in the chosen language, small helpers. */
export const { page, language, user, texts } = JSON.parse(document.getElementById("page-data").textContent);

/** A text with its {gaps} filled. */
export function say(key, gaps = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => gaps[name] ?? "");
}

/** Money in the currency of the language; figures are kept in dollars. */
export function money(dollars) {
  const yen = language === "ja";
  const form = new Intl.NumberFormat(language, { style: "currency", currency: yen ? "JPY" : "USD", maximumFractionDigits: 0 });
  return form.format(yen ? Math.round(dollars * 1.5) * 100 : dollars);
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export const $ = (selector) => document.querySelector(selector);

export function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Tells Kanso's backend something; its answer, or undefined when it refused. */
export async function tell(what, body = {}) {
  const reply = await fetch(`/backend/${what}`, { method: "POST", body: JSON.stringify(body) });
  return reply.ok ? reply.json() : undefined;
}
