// The page of a comparison: one chart, drawn from the data inside the page.

import { drawGrowth } from "report/charts.js";

const data = JSON.parse(document.getElementById("data").textContent);

drawGrowth(data);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawGrowth(data));
