# %% [markdown]
# # Fine-tune a classifier, on CPU or GPU
#
# Teach a small GPT to spot spam in three ways, and find out how far to trust the result.
#
# **You will be able to**
# - train a new head only, LoRA, and the whole model, each at its own learning rate
# - read training and validation curves
# - say what LoRA saves in parameters, bytes, arithmetic and time, and what it does not save
# - predict the arithmetic of a step, and say why its time need not follow
# - distrust a single number: intervals, seeds, and controls
#
# **You need** notebook 03, or: you know that LoRA adds a small trainable update beside frozen
# layers.
#
# **Time:** 45 minutes to read and try; running all cells takes about 60 seconds on a CPU with two
# cores (estimate for a GPU: 20 seconds, and a minute more for the CUDA section).
# %% bootstrap
# %% [markdown]
# ## The task
# Short messages, each spam (1) or wanted, called ham (0). The bundled set was written for this
# course from templates with blanks to fill in, and each template is in one part only. For real
# messages change one word: `"real"` fetches the SMS Spam Collection once, and checks it.
# %%
from lora_edu import load_spam

SOURCE = "bundled"  # or "real"
data = load_spam(SOURCE)
for message, label in data.train[:4]:
    print(f"{('ham', 'spam')[label]:4} | {message[:84]}")
# %% [markdown]
# Three splits with three jobs: **train** to learn, **validation** to choose, **test** to report,
# once, when nothing is left to choose. The classes are unequal.
# %%
for name, part in data._asdict().items():
    spam = sum(example.label for example in part)
    print(f"{name:10}: {len(part):4} messages, {spam / len(part):.1%} of them spam")
# %%
from lora_edu.widgets import predict, reveal

lazy = predict("A classifier calls every message ham. What is its accuracy on the test part, in %?")
lazy
# %%
labels = [example.label for example in data.test]
majority = 1 - sum(labels) / len(labels)
reveal(lazy, round(100 * majority, 1), because="each ham message is a right answer")
# %% [markdown]
# So accuracy alone can flatter. **F1** of spam leaves out the ham that is called ham. With *right*
# alarms, *false* alarms (ham called spam) and *missed* spam,
#
# $$F_1 = \frac{2 \cdot \text{right}}{2 \cdot \text{right} + \text{false} + \text{missed}}$$
#
# A worked example: of 3 spam messages one is found, and one ham message raises an alarm. Then
# $F_1 = 2 / (2 + 1 + 2) = 0.4$.
#
# **Exercise 1, fill in.** Complete `f1`. What does it give the lazy classifier?
# %% exercise="05.f1"
from lora_edu.exercises import check


def f1(labels, predicted):
    """F1 of spam (1); both arguments are lists of 0 and 1."""
    pairs = list(zip(labels, predicted))
    right = pairs.count((1, 1))
    # <solution>
    false = pairs.count((0, 1))
    missed = pairs.count((1, 0))
    return 2 * right / max(1, 2 * right + false + missed)
    # </solution>
    # <student>
    # false = ...  # ham, but called spam
    # missed = ...  # spam, but called ham
    # return ...  # a share; 0 where nothing was found
    # </student>


check("05.f1", f1)
# %% [markdown]
# <details><summary>Hint</summary>
# <code>pairs.count((0, 1))</code> counts label 0 with prediction 1. If there is neither spam nor
# an alarm the fraction is 0 / 0: <code>max(1, …)</code> below it avoids that.
# </details>
#
# ## What was tried before
# We compare three methods: a new output layer alone (`head`), LoRA, and all weights (`full`). To be
# fair, *each* gets its own learning rate. That takes more runs than fit into a lesson, so they are
# recorded: the file names the command that made it, and you can run it.
# %%
from lora_edu import data_path
from lora_edu.evaluation import read_record, runs_of
from lora_edu.tasks import METHODS

record = read_record(data_path("results", f"classifier_{SOURCE}.json"))
print(record["command"], "\n")
tuning = {m: runs_of(record, stage="tune", base="mini", method=m) for m in METHODS}
for method, runs in tuning.items():
    runs.sort(key=lambda run: run["key"]["lr"])
    tried = ", ".join(f"{run['key']['lr']:g}: {run['validation_loss']:.3f}" for run in runs)
    print(f"{method:4} | validation loss by learning rate | {tried}")


# %% [markdown]
# **Exercise 2, own code.** Write `choose(runs)`: given runs with the entries `"lr"`,
# `"train_loss"`, `"validation_loss"` and `"test_accuracy"`, return the learning rate to go on with.
# Losses fall when things get better.
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
# %%
from lora_edu.plots import figure, house_style, line_style, show

