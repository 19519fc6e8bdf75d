"""The one script of the HTML form: arrow keys in a matrix, copying a table. The page is whole without it."""

from __future__ import annotations

SCRIPT = """
(() => {
  "use strict";
  const words = document.body.dataset;

  function tools(region) {
    let bar = region.parentElement.querySelector(":scope > .tools");
    if (!bar) {
      bar = document.createElement("div");
      bar.className = "tools";
      const live = document.createElement("p");
      live.className = "live";
      live.setAttribute("role", "status");
      bar.append(live);
      region.parentElement.append(bar);
    }
    return bar;
  }

  function name(cell) {
    const copy = (cell.querySelector(".full") || cell).cloneNode(true);
    for (const hidden of copy.querySelectorAll(".sr")) hidden.remove();
    return copy.textContent;
  }

  function grid(table) {
    const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]);
    if (!rows.length || !rows[0].length) return;
    const heads = [...table.tHead.rows[0].cells].slice(1).map(name);
    const region = table.closest(".region");
    const live = tools(region).querySelector(".live");
    let row = 0, column = 0;
    table.setAttribute("role", "grid");
    region.removeAttribute("tabindex");
    rows.flat().forEach((cell) => { cell.tabIndex = -1; });
    rows[0][0].tabIndex = 0;

    function enter(r, c) {
      rows[row][column].tabIndex = -1;
      row = Math.max(0, Math.min(rows.length - 1, r));
      column = Math.max(0, Math.min(heads.length - 1, c));
      const cell = rows[row][column];
      cell.tabIndex = 0;
      const isolate = (text) => "\\u2068" + (text.length > 60 ? text.slice(0, 59) + "…" : text) + "\\u2069";
      const asks = isolate(name(cell.parentNode.cells[0]));
      live.textContent = asks + " → " + isolate(heads[column]) + ": " + (cell.dataset.v || cell.textContent);
      return cell;
    }

    table.addEventListener("focusin", (event) => {
      const cell = event.target.closest("td");
      rows.forEach((cells, r) => { if (cells.includes(cell)) enter(r, cells.indexOf(cell)); });
    });
    table.addEventListener("click", (event) => {
      const cell = event.target.closest("td");
      if (cell) cell.focus();
    });
    table.addEventListener("keydown", (event) => {
      if (event.altKey || event.metaKey) return;
      const far = event.ctrlKey, last = heads.length - 1, bottom = rows.length - 1;
      const to = {
        ArrowUp: [row - 1, column], ArrowDown: [row + 1, column],
        ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
        Home: [far ? 0 : row, 0], End: [far ? bottom : row, last],
        PageUp: [row - 10, column], PageDown: [row + 10, column],
      }[event.key];
      if (!to) return;
      event.preventDefault();
      enter(to[0], to[1]).focus();
    });
  }

  // A name that begins like a formula must stay a name in a spreadsheet.
  function field(text) {
    const safe = /^[=+\\-@\\t\\r]/.test(text) && Number.isNaN(Number(text)) ? "'" + text : text;
    return '"' + safe.replaceAll('"', '""') + '"';
  }

  function csv(table) {
    const lines = [];
    for (const part of [table.tHead, ...table.tBodies]) {
      for (const row of part ? part.rows : []) {
        const cells = [...row.cells].filter((cell) => !cell.classList.contains("plot"));
        lines.push(cells.flatMap((cell) => cell.dataset.vs !== undefined
          ? cell.dataset.vs.split(" ") : [cell.dataset.v ?? name(cell)]).map(field).join(","));
      }
    }
    return lines.join("\\r\\n") + "\\r\\n";
  }

  function copying(table) {
    const bar = tools(table.closest(".region"));
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words.copy;
    button.addEventListener("click", async () => {
      const live = bar.querySelector(".live");
      try {
        await navigator.clipboard.writeText(csv(table));
        live.textContent = words.copied;
      } catch {
        live.textContent = words.notCopied;
      }
    });
    bar.prepend(button);
  }

  document.querySelectorAll("table.matrix").forEach(grid);
  document.querySelectorAll("table").forEach(copying);
})();
"""
