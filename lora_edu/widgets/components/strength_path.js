// The strength explorer's drawing: a layer with LoRA's side path, as thick as the strength is large.
import { signed, svg } from "./kit.js";

/** What a layer does at a strength s: y = x W + s · x ΔW, in words. */
export function pathInWords(strength) {
  const does = strength === 0 ? "so nothing is added: y is that of the base alone"
    : strength < 0 ? "so it is taken away"
    : strength < 1 ? "so less is added than was trained"
    : strength === 1 ? "so it is added as it was trained" : "so more is added than was trained";
  return "In each adapted layer, x goes through the frozen W, and beside it through A and B. "
    + `What comes through A and B is multiplied by ${signed(strength, 1)}, ${does}.`;
}

const ROOM = { width: 180, height: 76 };
const THICK = 2.5; // of the side path at 1
const EDGES = 4, INSIDE = 2.2; // at −1, where it is hollow
export const PATH_STYLE = `
  .path text { font: italic 15px "STIX Two Text", Cambria, Georgia, "DejaVu Serif", serif; text-anchor: middle; }
  .path .number { fill: var(--on); font: 700 15px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
  .path .learned { fill: var(--lora); }
  .path .w { fill: var(--card); stroke: var(--frozen); stroke-width: 1.5; }
  .path .a-or-b { fill: var(--bar-lora); stroke: var(--paper); stroke-width: 3; paint-order: stroke; }
  .path .knob { fill: var(--lora); }
  .path :is(.through, .empty, .flow, .inside, .sum) { fill: none; stroke: var(--frozen); stroke-width: 2; }
  .path .empty { stroke: var(--bar-frozen); stroke-width: 1; stroke-dasharray: 3 3; }
  .path .flow { stroke: var(--lora); }
  .path .inside { stroke: var(--paper); }
  .path .sum { fill: var(--paper); stroke: var(--ink); stroke-width: 1.5; }
  .path .head { fill: var(--frozen); }
  .path .flow-head { fill: var(--lora); stroke: var(--lora); stroke-width: 1.2; }
  .path .flow-head.away { fill: var(--paper); }
`;

/** The drawing, and `set(strength)`. A and B stay as they are: a strength changes no weight. */
export function sidePath() {
  const beside = "M22 17V50Q22 57 29 57H139V30";
  const line = (kind, d) => svg("path", { class: kind, d });
  const area = (kind, x, y, width, height, rx) => svg("rect", { class: kind, x, y, width, height, rx });
  const text = (kind, x, y, words) => svg("text", { class: kind, x, y }, words);
  const flow = line("flow glide", beside), inside = line("inside glide", beside);
  const head = line("flow-head", "M139 26.5l-4.5 7h9z"), number = text("number", 139, 62.5, "");
  const element = svg("svg", { class: "path", role: "img", viewBox: `0 0 ${ROOM.width} ${ROOM.height}`, ...ROOM },
    line("empty", beside), flow, inside, head,
    line("through", "M12 16H124M148 16H158"), line("head", "M130 16l-8 -5v10zM165 16l-8 -5v10z"),
    area("w", 62, 1, 30, 30, 3), area("a-or-b", 38, 42, 6, 30, 1), area("a-or-b", 62, 54, 30, 6, 1), area("knob", 104, 45, 70, 24, 12),
    text("", 5, 20, "x"), text("", 77, 21, "W"), text("learned", 53, 51, "A"), text("learned", 77, 50, "B"), number,
    svg("circle", { class: "sum", cx: 139, cy: 16, r: 9 }), line("sum", "M134.5 16h9M139 11.5v9"), text("", 173, 20, "y"));
  const set = strength => {
    const size = Math.abs(strength), away = strength < 0;
    element.setAttribute("aria-label", pathInWords(strength));
    number.textContent = `× ${signed(strength, 1)}`;
    flow.style.strokeWidth = `${(away ? EDGES : THICK) * size}px`;
    inside.style.strokeWidth = `${away ? INSIDE * size : 0}px`;
    head.style.opacity = Math.min(1, size);
    head.classList.toggle("away", away);
  };
  return { element, set };
}
