// The seed explorer's two pictures: a study's seeds with its interval, and all studies by their size.
import { fixed, signed, svg } from "./kit.js";

const ROW = 19, TOP = 16, INSET = 2, LEFT = 100, CELL = 42, STEPS = [1, 2, 5, 10, 20];
const SIDE = 14, GAP = 3, LABEL = 58; // of the squares, in pixels

const line = (kind, x1, y1, x2, y2) => svg("line", { class: kind, x1, y1, x2, y2 });
const text = (kind, x, y, said, anchor = "start") => svg("text", { class: kind, x, y, "text-anchor": anchor }, said);

/** The seeds of a study, its interval, and that of the whole record: all on one axis of differences. */
export function drawStudy(place, width, now, state, data) {
  const [first, second] = state.pair, { seeds, found, record } = now, few = width < 400;
  const right = width - (few ? 1 : 3) * CELL - 16, count = seeds.length;
  const ends = [...seeds.map(({ difference }) => difference), record.low, record.high, 0];
  const pad = 0.35 * (Math.max(...ends) - Math.min(...ends)); // room for what a smaller study knows less well
  const low = Math.min(...ends) - pad, high = Math.max(...ends) + pad;
  const x = points => LEFT + ((right - LEFT) * (points - low)) / (high - low), y = row => TOP + ROW * (row + 0.5);
  const bottom = y(count + 2);
  const parts = [svg("style", {}, CHART_CSS),
    text(second.toLowerCase(), x(0) - 8, 11, `← ${second}`, "end"), text(first.toLowerCase(), x(0) + 8, 11, `${first} →`)];
  const cells = few ? [["", "diff."]] : [[first.toLowerCase(), first], [second.toLowerCase(), second], ["quiet", "diff."]];
  const last = cells.length - 1; // the difference has more room
  const write = (row, values, kind) => values.slice(few ? 2 : 0).forEach((value, i) =>
    parts.push(text(kind, width - CELL * (last - i) - (i < last ? 6 : 0), y(row) + 4, value, "end")));
  cells.forEach(([kind, said], i) => parts.push(text(kind, width - CELL * (last - i) - (i < last ? 6 : 0), 11, said, "end")));
  for (const tick of ticksOf(low, high))
    parts.push(line(tick ? "rule" : "zero", x(tick), TOP, x(tick), bottom - 8),
      text("quiet", x(tick), bottom + 6, tick > 0 ? `+${tick}` : signed(tick, 0), "middle"));
  for (const { seed, difference, rates, drawn } of seeds) {
    const kind = difference > 0 ? first : difference < 0 ? second : "level";
    if (drawn) parts.push(line(`stem ${kind.toLowerCase()}`, x(0), y(seed), x(difference), y(seed)));
    parts.push(text(drawn ? "" : "quiet", INSET, y(seed) + 4, `seed ${seed}`),
      svg("circle", { class: drawn ? `dot ${kind.toLowerCase()}` : "ring", cx: x(difference), cy: y(seed), r: drawn ? 4.5 : 3.5 }));
    if (drawn) write(seed, [...rates.map(rate => fixed(rate, 1).toFixed(1)), now.points(difference)], "");
    else if (!few) parts.push(text("quiet", width, y(seed) + 4, "not in this study", "end"));
  }
  const whisker = (row, kind, said, { value, low: from, high: to }, means) => {
    const [left, end] = [Math.max(from, low), Math.min(to, high)], at = y(row);
    parts.push(text(`own ${kind}`, INSET, at + 4, said));
    if (from < to) parts.push(line(`whisker ${kind}`, x(left), at, x(end), at));
    if (from < to) for (const [cut, place, aside] of [[from < low, x(left), -1], [to > high, x(end), 1]])
      parts.push(cut ? svg("path", { class: `beyond ${kind}`, d: `M${place + 5 * aside} ${at}l${-7 * aside} -5v10z` })
        : line(`whisker ${kind}`, place, at - 4, place, at + 4));
    parts.push(svg("path", { class: `mean ${kind}`, d: `M${x(value)} ${at - 6}l6 6l-6 6l-6 -6z` }));
    write(row, means, `own ${kind}`);
  };
  const means = only => [0, 1].map(i => fixed(mean(seeds.filter(only).map(({ rates }) => rates[i])), 1).toFixed(1));
  parts.push(line("rule", 0, y(count) - ROW / 2, width, y(count) - ROW / 2));
  whisker(count, "study", "this study", found, [...means(({ drawn }) => drawn), now.points(found.value)]);
  whisker(count + 1, "record", "whole record", record, [...means(() => true), now.points(record.value)]);
  const [left, says] = [few ? INSET : LEFT, `points of accuracy, ${first} minus ${second}`];
  parts.push(text("quiet", left, bottom + 21, says), text("quiet", left, bottom + 36, "● in this study, ◌ not in it, ◆ mean with its 95 % interval"));
  place.replaceChildren(svg("svg", { width, height: bottom + 41, role: "img", "aria-label": now.describe }, ...parts));
}

