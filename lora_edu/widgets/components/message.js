// A box for the learner's own message: what the model says of it comes above what it says of the others.
import { box, el } from "./kit.js";

const STYLE = `
.own { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 10px; }
.own input { flex: 1 1 260px; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 6px; }
li { display: grid; grid-template-columns: minmax(0, 1fr) 150px; gap: 4px 16px; align-items: center; padding: 7px 10px;
  border-left: 4px solid var(--frozen); border-radius: 4px; background: var(--card); }
li.yours { border-left-color: var(--lora); }
.bar { height: 6px; border-radius: 3px; background: var(--line); margin-top: 3px; }
.bar i { display: block; height: 100%; border-radius: 3px; background: var(--lora); }
@container (max-width: 480px) { li { grid-template-columns: minmax(0, 1fr); } }`;

/** What is read of a message: { verdict }. */
export const answer = ({ said, sure }) => ({ verdict: `${said}, ${sure} % sure` });

export function mount(host, { given }, ask) {
  const inside = box(host, "What the model says of messages", STYLE);
  const list = el("ol", { "aria-live": "polite" }, ...given.map(each => row(each)));
  const wrong = el("p", { class: "wrong", role: "alert" });
  const own = el("input", { type: "text", "aria-label": "Your own message", placeholder: "Your own message", "data-keeps-enter": "",
    keydown: event => event.key === "Enter" && send() });
  const button = el("button", { type: "button", click: () => send() }, "Ask the model");
  const send = async () => {
    const text = own.value.trim();
    if (button.disabled) return;
    wrong.replaceChildren(text ? "" : "Write a message first.");
    if (!text) return own.focus();
    button.disabled = true;
    const asked = el("li", { class: "yours" }, el("span", {}, text), el("span", {}, "asking …"));
    list.prepend(asked);
    try {
      asked.replaceWith(row(await ask(text), true));
      own.select();
    } catch (error) {
      asked.remove();
      wrong.replaceChildren(`That did not work. ${error.message}`);
    } finally {
      button.disabled = false;
    }
  };
  if (ask) inside.append(el("div", { class: "own" }, own, button), wrong);
  inside.append(list);
}

const row = (found, yours = false) => el("li", yours ? { class: "yours" } : {},
  el("span", {}, found.text, ...(found.note ? [" ", el("span", { class: "quiet" }, found.note)] : [])),
  el("span", {}, el("b", {}, answer(found).verdict), el("div", { class: "bar", "aria-hidden": "true" }, el("i", { style: `width:${found.sure}%` }))));
