/** Lines drawn with SVG. */
import { el } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A path through the points that does not overshoot them (monotone in x). */
function smooth(points) {
  return points.reduce((path, [x, y], at) => {
    if (!at) return `M${x},${y}`;
    const [px, py] = points[at - 1];
    const middle = (px + x) / 2;
    return `${path}C${middle},${py} ${middle},${y} ${x},${y}`;
  }, "");
}

export function sparkline(values, width = 84, height = 30) {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const path = smooth(values.map((value, at) => [(at / (values.length - 1)) * width, height - 2 - ((value - low) / span) * (height - 4)]));
  return shape(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    shape("path", { d: `${path}L${width},${height}L0,${height}Z`, class: "area" }),
    shape("path", { d: path, "vector-effect": "non-scaling-stroke" }),
  );
}

/** The next of 1, 2, 5, 10, 20 … */
function roundStep(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((factor) => factor * size >= value) * size;
}

/** Two lines over the same time, the earlier one dashed; pointing at it tells the values. */
export function lineChart(holder, { labels, now, before, format, title, height = 250 }) {
  const width = Math.max(280, holder.clientWidth || 640);
  const left = 52;
  const bottom = 26;
  const step = roundStep(Math.max(...now, ...before) / 4);
  const top = Math.ceil(Math.max(...now, ...before) / step) * step;
  const x = (at) => left + (at / (now.length - 1)) * (width - left - 10);
  const y = (value) => 8 + (1 - value / top) * (height - bottom - 8);
  const points = (values) => values.map((value, at) => [x(at), y(value)]);
  const line = smooth(points(now));
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  svg.append(
    shape(
      "defs",
      {},
      shape(
        "linearGradient",
        { id: "fade", x1: 0, y1: 0, x2: 0, y2: 1 },
        shape("stop", { offset: 0, "stop-color": "#1f5c4d", "stop-opacity": 0.2 }),
        shape("stop", { offset: 1, "stop-color": "#1f5c4d", "stop-opacity": 0 }),
      ),
    ),
  );
  for (let value = 0; value <= top; value += step) {
    svg.append(shape("line", { x1: left, x2: width - 10, y1: y(value), y2: y(value), class: "grid" }));
    const text = shape("text", { x: left - 12, y: y(value) + 4, "text-anchor": "end" });
    text.textContent = format(value, true);
    svg.append(text);
  }
  const every = Math.ceil(labels.length / Math.floor(width / 64));
  labels.forEach((label, at) => {
    if (at % every) return;
    const text = shape("text", { x: x(at), y: height - 4, "text-anchor": "middle" });
    text.textContent = label;
    svg.append(text);
  });
  const dot = shape("circle", { r: 5, class: "dot" });
  svg.append(
    shape("path", { d: `${line}L${x(now.length - 1)},${y(0)}L${x(0)},${y(0)}Z`, fill: "url(#fade)", stroke: "none" }),
    shape("path", { d: smooth(points(before)), class: "before" }),
    shape("path", { d: line, class: "now" }),
    dot,
  );
  const tip = el("div", { className: "tip" });
  holder.classList.add("chart");
  holder.replaceChildren(svg, tip);
  holder.onpointermove = (event) => {
    const box = svg.getBoundingClientRect();
    const at = Math.round((((event.clientX - box.left) / box.width) * width - left) / ((width - left - 10) / (now.length - 1)));
    const index = Math.max(0, Math.min(now.length - 1, at));
    dot.setAttribute("cx", x(index));
    dot.setAttribute("cy", y(now[index]));
    tip.replaceChildren(labels[index], el("b", { textContent: format(now[index]) }));
    tip.style.left = `${Math.max(60, Math.min(box.width - 60, (x(index) / width) * box.width))}px`;
    tip.style.top = `${(y(now[index]) / height) * box.height}px`;
  };
}
