// A cut ΔW put back into the model: accuracy and energy against rank, and a measurement made now.
import { box, el, fixed, percent, slider, svg, unbroken } from "./kit.js";

// --- what there is to read -----------------------------------------------------------------------

export function answer({ rank, live }, data) {
  const { accuracy, energy, names } = data;
  const finding = `Rank ${rank} keeps ${whole(energy.cut[rank])} of the energy. Accuracy is ${whole(accuracy.cut[rank])}, `
    + `with the whole ΔW ${whole(data.whole)}.`;
  const each = Object.keys(names).filter(kind => rank in accuracy[kind]).map(kind => `${names[kind]} ${whole(accuracy[kind][rank])}`);
  let explain = `Accuracy at rank ${rank}, mean over ${data.seeds} seeds: ${each.join(", ")}; rank 0 ${whole(data.none)}. `
    + `In r random directions ΔW keeps ${percent(energy.subspace[rank])} of its energy.`;
  let star = null;
  if (rank in live) {
    star = [`measured now, seed 0: ${percent(live[rank])}`, `recorded for that seed: ${percent(data.live_seed[rank])}`];
    explain += ` Measured now, seed 0: ${percent(live[rank])}; recorded for that seed ${percent(data.live_seed[rank])}.`;
  }
  const stars = Object.keys(live).map(Number).sort((a, b) => a - b).map(at => `${whole(live[at])} at rank ${at}`);
  const describe = `Accuracy against rank for ${Object.values(names).join(", ")}, and a curve of the energy that the cut keeps. `
    + finding + (stars.length ? ` Stars, measured now: ${stars.join(", ")}.` : "");
  return { finding, explain, describe, star };
}

function whole(share) {
  return `${fixed(100 * share, 0)} %`;
}

// --- the picture ---------------------------------------------------------------------------------

const BACK_CSS = `
.bar { align-items: flex-end; }
.bar button { margin-bottom: 12px; }
.chart { margin-top: 2px; }
.chart svg { overflow: visible; }
.rule { stroke: var(--line); }
.at { stroke: var(--ink); stroke-dasharray: 4 3; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.curve.cut, .curve.lora { stroke-width: 2.6; }
.cut { stroke: var(--full); } .lora { stroke: var(--lora); } .shrunk { stroke: var(--full); stroke-dasharray: 2 3; }
.subspace { stroke: var(--frozen); } .random { stroke: var(--frozen); stroke-dasharray: 8 3; }
.whole { stroke: var(--ink); stroke-dasharray: 9 3 2 3; } .none { stroke: var(--ink); stroke-dasharray: 2 4; }
.energy { stroke: var(--ink); }
.curve.whole, .curve.none { stroke-width: 1.4; }
.here { fill: var(--paper); stroke-width: 2.2; stroke-dasharray: none; }
.star { fill: var(--ink); stroke: var(--paper); stroke-width: 1.5; }
.chart text.told { font-weight: 650; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-dasharray: none; }
.chart text.panel { font-weight: 600; }
.keys { display: flex; flex-wrap: wrap; gap: 0 14px; margin: 4px 0; font-size: 12px; }
.keys span { display: inline-flex; align-items: center; gap: 6px; }`;

// Two quantities, each with an axis of its own: accuracy from where it begins, and energy from 0.
const ACCURACY = [16, 128], ENERGY = [157, 191], HEIGHT = 226; // where they are, in pixels
const LEFT = 46, NAMES = 242, NARROW = 620, LINE = 15, STEP = 0.05;

export function mount(host, data, ask) {
  const inside = box(host, "A cut ΔW put back into the model", BACK_CSS);
  const state = { ...data.start, live: {} };
  const finding = el("p", { class: "finding", "aria-live": "polite" }), words = el("div", { class: "quiet" });
  const status = el("div", { class: "quiet", role: "status" }), wrong = el("div", { class: "wrong", role: "alert" });
  const chart = el("div", { class: "chart" });
  const rank = slider({
    label: "rank r", stops: data.ranks, value: state.rank, marks: data.ranks.map(each => [each, String(each)]),
    change: value => { state.rank = value; draw(); },
  });
  const button = el("button", { type: "button", click: () => measure() }, "Run it live");
  const draw = () => {
    const now = answer(state, data);
    finding.textContent = unbroken(now.finding);
    words.textContent = unbroken(now.explain);
    chart.replaceChildren(...drawn(state, data, now, chart.clientWidth || 760));
  };
  const measure = async () => {
    const asked = state.rank;
    button.disabled = words.hidden = true; // the status takes their place, so that nothing jumps
    wrong.textContent = "";
    status.textContent = `Running: ΔW is cut to rank ${asked}, put back, and tested on every message. `
      + "That takes a few seconds, on a busy machine up to a minute.";
    try {
      state.live[asked] = await ask(asked);
      draw();
    } catch (error) {
      wrong.textContent = `That did not work. ${error.message}`;
    }
    status.textContent = "";
    button.disabled = words.hidden = false;
  };
  inside.append(finding, el("div", { class: "row bar" }, rank.element, ...(ask ? [button] : [])), chart, status, wrong, words);
  new ResizeObserver(draw).observe(chart);
  draw();
}

