// The permanent bar: mode, state, money, ages.

import { fill, find, h } from "./dom.js";
import { age, arrow, lean, millis, money, percent, signed } from "./format.js";

const BUDGET_MS = 500;
const OLD_FEED_S = 5;

export function showMode(mode) {
  const badge = find("badge");
  badge.textContent = mode.badge;
  badge.dataset.mode = mode.mode;
  const strip = find("showcase");
  strip.hidden = !mode.showcase;
  strip.textContent = mode.showcase ? `${mode.showcase[0].toUpperCase()}${mode.showcase.slice(1)}.` : "";
}

export function showState(state) {
  const node = find("state");
  if (state.state === "halted" && node.dataset.state !== "halted") find("shout").textContent = `Halted: ${state.why}`;
  node.dataset.state = state.state;
  node.querySelector("b").textContent = state.state;
  const why = find("why");
  why.hidden = !state.why;
  why.dataset.state = state.state;
  why.textContent = state.why ? `${state.state[0].toUpperCase()}${state.state.slice(1)}: ${state.why}` : "";
}

export function showEquity(equity, mode) {
  fill(find("equity"), h("span", {}, money(equity.total), " ", h("small", {}, equity.currency)), sparkline(equity.curve));
  const today = Number(equity.today);
  const result = h("span", { class: lean(today) }, `${arrow(today)} ${signed(equity.today)}`);
  fill(find("today"), result, " ", h("small", {}, percent(equity.today_ratio, 2, true)));
  showDrawdown(equity);
  document.title = `${mode?.mode === "live" ? "LIVE" : "PAPER"} ${money(equity.total)} ${equity.currency} \u00b7 Seamark`;
}

function showDrawdown({ drawdown, drawdown_limit: limit }) {
  const share = limit ? Math.min(1, drawdown / limit) : 0;
  const text = h("span", {}, percent(drawdown, 2), " ", h("small", {}, limit ? `of ${percent(limit, 0)}` : ""));
  const track = h("span", { class: "track", "aria-hidden": "true" }, h("i", { "width%": share * 100 }));
  fill(find("drawdown"), h("span", { class: "gauge", "data-level": share > 0.6 ? "high" : "low" }, track, text));
}

function sparkline(curve) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  if (curve.length < 2) return svg;
  const values = curve.map(([, value]) => value);
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const from = curve[0][0];
  const length = curve[curve.length - 1][0] - from || 1;
  const points = curve.map(([ts, v]) => `${(((ts - from) / length) * 100).toFixed(2)} ${(19 - ((v - low) / span) * 18).toFixed(2)}`);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", `M${points.join("L")}`);
  svg.append(path);
  return svg;
}

// Gives a sentence when the market data itself is too old to act on, else nothing.
export function showFeed(feed) {
  const down = feed.public.up === false;
  const old = down || (feed.age_s !== null && feed.age_s > OLD_FEED_S);
  fill(find("feed"), h("span", { class: old ? "late" : null }, down ? `down, ${age(feed.age_s)}` : age(feed.age_s)));
  if (!old) return "";
  const reason = feed.public.reason ? ` (${feed.public.reason})` : "";
  return `Market data is ${age(feed.age_s)} old${down ? `: the public stream is down${reason}` : ""}.`;
}

export function showLatency(latency) {
  const { p50, p99 } = latency.decision_ms.count ? latency.decision_ms : latency.inference_ms;
  const late = p99 !== null && p99 > BUDGET_MS;
  const figures = h("span", { class: late ? "late" : null }, `${millis(p50)} / ${millis(p99)}`);
  fill(find("latency"), figures, " ", h("small", {}, "ms"));
}
