// Positions, orders, fills, notices, session facts.

import { empty, fill, find, h, table } from "./dom.js";
import { arrow, clock, lean, moment, money, percent, signed } from "./format.js";

const part = (id, count, ...content) => {
  find(id).querySelector(".count").textContent = count;
  fill(find(id).querySelector(".body"), ...content);
};

const sided = (side) => {
  const up = side === "buy" || side === "long";
  return h("span", { class: up ? "up" : "down" }, `${up ? "\u25b2" : "\u25bc"} ${side}`);
};

const under = (text) => h("span", { class: "under" }, text);

const distanced = (price, distance) =>
  price === null ? h("span", { class: "muted" }, "none") : h("span", {}, money(price), under(percent(distance, 2, true)));

const POSITIONS = [
  { name: "Instrument", kind: "name", cell: (r) => r.instrument },
  { name: "Side", kind: "tight", cell: (r) => sided(r.side) },
  { name: "Quantity", kind: "number", cell: (r) => money(r.quantity) },
  { name: "Entry", kind: "number", cell: (r) => money(r.entry) },
  { name: "Mark", kind: "number", cell: (r) => money(r.mark) },
  {
    name: "Unrealised",
    kind: "number",
    cell: (r) => {
      const value = Number(r.unrealised ?? 0);
      return h("span", { class: lean(value) }, `${arrow(value)} ${signed(r.unrealised)}`, under(percent(r.unrealised_ratio, 2, true)));
    },
  },
  { name: "Stop", kind: "number", cell: (r) => distanced(r.stop, r.stop_distance) },
  { name: "Target", kind: "number", cell: (r) => distanced(r.target, r.target_distance) },
  { name: "Opened", kind: "number", cell: (r) => h("span", { title: moment(r.opened) }, clock(r.opened)) },
  { name: "Trader", kind: "tight", cell: (r) => r.trader || r.account },
];

export function showPositions(rows, currency) {
  const notional = rows.reduce((sum, r) => sum + Number(r.notional), 0);
  const count = rows.length ? `${rows.length} open, ${money(notional.toFixed(0))} ${currency} notional` : "flat";
  part("positions", count, rows.length ? table("Open positions", POSITIONS, rows) : empty("No position is open."));
}

const ORDERS = [
  { name: "Instrument", kind: "name", cell: (r) => r.instrument },
  { name: "Purpose", kind: "", cell: (r) => r.purpose },
  { name: "Side", kind: "tight", cell: (r) => sided(r.side) },
  { name: "Type", kind: "", cell: (r) => r.type },
  { name: "Price", kind: "number", cell: (r) => money(r.price) },
  { name: "Filled / quantity", kind: "number", cell: (r) => `${money(r.filled)} / ${money(r.quantity)}` },
  { name: "State", kind: "", cell: (r) => h("span", { class: "tag", "data-state": r.state, title: r.reason || null }, r.state) },
  { name: "Order", kind: "", cell: (r) => h("code", {}, r.cl_ord_id) },
  { name: "Since", kind: "number", cell: (r) => clock(r.created) },
];

export function showOrders(rows) {
  part("orders", `${rows.length}`, rows.length ? table("Working orders", ORDERS, rows) : empty("No order is working."));
}

const FILLS = [
  { name: "Time", kind: "", cell: (r) => h("span", { title: moment(r.at) }, clock(r.at)) },
  { name: "Instrument", kind: "name", cell: (r) => r.instrument },
  { name: "Purpose", kind: "", cell: (r) => r.purpose || "\u2013" },
  { name: "Side", kind: "tight", cell: (r) => sided(r.side) },
  { name: "Quantity", kind: "number", cell: (r) => money(r.quantity) },
  { name: "Price", kind: "number", cell: (r) => money(r.price) },
  { name: "Value", kind: "number", cell: (r) => money(r.value) },
  { name: "Fee", kind: "number", cell: (r) => h("span", {}, money(r.fee), " ", h("small", {}, r.maker ? "maker" : "taker")) },
  { name: "Trader", kind: "", cell: (r) => r.trader || r.account },
];

