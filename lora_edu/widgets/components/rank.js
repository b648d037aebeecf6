// The rank explorer: trainable parameters against rank, and one layer drawn, to scale where that can be seen.
import { apart, box, choice, el, fixed, grouped, inWords, megabytes, percent, slider, svg, tick, unbroken } from "./kit.js";
import { drawChart } from "./rank_chart.js";
import { drawLayer } from "./rank_layer.js";

// --- the counts: r (m + n) for a layer of m inputs and n outputs, as lora_edu/budget -----------------

/** What there is to read at a state: {model, rank, targets, output, drawn}. */
export function answer(state, data) {
  const { model, rank } = state;
  const { parameters, layers } = data.shapes[model][data.outputs.indexOf(state.output)];
  const all = layers.map(([target, m, n, copies]) => ({ target, m, n, copies }));
  const chosen = all.filter(({ target }) => state.targets.includes(target));
  const words = { parameters, lacks: data.targets.filter(name => !all.some(({ target }) => target === name)) };
  if (!chosen.length)
    return { ...words, count: 0, shares: {}, sentences: [`${model}: choose at least one kind of layer; nothing is trained yet.`],
      alt: `Empty chart: no layer of ${model} is chosen.` };
  const count = rank * one(chosen);
  const weights = chosen.reduce((sum, { m, n, copies }) => sum + copies * m * n, 0);
  const even = weights / one(chosen);
  const shares = Object.fromEntries(chosen.map(layer => [layer.target, (rank * one([layer])) / count]));
  const sentences = [
    `${model}, rank ${grouped(rank)} on ${chosen.map(({ target }) => target).join(", ")}: ${grouped(count)} trainable ` +
      `parameters, ${percent(count / parameters)} of ${grouped(parameters)}.`,
    `One adapter is a file of ${megabytes(4 * count)} in float32, half that in half precision; the whole model ${megabytes(4 * parameters)}.`,
    `Break-even rank: ${grouped(fixed(even, 0))}. ` + (rank < even ? "Below it A and B hold fewer numbers than the weights they adapt."
      : "Above it A and B hold more numbers than the weights they adapt."),
  ];
  const side = ({ m, n }) => Math.min(m, n);
  const narrow = chosen.reduce((least, layer) => (side(layer) < side(least) ? layer : least));
  if (rank > side(narrow))
    sentences.push(`Rank ${grouped(rank)} is more than ${narrow.target} can use: a ${grouped(narrow.m)} × ` +
      `${grouped(narrow.n)} update has rank ${grouped(side(narrow))} at most.`);
  const layer = layerAt(chosen.find(({ target }) => target === state.drawn) ?? chosen[0], rank);
  const cross = data.guess?.count && model === data.start.model ? " A cross marks your prediction." : "";
  const each = Object.entries(shares).map(([name, share]) => `${name} ${percent(share)}`).join(", ");
  const alt = `A rising straight line on logarithmic scales: trainable parameters of ${model} against rank, ` +
    `${inWords(count)} at rank ${grouped(rank)}.${cross} Shares: ${each}. ${layer.alt}`;
  return { ...words, count, weights, even, perRank: one(chosen), shares, layer, sentences, alt };
}

/** A share beside its bar, where there is no room for more. */
const wholePercent = share => (share < 0.005 ? "< 1 %" : `${fixed(100 * share, 0)} %`);

/** Trainable parameters of these layers at rank 1. */
function one(layers) {
  return layers.reduce((sum, { m, n, copies }) => sum + copies * (m + n), 0);
}

/** The numbers of one layer, and what its drawing shows. */
function layerAt({ target, m, n, copies }, rank) {
  const weights = m * n, count = rank * (m + n);
  const of = copies > 1 ? ` of ${copies}` : "";
  const share = percent(count / weights);
  const sizes = [m, rank, n].map(grouped);
  return { target, m, n, copies, weights, count, share,
    alt: `One ${target} layer${of}: W, ${sizes[0]} × ${sizes[2]}, holds ${grouped(weights)} numbers; A, ${sizes[0]} × ${sizes[1]}, ` +
      `and B, ${sizes[1]} × ${sizes[2]}, hold ${grouped(count)} together, ${share} of W's.` };
}

// --- the page ------------------------------------------------------------------------------------

