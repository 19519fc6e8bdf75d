// When a word looks where: a row per word over seconds, drawn only while it is on the screen.

const LINE = 28, TALL = 22;

views.timeline = (view, data) => {
  if (!data.items.length) return;
  const host = make("div", { class: "part", "data-part": "time" });
  const speak = speaker(host);
  view.prepend(host);
  const bar = pickers(view, words.choose);
  const tracks = new Map();
  // Counted frames begin with the first; frame k reaches from k - 1 to k.
  const first = () => (track.counted ? 1 : 0);
  // Where nobody gave times, the frames are counted: "token 3" and not "2.00 to 3.00".
  const spanAt = (k) => (track.counted ? String(k + 1) : spanOf(track.times[k]));
  const whenAt = (k) => (track.counted ? data.unit + " " + (k + 1) : spanOf(track.times[k]) + " " + data.unit);
  const item = pick(bar, words.sample, data.items.map((one, i) => [i, one.id || String(i + 1)]), open);
  const wordLabel = make("label", {}, make("span", {}, data.query));
  const word = make("select");
  wordLabel.append(word);
  bar.append(wordLabel);
  word.addEventListener("change", () => { seek(track.item.top[Number(word.value)][0]?.[0] ?? frame, true); });

  const from = make("input", { type: "number", step: "any" }), to = make("input", { type: "number", step: "any" });
  bar.append(make("label", {}, make("span", {}, say("from", { unit: data.unit })), from),
    make("label", {}, make("span", {}, say("to", { unit: data.unit })), to),
    button(words.whole, () => show(track.first, track.last)));
  for (const input of [from, to]) {
    input.addEventListener("change", () => {
      const [a, b] = [Number(from.value) - first(), Number(to.value)].sort((one, other) => one - other);
      show(a, b);
    });
  }

  const table = make("table", { class: "chart time" });
  const region = make("div", { class: "region tall", role: "region", tabindex: 0 }, table);
  const slider = make("input", { type: "range", min: 0, step: 1 });
  slider.addEventListener("input", () => seek(Number(slider.value)));
  const sliding = make("label", { class: "slide" }, make("span", {}, words.frame), slider);
  const told = make("p", { class: "told" }), share = make("p", { class: "told" }), how = make("div", { class: "notes" });
  const best = make("div", { class: "best" });
  host.append(region, sliding, told, share, best, how);
  const full = make("div", { class: "part again", "data-part": "word" });
  view.append(full);

  let track = null, frame = 0, low = 0, high = 1, rows = [], dragging = null;

  function open() {
    const at = Number(item.value);
    if (!tracks.has(at)) tracks.set(at, new Track(data.items[at], data.unit));
    track = tracks.get(at);
    view.querySelectorAll(":scope > [data-part^=item]").forEach((one) => one.toggleAttribute("data-other", one.dataset.part !== "item" + at));
    word.replaceChildren(...track.words.map((text, i) => make("option", { value: i }, shortened(text, PLACES) || "“”")));
    slider.max = Math.max(0, track.frames - 1);
    region.setAttribute("aria-label", say("time_region", { item: shortened(data.items[at].id) }));
    [low, high] = [track.first, track.last];
    build();
    const peaks = track.item.top.map((top) => (top.length ? top[0][1] : -Infinity));
    word.value = String(Math.max(0, peaks.indexOf(Math.max(...peaks))));
    show(low, high);
    if (track.words.length && track.frames) seek(track.item.top[Number(word.value)][0]?.[0] ?? 0);
  }

  function build() {
    const heads = make("tr", {}, make("th", { scope: "col", class: "name" }, data.query),
      make("th", { scope: "col", class: "plot" }, make("span", {}, data.context + " (" + data.unit + ")")),
      make("th", { scope: "col", class: "r num" }, words.most));
    rows = track.words.map((text, w) => {
      const canvas = make("canvas", { role: "img", height: LINE });
      const top = track.item.top[w][0];
      canvas.setAttribute("aria-label", top ? summary(w) : say("no_weights", { word: named(text) }));
      const head = shape("line", { class: "playhead", y1: 0, y2: "100%" });
      const plot = make("td", { class: "plot" }, canvas, shape("svg", { "aria-hidden": "true" }, head));
      const line = make("tr", {}, rowHead(text), plot,
        make("td", { class: "r", "data-v": top ? track.times[top[0]][0] : "" }, top ? spanAt(top[0]) : words.missing));
      return { canvas, line, plot, head, drawn: false };
    });
    const foot = make("tr", { "aria-hidden": "true" }, make("td"), make("td", { class: "plot" },
      shape("svg", { width: "100%", height: "100%", class: "axis" })), make("td"));
    table.replaceChildren(make("caption", {}, make("span", { class: "sr" }, say("time_region", { item: shortened(track.item.id) }))),
      make("thead", {}, heads), make("tbody", {}, ...rows.map((row) => row.line)), make("tfoot", {}, foot));
    rows.forEach((row, w) => {
      watch.observe(row.canvas);
      row.plot.addEventListener("pointerdown", (event) => {
        word.value = String(w);
        dragging = { start: timeUnder(event, row), row };
        row.plot.setPointerCapture(event.pointerId);
      });
      row.plot.addEventListener("pointerup", (event) => {
        if (!dragging) return;
        const end = timeUnder(event, row), begun = dragging.start;
        dragging = null;
        if (Math.abs(end - begun) < (high - low) / 100) seek(track.frameAt(begun), true);
        else { show(Math.min(begun, end), Math.max(begun, end)); seek(frame, true); }
      });
    });
  }

  function timeUnder(event, row) {
    const { left, width } = row.canvas.getBoundingClientRect();
    return low + (Math.max(0, Math.min(width, event.clientX - left)) / width) * (high - low);
  }

  function show(a, b) {
    if (!(b > a)) [a, b] = [track.first, track.last];
    [low, high] = [Math.max(track.first, a), Math.min(track.last, b)];
    if (!(high > low)) [low, high] = [track.first, track.last];
    from.value = String(Number((low + first()).toPrecision(9)));
    to.value = String(Number(high.toPrecision(9)));
    rows.forEach((row) => { row.drawn = false; if (row.near) paintRow(row); });
    const scale = axis(low, high, Math.max(3, Math.round(table.querySelector(".axis").clientWidth / 90)));
    const whole = scale.ticks.map((tick, i) => [tick, scale.labels[i]])
      .filter(([tick]) => !track.counted || (Number.isInteger(tick) && tick > low));
    table.querySelector(".axis").replaceChildren(...whole.map(([tick, text], i) => shape("text",
      { x: percent(scale.at(tick - first() / 2)), y: 18, class: whole.length > 3 && i % 2 ? "odd" : null }, track.counted ? String(tick) : text)));
    point();
  }

  const widthOf = (row) => Math.max(1, Math.round(row.plot.clientWidth - 14));

  function paintRow(row) {
    const w = rows.indexOf(row), { canvas } = row;
    const width = widthOf(row), ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(LINE * ratio);
    canvas.dataset.width = String(width);
    const pen = canvas.getContext("2d");
    const look = getComputedStyle(row.plot);
    const [bar, gap, line] = ["--bar", "--hatch", "--span"].map((key) => look.getPropertyValue(key).trim());
    pen.scale(ratio, ratio);
    for (const [start, end] of track.item.truth || []) {
      const x = ((start - low) / (high - low)) * width;
      pen.fillStyle = line;
      pen.globalAlpha = 0.18;
      pen.fillRect(x, 0, ((end - start) / (high - low)) * width, LINE);
      pen.globalAlpha = 1;
      pen.fillRect(x, 0, Math.max(1, ((end - start) / (high - low)) * width), 3);
    }
    for (const [x, wide, value] of track.bars(w, low, high, width)) {
      if (Number.isFinite(value)) {
        const tall = (value * track.seen[w] * TALL) / track.peak;
        pen.fillStyle = bar;
        pen.fillRect(x, LINE - tall, wide, tall);
      } else {
        pen.fillStyle = gap;
        for (let y = LINE - 12; y < LINE; y += 4) pen.fillRect(x, y, wide, 1);
      }
    }
    pen.fillStyle = look.color;
    pen.globalAlpha = 0.45;
    pen.fillRect(0, LINE - TALL / track.peak, width, 1); // the even share
    row.drawn = true;
  }

  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const row = rows.find((one) => one.canvas === target);
      if (!row) continue;
      row.near = isIntersecting;
      if (isIntersecting && !row.drawn) paintRow(row);
    }
  }, { rootMargin: "200px" });
  const again = () => rows.forEach((row) => { row.drawn = false; if (row.near) paintRow(row); });
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    window.matchMedia(query).addEventListener("change", again);
  }
  new ResizeObserver(again).observe(region);

  function summary(w) {
    const [k, value] = track.item.top[w][0];
    return say("time_most", { word: named(track.words[w]), when: whenAt(k),
      weight: figure(Number(value), 4), uniform: figure(1 / track.seen[w], 4) });
  }

  function weightAt(w, k) {
    const exact = track.item.top[w].find(([at]) => at === k);
    const value = exact ? Number(exact[1]) : track.row(w)[k];
    return Number.isNaN(value) ? null : value;
  }

  const edge = (value) => (track.counted ? data.unit + " " + Number(value.toPrecision(4))
    : timeOf(value, high - low) + " " + data.unit);

  function point() {
    const time = track.frames ? (track.times[frame][0] + track.times[frame][1]) / 2 : low;
    const place = (100 * (time - low)) / (high - low);
    for (const { head, line } of rows) {
      head.setAttribute("x1", percent(place));
      head.setAttribute("x2", percent(place));
      head.toggleAttribute("hidden", place < 0 || place > 100);
      line.classList.remove("hit");
    }
    if (!rows.length) return;
    const { line } = rows[Number(word.value)];
    line.classList.add("hit");
    // The row that is spoken of is on the screen, between the head and the axis that stay.
    const [box, own] = [region.getBoundingClientRect(), line.getBoundingClientRect()];
    const above = own.top - box.top - table.tHead.offsetHeight, below = own.bottom - box.bottom + table.tFoot.offsetHeight;
    if (above < 0) region.scrollTop += above;
    else if (below > 0) region.scrollTop += below;
  }

  function seek(k, tell = false) {
    if (!track.words.length || !track.frames) return;
    frame = k;
    slider.value = String(k);
    const w = Number(word.value), value = weightAt(w, k);
    const gaps = { word: named(track.words[w]), when: whenAt(k), weight: figure(value, 4),
      times: value === null ? words.missing : figure(value * track.seen[w], 2) };
    told.textContent = say("time_at", gaps);
    told.dataset.frame = String(k);
    told.dataset.v = value === null ? "" : String(value);
    slider.setAttribute("aria-valuetext", gaps.when + ", " + gaps.weight);
    const inside = track.times.reduce((sum, [a, b], at) => {
      const one = track.row(w)[at];
      return (a + b) / 2 >= low && (a + b) / 2 <= high && Number.isFinite(one) ? [sum[0] + one, sum[1] + 1] : sum;
    }, [0, 0]);
    const whole = low === track.first && high === track.last;
    share.textContent = whole ? "" : say("time_share", { share: figure(inside[0], 4), word: named(track.words[w]),
      from: edge(low + first()), to: edge(high),
      even: figure(track.seen[w] ? inside[1] / track.seen[w] : null, 4) });
    point();
    bestTable(w);
    notes(w);
    if (view.classList.contains("tables")) fullTable();
    if (tell) speak(track.item.top[w].length && track.item.top[w][0][0] === k ? summary(w) : told.textContent);
  }

  function bestTable(w) {
    const made = track.item.top[w].map(([k, value], i) => make("li", {}, button(
      say("time_top", { i: i + 1, when: whenAt(k), weight: figure(Number(value), 4),
        times: figure(Number(value) * track.seen[w], 2) }), () => seek(k, true))));
    const held = best.contains(document.activeElement);
    const at = held ? [...best.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    best.replaceChildren(make("p", {}, say("time_best", { word: named(track.words[w]) })), make("ol", {}, ...made));
    if (at >= 0) best.querySelectorAll("button")[Math.min(at, made.length - 1)].focus();
  }

  function notes(w) {
    const lines = [say("time_bar", { peak: figure(track.peak, 1) })];
    const width = widthOf(rows[w]);
    const count = track.inside(low, high);
    if (width && count > width) lines.push(say("time_bins", { frames: count.toLocaleString("en"), bins: width }));
    if (track.seen[w] < track.frames) lines.push(say("time_gaps", { count: track.frames - track.seen[w] }));
    if ((track.item.truth || []).length) lines.push(say("time_truth_drawn", { spans: track.item.truth.map(spanOf).join("; ") + " " + data.unit }));
    if (track.item.weights.bits === 16) lines.push(say("time_half", { drift: track.item.weights.drift.toExponential(0) }));
    how.replaceChildren(...lines.map((text) => make("p", {}, text)));
  }

  // Every frame of the word that is picked; the numbers that a canvas cannot tell.
  function fullTable() {
    const w = Number(word.value), numbers = track.row(w);
    const cell = (text, raw) => make("td", { class: "r", "data-v": raw }, text);
    const lines = track.times.map((span, k) => {
      const value = weightAt(w, k);
      return make("tr", {}, cell(timeOf(span[0], span[1] - span[0]), span[0]), cell(timeOf(span[1], span[1] - span[0]), span[1]),
        cell(figure(value, 6), value ?? ""), cell(Number.isNaN(numbers[k]) ? words.missing : figure(value * track.seen[w], 2), ""));
    });
    const title = say("time_word", { word: named(track.words[w]) });
    const whole = make("table", { class: "data" }, make("caption", {}, make("span", { class: "sr" }, title)),
      make("thead", {}, make("tr", {}, ...[words.start, words.end, words.weight, words.times_uniform].map((head) =>
        make("th", { scope: "col", class: "r" }, head)))), make("tbody", {}, ...lines));
    full.replaceChildren(make("h3", {}, title), make("div",
      { class: "region tall", role: "region", tabindex: 0, "aria-label": title }, whole));
    copying(whole);
  }

  function everything() {
    return { ...data, items: data.items.map((one) => {
      const numbers = unpacked(one.weights), count = one.times.length;
      return { ...one, weights: one.words.map((_, w) => Array.from(numbers.subarray(w * count, (w + 1) * count),
        (v) => (Number.isNaN(v) ? null : v))) };
    }) };
  }

  function picture() {
    const left = 180, wide = 720, size = { width: left + wide + 16, height: LINE * rows.length + 48 };
    const made = shape("svg", { ...size, "font-family": "sans-serif", "font-size": 13 },
      shape("rect", { ...size, fill: colourOf("--page") }));
    const ink = { fill: colourOf("--ink"), "dominant-baseline": "central" };
    rows.forEach((row, w) => {
      const y = 8 + LINE * w;
      made.append(shape("text", { x: left - 12, y: y + LINE / 2, "text-anchor": "end", ...ink }, shortened(track.words[w], 22)));
      for (const [x, width, value] of track.bars(w, low, high, wide)) {
        if (!Number.isFinite(value)) continue;
        const tall = (value * track.seen[w] * TALL) / track.peak;
        made.append(shape("rect", { x: left + x, y: y + LINE - tall, width, height: tall, fill: colourOf("--bar"), "data-v": value }));
      }
    });
    const scale = axis(low, high);
    scale.ticks.forEach((tick, i) => made.append(shape("text", { x: left + (scale.at(tick) * wide) / 100,
      y: LINE * rows.length + 26, "text-anchor": "middle", ...ink }, scale.labels[i])));
    return new XMLSerializer().serializeToString(made);
  }

  const buttons = tools(region);
  savingJson(buttons, view, everything);
  before(buttons, button(words.save_svg, () => save(titled(view), "svg", "image/svg+xml", picture())));
  before(buttons, tablesButton(view, () => { if (track.words.length && track.frames) fullTable(); }));
  open();
  if (rows.length) copying(table);
};
