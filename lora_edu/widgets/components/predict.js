// A question, answered before one looks: a choice, or a number. What is recorded is Python's word;
// where no Python is behind the page, the answer is the reader's own and stays as it is said.
import { box, el } from "./kit.js";
import { numberSaid } from "./number_said.js";

const STYLE = `
.kit { border-left: 5px solid var(--line); border-radius: 0; padding: 6px 14px; }
.kit.recorded { border-color: var(--lora); }
fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
legend { padding: 0; font-weight: 650; font-size: 15px; }
.options { display: flex; flex-direction: column; align-items: flex-start; margin: 4px 0; }
.options label { display: flex; gap: 8px; align-items: baseline; padding: 3px 6px; border-radius: 6px; cursor: pointer; }
.options label:has(:checked) { background: var(--card); font-weight: 600; }
/* Drawn here: on a dark page the browser's own ring, of what is not chosen, looks like one that cannot be. */
input[type="radio"] { appearance: none; width: 15px; height: 15px; margin: 0; flex: none; align-self: flex-start; margin-top: 3px;
  border: 2px solid var(--quiet); border-radius: 50%; background: var(--paper); cursor: pointer; }
input[type="radio"]:checked { border-color: var(--lora); background: radial-gradient(var(--lora) 45%, var(--paper) 52%); }
@media (forced-colors: active) { input[type="radio"] { appearance: auto; } }
.number { display: flex; flex-wrap: wrap; gap: 8px; margin: 6px 0; }
.number input { flex: 0 1 230px; }
p { margin: 2px 0 0; }`;

/** What is read beneath the form: { text, recorded }. */
export function answer(state, data) {
  if (state.note) return { text: state.note, recorded: false };
  if (state.reading) return state.said ? { text: `You say: ${state.said}. Now read on, and unfold the answer.`, recorded: true }
    : { text: "Make up your mind, then read on.", recorded: false };
  if (state.said === null) return { text: data.options.length ? "Choose one, then run on." : "Press Enter to record it, then run on.", recorded: false };
  const then = state.late ? "Run the answer's cell again to compare." : "Now run on.";
  return { text: `Recorded: ${state.said}. ${then}`, recorded: true };
}

/** The state where no Python reads what is said. */
function unheard(typed, { options, question }) {
  const said = typed.trim();
  return { said, note: options.length || !said ? "" : numberSaid(said, question).note, reading: true };
}

export function mount(host, data, ask) {
  const inside = box(host, "Prediction", STYLE);
  const note = el("p", { class: "quiet", "aria-live": "polite" });
  const wrong = el("p", { class: "wrong", role: "alert" });
  const tell = state => {
    const { text, recorded } = answer(state, data);
    note.textContent = text;
    inside.classList.toggle("recorded", recorded);
  };
  const send = async said => {
    if (!ask) return tell(unheard(said, data));
    // Python puts the answer into the saved output, which draws this form anew: the focus comes back.
    globalThis.loraAsked = { key: host.dataset.lora, at: Date.now() };
    try {
      tell(await ask(said));
      wrong.textContent = "";
    } catch (error) {
      wrong.textContent = error.message;
    }
  };
  const legend = el("legend", {}, `Predict: ${data.question}`);
  const open = () => tell({ said: null, reading: !ask }); // what is typed and not yet recorded
  const controls = data.options.length ? radios(data, send) : number(data, send, open);
  inside.append(el("fieldset", {}, legend, controls.element), note, wrong);
  tell({ said: data.said, note: data.note, late: data.late, reading: !ask });
  const asked = globalThis.loraAsked;
  if (asked?.key === host.dataset.lora && Date.now() - asked.at < 3000) controls.focused()?.focus({ preventScroll: true });
}

function radios({ options, said }, send) {
  const group = `predict-${Math.random()}`; // two views of one question do not share their choice
  const fields = options.map(option => el("input", {
    type: "radio", name: group, value: option, checked: option === said, change: () => send(option),
  }));
  const element = el("div", { class: "options" },
    ...fields.map((field, place) => el("label", {}, field, el("span", {}, options[place]))));
  return { element, focused: () => fields.find(field => field.checked) };
}

function number({ typed, exact }, send, open) {
  const field = el("input", {
    type: "text", "aria-label": "Your number", placeholder: exact ? "the exact number, such as 1536" : "a number, such as 3 or 2.5e6", value: typed, inputmode: "text",
    input: open,
    keydown: event => { if (event.key === "Enter") send(field.value); },
  });
  const record = el("button", { type: "button", click: () => send(field.value) }, "Record");
  return { element: el("div", { class: "number" }, field, record), focused: () => {
    field.setSelectionRange(field.value.length, field.value.length); // to go on behind what is typed
    return field;
  } };
}
