// One layer of the rank explorer: W, and A and B beside it, as thick as the rank; to scale as long as all of it can be seen.
import { el, fixed, grouped, rounded, svg } from "./kit.js";

const ROOM = { width: 150, height: 150 }, LETTER = 15, GAP = 5;
const THINNEST = 1, SMALLEST = 26; // pixels: of A and B; of W's sides, which have a letter in them

/** How large W and how thick A and B are drawn, and whether that is to scale. */
export function sizes({ m, n }, rank) {
  const [across, up] = [ROOM.width, ROOM.height].map(side => side - LETTER - GAP);
  const whole = Math.min(across / (n + rank), up / (m + rank));
  const scale = rank * whole < THINNEST ? Math.min((across - THINNEST) / n, (up - THINNEST) / m) : whole;
  const wide = Math.max(SMALLEST, n * scale), high = Math.max(SMALLEST, m * scale);
  const thick = Math.min(Math.max(THINNEST, rank * scale), across - wide, up - high);
  const exact = Math.abs(wide - n * scale) + Math.abs(high - m * scale) + Math.abs(thick - rank * scale) < 1e-6;
  return { wide, high, thick, exact };
}

/** What a drawing that is not to scale cannot show: how wide A, which has as many columns as the rank, is beside W. */
export function scaleSaid({ n }, rank, exact) {
  if (exact) return "to scale";
  const more = Math.max(rank / n, n / rank), times = grouped(more < 10 ? rounded(more, 2) : fixed(more, 0));
  return `not to scale any more: ${rank === n ? "A is as wide as W" : rank > n ? `A is ${times} times as wide as W` : `W is ${times} times as wide as A`}`;
}

/** W as a rectangle, A at its left and B above it, as thick as the rank; their sizes in a table. */
export function drawLayer(place, table, layer, rank) {
  place.setAttribute("viewBox", `0 0 ${ROOM.width} ${ROOM.height}`);
  place.setAttribute("height", ROOM.height);
  place.replaceChildren();
  table.replaceChildren();
  if (!layer) return;
  const { m, n, target, copies, weights, share } = layer, { wide, high, thick, exact } = sizes(layer, rank);
  const x = (ROOM.width - LETTER - thick - GAP - wide) / 2 + LETTER, y = (ROOM.height - LETTER - thick - GAP - high) / 2 + LETTER;
  const rect = (x1, y1, width, height, fill) => svg("rect", { x: x1, y: y1, width, height, style: `fill:var(${fill})` });
  const letter = (text, x1, y1, fill) => svg("text", { x: x1, y: y1, "text-anchor": "middle", style: `fill:var(${fill});font-weight:700` }, text);
  const [wx, wy] = [x + thick + GAP, y + thick + GAP];
  place.append(rect(wx, wy, wide, high, "--bar-frozen"), rect(x, wy, thick, high, "--bar-lora"), rect(wx, y, wide, thick, "--bar-lora"),
    letter("A", x - 8, Math.min(ROOM.height - 2, wy + high / 2 + 4), "--lora"), letter("B", Math.min(ROOM.width - 5, wx + wide / 2), y - 4, "--lora"));
  place.append(letter("W", wx + wide / 2, wy + high / 2 + 4, "--on-frozen"));
  const row = (name, a, b, size, kind) => el("tr", { class: kind }, el("td", {}, name), el("td", {}, `${grouped(a)} × ${grouped(b)}`), el("td", {}, grouped(size)));
  table.append(el("caption", {}, `one ${target} layer${copies > 1 ? ` of ${copies}` : ""}, ${scaleSaid(layer, rank, exact)}`),
    row("W", m, n, weights, "frozen"), row("A", m, rank, m * rank, "lora"), row("B", rank, n, rank * n, "lora"),
    el("tr", { class: "sum lora" }, el("td", { colspan: 2 }, "A and B beside W"), el("td", {}, share)),
    el("tr", { class: "product" }, el("td", { colspan: 3 }, "The product A B is as large as W, and is added to it.")));
}
