# %% [markdown]
# # Adapters as files
#
# Turn what LoRA learnt into a small file: put it on, take it off, blend it, merge it, trade it.
#
# {sign:07}
#
# **You will be able to**
# - save an adapter, look inside, and load it in a fresh process
# - recognise three silent mistakes
# - switch between adapters, blend them exactly, and merge them
# - trade adapters with PEFT
# - ◇ say what merging loses, and what thousands of tasks cost on disk
# - ◇ serve eight adapters in one batch
#
# **You need** basic PyTorch and LoRA's formula, repeated below. Notebook 03 helps.
#
# **Time:** {path} minutes on the marked path ◆, {whole} in all, on a CPU; less on a GPU. Hints and
# the questions at the end come on top.
# %% bootstrap
# %% [markdown]
# ## What is there to save?
# LoRA puts an update beside a frozen linear layer:
#
# $$y = x W + b + \text{multiplier} \cdot x A B$$
#
# All that is learnt is in $A$ and $B$, and in a new head if there is one. So keep just that. Train
# for a moment on a pirate's tales, to have something to save:
# %%
# @title Imports the model, the tales, and the training loop
import torch

from lora_edu import (
    Batches,
    choose_device,
    fit,
    freeze,
    load_pretrained,
    load_tales,
    load_tokenizer,
    next_token_loss,
    replace_linear_with_lora,
    text_rows,
)
from lora_edu.exercises import check
from lora_edu.widgets import predict, reveal

# %%
encoding, device = load_tokenizer("mini"), choose_device()  # a GPU if there is one
model = load_pretrained("mini", device=device)
freeze(model)
torch.manual_seed(0)
replace_linear_with_lora(model, rank=8, alpha=16, targets="blocks.*", scaling="alpha/rank")
batches = Batches(text_rows(load_tales().train, encoding, 64), batch_size=8, seed=0)
history = fit(model, batches, next_token_loss, lr=2e-3, steps=20)
print(f"{history.trainable_parameters:,} numbers were trained in {history.last_step} steps")
# %% [markdown]
# The base has 3.1 million numbers of two bytes each, in half precision: 6.2 MB. The adapter will be
# saved in half precision too.
# %%
size = predict("How many kB will the adapter's file take?")
size
# %%
import tempfile
from pathlib import Path

from lora_edu import base_fingerprint, data_path, save_adapter

fingerprint = base_fingerprint("mini")
folder = Path(tempfile.mkdtemp()) / "pirate"
folder = save_adapter(model, folder, base_fingerprint=fingerprint, dtype=torch.float16)
# %%
# @title The answer: run it when you have predicted
from lora_edu.plots import table

base_bytes = data_path("mini_gpt", "model.safetensors").stat().st_size
adapter_bytes = (folder / "adapter_model.safetensors").stat().st_size
files = [[path.name, f"{path.stat().st_size / 1000:.0f}"] for path in sorted(folder.iterdir())]
each = adapter_bytes // history.trainable_parameters
why = f"{history.trainable_parameters:,} numbers of {each} bytes, and a header"
reveal(size, round(adapter_bytes / 1000), because=why, measured=table(["file", "kB"], files))
# %% [markdown]
# ## What is in the two files?
# One is JSON and says how to use the matrices. Its entries are those of PEFT, Hugging Face's
# library, so that others can read it. `r` is the rank, and PEFT multiplies by `lora_alpha / r`, or
# by `lora_alpha / √r` if `use_rslora` is true. `modules_to_save` would name a trained head; we have
# none. The other file has the matrices: an $A$ and a $B$ for each adapted layer, here with its bytes
# to scale.
# %%
from lora_edu.plots import drawing

drawing("adapter_folder")
# %% [markdown]
# This second file starts with the length of its header. The header is JSON again and gives each
# tensor's type, shape and place. After it come the numbers, and nothing else. That matters: without
# code in it, a file can't run any when you load it. A *pickle*, which `torch.save` writes, can,
# unless you load it with `weights_only=True`, the default since PyTorch 2.6. So you can read the
# header by hand:
# %%
import json

