// From nothing to the prediction: each modality's bar begins where the one before it ended.

views.attribution = (view, data) => {
  if (!data.samples.length || !data.outputs.length) return;
  const host = make("div", { class: "part", "data-part": "fall" });
  view.prepend(host);
  const bar = pickers(view, words.choose);
  const samples = data.samples.map((s, i) => [i, s.why ? s.id + " (" + s.why + ")" : s.id]);
  const sample = pick(bar, words.sample, samples, draw);
  const output = pick(bar, words.output, [...data.outputs.entries()], draw);
  const heading = make("h3", {}, words.samples);
  const table = make("table", { class: "chart fall" });
  const region = make("div", { class: "region", role: "region", tabindex: 0, "aria-label": words.samples }, table);
  host.append(heading, region);
  const speak = speaker(host, true);

  function row(text, picture, number, raw, look = "") {
    return make("tr", { class: look }, rowHead(text),
      make("td", { class: "plot" }, picture), make("td", { class: "r", "data-v": raw }, number));
  }

  function draw() {
    const one = data.samples[Number(sample.value)], at = Number(output.value);
    const empty = Number(one.empty[at]), full = Number(one.full[at]);
    const values = one.values.map((value) => (value[at] === null ? null : Number(value[at])));
    const ends = values.reduce((made, value) => [...made, made[made.length - 1] + (value ?? 0)], [empty]);
    const scale = axisOf([full, ...ends]);
    const digits = decimals([empty, full, ...values]);
    const x = (value) => percent(scale.at(value));
    const upright = (value, look) => shape("line", { class: look, x1: x(value), x2: x(value), y1: 0, y2: "100%" });
    const drawing = (...shapes) => shape("svg", { "aria-hidden": "true", focusable: "false", width: "100%", height: "100%" },
      ...scale.ticks.map((tick) => upright(tick, "grid")), ...shapes);
    const rows = [row(words.f_empty, drawing(upright(empty, "level")), figure(empty, digits), empty, "end")];
    data.names.forEach((text, index) => {
      const value = values[index], gone = one.missing ? one.missing[index] : false;
      const [low, high] = [ends[index], ends[index + 1]].sort((a, b) => a - b).map((end) => scale.at(end));
      const bars = gone || value === null ? [upright(ends[index], "link")] : [
        upright(ends[index], "link"),
        shape("rect", { class: value < 0 ? "minus" : "plus", x: percent(low), width: percent(high - low), y: "50%",
          height: 16, transform: "translate(0,-8)" }),
      ];
      const sign = value > 0 ? "+" : "";
      rows.push(row(text, drawing(...bars), gone ? words.missing_modality : sign + figure(value, digits), gone ? "" : value));
    });
    rows.push(row(words.f_full, drawing(upright(full, "level")), figure(full, digits), full, "end"));
    const texts = scale.ticks.map((tick, i) => shape("text",
      { x: x(tick), y: 18, class: scale.ticks.length > 3 && i % 2 ? "odd" : null }, scale.labels[i]));
    const foot = make("tr", { "aria-hidden": "true" }, make("td"), make("td", { class: "plot" },
      shape("svg", { width: "100%", height: "100%" }, ...texts)), make("td"));
    table.replaceChildren(make("caption", {}, make("span", { class: "sr" }, words.samples)),
      make("thead", {}, make("tr", {}, make("th", { scope: "col", class: "name" }, words.modality),
        make("th", { scope: "col", class: "plot" }, make("span", { class: "sr" }, words.plot)),
        make("th", { scope: "col", class: "r num" }, words.value))),
      make("tbody", {}, ...rows), make("tfoot", {}, foot));
    const sizes = values.map((value) => Math.abs(value ?? 0)), most = sizes.indexOf(Math.max(...sizes));
    if (most >= 0) {
      speak(say(sizes[most] ? "moved" : "unmoved", { sample: named(one.id), output: named(data.outputs[at]), from: figure(empty, digits),
        to: figure(full, digits), name: named(data.names[most]), value: figure(values[most], digits) }));
    }
  }

  draw();
  copying(table);
  const bar2 = tools(region);
  savingJson(bar2, view, () => data);
  before(bar2, button(words.save_svg, () => save(titled(view), "svg", "image/svg+xml", fallPicture(table))));
  before(bar2, tablesButton(view));
};

// The bars as one picture: each row's drawing under the other, with its name and number.
function fallPicture(table) {
  const down = 34, left = 180, right = 120, wide = 480;
  const rows = [...table.tBodies[0].rows];
  const size = { width: left + wide + right, height: down * rows.length + 16 };
  const picture = shape("svg", { ...size, "font-family": "sans-serif", "font-size": 14 },
    shape("rect", { ...size, fill: colourOf("--page") }));
  const text = (x, y, anchor, content) => shape("text",
    { x, y, "text-anchor": anchor, "dominant-baseline": "central", fill: colourOf("--ink") }, content);
  rows.forEach((row, r) => {
    const y = 8 + down * r;
    picture.append(text(left - 12, y + down / 2, "end", shortened(name(row.cells[0]), 22)));
    const copy = row.querySelector("svg").cloneNode(true);
    const originals = [...row.querySelectorAll("svg *")];
    [...copy.querySelectorAll("*")].forEach((element, index) => {
      const look = getComputedStyle(originals[index]);
      for (const key of ["fill", "stroke", "stroke-width", "stroke-dasharray"]) element.setAttribute(key, look.getPropertyValue(key));
    });
    for (const [key, value] of Object.entries({ x: left, y, width: wide, height: down })) copy.setAttribute(key, value);
    picture.append(copy, text(left + wide + 12, y + down / 2, "start", row.cells[2].textContent));
  });
  return new XMLSerializer().serializeToString(picture);
}
