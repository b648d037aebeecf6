// One token on its two ways through a layer, in the model's numbers: W's in grey, what A and B add in blue.

const NTH = { 3: "third", 12: "twelfth" };
const LONG = 160, SHORT = 64, HIGH = 64;
// Where each row of bars is: beside each other, and beneath each other on a phone.
const WIDE = {
  size: [720, 228], bars: { x: [6, 78, LONG], frozen: [250, 6, LONG], hidden: [230, 136, SHORT], update: [356, 136, LONG], y: [556, 78, LONG] },
  frozen: "M174 110C206 110 206 38 242 38", squeeze: "M174 110C198 110 188 168 222 168", widen: "M300 168L348 168",
  frozenOut: "M416 38C490 38 532 50 532 94", updateOut: "M520 168C530 168 532 150 532 128", plus: [532, 110], yIn: "M545 110L552 110",
  onto: { W: [190, 56], A: [172, 164], B: [317, 158] },
};
const NARROW = {
  size: [340, 500], bars: { x: [4, 14, LONG], frozen: [170, 128, LONG], hidden: [20, 152, SHORT], update: [4, 296, LONG], y: [170, 408, LONG] },
  frozen: "M176 46C236 46 253 60 253 120", squeeze: "M52 100L52 146", widen: "M52 240L52 288",
  frozenOut: "M253 214L253 338", updateOut: "M176 328C204 328 214 352 238 352", plus: [253, 352], yIn: "M253 366L253 400",
  onto: { W: [256, 74], A: [62, 130], B: [62, 270] },
};

const unpacked = text => Int8Array.from(atob(text), letter => letter.charCodeAt(0));
const math = (words, fill) => `<tspan class="m" fill="var(--${fill})">${words}</tspan>`;
const says = { x: math("x", "ink"), frozen: `${math("x", "ink")} ${math("W", "frozen")}`, hidden: `${math("x", "ink")} ${math("A", "lora")}`, y: math("y", "ink") };

/** Numbers as upright strokes from the middle of their row, or from where others end. */
function strokes([left, top, wide], values, from, most) {
  const step = wide / values.length, middle = top + HIGH / 2, high = HIGH / 2 / most;
  return values.reduce((path, value, i) => {
    const x = (left + (i + .5) * step).toFixed(1), low = from ? from[i] : 0;
    return path + `M${x} ${(middle - low * high).toFixed(1)}V${(middle - (low + value) * high).toFixed(1)}`;
  }, "");
}

/** A share in per cent, with a digit more where it is small. */
const perCent = share => `${(100 * share).toFixed(share > 0 && share < .095 ? 1 : 0)} %`;

/** Puts the token into a place of the page; returns what shows another strength. */
export function showToken(place, { prompt, layers, ratios }, name, [inputs, outputs]) {
  const found = Object.fromEntries(Object.entries(layers[name]).map(([what, text]) => [what, [...unpacked(text)]]));
  const many = count => `every ${NTH[count / found.x.length] ?? `${count / found.x.length}th`} of ${count}`;
  place.innerHTML = `<p>The last token of <b>“${prompt.trim().replace(/^.*?\s(?=.{12,26}$)/s, "… ")}”</b> on its way through this layer of the fourth block, a middle one of six, in the model's own numbers. Between <i>A</i> and <i>B</i> only ${found.hidden.length} numbers pass. <span class="beside"></span></p>` +
    [["wide", WIDE], ["narrow", NARROW]].map(([kind, at]) => drawn(kind, at, found, many(inputs), many(outputs))).join("") +
    `<p class="scales"><i>x W</i>, <i>x A B</i> and <i>y</i> are drawn to one scale, so grey and blue compare; <i>x</i> and <i>x A</i> each have a scale of their own. At the end of all six blocks the model turns this token's numbers into the bars under “What comes next?”, above.</p>`;
  return strength => {
    const added = found.update.map(value => strength * value), times = strength.toFixed(1).replace("-", "−");
    place.querySelector(".beside").textContent = `At ${times} blue is ${perCent(Math.abs(strength) * ratios[name])} of grey's size here${strength < 0 ? ", and is taken away" : ""}.`;
    place.querySelectorAll("svg").forEach((svg, i) => {
      const { bars } = i ? NARROW : WIDE, put = (row, path) => svg.querySelector(`.${row}`).setAttribute("d", path);
      put("update", strokes(bars.update, added, null, 127));
      put("added", strokes(bars.y, added, found.frozen, 127));
      svg.querySelector(".times").textContent = `× ${times}`;
    });
  };
}

