// The rate explorer: the losses of every way to train over learning rates, and two comparisons.
import { box, chips, el, fixed, grouped, slider, tick } from "./kit.js";
import { classOf, drawRates, EDGES, swatch } from "./rate_chart.js";

const LEARNT = "validation_loss";

// --- what there is to read -----------------------------------------------------------------------

/** At a state {sweep, measure, rate, arms}, where null for `arms` shows all. */
export function answer(state, data) {
  const sweep = data.sweeps[state.sweep], [said, places] = data.measures[state.measure], at = grouped(state.rate);
  const arms = sweep.arms.filter(({ name }) => !state.arms || state.arms.includes(name));
  const placed = (arm, rate) => ({ arm, rate, loss: spreadAt(arm, state.measure, rate) });
  const sorted = list => list.filter(({ loss }) => loss).sort((a, b) => a.loss.mean - b.loss.mean);
  const one = sorted(arms.map(arm => placed(arm, state.rate))), own = sorted(arms.map(arm => placed(arm, arm.best)));
  const missing = arms.filter(arm => !arm.rates.includes(state.rate));
  const value = ({ mean }) => fixed(mean, places).toFixed(places);
  const each = ({ arm, loss }, where = "") => `${arm.name} ${value(loss)}${where} (${seedsOf(loss)})`;
  const some = one.length > 1 && missing.length ? ` (${one.length} of ${arms.length} tried)` : "";
  const [here, best] = [one, own].map(places => whoIsAhead(places, state.measure));
  const findings = arms.length < 2 ? ["Tick at least two ways to train, to compare them."]
    : [`At ${at}${some}, ${here}.`, `Each at its best rate, ${best}.`];
  const finding = findings.join(" ");
  const explain = arms.length ? `${said[0].toUpperCase()}${said.slice(1)}, all at ${at}: `
    + [...one.map(place => each(place)), ...missing.map(({ name }) => `${name} not tried`)].join(", ")
    + `. Each at its best rate: ${own.map(place => each(place, ` at ${grouped(place.rate)}`)).join(", ")}.` : "";
  const describe = `Chart for ${state.sweep}: ${sweep.axes[state.measure]} against learning rate, for `
    + `${arms.map(({ name }) => name).join(", ") || "nothing"}; ${value({ mean: sweep.base[state.measure] })} before training. ${finding}`;
  return { finding, findings, explain, describe, arms, one, own, missing, value };
}

/** An arm's loss at a rate, over seeds; null where that was not tried. */
function spreadAt(arm, measure, rate) {
  const row = arm.losses[measure][arm.rates.indexOf(rate)];
  return row ? { mean: row[0], lowest: row[1], highest: row[2], seeds: row[3] } : null;
}

const seedsOf = ({ seeds }) => `${seeds} seed${seeds > 1 ? "s" : ""}`;

/** Who is ahead: the one whose seeds overlap with nobody's. The lowest mean comes first. */
function whoIsAhead([first, ...others], measure) {
  if (!first) return "none of these was tried";
  const name = first.arm.name;
  if (!others.length) return `only ${name} was tried`;
  const rivals = others.filter(({ loss }) => loss.lowest <= first.loss.highest).map(({ arm }) => arm.name);
  if (rivals.length) return `${listOf([name, ...rivals])} overlap: no clear winner`;
  const alone = first.loss.seeds === 1 || others[0].loss.seeds === 1;
  return `${name} ${measure === LEARNT ? "is ahead" : "forgot least"}${alone ? ", but one seed cannot tell" : ""}`;
}

/** A, B and C; of LoRA's ranks only the first after another arm says whose they are. */
function listOf(names) {
  const said = names.map((name, i) => (names[i - 1]?.startsWith("LoRA") ? name.replace("LoRA ", "") : name));
  return `${said.slice(0, -1).join(", ")} and ${said.at(-1)}`;
}

// --- the page ------------------------------------------------------------------------------------

const RATE_CSS = `
:host { --matrices: #6b3fa0; --rank-1: #0077ba; --rank-2: #005a8f; --rank-8: #003d63; --rank-32: #001b2e; }
:host([data-theme="dark"]) { --matrices: #c9b0f7; --rank-1: #3f8fc4; --rank-2: #6cc0f0; --rank-8: #a5dbfb; --rank-32: #e3f4ff; }
.finding { font-size: 14px; line-height: 20px; min-height: 40px; } .finding span { display: block; }
.row { gap: 8px 14px; } .chips { gap: 4px; } .chosen { display: inline-flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; min-width: 0; font-size: 13px; } .chips button { padding: 2px 8px; font-size: 12.5px; }
.arms { gap: 4px 7px; margin-top: 6px; align-items: center; font-size: 13px; }
.arms .tick { border: 1px solid var(--line); border-radius: 999px; padding: 1px 9px 1px 6px; }
.two { grid-template-columns: minmax(0, 1.5fr) minmax(0, 1fr); gap: 12px; margin-top: 4px; }
.full { --arm: var(--full); } .lora { --arm: var(--lora); }
/* LoRA's blue by rank: the higher, the further from the paper. */
.rank-1 { --arm: var(--rank-1); } .rank-2 { --arm: var(--rank-2); } .rank-8 { --arm: var(--rank-8); } .rank-32, .rank-64 { --arm: var(--rank-32); }
.matrices { --arm: var(--matrices); }
.name, .arms .lora, .tick { color: var(--arm); font-weight: 600; }
table { border-collapse: collapse; width: 100%; color: inherit; font-size: 13px; line-height: 17px; font-variant-numeric: tabular-nums; }
table + table { margin-top: 6px; }
th { padding: 0 0 0 8px; text-align: right; white-space: nowrap; font-weight: 400; color: var(--quiet); }
th:last-child { width: 44px; } th:nth-last-child(2) { width: 46px; }
th:first-child { padding: 0; width: auto; text-align: left; font-weight: 650; color: var(--ink); }
td { padding: 0 0 0 8px; text-align: right; white-space: nowrap; }
td:first-child { padding: 0; width: 28px; } td.name { padding-left: 2px; text-align: left; }
td.less { color: var(--quiet); }
.notes { margin: 2px 0 0; font-size: 14px; line-height: 19px; }
.slider, .slider input { min-width: 0; }
.few .marks i { display: none; }
@container (max-width: 660px) { .two { grid-template-columns: minmax(0, 1fr); } .marks i { display: inline; } }`;
const NOTES = { // by measure; of all but the first the same is to be said
  [LEARNT]: "A line up and down spans the seeds, a ring is the best rate. Ahead is who overlaps with nobody.",
  also: "Who learns less also forgets less: whoever forgot least may have learnt least. Rings: best for the task.",
};
const ROOM = 70; // pixels from one mark of the slider to the next, if each is to be written

