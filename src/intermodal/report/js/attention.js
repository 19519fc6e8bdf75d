// Who attends to whom: one map, and what it shows is chosen; a table of heads from which one is chosen.

const LEAST = 0.001; // where the logarithmic colours begin

function level(share, signed) {
  const step = signed ? 128 + 3 * Math.round((127 * share) / 3) : 3 * Math.round(255 * share / 3);
  return (signed ? "d" : "h") + step;
}

// How strong a value is on its scale: 0 to 1, or -1 to 1 where it has a sign.
function strength(value, scale) {
  if (scale.log) return Math.max(0, Math.min(1, Math.log(Math.max(value, LEAST) / LEAST) / Math.log(scale.high / LEAST)));
  return Math.max(scale.low < 0 ? -1 : 0, Math.min(1, value / scale.high));
}

function paint(table, values, scale, hidden) {
  [...table.tBodies[0].rows].forEach((row, r) => [...row.querySelectorAll("td")].forEach((cell, c) => {
    const value = values[r][c], why = whyGap(value), away = hidden(r, c);
    cell.classList.remove(...[...cell.classList].filter((one) => /^(gap|[hd]\d+)$/.test(one)));
    cell.classList.add(why || away ? "gap" : level(strength(value, scale), scale.low < 0));
    cell.textContent = away ? "·" : figure(value, scale.digits);
    cell.dataset.v = away || value === null ? "" : String(value);
    if (why || away) cell.title = away ? words.hidden_cell : why;
    else cell.removeAttribute("title");
  }));
}

function legend(part, values, scale) {
  const strip = part.querySelector(".legend");
  const steps = Array.from({ length: 17 }, (_, i) => (scale.low < 0 ? (i - 8) / 8 : i / 16));
  const bar = make("i", {}, ...steps.map((share) => make("b", { class: level(share, scale.low < 0) })));
  const ends = [scale.log ? "≤ " + LEAST : String(Number(scale.low.toPrecision(3))), String(Number(scale.high.toPrecision(3)))];
  const shown = [make("span", {}, ends[0]), bar, make("span", {}, ends[1])];
  if (scale.uniform !== null) {
    const share = strength(scale.uniform, scale);
    const x = percent(scale.low < 0 ? 50 + 50 * share : 100 * share);
    const line = (look) => shape("line", { class: look, x1: x, x2: x, y1: 0, y2: "100%" });
    bar.append(shape("svg", { width: "100%", height: "100%" }, line("under"), line("over")));
    shown.push(make("em", {}, say("uniform", { value: fixed(scale.uniform, 3) })));
  }
  strip?.replaceChildren(...shown); // where nobody asked there is nothing to colour
  const all = values.flat(), finite = all.filter((v) => v !== null && Number.isFinite(v));
  const [least, most] = [Math.min(...finite), Math.max(...finite)].map((v) => figure(v, decimals(finite)));
  const sentences = finite.length
    ? [say("domain", { low: ends[0], high: ends[1] }) + " " + say("observed", { low: least, high: most })]
    : [words.nothing_to_colour];
  if (scale.log) sentences.push(words.log_colour);
  sentences.push(...new Set(all.map(whyGap).filter(Boolean)));
  part.querySelector(".notes").replaceChildren(...sentences.map((text) => make("p", {}, text)));
}

const added = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

function crossMass(head) {
  const asking = head.map((row, i) => [row, i]).filter(([row]) => row.some((v) => v !== null));
  return mean(asking.map(([row, i]) => added(row.filter((_, j) => j !== i))));
}

function evenness(head) {
  return mean(head.map((row) => {
    const numbers = row.filter((v) => v !== null && Number.isFinite(v));
    const total = added(numbers);
    if (row.length < 2 || total <= 0) return null;
    return numbers.reduce((sum, v) => sum - (v > 0 ? (v / total) * Math.log(v / total) : 0), 0) / Math.log(row.length);
  }));
}

