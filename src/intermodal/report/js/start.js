// What every part of the script uses: sentences, elements, what a view's data are. The page is whole without any of it.

const words = JSON.parse(document.querySelector("#words script").textContent);
const views = {};
const PLACES = 120;

const say = (key, gaps = {}) => words[key].replace(/\{(\w+)\}/g, (all, gap) => (gap in gaps ? String(gaps[gap]) : all));

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

const make = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);

const shape = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function shortened(text, most = 60) {
  const letters = [...text];
  return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : text;
}

// A name inside a sentence: short, and its writing direction does not turn the rest.
const named = (text) => "\u2068" + (shortened(text) || "“”") + "\u2069";

const label = (text) => make("bdi", { title: shortened(text) === text ? null : text }, shortened(text));

// The name of a row; what is saved is the whole name.
const rowHead = (text) => make("th", { scope: "row", "data-v": shortened(text) === text ? null : text }, label(text));

// NaN and the infinities come as words, because JSON has no such numbers.
function numeric(value) {
  if (Array.isArray(value)) return value.map(numeric);
  return value === null ? null : Number(value);
}

const mean = (values) => {
  let total = 0, count = 0;
  for (const value of values) {
    if (value !== null) { total += value; count += 1; }
  }
  return count ? total / count : null;
};

function titled(view) {
  const heading = view.closest("section").querySelector("h2");
  return heading ? heading.textContent : "";
}

function part(view, name) {
  return view.querySelector(':scope > [data-part="' + name + '"]');
}

// One sentence a change, for those who do not see the change; seen by all where it says more than the page does.
function speaker(place, seen = false) {
  const live = make("p", { class: seen ? "live said" : "live sr", role: "status" });
  place.append(live);
  return (sentence) => { live.textContent = sentence; };
}

function pickers(view, label) {
  const bar = make("div", { class: "pickers", role: "group", "aria-label": label });
  view.prepend(bar);
  return bar;
}

// A labelled choice; options are [value, text] and a choice of one is not shown.
function pick(bar, label, options, changed) {
  const select = make("select");
  for (const [value, text] of options) {
    select.append(make("option", { value }, shortened(text, PLACES)));
  }
  select.addEventListener("change", changed);
  if (options.length > 1) bar.append(make("label", {}, make("span", {}, label), select));
  return select;
}

function button(text, action) {
  const made = make("button", { type: "button" }, text);
  made.addEventListener("click", action);
  return made;
}

// The tables that say the same as a drawing, on request; printed always.
function tablesButton(view, opened = () => {}) {
  const made = button(words.show_table, () => {
    const shown = view.classList.toggle("tables");
    made.setAttribute("aria-expanded", String(shown));
    if (shown) opened();
  });
  made.setAttribute("aria-expanded", "false");
  return made;
}
