// Sorting and filtering of tables that are complete without it. Text is only ever set as text.
"use strict";

function sortKey(cell) {
  const value = cell.dataset.value;
  if (value === undefined) return cell.textContent.trim();
  const number = value === "inf" ? Infinity : value === "-inf" ? -Infinity : Number(value);
  return Number.isNaN(number) ? null : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortBy(table, header, column) {
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row, index) => ({ row, index, key: sortKey(row.cells[column]) }));
  // What has no value stays last either way; ties keep the order they had.
  rows.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.index - b.index;
    return (descending ? -1 : 1) * compare(a.key, b.key) || a.index - b.index;
  });
  body.append(...rows.map((entry) => entry.row));
}

function makeSortable(table) {
  Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
    if (header.hasAttribute("data-fixed")) return;
    const button = document.createElement("button");
    button.type = "button";
    const link = header.querySelector("a");
    if (link) {  // the name stays a link, the button stands beside it
      button.setAttribute("aria-label", "sort by " + header.textContent.trim());
      header.append(" ", button);
    } else {
      button.append(...header.childNodes);
      header.append(button);
    }
    button.addEventListener("click", () => sortBy(table, header, column));
  });
}

function makeFilterable(table, what) {
  const rows = Array.from(table.tBodies[0].rows);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const bar = document.createElement("div");
  bar.className = "filter";
  const label = document.createElement("label");
  const input = document.createElement("input");
  const count = document.createElement("output");
  label.append("Filter by " + what + " ", input);
  input.type = "search";
  input.autocomplete = "off";
  input.spellcheck = false;
  count.setAttribute("aria-live", "polite");
  bar.append(label, count);
  table.parentElement.before(bar);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      shown += !row.hidden;
    });
    count.textContent = words.length ? shown + " of " + rows.length + " shown" : "";
  });
}

for (const table of document.querySelectorAll("table.data")) {
  if (table.tHead.rows.length !== 1 || table.tBodies[0].rows.length < 2) continue;
  makeSortable(table);
  if (table.dataset.filter && table.tBodies[0].rows.length > 5) makeFilterable(table, table.dataset.filter);
}