/** What the letters of the squares say, in their colours: [letter, kind, words]. */
export const keyOf = ([first, second]) => [...[first, second].map(name => [name[0].toUpperCase(), name.toLowerCase(), name]),
  ["?", "level", "cannot tell"]];

/** A row of squares for each size: one for each study, with what it says; the drawn one has a frame. */
export function drawStudies(place, width, now, state) {
  const [first, second] = state.pair, size = state.drawn.length, parts = [svg("style", {}, CHART_CSS)];
  const sign = said => (said === first || said === second ? said[0].toUpperCase() : "?");
  now.sizes.forEach((all, row) => {
    const top = row * (SIDE + 6) + 3, chosen = row + 1 === size;
    if (chosen) parts.push(svg("rect", { class: "chosen", x: 0, y: top - 3, width, height: SIDE + 6, rx: 4 }));
    parts.push(text(chosen ? "own" : "quiet", 4, top + 11, `${row + 1} seed${row ? "s" : ""}`));
    const order = [first, null, second].map(name => all.filter(({ said }) => (name ? said === name : said !== first && said !== second)));
    order.flat().forEach(({ said, drawn }, i) => {
      const x = LABEL + 6 + i * (SIDE + GAP), here = String(drawn) === String(state.drawn);
      const kind = sign(said) === "?" ? "level" : said.toLowerCase();
      parts.push(svg("rect", { class: `square ${kind}`, x, y: top, width: SIDE, height: SIDE, rx: 2 }),
        text(`letter ${kind}`, x + SIDE / 2, top + 11, sign(said), "middle"));
      if (here) parts.push(svg("rect", { class: "here", x: x - 1.5, y: top - 1.5, width: SIDE + 3, height: SIDE + 3, rx: 3 }));
    });
  });
  const height = now.sizes.length * (SIDE + 6);
  place.replaceChildren(svg("svg", { width, height, role: "img", "aria-label": now.rows }, ...parts));
}

const mean = list => list.reduce((sum, each) => sum + each, 0) / list.length;

/** Numbers to write at the axis, 0 among them: about five. */
function ticksOf(low, high) {
  const step = STEPS.find(each => (high - low) / each <= 8) ?? 50, first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => step * (first + i));
}

const CHART_CSS = `
text, text.quiet { font-size: 13px; }
.rule { stroke: var(--line); opacity: .7; } .zero { stroke: var(--ink); stroke-dasharray: 4 3; }
text.full, text.lora, text.head { fill: var(--arm); font-weight: 650; } text.own { font-weight: 650; }
.stem { stroke: var(--arm); stroke-width: 2; } .dot { fill: var(--arm); } .ring { fill: none; stroke: var(--quiet); stroke-dasharray: 2 2; }
.whisker { stroke: var(--ink); stroke-width: 2; } .mean, .beyond { fill: var(--ink); }
.whisker.record { stroke: var(--quiet); } .mean.record, .beyond.record, text.record { fill: var(--quiet); }
.chosen { fill: var(--card); stroke: var(--line); } .square { fill: var(--arm); } .square.level { fill: none; stroke: var(--quiet); }
.letter { font-size: 11px; font-weight: 700; } text.letter:not(.level) { fill: var(--on); }
.here { fill: none; stroke: var(--ink); stroke-width: 2; }`;
