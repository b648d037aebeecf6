// The SVD cut: a picture, noise and a measured ΔW, cut to one rank. See cut_record.py.
import { box, choice, el, grouped, percent, slider, svg, unbroken } from "./kit.js";

const PICTURE = "picture", NOISE = "noise";
const LEVELS = 256;

// --- what there is to read -----------------------------------------------------------------------

export function answer({ rank, block, module }, data) {
  const place = data.ranks.indexOf(rank);
  const columns = [PICTURE, NOISE, `${block}.${module}`].map(name => {
    const { shape: [m, n], energy } = data.objects[name];
    return { name, size: `${m} × ${n}`, energy: percent(energy[place]), stored: grouped(rank * (m + n)), whole: grouped(m * n) };
  });
  const [picture, noise, update] = columns;
  const finding = `Energy kept at rank ${rank}: picture ${picture.energy}, noise ${noise.energy}, measured ΔW ${update.energy}.`;
  const explain = `ΔW of block ${block}, ${module}, is ${update.size}, outputs × inputs, as PyTorch stores it. Cut to rank ${rank} it is r (m + n) = ${update.stored} `
    + `numbers instead of m n = ${update.whole}.`;
  const seen = columns.map(({ name, size }) => ({ places: data.objects[name].seen.join("\u00a0×\u00a0"), size }));
  const shown = `They show ${seen[2].places} of ΔW's ${seen[2].size.replaceAll(" ", "\u00a0")} numbers, evenly spaced; of the picture ${seen[0].places}.`;
  return { finding, explain, shown, columns };
}

/** The cut and what is left, as shares of the colour scale, at the places that are shown. */
export function cutAndRest(kept, rank) {
  const [rows, columns] = kept.seen, whole = numbers(kept.matrix);
  const { weights } = kept.pieces, writes = levels(kept.pieces.writes), reads = levels(kept.pieces.reads);
  if (rank > weights.length || rank >= Math.min(...kept.shape)) { // of what is not sent nothing would be seen
    const rest = kept.left[rank] ? numbers(kept.left[rank]) : whole.map(() => 0);
    return { cut: whole.map((number, i) => number - rest[i]), rest };
  }
  const cut = new Float32Array(rows * columns);
  for (let piece = 0; piece < rank; piece++)
    for (let row = 0; row < rows; row++) {
      const factor = weights[piece] * writes[piece * rows + row];
      for (let column = 0; column < columns; column++) cut[row * columns + column] += factor * reads[piece * columns + column];
    }
  return { cut, rest: whole.map((number, i) => number - cut[i]) };
}

const read = new Map(); // by text: what was unpacked once
function bytes(text) {
  if (!read.has(text)) {
    const letters = atob(text), found = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) found[i] = letters.charCodeAt(i);
    read.set(text, found);
  }
  return read.get(text);
}

function levels(text) {
  return new Int8Array(bytes(text).buffer);
}

function numbers({ unit, bytes: text }) {
  return Float32Array.from(levels(text)).map(level => level * unit);
}

// --- colours -------------------------------------------------------------------------------------

// Cividis, from dark blue to yellow, in nine steps (Nuñez, Anderton, Renslow 2018).
const BRIGHTNESS = [[0, 34, 77], [18, 53, 112], [61, 78, 107], [94, 101, 112], [124, 123, 120], [154, 147, 119], [187, 173, 108], [222, 201, 86], [253, 231, 55]];
const paper = { light: [255, 255, 255], dark: [17, 20, 24] };
const below = { light: [179, 88, 6], dark: [253, 174, 97] }, above = { light: [84, 39, 136], dark: [178, 160, 240] };

const tables = {};
const scale = (theme, signed) => (tables[theme + signed] ??= colours(theme, signed));

/** The colours of −1 to 1 with the page's own for zero, or of 0 to 1. */
function colours(theme, signed) {
  const table = new Uint32Array(LEVELS), bytes = new Uint8Array(table.buffer);
  for (let level = 0; level < LEVELS; level++) {
    const share = level / (LEVELS - 1), way = 2 * share - 1;
    const colour = signed ? mixed(paper[theme], (way < 0 ? below : above)[theme], Math.abs(way)) : along(BRIGHTNESS, share);
    bytes.set([...colour, 255], 4 * level);
  }
  return table;
}

function along(colours, share) {
  const step = Math.min(colours.length - 2, Math.floor(share * (colours.length - 1)));
  return mixed(colours[step], colours[step + 1], share * (colours.length - 1) - step);
}

function mixed(from, to, share) {
  return from.map((value, i) => Math.round(value + share * (to[i] - value)));
}

/** Draws numbers from −1 (or 0) to 1 into a canvas, a dot each. */
function paint(canvas, [rows, columns], values, table, signed) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows), dots = new Uint32Array(image.data.buffer);
  values.forEach((value, i) => {
    const share = signed ? (value + 1) / 2 : value;
    dots[i] = table[Math.round((LEVELS - 1) * Math.min(1, Math.max(0, share)))];
  });
  context.putImageData(image, 0, 0);
}

// --- the picture ---------------------------------------------------------------------------------