function drawn(kind, at, found, inputs, outputs) {
  const row = (what, colour) => `<path class="bars ${what}" stroke="var(--${colour})" style="stroke-width:${(.7 * at.bars[what][2] / found[what].length).toFixed(2)}px" d="${strokes(at.bars[what], found[what], null, 127)}"/>`;
  const zero = Object.values(at.bars).map(([left, top, wide]) => `<path class="zero" d="M${left} ${top + HIGH / 2}h${wide}"/>`).join("");
  const label = ([left, top], text) => `<text x="${left}" y="${top + HIGH + 14}" fill="var(--ink)" font-size="14">${text}</text>`;
  const arrow = (path, colour) => `<path class="way" stroke="var(--${colour})" marker-end="url(#${kind}-${colour})" d="${path}"/>`;
  const drop = (path, colour, late) => `<circle class="drop" r="4" fill="var(--${colour})" style="offset-path:path('${path}');animation-delay:${late}s"/>`;
  const head = colour => `<marker id="${kind}-${colour}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" fill="var(--${colour})"/></marker>`;
  const letter = (text, colour) => `<text class="m" x="${at.onto[text][0]}" y="${at.onto[text][1]}" fill="var(--${colour})" font-size="18">${text}</text>`;
  const both = (what, colour, path) => `<path class="bars ${what}" stroke="var(--${colour})" style="stroke-width:${(.7 * LONG / found.frozen.length).toFixed(2)}px" d="${path}"/>`;
  const [px, py] = at.plus;
  return `<svg class="${kind}" viewBox="0 0 ${at.size.join(" ")}" role="img" aria-label="x, of which ${inputs} numbers is shown, goes two ways. W makes numbers of it, in grey, ${outputs} shown. A makes ${found.hidden.length}, and B makes of these as many as W, in blue, times the strength. Their sum is y, to the same scale.">
    <defs>${["frozen", "lora", "ink"].map(head).join("")}</defs>${zero}
    ${arrow(at.frozen, "frozen")}${arrow(at.squeeze, "lora")}${arrow(at.widen, "lora")}${arrow(at.frozenOut, "frozen")}${arrow(at.updateOut, "lora")}${arrow(at.yIn, "ink")}
    ${drop(at.frozen, "frozen", 0)}${drop(at.squeeze, "lora", 0)}${drop(at.widen, "lora", .7)}${drop(at.frozenOut, "frozen", 1.4)}${drop(at.updateOut, "lora", 1.4)}
    <circle cx="${px}" cy="${py}" r="12" fill="var(--paper)" stroke="var(--ink)"/><path d="M${px - 6} ${py}h12M${px} ${py - 6}v12" stroke="var(--ink)"/>
    ${letter("W", "frozen")}${letter("A", "lora")}${letter("B", "lora")}
    ${row("x", "ink")}${row("frozen", "frozen")}${row("hidden", "bar-lora")}${row("update", "bar-lora")}
    ${both("kept", "frozen", strokes(at.bars.y, found.frozen, null, 127))}${both("added", "bar-lora", "")}
    ${label(at.bars.x, `${says.x}: ${inputs}`)}${label(at.bars.frozen, `${says.frozen}: ${outputs}`)}${label(at.bars.hidden, `${says.hidden}: ${found.hidden.length} numbers`)}
    ${label(at.bars.update, `${says.x} ${math("A B", "lora")} <tspan class="times"></tspan>`)}${label(at.bars.y, `${says.y}: grey plus blue`)}</svg>`;
}
