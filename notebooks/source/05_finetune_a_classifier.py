# %% [markdown]
# # Fine-tune a classifier, on CPU or GPU
#
# Turn a storyteller into a spam filter by training an adapter of 5 % of its size.
#
# {sign:05}
#
# **You will be able to**
# - train LoRA on a task, and on data of your own
# - compare it with a new head alone and with full fine-tuning
# - decide when to use it, and with which settings
#
# **You need** notebook 03.
#
# **Time:** {path} minutes on the marked path ◆, {whole} in all, CPU or GPU.
# %% bootstrap
# %% [markdown]
# ## Can a storyteller spot spam?
# Our base has read only stories, and nobody has told it which messages are wanted (*ham*) and which
# are not (*spam*). Can LoRA teach it? Here are some messages that we invented. Change `"bundled"` to
# `"real"` to fetch the SMS Spam Collection instead.
# %%
from lora_edu import choose_device, load_pretrained, load_spam, load_tokenizer

SOURCE, device, encoding = "bundled", choose_device(), load_tokenizer("mini")
data = None  # so that nothing below runs on other messages, should a download fail
data = load_spam(SOURCE)
# %%
# @title Counts the messages, and shows four
from textwrap import shorten

from lora_edu.plots import table

ham = sum(example.label == 0 for example in data.validation) / len(data.validation)
for part, messages in data._asdict().items():
    print(f"{part}: {len(messages)} messages")
print(f"saying ham each time is right for {100 * ham:.0f} % of validation")
named = "ham", "spam"
seen = [[named[n], shorten(text, 84, placeholder=" …")] for text, n in data.train[3:7]]
table(["label", "message"], seen)
# %% [markdown]
# The messages come in three parts: **train** to learn from, **validation** to make choices by, and
# **test** to report on. Never choose by the test set, because the best of several scores flatters.
#
# ## Before: the base with a new head
# How does a model that writes give one of two answers? Our GPT ends in `model.head`, which scores 2,048
# possible next tokens. In its place comes a new **head** with two outputs, ham and spam: 386 numbers,
# all trained. It reads the message's last token, because only the last has seen all the others.
#
# **Exercise 1, own code.** Write `prepare(model)`, which changes a GPT in place. Only $A$, $B$ and the
# head may learn.
#
# - the six kinds in the list `layers` get LoRA, as its `targets`: rank 8 and alpha 2, as in notebook 03, and
#   `init="peft"`, which starts $A$ with smaller random numbers, as in our recorded runs
# - `nn.Linear(model.config.n_embd, 2)` becomes the head
# %% exercise="05.prepare"
from torch import nn

from lora_edu import freeze, replace_linear_with_lora
from lora_edu.exercises import check

layers = ["query", "key", "value", "out", "fc_in", "fc_out"]


def prepare(model):
    """Makes a GPT a classifier, of which only A, B and the new head learn."""
    # <solution>
    freeze(model)
    replace_linear_with_lora(model, 8, 2, targets=layers, init="peft")
    model.head = nn.Linear(model.config.n_embd, 2)
    # </solution>
    # <student>
    # ...  # your code
    # </student>


prepare_verdict = check("05.prepare", prepare)
prepare_verdict
# %% [markdown]
# <details><summary>Hint</summary>
# <code>freeze</code> stops whatever is there when you call it.
# </details>
# %%
# @title The base, prepared; by the course's three lines where yours have not passed
import torch

from lora_edu import count_parameters, lora_layers

if not prepare_verdict.passed:

    def prepare(model):
        freeze(model)
        replace_linear_with_lora(model, 8, 2, targets=layers, init="peft")
        model.head = nn.Linear(model.config.n_embd, 2)


model = load_pretrained("mini")
prepare(model)
torch.manual_seed(0)
for part in (*(layer.lora for layer in lora_layers(model).values()), model.head):
    part.reset_parameters()  # random as in the recorded runs, in whatever order yours drew
count = count_parameters(model.to(device))
print(f"{count.trainable:,} of {count.total:,} numbers learn")
# %%
from lora_edu import Batches, Split, classification_rows, classify

# train, validation and test once more: each message as its token ids and its class
rows = Split(*(classification_rows(part, encoding, max_tokens=64) for part in data))


