// The playground: a plane under W, and under W + alpha · A B. The arrows of A and B can be dragged.
import { box, el, fixed, grouped, slider, svg } from "./kit.js";

// A plane goes from −bound to bound. Inputs are of length 1 at most, and outputs up to 2.7 times that.
const SIDE = 236, INPUTS = 1.7, OUTPUTS = 2.8, A_LENGTH = 1.42, STEP = 0.5, POINTS = 8;

// --- what there is to read -----------------------------------------------------------------------

export function answer(state, data) {
  const { angle_in, angle_out, strength } = state;
  const A = direction(angle_in), B = direction(angle_out);
  const update = A.map(a => B.map(b => strength * a * b));
  const unmoved = strength === 0 ? POINTS : data.points.filter(point => mod(point - angle_in, 180) === 90).length;
  const stay = `${unmoved || "none"} of 8 points stay${unmoved ? "" : "s"}`;
  const finding = strength === 0 ? "At alpha 0 the update is the zero matrix, and nothing moves."
    : `The update moves points along ${angle_out}° only; ${stay}.`;
  const explain = strength === 0 ? "Whatever A reads, B writes 0 times that: all points stay where W put them."
    : `A reads how far x points along ${angle_in}°, and B writes ${grouped(strength)} times that along ${angle_out}°. `
      + `Whatever points along ${(angle_in + 90) % 180}° is not read, so it stays where W put it. `
      + "Every row of alpha · A B points along B: that is rank 1.";
  const [[a, b], [c, d]] = update.map(row => row.map(two));
  const describe = `Left, the input plane with the direction that A reads, ${angle_in} degrees. Right, a grid under W `
    + `in grey and under W plus the update in blue; strokes lead from 8 grey points to 8 blue ones. ${finding} `
    + `alpha · A B = [[${a}, ${b}], [${c}, ${d}]].`;
  const moved = data.W.map((row, i) => row.map((entry, j) => entry + update[i][j]));
  const moves = data.points.map(direction).map(x => [times(x, data.W), times(x, moved)]);
  return { finding, explain, describe, update, moved, moves, unmoved };
}

function direction(degrees) {
  return [Math.cos(degrees * Math.PI / 180), Math.sin(degrees * Math.PI / 180)];
}

/** A row times a 2 × 2 matrix. */
function times([x, y], [[a, b], [c, d]]) {
  return [x * a + y * c, x * b + y * d];
}

function mod(number, base) {
  return ((number % base) + base) % base;
}

/** At most two digits after the point; rounded twice, as a cosine's last bit must not decide. */
function two(number) {
  return grouped(fixed(fixed(number, 9), 2) || 0);
}

// --- the picture ---------------------------------------------------------------------------------

const PLANE_CSS = `
.planes { display: grid; grid-template-columns: minmax(0, 440px) minmax(300px, 1fr); gap: 6px 18px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 4px 10px; align-content: start; }
.pair svg { width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px; touch-action: pan-y; }
.pair .quiet { line-height: 1.35; }
.net { fill: none; stroke-width: 1; }
.net.frozen { stroke: var(--bar-frozen); }
.net.lora { stroke: var(--bar-lora); opacity: .6; }
.unread { stroke: var(--ink); stroke-width: 2.5; stroke-dasharray: 0 6; stroke-linecap: round; }
.arrow { stroke: var(--lora); stroke-width: 3; stroke-linecap: round; }
.tip { fill: var(--lora); stroke: var(--paper); stroke-width: 1.5; }
.grip { cursor: grab; touch-action: none; }
.grip .reach { fill: var(--lora); fill-opacity: 0; }
.grip:hover .reach, .held .reach { fill-opacity: .2; }
.held { cursor: grabbing; }
.grip text { fill: var(--on); font-weight: 700; font-size: 14px; user-select: none; }
.move { stroke: var(--lora); stroke-width: 2; }
.dot { fill: var(--ink); }
.before { fill: var(--frozen); }
.after { fill: var(--lora); }
.still { fill: var(--paper); stroke: var(--ink); stroke-width: 2; }
.frozen-word { color: var(--frozen); font-weight: 650; }
.lora-word { color: var(--lora); font-weight: 650; }
.sides { display: flex; flex-direction: column; gap: 4px; }
.sides .slider { flex: none; }
.product { display: flex; gap: 6px; margin-top: 6px; font-size: 14px; white-space: nowrap; font-variant-numeric: tabular-nums; }
.named { display: grid; grid-template-rows: 52px auto; justify-items: center; align-items: center; }
.sign { line-height: 52px; }
.plane-words { margin-top: 6px; }
.matrix { display: grid; gap: 3px 10px; padding: 2px 6px; line-height: 1.35; border: solid var(--ink); border-width: 0 1.5px; border-radius: 5px; text-align: right; }
@container (max-width: 780px) { .product { font-size: 13px; gap: 4px; } .matrix { gap: 3px 8px; padding: 2px 5px; } }
@container (max-width: 620px) { .planes { grid-template-columns: minmax(0, 1fr); } .product { font-size: 14px; gap: 7px; } }`;