rates = {
    method: min(runs, key=lambda run: run["validation_loss"])["key"]["lr"]
    for method, runs in tuning.items()
}
title = "Lowest, of one run each: " + ", ".join(f"{m} {r:g}" for m, r in rates.items())
chart = figure(title, "learning rate", "validation loss (nats)")
with house_style():
    for index, (method, runs) in enumerate(tuning.items()):
        points = [(run["key"]["lr"], run["validation_loss"]) for run in runs]
        chart.axes[0].semilogx(*zip(*points), label=method, **line_style(index, method))
    chart.axes[0].legend()
show(chart, alt=f"Validation loss over learning rate, a curve for each method. {title}.")
# %% [markdown]
# Each point is one run with one seed. By how much would another seed move it?
# %%
from statistics import stdev

finals = {m: runs_of(record, stage="final", base="mini", labels="true", method=m) for m in METHODS}
for method, runs in finals.items():
    apart = stdev(run["validation_loss"] for run in runs)
    first, second = sorted(run["validation_loss"] for run in tuning[method])[:2]
    print(f"{method:4} | the five seeds below differ by {apart:.3f} (standard deviation)", end=" ")
    print(f"| the best rate leads by {second - first:.3f}")
# %% [markdown]
# **Takeaway:** the rate that suits one method can spoil another: on the bundled set LoRA is at its
# best at 0.003, and full fine-tuning near ln 2 = 0.69 there, which is guessing. A comparison at one
# shared rate says more about the rate than about the methods. But there the best rate of
# LoRA and of full leads the second best by less than seeds differ, and for full that second is a
# tenth of the best. So the curves rule out rates that are far off (full at 0.003, LoRA at 0.0003),
# and do not single out one that is best.
#
# ## A head alone
# The base ends in a layer with one output for each of 2,048 tokens. We take that layer off and put
# a new one in its place, a **head** with two outputs, read at the last token of the message: the
# only one that has seen all the others.
#
# If nothing but the head learns, the base gives the same features each time. So we compute them
# once and keep them; a training step of the head then costs next to nothing, and it may have many
# more: LoRA and full get equal numbers of steps, the head gets as many as it likes.
# %%
import math
import time

import torch

from lora_edu import (
    Batches,
    Split,
    choose_device,
    classification_rows,
    fit,
    load_pretrained,
    load_tokenizer,
)
from lora_edu.tasks import FeatureBatches, feature_loss, features, prepare_classifier

about, device = record["about"], choose_device()
encoding = load_tokenizer("mini")
rows = Split(*(classification_rows(part, encoding, about["max_tokens"]) for part in data))
print(len(rows.train), "training rows; device:", "CPU" if device.type == "cpu" else "GPU")
# %%
for who, steps, size in (
    ("head", about["head_steps"], about["head_batch_rows"]),
    ("LoRA and full", about["steps"], about["batch_rows"]),
):
    passes = steps * size / len(rows.train)
    print(f"{who:13} | {steps} steps of {size} messages, {passes:.2f} times through the rows")
# %% [markdown]
# `fit` is the one training loop of this course: AdamW, a learning rate that warms up and then
# falls, clipping. A loss to compare with: always to answer "one half" has the loss ln 2 ≈ 0.69.
# %%
head_only = load_pretrained("mini", device=device)
prepare_classifier(head_only, "head", seed=0)
start = time.perf_counter()
found = features(head_only, Batches(rows.train, 64, shuffle=False))
feature_seconds = time.perf_counter() - start
print("features:", tuple(found.shape), "| the head:", head_only.head)
# %%
targets = torch.tensor([row.target for row in rows.train], device=device)
batches = FeatureBatches(found, targets, about["head_batch_rows"], seed=0)
steps = about["head_steps"]
histories = {"head": fit(head_only.head, batches, feature_loss, lr=rates["head"], steps=steps)}
seconds = {"head": feature_seconds + histories["head"].seconds}
final_loss = sum(histories["head"].losses[-50:]) / 50
print("the loss fell to under 80 % of ln 2:", final_loss < 0.8 * math.log(2))
# %% [markdown]
# ## LoRA
# In this order: freeze everything, put updates beside the layers of the blocks, add the head. Both
# the scaling and the start of $A$ are written out, since "rank 8, alpha 16" alone says little.
# %%
from torch import nn

from lora_edu import count_parameters, freeze, replace_linear_with_lora

