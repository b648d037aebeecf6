// No Python is behind a page. What was predicted on it is compared here, with the answer in its fold.
// `scripts/build_site.py` puts the package's `components/verdict.js` before this, in one function.

/** Calls `hear(typed, question)` with what is recorded in a form, or with null, at each change. */
function listen(key, hear) {
  const form = document.querySelector(`[data-lora="${key}"]`)?.shadowRoot?.querySelector(".kit");
  if (!form) return;
  const question = form.querySelector("legend").textContent.replace("Predict: ", "");
  const tell = () => {
    const field = form.querySelector("input:checked, input[type=text]");
    hear(form.classList.contains("recorded") ? field.value : null, question);
  };
  new MutationObserver(tell).observe(form.querySelector("[aria-live]"), { childList: true });
}

/** The answer as it is said to someone who predicted nothing, and who was right or wrong. */
function answerIn(place) {
  const [right, wrong] = [...place.querySelectorAll("template")].map(each => each.content.firstElementChild);
  const answer = { text: place.dataset.answer, number: place.dataset.number ? Number(place.dataset.number) : NaN };
  const told = place.firstElementChild;
  let shown = told;
  listen(place.dataset.answers, (typed, question) => {
    let now = told;
    if (typed !== null) {
      const { agrees, heading } = judged(typed, answer, question, Number(place.dataset.tolerance));
      now = (agrees ? right : wrong).cloneNode(true);
      now.querySelector("b").textContent = heading;
    }
    shown.replaceWith(now);
    shown = now;
  });
}

/** An explorer that marks a predicted number is made anew with it. */
function markIn(place) {
  listen(place.dataset.guess, (typed, question) => {
    const old = place.querySelector("[data-lora]"), anew = old.cloneNode(true);
    const { again, start } = loraAgain[old.dataset.lora], number = typed === null ? null : numberSaid(typed, question).number;
    const guess = number === null ? undefined
      : { count: number > 0 ? number : null, words: judgedCount(number, Number(place.dataset.number), start) };
    delete anew.dataset.live;
    old.replaceWith(anew);
    again(guess);
  });
}

addEventListener("DOMContentLoaded", () => { // the forms are there: their scripts have run
  document.querySelectorAll("[data-answers]").forEach(answerIn);
  document.querySelectorAll("[data-guess]").forEach(markIn);
});
