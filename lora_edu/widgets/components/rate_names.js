// Names beside the curves of the rate explorer's chart.
//
// A name is where it covers least of the curves and no other name, near an end of its curve. Where
// it could only be nearer to another curve than to its own it would mislead, and is left out: the
// lists beside the chart have all names, each with a piece of its curve.
import { svg } from "./kit.js";

const FINE = 5, COARSE = 14; // pixels between points of a curve: to cover, and to write a name at
const PRICE = { covered: 10, ringed: 40, close: 30, inner: 2, crossed: 30 }; // of a curve's point under a name, and so on

/**
 * Writes the names into `drawing`. A row has its arm, the points of its path, and its ring, if it is
 * drawn; `taken` are boxes that have to stay free, and `classes(arm)` decides a name's colour.
 */
export function writeNames(drawing, rows, taken, edges, classes) {
  const texts = rows.map(({ arm }) => svg("text", { class: `arm ${classes(arm)}` }, arm.name.replace(/^LoRA | fine-tuning$/, "")));
  drawing.append(...texts);
  const lengths = texts.map(text => text.getComputedTextLength()); // all at once: the page is laid out once
  const spots = rows.map((_, row) => spotsOf(row, rows, lengths[row], edges));
  const places = [...rows.keys()], around = list => list.map((_, from) => [...list.slice(from), ...list.slice(0, from)]);
  const tries = [...around(places), ...around(places.toReversed())].map(order => placed(order, spots, taken));
  const { at } = tries.reduce((least, next) => (next.price < least.price ? next : least), { price: Infinity, at: [] });
  texts.forEach((text, row) => {
    if (!at[row]) return text.remove();
    text.setAttribute("x", at[row].x1 + 2);
    text.setAttribute("y", at[row].y2 - 3);
  });
}

/** Gives each name in turn its cheapest spot that is still free. */
function placed(order, spots, taken) {
  const at = [], used = [...taken];
  let price = 0;
  for (const row of order) {
    const best = spots[row].find(spot => !used.some(other => meets(spot, other)));
    price += best ? best.price : 1e4;
    if (best) used.push(at[row] = best);
  }
  return { at, price };
}

/** Where a row's name can be, the best first. */
function spotsOf(row, rows, length, { left, right, top, bottom, at }) {
  const curves = rows.map(({ path }) => along(path, FINE)), half = length / 2, spots = [];
  along(rows[row].path, COARSE).forEach(([x, y], i, all) => {
    const inner = PRICE.inner * Math.min(i, all.length - 1 - i, 6);
    const beside = [-9, -15, 18, 25].flatMap(down => [[0, down], [-half, down], [half, down]]);
    for (const [aside, down] of [[-10 - half, 4], [10 + half, 4], ...beside]) {
      const spot = { x1: x + aside - half - 2, x2: x + aside + half + 2, y1: y + down - 10, y2: y + down + 3 };
      if (spot.x1 < left || spot.x2 > right || spot.y1 < top || spot.y2 > bottom) continue;
      const apart = curves.map(curve => curve.map(point => distance(spot, ...point)));
      const near = apart.map(each => Math.min(...each)), other = Math.min(...near.filter((_, each) => each !== row));
      if (other < near[row] + 1) continue; // each has a colour of its own
      const covered = apart.flat().filter(each => each < 2).length;
      const ringed = rows.filter(({ ring }) => ring && distance(spot, ring.x, ring.y) < 9).length;
      const close = other < near[row] + 3, crossed = spot.x1 < at && at < spot.x2; // by the line of the rate that is set
      const price = inner + near[row] + PRICE.covered * covered + PRICE.ringed * ringed + PRICE.close * close + PRICE.crossed * crossed;
      spots.push({ ...spot, price });
    }
  });
  return spots.sort((a, b) => a.price - b.price);
}

const distance = ({ x1, x2, y1, y2 }, x, y) => Math.hypot(Math.max(x1 - x, 0, x - x2), Math.max(y1 - y, 0, y - y2));
const meets = (a, b) => a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2;

/** Points along a curve, about so many pixels apart. */
function along(path, apart) {
  return path.flatMap(({ x, y }, i) => {
    const next = path[i + 1] ?? { x, y }, count = Math.max(1, Math.round(Math.hypot(next.x - x, next.y - y) / apart));
    return Array.from({ length: count }, (_, k) => [x + (k / count) * (next.x - x), y + (k / count) * (next.y - y)]);
  });
}