data = (folder / "adapter_model.safetensors").read_bytes()
length = int.from_bytes(data[:8], "little")
header = json.loads(data[8 : 8 + length])
header["base_model.model.blocks.0.attention.key.lora_A.weight"]
# %% [markdown]
# Here, too, names and layout are PEFT's, which stores $A$ and $B$ transposed to ours. In
# `header["__metadata__"]` there is more, and all but `format` is our own addition. A **fingerprint**
# is a checksum of the base's file; `sha256` is one of this file's own content. An adapter means
# nothing without its base, so give `load_adapter` the fingerprint of yours, and it refuses an adapter
# made for another one.
# %% [markdown]
# ## Does it come back?
# The test is another Python process, which shares nothing with this one but the files.
# %%
import subprocess
import sys

PROGRAM = """
import sys, torch
from safetensors.torch import save_file
from lora_edu import attach, base_fingerprint, load_adapter, load_pretrained
folder, result = sys.argv[1:]
model = load_pretrained("mini")
attach(model, load_adapter(folder, base_fingerprint=base_fingerprint("mini")))
with torch.no_grad():
    save_file({"logits": model(torch.arange(64).view(2, 32))}, result)
"""
result = folder.parent / "logits.safetensors"
done = subprocess.run([sys.executable, "-c", PROGRAM, str(folder), str(result)])
print("the other process ended with code", done.returncode)
# %%
# @title Compares the logits of both processes, and of the base alone
from safetensors.torch import load_file

tokens = torch.arange(64, device=device).view(2, 32)
with torch.no_grad():
    here, there = model.eval()(tokens).cpu(), load_file(result)["logits"]
    bare = load_pretrained("mini", device=device)(tokens).cpu()
rows = [
    ["a logit of this process", f"{here.abs().max():.0f}"],
    ["its difference from the other process", f"{(here - there).abs().max():.3f}"],
    ["its difference from the base alone", f"{(here - bare).abs().max():.0f}"],
]
note = f"The adapter's file has {100 * adapter_bytes / base_bytes:.1f} % of the size of the base's."
table(["", "largest"], rows, note=note)
# %% [markdown]
# It does, up to rounding, because the file keeps 11 binary digits of each number.
#
# **Modify:** in the first section save with `dtype=torch.float32`, and run from there to here
# again. Then do it again with `float16`.
#
# <details><summary>What to look for</summary>
# On one machine the difference is 0, because both processes do the same arithmetic. With a GPU some
# 0.0001 may remain.
# </details>
# %% [markdown]
# ✓ **The fourth of [LoRA's promises](00_start_here.ipynb), one small file per task: measured.** You
# can save what was learnt and have it back. Still open is what can go wrong on the way.
# %% [markdown]
# ## Three quiet mistakes
# Which mistakes raise no error? First, someone loads the file by hand.
# %%
fresh = load_pretrained("mini", device=device)
replace_linear_with_lora(fresh, rank=8, alpha=16, targets="blocks.*", scaling="alpha/rank")
tensors = load_file(folder / "adapter_model.safetensors")
skipped = fresh.load_state_dict(tensors, strict=False)
# %% [markdown]
# The file has PEFT's names, the model has ours, and `strict=False` skips what doesn't match.
# Second, someone loads a spam filter without its *head*, the new layer with two outputs that was
# trained with it.
# %%
# @title Reads the spam filter that ships and 96 messages, and tells what is right
import dataclasses

from torch import nn

from lora_edu import attach, classification_rows, classify, detach, load_adapter, load_spam

spam = load_adapter(data_path("adapters", "spam"), base_fingerprint=fingerprint)
rows = classification_rows(load_spam().validation[:96], encoding, 64)
messages = Batches(rows, batch_size=32, shuffle=False)


def accuracy(model):
    predictions = classify(model, messages)
    return (predictions.labels == predictions.predicted).float().mean().item()


# %%
with_head, without = (load_pretrained("mini", device=device) for _ in range(2))
attach(with_head, spam)
attach(without, dataclasses.replace(spam, heads={}))  # a copy of the adapter, without its head
guessed = []
for seed in range(5):
    torch.manual_seed(seed)
    without.head = nn.Linear(192, 2, device=device)  # a new head, as before training
    guessed.append(accuracy(without))
# %% [markdown]
# Third, someone *merges* an adapter, that is, adds its update to the weights. Later they take these
# weights for the base's, and attach the same adapter again. Then the update is there twice: in the
# weights, and beside them.
# %%
from lora_edu import lora_layers, merge_and_unload, set_strength