def right(model, rows):
    """The share of rows that the model classifies rightly."""
    batches = Batches(rows, 64, shuffle=False)  # 64 at a time; short rows get padding at the end
    found = classify(model, batches)  # the head reads the last token before the padding
    return (found.predicted == found.labels).double().mean().item()


start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
before = right(model, rows.validation)
print(f"right before training: {100 * before:.0f} % of the validation messages")
# %% [markdown]
# Its head is still random, so it is right no more often than saying *ham* each time.
#
# ## LoRA learns the task
# Now train 5 % of its numbers. It repeats our first of five recorded runs, at the rate best on validation.
# %%
from lora_edu import data_path
from lora_edu.evaluation import best_rate, read_record

record = read_record(data_path("results", f"classifier_{SOURCE}.json"))
rates = {
    method: best_rate(record, stage="tune", base="mini", method=method)  # chosen on validation
    for method in ("head", "lora", "full")
}
LR, STEPS, ROWS = rates["lora"], record["about"]["steps"], record["about"]["batch_rows"]
print(f"learning rate {LR:g}, {STEPS} steps of {ROWS} messages")
# %% [markdown]
# Train as in 03. Every 16 steps, `judge` scores the validation messages:
# %%
from lora_edu import classification_loss, fit
from lora_edu.tasks import measures
from lora_edu.widgets.training_view import watch


def judge(model):
    return measures(classify(model, Batches(rows.validation, 64, shuffle=False)), "validation")


def train(follow):
    batches = Batches(rows.train, ROWS)  # shuffled
    how = {"lr": LR, "steps": STEPS, "evaluate": judge, "eval_every": 16}
    return fit(model, batches, classification_loss, callbacks=[follow], **how)


model.load_state_dict(start)  # run again, the cell trains from the start
at_first = judge(model)  # drawn at step 0
history = await watch(train, steps=STEPS, title="LoRA on spam", accuracy=True, before=at_first)
# %%
after = right(model, rows.validation)
done = f"after {history.last_step} of {STEPS} steps"
print(f"validation messages right: {100 * before:.0f} %, {done} {100 * after:.0f} %")
# %% [markdown]
# The training loss jumps, because a batch has only sixteen answers to score. So trust validation: there
# the storyteller went from 57 to 84 %.
#
# ## Type your own message
# You have a spam filter! Can you write spam that it takes for ham?
# %%
# @title Asks the model about one message
from functools import partial

from lora_edu import Example
from lora_edu.widgets.message_box import message_box


def ask(model, text, classes):
    """The class that the model gives to a text, and how sure it is, in per cent."""
    row = classification_rows([Example(text, 0)], encoding, max_tokens=64)
    chances = classify(model, Batches(row, 1)).probabilities[0]
    best = int(chances.argmax())
    return classes[best], round(100 * chances[best].item())


# %%
messages = (
    "You have won a free phone! Send your bank code today to get it.",
    "Can you bring bread on your way home? I will make soup.",
    "Your parcel is here. Pay £2 now or we send it back.",
)
filters = partial(ask, model, classes=["ham", "spam"])
message_box(filters, messages, encoding=encoding, max_tokens=64)
# %% [markdown]
# Whether you fooled it proves little, because you chose the messages. A fair verdict needs the whole
# test set, and rivals.
#
# ## Was LoRA worth it?
# Would less have done, or more been better? The cheapest way to make *this model* a spam filter is to
# train the **head alone**. It judges by what the base makes of a message, its
# *features*. The base is frozen, so they never change. The other extreme is **full** fine-tuning. And counting words needs no model at all.
# %%
import json

from lora_edu.evaluation import runs_of
from lora_edu.tasks import train_classifier

models = {"head": load_pretrained("mini", device=device), "lora": model}
models["full"] = load_pretrained("mini", device=device)
NAMES = {"head": "head alone", "lora": "LoRA", "full": "full"}  # for tables
for method in ("head", "full"):  # `steps` is for full; a head always makes 400
    train_classifier(models[method], method, rows.train, lr=rates[method], steps=STEPS)
# %%
# @title Your three models, the recorded runs, and counting words
compared = []
for method, each in models.items():
    runs = runs_of(record, stage="final", base="mini", labels="true", method=method)
    five = [100 * run["test_accuracy"] for run in runs]
    seeds = f"{sum(five) / 5:.0f} ({min(five):.0f} to {max(five):.0f})"
    shares = [f"{100 * right(each, part):.0f}" for part in (rows.validation, rows.test)]
    count = count_parameters(each).trainable
    compared.append([NAMES[method], *shares, seeds, f"{count:,}", f"{4 * count / 1e3:,.0f}"])
