// The rate explorer's chart: a curve for each arm, with the spread of its seeds at each rate.
//
// The slider of rates lies under it and is its horizontal axis. The vertical one is logarithmic and
// stays where it is while arms come and go.
import { fixed, svg } from "./kit.js";
import { writeNames } from "./rate_names.js";

export const EDGES = { left: 40, right: 34, thumb: 8 }; // left and right of the curves; half a thumb
const HEIGHT = 186, TOP = 34, BOTTOM = HEIGHT - 24, LETTER = 7, STEPS = [0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5];
const DASHES = { 1: "2 3", 2: "7 4", 8: "", 32: "", 64: "" }, WIDE = { 8: 1.7 }; // of LoRA, by rank

/** Draws it into `place`, in place of what was there. */
export function drawRates(place, width, { arms, one, describe, value }, { sweep: name, measure, rate }, data) {
  const sweep = data.sweeps[name], { rates } = sweep, off = (data.off[measure] ?? Infinity) * sweep.base[measure];
  const rows = sweep.arms.flatMap(arm => arm.losses[measure]).filter(([mean]) => mean < off);
  const values = [...rows.flatMap(([, low, high]) => [low, high]), ...(measure in data.off ? [] : [sweep.base[measure]])];
  const low = Math.min(...values) * 0.97, high = Math.max(...values) * 1.03;
  const right = width - EDGES.right;
  const x = at => EDGES.left + ((right - EDGES.left) * rates.indexOf(at)) / (rates.length - 1); // as the slider has it
  const y = loss => BOTTOM - ((BOTTOM - TOP) * Math.log(loss / low)) / Math.log(high / low);
  const line = (kind, x1, y1, x2, y2) => svg("line", { class: kind, x1, y1, x2, y2 });
  const text = (kind, left, down, said, anchor = "start") => svg("text", { class: kind, x: left, y: down, "text-anchor": anchor }, said);
  const parts = [svg("style", {}, CHART_CSS), text("panel", 0, 11, `${sweep.axes[measure]} (nats per token)`)];
  for (const tick of ticksOf(low, high))
    parts.push(line("rule", EDGES.left - 4, y(tick), right + 8, y(tick)),
      text("quiet", EDGES.left - 8, y(tick) + 4, String(tick), "end"));
  parts.push(line("at", x(rate), TOP - 4, x(rate), HEIGHT));
  const taken = [], above = new Map();
  if (!(measure in data.off)) {
    const level = y(sweep.base[measure]);
    parts.push(line("base", EDGES.left, level, right, level),
      text("quiet", right, level + 14, `before training ${value({ mean: sweep.base[measure] })}`, "end"));
    taken.push({ x1: right - 130, x2: right, y1: level, y2: level + 17 }, { x1: EDGES.left, x2: right, y1: level - 1, y2: level + 1 });
  }
  const names = arms.map(arm => {
    const points = arm.losses[measure].map((row, i) => ({ row, at: arm.rates[i], x: x(arm.rates[i]), y: y(row[0]), off: row[0] >= off }));
    const path = cut(points);
    parts.push(svg("path", { class: `curve ${classOf(arm)}`, ...strokeOf(arm), d: `M${path.map(point => [point.x, point.y]).join("L")}` }));
    for (const point of points) {
      if (point.off) { above.set(point.at, [...(above.get(point.at) ?? []), point.row[0]]); continue; }
      parts.push(line(`spread ${classOf(arm)}`, point.x, y(point.row[1]), point.x, y(Math.min(point.row[2], high))));
      if (point.at === arm.best) parts.push(svg("circle", { class: `ring ${classOf(arm)}`, cx: point.x, cy: point.y, r: 6.5 }));
      parts.push(svg("circle", { class: `dot ${classOf(arm)}`, cx: point.x, cy: point.y, r: point.at === rate ? 4 : 2.2 }));
    }
    return { arm, path, ring: points.find(({ at }) => at === arm.best) };
  });
  let free = width; // from right to left, so that none meets the next
  for (const at of rates.filter(each => above.has(each)).reverse()) {
    const losses = above.get(at).sort((a, b) => a - b).map(loss => fixed(loss, 1).toFixed(1));
    const said = `↑ ${losses.join(", ")}`, wide = LETTER * said.length;
    const end = Math.min(free, x(at) + wide / 2);
    parts.push(text("quiet", end, TOP - 8, said, "end"));
    taken.push({ x1: end - wide, x2: end, y1: TOP - 20, y2: TOP - 4 });
    free = end - wide;
  }
  const drawing = svg("svg", { width, height: HEIGHT, role: "img", "aria-label": describe }, ...parts);
  place.replaceChildren(drawing);
  writeNames(drawing, names, taken, { left: EDGES.left - 2, right: width, top: TOP - 8, bottom: HEIGHT, at: x(rate) }, classOf);
}

const CHART_CSS = `
text, text.quiet { font-size: 13px; }
.rule { stroke: var(--line); opacity: .7; } .at { stroke: var(--ink); stroke-dasharray: 4 3; }
.base { stroke: var(--frozen); stroke-dasharray: 1.5 4; stroke-width: 1.5; }
.curve { fill: none; stroke: var(--arm); stroke-linejoin: round; }
.spread { stroke: var(--arm); stroke-width: 1.6; } .dot { fill: var(--arm); } .ring { fill: var(--paper); stroke: var(--arm); stroke-width: 2; }
text.panel { font-weight: 600; }
text.arm { fill: var(--arm); font-weight: 650; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }`;

/** What an arm's colour goes by: its kind, and of LoRA the rank too. */
export function classOf({ kind, name }) {
  return kind === "lora" ? `lora rank-${name.split(" ").at(-1)}` : kind;
}

/** A piece of an arm's curve, for a list. */
export function swatch(arm) {
  return svg("svg", { width: 26, height: 10, "aria-hidden": "true" },
    svg("line", { ...strokeOf(arm), x1: 1, y1: 5, x2: 25, y2: 5, style: "stroke:var(--arm)" }));
}

function strokeOf({ kind, name }) {
  const rank = kind === "lora" ? name.split(" ").at(-1) : "";
  return { "stroke-width": WIDE[rank] ?? (DASHES[rank] ? 1.8 : 2.6), "stroke-dasharray": DASHES[rank] ?? "" };
}

/** Numbers to write at an axis: about five, with as few digits as possible. */
function ticksOf(low, high) {
  const step = STEPS.find(each => (high - low) / each <= 6) ?? 10, first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number((step * (first + i)).toFixed(2)));
}

/** A curve's points without those that are off the chart: there it ends at the chart's upper edge. */
function cut(points) {
  return points.flatMap((point, i) => {
    const before = points[i - 1];
    if (!point.off) return [point];
    if (!before || before.off) return [];
    const part = (before.y - TOP) / (before.y - point.y);
    return [{ x: before.x + part * (point.x - before.x), y: TOP }];
  });
}
