// What the models see and why nothing came of it.

import { empty, fill, find, h, table } from "./dom.js";
import { arrow, clock, lean, money, percent, probability } from "./format.js";

const MINUTES = { m: 1, h: 60, d: 1440 };
const minutes = (timeframe) => Number(timeframe.slice(0, -1)) * MINUTES[timeframe.slice(-1)];

const part = (id, count, content) => {
  find(id).querySelector(".count").textContent = count;
  fill(find(id).querySelector(".body"), content);
};

export function odds(row) {
  if (!row) return h("span", { class: "muted" }, "\u2013");
  if (!row.ready) return h("span", { class: "muted", title: row.reason }, row.reason || "not ready");
  const { down, hold, up } = row;
  const label = `down ${probability(down)}, hold ${probability(hold)}, up ${probability(up)}`;
  const lead = Math.max(down, hold, up);
  return h(
    "span",
    { class: "odds", role: "img", "aria-label": label, title: row.at ? `${label}; bar closed ${clock(row.at)}` : label },
    h("span", { class: "parts" }, h("i", { class: "d", "width%": down * 100 }), h("i", { class: "h", "width%": hold * 100 }), h("i", { class: "u", "width%": up * 100 })),
    h(
      "span",
      { class: "figures" },
      h("b", { class: down === lead ? "down lead" : "muted" }, `\u25bc${probability(down)}`),
      h("b", { class: up === lead ? "up lead" : "muted" }, `\u25b2${probability(up)}`),
    ),
  );
}

export function showOpinions({ instruments, opinions }, chosen, choose) {
  const series = new Map();
  const cells = new Map();
  for (const row of opinions) {
    const key = `${row.timeframe} ${row.trader}`;
    series.set(key, row);
    cells.set(`${key} ${row.instrument}`, row);
  }
  const keys = [...series.keys()].sort((a, b) => minutes(a.split(" ")[0]) - minutes(b.split(" ")[0]));
  const several = new Set(opinions.map((o) => o.trader)).size > 1;
  const pick = (row) =>
    h("button", { type: "button", class: "link", "data-key": row.instrument, "aria-pressed": String(row.instrument === chosen), onclick: () => choose(row.instrument) }, row.instrument);
  const columns = [
    { name: "Instrument", kind: "name", cell: pick },
    { name: "Mark", kind: "number", cell: (r) => money(r.mark) },
    ...keys.map((key) => ({ name: several ? key : key.split(" ")[0], kind: "", cell: (r) => odds(cells.get(`${key} ${r.instrument}`)) })),
  ];
  const newest = opinions.reduce((latest, o) => (o.at > latest ? o.at : latest), "");
  part("opinions", newest ? `as of ${clock(newest)}` : "", instruments.length ? table("Probabilities", columns, instruments, { cards: false }) : empty("No instrument yet."));
}

function leaning(direction, confidence) {
  const sign = { long: 1, short: -1 }[direction] ?? 0;
  return h("span", { class: lean(sign) }, `${arrow(sign)} ${direction} `, h("small", {}, probability(confidence)));
}

const DECISIONS = (choose) => [
  { name: "Instrument", kind: "name", cell: (r) => h("button", { type: "button", class: "link", "data-key": r.instrument, title: "Explain below", onclick: () => choose(r.instrument) }, r.instrument) },
  { name: "Leaning", kind: "tight", cell: (r) => leaning(r.direction, r.confidence) },
  { name: "EV after fees", kind: "number", cell: (r) => percent(r.expected_value, 2, true) },
  { name: "Why", kind: "words", cell: (r) => h("span", { title: `${r.trader} ${r.timeframe}, ${r.rule || "traded"}` }, r.sentence, r.detail ? h("small", {}, ` ${r.detail}`) : "") },
];

export function showDecisions(rows, choose) {
  const refused = rows.filter((r) => r.rule);
  const latest = rows.reduce((newest, r) => (r.at > newest ? r.at : newest), "");
  const body = refused.length
    ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Why no trade" }, table("Why no trade", DECISIONS(choose), refused))
    : empty(rows.length ? "Every opinion became an intent." : "No decision yet: the first one comes with the next closed bar.");
  part("decisions", latest ? `last decision ${clock(latest)}` : "", body);
}
