// One layer of the rank explorer, to scale: W, and A and B beside it, as thick as the rank.
import { el, grouped, svg } from "./kit.js";

const ROOM = { width: 150, height: 150 }, LETTER = 15;

/** W as a rectangle, A at its left and B above it, as thick as the rank; their sizes in a table. */
export function drawLayer(place, table, layer, rank) {
  place.setAttribute("viewBox", `0 0 ${ROOM.width} ${ROOM.height}`);
  place.setAttribute("height", ROOM.height);
  place.replaceChildren();
  table.replaceChildren();
  if (!layer) return;
  const { m, n, target, copies, weights, share } = layer, gap = 5;
  const scale = Math.min((ROOM.width - LETTER - gap) / (n + rank), (ROOM.height - LETTER - gap) / (m + rank));
  const thick = Math.max(1, rank * scale), high = Math.max(1.5, m * scale), wide = Math.max(1.5, n * scale);
  const x = (ROOM.width - LETTER - thick - gap - wide) / 2 + LETTER, y = (ROOM.height - LETTER - thick - gap - high) / 2 + LETTER;
  const rect = (x1, y1, width, height, fill) => svg("rect", { x: x1, y: y1, width, height, style: `fill:var(${fill})` });
  const letter = (text, x1, y1, fill) => svg("text", { x: x1, y: y1, "text-anchor": "middle", style: `fill:var(${fill});font-weight:700` }, text);
  const [wx, wy] = [x + thick + gap, y + thick + gap];
  place.append(rect(wx, wy, wide, high, "--bar-frozen"), rect(x, wy, thick, high, "--bar-lora"), rect(wx, y, wide, thick, "--bar-lora"),
    letter("A", x - 8, Math.min(ROOM.height - 2, wy + high / 2 + 4), "--lora"), letter("B", Math.min(ROOM.width - 5, wx + wide / 2), y - 4, "--lora"));
  const large = wide > 18 && high > 16; // else W's letter is beside it: in the corner of A and B, or at its right
  place.append(large ? letter("W", wx + wide / 2, wy + high / 2 + 4, "--on-frozen")
    : thick > LETTER ? letter("W", wx - 10, wy - 8, "--frozen") : letter("W", wx + wide + 10, wy + high / 2 + 4, "--frozen"));
  const row = (name, a, b, size, kind) => el("tr", { class: kind }, el("td", {}, name), el("td", {}, `${grouped(a)} × ${grouped(b)}`), el("td", {}, grouped(size)));
  table.append(el("caption", {}, `one ${target} layer${copies > 1 ? ` of ${copies}` : ""}, to scale`),
    row("W", m, n, weights, "frozen"), row("A", m, rank, m * rank, "lora"), row("B", rank, n, rank * n, "lora"),
    el("tr", { class: "sum lora" }, el("td", { colspan: 2 }, "A and B beside W"), el("td", {}, share)),
    el("tr", { class: "product" }, el("td", { colspan: 3 }, "The product A B is as large as W, and is added to it.")));
}
