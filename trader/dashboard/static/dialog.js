// Nothing happens without a dialog that names its effect.

import { find } from "./dom.js";
import { money } from "./format.js";
import { post } from "./api.js";

const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

function effects(view) {
  const notional = view.positions.reduce((sum, p) => sum + Number(p.notional), 0);
  const close = view.positions.length
    ? `closes ${plural(view.positions.length, "position")} at the market (about ${money(notional.toFixed(0))} ${view.equity.currency})`
    : "has no position to close";
  const orders = view.orders.length ? `takes back ${plural(view.orders.length, "working order")} and ` : "";
  return {
    pause: ["Pause entries", "No new position is opened. Open positions keep their stop and target.", "Pause"],
    resume: resumption(view.state),
    flatten: ["Flatten", `This ${orders}${close}. Then trading stays paused.`, "Flatten now"],
    kill: ["Kill", `This ${orders}${close}, and halts. The halt survives a restart; only a resume by hand ends it.`, "Kill now"],
  };
}

function resumption({ state, why }) {
  const again = "Entries are allowed again from the next closed bar on, within every limit.";
  if (state === "paused") return ["Resume trading", again, "Resume"];
  const lifted = `This lifts the brake (${why}): drawdown and today's loss are measured anew from now on. ${again}`;
  return ["Resume by force", lifted, "Resume by force"];
}

let verb = "";

export function startDialog(current) {
  const dialog = find("confirm");
  for (const button of document.querySelectorAll("[data-verb]")) {
    button.addEventListener("click", () => open(button.dataset.verb, current()));
  }
  find("confirm-no").addEventListener("click", () => dialog.close());
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    send(current());
  });
}

function open(asked, view) {
  verb = asked;
  const [title, effect, yes] = effects(view)[verb];
  const live = view.mode.mode === "live" && verb !== "pause";
  find("confirm-title").textContent = title;
  find("confirm-effect").textContent = effect;
  find("confirm-yes").textContent = yes;
  find("confirm-yes").className = verb === "flatten" || verb === "kill" ? "danger solid" : "";
  find("confirm-word-row").hidden = !live;
  find("confirm-word-hint").textContent = view.mode.mode;
  find("confirm-error").textContent = "";
  for (const id of ["confirm-reason", "confirm-word"]) find(id).value = "";
  find("confirm").showModal();
  find("confirm-no").focus();
}

async function send(view) {
  if (!find("confirm-word-row").hidden && find("confirm-word").value.trim() !== view.mode.mode) {
    find("confirm-error").textContent = `Expected the word "${view.mode.mode}".`;
    return;
  }
  find("confirm-yes").disabled = true;
  try {
    await post(`/api/v1/${verb}`, { reason: find("confirm-reason").value, force: verb === "resume" && view.state.state !== "paused" });
    find("confirm").close();
  } catch (error) {
    find("confirm-error").textContent = `Not done: ${error.message}`;
  } finally {
    find("confirm-yes").disabled = false;
  }
}
