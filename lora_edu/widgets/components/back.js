// A cut ΔW put back into the model: accuracy and energy against rank, and a measurement made now.
import { box, el, fixed, percent, slider, svg, tick, unbroken } from "./kit.js";

// --- what there is to read -----------------------------------------------------------------------

export function answer({ rank, live, more }, data) {
  const { accuracy, energy, names } = data;
  const finding = `Rank ${rank} keeps ${whole(energy.cut[rank])} of the energy. Accuracy is ${whole(accuracy.cut[rank])}, `
    + `with the whole ΔW ${whole(data.whole)}.`;
  const kinds = Object.keys(names).filter(kind => more || !MORE.includes(kind));
  const each = kinds.filter(kind => rank in accuracy[kind]).map(kind => `${names[kind]} ${whole(accuracy[kind][rank])}`);
  let explain = `Accuracy at rank ${rank}, mean over ${data.seeds} seeds: ${each.join(", ")}${more ? `; rank 0 ${whole(data.none)}` : ""}. `
    + `In r random output directions ΔW keeps ${percent(energy.subspace[rank])} of its energy.`;
  let star = null;
  if (rank in live) {
    star = [`measured now, seed 0: ${percent(live[rank])}`, `recorded for that seed: ${percent(data.live_seed[rank])}`];
    explain += ` Measured now, seed 0: ${percent(live[rank])}; recorded for that seed ${percent(data.live_seed[rank])}.`;
  }
  const stars = Object.keys(live).map(Number).sort((a, b) => a - b).map(at => `${whole(live[at])} at rank ${at}`);
  const describe = `Accuracy against rank for ${kinds.map(kind => names[kind]).join(", ")}, and a curve of the energy that the cut keeps. `
    + finding + (stars.length ? ` Stars, measured now: ${stars.join(", ")}.` : "");
  return { finding, explain, describe, star };
}

function whole(share) {
  return `${fixed(100 * share, 0)} %`;
}

// --- the picture ---------------------------------------------------------------------------------

const BACK_CSS = `
:host { --chance: #6f3fa8; --noise: #8a6100; }
:host([data-theme="dark"]) { --chance: #c8a4f4; --noise: #dcb548; }
.bar { align-items: flex-end; margin-top: 0; }
.bar .slider { flex: none; }
.bar .slider, .bar .slider input { min-width: 0; }
.side { display: flex; flex-direction: column; align-items: flex-start; gap: 4px; margin-bottom: 6px; font-size: 13px; white-space: nowrap; }
.words { font-size: 14px; line-height: 19px; }
.rule { stroke: var(--line); }
.at { stroke: var(--ink); stroke-dasharray: 4 3; }
.curve { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
.curve.cut, .curve.lora, .curve.subspace { stroke-width: 2.8; }
.cut { stroke: var(--full); } .lora { stroke: var(--lora); } .shrunk { stroke: var(--full); stroke-dasharray: 2 3; }
.subspace { stroke: var(--chance); } .random { stroke: var(--noise); stroke-dasharray: 9 4; }
.whole { stroke: var(--ink); } .none { stroke: var(--frozen); stroke-dasharray: 1.5 4; }
.energy { stroke: var(--ink); }
.here { fill: var(--paper); stroke-width: 2.2; stroke-dasharray: none; }
.star { fill: var(--ink); stroke: var(--paper); stroke-width: 1.5; }
.chart text.told, .chart text.main { font-weight: 650; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-dasharray: none; }
.chart text.cut { fill: var(--full); } .chart text.lora { fill: var(--lora); } .chart text.subspace { fill: var(--chance); }
.chart text.value { font-weight: 650; font-variant-numeric: tabular-nums; }
.chart text.panel { font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
.keys { display: flex; flex-wrap: wrap; gap: 0 14px; margin: 4px 0; font-size: 12px; }
.keys:empty { display: none; }
.keys span { display: inline-flex; align-items: center; gap: 6px; }`;

