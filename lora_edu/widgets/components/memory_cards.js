// Where common cards end: a name that covers no other, above the first bar, and beneath it a thin line in
// each bar, none in the words between them. In each bar the smallest card that it fits stands out.
// Beside bars that dwarf them all, one line at the largest stands for every card.
import { megabytes, svg } from "./kit.js";

const NAMES_END = 26, BARS_AT = 42; // heights, in pixels: two lines of a name, then the stem
const TOO_CLOSE = 0.1; // of the width: less than this for all cards, and their lines are a smear
const halves = new Map(); // half the width of each name, once it was drawn

/** Draws the cards that end on the scale of the bars, 0 to `end` bytes; the bars are `totals` long. */
export function drawCards(place, tracks, totals, cards, end) {
  const width = tracks[0].clientWidth; // all that is read of the page comes before what is written
  if (!width) return;
  const [top, ...tops] = [place, ...tracks].map(each => each.getBoundingClientRect().top);
  const start = tops[0] - BARS_AT, height = tracks[0].clientHeight;
  place.querySelector("svg")?.remove();
  const drawing = svg("svg", { width, height: place.clientHeight, style: `top:${start - top}px`, "aria-hidden": "true" });
  place.append(drawing);
  const [[smallest, least]] = Object.entries(cards);
  if (end < least) drawing.append(svg("text", { y: 24, class: "quiet" }, `Far below the smallest card here, a ${smallest}.`));
  const most = Math.max(...Object.values(cards));
  const apart = most < TOO_CLOSE * end ? [["all cards", `up to ${megabytes(most)}`, most]]
    : Object.entries(cards).map(([name, size]) => [...name.split(/ (?=\d+ GB$)/), size]);
  const shown = apart.filter(([, , size]) => size <= end).map(([name, memory, size]) => {
    const texts = [name, memory].map((line, row) =>
      svg("text", { y: 11 + 13 * row, "text-anchor": "middle", class: row ? "quiet" : "" }, line));
    drawing.append(...texts);
    return { name, texts, size, at: (width * size) / end };
  });
  for (const card of shown) {
    if (!halves.has(card.name)) halves.set(card.name, Math.max(...card.texts.map(text => text.getComputedTextLength())) / 2 + 5);
    card.half = halves.get(card.name);
  }
  pushApart(shown, width);
  const fitting = totals.map(total => Math.min(...Object.values(cards).filter(size => total <= size)));
  for (const { at, middle, size, texts } of shown) {
    texts.forEach(text => text.setAttribute("x", middle));
    drawing.append(svg("path", { d: `M${middle} ${NAMES_END + 2}L${at} ${BARS_AT - 4}V${BARS_AT}`, style: "fill:none;stroke:var(--quiet);stroke-width:1" }),
      ...tops.flatMap((from, row) => { // seen on any bar
        const lines = size === fitting[row] && most >= TOO_CLOSE * end ? [["--paper", 5], ["--ink", 2]] : [["--paper", 2.5], ["--quiet", 1]];
        return lines.map(([colour, wide]) => svg("path", { d: `M${at} ${from - start - 2}v${height + 2}`, style: `stroke:var(${colour});stroke-width:${wide}` }));
      }));
  }
}

/** Gives each name a middle, as near to its line as the others let it be. */
function pushApart(cards, width) {
  let free = 0;
  for (const card of cards) {
    card.middle = Math.max(card.at, free + card.half);
    free = card.middle + card.half;
  }
  let end = width;
  for (const card of [...cards].reverse()) {
    card.middle = Math.min(card.middle, end - card.half);
    end = card.middle - card.half;
  }
}
