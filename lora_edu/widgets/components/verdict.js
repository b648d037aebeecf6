// What is said of a prediction beside the answer, where no Python says it: as lora_edu/widgets/verdict.py.
import { grouped, inWords, rounded } from "./kit.js";
import { numberSaid } from "./number_said.js";

/** Compares a prediction with what was found: { agrees, words }. */
export function verdict(said, answer, question, tolerance) {
  if (said === answer) return { agrees: true, words: "right" };
  if (typeof said === "string" || typeof answer === "string") return { agrees: false, words: "not right" };
  if (Math.abs(said - answer) <= tolerance * Math.abs(answer)) return { agrees: true, words: "close enough" };
  const counts = /how many\b(?! (?:times|per ?cent)\b)/.test(question.toLowerCase());
  const high = said > answer, near = high ? "too high" : "too low", word = !counts ? near : high ? "too many" : "too few";
  if (said * answer <= 0) return { agrees: false, words: word };
  const ratio = Math.abs(said / answer), factor = Math.max(ratio, 1 / ratio);
  if (factor < 2 && Math.abs(answer) < 20 && Number.isInteger(said) && Number.isInteger(answer)) {
    return { agrees: false, words: `${grouped(Math.abs(said - answer))} ${word}` };
  }
  if (factor < 1.5 && question.includes("per cent")) return { agrees: false, words: `${grouped(rounded(Math.abs(said - answer), 2))} ${word}` };
  if (factor < 1.5) {
    const share = 100 * Math.abs(ratio - 1);
    return { agrees: false, words: `${grouped(rounded(share, share >= 1 ? 2 : 1))} % ${near}` };
  }
  return { agrees: false, words: `${factor < 1e6 ? grouped(rounded(factor, 2)) : inWords(factor)} times ${word}` };
}

/** The same of what stands in a form, in a sentence: { said, agrees, heading }. */
export function judged(typed, answer, question, tolerance) {
  const choice = Number.isNaN(answer.number), said = choice ? typed : numberSaid(typed, question).number;
  const { agrees, words } = verdict(said, choice ? answer.text : answer.number, question, tolerance);
  return { said, agrees, heading: `You predicted: ${choice ? said : written(said)}. That is ${words}.` };
}

/** A count that was predicted for a setting of the rank explorer, in its words: as `judge_prediction` there. */
export function judgedCount(said, count, { model, rank }) {
  if (said <= 0) return `Your prediction, ${inWords(said)}, is not a count.`;
  const { words } = verdict(said, count, "how many", 0.1);
  return `${model}, rank ${grouped(rank)}: you predicted ${inWords(said)}, ${words}${words === "close enough" ? ` to ${grouped(count)}` : ""}.`;
}

/** A number the way prose has it: 2,500,000 and 0.25. */
export const written = number => grouped(Number.isInteger(number) ? number : rounded(number, 4));
