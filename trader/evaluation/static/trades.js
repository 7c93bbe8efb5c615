// The list of trades: sorted by a click on a column, narrowed by three choices, each row opens its bars.

import { fill, find, h } from "dashboard/dom.js";
import { arrow, lean, money } from "dashboard/format.js";
import { startView, view } from "report/candles.js";

const STEP = 100;
const FIELDS = ["opened", "closed", "instrument", "side", "quantity", "entry", "exit", "net", "gross", "fees", "ended", "reason", "account"];
const day = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");
const fixed = (value) => money(value.toFixed(2));

export function hold(ms) {
  const minutes = ms / 60000;
  if (minutes < 120) return `${Math.round(minutes)} min`;
  return minutes < 2880 ? `${(minutes / 60).toFixed(1)} h` : `${(minutes / 1440).toFixed(1)} d`;
}

const COLUMNS = [
  { name: "Opened", kind: "tight", key: (t) => t.opened, cell: (t) => opener(t) },
  { name: "Pair", kind: "name", key: (t) => t.instrument, cell: (t) => t.instrument },
  { name: "Side", kind: "tight", key: (t) => t.side, cell: (t) => h("span", { class: t.side === "long" ? "up" : "down" }, `${t.side === "long" ? "\u25b2" : "\u25bc"} ${t.side}`) },
  { name: "Held", kind: "number", key: (t) => t.closed - t.opened, cell: (t) => hold(t.closed - t.opened) },
  { name: "Quantity", kind: "number", key: (t) => Number(t.quantity), cell: (t) => money(t.quantity) },
  { name: "Entry", kind: "number", key: (t) => Number(t.entry), cell: (t) => money(t.entry) },
  { name: "Exit", kind: "number", key: (t) => Number(t.exit), cell: (t) => money(t.exit) },
  { name: "Gross", kind: "number", key: (t) => t.gross, cell: (t) => fixed(t.gross) },
  { name: "Fees", kind: "number", key: (t) => t.fees, cell: (t) => fixed(t.fees) },
  { name: "Net", kind: "number", key: (t) => t.net, cell: (t) => h("span", { class: lean(t.net) }, `${arrow(t.net)} ${fixed(t.net)}`) },
  { name: "Ended by", kind: "tight", key: (t) => t.ended, cell: (t) => t.ended },
];
const CHOICES = [["Pair", "instrument"], ["Side", "side"], ["Ended by", "ended"]];

const state = { trips: [], candles: {}, by: 0, down: true, shown: STEP, only: {} };

export function startTrades(data) {
  state.candles = data.candles;
  state.trips = data.trips.map((row, n) => ({ number: data.first_trip + n, ...Object.fromEntries(FIELDS.map((name, n) => [name, row[n]])) }));
  startView(move);
  if (!state.trips.length) return fill(find("trades"), h("p", { class: "empty" }, "No trade was made."));
  const chooser = ([label, field]) => {
    const values = [...new Set(state.trips.map((t) => t[field]))].sort();
    const onchange = (event) => { state.only[field] = event.target.value; state.shown = STEP; draw(); };
    return h("label", {}, `${label} `, h("select", { onchange, "data-field": field }, h("option", { value: "" }, "all"), values.map((v) => h("option", { value: v }, v))));
  };
  fill(find("trades"), h("div", { class: "choices" }, CHOICES.map(chooser), h("span", { id: "trades-count", class: "muted", role: "status" })), h("div", { id: "trades-list" }));
  draw();
}

function rows() {
  const kept = state.trips.filter((t) => CHOICES.every(([, field]) => !state.only[field] || t[field] === state.only[field]));
  const { key } = COLUMNS[state.by];
  const order = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.number - b.number);
  return kept.sort((a, b) => (state.down ? -order(a, b) : order(a, b)));
}

function opener(trip) {
  const text = day(trip.opened);
  if (!state.candles[trip.number]) return text;
  return h("button", { class: "link", type: "button", "data-key": `trip-${trip.number}`, "data-trip": trip.number, "aria-haspopup": "dialog" }, text);
}

function sort(column) {
  state.down = state.by === column ? !state.down : COLUMNS[column].kind === "number";
  state.by = column;
  draw();
}

function draw() {
  const found = rows();
  const head = COLUMNS.map((c, n) => {
    const sorted = n === state.by ? (state.down ? "descending" : "ascending") : null;
    const mark = sorted ? (state.down ? " \u25be" : " \u25b4") : "";
    return h("th", { scope: "col", class: c.kind === "number" ? "number" : null, "aria-sort": sorted }, h("button", { class: "link sorter", type: "button", "data-key": `sort-${n}`, onclick: () => sort(n) }, c.name + mark));
  });
  const body = found.slice(0, state.shown).map((trip) => {
    const cells = COLUMNS.map((c) => h("td", { class: c.kind, "data-label": c.name }, c.cell(trip)));
    return h("tr", { class: state.candles[trip.number] ? "opens" : null, "data-trip": trip.number }, cells);
  });
  const table = h("table", { class: "cards" }, h("caption", { class: "hidden" }, "Trades"), h("thead", {}, h("tr", {}, head)), h("tbody", { onclick: open }, body));
  const more = found.length > state.shown ? h("p", { class: "empty" }, h("button", { type: "button", "data-key": "more", onclick: () => { state.shown += STEP; draw(); } }, `Show ${Math.min(STEP, found.length - state.shown)} more`)) : null;
  fill(find("trades-list"), [h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Trades" }, table), more].filter(Boolean));
  const net = found.reduce((sum, t) => sum + t.net, 0);
  find("trades-count").textContent = `${found.length.toLocaleString("en")} trades, net ${fixed(net)}`;
}

function open(event) {
  const number = event.target.closest("tr")?.dataset.trip;
  if (number !== undefined && state.candles[number]) view(state.trips.find((t) => t.number === Number(number)), state.candles[number]);
}

// The neighbour in the list as it is sorted and narrowed now, among those that have bars.
function move(trip, step) {
  const seen = rows().filter((t) => state.candles[t.number]);
  const next = seen[seen.findIndex((t) => t.number === trip.number) + step];
  if (next) view(next, state.candles[next.number]);
}
