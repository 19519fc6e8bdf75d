// A table leaves the page as it is seen: copied or saved as CSV; a view also as JSON, a drawing as SVG.

function tools(region) {
  let bar = region.parentElement.querySelector(":scope > .tools");
  if (!bar) {
    bar = make("div", { class: "tools" }, make("p", { class: "live", role: "status" }));
    region.parentElement.append(bar);
  }
  return bar;
}

// A name that begins like a formula must stay a name in a spreadsheet.
function field(text) {
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? "'" + text : text;
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
  return lines.join("\r\n") + "\r\n";
}

function save(title, suffix, type, text) {
  const clean = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "intermodal";
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: clean + "." + suffix });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function copying(table) {
  const bar = tools(table.closest(".region"));
  const title = table.caption ? table.caption.textContent : "";
  const copy = button(words.copy, async () => {
    const live = bar.querySelector(".live");
    try {
      await navigator.clipboard.writeText(csv(table));
      live.textContent = words.copied;
    } catch {
      live.textContent = words.not_copied;
    }
  });
  copy.dataset.copy = "";
  const buttons = [copy, button(words.save_csv, () => save(title, "csv", "text/csv", csv(table)))];
  if (table.classList.contains("matrix")) {
    buttons.push(button(words.save_svg, () => save(title, "svg", "image/svg+xml", mapPicture(table))));
  }
  bar.prepend(...buttons);
}

// Buttons stand before the place where the page speaks.
const before = (bar, ...buttons) => bar.querySelector(".live").before(...buttons);

function savingJson(bar, view, data) {
  const text = () => JSON.stringify(data(), null, 1) + "\n";
  before(bar, button(words.save_json, () => save(titled(view), "json", "application/json", text())));
}

// A heat map as a picture of its own: every cell a rectangle with its number.
function mapPicture(table) {
  const [across, down, left, top] = [96, 40, 180, 44];
  const rows = [...table.tBodies[0].rows];
  const heads = [...table.tHead.rows[0].cells].slice(1).map(name);
  const size = { width: left + across * heads.length, height: top + down * rows.length };
  const picture = shape("svg", { ...size, viewBox: "0 0 " + size.width + " " + size.height });
  picture.setAttribute("font-family", "sans-serif");
  picture.setAttribute("font-size", "14");
  picture.append(shape("rect", { ...size, fill: colourOf("--page") }));
  const ink = colourOf("--ink");
  heads.forEach((head, c) => picture.append(
    shape("text", { x: left + across * (c + 0.5), y: top - 14, fill: ink, "text-anchor": "middle" }, shortened(head, 12))));
  rows.forEach((row, r) => {
    const middle = top + down * (r + 0.5);
    const label = { x: left - 12, y: middle, fill: ink, "text-anchor": "end", "dominant-baseline": "central" };
    picture.append(shape("text", label, shortened(name(row.cells[0]), 22)));
    [...row.querySelectorAll("td")].forEach((cell, c) => {
      const { backgroundColor, color } = getComputedStyle(cell);
      const [x, y] = [left + across * c, top + down * r];
      picture.append(shape("rect",
        { x: x + 1, y: y + 1, width: across - 2, height: down - 2, fill: backgroundColor, "data-v": cell.dataset.v ?? "" }));
      const place = { x: x + across / 2, y: middle, "text-anchor": "middle", "dominant-baseline": "central" };
      picture.append(shape("text", { ...place, fill: color }, cell.textContent));
    });
  });
  return new XMLSerializer().serializeToString(picture);
}

const colourOf = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim();

// A drawing of the page with its looks written into it, so that it stands without the style sheet.
const LOOKS = ["fill", "stroke", "stroke-width", "stroke-dasharray", "text-anchor", "font-size", "vector-effect",
  "fill-opacity", "dominant-baseline", "stroke-linejoin", "stroke-linecap"];

function drawnPicture(drawing, room) {
  const { width, height } = drawing.getBoundingClientRect();
  const copy = drawing.cloneNode(true);
  const originals = [drawing, ...drawing.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, index) => {
    const look = getComputedStyle(originals[index]);
    for (const key of LOOKS) element.setAttribute(key, look.getPropertyValue(key));
    element.removeAttribute("class");
    if (element.tagName === "svg") element.setAttribute("overflow", "visible");
  });
  for (const [key, value] of Object.entries({ x: room.left, y: room.top, width, height })) copy.setAttribute(key, value);
  const whole = { width: width + room.left + room.right, height: height + room.top + room.bottom };
  const picture = shape("svg", { ...whole, "font-family": "sans-serif" },
    shape("rect", { ...whole, fill: colourOf("--page") }), copy);
  return new XMLSerializer().serializeToString(picture);
}