by_hand = load_pretrained("mini", device=device)
torch.manual_seed(0)
freeze(by_hand)
layers = ["query", "key", "value", "out", "fc_in", "fc_out"]
replace_linear_with_lora(by_hand, 8, 16, targets=layers, scaling="alpha/rank", init="peft")
by_hand.head = nn.Linear(by_hand.config.n_embd, 2).to(device)
print(count_parameters(by_hand))
# %% [markdown]
# These lines are what `prepare_classifier(model, "lora")` does, and what the recorded runs used. The proof:
# every tensor is the same.
# %%
lora = load_pretrained("mini", device=device)
prepare_classifier(lora, "lora", seed=0)
pairs = zip(by_hand.state_dict().items(), lora.state_dict().items(), strict=True)
same_tensors = all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)
print("every tensor the same:", same_tensors)
# %% [markdown]
# Now train. `evaluate` measures on validation, three times in the run.
#
# The view below draws loss and accuracy as they come. **Stop** holds the run after its current
# step, **Go on** takes it up there, and nothing is lost. (`await` lets clicks through while the
# cell runs. On Colab they wait for the cell: use its own stop button there, then **Go on**.) Let it
# finish before you go on to the cells below.
# %%
from lora_edu import classification_loss, classify
from lora_edu.tasks import measures
from lora_edu.widgets.training_view import watch

validation = Batches(rows.validation, 64, shuffle=False)
STEPS = about["steps"]


# %%
def train(model, method):
    """One run at the tuned rate, with the batches of the recorded seed 0, under a live view."""
    how = {
        "lr": rates[method],
        "steps": STEPS,
        "evaluate": lambda model: measures(classify(model, validation), "validation"),
        "eval_every": math.ceil(STEPS / 3),
    }
    batches = Batches(rows.train, about["batch_rows"], seed=0)
    return watch(
        lambda follow: fit(model, batches, classification_loss, callbacks=[follow], **how),
        steps=STEPS,
        title=f"{method} on spam",
        accuracy=True,
    )


# %%
lora = load_pretrained("mini", device=device)  # a fresh start, also if this cell is run again
prepare_classifier(lora, "lora", seed=0)
histories["lora"] = await train(lora, "lora")
print("LoRA:", histories["lora"].stopped, "after", histories["lora"].last_step, "steps")
# %% [markdown]
# ## Everything
# The same with all 3 million parameters trainable.
# %%
full = load_pretrained("mini", device=device)
prepare_classifier(full, "full", seed=0)
histories["full"] = await train(full, "full")
seconds |= {method: histories[method].seconds for method in ("lora", "full")}
print("full:", histories["full"].stopped, "after", histories["full"].last_step, "steps")
# %% [markdown]
# ## Read the curves
# Single batches jump, so the training lines show the mean of the last few steps.
# %%
from lora_edu.plots import Line, line_chart, smoothed, stacked_bars

lines = []
for method in ("lora", "full"):
    history = histories[method]
    points = [(row["step"], row["validation_loss"]) for row in history.evaluations]
    lines.append(Line(f"{method}, training", history.steps, smoothed(history.losses), points=False))
    if points:  # none if the run was stopped before the first
        lines.append(Line(f"{method}, validation", *zip(*points)))
above = all(
    done and done[-1]["validation_loss"] > smoothed(histories[m].losses)[-1] + 0.05
    for m, done in ((m, histories[m].evaluations) for m in ("lora", "full"))
)
title = "Both learn; validation stays above training" if above else "Both learn"
chart = line_chart(lines, title=title, x_label="step", y_label="loss (nats)")
show(chart, alt="Training losses of LoRA and full fine-tuning fall; validation is marked 3 times.")
# %% [markdown]
# One seed's curves jump. In the bundled set's record, over five seeds, validation lies above
# training. Not because messages were learnt by heart: LoRA and full read no message twice there
# (see the count above). The record has the test part, too; both parts have templates of their own.
# %%
print("method | last ten training losses | validation loss | test loss, means of five seeds")
for method in ("lora", "full"):
    runs = finals[method]
    last = sum(sum(run["losses"][-10:]) / 10 for run in runs) / len(runs)
    on = (sum(run[f"{part}_loss"] for run in runs) / len(runs) for part in ("validation", "test"))
    print(f"{method:6} | {last:24.3f} | {next(on):15.3f} | {next(on):.3f}")
# %% [markdown]
# **Takeaway:** a falling training loss says that the model learns messages *like these*. Whether it
# learns *spam*, messages from other templates must say. On the bundled set the test part comes out
# about as low as training, so what lies between is how hard the templates of a part happen to be:
# compare losses of one part with each other, not those of two parts. Where training falls on and
# validation rises, more steps do harm. One bad value in between is no such trend: three
# measurements show little more than first and last.
#
# ## Promise 3: only the small matrices were trained
# The third promise of LoRA is checked on the run that you have just made: every tensor of the base
# is compared with its file, and what each method has to keep is counted, at four bytes a number.
# %%
from lora_edu import same_bits

