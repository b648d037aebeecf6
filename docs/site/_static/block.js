// The front page's block follows the slider of the explorer above it, and opens a layer's matrices.

const host = document.querySelector("[data-block]");
if (host?.shadowRoot) begin(host.shadowRoot, JSON.parse(host.dataset.block));

function begin(root, { layers, rank }) {
  const whole = root.querySelector(".whole"), opened = root.querySelector(".opened");
  const buttons = [...root.querySelectorAll("button")];
  let strength = "1.0", name = "query";
  const count = number => number.toLocaleString("en");

  /** W with A at its left and B above it, to scale; over it lies what A and B add. */
  const draw = () => {
    const [rows, columns] = layers[name], unit = 200 / 768, thin = rank * unit;
    const wide = columns * unit, high = rows * unit, x = 30 + (200 - wide) / 2, y = 66 + (200 - high) / 2;
    const learned = rank * (rows + columns), area = (kind, ...place) =>
      `<rect ${kind} x="${place[0]}" y="${place[1]}" width="${place[2]}" height="${place[3]}"/>`;
    opened.innerHTML = `<svg viewBox="0 0 260 366" role="img" aria-label="${name}: W has ${count(rows * columns)} numbers, A and B have ${count(learned)}.">
      <text x="14" y="29" fill="var(--ink)" font-size="16" font-weight="650">${name}</text>
      <text x="246" y="29" fill="var(--quiet)" font-size="14" text-anchor="end">${rows} → ${columns}</text>
      ${area('fill="var(--tint-frozen)" stroke="var(--frozen)"', x, y, wide, high)}${area('class="veil"', x, y, wide, high)}
      ${area('fill="var(--bar-lora)"', x - 5 - thin, y, thin, high)}${area('fill="var(--bar-lora)"', x, y - 5 - thin, wide, thin)}
      <text class="m" x="${x + wide / 2}" y="${y + high / 2 + 7}" fill="var(--ink)" font-size="22" text-anchor="middle">W</text>
      <text class="m" x="${x - 14 - thin}" y="${y + high / 2 + 6}" fill="var(--lora)" font-size="18" text-anchor="middle">A</text>
      <text class="m" x="${x + wide / 2}" y="${y - 13 - thin}" fill="var(--lora)" font-size="18" text-anchor="middle">B</text>
      <text x="14" y="307" fill="var(--ink)" font-size="14"><tspan class="m">W</tspan>: ${count(rows * columns)} numbers, frozen</text>
      <text x="14" y="328" fill="var(--ink)" font-size="14"><tspan class="m" fill="var(--lora)">A B</tspan>: ${count(learned)}, ${(100 * learned / rows / columns).toFixed(1)} % as many</text>
      <text class="sum" x="14" y="351" fill="var(--ink)" font-size="14"></text></svg>`;
    for (const each of buttons) each.ariaPressed = each.value === name;
    follow();
  };
  const follow = () => {
    const value = Number(strength.replace("−", "-"));
    whole.style.setProperty("--size", Math.abs(value));
    whole.classList.toggle("away", value < 0);
    root.querySelector(".sum").innerHTML = `<tspan class="m">y</tspan> = <tspan class="m">x W</tspan> ${value < 0 ? "−" : "+"} ${Math.abs(value).toFixed(1)} · <tspan class="m">x ΔW</tspan>`;
  };
  for (const each of buttons) each.addEventListener("click", () => { name = each.value; draw(); });
  draw();

  // The slider also moves by itself, without an event; what it says of itself is right either way.
  const slider = () => document.querySelector("[data-lora]")?.shadowRoot?.querySelector("input[type=range]");
  const listen = moved => new MutationObserver(() => { strength = moved.ariaValueText; follow(); })
    .observe(moved, { attributeFilter: ["aria-valuetext"] });
  const wait = () => slider() ? listen(slider()) : requestAnimationFrame(wait);
  wait();
}
