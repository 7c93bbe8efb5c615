// Why the newest opinions about the chosen instrument are what they are.

import { get } from "./api.js";
import { empty, fill, find, h, table } from "./dom.js";
import { age, clock, millis, percent, probability } from "./format.js";
import { odds } from "./opinions.js";

const asked = { instrument: "", busy: false, again: false };

const share = (value) => (value === null ? "\u2013" : `${Math.round(value * 100)}\u2009%`);

const MEMBERS = [
  { name: "Member", kind: "name", cell: (r) => r.name },
  { name: "Probabilities", kind: "", cell: (r) => odds({ ...r, ready: true, at: "" }) },
  { name: "Weight", kind: "number", cell: (r) => h("span", { class: r.weight ? null : "muted" }, share(r.weight)) },
  { name: "Age", kind: "number", cell: (r) => age(r.age_s) },
];

const ROLES = { meta: "take it?", regime: "market", manager: "open positions" };

function needed({ role, low, high }) {
  if (role === "manager") return "";
  if (high >= 1) return `at least ${probability(low)}`;
  return low <= 0 ? `at most ${probability(high)}` : `${probability(low)} to ${probability(high)}`;
}

function said(row) {
  if (row.role === "manager") return h("span", { class: "muted" }, "speaks of open positions only");
  if (row.chance === null) return h("span", { class: "muted" }, "nothing fresh");
  const word = row.passed ? "passes" : "refuses";
  return h("span", { class: row.passed ? null : "late" }, `${row.says} ${probability(row.chance)} `, h("small", {}, word));
}

const FILTERS = [
  { name: "Filter", kind: "name", cell: (r) => h("span", {}, r.name, " ", h("small", {}, ROLES[r.role] ?? r.role)) },
  { name: "Says", kind: "", cell: said },
  { name: "Needed", kind: "number", cell: (r) => h("span", { class: "muted" }, needed(r)) },
  { name: "Age", kind: "number", cell: (r) => (r.age_s === null || r.chance === null ? "" : age(r.age_s)) },
];

// Asks anew for the instrument; one question at a time, and one more if something moved meanwhile.
export async function showWhy(instrument) {
  asked.instrument = instrument;
  if (!instrument) return;
  if (asked.busy) {
    asked.again = true;
    return;
  }
  asked.busy = true;
  try {
    const why = await get(`/api/v1/explain?instrument=${encodeURIComponent(instrument)}`);
    if (why.instrument === asked.instrument) show(why);
  } catch (error) {
    put("", empty(`Not explained: ${error.message}`));
  } finally {
    asked.busy = false;
  }
  if (asked.again) {
    asked.again = false;
    showWhy(asked.instrument);
  }
}

function put(count, ...content) {
  find("explain").querySelector(".count").textContent = count;
  fill(find("explain").querySelector(".body"), ...content);
}

function show({ instrument, rows }) {
  put(instrument, rows.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Why, ${instrument}` }, rows.map(reason)) : empty("No model has spoken about it yet."));
}

function reason(row) {
  const blend = { name: "Blend", ...row.blend, weight: null, age_s: row.input_age_s };
  const figures = [
    `inputs ${age(row.input_age_s)} old`,
    row.members.length > 1 ? `members ${probability(row.spread)} apart` : "",
    row.book ? `book: spread ${percent(row.book.spread, 3)}, imbalance ${percent(row.book.imbalance_mean, 0, true)}, ${age(row.book.age_s)} old` : "",
    `answered in ${millis(row.latency_ms)} ms${row.late ? ", late: not traded on" : ""}`,
    `model ${row.model_hash.slice(0, 12)}`,
  ];
  return h(
    "article",
    { class: "reason" },
    h("h3", {}, `${row.trader} ${row.timeframe}`, " ", h("small", {}, `bar closed ${clock(row.at)}`)),
    h("p", { class: row.gate || row.late ? "late" : null }, row.verdict),
    row.members.length ? table(`Members of ${row.trader}`, MEMBERS, row.ready && row.members.length > 1 ? [...row.members, blend] : row.members, { cards: false }) : null,
    row.filters.length ? table(`Filters of ${row.trader}`, FILTERS, row.filters, { cards: false }) : null,
    h("p", { class: "under" }, figures.filter(Boolean).join(" \u00b7 ")),
  );
}
