// The front page's block follows the slider of the explorer above it, and opens a layer's matrices.

import { showToken } from "./token.js";

const host = document.querySelector("[data-block]");
if (host?.shadowRoot) begin(host.shadowRoot, JSON.parse(host.dataset.block));

function begin(root, { layers, rank, sizes, tokens }) {
  const whole = root.querySelector(".whole"), opened = root.querySelector(".opened"), side = root.querySelector(".side"), token = root.querySelector(".token");
  const buttons = [...root.querySelectorAll("button")], strips = [...root.querySelectorAll(".strip")];
  const most = Math.max(...Object.values(sizes).flatMap(each => Object.values(each)));
  const knob = root.querySelector(".knob input");
  let strength = "1.0", adapter = Object.keys(sizes)[0], name = "query", pass = () => {};
  const count = number => number.toLocaleString("en");
  const value = () => Number(strength.replace("−", "-"));

  /** W with A at its left and B above it, to scale; on it lies ΔW, a little aside so that both are seen. */
  const draw = () => {
    const [rows, columns] = layers[name], unit = Math.min(180 / columns, 120 / rows), thin = rank * unit, aside = 24;
    const wide = columns * unit, high = rows * unit, x = 42, y = 76, beneath = y + high + aside, inside = wide > 60;
    const learned = rank * (rows + columns), area = (kind, ...place) =>
      `<rect ${kind} x="${place[0]}" y="${place[1]}" width="${place[2]}" height="${place[3]}"/>`;
    opened.innerHTML = `<svg viewBox="0 0 260 ${beneath + 112}" role="img" aria-label="${name}: W has ${count(rows * columns)} numbers, A and B have ${count(learned)}.">
      <text x="14" y="29" fill="var(--ink)" font-size="16" font-weight="650">${name}</text>
      <text x="246" y="29" fill="var(--quiet)" font-size="14" text-anchor="end">${rows} → ${columns}</text>
      ${area('fill="var(--tint-frozen)" stroke="var(--frozen)"', x, y, wide, high)}${area('class="veil"', x + aside, y + aside, wide, high)}
      ${area('fill="var(--bar-lora)"', x - 6 - thin, y, thin, high)}${area('fill="var(--bar-lora)"', x, y - 6 - thin, wide, thin)}
      <text class="m" x="${x + 5}" y="${y + 19}" fill="var(--ink)" font-size="18">W</text>
      <text class="m" x="${x - 11 - thin}" y="${y + high / 2 + 6}" fill="var(--lora)" font-size="18" text-anchor="end">A</text>
      <text class="m" x="${x + wide / 2}" y="${y - 13 - thin}" fill="var(--lora)" font-size="18" text-anchor="middle">B</text>
      <text class="m" x="${x + wide + aside + (inside ? -8 : 6)}" y="${beneath - 6}" fill="${inside ? "var(--ink)" : "var(--lora)"}" font-size="16" text-anchor="${inside ? "end" : "start"}">ΔW</text>
      <text x="14" y="${beneath + 31}" fill="var(--ink)" font-size="14"><tspan class="m">W</tspan>: ${count(rows * columns)} numbers, frozen</text>
      <text x="14" y="${beneath + 52}" fill="var(--ink)" font-size="14"><tspan class="m" fill="var(--lora)">ΔW</tspan> = <tspan class="m" fill="var(--lora)">A B</tspan>: ${count(learned)}, ${(100 * learned / rows / columns).toFixed(1)} % as many</text>
      <text class="sum" x="14" y="${beneath + 75}" fill="var(--ink)" font-size="14"></text>
      <text class="size" x="14" y="${beneath + 98}" fill="var(--ink)" font-size="14"></text></svg>`;
    for (const each of buttons) each.ariaPressed = each.value === name;
    enter();
  };
  /** The adapter's own token enters the layer. */
  const enter = () => {
    pass = showToken(token, tokens[adapter], name, layers[name]);
    follow();
  };
  const follow = () => {
    pass(value());
    const size = Math.abs(value()), share = sizes[adapter][name];
    whole.style.setProperty("--size", size);
    whole.classList.toggle("away", value() < 0);
    const names = Object.keys(layers); // in each form of the drawing, in this order
    strips.forEach((strip, place) => strip.style.setProperty("--share", sizes[adapter][names[place % names.length]] / most));
    knob.value = value();
    knob.ariaValueText = strength;
    opened.style.setProperty("--share", share / most);
    const sign = value() < 0 ? "−" : "+", scaled = `${size.toFixed(1)} · `;
    root.querySelector(".sum").innerHTML = `<tspan class="m">y</tspan> = <tspan class="m">x W</tspan> ${sign} ${scaled}<tspan class="m">x ΔW</tspan>`;
    root.querySelector(".size").innerHTML = `${adapter}: ${scaled}<tspan class="m">ΔW</tspan>, ${(100 * share * size).toFixed(0)} % of <tspan class="m">W</tspan>'s size`;
  };
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  for (const each of buttons) each.addEventListener("click", () => {
    name = each.value;
    draw();
    side.scrollIntoView({ block: "nearest", behavior: still.matches ? "instant" : "smooth" }); // where it is seen, nothing moves
  });
  draw();

  // The slider also moves by itself, without an event; what it says of itself is right either way.
  const explorer = () => document.querySelector("[data-lora]")?.shadowRoot;
  const listen = (place, attribute, read, then = follow) => new MutationObserver(() => { read(); then(); })
    .observe(place, { attributeFilter: [attribute], subtree: true });
  const wait = () => {
    const slider = explorer()?.querySelector("input[type=range]");
    if (!slider) return requestAnimationFrame(wait);
    const adapters = explorer().querySelector("[role=radiogroup]");
    // A second handle on the same strength, beside the layer: it moves the explorer's.
    knob.addEventListener("input", () => {
      slider.value = Math.round((Number(knob.value) - Number(knob.min)) / Number(knob.step));
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    });
    listen(slider, "aria-valuetext", () => { strength = slider.ariaValueText; });
    listen(adapters, "aria-checked", () => { adapter = adapters.querySelector("[aria-checked=true]")?.textContent ?? adapter; }, enter);
  };
  wait();
}