base = load_pretrained("mini", device=device).state_dict()
trained = {name.replace(".linear.", "."): tensor for name, tensor in lora.state_dict().items()}
names = [name for name in base if not name.startswith("head")]  # the head is a new one
unchanged = sum(same_bits(base[name], trained[name]) for name in names)
print(f"unchanged, bit for bit: {unchanged} of {len(names)} tensors of the base\n")
models = {"head": head_only, "lora": lora, "full": full}
for method, model in models.items():
    count = count_parameters(model)
    learning = f"{count.trainable:9,} numbers trained ({count.trainable / count.total:7.2%})"
    print(f"{method:4} | {learning} | {4 * count.trainable:10,} bytes to keep")
# %% [markdown]
# The promise holds. And the time? In the table, the head's seconds hold the one pass for the
# features, its time per step does not. Validation and drawing are in none of them. The next section
# times LoRA and full on the same batch, in turn. These are the digits of one machine; yours differ.
# %% tags=["nbval-ignore-output"]
from lora_edu import accuracy_interval, f1_interval

test = Batches(rows.test, 64, shuffle=False)
answers = {method: classify(model, test) for method, model in models.items()}
print("method | accuracy (95 % interval) | F1 of spam (95 %)    | seconds | per step")
for method, predictions in answers.items():
    a, f = accuracy_interval(predictions), f1_interval(predictions)
    per_step = 1000 * histories[method].seconds / histories[method].last_step
    print(
        f"{method:6} | {a.value:.1%} ({a.low:.1%} to {a.high:.1%}) | {f.value:.3f} ({f.low:.3f} to "
        f"{f.high:.3f}) | {seconds[method]:5.1f} s | {per_step:5.1f} ms"
    )
# %% [markdown]
# These are runs with one seed. The recorded run with that seed must say about the same:
# %%
for method, predictions in answers.items():
    recorded = runs_of(record, stage="final", base="mini", labels="true", method=method, seed=0)
    difference = accuracy_interval(predictions).value - recorded[0]["test_accuracy"]
    print(f"{method:4} | within 5 points of the recorded run: {abs(difference) < 0.05}")
# %% [markdown]
# **Takeaway:** LoRA trains about 5 % of the parameters and keeps 5 % of the bytes, but a step does
# not take 5 % of the time. (Intervals in this table are for these messages as if each stood alone;
# a better one follows below.)
#
# ## Where does a step's time go?
# First the arithmetic, then the clock. Predict before you read on.
# %%
PARTS = ["1 / 20, like the trainable parameters", "about 1 / 3", "about 2 / 3", "all of it"]
question = "Which part of the arithmetic of a full step does a LoRA step need?"
arithmetic = predict(question, PARTS)
arithmetic
# %% [markdown]
# A step has three stages, each worth about one forward pass through the model.
#
# | stage | what it computes |
# |---|---|
# | forward | the loss |
# | error backwards | how the loss changes with the *input* of each layer, from last to first |
# | gradients of weights | how the loss changes with the *weight* of each layer |
#
# **Exercise 3.** How many of the three does a step need in each method? Count a stage as 0 if
# hardly anything of it is left. For the head, suppose that no features are cached.
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
# The $A$ and $B$ of the first block need a gradient too. How does the error get there from the
# loss? And whose weights' gradients does nobody need?
# </details>
# %% [markdown]
# Count instead of arguing: torch can count the multiplications and additions of one step.
# %%
from torch.utils.flop_counter import FlopCounterMode

batch = next(Batches(rows.train, about["batch_rows"], seed=0).epoch(0)).to(device)
PRODUCTS = torch.ops.aten.mm, torch.ops.aten.addmm


def operations(model):
    """Floating-point operations of one step, in the products of the linear layers."""
    with FlopCounterMode(display=False) as counter:
        classification_loss(model, batch).backward()
    model.zero_grad()
    return sum(counter.get_flop_counts()["Global"][product] for product in PRODUCTS)


# %%
counted = {method: operations(model) for method, model in models.items()}
for method, count in counted.items():
    print(f"{method:4} | {count / counted['full']:.3f} of the operations of a full step")
