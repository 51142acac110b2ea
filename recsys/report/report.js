"use strict";
const units = { h: 3600, min: 60, s: 1, ms: 1e-3, "µs": 1e-6, kB: 1e3, MB: 1e6, GB: 1e9 };

function value(cell) {
  const text = cell.textContent.replaceAll(",", "").replaceAll("−", "-");
  const parts = [...text.matchAll(/(-?\d*\.?\d+)\s*(h|min|ms|µs|s|kB|MB|GB)?(?![\w.])/g)];
  return parts.length ? parts.reduce((sum, [, number, unit]) => sum + number * (units[unit] ?? 1), 0) : null;
}

function sort(table, column, ascending) {
  const body = table.tBodies[0];
  const keys = new Map([...body.rows].map((row) => [row, column ? value(row.cells[column]) : row.cells[0].textContent]));
  const compare = (one, other) => {
    const [a, b] = [keys.get(one), keys.get(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    return (ascending ? 1 : -1) * (column ? a - b : a.localeCompare(b, "en", { numeric: true }));
  };
  body.append(...[...body.rows].sort(compare));
}

for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length < 2) continue;
  const headings = [...table.tHead.rows[0].cells];
  for (const [column, heading] of headings.entries()) {
    if (heading.classList.contains("prose")) continue;
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table, column, ascending);
    });
  }
}

const texts = (row) => [...row.cells].map((cell) => (cell.querySelector("strong, button") ?? cell).textContent.trim());
const grid = (table) => [...table.rows].map(texts);
const formats = {
  Markdown: (rows) => {
    const lines = rows.map((row) => `| ${row.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`);
    return [lines[0], `|${rows[0].map((_, column) => (column ? "---:|" : "---|")).join("")}`, ...lines.slice(1)].join("\n");
  },
  LaTeX: (rows) => {
    const escaped = (text) => text.replace(/[&%$#_{}]/g, "\\$&").replaceAll("−", "$-$").replaceAll("×", "$\\times$");
    const lines = rows.map((row) => `${row.map(escaped).join(" & ")} \\\\`);
    const columns = `l${"r".repeat(rows[0].length - 1)}`;
    return `\\begin{tabular}{${columns}}\n${lines[0]}\n\\hline\n${lines.slice(1).join("\n")}\n\\end{tabular}`;
  },
  CSV: (rows) => rows.map((row) => row.map((text) => `"${text.replaceAll('"', '""')}"`).join(",")).join("\n"),
};

function copy(text, button) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy"); // works in pages that are opened as files, as navigator.clipboard does not
  area.remove();
  button.focus();
  button.dataset.said = done ? "copied" : "not copied";
}

function copying(label, text) {
  const button = document.createElement("button");
  button.textContent = label;
  button.addEventListener("click", () => copy(text(), button));
  return button;
}

for (const table of document.querySelectorAll("#results ~ .scroll table")) {
  const buttons = document.createElement("p");
  buttons.className = "copy";
  buttons.append("Copy as ", ...Object.entries(formats).map(([name, write]) => copying(name, () => write(grid(table)))));
  table.parentElement.after(buttons);
}
for (const listing of document.querySelectorAll("header pre, #use ~ pre, #repeat ~ pre")) {
  const buttons = document.createElement("p");
  buttons.className = "copy";
  buttons.append(copying("Copy", () => listing.textContent));
  listing.after(buttons);
}

function unfold() {
  const goal = document.getElementById(location.hash.slice(1));
  const folded = goal && (goal.closest("details") ?? goal.parentElement.querySelector(":scope > details"));
  if (!folded) return;
  folded.open = true;
  goal.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();

const contents = document.querySelector(".contents");
contents.addEventListener("click", (event) => event.target.hash === location.hash && unfold());
const opener = document.createElement("button");
const item = document.createElement("li");
const sections = document.querySelectorAll("section > details");
opener.textContent = "Open all";
opener.addEventListener("click", () => {
  const open = ![...sections].every((section) => section.open);
  for (const section of sections) section.open = open;
  opener.textContent = open ? "Close all" : "Open all";
});
item.append(opener);
if (sections.length) contents.querySelector("ul").append(item);
