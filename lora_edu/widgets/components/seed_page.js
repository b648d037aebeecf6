// The seed explorer's page: a study with some of the recorded seeds, and what all studies of its size say.
import { box, chips, el, fixed } from "./kit.js";
import { drawStudies, drawStudy, keyOf } from "./seed_chart.js";

const CANNOT_TELL = "cannot tell";

// --- what there is to read -----------------------------------------------------------------------

/** At a state {messages, pair, drawn}, the drawn seeds rising. */
export function answer(state, data) {
  const { messages, right, record: records } = data.sets[state.messages], size = state.drawn.length;
  const [first, second] = state.pair, count = right[first].length;
  const place = data.pairs.findIndex(([one, other]) => one === first && other === second);
  const [value, low, high] = records[place], record = { value, low, high };
  const share = (name, seed) => (100 * right[name][seed]) / messages;
  const published = (found, alone) => publishes(found, state.pair, alone);
  const sizes = Array.from({ length: count }, (_, fewer) => subsets(count, fewer + 1).map(drawn => {
    const each = interval(drawn, right, state.pair, messages, data.student);
    return { drawn, said: whoIsAhead(each, state.pair), found: each };
  }));
  const { found } = sizes[size - 1].find(({ drawn }) => String(drawn) === String(state.drawn));
  const finding = `A study with seed${size > 1 ? "s" : ""} ${listOf(state.drawn)} would say: ${published(found, size === 1)}.`;
  const beside = `The whole record, with the luck of the messages: ${published(record)}.`;
  const tally = tallyOf(sizes[size - 1], size, state.pair, whoIsAhead(record, state.pair));
  const rate = (name, seed) => `${fixed(share(name, seed), 1).toFixed(1)} %`;
  const runs = state.drawn.map(seed => `seed ${seed} ${rate(first, seed)} and ${rate(second, seed)}`).join(", ");
  const describe = `Right on ${state.messages}, ${first} and ${second}, in pairs: ${runs}. ${finding} ${beside}`;
  const rows = sizes.map((all, fewer) => tallyOf(all, fewer + 1, state.pair, null)).join(" ");
  const seeds = right[first].map((_, seed) => ({ seed, drawn: state.drawn.includes(seed),
    rates: [share(first, seed), share(second, seed)], difference: (100 * (right[first][seed] - right[second][seed])) / messages }));
  return { finding, beside, tally, describe, rows, found, record, sizes, seeds, points };
}

/** The mean paired difference in points, with Student's 95 % interval over the seeds; one seed has none. */
function interval(drawn, right, [first, second], messages, student) {
  const each = drawn.map(seed => right[first][seed] - right[second][seed]), size = each.length;
  const mean = each.reduce((sum, one) => sum + one, 0) / size;
  const squares = each.reduce((sum, one) => sum + (one - mean) ** 2, 0);
  const half = size > 1 ? student[size - 2] * Math.sqrt(squares / (size - 1) / size) : 0;
  const scale = 100 / messages;
  return { value: scale * mean, low: scale * (mean - half), high: scale * (mean + half) };
}

const whoIsAhead = ({ low, high }, [first, second]) => (low > 0 ? first : high < 0 ? second : CANNOT_TELL);

function publishes({ value, low, high }, pair, alone) {
  const ahead = whoIsAhead({ low, high }, pair), plain = number => fixed(number, 1).toFixed(1);
  if (ahead === CANNOT_TELL)
    return `${ahead} (${pair.join(" minus ")} ${points(value)} points${alone ? "" : `, ${points(low)} to ${points(high)}`})`;
  const [by, from, to] = ahead === pair[1] ? [-value, -high, -low] : [value, low, high];
  return `${ahead} is ahead by ${plain(by)} points${alone ? "" : ` (${plain(from)} to ${plain(to)})`}`;
}

/** How all studies of a size come out; and, beside the whole record's word, how many say other than it. */
function tallyOf(all, size, pair, record) {
  const many = test => all.filter(({ said }) => test(said)).length;
  const counts = [...pair.map(name => `${name} ahead ${many(said => said === name)}`), `${CANNOT_TELL} ${many(said => said === CANNOT_TELL)}`];
  const studies = `${all.length > 1 ? `All ${all.length} studies` : "The one study"} of ${size} seed${size > 1 ? "s" : ""}: ${counts.join(", ")}.`;
  if (record === null) return studies;
  const more = many(said => said !== CANNOT_TELL && said !== record), missed = record === CANNOT_TELL ? 0 : many(said => said === CANNOT_TELL);
  if (all.length === 1) return `${studies} It ${more ? "claims more than the whole record shows" : missed ? "misses what the whole record shows" : "agrees with the whole record"}.`;
  const judged = [more && `${more} claim${more > 1 ? "" : "s"} more than the whole record shows`,
    missed && `${missed} miss${missed > 1 ? "" : "es"} what the whole record shows`].filter(Boolean);
  return `${studies} ${judged.length ? `Of them, ${judged.join(" and ")}` : "None says other than the whole record"}.`;
}

/** All ways to take so many of the first numbers, in order. */
function subsets(count, size, from = 0) {
  if (!size) return [[]];
  return Array.from({ length: count - from }, (_, i) => from + i)
    .flatMap(first => subsets(count, size - 1, first + 1).map(rest => [first, ...rest]));
}