need = counted["lora"] / counted["full"]
reveal(
    arithmetic,
    PARTS[2] if 0.5 < need < 0.8 else PARTS[3],
    because="the error travels back through all frozen layers",
)
# %% [markdown]
# Why is it more than two thirds? The thin products with $A$ and $B$ have all three stages. A
# worked example: a layer of $d$ inputs and $d$ outputs needs $d^2$ multiplications a token for each
# stage, $A$ and $B$ together $r \cdot 2d$. So LoRA's share is
#
# $$\frac{2 \cdot d^2 + 3 \cdot 2 r d}{3 \cdot d^2} = \frac{2}{3} + 2\,\frac{r}{d}$$
#
# **Exercise 4, own code.** A block has four such layers, and the MLP's two: $d \to 4d$ and
# $4d \to d$. All six are adapted. Write LoRA's share for the whole block.
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
# Add up in × out over the six layers, and rank × (in + out). The first sum is needed twice under
# LoRA and three times without it, the second three times.
# </details>
# %%
from lora_edu.budget import block_share, classifier_step_flops

width, tokens = lora.config.n_embd, batch.token_ids.numel()
yours, package = share(width, 8), block_share(width, 8)
verdict = "not tried yet" if yours is None else abs(yours - package) < 1e-9
print(f"2/3 + 1.5 r/d for a block: {package:.3f}; yours equal: {verdict}")
shape = {"rows": len(batch.lengths), "tokens": tokens}
for method, rank in (("full", None), ("lora", 8)):
    exact = classifier_step_flops(lora.config, rank=rank, **shape)
    print(f"{method:4} | all layers by the formula, as counted: {exact == counted[method]}")
# %% [markdown]
# The whole model needs a little less than its blocks: no one waits for the error at the frozen
# embeddings, so the first block's query, key and value hand none on. And the last block needs keys
# and values of all tokens, but the rest only where the head looks. (Attention's own products are in
# neither number. They are the same for both methods, and small for texts as short as these.)
#
# Operations are not seconds. The layers of `lora_edu` are written to be read. `fuse` lets LoRA's
# layers compute in fewer and larger operations, and computes layer norms and GELUs a second time in
# the backward pass in place of keeping their results. Loss and gradients are the same, and less is kept:
# that can be counted too, by a hook on whatever the forward pass keeps.
# %%
import copy

from lora_edu.budget import kept_bytes
from lora_edu.fused import fuse

timed = {"full": full, "LoRA": lora, "LoRA, fused": copy.deepcopy(lora)}
fuse(timed["LoRA, fused"])
losses = {name: classification_loss(model, batch).item() for name, model in timed.items()}
kept = {name: kept_bytes(model, batch, classification_loss) for name, model in timed.items()}
print("fused and readable, same loss:", math.isclose(*list(losses.values())[1:], rel_tol=1e-4))
for name, size in kept.items():
    print(f"{name:11} | keeps {size / kept['full']:.3f} of the bytes that a full step keeps")
# %% [markdown]
# Now the clock. The three take turns, so that a busy moment of your machine hits all of them, and
# the table has medians, of what fits into five seconds. The optimizer's learning rate is 0 here: as
# much work, and no change.
# %% tags=["nbval-ignore-output"]
from lora_edu.budget import interleaved_medians, training_step

takes = {name: training_step(model, batch, classification_loss) for name, model in timed.items()}
parts = interleaved_medians(takes, rounds=12, limit_seconds=5)
print("milliseconds | forward | backward | optimizer | whole step | of full")
for name, times in parts.items():
    ms = " | ".join(f"{1000 * t:{w}.1f}" for t, w in zip(times, (7, 8, 9)))
    whole, part = 1000 * sum(times), sum(times) / sum(parts["full"])
    print(f"{name:12} | {ms} | {whole:10.1f} | {part:6.0%}")