tales = load_adapter(data_path("adapters", "tales"), base_fingerprint=fingerprint)
twice = load_pretrained("mini", device=device)
attach(twice, tales)  # puts tales beside the weights
merge_and_unload(twice)  # adds it to the weights; they look like a base's again
attach(twice, tales)  # and puts it beside them once more
# %%
# @title Counts how many times a weight holds the update
base = load_pretrained("mini", device=device)
layer = twice.blocks[0].attention.query
moved = layer.linear.weight - base.blocks[0].attention.query.weight
update = layer.lora.delta().T
print(f"in the weight: {(moved.norm() / update.norm()):.1f} times the update; beside it: another")
# %% [markdown]
# **Exercise 1.** Which mistake has which symptom? Fill in `"there twice"`, `"not loaded"` or
# `"head lost"`. *Strength* is a factor on what stands beside the weights: 1 as trained, 0 off.
# %% exercise="07.mistakes"
symptoms = [
    "each time it is loaded, the same messages get other labels",
    "at strength 0 the outputs are still not the base's",
    "outputs equal the base's, bit for bit",
]
# <solution>
mistakes = dict(zip(symptoms, ["head lost", "there twice", "not loaded"]))
# </solution>
# <student>
# mistakes = dict(zip(symptoms, [..., ..., ...]))
# </student>
check("07.mistakes", mistakes)
# %% [markdown]
# <details><summary>Hint</summary>
# What is missing, or there once too often? A new B is zero.
# </details>
# %%
# @title Shows the three symptoms
with torch.no_grad():
    first_to_base = (fresh(tokens) - base(tokens)).abs().max().item()
print(f"1. loaded by hand: largest difference of a logit from the base's: {first_to_base}")
right = 100 * accuracy(with_head)
ham = sum(row.target == 0 for row in rows) / len(rows)
print(f"2. right of these {len(rows)}: with its head {right:.0f} %,", end=" ")
print(f"always “not spam” {100 * ham:.0f} %,", end=" ")
print(f"with five new heads {100 * min(guessed):.0f} to {100 * max(guessed):.0f} %")
if lora_layers(twice):
    set_strength(twice, 0)
with torch.no_grad():
    left = (twice(tokens) - base(tokens)).abs().max()
print(f"3. merged, then attached: at strength 0, logits differ from the base's by up to {left:.0f}")
# %% [markdown]
# On 515 test messages it was 92 % (notebook 00); validation is harder (notebook 05). Why do five
# new heads differ so much? What they read, the adapter has already pulled apart into spam and not
# spam. So a random head gets it right, or the wrong way round, or something in between.
#
# How would you notice? `load_adapter` translates PEFT's names and brings the head along. `attach`
# refuses a model without the right layers, but it doesn't look at the weights. So loading catches
# the third mistake only if you give the fingerprint of the file that you loaded:
# %%
import textwrap

from lora_edu import AdapterError, save_pretrained

merged_folder = folder.parent / "merged"
if lora_layers(twice):
    detach(twice)
save_pretrained(twice, merged_folder)
try:
    load_adapter(data_path("adapters", "tales"), base_fingerprint=base_fingerprint(merged_folder))
except AdapterError as error:
    print(textwrap.fill(str(error).replace(str(data_path("adapters", "tales")), "tales"), 92))
# %% [markdown]
# So `load_adapter` and `attach` spare you the first two mistakes, and the fingerprint shows you the
# third. Now that an adapter is loaded as it should be, how do you change it for another?
#
# ## How do you change behaviour?
# Keep one base in memory and many adapters beside it. `switch` takes one off and puts another on.
# The drawing has the three adapters that ship with the course, to scale.
# %%
drawing("one_base")
# %% [markdown]
# `tales` talks like a pirate, and `menu` makes a sentence from a list of facts.
# %%
from lora_edu import generate_text, switch

menu = load_adapter(data_path("adapters", "menu"), base_fingerprint=fingerprint)
before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
prompts = {"tales": "One day, Tom went to the", "menu": "name[Old Oak], dish[apple pie]\n"}
for name, adapter in (("tales", tales), ("menu", menu)):
    switch(base, adapter)
    print(f"{name}: {generate_text(base, encoding, prompts[name], 20)}\n")
detach(base)
# %%
# @title Compares the base's tensors with those from before
from lora_edu import same_bits

