// What all explorers share: a place in the page, controls, and numbers as a reader says them.
//
// An explorer is a module NAME.js beside this file, with two functions:
//   answer(state, data)     pure: what there is to read at a state; tests compare it with the package
//   mount(host, data, ask)  builds it inside `host`; `ask(request)` reaches Python, or is null
// `component.py` joins this file, the module and its data to one script in a cell's output.

// --- a place in the page -------------------------------------------------------------------------

/** Mounts an explorer in each place that waits for it. Where that fails, the picture there stays. */
export function start(key, mount, data, ask) {
  for (const host of document.querySelectorAll(`[data-lora="${key}"]:not([data-live])`)) {
    host.dataset.live = "";
    host.dataset.lmSuppressShortcuts = "true"; // Notebook 7 takes the arrow keys first …
    for (const kind of ["keydown", "keypress", "keyup"])
      host.addEventListener(kind, event => theirs(event) || event.stopPropagation()); // … and JupyterLab after
    // … but to save and to run on is theirs; they look for the mark in the document's turn, after the window's,
    // and to run on wants the focus on a cell.
    addEventListener("keydown", event => {
      host.toggleAttribute("data-lm-suppress-shortcuts", !theirs(event));
      if (runsOn(event) && event.target === host) host.closest(".jp-Cell")?.focus({ preventScroll: true });
    }, true);
    try {
      mount(host, data, ask);
      keepWidths(host.closest(".jp-Notebook"));
      comeIntoView(host);
    } catch (error) {
      console.error(error);
      if (host.shadowRoot) host.shadowRoot.innerHTML = "<slot></slot>";
    }
  }
}

const WIDTHS = `.lora-widths .jp-RenderedHTMLCommon :is(table, blockquote) { box-sizing: border-box; margin-left: 0; max-width: ${CSS.match(/--wide: (\w+)/)[1]}; }`;

/** This notebook's tables and boxes begin where explorers do and end there: JupyterLab's fill its window, or are in its middle. */
function keepWidths(notebook) {
  if (!notebook) return;
  notebook.classList.add("lora-widths");
  if (!document.getElementById("lora-widths")) document.head.append(el("style", { id: "lora-widths" }, WIDTHS));
}

/** Scrolls to an explorer whose cell was just run: JupyterLab goes on to the next cell, and may leave it half seen. */
function comeIntoView(host) {
  const cell = host.closest(".jp-Cell");
  if (cell) setTimeout(() => {
    const seen = (globalThis.loraSeen ??= new Set()), run = host.dataset.lora + cell.querySelector(".jp-InputPrompt")?.textContent;
    if (cell.nextElementSibling?.matches(".jp-mod-active") && !seen.has(run)) host.scrollIntoView({ block: "nearest" });
    seen.add(run); // it is drawn anew whenever the reader scrolls back to it, and must not pull then
  }, 200);
}

const saves = ({ key, ctrlKey, metaKey }) => (ctrlKey || metaKey) && key?.toLowerCase() === "s";
// Where a cell that is run again would lose what was typed, the field keeps the key to itself.
const runsOn = event => event.key === "Enter" && event.shiftKey && !("keepsEnter" in (event.composedPath()[0].dataset ?? {}));
const theirs = event => saves(event) || runsOn(event);

/** A way to Python: a function that takes a request and promises the answer. */
export function toPython(key, seconds) {
  let last = 0;
  return async request => {
    const colab = globalThis.google?.colab?.kernel;
    if (colab) {
      const reply = (await colab.invokeFunction(key, [request], {})).data["application/json"];
      if (reply.error) throw Error(reply.error);
      return reply.value;
    }
    const bridge = globalThis.loraBridges?.get(key);
    if (!bridge) throw Error("No Python is behind this picture. Run its cell, then ask again.");
    return new Promise((resolve, reject) => {
      const id = ++last;
      const end = (finish, value) => { clearTimeout(timer); bridge.off("msg:custom", hear); finish(value); };
      const hear = reply => {
        if (reply.id !== id) return;
        if (reply.error) end(reject, Error(reply.error));
        else end(resolve, reply.value);
      };
      const late = `Python has not answered for ${seconds} seconds. Wait until no cell runs, or run this cell again.`;
      const timer = setTimeout(() => end(reject, Error(late)), 1000 * seconds);
      bridge.on("msg:custom", hear);
      try {
        bridge.send({ id, request });
      } catch {
        end(reject, Error("The kernel was restarted. Run this cell again, then ask."));
      }
    });
  };
}

