// One trade in its market: the bars around it, where it was entered, where and why it ended.

import { find } from "dashboard/dom.js";
import { money, signed } from "dashboard/format.js";
import { axis, colour, frame, OPTIONS } from "report/charts.js";

const shown = { trip: null, bars: null };

export function startView(move) {
  find("view-close").addEventListener("click", () => find("view").close());
  find("view-previous").addEventListener("click", () => move(shown.trip, -1));
  find("view-next").addEventListener("click", () => move(shown.trip, 1));
  find("view").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) move(shown.trip, step);
  });
  find("view").addEventListener("close", () => window.Plotly.purge(find("view-chart")));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => find("view").open && view(shown.trip, shown.bars));
}

export function view(trip, bars) {
  Object.assign(shown, { trip, bars });
  const dialog = find("view");
  find("view-title").textContent = `${trip.instrument} ${trip.side}, ended by ${trip.ended}`;
  const said = `${money(trip.quantity)} in at ${money(trip.entry)}, out at ${money(trip.exit)}: ${signed(trip.gross.toFixed(2))} of prices, ${money(trip.fees.toFixed(2))} of fees, ${signed(trip.net.toFixed(2))} net.`;
  find("view-words").textContent = trip.reason ? `${said} Why: ${trip.reason}.` : said;
  if (!dialog.open) dialog.showModal();
  return draw(trip, bars);
}

function draw(trip, [x, open, high, low, close]) {
  const shape = (name, filled) => ({ line: { color: colour(name), width: 1.2 }, fillcolor: filled ? colour(name) : colour("--panel") });
  const long = trip.side === "long";
  const point = (ms, price, text, buy) => ({
    type: "scatter", mode: "markers", x: [ms], y: [Number(price)], hovertemplate: `${text} %{y}<extra></extra>`,
    marker: { symbol: buy ? "triangle-up" : "triangle-down", size: 13, color: colour(buy ? "--up" : "--down"), line: { width: 1.5, color: colour("--panel") } },
  });
  const candles = { type: "candlestick", x, open, high, low, close, increasing: shape("--up", false), decreasing: shape("--down", true), whiskerwidth: 0, name: "bar" };
  const traces = [candles, point(trip.opened, trip.entry, long ? "bought" : "sold", long), point(trip.closed, trip.exit, `out by ${trip.ended}`, !long)];
  const level = (price, dash, name) => ({ type: "line", xref: "x", yref: "y", x0: trip.opened, x1: trip.closed, y0: Number(price), y1: Number(price), line: { color: colour(name), width: 1.3, dash } });
  const ended = trip.ended === "stop" || trip.ended === "liquidation" ? "--down" : trip.ended === "target" ? "--target" : "--muted";
  const path = { type: "line", xref: "x", yref: "y", x0: trip.opened, x1: trip.closed, y0: Number(trip.entry), y1: Number(trip.exit), line: { color: colour("--muted"), width: 1, dash: "dot" } };
  // Left of the entry and right of the exit, so that names hide neither the marks nor each other.
  const note = (ms, price, text, side) => ({ x: ms, y: Number(price), xref: "x", yref: "y", text, showarrow: false, xanchor: side, xshift: side === "right" ? -10 : 10, font: { size: 11, color: colour("--ink") }, bgcolor: colour("--panel"), opacity: 0.85, borderpad: 1 });
  const narrow = find("view-chart").clientWidth < 520;
  const layout = {
    ...frame(), hovermode: "closest", dragmode: "pan", shapes: [level(trip.entry, "dot", "--muted"), level(trip.exit, "dash", ended), path],
    annotations: [note(trip.opened, trip.entry, "entry", "right"), note(trip.closed, trip.exit, trip.ended, "left")],
    xaxis: { ...axis(), type: "date", rangeslider: { visible: false }, nticks: narrow ? 4 : 9, tickangle: 0 },
    yaxis: { ...axis(), side: "right", tickformat: ",~r", nticks: 8 },
  };
  return window.Plotly.react(find("view-chart"), traces, layout, OPTIONS);
}