# %%
share_of_full = {name: sum(times) / sum(parts["full"]) for name, times in parts.items()}
readable, fused = share_of_full["LoRA"], share_of_full["LoRA, fused"]
title = f"A LoRA step took {100 * readable:.0f} % of a full step's time; "
title += f"fused, {100 * fused:.0f} %"
chart = stacked_bars(
    {name: [1000 * second for second in times] for name, times in parts.items()},
    parts=["forward", "backward", "optimizer"],
    title=title,
    x_label="milliseconds of one step",
)
alt = "One bar each for a full step, a LoRA step, and a LoRA step with fused layers"
show(chart, alt=f"{alt}: the milliseconds of its forward pass, backward pass and optimizer.")
# %% [markdown]
# **Takeaway:** counting says two thirds and a little; the clock need not agree.
#
# - *Forward*, LoRA does more than full fine-tuning, not less. *Backward* it saves the gradients of
#   the wide weights, and pays with thin products: little arithmetic, but each must be started, and
#   its inputs or outputs are as wide as its neighbour's. On a small model that eats up much of what
#   was saved; the wider the model, the smaller $r / d$, and the less it matters.
# - AdamW computes little, but for each trained number it reads four (weight, gradient, two moments)
#   and writes three. LoRA trains few numbers, so that most of this traffic is spared.
# - Fusing changes neither the formula nor the loss. It adds in place and starts less, and it keeps
#   less because it computes norms and GELUs twice. A full step could trade in the same way, and
#   here it does not: the first two bars compare the methods, the third shows what better code is
#   worth.
#
# ## Distrust a single number
# An accuracy on $n$ messages is itself a measurement. If the true share of right answers is $p$,
# each answer has variance $p(1-p)$, the mean of $n$ has $p(1-p)/n$, and 95 % of cases lie within
# 1.96 standard deviations.
#
# **Exercise 5, own code.** Write `half_width(accuracy, messages)`: half the width of the 95 %
# interval, as a share.
# %% exercise="05.half_width"
def half_width(accuracy, messages):
    """Half the width of the 95 % interval of an accuracy, as a share."""
    # <solution>
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / messages)
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("05.half_width", half_width)
# %% [markdown]
# <details><summary>Hint</summary>
# Variance of one answer, divided by the number of messages, square root, times 1.96. For accuracy
# 0.9 on 400 messages it is about 0.029, that is ± 2.9 points.
# </details>
# %% [markdown]
# The bundled messages come in families: those of one template tend to be right or wrong together,
# so the formula's interval is too narrow. The intervals below resample whole families.
#
# There is a second kind of luck: the **seed**, which decides where the head and $A$ start and in
# which order the batches come. Five recorded seeds show it. Their mean varies by $s / \sqrt 5$,
# where $s$ is the standard deviation between seeds. So few know their own $s$ only roughly, so it
# counts
# 2.8 times, by Student's $t$, in place of 1.96. Both kinds of luck together give half the width
# $\sqrt{(2.8 \, s / \sqrt 5)^2 + (1.96 \, s_\text{sample})^2}$.
# %%
from lora_edu.evaluation import accuracy_score, compare, digits, f1_score, summarise

truth, groups = digits(about["test_labels"]), torch.tensor(about["test_groups"])


def five_seeds(**key):
    """Predictions (seeds, messages) of the recorded final runs."""
    runs = runs_of(record, stage="final", **{"base": "mini", "labels": "true"} | key)
    return torch.stack([digits(run["predicted"]) for run in runs])


print("method | accuracy, 95 % interval  | F1     95 % interval    | from seeds | from the sample")
for method in METHODS:
    runs = five_seeds(method=method)
    a, f = (summarise(truth, runs, s, groups=groups) for s in (accuracy_score, f1_score))
    print(
        f"{method:6} | {a.value:.1%} ({a.low:.1%} to {a.high:.1%}) | {f.value:.3f} ({f.low:.3f} to "
        f"{f.high:.3f}) | ±{100 * a.seed_sd:.1f} pts   | ±{100 * a.sample_sd:.1f} pts"
    )
# %% [markdown]
# The last two columns are standard deviations of accuracy, in points: what another seed would
# change, and what another sample of messages would. Now the question that everybody asks. Both
# methods answered the same messages, so much of their common luck cancels in the *difference*.
# %%
question = "On this task, is full fine-tuning better than LoRA?"
versus = predict(question, ["full", "LoRA", "not shown"])
versus
# %%
pair = five_seeds(method="full"), five_seeds(method="lora")
gap = compare(truth, *pair, accuracy_score, groups=groups)
low, high = 100 * gap.low, 100 * gap.high
print(f"full minus LoRA: {100 * gap.value:+.1f} points ({low:+.1f} to {high:+.1f})")
verdict = "full" if gap.low > 0 else "LoRA" if gap.high < 0 else "not shown"
reveal(versus, verdict, because="the interval of the difference decides, not the larger mean")
# %% [markdown]
# ## Controls
# What deserves the credit? LoRA's own is its distance from the head alone, on the same base. And
# three controls ask what is left when something essential is taken away:
#
# - **words and pairs**: no GPT at all, just which words and pairs of neighbours occur, with a
#   logistic regression, fitted to all training messages until it converges. (A dashed line; the
#   intervals of the differences are below.)
# - **random base**: the same methods, with weights drawn at random instead of pre-trained
# - **shuffled labels**: LoRA on training messages whose labels were dealt out anew
#
# And one number that needs no model: the F1 of calling *every* message spam.
# %%
import json

from lora_edu.plots import bar_chart