export function mount(host, data) {
  const state = { ...data.start };
  const inside = box(host, "Rate explorer", RATE_CSS);
  const finding = el("p", { class: "finding", "aria-live": "polite" }), notes = el("p", { class: "quiet notes" });
  const ticks = el("div", { class: "row arms", role: "group", "aria-label": "Ways to train" });
  const chart = el("div", { class: "chart" }), axis = el("div"), lists = el("div", { class: "lists" });
  const sweeps = chips({ label: "Model and task", options: Object.keys(data.sweeps).map(name => [name, name]), value: state.sweep,
    change: name => { const { opens: arms, start: rate } = data.sweeps[name]; Object.assign(state, { sweep: name, arms, rate }); offer(); } });
  const measures = chips({ label: "Loss", options: Object.entries(data.measures).map(([name, [said]]) => [name, said]), value: state.measure,
    change: name => { state.measure = name; draw(); } });
  let rates;
  const offer = () => { // what a sweep has: its arms, its rates
    const { arms, rates: stops } = data.sweeps[state.sweep];
    const boxes = arms.map(({ name, kind }) => {
      const ticked = tick({ label: kind === "lora" ? name.split(" ").at(-1) : name, on: !state.arms || state.arms.includes(name), change: on => {
        state.arms = arms.map(arm => arm.name).filter(each => (each === name ? on : !state.arms || state.arms.includes(each)));
        draw();
      } });
      ticked.field.setAttribute("aria-label", name);
      ticked.element.classList.add(...classOf({ kind, name }).split(" "));
      return ticked.element;
    });
    boxes.splice(arms.findIndex(({ kind }) => kind === "lora"), 0, el("span", { class: "lora", "aria-hidden": "true" }, "LoRA, rank"));
    ticks.replaceChildren(...boxes);
    const decade = rate => Number.isInteger(Math.round(1e6 * Math.log10(rate)) / 1e6);
    rates = slider({ label: "learning rate", stops, value: state.rate, say: grouped,
      marks: stops.map(rate => (decade(rate) ? [rate, grouped(rate)] : [rate, "", grouped(rate)])), change: rate => { state.rate = rate; draw(); } });
    axis.replaceChildren(rates.element);
    draw();
  };
  const draw = () => {
    const now = answer(state, data), width = chart.clientWidth || 430, curves = width - EDGES.left - EDGES.right;
    // Two lines, whatever they say, so that nothing beneath moves; none ends within "fine-tuning".
    finding.replaceChildren(...now.findings.flatMap(said => [el("span", {}, said.replaceAll("-", "\u2011")), " "]));
    notes.textContent = NOTES[state.measure] ?? NOTES.also;
    drawRates(chart, width, now, state, data);
    rates.element.classList.toggle("few", curves / (data.sweeps[state.sweep].rates.length - 1) < ROOM);
    rates.element.style = `margin-left:${EDGES.left - EDGES.thumb}px;width:${curves + 2 * EDGES.thumb}px`; // it is the chart's axis
    lists.replaceChildren(...(now.arms.length ? [
      listed([`All at ${grouped(state.rate)}`, "loss", "seeds"], now.one.map(({ arm, loss }) => row(arm, now.value(loss), loss.seeds)), now.missing),
      listed(["Each at its best", "rate", "loss", "seeds"],
        now.own.map(({ arm, loss, rate }) => row(arm, grouped(rate), now.value(loss), loss.seeds)), [])] : []));
  };
  inside.append(finding, el("div", { class: "row" }, named("task", sweeps), named("measure", measures)), ticks,
    el("div", { class: "two" }, el("div", {}, chart, axis), lists), notes);
  offer();
  new ResizeObserver(draw).observe(chart);
}

const named = (label, { element }) => el("div", { class: "chosen" }, el("span", { class: "quiet", "aria-hidden": "true" }, label), element);

function row(arm, ...cells) {
  const last = cells.length - 1;
  return el("tr", { class: classOf(arm) }, el("td", {}, swatch(arm)), el("td", { class: "name" }, arm.name),
    ...cells.map((cell, i) => el("td", i === last - 1 ? {} : { class: "less" }, cell)));
}

/** A table of arms; below it those that were not tried. */
function listed([title, ...heads], rows, missing) {
  const head = el("tr", {}, el("th", { colspan: 2, scope: "col" }, title), ...heads.map(name => el("th", { scope: "col" }, name)));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows, ...missing.map(arm => el("tr", { class: classOf(arm) },
    el("td", {}, swatch(arm)), el("td", { class: "name" }, arm.name), el("td", { class: "less", colspan: heads.length }, "not tried")))));
}