// Two quantities, each with an axis of its own: accuracy from where it begins, and energy from 0.
const ACCURACY = [16, 166], ENERGY = 30; // where one is, in pixels, and how high the other
const LEFT = 46, NAMES = 246, TOLD = 210, NARROW = 620, LINE = 15, STEP = 0.05, THUMB = 9; // half a thumb with its margin
const MAIN = ["cut", "lora", "subspace"]; // what the question is about
const MORE = ["shrunk", "random", "none"]; // to compare with, once one asks

export function mount(host, data, ask) {
  const inside = box(host, "A cut ΔW put back into the model", BACK_CSS);
  const state = { ...data.start, live: {} };
  const finding = el("p", { class: "finding", "aria-live": "polite" }), words = el("div", { class: "quiet words" });
  const status = el("div", { class: "quiet words", role: "status" }), wrong = el("div", { class: "wrong", role: "alert" });
  const chart = el("div", { class: "chart" }), keys = el("div", { class: "keys" });
  const rank = slider({
    label: "rank r", stops: data.ranks, value: state.rank, marks: data.ranks.map(each => [each, String(each)]),
    change: value => { state.rank = value; draw(); },
  });
  const more = tick({ label: "more curves", on: false, change: on => { state.more = on; draw(); } });
  const button = el("button", { type: "button", click: () => measure() }, "Run it live");
  const draw = () => {
    const now = answer(state, data);
    finding.textContent = unbroken(now.finding);
    words.textContent = unbroken(now.explain);
    const wide = chart.clientWidth || 760, narrow = wide < NARROW, right = wide - (narrow ? 14 : NAMES);
    chart.replaceChildren(drawn(state, data, now, wide, right));
    keys.replaceChildren(...(narrow ? curvesOf(data, state.more).map(([kind, name, curve]) =>
      el("span", {}, sample(kind), el("span", {}, name, el("b", {}, valueOf(curve, state.rank, " "))))) : []));
    rank.element.style = `margin-left:${LEFT - THUMB}px;width:${right - LEFT + 2 * THUMB}px`; // it is the chart's axis
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
  inside.append(finding, chart, el("div", { class: "row bar" }, rank.element, el("div", { class: "side" }, more.element, ...(ask ? [button] : []))), keys, status, wrong, words);
  new ResizeObserver(draw).observe(chart);
  draw();
}

/** The curves of accuracy, or with `more` all that there are: [kind, name, by rank] each. */
function curvesOf({ names, accuracy, ranks, whole, none }, more) {
  const level = share => ({ [ranks[0]]: share, [ranks.at(-1)]: share });
  const all = [["whole", "whole ΔW", level(whole)], ...Object.keys(names).map(kind => [kind, names[kind], accuracy[kind]]), ["none", "rank 0", level(none)]];
  return all.filter(([kind]) => more || !MORE.includes(kind));
}

/** What a curve has at a rank, if it has that rank; a level has one value. */
function valueOf(curve, rank, before = "") {
  const share = new Set(Object.values(curve)).size === 1 ? Object.values(curve)[0] : curve[rank];
  return share === undefined ? "" : before + unbroken(whole(share));
}

function sample(kind) {
  return svg("svg", { width: 32, height: 10, "aria-hidden": "true" }, svg("line", { class: `curve ${kind}`, x1: 1, y1: 5, x2: 31, y2: 5 }));
}

/** The chart, from LEFT to `right`; where it is narrow, the names of its curves are beneath it. */
function drawn({ rank, live, more }, data, { describe, star }, width, right) {
  const narrow = width < NARROW, top = ACCURACY[1] + 30, energy = [top, top + ENERGY], height = top + ENERGY + 4;
  const accuracies = curvesOf(data, more), all = [...curvesOf(data, true).map(([, , curve]) => curve), live].flatMap(curve => Object.values(curve));
  const low = STEP * Math.floor(Math.min(...all) / STEP), high = STEP * Math.ceil(Math.max(...all) / STEP);
  const x = at => LEFT + ((right - LEFT) * data.ranks.indexOf(at)) / (data.ranks.length - 1); // as the slider has it
  const within = ([top, bottom], from, to) => share => bottom - ((bottom - top) * (share - from)) / (to - from);
  const y = within(ACCURACY, low, high), kept = within(energy, 0, 1);
  const places = (curve, place) => Object.keys(curve).map(Number).sort((a, b) => a - b).map(at => [x(at), place(curve[at])]);
  const line = (kind, from, to) => svg("line", { class: kind, x1: from[0], y1: from[1], x2: to[0], y2: to[1] });
  const text = (kind, [left, down], said, anchor = "start") => svg("text", { class: kind, x: left, y: down, "text-anchor": anchor }, said);
  const rule = (share, place) => [line("rule", [LEFT, place(share)], [right, place(share)]),
    text("quiet", [LEFT - 8, place(share) + 4], `${fixed(100 * share, 0)}\u00a0%`, "end")];
  const parts = [text("panel", [LEFT + 5, ACCURACY[0] - 6], `accuracy (axis starts at ${fixed(100 * low, 0)}\u00a0%)`)];
  for (let tenth = Math.ceil(10 * low - 1e-9); tenth <= 10 * high + 1e-9; tenth++) parts.push(...rule(tenth / 10, y));
  for (const share of [0, 1]) parts.push(...rule(share, kept));
  // Between the two there are words, which the line does not cross.
  parts.push(...[ACCURACY, [energy[0] - 4, height]].map(([from, to]) => line("at", [x(rank), from], [x(rank), to])));
  const drawing = ([kind, curve, place]) => svg("path", { class: `curve ${kind}`, d: `M${places(curve, place).join("L")}` });
  parts.push(...accuracies.map(([kind, , curve]) => drawing([kind, curve, y])), drawing(["energy", data.energy.cut, kept]));
  const here = (kind, down) => parts.push(svg("circle", { class: `here ${kind}`, cx: x(rank), cy: down, r: 4.5 }));
  for (const [kind, , curve] of accuracies) if (MAIN.includes(kind) && rank in curve) here(kind, y(curve[rank]));
  here("energy", kept(data.energy.cut[rank]));
  parts.push(text("panel", [LEFT + 5, energy[0] - 8], "energy that the cut keeps"));
  if (!narrow) parts.push(...namesOf(accuracies, rank, right, line));
  for (const at of Object.keys(live)) parts.push(svg("path", { class: "star", d: starAt(x(Number(at)), y(live[at])) }));
  if (star) {
    // At its left, where no curve is, or as far to the right as there is room.
    const late = x(rank) - 11 - TOLD > LEFT, beside = late ? x(rank) - 11 : Math.min(x(rank) + 11, width - TOLD);
    star.forEach((said, i) => parts.push(text("told", [beside, y(live[rank]) + 20 + LINE * i], unbroken(said), late ? "end" : "start")));
  }
  return svg("svg", { width, height, role: "img", "aria-label": describe }, ...parts);
}

/** The names of the curves at their right, each with a piece of its stroke and what it has at this rank. */
function namesOf(accuracies, rank, right, line) {
  let down = ACCURACY[0] + LINE;
  return accuracies.flatMap(([kind, name, curve]) => {
    const first = down, main = MAIN.includes(kind) ? `main ${kind}` : "quiet";
    const lines = name.split(/(?<=, )/).map(said => svg("tspan", { x: right + 82, y: (down += LINE) - LINE }, said));
    return [line(`curve ${kind}`, [right + 10, first - 4], [right + 36, first - 4]), svg("text", { class: main }, ...lines),
      svg("text", { class: "value", x: right + 75, y: first, "text-anchor": "end" }, valueOf(curve, rank))];
  });
}

function starAt(x, y) {
  const tips = [...Array(10).keys()].map(i => {
    const radius = i % 2 ? 3.6 : 9, angle = (Math.PI * i) / 5;
    return [x + radius * Math.sin(angle), y - radius * Math.cos(angle)];
  });
  return `M${tips.join("L")}Z`;
}