baselines = json.loads(data_path("results", "baselines.json").read_text())
counted = f"{100 * baselines[SOURCE]['words_and_pairs']['accuracy'][0]:.0f}"
compared.append(["words counted", "–", counted, "–", "–", "–"])
seen = ["validation, %", "test, %", "five seeds on test: mean (range)"]
note = "Each model is right more often on test: of our two sets, validation is the harder one."
table(["", *seen, "numbers trained", "their file, kB"], compared, note=note)

# %% [markdown]
# ✓ **Measured: LoRA does about as well as full fine-tuning, and trains 5 % of the numbers.** Over
# five seeds full fine-tuning scored 86 to 93 %, LoRA 88 to 92 %. These ranges overlap, so one run
# cannot tell which leads.
#
# But we invented these messages. What happens on real ones?
# %%
from lora_edu.widgets import predict, reveal

MORE, SAME, LESS = "over 12 points", "5 to 12 points", "under 5 points"
real_ham = 100 * (1 - baselines["real"]["spam_share_of_test"])
question = (
    f"Both trained anew on real messages, {real_ham:.0f} % of them ham: by how much does LoRA beat "
)
question += "a head alone?"
versus = predict(question, [MORE, SAME, LESS])
versus
# %%
# @title The answer: run it when you have predicted
real, means = read_record(data_path("results", "classifier_real.json")), {}
for method in models:
    runs = runs_of(real, stage="final", base="mini", labels="true", method=method)
    means[method] = sum(100 * run["test_accuracy"] for run in runs) / len(runs)
means["words counted"] = 100 * baselines["real"]["words_and_pairs"]["accuracy"][0]
means["always ham"] = real_ham
listed = [[NAMES.get(method, method), f"{mean:.1f} %"] for method, mean in means.items()]
right_of = table(["trained on real messages, tested on further ones", "right"], listed)
gap = means["lora"] - means["head"]
verdict = MORE if gap > 12 else LESS if gap < 5 else SAME
why = f"it is {gap:.1f} points: a head alone gets {means['head']:.1f} %, and LoRA found little of "
why += "what it misses. Counting words finds most of it; why, we did not test"
reveal(versus, verdict, because=why, measured=right_of)
# %% [markdown]
# **Takeaway:** LoRA was right about as often as full fine-tuning, from a file of 0.7 MB instead of 12.4, in 32 bits.
# But the task is easy, since counting words does about as well: on our messages it got 90 %, LoRA 91 %,
# and on the real ones it even beat LoRA, by 3.1 points.
#
# The memory for gradients and Adam shrank as much as the file. So LoRA saved you space. In so small a
# model it saves little time, and it scored no better than full
# fine-tuning. When is space what you lack?
#
# ## Should I use LoRA, and with what?
# Find your case in the first table, your settings in the second. The evidence, and what it does *not*
# show, is folded beneath. *Checkpointing* computes activations again instead of keeping them, and
# *QLoRA* keeps the base in 4 bits. *Alpha* is PEFT's: divided by rank 8, its 16 is the multiplier 2
# that you know.
# %%
from lora_edu.widgets.choosing import decision_tables

decision_tables()
# %% [markdown]
# But no table knows your data. Try it there.
#
# ## Bring your own data
# Any task of the form "this text, that label" works alike. You need a CSV file headed `text,label`,
# or JSONL with a `text` and a `label` in each line, and ten texts or more a label. The next
# cell writes one: pirate, waiter or anyone else?
# %%
# @title A file to try it with: own_texts.csv, in a temporary folder
import csv
import re
import tempfile
from pathlib import Path

from lora_edu import load_menu, load_tales

FILE = Path(tempfile.mkdtemp()) / "own_texts.csv"
speakers = {
    "pirate": [" ".join(re.split(r"(?<=[.!?]) ", tale)[:2]) for tale in load_tales().train],
    "waiter": [pair.sentence for pair in load_menu().train],
    "anyone": [text for text, label in load_spam().train if label == 0],
}
with FILE.open("w", newline="", encoding="utf-8") as file:
    lines = csv.writer(file)
    lines.writerow(["text", "label"])
    for who, texts in speakers.items():
        lines.writerows((text, who) for text in texts[:100])
        print(f"{who}: {shorten(texts[0], 75, placeholder=' …')}")