/** Opens a shadow root, which hides the picture; returns the box to fill. Light and dark follow the page. */
export function box(host, name, css = "") {
  const root = host.attachShadow({ mode: "open" });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    const { body, documentElement: page } = document;
    const said = body.dataset.jpThemeLight ?? { light: "true", dark: "false" }[body.dataset.theme ?? page.dataset.theme];
    host.dataset.theme = (said === undefined ? dark.matches : said === "false") ? "dark" : "light";
  };
  follow();
  dark.addEventListener("change", follow);
  for (const place of [document.body, document.documentElement])
    new MutationObserver(follow).observe(place, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-theme"] });
  const inside = el("div", { class: "kit", role: "group", "aria-label": name });
  root.append(el("style", {}, CSS + css), inside);
  return inside;
}

/** Makes an element: attributes by name, functions as listeners, then its children. */
export function el(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

/** The same for a part of a drawing. */
export function svg(name, attributes = {}, ...children) {
  return dress(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// --- controls ------------------------------------------------------------------------------------

/** A slider over `stops`, at least 300 px wide, with `marks` ([stop, text] or [stop, text, more]) beneath. */
export function slider({ label, stops, value, marks = [], say = String, change }) {
  const last = stops.length - 1;
  const shown = el("output", { "aria-hidden": "true" }); // the range itself says it, by aria-valuetext
  const range = el("input", {
    type: "range", min: 0, max: last, step: 1, "aria-label": label,
    input: () => { tell(); change(stops[range.value]); },
  });
  const tell = () => {
    shown.value = say(stops[range.value]);
    range.setAttribute("aria-valuetext", shown.value);
  };
  const at = stop => `left:${(100 * stops.indexOf(stop)) / last}%`;
  const beneath = marks.map(([stop, text, more]) =>
    el("span", { style: at(stop) }, text, ...(more ? [el("i", {}, ` ${more}`)] : [])));
  const element = el("div", { class: "slider" },
    el("div", { class: "say" }, el("span", { class: "quiet" }, label), shown),
    el("div", { class: "groove" }, range),
    el("div", { class: "ticks", "aria-hidden": "true" }, ...marks.map(([stop]) => el("b", { style: at(stop) }))),
    el("div", { class: "marks", "aria-hidden": "true" }, ...beneath));
  const set = stop => { range.value = stops.indexOf(stop); tell(); };
  set(value);
  return { element, range, set, get value() { return stops[range.value]; } };
}

/** A list of [value, text] to choose one from. */
export function choice({ label, options, value, change }) {
  const list = el("select", { "aria-label": label, change: () => change(options[list.selectedIndex][0]) });
  const offer = (rows, chosen) => {
    options = rows;
    list.replaceChildren(...rows.map(([, text]) => el("option", {}, text)));
    list.selectedIndex = Math.max(0, rows.findIndex(([name]) => name === chosen));
  };
  offer(options, value);
  return { element: el("label", { class: "field" }, el("span", {}, label), list), list, offer,
    get value() { return options[list.selectedIndex][0]; } };
}

/** A row of buttons of which one is chosen: [value, text] each. Arrow keys move, as among radio buttons. */
export function chips({ label, options, value, change }) {
  const buttons = options.map(([name, text], place) => el("button", {
    type: "button", role: "radio",
    click: () => choose(place),
    keydown: event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = (place + step + options.length) % options.length;
      choose(next);
      buttons[next].focus();
    },
  }, text));
  const mark = chosen => buttons.forEach((button, place) => {
    button.setAttribute("aria-checked", place === chosen);
    button.tabIndex = place === chosen ? 0 : -1;
  });
  const choose = place => { mark(place); change(options[place][0]); };
  const set = name => mark(options.findIndex(([each]) => each === name));
  set(value);
  return { element: el("div", { class: "chips", role: "radiogroup", "aria-label": label }, ...buttons), set };
}

/** A box to tick. */
export function tick({ label, on, change }) {
  const field = el("input", { type: "checkbox", change: () => change(field.checked) });
  field.checked = on;
  const element = el("label", { class: "tick" }, field, label);
  return { element, field, allow(allowed) { field.disabled = !allowed; element.classList.toggle("off", !allowed); } };
}

// --- numbers as a reader says them: the same as lora_edu/widgets/units.py ----------------------------

/** Rounds to a number of digits; halves go to the even neighbour, as in Python. */
export function rounded(number, digits) {
  // All digits of the binary number, so that nothing is rounded twice: "1.2500…e-3".
  const [mantissa, exponent] = Math.abs(number).toExponential(100).split("e");
  const all = `0${mantissa.replace(".", "")}`;
  const kept = BigInt(all.slice(0, 1 + digits)), rest = all.slice(1 + digits), half = "5".padEnd(rest.length, "0");
  const up = rest > half || (rest === half && kept % 2n === 1n);
  return Math.sign(number) * Number(`${kept + (up ? 1n : 0n)}e${Number(exponent) - digits + 1}`);
}

/** Rounds to decimal places in the same way. */
export function fixed(number, places) {
  const digits = Number(Math.abs(number).toExponential(100).split("e")[1]) + 1 + places;
  return digits < 0 ? 0 : rounded(number, digits);
}

/** 1234567 → "1,234,567", with all its digits and never with an exponent. */
export function grouped(number) {
  const written = Math.abs(number).toLocaleString("en-US", { maximumFractionDigits: 20 });
  return number < 0 ? `−${written}` : written;
}

/** "−0.5", "1.0": a minus sign and not a hyphen. */
export function signed(number, places) {
  const written = Math.abs(number).toFixed(places);
  return number < 0 && Number(written) ? `−${written}` : written;
}

/** 4718592 → "4.72 million". */
export function inWords(number) {
  if (number >= 1e15) return "more than 999 trillion";
  for (const [size, word] of [[1e12, "trillion"], [1e9, "billion"], [1e6, "million"]])
    if (number >= size) return `${grouped(rounded(number / size, 3))} ${word}`;
  return grouped(Number.isInteger(number) ? number : rounded(number, 4));
}

/** 37748736 → "37.7 MB". */
export function megabytes(bytes) {
  for (const [size, unit] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]])
    if (bytes >= size * 0.9995) return `${grouped(rounded(bytes / size, 3))} ${unit}`;
  return `${fixed(bytes, 0)} bytes`;
}

/** Shares as `whole` says them; all with a decimal where two that differ would read alike. */
export function apart(shares, whole) {
  const said = shares.map(whole), exact = shares.map(share => `${fixed(100 * share, 1).toFixed(1)} %`);
  const number = i => /^\d/.test(said[i]);
  const alike = said.some((text, i) => number(i) && said.some((other, j) => other === text && exact[j] !== exact[i]));
  return said.map((text, i) => (alike && number(i) ? exact[i] : text));
}

/** A text in which no number is parted from its per cent. */
export const unbroken = text => text.replaceAll(" %", "\u00a0%");

/** 0.0214 → "2.14 %", 12.13 → "1,210 %". */
export function percent(share) {
  return `${grouped(rounded(100 * share, share >= 0.01 ? 3 : 2))} %`;
}
