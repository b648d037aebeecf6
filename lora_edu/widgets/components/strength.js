// The strength explorer: an adapter's strength under a slider, and what the model says then.
import { box, chips, choice, el, fixed, signed, slider } from "./kit.js";
import { chart } from "./strength_chart.js";
import { PATH_STYLE, sidePath } from "./strength_path.js";

const STYLE = `
  .kit { padding-block: 7px 4px; }
  .knobs { align-items: center; }
  .note { flex: 1 1 260px; min-height: 19px; line-height: 19px; }
  .note .wrong { margin: 0; color: var(--ink); }
  .row + .row { margin-top: 6px; }
  /* JupyterLab shows the lower 288 px when the cell has run: all but the prompts. */
  .prompts { gap: 6px 10px; }
  .field { flex: 2.2 1 300px; }
  .field > span { display: none; }
  .field select, .own input { flex: 1 1 0; width: 0; }
  .own { flex: 1 1 200px; display: flex; gap: 6px; }
  .own:focus-within { flex-grow: 3; }
  .prompts :is(select, input, button) { height: 28px; padding-block: 2px; }
  .two { margin: 6px 0; }
  .said { background: var(--card); border-left: 5px solid var(--lora); border-radius: 6px; padding: 4px 12px; }
  .base { border-left: 5px solid var(--bar-frozen); border-radius: 6px; padding: 0 12px; margin-top: 5px; font-size: 14px; line-height: 18px; color: var(--quiet); }
  .said, .base { white-space: pre-line; text-wrap: pretty; }
  .prompt { color: var(--quiet); }
  .words { font-size: 15.5px; line-height: 1.25; font-weight: 650; }
  /* All that may come lies unseen in the same place, so nothing moves when it comes. */
  .room { display: grid; }
  .room > * { grid-area: 1 / 1; }
  .room > .ghost { visibility: hidden; }
  .room > .seen { height: 0; min-height: 100%; overflow-y: auto; }
  .next { display: grid; align-content: start; }
  .bars { display: grid; grid-template-columns: fit-content(45%) minmax(0, 1fr); gap: 0 9px; align-content: start; min-height: 138px; }
  .bars .name { text-align: right; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; line-height: 22px; }
  .bars .name i { font-style: normal; color: var(--quiet); }
  .bars > [hidden] { display: none; }
  .bars.waiting::before { content: "The model reads your prompt …"; grid-column: 1 / -1; padding: 48px 0 0 12px; color: var(--quiet); }
  .bars .first { font-weight: 700; }
  .bars .track { position: relative; height: 23px; margin-right: 60px; border-left: 1px solid var(--line); }
  .bars .now, .bars .was { position: absolute; left: 0; min-width: 1px; border-radius: 0 3px 3px 0; }
  .bars .now { top: 5px; height: 11px; background: var(--bar-lora); }
  .bars .other { opacity: .6; }
  .bars .was { top: 17px; height: 4px; background: var(--bar-frozen); }
  /* Two answers fill the place of six. */
  .bars.two-rows .track { height: 69px; }
  .bars.two-rows .name { line-height: 58px; }
  .bars.two-rows .says { top: 0; line-height: 58px; }
  .bars.two-rows .now { top: 14px; height: 30px; }
  .bars.two-rows .was { top: 46px; height: 10px; }
  .bars .says { position: absolute; top: 1px; padding-left: 6px; line-height: 19px; white-space: nowrap; font-size: 13px; font-variant-numeric: tabular-nums; }
  .legend { font-size: 14px; line-height: 18px; color: var(--quiet); }
  .explained { min-height: 36px; }
  .legend .key { white-space: nowrap; }
  .legend b { color: var(--ink); font-size: 14px; }
  .legend i { display: inline-block; width: 16px; border-radius: 0 3px 3px 0; margin: 0 5px 0 9px; vertical-align: middle; }
  .legend .now { height: 10px; background: var(--bar-lora); }
  .legend .was { height: 4px; background: var(--bar-frozen); }
  .slider .say output { font-size: 20px; line-height: 20px; }
  .controls { display: grid; grid-template: "knobs knobs" "play drag" / auto minmax(0, 1fr); gap: 6px 18px; align-items: center; margin-top: 6px; }
  .controls .knobs { grid-area: knobs; }
  .play { grid-area: play; min-width: 84px; }
  .slider { grid-area: drag; }
  .path { grid-area: path; display: none; }
  @container (min-width: 621px) {
    .two { grid-template-columns: minmax(0, 1fr) 270px; gap: 14px; }
    /* Name, groove and number in one line. */
    .slider { display: grid; grid-template-columns: auto 1fr 54px; gap: 0 6px; align-items: center; }
    .slider .say { display: contents; }
    .slider .say output { grid-area: 1 / 3; text-align: right; }
    .groove { grid-area: 1 / 2; }
    :is(.ticks, .marks) { grid-column: 2; }
  }
  /* The number that is dragged is in the drawing, where it is multiplied. */
  @container (min-width: 710px) {
    .controls { grid-template: "knobs knobs path" "play drag path" / auto minmax(0, 1fr) auto; }
    .note { line-height: 17px; margin-block: -2px; }
    .path { display: block; margin-block: -2px; }
    .slider { grid-template-columns: auto 1fr; }
    .slider .say output { display: none; }
  }
  /* On a phone the slider is right beneath the words that it moves; what they are compared with comes after it. */
  @container (max-width: 620px) {
    .kit { display: flex; flex-direction: column; }
    .two, .two > :first-child { display: contents; }
    .said { margin-top: 8px; }
    .controls { order: 1; margin-top: 8px; grid-template: "knobs knobs" "play path" "drag drag" / auto 1fr; }
    .path { display: block; width: 147px; height: 62px; justify-self: end; }
    .base { order: 2; margin-top: 12px; }
    .next { order: 2; margin-top: 12px; }
  }
`;