# %%
from lora_edu import load_texts

own, classes = load_texts(FILE)  # yours: load_texts("reviews.csv")
own_rows = Split(*(classification_rows(part, encoding, 64) for part in own))  # cut at 64 tokens
own_model = load_pretrained("mini", device=device)
train_classifier(own_model, "lora", own_rows.train, lr=LR, steps=30)
print(f"texts to train, validate, test: {', '.join(str(len(part)) for part in own)}")
print(f"{len(classes)} classes: {', '.join(classes)}")
own_right = right(own_model, own_rows.test)
print(f"right: {100 * own_right:.0f} % of {len(own.test)} texts that it never saw")
tale = "Ahoy! Me ship sailed through the storm all night, and the crew sang."
note = "The ship leaves at six, shall we meet at the port?"
answers = [[*ask(own_model, text, classes), text] for text in (tale, note)]
table(["it says", "sure, %", "of"], answers)
# %% [markdown]
# The model is nearly always right, yet takes the note for a waiter's! A score holds
# for texts *like those in the file*, and says nothing of others. With a file of your own, choose rate
# and steps on `own_rows.validation`.
#
# ## Deeper: could it be luck?
# On *our* messages, the 95 % intervals allow for luck in the five seeds and in the messages tested.
# LoRA's and the head's overlap a little, but message by message LoRA is ahead
# ([notebook 09](09_distrust_a_single_number.ipynb)).
# %%
# @title The figure: what is right, and what is kept
from lora_edu.evaluation import accuracy_score, digits, predictions_of, summarise
from lora_edu.plots import point_chart, show

about = record["about"]
truth, groups = digits(about["test_labels"]), torch.tensor(about["test_groups"])
sums, sizes = {}, {}
for method, name in NAMES.items():
    size = sizes[method] = 4 * count_parameters(models[method]).trainable
    kept = f"{size / 1e6:.1f} MB" if size > 1e5 else f"{size / 1e3:.1f} kB"
    runs = predictions_of(record, method=method)
    sums[f"{name}\nkeeps {kept}"] = summarise(truth, runs, accuracy_score, groups=groups)
head, lora, full = (100 * each.value for each in sums.values())
title = f"LoRA: {lora - head:.0f} points above a head alone, and "
title += f"{100 * sizes['lora'] / sizes['full']:.0f} % of full's bytes"

chart = point_chart(
    {name: 100 * each.value for name, each in sums.items()},
    {name: (100 * each.low, 100 * each.high) for name, each in sums.items()},
    label_format="{:.1f} %",
    title=title,
    y_label="test messages right (%)",
)
shown = f"Head alone {head:.1f} %, LoRA {lora:.1f} %, full {full:.1f} % of the test messages right"
show(chart, alt=f"{shown}. {title}.")
# %%
# @title Does each model of yours answer as the recorded one did?
alike = []
for method, each in models.items():
    said = classify(each, Batches(rows.test, 64, shuffle=False)).predicted
    recorded = predictions_of(record, method=method)[0]
    alike.append([NAMES[method], f"{(said == recorded).sum().item()} of {len(said)}"])
table(["your run", "the same answers as the recorded run"], alike)
# %% [markdown]
# ## Deeper: does LoRA save time?
# LoRA trains 5 % of the numbers. How much of a step is left? It has three stages, each worth about one
# forward pass: the forward pass itself, the way back, which takes the loss's gradient to each layer's
# *input*, and the gradients of the *weights*.
#
# **Exercise 2.** How many does each method need? A stage of which hardly anything is left counts as 0.
# For the head, suppose that the base runs anew at every step.
# %% exercise="05.work"
# <solution>
work = {"full": 3, "lora": 2, "head": 1}
# </solution>
# <student>
# work = {"full": ..., "lora": ..., "head": ...}
# </student>
check("05.work", work)
# %% [markdown]
# <details><summary>Hint</summary>
# How does the gradient get to the first block's A and B? And which weights need none?
# </details>
# %% [markdown]
# [All
# solutions](https://github.com/lora-edu/lora_edu/blob/main/notebooks/solutions/05_finetune_a_classifier.ipynb)
#
# Now the clock. Full and LoRA take turns, so that a busy moment hits both.
# %% tags=["nbval-ignore-output"]
# @title Times the steps
from statistics import median

