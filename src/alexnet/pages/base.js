"use strict";

/** An element; children that are texts become text, never HTML. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** The content of a JSON script element, or null. */
function readData(id) {
  const node = document.getElementById(id);
  return node ? JSON.parse(node.textContent) : null;
}

/** A value that outlives the page, where the browser keeps any. */
const memory = {
  get(key) { try { return sessionStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { sessionStorage.setItem(key, value); } catch { /* not kept */ } },
};

function setUpTheme() {
  const button = document.getElementById("theme"), themes = ["auto", "light", "dark"];
  const show = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `theme: ${theme}`;
    button.dataset.value = theme;
  };
  show(themes.includes(memory.get("theme")) ? memory.get("theme") : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.dataset.value) + 1) % themes.length];
    memory.set("theme", next);
    show(next);
  });
}

/**
 * Tables with data-sortable: a click on a column's head sorts it.
 *
 * A column with class "n" at its head, or with data-value in every cell, is of numbers.
 */
function setUpSorting() {
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    for (const head of table.tHead.rows[0].cells) {
      const button = el("button", { type: "button" }, ...head.childNodes);
      head.replaceChildren(button);
      button.addEventListener("click", () => sortBy(table, head));
    }
  }
}

function sortBy(table, head) {
  const cellOf = (row) => row.cells[head.cellIndex];
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
  const isNumber =
    head.classList.contains("n") || rows.every((row) => "value" in cellOf(row).dataset);
  const before = head.getAttribute("aria-sort");
  const order = before === "descending" || (!before && !isNumber) ? "ascending" : "descending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const value = (row) => {
    const { dataset, textContent } = cellOf(row);
    return isNumber ? parseFloat(dataset.value ?? textContent.replaceAll(",", "")) : textContent;
  };
  const compare = (a, b) => {
    const x = value(a), y = value(b);
    if (!isNumber) return sign * x.localeCompare(y, undefined, { numeric: true });
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  };
  for (const body of table.tBodies) body.append(...[...body.rows].sort(compare));
}

setUpTheme();
setUpSorting();