settings = {m: {"method": m} for m in METHODS}
settings |= {f"{m}\nrandom\nbase": {"base": "random", "method": m} for m in METHODS}
settings["lora\nshuffled\nlabels"] = {"labels": "random", "method": "lora"}
scores = {
    name: summarise(truth, five_seeds(**key), f1_score, groups=groups)
    for name, key in settings.items()
}
# %%
baselines = json.loads(data_path("results", "baselines.json").read_text())
words = baselines[SOURCE]["words_and_pairs"]
by_words = digits(words["predicted"])[None]  # one run
over = {m: compare(truth, five_seeds(method=m), by_words, f1_score, groups=groups) for m in METHODS}
beaten = sum(gain.low > 0 for gain in over.values())
which = ("No method beats", "One method beats", "Two methods beat", "All methods beat")[beaten]
title = f"{which} words and pairs clearly"
precision = truth.double().mean().item()  # of calling all spam; its recall is 1
all_spam = {"all\nspam": 2 * precision / (1 + precision)}
chart = bar_chart(
    {name: score.value for name, score in scores.items()} | all_spam,
    intervals={name: (score.low, score.high) for name, score in scores.items()},
    reference=("words and pairs", words["f1"][0]),
    label_format="{:.3f}",
    title=title,
    y_label="F1 of spam on the test part",
)
alt = "F1 of head-only, LoRA and full; of the three from a random base; of two more controls"
show(chart, alt=f"{alt}, beside a model of words and pairs. {title}.")
# %%
for method, gain in over.items():
    numbers = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    print(f"{method:4} | minus words and pairs: F1 {numbers}")
pair = five_seeds(method="lora"), five_seeds(method="head")
gain = compare(truth, *pair, f1_score, groups=groups)
print(f"LoRA minus head, same base:  F1 {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})")
# %%
alike = torch.ones(len(truth))  # every message counts once
for method in METHODS:
    pair = five_seeds(method=method), five_seeds(method=method, base="random")
    gain = compare(truth, *pair, f1_score, groups=groups)
    told = "helps" if gain.low > 0 else "hurts" if gain.high < 0 else "is not shown to help"
    numbers = f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
    print(f"{method:4} | pre-training {told}: F1 {numbers}")
    for name, runs in zip(("mini", "random base"), pair):
        each = ", ".join(f"{score:.3f}" for score in sorted(f1_score(truth, runs, alike).tolist()))
        print(f"       F1 of the five seeds, {name:11}: {each}")
# %%
shuffled = five_seeds(method="lora", labels="random")
print("shuffled labels, messages called spam, by seed:", shuffled.sum(1).tolist(), end=" ")
print(f"of {len(truth)}, of which {int(truth.sum())} are")
always_ham = torch.zeros_like(shuffled[:1])
for method in METHODS:
    pair = five_seeds(method=method, base="random"), always_ham
    gain = compare(truth, *pair, accuracy_score, groups=groups)
    points = [f"{100 * value:+.0f}" for value in (gain.value, gain.low, gain.high)]
    print(f"{method:4}, random base, minus always ham: {{}} points ({{}} to {{}})".format(*points))
# %% [markdown]
# **Takeaway:** each control answers its own question. What LoRA adds is its distance from the head
# on the same base: on the bundled set it is shown, on the real one it is not. What a GPT adds over
# counting words: on the bundled set nothing that these messages could show, and the head alone does
# worse; on the real messages words come further still (change `SOURCE` and see). What pre-training
# adds: the lines above, by method. What needs no learning at all is the last bar, as F1 has no
# floor at zero: on the bundled set a random base is not shown to beat it by F1 (where one failed
# seed widens full's interval); by accuracy it beats to answer "ham" always. And with shuffled
# labels most runs hardly say spam; the others follow whatever the shuffled labels happened to
# favour.
#
# Look at the seeds, too: where one of five runs goes wrong, the interval gets wide, and "not shown"
# may say no more than that. And that pre-training helps one method and is *not shown* to help
# another does not show that they differ: for that, the gains themselves would have to be compared.
#
# ## The same on a GPU, at 124 million parameters
# The cells above use a GPU without edits if there is one: `choose_device` finds it, and `fit`
# computes in bf16 where the card has it and in fp16 with loss scaling on a T4. At GPT-2's size the
# question changes: what does a step need in *memory*? First by the arithmetic of notebook 04, which
# needs no GPU.
# %%
from lora_edu import memory_budget
from lora_edu.budget import MODEL_SHAPES

SHAPE = MODEL_SHAPES["GPT-2 small (124M)"].with_classifier(2)
GPU_ROWS, GPU_TOKENS = 16, 64
for method in ("lora", "full"):
    size = {"batch_size": GPU_ROWS, "length_tokens": GPU_TOKENS, "storage": "mixed"}
    need = memory_budget(SHAPE, method, rank=8, targets=layers, **size)
    fixed = need.weights_bytes + need.gradients_bytes + need.optimizer_bytes
    print(
        f"{method:4} | weights, gradients, optimizer {fixed / 1e9:.2f} GB"
        f" | activations {need.activations_bytes / 1e9:.2f} GB"
    )
