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
  const line = (x1, y1, x2, y2, style, kind) => svg("line", { x1, y1, x2, y2, style, class: kind });
  const parts = [], marks = [], cross = [];
  if (count && even < last) parts.push(svg("rect", { x: x(even), y: 4, width: right - x(even), height: HEIGHT - 4, style: "fill:var(--card)" }));
  const thousands = Math.floor(high / 3) - Math.ceil(low / 3) + 1; // one name alone makes no scale
  for (let power = Math.ceil(low); power <= high; power++) {
    const named = power % 3 === 0 || (thousands < 2 && power % 2 === 0);
    parts.push(line(gutter, y(10 ** power), right, y(10 ** power), "stroke:var(--line);stroke-width:1" + (named ? "" : ";opacity:.55"), "grid"));
    if (named || gutter > 62)
      parts.push(svg("text", { x: gutter - 6, y: y(10 ** power) + 4, "text-anchor": "end", class: "quiet" }, inWords(10 ** power)));
  }
  const names = [], lines = [], avoided = []; // what names keep clear of
  const drawn = (...ends) => lines.push(ends) && ends;
  const avoid = (cx, cy, r) => avoided.push({ x1: cx - r, x2: cx + r, y1: cy - r, y2: cy + r });
  parts.push(line(...drawn(left, y(parameters), right, y(parameters)), "stroke:var(--bar-full);stroke-width:1.6"));
  names.push({ text: `all parameters: ${inWords(parameters)}`, short: `all: ${inWords(parameters)}`, fill: "var(--full)", spots: edges(left, right, y(parameters) - 5, y(parameters) + 14) });
  if (guess) {
    const inside = Math.log10(guess.count) >= low && Math.log10(guess.count) <= high;
    const arrow = inside ? "" : Math.log10(guess.count) > high ? " ↑" : " ↓";
    const at = Math.min(HEIGHT - 8, Math.max(14, y(guess.count)));
    if (inside) avoid(x(guess.rank), at, 8);
    if (inside) cross.push(svg("path", { d: `M${x(guess.rank) - 6} ${at - 6}l12 12m0 -12l-12 12`, style: "stroke:var(--ink);stroke-width:2.6;stroke-linecap:round" }));
    names.push({ text: `your guess: ${inWords(guess.count)}${arrow}`, short: `you: ${inWords(guess.count)}${arrow}`, fill: "var(--ink)", bold: true, spots: around(x(guess.rank), at), mine: at,
      not: count ? y(perRank * guess.rank) : Infinity });
  }
  const curve = count ? [[x(1), y(perRank)], [x(last), y(perRank * last)]] : [];
  if (count) {
    parts.push(line(...drawn(left, y(weights), right, y(weights)), "stroke:var(--frozen);stroke-width:1.4;stroke-dasharray:5 4"));
    names.push({ text: `adapted W: ${inWords(weights)}`, short: `W: ${inWords(weights)}`, fill: "var(--quiet)", spots: edges(left, right, y(weights) + 14, y(weights) - 5) });
    parts.push(line(x(state.rank), y(count), x(state.rank), HEIGHT, "stroke:var(--lora);stroke-width:1.4;stroke-dasharray:2 3", "rank"));
    parts.push(line(...drawn(...curve[0], ...curve[1]), "stroke:var(--bar-lora);stroke-width:2.4"));
    if (right - x(even) > 90) names.push({ text: "more than W", fill: "var(--quiet)", spots: beside(right), spare: true });
    names.push({ text: "LoRA", fill: "var(--lora)", bold: true, spots: along(curve), spare: true });
    const first = x(data.start.rank); // names keep clear of the rank that it opens with, and do not move with it
    drawn(first, y(perRank * data.start.rank) + 8, first, HEIGHT);
    if (even >= 1 && even <= last) {
      marks.push(svg("circle", { cx: x(even), cy: y(weights), r: 5.5, style: "fill:var(--paper);stroke:var(--frozen);stroke-width:2" }));
      names.push({ text: `break-even: rank ${grouped(fixed(even, 0))}`, short: `break-even: ${grouped(fixed(even, 0))}`, fill: "var(--ink)", halo: true, spots: beside(x(even)) });
      avoid(x(even), y(weights), 7);
      parts.push(line(...drawn(x(even), y(weights), x(even), HEIGHT), "stroke:var(--frozen);stroke-width:1"));
    } else names.push({ text: `break-even at rank ${grouped(fixed(even, 0))} →`, fill: "var(--ink)", spots: beside(right + 2) });
    marks.push(svg("circle", { class: "rank", cx: x(state.rank), cy: y(count), r: 6, style: "fill:var(--bar-lora);stroke:var(--paper);stroke-width:2" }));
  }
  place.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  place.setAttribute("width", width);
  place.setAttribute("height", HEIGHT);
  place.replaceChildren(...parts);
  writeNames(place, names, { left, right, lines, marks: avoided });
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

const edges = (left, right, first, second) => [first, second].flatMap(y =>
  [[left + 4, y, "start"], [right - 4, y, "end"], ...[0.5, 0.3, 0.7, 0.2, 0.6, 0.45, 0.8].map(part => [left + part * (right - left), y, "middle"])]);
