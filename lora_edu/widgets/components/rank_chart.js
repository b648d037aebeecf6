// The rank explorer's chart: trainable parameters against rank, both on logarithmic scales.
//
// The slider of ranks lies under it and is its horizontal axis. No name moves while the rank does.
import { fixed, grouped, inWords, svg } from "./kit.js";

const HEIGHT = 166, TOP = 20, THUMB = 8; // half a thumb: the chart's ends are where the slider's thumb can go

/** Draws it into `place`. */
export function drawChart(place, { width, gutter }, found, state, data) {
  const { parameters, count, perRank, weights, even } = found;
  const ranks = data.ranks, last = ranks[ranks.length - 1];
  const guess = data.guess?.count && state.model === data.start.model ? { rank: data.start.rank, count: data.guess.count } : null;
  const [low, high] = span(data.shapes[state.model][data.outputs.indexOf(state.output)], last, guess);
  const left = gutter + THUMB, right = width - THUMB;
  const x = at => left + ((right - left) * Math.log2(at)) / Math.log2(last);
  const y = at => TOP + ((HEIGHT - 12 - TOP) * (high - Math.log10(at))) / (high - low);
  const line = (x1, y1, x2, y2, style) => svg("line", { x1, y1, x2, y2, style });
  const parts = [], marks = [], cross = [];
  if (count && even < last) parts.push(svg("rect", { x: x(even), y: 4, width: right - x(even), height: HEIGHT - 4, style: "fill:var(--card)" }));
  for (let power = Math.ceil(low); power <= high; power++) {
    const named = power % 3 === 0;
    parts.push(line(gutter, y(10 ** power), right, y(10 ** power), "stroke:var(--line);stroke-width:1" + (named ? "" : ";opacity:.55")));
    if (named || gutter > 62)
      parts.push(svg("text", { x: gutter - 6, y: y(10 ** power) + 4, "text-anchor": "end", class: "quiet" }, inWords(10 ** power)));
  }
  const names = []; // those first that have the fewest places to go
  parts.push(line(left, y(parameters), right, y(parameters), "stroke:var(--bar-full);stroke-width:1.6"));
  names.push({ text: `all parameters: ${inWords(parameters)}`, fill: "var(--full)", spots: edges(left, right, y(parameters) - 5, y(parameters) + 14) });
  if (guess) {
    const inside = Math.log10(guess.count) >= low && Math.log10(guess.count) <= high;
    const arrow = inside ? "" : Math.log10(guess.count) > high ? " ↑" : " ↓";
    const at = Math.min(HEIGHT - 8, Math.max(14, y(guess.count)));
    if (inside) cross.push(svg("path", { d: `M${x(guess.rank) - 6} ${at - 6}l12 12m0 -12l-12 12`, style: "stroke:var(--ink);stroke-width:2.6;stroke-linecap:round" }));
    names.push({ text: `your guess: ${inWords(guess.count)}${arrow}`, fill: "var(--ink)", bold: true, spots: around(x(guess.rank), at), mine: at,
      not: count ? y(perRank * guess.rank) : Infinity });
  }
  const curve = count ? [[x(1), y(perRank)], [x(last), y(perRank * last)]] : [];
  if (count) {
    parts.push(line(left, y(weights), right, y(weights), "stroke:var(--frozen);stroke-width:1.4;stroke-dasharray:5 4"));
    names.push({ text: `adapted W: ${inWords(weights)}`, fill: "var(--quiet)", spots: edges(left, right, y(weights) + 14, y(weights) - 5) });
    parts.push(line(x(state.rank), y(count), x(state.rank), HEIGHT, "stroke:var(--lora);stroke-width:1.4;stroke-dasharray:2 3"));
    parts.push(line(...curve[0], ...curve[1], "stroke:var(--bar-lora);stroke-width:2.4"));
    if (right - x(even) > 90) names.push({ text: "more than W", fill: "var(--quiet)", spots: beside(right) });
    names.push({ text: "LoRA", fill: "var(--lora)", bold: true, spots: along(curve) });
    if (even >= 1 && even <= last) {
      marks.push(svg("circle", { cx: x(even), cy: y(weights), r: 5.5, style: "fill:var(--paper);stroke:var(--frozen);stroke-width:2" }));
      names.push({ text: `break-even: rank ${grouped(fixed(even, 0))}`, fill: "var(--ink)", halo: true, spots: beside(x(even)) });
      parts.push(line(x(even), y(weights), x(even), HEIGHT, "stroke:var(--frozen);stroke-width:1"));
    } else names.push({ text: `break-even at rank ${grouped(fixed(even, 0))} →`, fill: "var(--ink)", spots: beside(right + 2) });
    marks.push(svg("circle", { cx: x(state.rank), cy: y(count), r: 6, style: "fill:var(--bar-lora);stroke:var(--paper);stroke-width:2" }));
  }
  place.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  place.setAttribute("width", width);
  place.setAttribute("height", HEIGHT);
  place.replaceChildren(...parts);
  const rules = [y(parameters), ...(count ? [y(weights)] : [])];
  writeNames(place, names, { left, right, curve, rules, cross: guess && [x(guess.rank), y(guess.count)] });
  place.append(...marks, ...cross);
}

