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
.level { stroke: var(--quiet); stroke-dasharray: 1.5 4; stroke-linecap: round; }
.at { stroke: var(--ink); stroke-dasharray: 4 3; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.cut { stroke: var(--full); } .lora { stroke: var(--lora); } .shrunk { stroke: var(--full); stroke-dasharray: 1.5 4.5; stroke-linecap: round; }
.subspace { stroke: var(--frozen); } .random { stroke: var(--frozen); stroke-dasharray: 1.5 4.5; stroke-linecap: round; } .energy { stroke: var(--ink); stroke-dasharray: 7 4; }
.curve.cut, .curve.lora { stroke-width: 2.6; }
.here { fill: var(--paper); stroke-width: 2.2; stroke-dasharray: none; }
.star { fill: var(--ink); stroke: var(--paper); stroke-width: 1.5; }
.chart text.told { font-weight: 650; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-dasharray: none; }
.keys { display: flex; flex-wrap: wrap; gap: 0 14px; margin: 4px 0; font-size: 12px; }
.keys span { display: inline-flex; align-items: center; gap: 6px; }`;

const HEIGHT = 186, TOP = 12, BOTTOM = 36, LEFT = 46, NARROW = 560, LINE = 15;

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

/** The chart, and beneath it the names of its curves. */
function drawn({ rank, live }, data, { describe, star }, width) {
  const narrow = width < NARROW, right = width - 14, most = data.ranks.at(-1);
  const x = at => LEFT + ((right - LEFT) * Math.log2(at)) / Math.log2(most);
  const y = share => TOP + (HEIGHT - TOP - BOTTOM) * (1 - share);
  const curves = [...Object.keys(data.names).map(kind => [kind, data.names[kind], data.accuracy[kind]]),
    ["energy", "energy that the cut keeps", data.energy.cut]];
  const places = curve => Object.keys(curve).map(Number).sort((a, b) => a - b).map(at => [x(at), y(curve[at])]);
  const line = (kind, from, to) => svg("line", { class: kind, x1: from[0], y1: from[1], x2: to[0], y2: to[1] });
  const text = (kind, [left, down], said, anchor = "start") => svg("text", { class: kind, x: left, y: down, "text-anchor": anchor }, said);
  const parts = [];
  for (const share of [0, 0.25, 0.5, 0.75, 1])
    parts.push(line("rule", [LEFT, y(share)], [right, y(share)]), text("quiet", [LEFT - 8, y(share) + 4], `${100 * share}\u00a0%`, "end"));
  for (const at of data.ranks.filter(each => !narrow || Math.log2(most / each) >= 1 || each === most)) parts.push(text("quiet", [x(at), HEIGHT - BOTTOM + 17], String(at), "middle"));
  parts.push(text("quiet", [(LEFT + right) / 2, HEIGHT - 3], "rank r", "middle"));
  const levels = [["level", "whole ΔW", data.whole], ["level", "rank 0", data.none]];
  for (const [kind, , share] of levels) parts.push(line(kind, [LEFT, y(share)], [right, y(share)]));
  parts.push(line("at", [x(rank), TOP], [x(rank), HEIGHT - BOTTOM]));
  for (const [kind, , curve] of curves) parts.push(svg("path", { class: `curve ${kind}`, d: `M${places(curve).join("L")}` }));
  for (const [kind, , curve] of curves)
    if (rank in curve) parts.push(svg("circle", { class: `here ${kind}`, cx: x(rank), cy: y(curve[rank]), r: 4.5 }));
  for (const at of Object.keys(live)) parts.push(svg("path", { class: "star", d: starAt(x(at), y(live[at])) }));
  if (star) {
    const late = x(rank) > (LEFT + right) / 2, beside = x(rank) + (late ? -11 : 11);
    star.forEach((said, i) => parts.push(text("told", [beside, y(live[rank]) + 20 + LINE * i], unbroken(said), late ? "end" : "start")));
  }
  const picture = svg("svg", { width, height: HEIGHT, role: "img", "aria-label": describe }, ...parts);
  const sample = kind => svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, line(`curve ${kind}`, [1, 5], [25, 5]));
  return [picture, el("div", { class: "keys" }, ...[...curves, ...levels.map(([kind, name]) => [kind, name])]
    .map(([kind, name]) => el("span", {}, sample(kind), name)))];
}

function starAt(x, y) {
  const tips = [...Array(10).keys()].map(i => {
    const radius = i % 2 ? 3.6 : 9, angle = (Math.PI * i) / 5;
    return [x + radius * Math.sin(angle), y - radius * Math.cos(angle)];
  });
  return `M${tips.join("L")}Z`;
}