after = base.state_dict()
unchanged = sum(same_bits(before[name], after[name]) for name in before)
print(f"{unchanged} of {len(after)} tensors are as before, bit for bit")
# %% [markdown]
# **Investigate:** in a new cell, call `switch(base, tales)` and `set_strength(base, 0.5)`, and
# generate a text; then with `-1`. End with `detach(base)`.
#
# <details><summary>What to look for</summary>
# At 0.5 our Tom was at sea, without pirates. At -1 his story fell apart.
# </details>
# %% [markdown]
# ## Merge: what is gained, what is lost?
# Why merge? An attached adapter costs two more products in each layer. In our measurements a
# forward pass takes 5 to 17 % longer (`benchmarks/RESULTS.md`). Once a model is only used, you can
# save that time. The update has the weight's own shape, so add it to the weight. If you did that to
# one layer in notebook 02, the next exercise is a repetition; here you merge a whole model, and
# take the update out again.
# %%
drawing("merge")


# %% [markdown]
# **Worked example**, for the formula $y = x W$ with $W$ of shape (in, out):
#
# $$x W + m \cdot x A B = x (W + m A B)$$
#
# **Exercise 2, fill in.** An `nn.Linear` stores its weight as (out, in). What is its merged weight?
# %% exercise="07.merge"
def merged_weight(weight, A, B, multiplier):
    """The weight (out, in) of a linear layer with the update in it; `weight` is left as it is."""
    # <solution>
    return weight + multiplier * (A @ B).T
    # </solution>
    # <student>
    # return weight + ...
    # </student>


verdict = check("07.merge", merged_weight)
verdict
# %% [markdown]
# <details><summary>Hint</summary>
# <code>A @ B</code> is (in, out). A matrix is transposed with <code>.T</code>.
# </details>
# %% [markdown]
# Is yours what the course does?
# %%
# @title Takes the course's function where yours does not pass yet
if not verdict.passed:

    def merged_weight(weight, A, B, multiplier):
        return weight + multiplier * (A @ B).T


whose = "yours and the course's" if verdict.passed else "not yours yet, the course's twice"
# %%
from lora_edu import merge

switch(base, tales)
layer = base.blocks[2].mlp.fc_in
kept = layer.linear.weight.detach().clone()
with torch.no_grad():
    mine = merged_weight(kept, layer.lora.A, layer.lora.B, layer.lora.multiplier)
    beside = base(tokens)
    merge(base)
    inside = base(tokens)
# %%
# @title Compares both weights, and the logits merged and beside
off = (mine.float() - layer.linear.weight).abs().max()
print(f"{whose}: largest difference of a weight: {off:.4f}")
print(f"largest difference of a logit, merged or beside: {(inside - beside).abs().max():.2f}")
# %% [markdown]
# Can you take it out again? PEFT subtracts the update, which leaves a rounding error. The course
# keeps the old weight instead, so a merged layer takes twice the memory.
# %%
GROWTH = ["it adds up", "it stays as after the first time"]
cycles = predict("Add and subtract the same update 100 times: how does the error grow?", GROWTH)
cycles
# %%
from lora_edu import unmerge

unmerge(base)


def added_and_subtracted(weight, update, times):
    for _ in range(times):
        weight = (weight + update) - update
    return weight


# %%
# @title The answer: run it when you have predicted
with torch.no_grad():
    update = layer.lora.delta().T
    off = {n: added_and_subtracted(kept, update, n) - kept for n in (1, 100)}
changed = [
    [f"added and subtracted, {n} times", f"{100 * (error != 0).float().mean():.0f} %"]
    for n, error in off.items()
]
changed.append(["after unmerge", f"{100 * (layer.linear.weight != kept).float().mean():.0f} %"])
grown = off[100].norm() > 2 * off[1].norm()
why = "the first sum drops digits, later ones find none to drop"
measured = table(["the old weight", "numbers of it that differ"], changed)
reveal(cycles, GROWTH[0 if grown else 1], because=why, measured=measured)


# %% [markdown]
# That holds for one and the same update. With another adapter each time the error does add up,
# because each sum drops other digits.
#
# A merged adapter costs no time, and with the old weight kept, it comes out again exactly. Still
# open is whether all of a small update gets *in*, since each sum is rounded. A deeper section below
# measures that.
#
# ## Deeper: can you mix two adapters?
# Half a pirate, half a menu: the update we want is $\tfrac12 A_1 B_1 + \tfrac12 A_2 B_2$. It is
# tempting to average $A_1$ with $A_2$ and $B_1$ with $B_2$.
#
# **Exercise 3, own code.** Write `average(first, second)`. Each is a pair (A, B), and so is the
# result. Its rank is at most the sum of theirs.
# %% exercise="07.blend"
def average(first, second):
    """(A, B) with A @ B = (A1 @ B1 + A2 @ B2) / 2."""
    # <solution>
    (a1, b1), (a2, b2) = first, second
    return torch.cat([a1, a2], dim=1), torch.cat([b1, b2], dim=0) / 2
    # </solution>
    # <student>
    # ...  # your code
    # </student>


