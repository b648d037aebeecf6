// What no style sheet can do alone; without it a page is whole, only less comfortable on a phone.

// A table of sentences becomes a card for each row where it is narrow: a cell says its column's name.
for (const table of document.querySelectorAll("table.docutils")) {
  const columns = [...(table.tHead?.rows[0]?.cells ?? [])].map(each => each.textContent.trim());
  const rows = [...table.tBodies].flatMap(body => [...body.rows]);
  const sentences = rows.some(row => [...row.cells].some(cell => cell.textContent.length > 80));
  if (columns.length < 3 || !sentences) continue;
  table.classList.add("cards");
  for (const row of rows) [...row.cells].forEach((cell, place) => { cell.dataset.column = columns[place]; });
}

// The heading of a column of numbers is on one line, where it is short.
for (const heading of document.querySelectorAll(".cell_output thead th"))
  if (heading.style.textAlign === "right" && heading.textContent.length <= 12) heading.classList.add("short");

// On a phone what a cell says in words takes several lines; a number takes one.
for (const cell of document.querySelectorAll(".cell_output tbody td"))
  cell.classList.toggle("words", cell.style.textAlign === "left" && cell.textContent.length > 24);

// On a phone a table of numbers that is too wide becomes cards, too; a long one is rather swiped.
const LONG = 8, phone = matchMedia("(max-width: 600px)");
const stack = (table, place) => {
  table.classList.remove("stacked");
  const rows = [...table.tBodies].flatMap(body => [...body.rows]);
  if (!phone.matches || rows.length > LONG || table.scrollWidth <= place.clientWidth + 1) return;
  const columns = [...(table.tHead?.rows[0]?.cells ?? [])].map(each => each.textContent.trim());
  if (columns.length < 3) return;
  for (const row of rows) [...row.cells].forEach((cell, place) => { cell.dataset.column = columns[place]; });
  table.classList.add("stacked");
};

// What is still wider than its place says that it can be swiped; site.css has the words. It fades as
// far as it goes on.
const fit = place => {
  for (const table of place.querySelectorAll("table:not(.cards, .sentences *)")) stack(table, place);
  const beyond = place.scrollWidth - place.clientWidth;
  place.classList.toggle("wider", beyond > 1);
  place.style.setProperty("--beyond", `min(3.5em, ${beyond}px)`);
};
const wider = new ResizeObserver(seen => requestAnimationFrame(() => { for (const { target } of seen) fit(target); }));
for (const each of document.querySelectorAll("article .katex-display .katex-html, article .highlight pre"))
  if (!each.closest(".cell, [data-lora]")) wider.observe(each);
for (const each of document.querySelectorAll("article table, article .lora-figure")) {
  let place = each.parentElement;
  while (place && !/auto|scroll/.test(getComputedStyle(place).overflowX)) place = place.parentElement;
  if (place?.closest("article") && !place.closest("[data-lora]")) wider.observe(place);
}

// A comma after a formula stays on its line, and so does a bracket before it.
for (const formula of document.querySelectorAll("article span.math")) {
  const next = formula.nextSibling;
  const mark = next?.nodeType === Node.TEXT_NODE && next.data.match(/^[,.;:!?)\u2019]+/)?.[0] || "";
  const before = formula.previousSibling;
  const bracket = before?.nodeType === Node.TEXT_NODE && before.data.match(/[(\[\u201c]+$/)?.[0] || "";
  if (!mark && !bracket) continue;
  if (mark) next.data = next.data.slice(mark.length);
  if (bracket) before.data = before.data.slice(0, -bracket.length);
  const whole = document.createElement("span");
  whole.className = "whole";
  formula.replaceWith(whole);
  whole.append(bracket, formula, mark);
}

// A fold is read out by what it says, not as "Toggle hidden content"; a name in it is code.
for (const fold of document.querySelectorAll("details.hide > summary")) {
  fold.removeAttribute("aria-label");
  for (const said of fold.children) said.innerHTML = said.innerHTML.replace(/`(.+?)`/g, "<code>$1</code>");
}

// A section beside the path is folded to its heading. It opens for whoever is led into it, by an
// address, a link or a search, and on paper; a button opens all of a page.
const deeper = [...document.querySelectorAll("details.deeper")];

/** Opens what a place is in, and the section that begins there; an address names it after its #. */
function leadTo(hash) {
  const place = hash.length > 1 && document.getElementById(decodeURIComponent(hash.slice(1)));
  const closed = deeper.filter(fold => place && !fold.open && (fold.contains(place) || fold.parentElement === place));
  for (const fold of closed) fold.open = true;
  if (closed.length) place.scrollIntoView({ behavior: "instant" });
}

if (deeper.length) {
  leadTo(location.hash);
  addEventListener("hashchange", () => leadTo(location.hash));
  addEventListener("click", ({ target }) => { // also on a link to where the address leads already
    const link = target.closest("a[href*='#']");
    if (link && link.pathname === location.pathname) leadTo(link.hash);
  });
  // Sphinx marks what a search found 10 ms after the page is read, so before a later timer of 10 ms.
  addEventListener("load", () => setTimeout(() => {
    for (const fold of deeper) if (fold.querySelector(".highlighted")) fold.open = true;
  }, 10));

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = deeper.filter(fold => !fold.open);
    for (const fold of folded) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of folded) fold.open = false; });

  const all = document.createElement("button");
  all.className = "open-all";
  const say = () => {
    const one = deeper.length === 1, open = deeper.every(fold => fold.open);
    all.textContent = `${open ? "Fold" : "Open"} the ${one ? "deeper section" : `${deeper.length} deeper sections`}`;
  };
  all.addEventListener("click", () => {
    const open = !deeper.every(fold => fold.open);
    for (const fold of deeper) fold.open = open;
  });
  for (const fold of deeper) fold.addEventListener("toggle", say);
  say();
  document.querySelector("article section > section")?.before(all);
}
