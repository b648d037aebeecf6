// The strength explorer's chart: a line for each candidate, with a bar for now and one for the base.
import { el } from "./kit.js";

/** Lines of a chart that stay, so that their bars glide; `draw(bars)` makes as many as it needs. */
export function chart(place) {
  const lines = [];
  const add = () => {
    const token = el("span"), rest = el("i"), says = el("span", { class: "says glide" });
    const now = el("span", { class: "now glide" }), was = el("span", { class: "was glide" });
    const name = el("span", { class: "name" }, token, rest), track = el("span", { class: "track" }, now, was, says);
    place.append(name, track);
    lines.push({ token, rest, says, now, was, name, track });
  };
  return bars => {
    while (lines.length < bars.length) add();
    place.classList.toggle("two-rows", bars.length === 2);
    lines.forEach((line, at) => {
      const bar = bars[at];
      line.name.hidden = line.track.hidden = !bar;
      if (!bar) return;
      line.token.textContent = bar.token;
      line.rest.textContent = bar.rest;
      line.says.textContent = bar.says;
      line.now.style.width = line.says.style.left = `${100 * bar.share}%`;
      line.was.style.width = `${100 * (bar.was ?? 0)}%`;
      line.now.classList.toggle("other", bar.other);
      for (const each of [line.name, line.says]) each.classList.toggle("first", bar.first);
    });
  };
}