/** The chart; its curves have their names at their ends, or beneath it where that is too narrow. */
function drawn({ rank, live }, data, { describe, star }, width) {
  const narrow = width < NARROW, right = width - (narrow ? 14 : NAMES), most = data.ranks.at(-1);
  const curves = Object.keys(data.names).map(kind => [kind, data.names[kind], data.accuracy[kind]]);
  const ends = { 1: 0, [most]: 0 }, level = share => Object.fromEntries(Object.keys(ends).map(at => [at, share]));
  const accuracies = [["whole", "whole ΔW", level(data.whole)], ...curves, ["none", "rank 0", level(data.none)]];
  const all = [...accuracies.map(([, , curve]) => curve), live].flatMap(curve => Object.values(curve));
  const low = STEP * Math.floor(Math.min(...all) / STEP), high = STEP * Math.ceil(Math.max(...all) / STEP);
  const x = at => LEFT + ((right - LEFT) * Math.log2(at)) / Math.log2(most);
  const within = ([top, bottom], from, to) => share => bottom - ((bottom - top) * (share - from)) / (to - from);
  const y = within(ACCURACY, low, high), kept = within(ENERGY, 0, 1);
  const places = (curve, height) => Object.keys(curve).map(Number).sort((a, b) => a - b).map(at => [x(at), height(curve[at])]);
  const line = (kind, from, to) => svg("line", { class: kind, x1: from[0], y1: from[1], x2: to[0], y2: to[1] });
  const text = (kind, [left, down], said, anchor = "start") => svg("text", { class: kind, x: left, y: down, "text-anchor": anchor }, said);
  const rule = (share, height) => [line("rule", [LEFT, height(share)], [right, height(share)]),
    text("quiet", [LEFT - 8, height(share) + 4], `${fixed(100 * share, 0)}\u00a0%`, "end")];
  const parts = [text("panel", [LEFT, ACCURACY[0] - 6], `accuracy, from ${fixed(100 * low, 0)}\u00a0%`), text("panel", [LEFT, ENERGY[0] - 8], "energy that the cut keeps")];
  for (let tenth = Math.ceil(10 * low - 1e-9); tenth <= 10 * high + 1e-9; tenth++) parts.push(...rule(tenth / 10, y));
  for (const share of [0, 0.5, 1]) parts.push(...rule(share, kept));
  for (const at of data.ranks.filter(each => !narrow || Math.log2(most / each) >= 1 || each === most)) parts.push(text("quiet", [x(at), ENERGY[1] + 17], String(at), "middle"));
  parts.push(text("quiet", [(LEFT + right) / 2, HEIGHT - 3], "rank r", "middle"));
  for (const panel of [ACCURACY, ENERGY]) parts.push(line("at", [x(rank), panel[0]], [x(rank), panel[1]]));
  for (const [kind, curve, height] of [...accuracies.map(([kind, , curve]) => [kind, curve, y]), ["energy", data.energy.cut, kept]])
    parts.push(svg("path", { class: `curve ${kind}`, d: `M${places(curve, height).join("L")}` }));
  const here = (kind, down) => parts.push(svg("circle", { class: `here ${kind}`, cx: x(rank), cy: down, r: 4.5 }));
  for (const [kind, , curve] of curves) if (rank in curve) here(kind, y(curve[rank]));
  here("energy", kept(data.energy.cut[rank]));
  for (const at of Object.keys(live)) parts.push(svg("path", { class: "star", d: starAt(x(at), y(live[at])) }));
  if (star) {
    const late = x(rank) > (LEFT + right) / 2, beside = x(rank) + (late ? -11 : 11);
    star.forEach((said, i) => parts.push(text("told", [beside, y(live[rank]) + 20 + LINE * i], unbroken(said), late ? "end" : "start")));
  }
  if (!narrow) parts.push(...atTheirEnds(accuracies, places, y, right, line, text));
  const picture = svg("svg", { width, height: HEIGHT, role: "img", "aria-label": describe }, ...parts);
  const sample = kind => svg("svg", { width: 32, height: 10, "aria-hidden": "true" }, line(`curve ${kind}`, [1, 5], [31, 5]));
  return [picture, ...(narrow ? [el("div", { class: "keys" }, ...accuracies.map(([kind, name]) => el("span", {}, sample(kind), name)))] : [])];
}

/** Each curve's name, tied to its end by a piece of its own stroke; names make way for each other. */
function atTheirEnds(accuracies, places, y, right, line, text) {
  const ends = accuracies.map(([kind, name, curve]) => ({ kind, name, from: places(curve, y).at(-1) }))
    .sort((a, b) => a.from[1] - b.from[1] || accuracies.findIndex(([kind]) => kind === a.kind) - accuracies.findIndex(([kind]) => kind === b.kind));
  const downs = ends.map(({ from }) => from[1]);
  for (let round = 0; round < 200; round++)
    for (let i = 1; i < downs.length; i++) {
      const lacks = LINE - (downs[i] - downs[i - 1]);
      if (lacks > 0) { downs[i - 1] -= lacks / 2; downs[i] += lacks / 2; }
    }
  const lift = Math.max(0, ACCURACY[0] - 8 - downs[0]);
  return ends.flatMap(({ kind, name, from }, i) => {
    const down = downs[i] + lift;
    return [line(`curve ${kind}`, [Math.max(right, from[0]) + 3, from[0] < right ? down : from[1]], [right + 26, down]), text("", [right + 31, down + 4], name)];
  });
}

function starAt(x, y) {
  const tips = [...Array(10).keys()].map(i => {
    const radius = i % 2 ? 3.6 : 9, angle = (Math.PI * i) / 5;
    return [x + radius * Math.sin(angle), y - radius * Math.cos(angle)];
  });
  return `M${tips.join("L")}Z`;
}