verdict = check("07.blend", average)
verdict
# %% [markdown]
# <details><summary>Hint</summary>
# Write out [A1 A2] times [B1 below it B2]: row times column. <code>torch.cat([a1, a2],
# dim=1)</code> puts matrices side by side, <code>dim=0</code> below each other.
# </details>
# %% [markdown]
# Is it right, and how far off is the tempting way? Try that, too, with another way to write the
# menu adapter: for any invertible matrix $M$, $A_2 M$ and $M^{-1} B_2$ have the same product.
# %%
# @title Takes the course's function where yours does not pass yet
if not verdict.passed:

    def average(first, second):
        return torch.cat([first[0], second[0]], 1), torch.cat([first[1], second[1]]) / 2


whose = "yours and the course's" if verdict.passed else "not yours yet, the course's twice"
# %%
from lora_edu import blend

both = blend([tales, menu], [0.5, 0.5])
name = "blocks.3.mlp.fc_out"
pairs = [[t.float() for t in adapter.matrices[name]] for adapter in (tales, menu)]
a, b = average(*pairs)
course_a, course_b = both.matrices[name]
unit = tales.multiplier  # menu's is the same
off = ((unit * a @ b).float() - both.multiplier * course_a @ course_b).abs().max()
print(f"{whose}: ranks {a.shape[1]} and {both.rank}")
print(f"largest difference of the products: {off:.3f}")


# %%
def missed_by_averaging(turn):
    """How far the tempting way misses, once the second pair is (A M, M⁻¹ B) with M = turn."""
    missed = size = 0.0
    for where in tales.matrices:
        (a1, b1), (a2, b2) = ([t.float() for t in each.matrices[where]] for each in (tales, menu))
        a2, b2 = a2 @ turn, turn.T @ b2  # a rotation's inverse is its transpose
        wanted, tempting = (a1 @ b1 + a2 @ b2) / 2, (a1 + a2) @ (b1 + b2) / 4
        missed += (tempting - wanted).square().sum().item()
        size += wanted.square().sum().item()
    return (missed / size) ** 0.5


rotation = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0))).Q
straight, turned = 100 * missed_by_averaging(torch.eye(8)), 100 * missed_by_averaging(rotation)
print(f"averaging A and B misses by {straight:.0f} % of the average's size")
print(f"with the same menu adapter, written as A M and M⁻¹ B: by {turned:.0f} %")
# %% [markdown]
# Why? $(A_1 + A_2)(B_1 + B_2) / 4$ is *half* of what we want, which alone misses by 50 %, plus
# cross terms that no task has learnt. And there is a deeper reason: $A$ and $B$ are not determined.
# Written with $M$, the adapter is the same, but as you just saw, it has another average.
#
# In PEFT's `add_weighted_adapter`, the exact way is `combination_type="cat"`. `"svd"` cuts the sum
# down to a lower rank, and `"linear"` adds the factors, cross terms and all. Even in an exact sum,
# tasks can clash. TIES drops small entries and settles conflicting signs; DARE drops entries at
# random and scales up the rest. PEFT has both.
#
# So you can blend two adapters exactly. Whether the blend is good at both tasks, you have to test.
# %% [markdown]
# ## Trade with PEFT
# PEFT reads the folder that you saved, and we read what PEFT saves. The course's tests go both
# ways; this cell goes one way, where PEFT is installed.
# %% tags=["nbval-ignore-output"]
from importlib.util import find_spec

if find_spec("peft"):
    import peft

    theirs = peft.PeftModel.from_pretrained(load_pretrained("mini", device=device), folder).eval()
    with torch.no_grad():
        print(f"PEFT's logits differ from ours by {(theirs(tokens).cpu() - there).abs().max():.3f}")
else:
    print("PEFT is not installed here.")
