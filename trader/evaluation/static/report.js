// The report of a run: charts and the list of trades, drawn from the data inside the page.

import { drawEquity } from "report/charts.js";
import { startTrades } from "report/trades.js";

const data = JSON.parse(document.getElementById("data").textContent);

drawEquity(data);
startTrades(data);

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => drawEquity(data));
// Paper is white: the chart is drawn in light colours for the time of printing.
addEventListener("beforeprint", () => { document.documentElement.dataset.print = "on"; drawEquity(data); });
addEventListener("afterprint", () => { delete document.documentElement.dataset.print; drawEquity(data); });