from lora_edu.budget import interleaved_times, rounds_note, training_step

batch = next(Batches(rows.train, 16).epoch(0)).to(device)
timed = {"full": models["full"], "LoRA": model}
takes = {name: training_step(each, batch, classification_loss) for name, each in timed.items()}
times = interleaved_times(takes, rounds=8, limit_seconds=12)
clock = []
for name, steps in times.items():
    parts = [f"{1000 * median(part):.0f}" for part in zip(*steps)]
    whole = [1000 * sum(step) for step in steps]
    clock.append([name, *parts, f"{median(whole):.0f} ({min(whole):.0f} to {max(whole):.0f})"])
columns = ["milliseconds", "forward", "backward", "optimizer", "whole step (range)"]
table(columns, clock, note=rounds_note(len(times["full"])))
# %% [markdown]
# In so small a model the two are close, and our runs came out either way. LoRA does less in the backward pass and
# the optimizer, but each layer has two more thin products, and small operations cost far more time than
# their arithmetic. At GPT-2's width a LoRA step took 81 % of a full one in our
# [benchmarks](https://github.com/lora-edu/lora_edu/blob/main/benchmarks/RESULTS.md). Published results disagree: on GPT-3 175B Hu et al. 2021
# (section 4.2) measured 43.1 tokens a second with LoRA and 32.5 with full, but Biderman et al. 2024
# (section 4.7) found LoRA rather slower at a fixed batch size.
#
# ## Deeper: a learning rate for each method
# A rate that suits one method can ruin another, so each was tried at several:
# %%
# @title The loss of each method at each rate, from the record
import math

guess = -ham * math.log(ham) - (1 - ham) * math.log(1 - ham)
tried, spread = {}, []
for method in models:
    for run in runs_of(record, stage="tune", base="mini", method=method):
        tried.setdefault(run["key"]["lr"], {})[method] = f"{run['validation_loss']:.2f}"
    runs = runs_of(record, stage="final", base="mini", labels="true", method=method)
    seeds = [run["validation_loss"] for run in runs]
    spread.append(f"{NAMES[method]} {min(seeds):.2f} to {max(seeds):.2f}")
note = f"""Validation loss of one seed. Five seeds at the best rate: {", ".join(spread)}.
Guessing ham's share, {100 * ham:.0f} %, for every message: a loss of {guess:.2f}.
Recorded by {record["command"]}."""
rated = [(f"{lr:.5f}".rstrip("0"), tried[lr]) for lr in sorted(tried)]
found = [[lr, *(losses.get(method, "–") for method in NAMES)] for lr, losses in rated]
table(["learning rate", *NAMES.values()], found, marks_lowest=True, note=note)


# %% [markdown]
# At LoRA's best rate, 0.003, full fine-tuning is no better than guessing ham's share. The losses of
# a method's two best rates differ less than those of its seeds.
#
# **Exercise 3, own code.** Write `choose(runs)`: of runs with the entries `"lr"`, `"train_loss"`,
# `"validation_loss"` and `"test_accuracy"`, return the learning rate to go on with.
# %% exercise="05.choose"
def choose(runs):
    """The learning rate of the run to go on with; `runs` is a list of dicts."""
    # <solution>
    return min(runs, key=lambda run: run["validation_loss"])["lr"]
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("05.choose", choose)


# %% [markdown]
# <details><summary>Hint</summary>
# <code>min(runs, key=lambda run: run["…"])</code> returns the run whose entry is lowest. Which
# part of the data is there to choose on?
# </details>
#
# ## Deeper: two thirds, and a little more
# A layer of $d$ inputs and $d$ outputs needs $d^2$ multiplications a token for each stage. $A$ and $B$
# together need $2rd$ in each of the three. So, as [Schulman et al.
# 2025](https://thinkingmachines.ai/blog/lora/) count, LoRA's share is
#
# $$\frac{2 \cdot d^2 + 3 \cdot 2 r d}{3 \cdot d^2} = \frac{2}{3} + 2\,\frac{r}{d}$$
#
# **Exercise 4, own code.** A block has four such layers, and the MLP's two: $d \to 4d$ and $4d \to
# d$. Write LoRA's share for the whole block, all six adapted.
# %% exercise="05.share"
def share(width, rank):
    """Operations of a LoRA step / those of a full step, in a block."""
    # <solution>
    wide = 4 * width * width + 2 * width * 4 * width
    thin = 4 * rank * (width + width) + 2 * rank * (width + 4 * width)
    return (2 * wide + 3 * thin) / (3 * wide)
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("05.share", share)
# %% [markdown]
# <details><summary>Hint</summary>
# Add up in × out over the six layers, and rank × (in + out). How often does a step need which sum?
# </details>
# %% [markdown]
# PyTorch can count the operations of a step:
# %%
# @title The operations of a step in each method
from torch.utils.flop_counter import FlopCounterMode

