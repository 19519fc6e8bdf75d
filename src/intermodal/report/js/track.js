// One item of a timeline: its weights unpacked, its even share, where its frames lie and what a row of it draws.

function halfFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

// Little-endian float32 or float16 in base64; a gap is a NaN.
function unpacked({ bits, data }) {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const seen = new DataView(bytes.buffer), count = (bytes.length * 8) / bits;
  return Float32Array.from({ length: count }, (_, i) =>
    (bits === 32 ? seen.getFloat32(4 * i, true) : halfFloat(seen.getUint16(2 * i, true))));
}

// A time to a hundredth, or finer where the frame is finer.
const timeOf = (value, span) =>
  figure(value, span > 0 ? Math.max(2, Math.min(6, 1 - Math.floor(Math.log10(span) + 1e-6))) : 2);
const spanOf = ([start, end]) => say("time_span", { start: timeOf(start, end - start), end: timeOf(end, end - start) });

class Track {
  // One item: its weights, its even share, where its frames lie.
  constructor(item, unit) {
    this.item = item;
    this.words = item.words;
    this.times = item.times;
    this.frames = item.times.length;
    this.counted = unit !== "s" && this.times.every(([start, end], k) => start === k && end === k + 1);
    this.weights = unpacked(item.weights);
    this.first = item.times.reduce((low, [start]) => Math.min(low, start), this.frames ? Infinity : 0);
    this.last = item.times.reduce((high, [, end]) => Math.max(high, end), -Infinity);
    if (!(this.last > this.first)) this.last = this.first + 1;
    this.seen = this.words.map((_, w) => this.row(w).reduce((n, v) => n + Number.isFinite(v), 0));
    this.peak = 1;
    this.words.forEach((_, w) => this.row(w).forEach((v) => { this.peak = Math.max(this.peak, v * this.seen[w] || 0); }));
  }

  row(word) { return this.weights.subarray(word * this.frames, (word + 1) * this.frames); }

  frameAt(time) {
    const inside = this.times.findIndex(([start, end]) => start <= time && time <= end);
    if (inside >= 0) return inside;
    const gaps = this.times.map(([start, end]) => Math.max(start - time, time - end));
    return gaps.indexOf(Math.min(...gaps));
  }

  // What a row draws: a bar per frame, or where frames are finer than `places`, the largest of each place.
  bars(word, from, to, places) {
    const row = this.row(word), scale = places / (to - from), bars = [];
    if (this.inside(from, to) <= places) {
      this.times.forEach(([start, end], k) => {
        if (end >= from && start <= to) bars.push([(start - from) * scale, Math.max(1, (end - start) * scale), row[k]]);
      });
      return bars;
    }
    const best = new Array(places).fill(null);
    this.times.forEach(([start, end], k) => {
      if (end < from || start > to) return;
      const a = Math.max(0, Math.floor((start - from) * scale));
      const b = Math.max(a, Math.min(places - 1, Math.ceil((end - from) * scale) - 1));
      for (let at = a; at <= b; at += 1) {
        if (best[at] === null || row[k] > best[at] || Number.isNaN(best[at])) best[at] = row[k];
      }
    });
    best.forEach((value, at) => { if (value !== null) bars.push([at, 1, value]); });
    return bars;
  }

  inside(from, to) { return this.times.reduce((n, [start, end]) => n + (end >= from && start <= to), 0); }
}