export function mount(host, data, ask) {
  const inside = box(host, "Playground: a plane under W and a rank-1 update", PLANE_CSS);
  let state = { ...data.start };
  const finding = el("p", { class: "finding", "aria-live": "polite" }), words = el("div", { class: "quiet plane-words" });
  const set = change => { state = { ...state, ...change }; for (const name in sliders) sliders[name].set(state[name]); draw(); };
  const turn = (name, label) => slider({
    label, stops: data.degrees, value: state[name], say: degrees => `${degrees}°`, change: value => set({ [name]: value }),
    marks: [[0, "0°"], [90, "90°"], [180, "180°"], [270, "270°"], [345, "345°"]],
  });
  const sliders = {
    angle_in: turn("angle_in", "A reads"),
    angle_out: turn("angle_out", "B writes"),
    strength: slider({
      label: "multiplier alpha", stops: data.strengths, value: state.strength, say: grouped, change: strength => set({ strength }),
      marks: [[-1.5, "−1.5"], [-1, "−1"], [0, "0", "no update"], [1, "1"], [1.5, "1.5"]],
    }),
  };
  const input = inputPlane(data, degrees => set({ angle_in: degrees }));
  const output = outputPlane(data, () => state, set);
  const product = el("div", { class: "product" });
  inside.append(finding, el("div", { class: "planes" },
    el("div", { class: "pair" }, input.element, output.element,
      el("div", { class: "quiet" }, "Inputs x, drawn larger. Drag ", el("span", { class: "lora-word" }, "A"),
        ", the direction that is read. Along the dotted line A reads nothing."),
      el("div", { class: "quiet" }, "Outputs under ", el("span", { class: "frozen-word" }, "W"), " and under ",
        el("span", { class: "lora-word" }, "W + alpha · A B"), ". Drag ", el("span", { class: "lora-word" }, "B"),
        "; its length is alpha.")),
    el("div", { class: "sides" }, ...Object.values(sliders).map(each => each.element), product)), words);
  const draw = () => {
    const now = answer(state, data);
    finding.textContent = now.finding;
    words.textContent = now.explain;
    input.draw(state);
    output.draw(state, now);
    const [a, b] = [direction(state.angle_in), direction(state.angle_out)];
    product.replaceChildren(
      named("alpha", el("span", {}, two(state.strength))), sign("·"), named("A", matrix(a.map(entry => [entry]))),
      named("B", matrix([b])), sign("="), named("update", matrix(now.update)));
  };
  draw();
}

function named(name, numbers) {
  return el("span", { class: "named" }, numbers, el("span", { class: "quiet" }, name));
}

function sign(written) {
  return el("span", { class: "sign" }, written);
}

function matrix(rows) {
  return el("span", { class: "matrix", style: `grid-template-columns:repeat(${rows[0].length},auto)` },
    ...rows.flat().map(entry => el("span", {}, two(entry))));
}

/** The left plane: what A reads, and what it does not see. */
function inputPlane(data, turned) {
  const unread = svg("line", { class: "unread" });
  const dots = data.points.map(degrees => {
    const [x, y] = place(direction(degrees), INPUTS);
    return svg("circle", { cx: x, cy: y, r: 4 });
  });
  const arrow = handle("A", INPUTS, ([x, y]) => turned(snapped(x, y)));
  const element = svg("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, "aria-hidden": "true" },
    svg("path", { class: "net frozen", d: net([[1, 0], [0, 1]], INPUTS) }), unread, ...dots, arrow.element);
  return {
    element,
    draw({ angle_in, strength }) {
      const [x, y] = direction(angle_in);
      line(unread, [-INPUTS * y, INPUTS * x], [INPUTS * y, -INPUTS * x], INPUTS);
      data.points.forEach((point, i) =>
        dots[i].setAttribute("class", strength === 0 || mod(point - angle_in, 180) === 90 ? "still" : "dot"));
      arrow.point([A_LENGTH * x, A_LENGTH * y]);
    },
  };
}