const beside = x => [6, 22, 38].flatMap(up => [[x - 6, HEIGHT - up, "end"], [x + 6, HEIGHT - up, "start"]]);
const around = (x, y) => [4, -9, 18, -15, 25, -22, 32, -29, 39, -36, 46, -43].flatMap(down =>
  [[x + 12, y + down, "start"], [x - 12, y + down, "end"], ...(down === 4 ? [] : [[x, y + down, "middle"]])]);
const along = ([[x1, y1], [x2, y2]]) => [-1, 1].flatMap(side => [0.16, 0.25, 0.35, 0.5, 0.65, 0.8, 0.92].map(part => {
  const [x, y] = [x1 + part * (x2 - x1), y1 + part * (y2 - y1)];
  return side < 0 ? [x - 8, y - 7, "end"] : [x + 8, y + 14, "start"]; // above it first, where the line down to the slider never is
}));

const PRICE = { met: 1000, strayed: 300, without: 200, short: 100, far: 10, moved: 2, later: 3 }; // of a line or name that is met …

/** Writes the names so that they meet no line, mark or other name: shorter where that helps; what is `spare` may be left out. */
function writeNames(place, names, { left, right, lines, marks }) {
  const halo = ";paint-order:stroke;stroke:var(--paper);stroke-width:5px"; // the line of a rank may pass beneath
  const texts = names.map(({ text, fill, bold, halo: has }) => svg("text", { class: "tag", style: `fill:${fill};font-weight:${bold ? 650 : 400}${has ? halo : ""}` }, text));
  const shorts = names.map(({ short, bold }) => svg("text", { class: "tag", style: `font-weight:${bold ? 650 : 400}` }, short ?? ""));
  place.append(...texts, ...shorts);
  const widths = [texts, shorts].map(all => all.map(text => text.getComputedTextLength())); // all at once: the page is laid out once
  shorts.forEach(text => text.remove());
  const choices = names.map(({ spots, mine, not, short, spare }, row) => {
    const priced = said => spots.map(([x, y, anchor], nth) => {
      const wide = widths[said === short ? 1 : 0][row], from = { start: x, middle: x - wide / 2, end: x - wide }[anchor];
      const inside = Math.min(Math.max(from, left), Math.max(left, right - wide));
      const spot = { said, x1: inside - 3, x2: inside + wide + 3, y1: y - 11, y2: y + 3 };
      const met = lines.filter(line => crosses(line, spot)).length + marks.filter(mark => meets(mark, spot)).length;
      const out = spot.y1 < 0 || spot.y2 > HEIGHT, astray = mine !== undefined && strays(spot, mine, not);
      return { ...spot, price: PRICE.met * (met + 4 * out) + PRICE.strayed * astray + PRICE.moved * Math.abs(inside - from)
        + PRICE.later * nth + PRICE.short * (said === short) + PRICE.far * Math.max(0, Math.abs(y - 4 - (mine ?? y - 4)) - 16) };
    });
    const all = [...priced(names[row].text), ...(short ? priced(short) : []), ...(spare ? [{ price: PRICE.without }] : [])];
    return all.sort((a, b) => a.price - b.price);
  });
  cheapest(choices).forEach(({ said, x1, y2 }, row) => {
    if (!said) return texts[row].remove();
    texts[row].textContent = said;
    texts[row].setAttribute("x", x1 + 3);
    texts[row].setAttribute("y", y2 - 3);
  });
}

/** A spot for each name, the cheapest together; each name's own are sorted by price. */
function cheapest(choices) {
  const least = choices.map(each => each[0].price), rest = least.map((_, row) => least.slice(row + 1).reduce((sum, each) => sum + each, 0));
  let best = { sum: Infinity, at: [] };
  const tried = (at, sum) => {
    const row = at.length;
    if (row === choices.length) return void (best = { sum, at });
    for (const spot of choices[row]) {
      if (sum + spot.price + rest[row] >= best.sum) return;
      const all = sum + spot.price + PRICE.met * at.filter(other => meets(spot, other)).length;
      if (all + rest[row] < best.sum) tried([...at, spot], all);
    }
  };
  tried([], 0);
  return best.at;
}

/** Whether a name stands nearer to another place than to its own: a guess's beside the right answer. */
function strays({ y1, y2 }, mine, other) {
  const middle = (y1 + y2) / 2;
  return Math.abs(mine - other) > 4 && Math.abs(middle - other) < Math.abs(middle - mine) + 6;
}

const meets = (a, b) => a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2;

/** Whether a straight line passes through a box: which part of it, from 0 to 1, is between the box's sides. */
function crosses([ax, ay, bx, by], { x1, x2, y1, y2 }) {
  let from = 0, to = 1;
  for (const [a, b, low, high] of [[ax, bx, x1, x2], [ay, by, y1, y2]]) {
    if (a === b && (a <= low || a >= high)) return false;
    if (a === b) continue;
    const ends = [(low - a) / (b - a), (high - a) / (b - a)];
    from = Math.max(from, Math.min(...ends));
    to = Math.min(to, Math.max(...ends));
  }
  return from < to;
}