const CUT_CSS = `
.three { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0 20px; margin-top: 3px; }
.three h4 { margin: 0 0 3px; font-size: 14px; font-weight: 650; }
.three h4 span { font-weight: 400; }
.images { display: grid; grid-template-columns: 1fr 1fr; gap: 2px 8px; }
canvas { display: block; width: 100%; aspect-ratio: 1; border-radius: 4px; border: 1px solid var(--line); }
canvas.cells { image-rendering: pixelated; }
.falling { position: relative; margin-top: 2px; border-left: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.falling svg { width: 100%; height: 30px; }
.left-out { fill: var(--bar-frozen); }
.kept { fill: var(--bar-lora); }
.knife { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; vector-effect: non-scaling-stroke; }
.scale { position: relative; height: 16px; font-size: 12px; color: var(--quiet); }
.scale span { position: absolute; white-space: nowrap; transform: translateX(-50%); }
.scale span:last-child { transform: translateX(-100%); }
.energy b { color: var(--lora); }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 12px; color: var(--quiet); line-height: 1.3; }
.cut-words { margin-top: 4px; line-height: 19px; }
.scales { display: inline-block; width: 84px; height: 10px; margin: 0 2px; border: 1px solid var(--line); border-radius: 3px; vertical-align: baseline;
  background: linear-gradient(90deg, var(--below), var(--paper), var(--above)); }
:host { --below: rgb(${below.light}); --above: rgb(${above.light}); }
:host([data-theme="dark"]) { --below: rgb(${below.dark}); --above: rgb(${above.dark}); }
/* Beside the slider the menus are level with its groove. */
@container (min-width: 700px) { .row > .field { margin-top: 17px; } }
@container (max-width: 620px) {
  .three { gap: 0 10px; }
  .three h4 { font-size: 12px; white-space: nowrap; }
  .three h4 span { display: block; }
  .images { grid-template-columns: 1fr; }
  .scale .at64 { display: none; }}`;

export function mount(host, data, ask) {
  const inside = box(host, "Matrices cut to a rank by SVD", CUT_CSS);
  let state = { ...data.start };
  const set = change => { state = { ...state, ...change }; draw(); };
  const finding = el("p", { class: "finding", "aria-live": "polite" }), words = el("span"), shown = el("span");
  const rank = slider({
    label: "rank r", stops: data.ranks, value: state.rank, change: value => set({ rank: value }),
    marks: [[0, "0"], [1, "1"], [8, "8"], [32, "32"], [192, "192", "all"]],
  });
  const block = choice({ label: "ΔW of block", options: data.blocks.map(each => [each, String(each)]), value: state.block, change: value => set({ block: value }) });
  const layer = choice({ label: "layer", options: data.modules.map(each => [each, each]), value: state.module, change: value => set({ module: value }) });
  const columns = ["picture", "noise", "measured ΔW"].map(title => column(title, Math.max(...data.ranks)));
  const draw = () => {
    const now = answer(state, data);
    finding.textContent = unbroken(now.finding);
    words.textContent = now.explain;
    shown.textContent = unbroken(now.shown);
    columns.forEach((each, i) => each.draw(state.rank, now.columns[i], data.objects[now.columns[i].name], host.dataset.theme));
  };
  inside.append(finding, el("div", { class: "row" }, rank.element, block.element, layer.element),
    el("div", { class: "three" }, ...columns.map(each => each.element)),
    el("div", { class: "quiet cut-words" }, words,
      unbroken(" Blue steps: the strengths of the pieces kept. Both scales are logarithmic, so trust the number, not the area."),
      el("div", {}, "Maps: below 0 ", el("span", { class: "scales", role: "img", "aria-label": "orange to violet" }), " above 0. ", shown)));
  new MutationObserver(draw).observe(host, { attributes: true, attributeFilter: ["data-theme"] });
  draw();
}

/** One object: its cut, its residual, its singular values. */
function column(title, most) {
  const size = el("span", { class: "quiet" }), energy = el("b");
  const cut = el("canvas", { role: "img" }), rest = el("canvas", { role: "img", class: "cells" });
  const at = rank => (100 * (Math.log2(rank) + 1)) / (Math.log2(most + 0.5) + 1); // from ½, which is rank 0's place, on
  const leftOut = svg("path", { class: "left-out" }), kept = svg("path", { class: "kept" });
  const knife = svg("line", { class: "knife", y1: 0, y2: 100 });
  const element = el("div", {},
    el("h4", {}, title, " ", size),
    el("div", { class: "images" }, el("figure", {}, cut, el("figcaption", {}, "the cut")), el("figure", {}, rest, el("figcaption", {}, "what is cut off"))),
    el("div", { class: "energy" }, "energy kept ", energy),
    el("div", { class: "falling" },
      svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" }, leftOut, kept, knife)),
    el("div", { class: "scale", "aria-hidden": "true" }, ...[1, 8, 64, most].map(each => el("span", { class: `at${each}`, style: `left:${at(each)}%` }, String(each)))));
  return {
    element,
    draw(rank, said, object, theme) {
      const now = cutAndRest(object, rank), name = said.name.includes(".") ? "ΔW" : said.name;
      size.textContent = said.size;
      energy.textContent = said.energy;
      cut.className = object.signed ? "cells" : "";
      paint(cut, object.seen, now.cut, scale(theme, object.signed), object.signed);
      paint(rest, object.seen, now.rest, scale(theme, true), true);
      cut.setAttribute("aria-label", `${name} cut to rank ${rank}`);
      rest.setAttribute("aria-label", `${name} minus its cut`);
      const heights = bytes(object.spectrum);
      leftOut.setAttribute("d", area(heights, rank, heights.length, at));
      kept.setAttribute("d", area(heights, 0, Math.min(rank, heights.length), at));
      for (const end of ["x1", "x2"]) knife.setAttribute(end, at(rank + 0.5));
    },
  };
}

/** The singular values after `from` and up to `to`, as steps over the logarithm of their number. */
function area(heights, from, to, at) {
  let path = "";
  for (let i = from; i < to; i++) path += `M${at(i + 0.5)} 100V${100 - heights[i] / 2.55}H${at(i + 1.5)}V100Z`;
  return path;
}
