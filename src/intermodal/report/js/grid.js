// A heat map as a grid: one tab stop, arrow keys, Home, End and pages. Where cells can be
// chosen, Enter takes one and the space bar one more.

function name(cell) {
  const copy = (cell.querySelector(".full") || cell).cloneNode(true);
  for (const hidden of copy.querySelectorAll(".sr")) hidden.remove();
  return copy.textContent;
}

function grid(table, choose = null) {
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
    const asks = named(name(cell.parentNode.cells[0]));
    live.textContent = asks + " → " + named(heads[column]) + ": " + (cell.dataset.v || cell.textContent);
    return cell;
  }

  table.addEventListener("focusin", (event) => {
    const cell = event.target.closest("td");
    rows.forEach((cells, r) => { if (cells.includes(cell)) enter(r, cells.indexOf(cell)); });
  });
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    if (!cell || !rows.some((cells) => cells.includes(cell))) return;
    cell.focus();
    if (choose) choose(row, column, event.ctrlKey || event.metaKey || event.shiftKey);
  });
  table.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey) return;
    if (choose && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      choose(row, column, event.key === " ");
      return;
    }
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
