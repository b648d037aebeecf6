// The memory budget: full fine-tuning, LoRA and QLoRA as stacked bars against common cards.
import { box, choice, el, grouped, megabytes, percent, slider, tick, unbroken } from "./kit.js";
import { budgets, METHODS, PARTS, tokensRead } from "./memory_budget.js";
import { drawCards } from "./memory_cards.js";

const NAMES = { full: "full fine-tuning", lora: "LoRA", qlora: "QLoRA" };

/** What there is to read at a state, whose names are those of `MemoryState`. */
export function answer(state, data) {
  const { full, lora, qlora } = budgets(state, data);
  const rows = { full, lora, qlora };
  const tokens = tokensRead(state, data);
  const sentences = [`${state.model}, ${state.batch_size} × ${grouped(tokens)} tokens${state.length_tokens > tokens ? ", the most it reads" : ""}.`,
    ...METHODS.map(method => `${method === "full" ? "Full fine-tuning" : NAMES[method]} needs ${megabytes(rows[method].total)} (${where(rows[method], data)}).`)];
  const saved = 1 - lora.total / full.total;
  sentences.push(saved >= 0 ? `LoRA saves ${percent(saved)} of full fine-tuning:` : `Here LoRA needs ${percent(-saved)} more than full fine-tuning:`);
  const learning = [full, lora].map(({ gradients, optimizer }) => gradients + optimizer);
  const part = lora.activations / full.activations;
  sentences.push(`gradients and optimizer ${learning[1] <= learning[0] ? "shrink" : "grow"} from ${megabytes(learning[0])} to ` +
    `${megabytes(learning[1])}; the weights stay.`, `Of the activations ${activationsKept(part, state.checkpointing)}.`);
  const share = lora.activations / lora.total;
  if (share > 0.5)
    sentences.push(`Activations are ${percent(share)} of what LoRA needs${state.checkpointing ? "" : ": checkpointing or shorter rows save there"}.`);
  const copies = lora.activations - qlora.activations;
  if (copies > 0) sentences.push(`QLoRA's activations are ${megabytes(copies)} less: its 4-bit weights have no 16-bit copies.`);
  const alt = METHODS.map(method => `${NAMES[method]} ${megabytes(rows[method].total)}, mostly ${largest(rows[method])}`).join("; ");
  return { rows, sentences, alt: `Three stacked bars of memory for ${state.model}: ${alt}.` };
}

/** How much of the activations LoRA keeps, as a part of full fine-tuning's, and why. */
function activationsKept(part, checkpointing) {
  const blocks = "each block's input, what one block at a time keeps inside, and the loss";
  if (part < 0.99)
    return `${percent(part)} stay: ${checkpointing ? blocks : "all but the inputs of layers without adapters, as the error travels through all"}`;
  const more = part > 1.001;
  const saved = more ? `LoRA saves nothing: it keeps ${percent(part - 1)} more, as every adapter adds its own` : "LoRA saves hardly anything";
  if (checkpointing) return `${saved}. What stays is ${blocks}`;
  return more ? saved : `${saved}: each adapter needs its layer's input`;
}

/** What a way to store numbers means: the bits of its weights and activations. */
export function stored(name, data) {
  const [weight, , , activation, autocast] = data.storages[name];
  if (weight === activation) return `${name}: weights and activations in ${8 * weight} bits`;
  return `${name}: weights in ${8 * weight} bits${autocast ? "; activations, with a copy of each weight," : ", activations"} in ${8 * activation}`;
}

/** The cards that a budget fits, in words. */
function where({ total }, data) {
  const fitting = Object.entries(data.cards).filter(([, size]) => total <= size).map(([name]) => name);
  if (fitting.length === Object.keys(data.cards).length) return `even the ${fitting[0]} has room`;
  return fitting.length ? `smallest card: ${fitting[0]}` : "more than any single card here";
}

const largest = row => PARTS.reduce((most, part) => (row[part] > row[most] ? part : most));

// --- the page ------------------------------------------------------------------------------------

