// Composes the page: logs in, listens, hands each section to whoever shows it.

import { get, listen, logInByLink } from "./api.js";
import { choose, chosenInstrument, offer, refresh, startChart } from "./chart.js";
import { startDialog } from "./dialog.js";
import { find } from "./dom.js";
import { showWhy } from "./explain.js";
import { age, clock } from "./format.js";
import { showDecisions, showOpinions } from "./opinions.js";
import { showStages } from "./stages.js";
import { showFills, showNotices, showOrders, showPositions, showSession } from "./tables.js";
import { showEquity, showFeed, showLatency, showMode, showState } from "./topbar.js";

const SILENT_MS = 3000;
let view = null;
let heardAt = performance.now();
let oldFeed = "";

function show(part) {
  const has = (...names) => names.some((name) => name in part);
  view = { ...view, ...part };
  if (has("mode")) showMode(view.mode);
  if (has("state")) showControls();
  if (has("equity", "mode")) showEquity(view.equity, view.mode);
  if (has("feed")) oldFeed = showFeed(view.feed);
  if (has("latency")) showLatency(view.latency);
  if (has("latency")) showStages(view.latency);
  if (has("positions")) showPositions(view.positions, view.equity.currency);
  if (has("orders")) showOrders(view.orders);
  if (has("fills", "equity")) showFills(view.fills, view.equity);
  if (has("decisions")) showDecisions(view.decisions, choose);
  if (has("notices")) showNotices(view.notices);
  if (has("instruments")) offer(view.instruments);
  if (has("instruments", "opinions")) showOpinions(view, chosenInstrument(), choose);
  if (has("opinions", "decisions")) showWhy(chosenInstrument());
  showSession(view);
  refresh(view.chart_revision);
  showAge();
}

function showControls() {
  const { state } = view.state;
  showState(view.state);
  const first = document.querySelector("[data-verb=pause], [data-verb=resume]");
  const resumable = ["paused", "reducing", "halted"].includes(state);
  first.dataset.verb = resumable ? "resume" : "pause";
  first.textContent = resumable ? "Resume" : "Pause";
  for (const button of document.querySelectorAll("[data-verb]")) button.disabled = state === "stopping";
}

// Frozen figures must never look live: greys the page and says how old they are.
function showAge() {
  const silent = performance.now() - heardAt;
  let text = oldFeed;
  if (silent > SILENT_MS) {
    text = `No word from the daemon for ${age(silent / 1000)}. Figures are as of ${clock(view?.session.now)} UTC.`;
  }
  const strip = find("stale");
  document.body.toggleAttribute("data-stale", Boolean(text));
  strip.hidden = !text;
  if (strip.textContent !== text) strip.textContent = text;
}

function signedOut(text) {
  document.querySelector("main").hidden = true;
  find("signed-out").hidden = false;
  if (text) find("out-text").prepend(`${text[0].toUpperCase()}${text.slice(1)}. `);
}

async function start() {
  startChart(() => {
    showOpinions(view, chosenInstrument(), choose);
    showWhy(chosenInstrument());
    offer(view.instruments);
    refresh(view.chart_revision);
  });
  startDialog(() => view);
  try {
    await logInByLink();
    show(await get("/api/v1/state"));
  } catch (error) {
    signedOut(error.status === 401 ? "" : error.message);
    return;
  }
  listen({
    view: show,
    heard: () => {
      heardAt = performance.now();
      showAge();
    },
  });
  setInterval(showAge, 500);
}

start();