# %% [markdown]
# This is the end of the marked path. You can save an adapter, load it safely, switch and merge it,
# and hand it to others. Still open is what merging loses, what many tasks cost, and how one batch
# serves them.
#
# ## Deeper: what does merging lose?
# In exact arithmetic, nothing. In a computer, $W + \Delta W$ is rounded to the weight's type, and
# the last digits of a small update fall off. In the answer's table *update lost* is the share that
# didn't arrive, and the outputs are compared with those of float64, which has the most digits.
# %%
types = ["float32", "bfloat16", "float16"]
worst = predict("In which type does merging lose most of the update?", types)
worst
# %%
# @title Rounds errors up to the next power of ten
import math

from lora_edu import merge_errors

switch(base, tales)  # also if you come back from further down
errors = {str(e.dtype).removeprefix("torch."): e for e in merge_errors(base, tokens)}


def below(value):
    """The next power of ten above a value; digits would differ between processors."""
    return f"{10.0 ** math.ceil(math.log10(value)):.7f}".rstrip("0")


# %%
lost = table(
    ["computed in", "output, unmerged", "output, merged", "update lost"],
    [[name, *map(below, (e.unmerged, e.merged, e.update_lost))] for name, e in errors.items()],
)
most = max(errors, key=lambda name: errors[name].update_lost)
# %%
# @title The answer: run it when you have predicted
why = "it keeps 8 binary digits, float16 keeps 11, float32 24"
reveal(worst, most, because=why, measured=lost)
# %% [markdown]
# Merged or not, the output has the error of its type. Even bfloat16 loses less than a hundredth of
# this strong update. But the rounding is that of $W$, however small the update. What is lost of a
# weaker one?
# %%
switch(base, tales)
found = {}
for strength in (1, 0.1, 0.01):
    set_strength(base, strength)
    found[strength] = merge_errors(base, tokens)[1]  # in bfloat16
set_strength(base, 1)
table(
    ["strength", "update lost in bfloat16", "output's error, merged / unmerged"],
    [[s, f"{e.update_lost:.1g}", f"{e.merged / e.unmerged:.0f}"] for s, e in found.items()],
)


# %% [markdown]
# **Takeaway:** in few digits, a weaker update loses a larger share. Beside the weight, $A$ and $B$
# keep their digits. Yet the merged output was no worse here, even with half of the update lost,
# because computing in bfloat16 rounds everything else too, and beside that the loss doesn't show.
#
# A **quantised base** needs more care. To save memory, its weights are rounded to four bits, that
# is, to 16 levels. QLoRA trains an adapter beside such weights. Merge it into 16-bit weights, or
# round the sum to 4 bits again, and you get another model than you trained. So test it again, or
# leave the adapter beside.
# %% [markdown]
# ## Deeper: what do thousands of tasks cost?
# One task's file is small beside the base. But what if you have a task for every customer?
#
# **Exercise 4, fill in.** How many bytes do `n_tasks` tasks take, with one base and an adapter for
# each?
# %% exercise="07.bytes"
def bytes_of_tasks(base_bytes, adapter_bytes, n_tasks):
    """Bytes on disk of one base and `n_tasks` adapters."""
    # <solution>
    return base_bytes + n_tasks * adapter_bytes
    # </solution>
    # <student>
    # return ...
    # </student>


verdict = check("07.bytes", bytes_of_tasks)
verdict
# %% [markdown]
# <details><summary>Hint</summary>
# What is stored once, and what is stored for every task?
# </details>
# %%
saved = predict("16,384 tasks: how many times less room than 16,384 full models?")
saved
# %%
# @title Draws the bytes over the number of tasks
from lora_edu.plots import Line, line_chart, picture

if not verdict.passed:

    def bytes_of_tasks(base_bytes, adapter_bytes, n_tasks):
        return base_bytes + n_tasks * adapter_bytes


