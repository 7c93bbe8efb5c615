// Building nodes. Text only ever becomes a text node, so nothing a venue says can become markup.

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "width%") node.style.width = `${value}%`;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const find = (id) => document.getElementById(id);

// Replaces the content and gives the focus back to the node with the same data-key.
export function fill(node, ...children) {
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const scrolled = node.querySelector(".scroll")?.scrollTop ?? 0;
  node.replaceChildren(...children.flat());
  const scroll = node.querySelector(".scroll");
  if (scroll && scrolled) scroll.scrollTop = scrolled;
  if (key) [...node.querySelectorAll("[data-key]")].find((n) => n.dataset.key === key)?.focus();
}

// One table. Columns: {name, cell(row) -> node or text, kind: "number" | "name" | "words" | ""}.
export function table(caption, columns, rows, { cards = true } = {}) {
  const head = columns.map((c) => h("th", { scope: "col", class: c.kind === "number" ? "number" : null }, c.name));
  const body = rows.map((row) =>
    h("tr", {}, columns.map((c) => h("td", { class: c.kind, "data-label": c.name }, c.cell(row)))),
  );
  return h(
    "table",
    { class: cards ? "cards" : null },
    h("caption", { class: "hidden" }, caption),
    h("thead", {}, h("tr", {}, head)),
    h("tbody", {}, body),
  );
}

export const empty = (text) => h("p", { class: "empty" }, text);