const listOf = seeds => (seeds.length > 1 ? `${seeds.slice(0, -1).join(", ")} and ${seeds.at(-1)}` : String(seeds[0]));

/** "+1.2", "−0.3". */
function points(number) {
  const kept = fixed(number, 1);
  return `${kept < 0 ? "−" : "+"}${Math.abs(kept).toFixed(1)}`;
}

// --- the page ------------------------------------------------------------------------------------

const SEED_CSS = `
.full { --arm: var(--full); } .lora { --arm: var(--lora); } .head { --arm: var(--head); }
.finding { font-size: 14px; line-height: 20px; }
.row { gap: 8px 14px; } .chips { gap: 4px; } .chips button, button.draw { padding: 2px 9px; font-size: 12.5px; }
button.draw { font-weight: 600; border-color: var(--lora); }
.size { min-width: 0; display: inline-flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; }
.two { grid-template-columns: minmax(0, 1.85fr) minmax(0, 1fr); gap: 20px; margin-top: 8px; }
.all { font-weight: 600; font-size: 13px; margin: 0 0 4px; }
.key { display: flex; flex-wrap: wrap; gap: 2px 10px; margin: 0 0 4px; font-size: 13px; }
.key b { display: inline-block; width: 15px; line-height: 15px; margin-right: 4px; border-radius: 2px; text-align: center; font-size: 11px;
  color: var(--on); background: var(--arm); }
.key b.level { color: var(--ink); background: none; box-shadow: inset 0 0 0 1px var(--quiet); }
.tally { margin: 6px 0 0; font-size: 14px; line-height: 19px; min-height: 76px; }
.notes { margin: 2px 0 0; font-size: 14px; line-height: 19px; } .beside { margin: -2px 0 6px; font-size: 14px; line-height: 20px; }
@container (max-width: 660px) { .two { grid-template-columns: minmax(0, 1fr); } }
@container (max-width: 720px) { .finding, .beside { min-height: 40px; } }
@container (max-width: 480px) { .finding { min-height: 60px; } }`;
const NOTES = "Intervals: Student's t over a study's seeds. The studies share seeds, so they are not independent.";

export function showSeeds(host, data) {
  const state = { ...data.start }, inside = box(host, "Seed explorer", SEED_CSS);
  const count = Object.values(data.sets)[0].right.LoRA.length;
  const finding = el("p", { class: "finding", "aria-live": "polite" }), beside = el("p", { class: "beside" });
  const chart = el("div"), studies = el("div"), tally = el("p", { class: "tally", "aria-live": "polite" });
  const key = el("p", { class: "key" });
  let waiting = []; // studies of this size that were not drawn yet
  const only = el("span", { class: "quiet", role: "status" });
  const drawOne = () => {
    if (state.drawn.length === count) return draw(`There is only one study of all ${count}.`);
    if (!waiting.length) waiting = shuffled(subsets(count, state.drawn.length).filter(each => String(each) !== String(state.drawn)));
    state.drawn = waiting.pop();
    draw();
  };
  const another = el("button", { type: "button", class: "draw", click: drawOne }, "Another draw");
  const pairs = chips({ label: "Comparison", options: data.pairs.map(pair => [pair, pair.join(" against ")]), value: data.pairs.find(pair => String(pair) === String(state.pair)),
    change: pair => { state.pair = pair; draw(); } });
  const sets = chips({ label: "Messages", options: Object.keys(data.sets).map(name => [name, name]), value: state.messages,
    change: name => { state.messages = name; draw(); } });
  const sizes = chips({ label: "Seeds in a study", options: Array.from({ length: count }, (_, i) => [i + 1, String(i + 1)]), value: state.drawn.length,
    change: size => {
      waiting = shuffled(subsets(count, size));
      state.drawn = waiting.pop();
      draw();
    } });
  const draw = (said = "") => {
    only.textContent = said;
    const now = answer(state, data);
    finding.textContent = now.finding;
    beside.textContent = now.beside;
    tally.textContent = now.tally;
    key.replaceChildren(...keyOf(state.pair).map(([letter, kind, said]) => el("span", {}, el("b", { class: kind, "aria-hidden": "true" }, letter), said)));
    drawStudy(chart, chart.clientWidth || 480, now, state, data);
    drawStudies(studies, studies.clientWidth || 250, now, state);
  };
  const choices = [[pairs, data.pairs], [sets, Object.keys(data.sets)]].filter(([, all]) => all.length > 1).map(([{ element }]) => element);
  inside.append(finding, beside, ...(choices.length ? [el("div", { class: "row" }, ...choices)] : []),
    el("div", { class: "row" }, el("div", { class: "size" }, el("span", { class: "quiet" }, "seeds in a study"), sizes.element, another, only)),
    el("div", { class: "two" }, chart, el("div", {}, el("p", { class: "all" }, "Who is ahead, in every study"), key, studies, tally)),
    el("p", { class: "quiet notes" }, NOTES));
  draw();
  new ResizeObserver(() => draw(only.textContent)).observe(chart);
}

function shuffled(list) {
  return list.map(each => [Math.random(), each]).sort(([a], [b]) => a - b).map(([, each]) => each);
}