from lora_edu.budget import block_share

PRODUCTS = torch.ops.aten.mm, torch.ops.aten.addmm


def operations(model):
    """Operations of one step, in the products of the linear layers."""
    with FlopCounterMode(display=False) as counter:
        classification_loss(model, batch).backward()
    model.zero_grad()
    return sum(counter.get_flop_counts()["Global"][product] for product in PRODUCTS)


counted = {method: operations(each) for method, each in models.items()}
parts = {NAMES[method]: count / counted["full"] for method, count in counted.items()}
parts["a block with LoRA, by the formula"] = block_share(model.config.n_embd, 8)
table(["", "operations, as a share of a full step's"], [[n, f"{p:.3f}"] for n, p in parts.items()])
# %% [markdown]
# The model's share is a little lower, because block 0's query, key and value need not pass a gradient on.
#
# `fuse` computes the same in fewer, larger operations. Does it save time? Where a range is wide, run it again.
# %%
import copy

from lora_edu.fused import fuse

timed["LoRA, fused"] = copy.deepcopy(model)
_ = fuse(timed["LoRA, fused"])
# %% tags=["nbval-ignore-output"]
# @title Times all three
takes = {name: training_step(each, batch, classification_loss) for name, each in timed.items()}
times = interleaved_times(takes, rounds=8, limit_seconds=12)
listed = []
for name, steps in times.items():
    part = [100 * sum(step) / sum(whole) for step, whole in zip(steps, times["full"])]
    listed.append([name, f"{median(part):.0f} %", f"{min(part):.0f} to {max(part):.0f} %"])
columns = ["", "time, of a full step's", "range"]
table(columns, listed, note=rounds_note(len(times["full"])))
# %% [markdown]
# ## Deeper: the same on a GPU, at 124 million parameters
# At GPT-2's size the question is *memory*. On a GPU `fit` uses *autocast*: 16 bits for products, which
# is faster, and 32 for weights.
# %%
# @title What full fine-tuning and LoRA need there, by the budget of notebook 04
from lora_edu import memory_budget
from lora_edu.budget import MODEL_SHAPES

SHAPE = MODEL_SHAPES["GPT-2 small (124M)"].with_classifier(2)
GPU_ROWS, GPU_TOKENS, needs = 16, 64, []
for method in ("full", "lora"):
    size = {"batch_size": GPU_ROWS, "length_tokens": GPU_TOKENS, "storage": "mixed"}
    # LoRA is on all six layers, so both keep all inputs for the backward pass; 16-bit copies of
    # weights and inputs that it needs count as activations
    need = memory_budget(SHAPE, method, rank=8, targets=layers, **size)
    fixed = need.weights_bytes + need.gradients_bytes + need.optimizer_bytes
    gb = [f"{each / 1e9:.2f}" for each in (fixed, need.activations_bytes)]
    needs.append([NAMES[method], *gb])
table(["GB", "weights, gradients, optimizer", "activations"], needs)
# %% [markdown]
# LoRA needs a quarter of the fixed part, but on all layers just as much for activations. We had no GPU;
# with yours, the cells below check this estimate.
# %%
# @title Functions that load GPT-2, and that train it and print time, memory and accuracy
from lora_edu import GPT, DownloadError, GPTConfig


def gpt2_and_rows():
    """GPT-2 and the messages in its tokens; offline, its shape and the bundled tokens."""
    try:
        gpt2, words, kind = load_pretrained("gpt2"), load_tokenizer("gpt2"), "real weights"
    except DownloadError:
        gpt2, words, kind = GPT(GPTConfig(50257, 1024, 12, 12, 768)), encoding, "random weights"
    parts = data.train, data.validation
    return gpt2, *(classification_rows(part, words, GPU_TOKENS) for part in parts), kind