const STYLE = `
:host { --weights: #b4bcc5; --activations: #d3a2c0; }
:host([data-theme="dark"]) { --weights: #a3adb8; }
.row { gap: 6px 11px; font-size: 13px; }
.sliders { column-gap: 36px; }
select { padding: 4px 5px; }
.slider, .slider input { flex-basis: 230px; min-width: min(230px, 100%); }
.once { align-self: center; } .once div, .stored { font-size: 14px; line-height: 16px; color: var(--quiet); }
.once div { padding-left: 21px; }
.bars { position: relative; display: grid; grid-template-columns: 207px minmax(0, 1fr); gap: 6px 13px; margin-top: 2px; padding-top: 42px; }
.stored { position: absolute; top: 0; left: 0; width: 207px; }
.bars > svg { position: absolute; right: 0; overflow: visible; pointer-events: none; }
.method { display: grid; grid-template-columns: 1fr auto; align-items: baseline; align-content: start; line-height: 25px; }
.method b { font-size: 13.5px; white-space: nowrap; } .method strong { font-size: 18.5px; font-variant-numeric: tabular-nums; white-space: nowrap; }
.method span { grid-column: 1 / -1; font-size: 12px; line-height: 17px; color: var(--quiet); }
.full { --method: var(--bar-full); } .full b { color: var(--full); }
.lora, .qlora { --method: var(--bar-lora); } :is(.lora, .qlora) b { color: var(--lora); }
.bar { display: flex; height: 26px; border-radius: 3px; overflow: hidden; background: var(--card); }
.bar i { flex: none; box-shadow: inset -1px 0 var(--paper); }
.parts { display: grid; grid-template-columns: repeat(4, minmax(0, 104px)); font-size: 12px; line-height: 17px; font-variant-numeric: tabular-nums; position: relative; }
.end { position: absolute; right: 0; font-size: 12px; color: var(--quiet); }
.parts span { white-space: nowrap; position: relative; justify-self: start; padding-right: 4px; }
/* The parts have one order: the first row names them for all, and a screen reader hears every name. */
.parts span::after { content: attr(data-name); position: absolute; width: 1px; overflow: hidden; clip-path: inset(50%); }
.full .parts span::after { display: block; position: static; width: auto; clip-path: none; color: var(--quiet); padding-left: 13px; }
.parts span::before { content: ""; display: inline-block; width: 9px; height: 9px; margin-right: 4px; border-radius: 2px; background: var(--fill); }
.weights { --fill: var(--weights); } .activations { --fill: var(--activations); }
.gradients { --fill: color-mix(in srgb, var(--method) 42%, white); } .optimizer { --fill: color-mix(in srgb, var(--method) 78%, white); }
.bar i { background: var(--fill); }
.why { margin: 4px 0 0; font-size: 14px; line-height: 18px; min-height: 72px; }
@container (max-width: 800px) {
  .row { gap: 8px 7px; } .sliders { column-gap: 28px; } .row:not(.sliders) { font-size: 12.5px; } .field { gap: 4px; } select { padding: 4px 1px; }
  .bars { grid-template-columns: 202px minmax(0, 1fr); gap: 9px; } }
@container (min-width: 400px) and (max-width: 730px) { .field { flex: 0 0 calc(50% - 4px); } }
@container (max-width: 720px) { .end { position: static; grid-column: 1 / -1; justify-self: end; } }
@container (max-width: 620px) { .stored { position: static; width: auto; margin-top: 6px; }
  .bars { grid-template-columns: minmax(0, 1fr); gap: 2px; padding-top: 0; } .method { margin-top: 8px; } .full .bar { margin-top: 44px; } }
`;

/** Builds the explorer. */
export function mount(host, data) {
  const state = { ...data.start };
  const set = name => value => { state[name] = value; show(); };
  const named = names => names.map(name => [name, String(name)]);
  const list = (label, name, options) => choice({ label, options: named(options), value: state[name], change: set(name) }).element;
  const slide = (label, name, stops, every, say = grouped) => slider({ label, stops, value: state[name], say, change: set(name),
    marks: stops.map((stop, place) => [stop, place % every ? "" : grouped(stop)]) });
  const read = stop => {
    const tokens = tokensRead({ ...state, length_tokens: stop }, data);
    return tokens < stop ? `${grouped(stop)}; it reads ${grouped(tokens)}` : grouped(stop);
  };
  const lengths = slide("tokens a row", "length_tokens", data.lengths, 2, read);
  const rows = METHODS.map(method => {
    const total = el("strong"), fits = el("span");
    const pieces = PARTS.map(part => el("i", { class: part }));
    const sizes = PARTS.map(part => el("span", { class: part, "data-name": part }));
    const track = el("div", { class: "bar", "aria-hidden": "true" }, ...pieces);
    const elements = [el("div", { class: `method ${method}` }, el("b", {}, NAMES[method]), total, fits),
      el("div", { class: method }, track, el("div", { class: "parts" }, ...sizes))];
    return { method, total, fits, pieces, sizes, track, elements };
  });
  const why = el("p", { class: "why", "aria-live": "polite" });
  const storage = el("div", { class: "stored" }), scale = el("small", { class: "end" });
  rows[0].sizes.at(-1).after(scale);
  const bars = el("div", { class: "bars", role: "group" }, storage, ...rows.flatMap(({ elements }) => elements));
  box(host, "Memory of one training step", STYLE).append(
    el("div", { class: "row" },
      list("Model", "model", Object.keys(data.shapes)), list("Storage", "storage", Object.keys(data.storages)),
      list("LoRA on", "target_set", data.target_sets), list("rank", "rank", data.ranks)),
    el("div", { class: "row sliders" },
      slide("rows a step", "batch_size", data.batches, 1).element, lengths.element,
      el("div", { class: "once" }, tick({ label: "activation checkpointing", on: state.checkpointing, change: set("checkpointing") }).element,
        el("div", {}, "keeps each block's input,", el("br"), "computes the rest again"))),
    bars, why);

  function show() {
    const found = answer(state, data);
    lengths.set(state.length_tokens); // another model may read shorter rows
    const end = roundUp(1.02 * Math.max(...METHODS.map(method => found.rows[method].total)));
    drawCards(bars, rows.map(({ track }) => track), METHODS.map(method => found.rows[method].total), data.cards, end);
    for (const { method, total, fits, pieces, sizes } of rows) {
      const row = found.rows[method];
      total.textContent = megabytes(row.total);
      fits.textContent = where(row, data);
      PARTS.forEach((part, place) => {
        sizes[place].textContent = megabytes(row[part]);
        pieces[place].style.width = `${(100 * row[part]) / end}%`;
      });
    }
    storage.textContent = stored(state.storage, data);
    scale.textContent = `scale to ${megabytes(end)}`;
    bars.setAttribute("aria-label", found.alt);
    const [finding, ...rest] = found.sentences.slice(1 + METHODS.length);
    why.replaceChildren(el("b", {}, unbroken(finding)), ` ${unbroken(rest.join(" "))}`);
  }
  new ResizeObserver(show).observe(bars);
  show();
}

/** The next of 1, 2, 4 and 8 times a power of ten: the scale stays while a slider moves a little. */
function roundUp(size) {
  const power = 10 ** Math.floor(Math.log10(size));
  return power * ([1, 2, 4, 8].find(digit => digit * power >= size) ?? 10);
}
