// Equity, kind of market, trades a day and drawdown in one chart with one time axis.

import { find, h } from "dashboard/dom.js";
import { percent } from "dashboard/format.js";

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const axis = () => ({
  gridcolor: colour("--line"), zeroline: false, linecolor: colour("--line"), automargin: true,
  tickfont: { color: colour("--muted"), size: 11 }, title: { font: { color: colour("--muted"), size: 11 }, standoff: 6 },
});

export const frame = () => ({
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, DejaVu Sans, sans-serif", color: colour("--ink") },
  margin: { l: 14, r: 14, t: 10, b: 26 }, showlegend: false, hovermode: "x unified",
  hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--line"), font: { color: colour("--ink"), size: 12 } },
});

export const OPTIONS = { displayModeBar: false, responsive: true, scrollZoom: false };

const line = (x, y, name, style, more = {}) => ({ type: "scatter", mode: "lines", x, y, name, line: style, hovertemplate: `%{y:,.2f}<extra>${name}</extra>`, ...more });

export function drawEquity(data) {
  const node = find("equity-chart");
  node.querySelector(".empty")?.remove();
  const at = (from, step) => (_, n) => from + n * step;
  const times = data.equity.map(at(data.start, data.step));
  const days = data.opened.map(at(data.start, data.day));
  const traces = [
    line(times, data.gross, "before fees", { color: colour("--target"), width: 1.2, dash: "dot" }),
    line(times, data.equity, "after fees", { color: colour("--up"), width: 1.8 }, { fill: "tonexty", fillcolor: colour("--drag") }),
    { type: "bar", x: days, y: data.opened, yaxis: "y3", name: "trades", width: data.day * 0.9, offset: data.day * 0.05, marker: { color: colour("--bars") }, hovertemplate: "%{y} trades<extra></extra>" },
    { type: "scatter", mode: "lines", x: times, y: data.water, yaxis: "y4", name: "drawdown", fill: "tozeroy", fillcolor: colour("--drag"), line: { color: colour("--down"), width: 1.2 }, hovertemplate: "%{y:.2%}<extra>drawdown</extra>" },
  ];
  if (data.hold) traces.splice(0, 0, line(data.hold.map(at(data.start, data.day)), data.hold, "buy and hold", { color: colour("--muted"), width: 1.3, dash: "dash" }));
  if (data.regimes.length) traces.push(regimeNames(data));
  const layout = {
    ...frame(), shapes: [...shading(data), ...strip(data)], bargap: 0,
    xaxis: { ...axis(), type: "date", anchor: "y4", range: [data.start, times[times.length - 1]], nticks: node.clientWidth < 520 ? 4 : 10, tickangle: 0, hoverformat: "%Y-%m-%d %H:%M" },
    yaxis: { ...axis(), domain: [0.44, 1], side: "right", tickformat: ",~r", nticks: 7 },
    yaxis2: { domain: [0.395, 0.425], visible: false, fixedrange: true, range: [0, 1] },
    yaxis3: { ...axis(), domain: [0.215, 0.36], side: "right", nticks: 4, rangemode: "tozero", fixedrange: true },
    yaxis4: { ...axis(), domain: [0, 0.175], side: "right", tickformat: ".0%", nticks: 4, fixedrange: true },
    annotations: [["Equity", 1], ["Trades a day", 0.378], ["Drawdown", 0.193]].map(([text, y]) => ({ text, x: 0, y, xref: "paper", yref: "paper", xanchor: "left", yanchor: "top", showarrow: false, font: { size: 11, color: colour("--muted") }, bgcolor: colour("--panel") })),
  };
  return window.Plotly.react(node, traces, layout, OPTIONS);
}

// An invisible line that names the kind of market where the mouse is.
function regimeNames(data) {
  const name = (day) => data.regime_names[data.regimes.find(([, first, last]) => first <= day && day < last)?.[0]] ?? "";
  const text = data.opened.map((_, day) => name(day));
  return { type: "scatter", mode: "markers", x: text.map((_, day) => data.start + (day + 0.5) * data.day), y: text.map(() => 0.5), yaxis: "y2", text, marker: { opacity: 0 }, hovertemplate: "%{text}<extra></extra>" };
}

function shading(data) {
  return data.oos.map(([x0, x1], n) => ({ type: "rect", layer: "below", xref: "x", yref: "paper", x0, x1, y0: 0.44, y1: 1, line: { width: n ? 1 : 0, color: colour("--line") }, fillcolor: colour("--oos") }));
}

function strip(data) {
  return data.regimes.map(([number, first, last]) => ({
    type: "rect", layer: "below", xref: "x", yref: "paper", x0: data.start + first * data.day, x1: data.start + last * data.day,
    y0: 0.395, y1: 0.425, line: { width: 0 }, fillcolor: colour(`--r${number}`),
  }));
}

// Two or more runs, each as growth of its own start: the page of a comparison.
export function drawGrowth(data) {
  const node = find("growth-chart");
  node.querySelector(".empty")?.remove();
  const dashes = ["solid", "dash", "dot", "dashdot"];
  const traces = data.runs.map((run, n) => ({
    type: "scatter", mode: "lines", name: run.name, x: run.growth.map((_, d) => run.start + d * data.day), y: run.growth,
    line: { color: colour(`--s${n % 6}`), width: 1.8, dash: dashes[Math.floor(n / 6) % 4] }, hovertemplate: `%{y:+.2%}<extra>${run.name}</extra>`,
  }));
  const layout = { ...frame(), xaxis: { ...axis(), type: "date", nticks: node.clientWidth < 520 ? 4 : 10, tickangle: 0 }, yaxis: { ...axis(), side: "right", tickformat: "+.0%" } };
  return window.Plotly.react(node, traces, layout, OPTIONS);
}

export const signed = (value) => percent(value, 2, true);
export { h };