def gpu_run(method, lr, steps=100):
    """Trains GPT-2 on the GPU; says how long a step takes and how much memory it needs."""
    gpt2, train_rows, validation_rows, kind = gpt2_and_rows()
    torch.cuda.reset_peak_memory_stats()
    size = {"steps": steps, "batch_size": GPU_ROWS}
    done = train_classifier(gpt2, method, train_rows, lr=lr, **size)
    peak, ms = torch.cuda.max_memory_allocated() / 1e9, 1000 * done.seconds / done.last_step
    share = right(gpt2, validation_rows)
    print(f"{method:4} | {kind}, {done.precision} | {ms:.0f} ms a step | peak {peak:.2f} GB")
    print(f"     | {100 * share:.1f} % of the validation messages right")


# %% tags=["nbval-ignore-output"]
if device.type == "cuda":
    print(torch.cuda.get_device_name())
    gpu_run("lora", lr=1e-3)
    gpu_run("full", lr=5e-5)
else:
    print("There is no CUDA GPU here. With one, this cell would load GPT-2 (124M) twice, train")
    print("100 steps of 16 messages with LoRA and then in full, and print for each the time of a")
    print("step, the peak of the GPU's memory, and the accuracy on validation.")


# %% [markdown]
# These two rates are not tuned, so compare time and memory only.
#
# Raschka's appendix E trains this filter at rank 16. As *printed*, LoRA is on every
# layer, the new head too, and alpha is the multiplier. The book's *repository* now divides alpha by the
# rank. In the *course*'s form the head learns in full. [A
# script](https://github.com/lora-edu/lora_edu/blob/main/scripts/reproduce_appendix_e.py) trained each
# for five epochs. SmolLM2 is
# [notebook 08](08_a_model_you_did_not_write.ipynb)'s model.
# %%
# @title What appendix E publishes, and what was recorded: compare within one model
def told(share):
    """Mean over the seeds, in parentheses its 95 % interval where there are several."""
    ends = f" ({share['low']:.1f} to {share['high']:.1f})" if share["low"] is not None else ""
    return f"{share['mean']:.1f}{ends}"


lines, parts = [], ("train", "validation", "test")
for name, of in (("mini", "mini GPT, our messages"), ("smollm2", "SmolLM2, our messages")):
    recorded = read_record(data_path("results", f"appendix_e_{name}.json"))
    for form, line in recorded["summary"].items():
        rate = f"{line['lr']:.5f}".rstrip("0")
        lines.append([of, form, rate, line["seeds"], *(told(line[p]) for p in parts)])
for form in ("repository", "printed"):
    shares = recorded["about"]["published"][form]
    rate = f"{recorded['summary'][form]['lr']:.5f}".rstrip("0")
    row = ["GPT-2, real ones, published", form, rate, 1]
    lines.insert(0, [*row, *(f"{shares[part]:.1f}" for part in parts)])
table(["model", "form", "rate", "seeds", "training, %", "validation, %", "test, %"], lines)
# %% [markdown]
# No form is shown to be better: within a model intervals overlap, or there is one seed.
#
# ## Three sentences to remember
# 1. LoRA made a spam filter by training 5 % of the numbers, and full fine-tuning was not shown to do
#    better.
# 2. ◇ A LoRA step still needs about two thirds of the arithmetic, because the gradient travels
#    back through frozen layers.
# 3. ◇ Every method gets its own learning rate, chosen on validation.
#
# ## Five questions
# 1. Why does the head read the last token?
# 2. ◇ Which of a training step's three stages does LoRA save?
# 3. Why not choose the learning rate by the test set?
# 4. Why can a head alone compute and store the base's outputs once, and LoRA not?
# 5. You have one small model and one task. What speaks for LoRA, and what against?
#
# <details><summary>Answers</summary>
# (1) It alone has seen the whole message. (2) Only the last, the weights' gradients. (3) The best of
# several scores flatters. (4) A and B change them at each step. (5) A small file and an untouched
# base; but full fine-tuning fits anyway, and LoRA is hardly faster.
# </details>
#
# ## Where next
# [Distrust a single number](09_distrust_a_single_number.ipynb), or train a model that writes, and
# measure what it forgets: [Fine-tune a generator](06_finetune_a_generator.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), table 2
# - Biderman et al. 2024, [LoRA Learns Less and Forgets Less](https://arxiv.org/abs/2405.09673)
# - Almeida et al. 2011, [SMS Spam Collection](https://doi.org/10.1145/2034691.2034742)
