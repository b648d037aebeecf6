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

// A comma after a formula stays on its line.
for (const formula of document.querySelectorAll("article span.math")) {
  const next = formula.nextSibling;
  const mark = next?.nodeType === Node.TEXT_NODE && next.data.match(/^[,.;:!?)\u2019]+/)?.[0];
  if (!mark) continue;
  next.data = next.data.slice(mark.length);
  const whole = document.createElement("span");
  whole.className = "whole";
  formula.replaceWith(whole);
  whole.append(formula, mark);
}

// A fold is read out by what it says, not as "Toggle hidden content"; a name in it is code.
for (const fold of document.querySelectorAll("details.hide > summary")) {
  fold.removeAttribute("aria-label");
  for (const said of fold.children) said.innerHTML = said.innerHTML.replace(/`(.+?)`/g, "<code>$1</code>");
}