# %% [markdown]
# Now for real, with GPT-2's weights if they can be fetched. Without a network a random model of the
# same shape stands in: as fast and as large, but without pre-training, as in the control above.
# %%
from lora_edu import GPT, DownloadError, GPTConfig


def gpt2_and_rows():
    """GPT-2 and the messages in its tokens; offline, its shape and the bundled tokens."""
    try:
        model, words, kind = load_pretrained("gpt2"), load_tokenizer("gpt2"), "real weights"
    except DownloadError:
        model, words, kind = GPT(GPTConfig(50257, 1024, 12, 12, 768)), encoding, "random weights"
    train_rows = classification_rows(data.train, words, GPU_TOKENS)
    validation_rows = classification_rows(data.validation, words, GPU_TOKENS)
    return model, train_rows, validation_rows, kind


# %%
def gpu_run(method, lr, steps=100):
    """Trains GPT-2 on the GPU; says how long a step takes and how much memory it needs."""
    model, train_rows, validation_rows, kind = gpt2_and_rows()
    prepare_classifier(model, method, seed=0)
    torch.cuda.reset_peak_memory_stats()
    history = fit(model, Batches(train_rows, GPU_ROWS), classification_loss, lr=lr, steps=steps)
    peak = torch.cuda.max_memory_allocated() / 1e9
    score = accuracy_interval(classify(model, Batches(validation_rows, 64, shuffle=False)))
    step_ms = 1000 * history.seconds / history.last_step
    print(
        f"{method:4} | {kind}, {history.precision} | {step_ms:.0f} ms a step | peak {peak:.2f} GB"
        f" | validation accuracy {score.value:.1%} ({score.low:.1%} to {score.high:.1%})"
    )


# %% tags=["nbval-ignore-output"]
if device.type == "cuda":
    print(torch.cuda.get_device_name())
    gpu_run("lora", lr=1e-3)
    gpu_run("full", lr=5e-5)
else:
    print("There is no CUDA GPU here. With one, this cell would load GPT-2 (124M) twice, train")
    print("100 steps of 16 messages with LoRA and then in full, and print for each the time of a")
    print("step, the peak of the GPU's memory, and the accuracy on validation, about a minute.")
# %% [markdown]
# These two learning rates are not tuned: compare time and memory here, not accuracy. LoRA saves the
# optimizer's states and the gradients of the frozen weights. The activations stay: norms, attention
# and GELU need theirs to hand the error on, and each adapted layer keeps its input for the gradient
# of its $A$.
#
# ## Three sentences to remember
# 1. LoRA trains and keeps a few per cent of the parameters, but a step still needs about two thirds
#    of the arithmetic.
# 2. Every method gets its own learning rate, chosen on validation; the test set is opened once.
# 3. A number without an interval, seeds and controls is an anecdote.
#
# ## Five questions
# 1. Why can the features be cached for a head alone, and not for LoRA?
# 2. Which of the three stages of a training step does LoRA save, and which not?
# 3. Why may the test set not help to choose the learning rate?
# 4. When is 95 % accuracy worthless?
# 5. Two methods differ by one point on 300 messages. What would you do before you tell anyone?
#
# <details><summary>Answers</summary>
# (1) The base's outputs never change if nothing inside it learns; A and B change them at each step.
# (2) It saves the gradients of the frozen weights; the forward pass and the error's backward pass
# stay. (3) The score would then be the best of several, so it would flatter. (4) Where 95 % of the
# cases are of one class. (5) Look at the interval of the paired difference over several seeds, and
# add what its larger part asks for: more seeds, or more messages.
# </details>
#
# ## Where next
# Train a model that writes, and measure what it forgets: [Fine-tune a
# generator](06_finetune_a_generator.ipynb). Keep what you trained, and switch it on and off:
# [Adapters as files](07_adapters_as_files.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), table 2: classification with RoBERTa
# - Almeida et al. 2011, [SMS Spam Collection](https://doi.org/10.1145/2034691.2034742)
# - Zhang et al. 2017, [Understanding deep learning requires rethinking
#   generalization](https://arxiv.org/abs/1611.03530): given many passes, networks learn even
#   shuffled labels by heart; our runs have less than one
# - Biderman et al. 2024, [LoRA Learns Less and Forgets Less](https://arxiv.org/abs/2405.09673)