tasks = [1, 4, 16, 64, 256, 1024, 4096, 16_384]
models = [n * base_bytes / 1e6 for n in tasks]
adapters = [bytes_of_tasks(base_bytes, adapter_bytes, n) / 1e6 for n in tasks]
ratio = models[-1] / adapters[-1]
chart = line_chart(
    [Line("N full models", tasks, models), Line("one base, N LoRA adapters", tasks, adapters)],
    title=f"At 16,384 tasks adapters take {ratio:.0f} times less room",
    x_label="number of tasks N",
    y_label="on disk (MB)",
    x_log2=True,
    y_log10=True,
)
alt = "Two curves over the number of tasks: first a little apart, at the end far, and parallel."
why = "base / adapter; the one base hardly counts any more"
reveal(saved, round(ratio), because=why, measured=picture(chart, alt))
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# You pay for the base once, so in the long run only the adapter's size counts. A
# larger model with the same rank gains more, as notebook 04 shows.
#
# </details>
# %% [markdown]
# ## Deeper: can one batch serve eight tasks?
# The LoRA paper (section 4.2) names a limit: once $A$ and $B$ are absorbed into $W$, it isn't easy
# to batch inputs of different tasks. So don't absorb them. All rows share $x W$, and each takes
# its own $A$ and $B$ from a stack:
# %%
where = "blocks.0.attention.query"
A, B = (torch.stack([each.matrices[where][i].float() for each in (tales, menu)]) for i in (0, 1))
which = [0, 1, 0]  # the adapter of each row: tales, menu, tales
x = torch.randn(3, 5, 192, generator=torch.Generator().manual_seed(0))  # three rows of five tokens
update = tales.multiplier * x @ A[which] @ B[which]  # menu's multiplier is the same
print(f"{tuple(x.shape)} @ {tuple(A[which].shape)} @ {tuple(B[which].shape)}", end=" ")
print(f"= {tuple(update.shape)}")
alone = [tales.multiplier * row @ A[n] @ B[n] for row, n in zip(x, which)]
off = (update - torch.stack(alone)).abs().max()
print(f"largest difference from each row by itself: {off:.3f}")
# %% [markdown]
# `MixedAdapters` does so in every layer. Two adapters and six blends stand for eight tasks. The two
# have rank 8 and the blends rank 16, so how can their matrices be in one stack? The smaller ones
# are filled up with zeros: $A$ gets eight more columns, $B$ eight more rows, and $A B$ stays what
# it was. A row without an adapter has zeros only. These zeros are multiplied in vain, which is why
# large servers have programs of their own for it (S-LoRA, below).
# %%
from lora_edu import MixedAdapters

eight = {"tales": tales, "menu": menu} | {
    f"blend {w}": blend([tales, menu], [w, 1 - w]) for w in (-0.5, 0.25, 0.5, 0.75, 1.5, 2.0)
}  # blend w is w · tales + (1 − w) · menu
if lora_layers(base):
    detach(base)
mixed = MixedAdapters(base, eight)
names = [*eight, None]  # the last row: no adapter
ids = [encoding.encode_ordinary("Once upon a time, there was a")] * len(names)
ids = torch.tensor(ids, device=device)
with mixed.rows(names), torch.no_grad():
    together = base(ids)
# %%
# @title The same nine rows, each alone
alone = []
for name in names:
    if name is not None:
        switch(base, eight[name])
    elif lora_layers(base):
        detach(base)
    with torch.no_grad():
        alone.append(base(ids[:1]))
alone = torch.cat(alone)
print(f"one batch against each alone: logits differ by {(together - alone).abs().max():.3f}")
spread = min((together[0] - row).abs().max().item() for row in together[1:])
print(f"the first row against the others: by {spread:.1f} at least")
# %% [markdown]
# Inside the `with` block `generate` works too, even with prompts of different lengths. The shorter
# ones are filled up on the right, and `lengths` says where each ends, so that no filling is ever
# read. While a short prompt is already continued, a longer one still reads its own tokens.
# %%
from torch.nn.utils.rnn import pad_sequence

from lora_edu import generate

asked = [(name, prompts["tales"]) for name in ("tales", "blend 0.5", None)]
asked.insert(1, ("menu", prompts["menu"]))
ids = [torch.tensor(encoding.encode_ordinary(text), device=device) for _, text in asked]
lengths = [len(row) for row in ids]
with mixed.rows([name for name, _ in asked]):
    filled = pad_sequence(ids, batch_first=True)
    written = generate(base, filled, 20, lengths=lengths, stop_id=encoding.eot_token)
# %%
# @title What each row's adapter wrote
from lora_edu.plots import cards, to_last_word

said = {}
for (name, text), row, length in zip(asked, written.tolist(), lengths):
    new = [i for i in row[length : length + 20] if i != encoding.eot_token]
    answer = to_last_word(encoding.decode(new).strip())
    said[name or "no adapter"] = f"Prompt, {length} tokens: {text.strip()}\n\nIt writes: {answer}"
