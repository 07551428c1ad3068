/** Kanso's figures: made up, but always the same ones, and they add up. */
import { language } from "./words.js";

const DAY = 86400000;
const SHAPE = {
  "7d": { points: 7, step: DAY, base: 1480, swing: 0.16, growth: 0.1 },
  "30d": { points: 30, step: DAY, base: 1420, swing: 0.2, growth: 0.12 },
  "12m": { points: 12, step: 30.4 * DAY, base: 39600, swing: 0.09, growth: 0.28 },
};
export const RANGES = Object.keys(SHAPE);
export const ROWS = { "7d": 2604, "30d": 11190, "12m": 148210 };

function wave(seed, index) {
  return Math.sin(index * 1.7 + seed) * 0.5 + Math.sin(index * 0.63 + seed * 2.3) * 0.35 + Math.sin(index * 2.9 + seed * 0.7) * 0.15;
}

function line(range, seed, scale = 1, shift = 0) {
  const { points, base, swing, growth } = SHAPE[range];
  return Array.from({ length: points }, (_, at) => base * scale * (1 + growth * (at / points + shift) + swing * wave(seed, at)));
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const change = (now, before) => (sum(now) / sum(before) - 1) * 100;

export function figures(range) {
  const revenue = line(range, 1.1);
  const before = line(range, 4.2, 0.9, -0.12);
  const orders = line(range, 2.4, 0.0118);
  const visitors = line(range, 5.3, 0.372);
  const conversion = orders.map((value, at) => (value / visitors[at]) * 100);
  const conversionNow = (sum(orders) / sum(visitors)) * 100;
  return {
    labels: labels(range),
    revenue,
    before,
    metrics: [
      { id: "revenue", value: sum(revenue), change: change(revenue, before), line: revenue },
      { id: "orders", value: sum(orders), change: change(orders, line(range, 3.3, 0.0108)), line: orders },
      { id: "visitors", value: sum(visitors), change: change(visitors, line(range, 2.2, 0.381, 0.08)), line: visitors },
      { id: "conversion", value: conversionNow, change: 4.8, line: conversion },
    ],
    products: [0.34, 0.26, 0.22, 0.11].map((share) => share * sum(revenue)),
  };
}

function labels(range) {
  const { points, step } = SHAPE[range];
  const form = new Intl.DateTimeFormat(language, range === "12m" ? { month: "short" } : range === "7d" ? { weekday: "short" } : { month: "numeric", day: "numeric" });
  const now = new Date();
  return Array.from({ length: points }, (_, at) => {
    const back = points - 1 - at;
    return form.format(range === "12m" ? new Date(now.getFullYear(), now.getMonth() - back, 1) : new Date(now.getTime() - back * step));
  });
}

/** A small line for a project, different for each name. */
export function projectLine(name) {
  const seed = [...name].reduce((value, letter) => (value * 31 + letter.codePointAt(0)) % 997, 7);
  return Array.from({ length: 14 }, (_, at) => 10 + at * 0.35 + 3.4 * wave(seed, at));
}