let heard = null;

export function showFills(rows, equity) {
  const trips = equity.round_trips === 1 ? "1 round trip" : `${equity.round_trips} round trips`;
  const count = `${trips}, fees ${money(equity.fees)} ${equity.currency}`;
  const body = rows.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Last fills" }, table("Last fills", FILLS, rows)) : empty("Nothing has been filled yet.");
  part("fills", count, body);
  announce(rows);
}

// Speaks new fills; what was there when the page opened is not news.
function announce(rows) {
  const fresh = heard === null ? [] : rows.filter((r) => !heard.has(r.exec_id));
  heard = new Set(rows.map((r) => r.exec_id));
  if (!fresh.length) return;
  find("say").textContent = fresh.map((r) => `Filled: ${r.side} ${r.quantity} ${r.instrument} at ${r.price}`).join(". ");
}

export function showNotices(rows) {
  const notices = rows.map((r) =>
    h(
      "div",
      { class: "notice", "data-severity": r.severity },
      h("time", { datetime: r.at, title: moment(r.at) }, clock(r.at)),
      h("span", { class: "what" }, r.severity === "info" ? "" : h("b", {}, `${r.severity}: `), r.text, r.times > 1 ? ` (${r.times} times)` : ""),
      h("span", { class: "where" }, [r.code, r.instrument, r.trader].filter(Boolean).join(" \u00b7 ")),
    ),
  );
  const body = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Notices" }, notices);
  part("notices", `${rows.length}`, rows.length ? body : empty("Nothing to report."));
}

export function showSession({ session, latency, equity, mode, feed, parity }) {
  const cold = feed.cold_start_s === null ? "" : `, cold start ${Math.round(feed.cold_start_s)} s`;
  const faults = feed.faults.slice(0, 3).map((row) => `${row.instrument} ${row.verdicts.join("+")}`);
  const facts = [
    ["Market time", moment(session.now)],
    ["Running since", moment(session.started)],
    ["Clock", mode.speed === 1 ? "real time" : `${mode.speed} times real time`],
    ["Realised", `${signed(equity.realised)} ${equity.currency}`],
    ["Fees paid", `${money(equity.fees)} ${equity.currency}`],
    ["Inference p50 / p99", `${latency.inference_ms.p50 ?? "\u2013"} / ${latency.inference_ms.p99 ?? "\u2013"} ms`],
    ["Instruments ready", `${feed.ready} of ${feed.wanted}${cold}`],
    ["Data faults", feed.faulty ? `${feed.faulty}: ${faults.join("; ")}` : "none"],
    ["Features checked", parity.checks ? `${parity.values} values, ${parity.differing || "none"} differing now` : "not yet"],
    ["Late, failed opinions", `${latency.late}, ${latency.errors}`],
    ...session.models.map((m) => [`Model of ${m.trader}`, `${m.model} ${m.hash.slice(0, 12)} (${m.timeframe}, ${m.stage})`]),
    ["Version", session.version],
    ["Configuration", session.config_hash.slice(0, 12)],
    ["Step", String(session.seq)],
  ];
  fill(find("session").querySelector(".body"), h("dl", { class: "facts" }, facts.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])));
}

export function showBars(bars) {
  const rows = bars.time.map((time, i) => ({ time, i })).slice(-12).reverse();
  const figure = (name) => ({ name, kind: "number", cell: (r) => String(bars[name.toLowerCase()][r.i]) });
  const columns = [{ name: "Open time", kind: "", cell: (r) => new Date(r.time).toISOString().slice(0, 16).replace("T", " ") }];
  fill(find("bars"), table("Newest bars", [...columns, ...["Open", "High", "Low", "Close"].map(figure)], rows, { cards: false }));
}

