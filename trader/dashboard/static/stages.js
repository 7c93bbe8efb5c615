// Where a decision's time goes, stage by stage.

import { fill, find, h, table } from "./dom.js";
import { millis } from "./format.js";

const WORDS = {
  close: "bar's end, until its bars are here",
  door: "until the models are asked",
  queue: "waiting for the worker",
  features: "columns of every instrument",
  models: "from columns to probabilities",
  blend: "gates and blend",
  risk: "judging every opinion",
  journal: "on disk, before orders leave",
  order: "until the gateway took them",
};

const COLUMNS = [
  { name: "Stage", kind: "", cell: (r) => h("span", {}, h("b", {}, r.stage), " ", h("small", {}, r.words)) },
  { name: "p50 ms", kind: "number", cell: (r) => millis(r.p50) },
  { name: "p99 ms", kind: "number", cell: (r) => millis(r.p99) },
];

export function showStages({ stages_ms: stages, late, errors, last_error: error }) {
  const rows = Object.entries(stages).map(([stage, figures]) => ({ stage, words: WORDS[stage] ?? "", ...figures }));
  const panel = find("stages");
  panel.querySelector(".count").textContent = `${late} late, ${errors} failed`;
  const last = error ? h("p", { class: "under padded" }, `last failure: ${error}`) : null;
  fill(panel.querySelector(".body"), table("Time by stage", COLUMNS, rows, { cards: false }), ...(last ? [last] : []));
}
