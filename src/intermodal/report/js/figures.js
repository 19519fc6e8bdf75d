// Numbers as Python writes them: the last printed digit is the right one, and an exact half goes to the even digit.

function halfEven(text, long, kept) {
  if (!/^50*$/.test(long.slice(kept))) return text;
  const below = long.slice(0, kept).replace(/\.$/, "");
  return Number(below[below.length - 1]) % 2 === 0 ? below : text;
}

function fixed(value, digits) {
  const size = Math.abs(value);
  const long = size.toFixed(60);
  const shown = halfEven(size.toFixed(digits), long, long.indexOf(".") + 1 + digits);
  return value < 0 || Object.is(value, -0) ? "-" + shown : shown;
}

function exponential(value, digits) {
  const size = Math.abs(value);
  const [mantissa, exponent] = size.toExponential(digits).split("e");
  const long = size.toExponential(60).split("e");
  const shown = Number(long[1]) === Number(exponent) ? halfEven(mantissa, long[0], 2 + digits) : mantissa;
  const power = String(Math.abs(Number(exponent))).padStart(2, "0");
  return (value < 0 ? "-" : "") + shown + "e" + exponent[0] + power;
}

function twoDigits(value) {
  const exponent = Number(value.toExponential(1).split("e")[1]);
  if (exponent < -4) return exponential(value, 1).replace(/\.0(?=e)/, "");
  return fixed(value, 1 - exponent).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

function figure(value, digits) {
  if (value === null) return words.missing;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (Math.abs(value) >= 1e6) return exponential(value, 3);
  if (value === 0) return fixed(0, digits);
  const shown = fixed(value, digits);
  return Number(shown) === 0 ? twoDigits(value) : shown;
}

function decimals(values) {
  const sizes = values.filter((v) => v !== null && Number.isFinite(v)).map(Math.abs);
  const largest = Math.max(0, ...sizes);
  if (largest === 0) return 3;
  const exponent = Math.floor(Math.log10(largest));
  return exponent >= 0 ? Math.max(0, 3 - exponent) : Math.min(6, 2 - exponent);
}

function whyGap(value) {
  if (value === null) return words.why_missing;
  if (Number.isNaN(value)) return words.why_nan;
  return Number.isFinite(value) ? null : words.why_infinite;
}

// Where a value stands on an axis, in percent, and the round numbers the axis shows.
function axisOf(values) {
  const numbers = values.filter((v) => v !== null && Number.isFinite(v));
  let low = Math.min(...numbers), high = Math.max(...numbers);
  if (!numbers.length) [low, high] = [0, 1];
  if (low === high) [low, high] = [low - (Math.abs(low) / 2 || 1), high + (Math.abs(high) / 2 || 1)];
  const room = 0.05 * (high - low);
  return axis(low - room, high + room);
}

function axis(low, high, count = 5) {
  const span = high - low;
  const at = (value) => Math.min(100, Math.max(0, (100 * (value - low)) / span));
  const exponent = Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((s) => Number(s + "e" + exponent)).find((s) => span / count <= s * (1 + 1e-12));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9) && ticks.length < 21; i += 1) {
    ticks.push(i * step);
  }
  const digits = Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return { low, high, at, ticks, labels: ticks.map((tick) => figure(tick === 0 ? 0 : tick, digits)) };
}

const percent = (value) => Number(value.toFixed(4)) + "%";