/** The powers of ten from the least that LoRA can train of a model to the most, and its own size. */
function span({ parameters, layers }, last, guess) {
  const counts = layers.map(([, m, n, copies]) => copies * (m + n));
  const most = Math.max(parameters, last * counts.reduce((sum, each) => sum + each, 0));
  let [low, high] = [Math.log10(Math.min(...counts)), Math.log10(most)];
  if (guess) {
    const at = Math.log10(guess.count);
    if (at > low - 2 && at < low) low = at;
    if (at < high + 2 && at > high) high = at;
  }
  return [low, high];
}

const edges = (left, right, first, second) => [first, second].flatMap(y => [[left + 4, y, "start"], [right - 4, y, "end"]]);
const beside = x => [[x - 6, HEIGHT - 6, "end"], [x + 6, HEIGHT - 6, "start"], [x - 6, HEIGHT - 22, "end"], [x + 6, HEIGHT - 22, "start"]];
const around = (x, y) => [[x + 12, y + 4, "start"], [x - 12, y + 4, "end"], [x - 10, y - 9, "end"], [x + 10, y + 18, "start"], [x + 10, y - 9, "start"], [x - 10, y + 18, "end"], [x, y - 14, "middle"],
  [x, y + 24, "middle"], [x + 12, y + 32, "start"], [x - 12, y - 22, "end"], [x + 12, y - 22, "start"], [x - 12, y + 32, "end"]];
const along = ([[x1, y1], [x2, y2]]) => [0.16, 0.25, 0.35, 0.5, 0.65, 0.8, 0.92].map(part => {
  const [x, y] = [x1 + part * (x2 - x1), y1 + part * (y2 - y1)];
  return [x - 8, y - 7, "end"]; // above it, where the line down to the slider never is
});

/** Writes each name at the first of its spots where it covers least: no line, no cross, no other name. */
function writeNames(place, names, { left, right, curve, rules, cross }) {
  const taken = [];
  const halo = ";paint-order:stroke;stroke:var(--paper);stroke-width:5px"; // the line of a rank may pass beneath
  const texts = names.map(({ text, fill, bold, halo: has }) => svg("text", { class: "tag", style: `fill:${fill};font-weight:${bold ? 650 : 400}${has ? halo : ""}` }, text));
  place.append(...texts);
  const widths = texts.map(text => text.getComputedTextLength()); // all at once: the page is laid out once
  names.forEach(({ spots, mine, not }, row) => {
    const wide = widths[row];
    const boxes = spots.map(([x, y, anchor]) => {
      const from = { start: x, middle: x - wide / 2, end: x - wide }[anchor];
      const inside = Math.min(Math.max(from, left), Math.max(left, right - wide));
      return { x1: inside, x2: inside + wide + 6, y1: y - 11, y2: y + 3, moved: Math.abs(inside - from) };
    });
    const cost = spot => overlap(spot, taken) + 40 * crossings(spot, curve) + (spot.y1 < 0 || spot.y2 > HEIGHT ? 4000 : 0) +
      rules.filter(at => at > spot.y1 && at < spot.y2).length * 300 + 2 * spot.moved +
      (mine === undefined ? 0 : 300 * (strays(spot, mine, not) + rules.filter(at => at > spot.y1 - 6 && at < spot.y2 + 6).length)) +
      (cross ? overlap(spot, [{ x1: cross[0] - 8, x2: cross[0] + 8, y1: cross[1] - 8, y2: cross[1] + 8 }]) * 3 : 0);
    const best = boxes.reduce((least, spot) => (cost(spot) < cost(least) ? spot : least));
    texts[row].setAttribute("x", best.x1);
    texts[row].setAttribute("y", best.y2 - 3);
    taken.push(best);
  });
}

/** Whether a name stands nearer to another place than to its own: a guess's beside the right answer. */
function strays({ y1, y2 }, mine, other) {
  const middle = (y1 + y2) / 2;
  return Math.abs(mine - other) > 4 && Math.abs(middle - other) < Math.abs(middle - mine) + 6;
}

const overlap = (a, others) => others.reduce((sum, b) =>
  sum + Math.max(0, Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1)) * Math.max(0, Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1)), 0);

/** How many of a hundred points of the curve lie under a name. */
function crossings({ x1, x2, y1, y2 }, curve) {
  if (!curve.length) return 0;
  const [[ax, ay], [bx, by]] = curve;
  return Array.from({ length: 101 }, (_, part) => [ax + (part / 100) * (bx - ax), ay + (part / 100) * (by - ay)])
    .filter(([x, y]) => x > x1 - 3 && x < x2 + 3 && y > y1 - 2 && y < y2 + 2).length;
}