/** The right plane: both grids, the way of each point from grey to blue, and B as long as alpha. */
function outputPlane(data, state, set) {
  const after = svg("path", { class: "net lora" });
  const ways = data.points.map(() => svg("line", { class: "move" })), ends = data.points.map(() => svg("circle", { r: 4 }));
  const starts = data.points.map(degrees => {
    const [x, y] = place(times(direction(degrees), data.W), OUTPUTS);
    return svg("circle", { class: "before", cx: x, cy: y, r: 4 });
  });
  const arrow = handle("B", OUTPUTS, ([x, y]) => {
    const length = Math.min(data.strengths.at(-1), Math.round(4 * Math.hypot(x, y)) / 4), back = state().strength < 0;
    // Under the pointer is alpha · B: with a negative alpha, B itself points the other way.
    set(length ? { strength: back ? -length : length, angle_out: back ? snapped(-x, -y) : snapped(x, y) } : { strength: 0 });
  });
  const element = svg("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, "aria-hidden": "true" },
    svg("path", { class: "net frozen", d: net(data.W, OUTPUTS) }), after, ...ways, ...starts, ...ends, arrow.element);
  return {
    element,
    draw({ angle_out, strength }, { moved, moves }) {
      after.setAttribute("d", net(moved, OUTPUTS));
      moves.forEach(([from, to], i) => {
        line(ways[i], from, to, OUTPUTS);
        const [x, y] = place(to, OUTPUTS), stays = Math.hypot(to[0] - from[0], to[1] - from[1]) < 1e-6;
        for (const [name, value] of Object.entries({ cx: x, cy: y, class: stays ? "still" : "after" })) ends[i].setAttribute(name, value);
      });
      const [x, y] = direction(angle_out);
      arrow.point([strength * x, strength * y]);
    },
  };
}

/** An arrow from the origin whose tip can be dragged by mouse, pen or finger, in a plane up to `bound`. */
function handle(name, bound, dragged) {
  const shaft = svg("line", { class: "arrow" }), label = svg("text", { "text-anchor": "middle" }, name);
  const spot = [svg("circle", { class: "reach", r: 24 }), svg("circle", { class: "tip", r: 11 })];
  const element = svg("g", {
    class: "grip",
    pointerdown: event => { event.preventDefault(); element.setPointerCapture(event.pointerId); element.classList.add("held"); },
    pointermove: event => {
      if (!element.classList.contains("held")) return;
      const frame = element.ownerSVGElement.getBoundingClientRect(), scale = 2 * bound / frame.width;
      dragged([(event.clientX - frame.left) * scale - bound, bound - (event.clientY - frame.top) * scale]);
    },
    pointerup: () => element.classList.remove("held"),
    pointercancel: () => element.classList.remove("held"),
  }, shaft, ...spot, label);
  return {
    element,
    point(tip) {
      line(shaft, [0, 0], tip, bound);
      const [x, y] = place(tip, bound);
      for (const circle of spot) { circle.setAttribute("cx", x); circle.setAttribute("cy", y); }
      label.setAttribute("x", x);
      label.setAttribute("y", y + 5);
    },
  };
}

function snapped(x, y) {
  return mod(15 * Math.round(Math.atan2(y, x) * 12 / Math.PI), 360);
}

/** From a plane's coordinates to the picture's. */
function place([x, y], bound) {
  const unit = SIDE / (2 * bound);
  return [SIDE / 2 + unit * x, SIDE / 2 - unit * y].map(number => Number(number.toFixed(2)));
}

function line(element, from, to, bound) {
  const [[x1, y1], [x2, y2]] = [place(from, bound), place(to, bound)];
  for (const [name, value] of Object.entries({ x1, y1, x2, y2 })) element.setAttribute(name, value);
}

/** The unit circle and a grid in it, under a matrix. */
function net(weight, bound) {
  const at = point => place(times(point, weight), bound);
  let path = `M${Array.from({ length: 72 }, (_, i) => at(direction(5 * i))).join("L")}Z`;
  for (let level = STEP - 1; level < 1; level += STEP) {
    const end = Math.sqrt(1 - level * level);
    path += `M${at([-end, level])}L${at([end, level])}M${at([level, -end])}L${at([level, end])}`;
  }
  return path;
}