views.attention = (view, data) => {
  const map = part(view, "map"), atlas = part(view, "atlas");
  const table = map.querySelector("table");
  if (!table || !atlas) return;
  const size = data.names.length, uniform = 1 / size;
  const means = numeric(data.mean), stds = data.std ? numeric(data.std) : null;
  const samples = data.samples.map((sample) => ({ ...sample, mass: numeric(sample.mass) }));
  const speak = speaker(map);
  const bar = pickers(view, words.choose);

  const every = (texts, key) => (texts.length > 1 ? [[-1, say(key, { n: texts.length })]] : []).concat([...texts.entries()]);
  const layer = pick(bar, words.layer, every(data.layers, "mean_layers"), changed);
  const head = pick(bar, words.head, every(data.heads, "mean_heads"), changed);
  const many = say("mean_samples", { n: data.n.toLocaleString("en") });
  const shows = [["mean", many]].concat(stds ? [["std", words.spread]] : [],
    samples.map((s, i) => [i, s.id + " (" + s.why + ")"]));
  const show = pick(bar, words.over, shows, changed);
  const minus = pick(bar, words.value, [["weight", words.weight]].concat(
    size > 1 ? [["minus", words.minus_even]] : []), changed);
  const hide = pick(bar, words.hide, [["none", words.hide_none], ["self", words.hide_self], ["top", words.hide_top]], changed);
  const colour = pick(bar, words.colour, [["linear", words.linear], ["log", words.logarithmic]], changed);

  // Several heads may be chosen together; then the map is their mean and the chooser of the head says how many.
  const several = new Set();
  const isChosen = (l, h) => (several.size ? several.has(l + "," + h)
    : String(l) === layer.value && String(h) === head.value);

  function chooseSeveral() {
    head.querySelector('option[value="-2"]')?.remove();
    layer.disabled = several.size > 0;
    if (several.size) {
      head.append(make("option", { value: -2 }, say("chosen_heads", { n: several.size })));
      head.value = "-2";
    }
  }

  function values() {
    const from = show.value === "mean" ? means : show.value === "std" ? stds : samples[Number(show.value)].mass;
    const taken = (l, h) => (several.size ? isChosen(l, h)
      : [[layer, l], [head, h]].every(([one, at]) => one.value === "-1" || Number(one.value) === at));
    const heads = from.flatMap((heads, l) => heads.filter((_, h) => taken(l, h)));
    return data.names.map((_, i) => data.names.map((_, j) => mean(heads.map((one) => one[i][j]))));
  }

  function scaleNow() {
    if (show.value === "std") return { low: 0, high: 0.5, digits: 3, uniform: null, log: false };
    if (minus.value === "minus") return { low: uniform - 1, high: 1 - uniform || 1, digits: 3, uniform: null, log: false };
    return { low: 0, high: 1, digits: 3, uniform, log: colour.value === "log" };
  }

  // The one column that is looked at most: taking it out shows what the others get.
  function topColumn(now) {
    const sums = data.names.map((_, j) => added(now.map((row) => (Number.isFinite(row[j]) ? row[j] : 0))));
    return sums.indexOf(Math.max(...sums));
  }

  function changed() {
    if (head.value !== "-2") several.clear();
    chooseSeveral();
    const spread = show.value === "std";
    minus.disabled = spread;
    colour.disabled = spread || minus.value === "minus";
    const now = values(), top = topColumn(now);
    const hidden = { none: () => false, self: (r, c) => r === c, top: (r, c) => c === top }[hide.value];
    const scale = scaleNow();
    const shown = scale.low < 0 ? now.map((row) => row.map((v) => (v === null ? null : v - uniform))) : now;
    paint(table, shown, scale, hidden);
    legend(map, shown, scale);
    const where = (several.size ? [head, show] : [layer, head, show]).map((one) => one.selectedOptions[0].textContent);
    const what = scale.low < 0 ? words.minus_even : spread ? words.spread : words.weight;
    const state = what[0].toUpperCase() + what.slice(1) + ": " + where.map(named).join(", ") + ".";
    const hides = { none: "", self: " " + words.hidden_self, top: " " + say("hidden_top", { name: named(data.names[top] ?? "") }) };
    const sums = spread || scale.low < 0 ? "" : " " + words.rows_sum;
    const cells = shown.flatMap((row, r) => row.map((v, c) => [v, r, c]))
      .filter(([v, r, c]) => v !== null && Number.isFinite(v) && !hidden(r, c));
    const best = cells.reduce((a, b) => (b[0] > a[0] ? b : a), cells[0]);
    const most = best ? say(scale.low < 0 ? "furthest" : spread ? "widest" : "strongest", { asks: named(data.names[best[1]]), at: named(data.names[best[2]]),
      value: figure(best[0], 3), uniform: fixed(uniform, 3) }) : words.nothing_to_colour;
    map.querySelector(".caption").textContent = state + sums + hides[hide.value] + " " + most
      + (show.value === "mean" || spread ? asked : "");
    speak(state + " " + most);
    mark();
  }

  // A modality that was missing, or had nobody to ask, counts only where it asked.
  const fewer = data.names.flatMap((text, i) => (data.count[i] === data.n ? []
    : [named(text) + " (" + data.count[i].toLocaleString("en") + ")"]));
  const asked = fewer.length ? " " + say("att_asked", { names: fewer.join(", ") }) : "";

  const heads = atlas.querySelector("table");
  const cells = heads ? [...heads.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]) : [];

  function mark() {
    cells.forEach((row, l) => row.forEach((cell, h) => {
      const chosen = isChosen(l, h);
      cell.setAttribute("aria-selected", String(chosen));
      cell.classList.toggle("chosen", chosen);
    }));
  }

  if (heads) {
    const own = make("div", { class: "pickers" });
    heads.closest(".region").before(own);
    const measure = pick(own, words.number_in_cells, [["cross", words.cross_mass], ["even", words.evenness]], () => {
      const of = measure.value === "cross" ? crossMass : evenness;
      const numbers = means.map((layer) => layer.map(of));
      const scale = { low: 0, high: 1, digits: 2, uniform: null, log: false };
      paint(heads, numbers, scale, () => false);
      legend(atlas, numbers, scale);
      atlas.querySelector(".caption").textContent = measure.value === "cross" ? words.att_atlas_how : words.att_even_how;
      mark();
      speak(measure.selectedOptions[0].textContent);
    });
    own.append(make("p", { class: "hint" }, words.choose_head));
    grid(heads, (l, h, more) => {
      const again = isChosen(l, h);
      if (more) {
        if (!several.size && layer.value !== "-1" && head.value !== "-1") several.add(layer.value + "," + head.value);
        if (again) several.delete(l + "," + h);
        else several.add(l + "," + h);
        if (!several.size) head.value = data.heads.length > 1 ? "-1" : "0";
        chooseSeveral();
        changed();
        return;
      }
      several.clear();
      chooseSeveral();
      layer.value = again && data.layers.length > 1 ? "-1" : String(l);
      head.value = again && data.heads.length > 1 ? "-1" : String(h);
      changed();
    });
    mark();
  }
  grid(table);
  savingJson(tools(map.querySelector(".region")), view, () => data);
  if (view.querySelector(":scope > .again")) before(tools(map.querySelector(".region")), tablesButton(view));
};
