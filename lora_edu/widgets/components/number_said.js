// Numbers as people type them, where no Python reads them: the same as lora_edu/widgets/number_said.py.

const SIZES = { "": 1, k: 1e3, m: 1e6, b: 1e9, thousand: 1e3, million: 1e6, billion: 1e9 };
const TYPED = /^(?<digits>[+-]?(?:\d[\d., _']*|\.\d+)(?:e[+-]?\d+)?)\s*(?<size>k|m|b|thousand|million|billion|)\s*(?<of>%|per ?cent|×|x|times|)$/;
const GROUPED = /^[+-]?[1-9]\d{0,2}([, _'])\d{3}(?:\1\d{3})*(?:\.\d+)?(?:e.*)?$/;
const DECIMAL_COMMA = /^[+-]?(?:0,\d+|\d+,(?!\d{3}(?!\d))\d+)(?:e.*)?$/;

/** Reads a number that answers a question: { number, note }, of which the note says why it cannot be. */
export function numberSaid(typed, question) {
  const refused = note => ({ number: null, note });
  const asked = question.toLowerCase(), found = TYPED.exec(typed.trim().toLowerCase().replaceAll("−", "-"))?.groups;
  if (!found) return refused("This is not a number. Write it like 1500, 2.5e6 or 1.5 million.");
  if (/^[%p]/.test(found.of) && !/per ?cent|%/.test(asked)) return refused("The question asks for a number, not for per cent of something.");
  if (/^[×xt]/.test(found.of) && !asked.includes("times")) return refused("The question asks for a number, not for how many times something is.");
  const number = read(found.digits.trim()) * SIZES[found.size];
  if (Number.isNaN(number))
    return refused("Is the comma, the point or the space in it for thousands or for decimals? Write it like 1500, 1,500 or 1.5.");
  if (!Number.isFinite(number)) return refused("This number is too large to be one of this course.");
  if (number < 0 && /how (many|large)|which rank/.test(asked)) return refused("What the question counts cannot be less than zero.");
  return { number, note: "" };
}

/** Digits with a comma, a space or a mark between thousands, or with a decimal comma; else not a number. */
function read(digits) {
  if (GROUPED.test(digits)) return Number(digits.replace(/[, _']/g, ""));
  return Number(DECIMAL_COMMA.test(digits) ? digits.replaceAll(",", ".") : digits);
}