const STYLE = `
:host { --on-frozen: #1b1f24; }
:host([data-theme="dark"]) { --on-frozen: #ffffff; }
.kinds { display: grid; grid-template-columns: repeat(8, max-content); justify-content: space-between; gap: 4px 8px; margin: 6px 0 0; padding: 0; border: 0; min-width: 0; }
.kinds legend { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.kinds > div { position: relative; display: flex; gap: 4px; align-items: center; height: 28px; padding-bottom: 8px; }
.kinds .share { min-width: 35px; font-size: 11px; color: var(--quiet); white-space: nowrap; font-variant-numeric: tabular-nums; }
.kinds .tick { font-size: 13px; gap: 4px; }
.kinds .bar { position: absolute; left: 0; right: 0; bottom: 0; height: 5px; border-radius: 3px; background: var(--card); overflow: hidden; }
.kinds .bar i { display: block; height: 100%; background: var(--bar-lora); }
.two { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 16px; }
.big { font-size: 26px; line-height: 30px; font-weight: 700; color: var(--lora); font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.layer { display: grid; grid-template-columns: 150px minmax(0, 1fr); gap: 0 10px; align-items: center; margin-top: 8px; }
.layer table { border-collapse: collapse; width: 100%; max-width: 330px; font-size: 12px; font-variant-numeric: tabular-nums; }
.layer td { padding: 1px 0 1px 6px; text-align: right; white-space: nowrap; }
.layer td:first-child { padding: 0; text-align: left; font-weight: 700; }
.layer caption { caption-side: top; text-align: left; padding-bottom: 4px; color: var(--quiet); }
.layer tr.sum td { border-top: 1px solid var(--line); padding-top: 3px; font-weight: 700; }
.layer tr.product td { padding-top: 5px; font-weight: 400; font-size: 14px; line-height: 18px; white-space: normal; color: var(--quiet); }
.lora { color: var(--lora); } .frozen { color: var(--frozen); }
.notes { margin: 6px 0 0; font-size: 14px; line-height: 19px; min-height: 57px; }
.judged { margin: 0; font-size: 14px; line-height: 19px; font-weight: 600; }
.judged.quiet { font-weight: 400; }
.judged.elsewhere { color: var(--quiet); font-weight: 400; }
svg.chart .tag { font-size: 12px; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.slider, .slider input { min-width: 0; }
@container (max-width: 815px) { .kinds { grid-template-columns: repeat(4, minmax(0, 1fr)); } .kinds > div { height: 25px; } .layer { grid-template-columns: 120px minmax(0, 1fr); gap: 0 6px; } }
@container (max-width: 730px) { .two { grid-template-columns: minmax(0, 1fr); } }
@container (max-width: 480px) { .kinds { grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); } .layer { grid-template-columns: 104px minmax(0, 1fr); } }
@container (max-width: 350px) { .layer { grid-template-columns: minmax(0, 1fr); } }
`;

/** Builds the explorer. */
export function mount(host, data) {
  const state = { ...data.start, targets: [...data.start.targets], drawn: data.start.targets[0] };
  const set = (name, value) => { state[name] = value; show(); };
  const kinds = data.targets.map(name => {
    const ticked = tick({ label: name, on: state.targets.includes(name), change: on => {
      state.targets = data.targets.filter(each => (each === name ? on : state.targets.includes(each)));
      set("drawn", on ? name : state.drawn);
    } });
    const share = el("span", { class: "share" }), bar = el("i");
    return { name, ticked, share, bar, element: el("div", {}, ticked.element, share, el("div", { class: "bar" }, bar)) };
  });
  const marks = [1, 4, 16, 64, 256, 1024, data.ranks[data.ranks.length - 1]].map(rank => [rank, grouped(rank)]);
  const rank = slider({ label: "rank r", stops: data.ranks, value: state.rank, marks, say: grouped, change: value => set("rank", value) });
  const chart = svg("svg", { class: "chart", role: "img" });
  const drawing = svg("svg", { "aria-hidden": "true" });
  const big = el("div", { class: "big" }), share = el("div", { class: "quiet" }), table = el("table");
  const notes = el("p", { class: "notes", "aria-live": "polite" });
  const left = el("div", {}, chart, rank.element);
  const judged = data.guess && el("p", { class: data.guess.count ? "judged" : "judged quiet" }, data.guess.words);
  box(host, "Rank explorer", STYLE).append(
    el("div", { class: "row" },
      choice({ label: "Model", options: Object.keys(data.shapes).map(name => [name, name]), value: state.model, change: value => set("model", value) }).element,
      choice({ label: "Output", options: data.outputs.map(name => [name, name]), value: state.output, change: value => set("output", value) }).element),
    el("fieldset", { class: "kinds" }, el("legend", {}, "Layers with LoRA"), ...kinds.map(({ element }) => element)),
    el("div", { class: "two" }, left,
      el("div", {}, el("div", { "aria-live": "polite" }, big, share), el("div", { class: "layer" }, drawing, table))),
    notes, ...(judged ? [judged] : []));

  function show() {
    const found = answer(state, data), wide = left.clientWidth || 400;
    const names = Object.keys(found.shares), written = apart(Object.values(found.shares), wholePercent);
    for (const { name, ticked, share: part, bar } of kinds) {
      ticked.allow(!found.lacks.includes(name));
      part.textContent = written[names.indexOf(name)] ?? "";
      bar.style.width = `${100 * (found.shares[name] ?? 0)}%`;
    }
    judged?.classList.toggle("elsewhere", state.model !== data.start.model); // it was asked of one model
    big.textContent = grouped(found.count);
    share.textContent = `trainable parameters, ${percent(found.count / found.parameters)} of ${grouped(found.parameters)}`;
    notes.textContent = unbroken((found.count ? found.sentences.slice(1) : found.sentences).join(" "));
    chart.setAttribute("aria-label", found.alt);
    const gutter = wide < 380 ? 62 : 82;
    rank.element.style.marginLeft = `${gutter}px`;
    drawChart(chart, { width: wide, gutter }, found, state, data);
    drawLayer(drawing, table, found.layer, state.rank);
  }
  new ResizeObserver(show).observe(left);
  show();
}