cards(said)
# %% [markdown]
# The first two go on as before, and `blend 0.5` has both the pirate's sea and the menu's *good
# place for*. On the mini GPT, eight adapters in one batch are 3.7 to 5.6 times as fast as one by
# one, and at GPT-2's size 3.5 to 3.9 times (`benchmarks/RESULTS.md`). PEFT does it with
# `generate(..., adapter_names=[...])`. Two limits: all adapters need the same base, and none may
# bring a head.
#
# **Make:** in `asked`, give one opening to several, "blend -0.5" and "blend 2.0" among them.
#
# <details><summary>What to look for</summary>
# Between 0 and 1 ours stayed readable; outside they fell apart.
# </details>
# %% [markdown]
# ## Deeper: three matrices in one
# What if the other library cuts the model up in another way? Hugging Face's class for GPT-2 can
# hold our weights, but its query, key and value are one matrix, `c_attn`. So three updates of rank
# 8 become one of rank 24, whose $B$ has blocks:
#
# $$x\,[A_q\;A_k\;A_v]\begin{bmatrix}B_q&0&0\\0&B_k&0\\0&0&B_v\end{bmatrix}
# = [x A_q B_q,\; x A_k B_k,\; x A_v B_v]$$
#
# PEFT divides alpha by the rank, so this layer needs three times the alpha. `save_for_gpt2` does
# all that, and `load_from_gpt2` undoes it.
# %%
from lora_edu import load_from_gpt2, save_for_gpt2

gpt2_folder = save_for_gpt2(load_adapter(folder), folder.parent / "gpt2")
config = json.loads((gpt2_folder / "adapter_config.json").read_text())
joined = "transformer.h.0.attn.c_attn"
print(f"rank {config['r']} and alpha {config['lora_alpha']}; for {joined}:")
print(f"rank {config['rank_pattern'][joined]} and alpha {config['alpha_pattern'][joined]:g}")
ours = load_adapter(folder).matrices
back = load_from_gpt2(gpt2_folder, base_fingerprint=fingerprint).matrices
same = [same_bits(x, y) for name in ours for x, y in zip(ours[name], back[name], strict=True)]
print(f"written and read again: {sum(same)} of {len(same)} matrices the same, bit for bit")
# %% [markdown]
# This loads it in PEFT. If you continue training there, the zeros won't stay zero.
#
# ```python
# from transformers import GPT2LMHeadModel
# gpt2 = GPT2LMHeadModel.from_pretrained(data_path("mini_gpt"))
# gpt2 = peft.PeftModel.from_pretrained(gpt2, gpt2_folder)
# ```
#
# ## Three sentences to remember
# 1. A task is a small file, and means nothing without its base.
# 2. Only the product of A and B is determined: add updates, never average factors.
# 3. A merged adapter adds no arithmetic; ◇ one beside the weights lets one base serve many tasks in
#    one batch.
#
# ## Five questions
# 1. What is in the two files, and what of the training run is not?
# 2. An adapter is loaded and the outputs equal the base's bit for bit. What happened?
# 3. Why does the course keep the old weight instead of subtracting?
# 4. ◇ Why does a bfloat16 weight lose more of a merged update than $A$ and $B$ lose beside it?
# 5. ◇ Three updates of rank 8 for query, key and value: which rank do they get in `c_attn`, and
#    what happens to alpha?
#
# <details><summary>Answers</summary>
# (1) A, B, a trained head and how to use them; not the base, the optimizer's state or the data. (2)
# No A and no B took part: the names didn't match and nobody looked. (3) Adding and subtracting
# rounds twice; the old tensor is exact. (4) The sum is rounded to the digits of the larger weight;
# A and B keep their own. (5) 24, and alpha is three times as large.
# </details>
#
# ## Where next
# Do the same to a real language model: [A model you did not
# write](08_a_model_you_did_not_write.ipynb). Which rank, which alpha? [Choose rank, alpha and
# learning rate](10_choose_rank_alpha_rate.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), sections 4.1 and 4.2
# - Goldberg 1991, [What Every Computer Scientist Should Know About Floating-Point
#   Arithmetic](https://doi.org/10.1145/103162.103163), theorem 5: add and subtract
# - Chen et al. 2023, [Punica](https://arxiv.org/abs/2310.18547), and Sheng et al. 2023,
#   [S-LoRA](https://arxiv.org/abs/2311.03285): batches of different adapters
# - Ilharco et al. 2022, [Task Arithmetic](https://arxiv.org/abs/2212.04089), Yadav et al. 2023,
#   [TIES](https://arxiv.org/abs/2306.01708), Yu et al. 2023,
#   [DARE](https://arxiv.org/abs/2311.03099)