/** A probability in whole per cent; what is not certain is never 0 or 100 %. */
export function wholePercent(share) {
  const number = fixed(100 * share, 0);
  return { 0: "< 1 %", 100: "> 99 %" }[number] ?? `${number} %`;
}

/** What is said at a state: places of the adapter, of its prompt, and of the strength. */
export function answer({ adapter, prompt, strength }, data) {
  const { classifies, prompts } = data.adapters[adapter];
  const { text, rows, answers } = prompts[prompt];
  const now = answers[strength], base = answers[data.strengths.indexOf(0)];
  const said = each => !each ? null
    : classifies ? `${rows[each.first]}, ${wholePercent(each.shares[each.first])}` : each.text;
  return {
    strength: signed(data.strengths[strength], 1),
    prompt: text,
    said: said(now),
    base: said(base),
    bars: now ? bars(data.most, rows, now, base, classifies) : [],
  };
}

/** A bar for each of the first rows, and one for all other words; the likeliest is always there. */
function bars(most, rows, now, base, classifies) {
  const places = rows.map((_, place) => place).slice(0, most);
  if (now.first >= most) places[most - 1] = now.first;
  const bar = (word, share, was, first, other = false) =>
    ({ token: word[0], rest: word[1], share, was, first, other });
  const shown = places.map(place => bar(
    classifies ? [rows[place], ""] : word(rows[place], place === now.first ? now.text : ""),
    now.shares[place], base?.shares[place] ?? null, place === now.first));
  const written = all => all.map(bar => ({ ...bar, says: wholePercent(bar.share) })); // one precision while it slides
  if (classifies) return written(shown);
  const left = each => Math.max(0, 1 - places.reduce((sum, place) => sum + each.shares[place], 0));
  return written([...shown, bar(["any other", ""], left(now), base ? left(base) : null, false, true)]);
}

const LONGEST = 11; // letters of a word beside its bar: a text such as "mermermer" has no end

