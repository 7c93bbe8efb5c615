// Bars with fills, stop and target, drawn by plotly's own script from this machine.

import { fill, find, h } from "./dom.js";
import { get } from "./api.js";
import { money } from "./format.js";
import { showBars } from "./tables.js";

const plotly = new Promise((resolve) => {
  if (window.Plotly) resolve(window.Plotly);
  else find("plotly").addEventListener("load", () => resolve(window.Plotly));
});
const LINES = { stop: ["--down", "dash"], target: ["--target", "dash"], entry: ["--muted", "dot"] };
const chosen = { instrument: "", timeframe: "5m", revision: -1, busy: false };
let onChoice = () => {};
let newest = null;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const chosenInstrument = () => chosen.instrument;

export function choose(instrument) {
  chosen.instrument = instrument;
  chosen.revision = -1;
  find("instrument").value = instrument;
  onChoice();
}

function chooseTimeframe(timeframe) {
  chosen.timeframe = timeframe;
  chosen.revision = -1;
  for (const button of find("timeframes").children) mark(button);
  onChoice();
}

function mark(button) {
  const on = button.dataset.timeframe === chosen.timeframe;
  button.setAttribute("aria-checked", String(on));
  button.tabIndex = on ? 0 : -1;
}

export function startChart(redraw) {
  onChoice = redraw;
  find("instrument").addEventListener("change", (event) => choose(event.target.value));
  find("timeframes").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...find("timeframes").children];
    const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
    next.focus();
    chooseTimeframe(next.dataset.timeframe);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => newest && draw(newest));
}

export function offer(instruments) {
  const select = find("instrument");
  const names = instruments.map((i) => i.instrument);
  if (names.join() !== [...select.options].map((o) => o.value).join()) {
    fill(select, names.map((name) => h("option", { value: name }, name)));
    if (!names.includes(chosen.instrument)) chosen.instrument = names[0] ?? "";
    select.value = chosen.instrument;
  }
  const timeframes = instruments[0]?.timeframes ?? [];
  if (find("timeframes").children.length !== timeframes.length) {
    fill(find("timeframes"), timeframes.map((t) => h("button", { type: "button", role: "radio", "data-timeframe": t, onclick: () => chooseTimeframe(t) }, t)));
    for (const button of find("timeframes").children) mark(button);
  }
  showQuote(instruments.find((i) => i.instrument === chosen.instrument));
}

function showQuote(row) {
  if (!row) return;
  const spread = row.bid && row.ask ? (Number(row.ask) - Number(row.bid)) / Number(row.mark) : null;
  fill(find("quote"), h("b", {}, money(row.mark)), row.bid ? `${money(row.bid)} / ${money(row.ask)}, spread ${(spread * 10000).toFixed(2)} bps` : "no quote yet");
}

// Fetches the chart when it moved; one request at a time.
export async function refresh(revision) {
  if (chosen.busy || !chosen.instrument || revision === chosen.revision) return;
  chosen.busy = true;
  chosen.revision = revision;
  try {
    const query = new URLSearchParams({ instrument: chosen.instrument, timeframe: chosen.timeframe });
    newest = await get(`/api/v1/chart?${query}`);
    await draw(newest);
  } catch {
    chosen.revision = -1; // the stream's own silence tells people; the next view tries again
  } finally {
    chosen.busy = false;
  }
}

async function draw(chart) {
  const Plotly = await plotly;
  const node = find("chart");
  if (!chart.bars.time.length) {
    Plotly.purge(node);
    fill(node, h("p", { class: "empty" }, `No ${chart.timeframe} bar of ${chart.instrument} has closed yet.`));
    return;
  }
  node.querySelector(".empty")?.remove();
  const traces = [candles(chart.bars), volume(chart.bars), ...fillMarks(chart.fills)];
  await Plotly.react(node, traces, layout(chart), { displayModeBar: false, responsive: true, scrollZoom: false });
  showBars(chart.bars);
}

function candles(bars) {
  const shape = (name, filled) => ({ line: { color: colour(name), width: 1.2 }, fillcolor: filled ? colour(name) : colour("--panel") });
  return {
    type: "candlestick", x: bars.time, open: bars.open, high: bars.high, low: bars.low, close: bars.close,
    increasing: shape("--up", false), decreasing: shape("--down", true), whiskerwidth: 0, name: "bar", showlegend: false,
  };
}

function volume(bars) {
  return { type: "bar", x: bars.time, y: bars.volume, yaxis: "y2", marker: { color: colour("--hold"), opacity: 0.55, line: { width: 0 } }, hoverinfo: "skip", showlegend: false };
}

function fillMarks(fills) {
  return ["buy", "sell"].map((side) => {
    const rows = fills.filter((f) => f.side === side);
    const shape = side === "buy" ? "triangle-up" : "triangle-down";
    return {
      type: "scatter", mode: "markers", x: rows.map((f) => f.time), y: rows.map((f) => f.price), showlegend: false, name: side,
      text: rows.map((f) => `${f.purpose || "fill"}: ${side} ${f.quantity} at ${f.price}`), hoverinfo: "text",
      marker: { symbol: shape, size: 11, color: colour(side === "buy" ? "--up" : "--down"), line: { width: 1, color: colour("--panel") } },
    };
  });
}

function layout(chart) {
  const axis = { gridcolor: colour("--line"), zeroline: false, linecolor: colour("--line"), tickfont: { color: colour("--muted"), size: 11 }, automargin: true };
  const lines = chart.lines.map((line) => {
    const [name, dash] = LINES[line.kind];
    return { type: "line", layer: "above", xref: "paper", yref: "y", x0: 0, x1: 1, y0: line.price, y1: line.price, line: { color: colour(name), width: 1.4, dash } };
  });
  // Lines of two accounts, and an entry close to its stop, lie on each other: their names stand side by side.
  const accounts = [...new Set(chart.lines.map((line) => line.account))];
  const place = (line) => 0.004 + 0.22 * accounts.indexOf(line.account) + (line.kind === "entry" ? 0.11 : 0);
  const named = (line) => (accounts.length > 1 ? `${line.account} ${line.kind}` : line.kind);
  const notes = chart.lines.map((line) => ({
    xref: "paper", yref: "y", x: place(line), xanchor: "left", y: line.price, yanchor: "bottom", showarrow: false, text: named(line),
    font: { size: 11, color: colour("--muted") }, bgcolor: colour("--panel"), borderpad: 1,
  }));
  const narrow = find("chart").clientWidth < 520;
  return {
    uirevision: `${chart.instrument} ${chart.timeframe}`, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, DejaVu Sans, sans-serif", color: colour("--ink") }, margin: { l: 12, r: 60, t: 10, b: 26 }, dragmode: "pan",
    hovermode: "x", hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--line"), font: { color: colour("--ink"), size: 12 } },
    xaxis: { ...axis, type: "date", anchor: "y2", rangeslider: { visible: false }, tickangle: 0, nticks: narrow ? 4 : 9 },
    yaxis: { ...axis, side: "right", domain: [0.16, 1], tickformat: ",~r", nticks: 8 },
    yaxis2: { domain: [0, 0.12], visible: false, fixedrange: true }, shapes: lines, annotations: notes, bargap: 0.35,
  };
}
