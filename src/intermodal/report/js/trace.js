// The arithmetic of one query, worked out again for whatever is typed. Numbers are float64, as in Python.

function attendRow(q, keys, values, keep, scaled) {
  const divisor = scaled ? Math.sqrt(q.length) : 1;
  const scores = keys.map((key) => key.reduce((sum, number, i) => sum + q[i] * number, 0));
  const divided = scores.map((score) => score / divisor);
  const largest = Math.max(...divided.filter((_, j) => keep[j]));
  const shifted = divided.map((score, j) => (keep[j] ? score - largest : -Infinity));
  const exps = shifted.map((score) => Math.exp(score));
  const total = exps.reduce((sum, e) => sum + e, 0);
  // Where every key is hidden nothing is looked at: the weights are 0 and so is the output.
  const weights = exps.map((e) => (total > 0 ? e / total : 0));
  const products = values === null ? null : values.map((value, j) => value.map((number) => weights[j] * number));
  const wide = products && products.length ? products[0].length : 0;
  const output = products && Array.from({ length: wide }, (_, e) => products.reduce((sum, row) => sum + row[e], 0));
  return { divisor, scores, divided, largest, shifted, exps, total, weights, products, output };
}

const MANY = 32; // numbers to type that are shown at once

views.trace = (view, data) => {
  if (!data.keys.length || !data.q.length) return;
  const host = make("div", { class: "part", "data-part": "work" });
  const speak = speaker(host);
  view.prepend(host);
  const bar = pickers(view, words.choose);
  const digits = data.digits;
  const read = (value) => (Array.isArray(value) ? value.map(read) : value === null ? null : Number(value));
  const start = () => ({ q: read(data.q), keys: read(data.keys), values: read(data.values), keep: [...data.keep] });
  let now = start(), step = 0;

  const toggle = make("input", { type: "checkbox" });
  toggle.checked = data.scaled;
  toggle.addEventListener("change", () => refresh(true));
  bar.append(make("label", { class: "check" }, toggle, make("span", {}, say("scale", { d: data.q.length }))));
  bar.append(button(words.reset, () => { now = start(); toggle.checked = data.scaled; inputs(); refresh(true); }));

  const entry = make("div", { class: "entry" });
  // Many numbers stay closed until somebody wants to change one.
  const many = data.q.length * (1 + data.keys.length * (data.values === null ? 1 : 2)) > MANY;
  const typing = many ? make("details", {}, make("summary", {}, words.change), entry) : entry;
  const steps = ["scores", "divided", "shifted", "exps", "weights"].concat(data.values === null ? [] : ["products"]);
  const heads = [words.key, words.step_scores, words.step_divided, words.step_shifted, words.step_exps, words.step_weights]
    .concat(data.values === null ? [] : [words.step_products]);
  const table = make("table", { class: "data work" });
  const region = make("div", { class: "region", role: "region", tabindex: 0, "aria-label": words.worked }, table);
  const said = make("p", { class: "formula" });
  const back = button(words.back, () => move(-1)), next = button(words.next, () => move(1));
  const walk = make("div", { class: "walk", role: "group", "aria-label": words.steps }, back, next, said);
  host.append(typing, walk, region);

  // Letters in an input are no number: the last number stays, and the input says so.
  function box(spoken, value, changed) {
    const input = make("input", { type: "text", inputmode: "decimal", value, size: 6, "aria-label": spoken });
    input.addEventListener("input", () => {
      const number = Number(input.value);
      const fine = input.value.trim() !== "" && Number.isFinite(number);
      input.setAttribute("aria-invalid", String(!fine));
      if (fine) { changed(number); refresh(true); }
    });
    return input;
  }

  function line(whose, kind, numbers, texts) {
    const boxes = numbers.map((_, i) => box(say("number_of", { name: whose, i: i + 1 }), texts[i], (v) => { numbers[i] = v; }));
    return make("div", { class: "numbers" }, make("span", { class: "kind" }, kind), ...boxes);
  }

  function inputs() {
    const rows = [make("div", { class: "vector" }, line(words.query, words.query, now.q, data.q))];
    data.names.forEach((text, j) => {
      const tick = make("input", { type: "checkbox" });
      tick.checked = now.keep[j];
      tick.addEventListener("change", () => { now.keep[j] = tick.checked; refresh(true); });
      const parts = [make("label", { class: "check" }, tick, make("span", {}, label(text))),
        line(shortened(text) + " " + words.key, words.key, now.keys[j], data.keys[j])];
      if (now.values) parts.push(line(shortened(text) + " " + words.value, words.value, now.values[j], data.values[j]));
      rows.push(make("div", { class: "vector" }, ...parts));
    });
    entry.replaceChildren(...rows);
  }

  const shown = (number) => (number === -Infinity ? "-inf" : figure(number, digits));
  const list = (numbers) => (numbers.length > 4 ? [...numbers.slice(0, 3).map(shown), "…"] : numbers.map(shown)).join(", ");
  const short = (number) => String(Number(number.toPrecision(6)));

  function terms(j) {
    const each = now.q.map((number, i) => short(number) + " · " + short(now.keys[j][i]));
    return (each.length > 6 ? [...each.slice(0, 3), say("more_terms", { n: each.length })] : each).join(" + ");
  }

  function sentence(made) {
    const j = Math.max(0, now.keep.indexOf(true));
    const gaps = {
      terms: terms(j), key: named(data.names[j]),
      score: shown(made.scores[j]), divided: shown(made.divided[j]), root: shown(made.divisor), d: now.q.length,
      largest: shown(made.largest), shifted: shown(made.shifted[j]), e: shown(made.exps[j]), total: shown(made.total),
      weight: shown(made.weights[j]), sum: shown(made.weights.reduce((a, b) => a + b, 0)),
      output: made.output ? list(made.output) : "",
    };
    if (made.total === 0) return say("all_hidden", gaps);
    const key = { divided: toggle.checked ? "say_divided" : "say_undivided" }[steps[step]] || "say_" + steps[step];
    return say(key, gaps);
  }

  function refresh(tell) {
    const made = attendRow(now.q, now.keys, now.values, now.keep, toggle.checked);
    const cell = (content, raw, column) => make("td",
      { class: "r" + (column === step ? " now" : column > step ? " later" : ""), "data-v": raw }, column > step ? "" : content);
    const rows = data.names.map((text, j) => make("tr", { class: now.keep[j] ? null : "away" },
      rowHead(text), ...steps.map((key, column) => {
        const value = made[key][j];
        return Array.isArray(value) ? cell(list(value), value.join(" "), column) : cell(shown(value), value, column);
      })));
    const sums = { exps: made.total, weights: made.weights.reduce((a, b) => a + b, 0), products: made.output };
    const foot = make("tr", {}, make("th", { scope: "row" }, words.sum), ...steps.map((key, column) => {
      const value = sums[key];
      if (value === undefined || value === null) return make("td");
      return Array.isArray(value) ? cell(list(value), value.join(" "), column) : cell(shown(value), value, column);
    }));
    table.replaceChildren(make("caption", {}, make("span", { class: "sr" }, words.worked)),
      make("thead", {}, make("tr", {}, ...heads.map((head, i) => make("th",
        { scope: "col", class: i ? "r" + (i - 1 === step ? " now" : "") : null }, head)))),
      make("tbody", {}, ...rows), make("tfoot", {}, foot));
    back.disabled = step === 0;
    next.disabled = step === steps.length - 1;
    const text = say("step", { i: step + 1, n: steps.length, name: heads[step + 1] }) + " " + sentence(made);
    said.textContent = text;
    // On a narrow screen the step that is spoken of comes into view.
    const head = table.tHead.querySelector(".now"), room = region.clientWidth;
    if (head.offsetLeft + head.offsetWidth > region.scrollLeft + room) region.scrollLeft = head.offsetLeft + head.offsetWidth - room;
    else if (head.offsetLeft < region.scrollLeft) region.scrollLeft = head.offsetLeft;
    if (tell) speak(text);
  }

  function move(by) {
    step = Math.max(0, Math.min(steps.length - 1, step + by));
    refresh(true);
    // A button that went out takes the focus with it: the other one has it then.
    if (back.disabled && by < 0) next.focus();
    if (next.disabled && by > 0) back.focus();
  }

  inputs();
  refresh(false);
  copying(table);
  savingJson(tools(region), view, () => ({ ...data, now, scaled: toggle.checked,
    made: attendRow(now.q, now.keys, now.values, now.keep, toggle.checked) }));
  before(tools(region), tablesButton(view));
};