/** "p(irate)" → the token and the rest of its word; the rest is that of the text, where it is said. */
function word(row, text) {
  const [, token, rest] = row.match(/^([^(]+)\((.+)\)$/) ?? [null, row, ""];
  const said = text.trimStart();
  if (!said.startsWith(token)) return [token, rest];
  const whole = token + said.slice(token.length).match(/^\p{L}*/u)[0];
  return [token, (whole.length > LONGEST ? `${whole.slice(0, LONGEST - 1)}…` : whole).slice(token.length)];
}

export function mount(host, { strengths, most, adapters }, ask) {
  const data = { strengths, most, adapters: adapters.map(each => ({ ...each, prompts: [...each.prompts] })) };
  const zero = strengths.indexOf(0), trained = strengths.indexOf(1);
  const state = { adapter: 0, prompt: 0, strength: trained };
  const chosen = () => data.adapters[state.adapter].prompts[state.prompt];
  const inside = box(host, "Strength explorer", STYLE + PATH_STYLE);

  // What is seen.
  const said = el("div", { class: "seen", "aria-live": "polite" }), base = el("div", { class: "seen" });
  const rows = el("div", { class: "bars" }), draw = chart(rows), path = sidePath();
  const question = el("b");
  const explained = el("div", { class: "legend explained" });
  const status = el("div", { class: "note quiet", role: "status" });
  const rest = words => (breaksOff(words) ? [el("span", { class: "quiet" }, " …")] : []);
  const pieces = (prompt, words, classifies) => [el("span", { class: "prompt" }, prompt), el("span", { class: "words" }, words), ...(classifies ? [] : rest(words))];
  const beneath = (words, classifies) => classifies ? [el("b", {}, "Without the adapter, but with its last layer: "), words]
    : [el("b", {}, "The base alone: "), words, ...rest(words)];
  const show = () => {
    const { classifies } = data.adapters[state.adapter];
    const now = answer(state, data);
    const waiting = now.said === null ? " …" : now.said;
    said.replaceChildren(...pieces(now.prompt, classifies ? `\n→ ${waiting}` : waiting, classifies));
    base.replaceChildren(...beneath((now.base ?? "…").trim(), classifies));
    draw(now.bars);
    rows.classList.toggle("waiting", !now.bars.length);
    path.set(data.strengths[state.strength]);
    question.textContent = classifies ? "Which of the two?" : "What comes next?";
    explained.textContent = explain(data.strengths[state.strength], classifies);
  };

  // Controls.
  const names = data.adapters.map(({ name }, place) => [place, name]);
  const chip = chips({ label: "Adapter", options: names, value: 0, change: place => {
    stop();
    if (!set) drag.set(strengths[state.strength = trained]); // where playing happened to be is nobody's wish
    const { own } = chosen();
    state.adapter = place;
    state.prompt = own ? placeOf(own) : 0;
    offer();
  } });
  const label = ({ own, text }) => `${own ? "yours: " : ""}${text.trim()}`;
  const list = choice({ label: "Prompt", options: [[0, ""]], value: 0, change: place => { stop(); state.prompt = place; start(); } });
  const recorded = data.adapters.map(() => 0); // each adapter's last prompt that needs no Python
  const offer = () => {
    const { prompts, example, hint } = data.adapters[state.adapter];
    list.offer(prompts.map((each, place) => [place, label(each)]), state.prompt);
    own.title = `Such as: ${example}`;
    own.placeholder = hint;
    start();
  };
  const drag = slider({ label: "Strength", stops: strengths, value: 1, say: each => signed(each, 1),
    marks: [[-1, "−1", "away"], [0, "0", "the base"], [1, "1", "as trained"], [2, "2", "too much"]],
    change: each => { stop(); set = true; state.strength = strengths.indexOf(each); show(); } });

  // From the base to what was trained; in two steps for those who want no motion.
  let timer = null, set = false; // set: by hand
  const stop = () => { clearTimeout(timer); timer = null; play.textContent = "▶ Play"; said.ariaLive = "polite"; };
  const glide = (places, pause) => {
    const [place, ...rest] = places;
    state.strength = place;
    drag.set(strengths[place]);
    show();
    if (rest.length) timer = setTimeout(glide, pause, rest, pause);
    else stop();
  };
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const run = () => {
    const all = strengths.map((_, place) => place).filter(place => place >= zero && place <= trained);
    play.textContent = "■ Stop";
    set = false;
    glide(calm.matches ? [zero, trained] : all, calm.matches ? 1500 : 400);
  };
  const play = el("button", { type: "button", class: "play", click: () => (timer ? stop() : run()) }, "▶ Play");

  // The learner's own prompt: one request for each strength, the nearest to the slider first.
  const own = el("input", { type: "text", "aria-label": "Your own prompt", "data-keeps-enter": "", focus: () => own.select(), keydown: event => event.key === "Enter" && answerOwn() });
  const button = el("button", { type: "button", click: () => answerOwn() }, "Ask");
  const placeOf = text => {
    const { prompts, ends } = data.adapters[state.adapter];
    const there = prompts.findIndex(each => each.own === text);
    if (there >= 0) return there;
    return prompts.push({ own: text, text: text + ends, rows: [], answers: strengths.map(() => null) }) - 1;
  };
  const answerOwn = () => {
    stop();
    if (!own.value.trim()) return status.replaceChildren("Write a prompt first.");
    state.prompt = placeOf(own.value.trim());
    offer();
  };
  let turn = 0;
  const start = () => {
    turn++;
    status.replaceChildren(data.adapters[state.adapter].does);
    show();
    if (chosen().own) compute(turn, chosen());
    else recorded[state.adapter] = state.prompt;
  };
  const compute = async (mine, prompt) => {
    const { name } = data.adapters[state.adapter], start = performance.now(), known = prompt.answers.filter(Boolean).length;
    try {
      for (let next; mine === turn && (next = missing(prompt.answers, state.strength, zero)) !== undefined;) {
        progress(prompt);
        const reply = await ask({ adapter: name, prompt: prompt.text, strength: strengths[next] });
        Object.assign(prompt, { rows: reply.rows, unread: reply.unread });
        prompt.answers[next] = reply.answer;
        prompt.pace = (performance.now() - start) / (prompt.answers.filter(Boolean).length - known);
        if (mine === turn) show();
      }
      if (mine === turn) progress(prompt);
    } catch (error) {
      if (mine !== turn) return;
      console.warn(error);
      const { prompts } = data.adapters[state.adapter]; // what has no answer is left, and its text stays in the field
      prompts.splice(prompts.indexOf(prompt), 1);
      state.prompt = recorded[state.adapter];
      offer();
      status.replaceChildren(el("p", { class: "wrong", role: "alert" }, `That did not work. ${error.message}`));
    }
  };
  const progress = ({ own, answers, unread, pace }) => {
    const { needs, otherwise } = data.adapters[state.adapter];
    const kind = own.includes(needs) ? "" : ` ${otherwise}`;
    const done = answers.filter(Boolean).length, all = answers.length;
    const long = unread ? ` The prompt is ${unread} ${unread === 1 ? "token" : "tokens"} too long for this model, which read only its end.` : "";
    status.replaceChildren((done === all ? `Answered by the model itself, at ${all} strengths.`
      : `The model is answering: ${done} of ${all} strengths${pace ? `, about ${Math.ceil((all - done) * pace / 1000)} s left.` : ". The first one takes some seconds."}`) + long + kind);
  };

  const ghosts = (find, dressed) => longest(adapters, find).map(([prompt, words]) =>
    el("div", { class: "ghost", "aria-hidden": "true" }, ...dressed(prompt, words)));
  inside.append(
    el("div", { class: "row prompts" }, list.element, ...(ask ? [el("span", { class: "own" }, own, button)] : [])),
    el("div", { class: "two" },
      el("div", {},
        el("div", { class: "said room" }, ...ghosts(each => each.text, pieces), said),
        el("div", { class: "base room" }, ...ghosts((each, place) => place === zero ? each.text : "", (_, words) => beneath(words.trim())), base)),
      el("div", { class: "next" },
        el("div", { class: "legend" }, question, " ", el("span", { class: "key" }, el("i", { class: "now" }), "now"), el("span", { class: "key" }, el("i", { class: "was" }), "base")),
        rows, explained)),
    el("div", { class: "controls" }, el("div", { class: "row knobs" }, chip.element, status), play, drag.element, path.element));
  offer();
  if (!calm.matches) onFirstView(host, () => {
    for (const touch of ["pointerdown", "keydown", "focusin"])
      inside.addEventListener(touch, ({ target }) => { if (timer && target !== play) stop(); });
    said.ariaLive = "off"; // nobody asked to hear it
    run();
  });
}

/** Calls `play` when the explorer is first seen nearly whole; once in a page, however often it is drawn anew there. */
function onFirstView(host, play) {
  const played = (globalThis.loraPlayed ??= new Set()), key = host.dataset.lora;
  const watch = new IntersectionObserver(seen => {
    if (!played.has(key) && !seen.some(each => each.isIntersecting)) return;
    watch.disconnect();
    if (played.has(key) || host.matches(":focus-within")) return;
    played.add(key);
    play();
  }, { threshold: 0.8 });
  watch.observe(host);
}

/** Whether a text ends in the middle of a sentence: the model writes so many tokens, and no more. */
export const breaksOff = text => /[^\s.!?…"”'’]\s*$/.test(text);

/** What the bars are, or what is seen where the strength is none that was trained. */
export function explain(strength, classifies) {
  if (strength > 1) return classifies ? "Beyond 1 the adapter is surer than it was trained to be, right or wrong."
    : "Beyond 1 the adapter's change is exaggerated, until words break up.";
  if (strength < 0) return classifies ? "Below 0 the change is taken away. Its last layer stays, so spam need not fall."
    : "Below 0 the adapter's change is taken away from the base.";
  return classifies ? "How likely each of the adapter's two answers is."
    : "Letters in bold: the next token, a word or a piece of one. Pale: how it goes on.";
}

/** The place without an answer that is wanted first: at the slider, the base, then outwards. */
function missing(answers, at, zero) {
  const order = answers.map((_, place) => place).sort((a, b) => Math.abs(a - at) - Math.abs(b - at));
  return [at, zero, ...order].find(place => !answers[place]);
}

/** The longest texts that may be shown, and the longest with many lines: which of them needs most room depends on the width. */
function longest(adapters, find) {
  const all = adapters.flatMap(({ prompts }) => prompts.flatMap(({ text, answers }) => answers.map((each, place) => [text, find(each, place)])));
  const most = line => { // of the texts where a line that is broken off counts as so many letters
    const size = ([prompt, words]) => prompt.length + words.length + line * (prompt + words).split("\n").length;
    return [...all].sort((a, b) => size(b) - size(a)).slice(0, 12);
  };
  return [...new Set([...most(0), ...most(25)])];
}
