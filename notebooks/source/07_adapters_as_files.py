# %% [markdown]
# # Adapters as files
#
# You turn what LoRA learnt into a small file: put it on, take it off, blend it, merge it, trade it.
#
# **You will be able to**
# - save an adapter, read its two files, and load it in a fresh process with the same outputs
# - recognise three mistakes that raise no error: not loaded, head lost, merged twice
# - switch between adapters, set their strength, and blend them exactly
# - merge an adapter into the weights and take it out again exactly, and say what merging costs
# - count the bytes of one base with thousands of tasks, and serve eight adapters in one batch
# - trade adapters with PEFT, on our GPT and on Hugging Face's GPT-2
#
# **You need** basic PyTorch, and LoRA's formula, repeated below. Notebook 03 helps.
#
# **Time:** 50 minutes to read and do; running all cells takes about 30 seconds on a CPU with two
# cores (estimate for a GPU: 15 seconds).
# %% bootstrap
# %% [markdown]
# ## Something to save
# LoRA puts an update beside a frozen linear layer:
#
# $$y = x W + b + \text{multiplier} \cdot x A B$$
#
# All that is learnt lies in $A$ and $B$ (and in a new head, if there is one). They and a few
# settings are kept. We train for a moment on tales in a pirate's voice, to have something to save.
# %%
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
    same_bits,
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
# The base's file holds 3.1 million numbers in half precision, which makes 6.2 MB. The adapter will
# be saved in half precision too: two bytes a number.
# %%
size = predict("How many kB will the adapter's weights take?")
size
# %%
import tempfile
from pathlib import Path

from lora_edu import base_fingerprint, data_path, save_adapter

folder, fingerprint = Path(tempfile.mkdtemp()) / "pirate", base_fingerprint("mini")
save_adapter(model, folder, base_fingerprint=fingerprint, dtype=torch.float16)
base_bytes = data_path("mini_gpt", "model.safetensors").stat().st_size
adapter_bytes = (folder / "adapter_model.safetensors").stat().st_size
for path in sorted(folder.iterdir()):
    print(f"{path.name:26} {path.stat().st_size / 1000:6.0f} kB")
why = f"{history.trainable_parameters:,} numbers of two bytes, and a header"
reveal(size, round(adapter_bytes / 1000), because=why)
# %% [markdown]
# ## Look inside
# The configuration is JSON, and says how to use the matrices: `r` is the rank, and PEFT multiplies
# by `lora_alpha / r`, or by `lora_alpha / √r` if `use_rslora` is true. `modules_to_save` would name
# a head that was trained in full; here is none.
# %%
import json

config = json.loads((folder / "adapter_config.json").read_text())
for key in ("peft_type", "r", "lora_alpha", "use_rslora", "modules_to_save"):
    print(f"{key:16} {config[key]}")
first, *others = config["target_modules"]
print(f"target_modules   {first} and {len(others)} more")
# %% [markdown]
# The other file begins with eight bytes that say how long its header is. The header is JSON again:
# for each tensor its type, its shape and where its numbers lie. Behind it come the numbers, and
# nothing else. No code is in such a file, so none can run when it is loaded. A *pickle*, which
# `torch.save` writes, can run anything where it is loaded with `weights_only=False`, which was the
# default before PyTorch 2.6.
# %%
data = (folder / "adapter_model.safetensors").read_bytes()
length = int.from_bytes(data[:8], "little")
header = json.loads(data[8 : 8 + length])
stated = header.pop("__metadata__")
for name in sorted(header)[:2]:
    print(name, header[name]["dtype"], header[name]["shape"])
print(f"{len(header)} tensors; stated beside them: {', '.join(sorted(stated))}")
# %% [markdown]
# Both names and layout are those of PEFT, Hugging Face's library for LoRA and its relatives. It
# stores $A$ and $B$ transposed to ours. Of what is stated beside the tensors all but `format` is
# ours, and PEFT passes over it. The `base_fingerprint` is a hash of the base's file: beside other
# weights, an adapter's results are not what was measured. (The same weights in another type are
# another file, and have another hash.)
#
# ## Load it in a fresh process
# The test that counts: another Python, which shares nothing with this one but the files. It loads
# base and adapter, and writes down its logits.
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
print("the other process ended well:", done.returncode == 0)
# %%
from safetensors.torch import load_file

tokens = torch.arange(64, device=device).view(2, 32)
with torch.no_grad():
    here, there = model.eval()(tokens).cpu(), load_file(result)["logits"]
    bare = load_pretrained("mini", device=device)(tokens).cpu()
print("largest difference of a logit below 0.05:", ((here - there).abs().max() < 0.05).item())
print("from the base alone it is above 1:       ", ((here - bare).abs().max() > 1).item())
print(f"size of the adapter's file next to the base's: {adapter_bytes / base_bytes:.1%}")
# %% [markdown]
# Not equal bit for bit, since we stored half precision: that rounds every number of $A$ and $B$ to
# 11 binary digits.
#
# **Modify:** save with `dtype=torch.float32`, run the cells from there to here again, and make the
# tolerance smaller. How far down can you go? (Put `float16` back and run those cells again before
# you go on.)
#
# <details><summary>What to look for</summary>
# On one machine both processes do the same arithmetic on the same numbers: the difference is 0. On
# a GPU some 0.0001 may remain, as the other process computes on the CPU.
# </details>
#
# ✓ **The fourth of LoRA's promises, one small file per task: measured.** A task is a file of the
# size just printed, with a page of settings, and a fresh process gets the model back from it, but
# for that rounding.
#
# ## Three quiet mistakes
# None of these three raises an error. First: someone loads the file by hand.
# %%
fresh = load_pretrained("mini", device=device)
replace_linear_with_lora(fresh, rank=8, alpha=16, targets="blocks.*", scaling="alpha/rank")
fresh.load_state_dict(load_file(folder / "adapter_model.safetensors"), strict=False)
base = load_pretrained("mini", device=device)
with torch.no_grad():
    first_is_base = same_bits(fresh(tokens), base(tokens))
# %% [markdown]
# The names in the file are PEFT's, those of the model are ours. `strict=False` passes over names
# that do not match, and returns them: print what `load_state_dict` returns. Second: an adapter that
# sorts spam from other messages, without the *head*, the layer with two outputs that was trained
# with it.
# %%
from dataclasses import replace

from torch import nn

from lora_edu import attach, classification_rows, classify, detach, load_adapter, load_spam

spam = load_adapter(data_path("adapters", "spam"), base_fingerprint=fingerprint)
rows = classification_rows(load_spam().validation[:96], encoding, 64)
messages = Batches(rows, batch_size=32, shuffle=False)


# %%
def accuracy(model):
    predictions = classify(model, messages)
    return (predictions.labels == predictions.predicted).float().mean().item()


with_head, without = (load_pretrained("mini", device=device) for _ in range(2))
attach(with_head, spam)
attach(without, replace(spam, heads={}))
guessed = []
for seed in range(5):
    torch.manual_seed(seed)
    without.head = nn.Linear(192, 2, device=device)  # a new head, as before training
    guessed.append(accuracy(without))
ham = sum(row.target == 0 for row in rows) / len(rows)
# %% [markdown]
# Third: someone *merges* an adapter, that is, adds its update to the weights themselves (more on
# this below), takes the result for the base, and attaches the same adapter again. (`switch` puts an
# adapter on, whether or not there is one.)
# %%
from lora_edu import lora_layers, merge, set_strength, switch

tales = load_adapter(data_path("adapters", "tales"), base_fingerprint=fingerprint)
switch(base, tales)
merge(base)
layer = base.blocks[0].attention.query
twice = load_pretrained("mini", device=device)
with torch.no_grad():
    for name, merged in lora_layers(base).items():
        twice.get_submodule(name).weight.copy_(merged.linear.weight)
attach(twice, tales)
plain = load_pretrained("mini", device=device).blocks[0].attention.query.weight
moved = twice.blocks[0].attention.query.linear.weight - plain
update = layer.lora.delta().T
print("the weight has moved by the update already:", torch.allclose(moved, update, atol=1e-5))
detach(base)
# %% [markdown]
# **Exercise 1.** Which mistake has which symptom? Fill in `"merged twice"`, `"not loaded"` or
# `"head lost"`.
# %% exercise="07.mistakes"
symptoms = [
    "A and B are right, but the classes are guessed",
    "at strength 0 the outputs are still not the base's",
    "outputs equal the base's, bit for bit",
]
# <solution>
mistakes = dict(zip(symptoms, ["head lost", "merged twice", "not loaded"]))
# </solution>
# <student>
# mistakes = dict(zip(symptoms, [..., ..., ...]))
# </student>
check("07.mistakes", mistakes)
# %% [markdown]
# <details><summary>Hint</summary>
# Ask of each symptom what is missing, or there once too often. A head is a layer like the others,
# but it was trained in full.
# </details>
# %%
print("1. loaded by hand: outputs are the base's, bit for bit:", first_is_base)
print(f"2. always “ham” is right in {ham:.0%}; with its head above 80 %:", end=" ")
print(accuracy(with_head) > 0.8)
print("   with five new heads below 65 % on average:", sum(guessed) / len(guessed) < 0.65)
if lora_layers(twice):
    set_strength(twice, 0)
with torch.no_grad():
    still_base = torch.allclose(twice(tokens), base(tokens), atol=0.1)
print("3. merged, then attached: at strength 0 it is the base:", still_base)
# %% [markdown]
# How does one notice? `load_adapter` translates PEFT's names, and `attach` refuses a model without
# the layers that an adapter was made for. `save_adapter` keeps a head that was trained, and the
# file names it. `attach` does not look at the weights, though. The third is noticed only if the
# merged model was saved and you name its file: its fingerprint is another.
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
# ## Switch, and set the strength
# One base in memory, many adapters beside it. `switch` takes one off and puts another on; the
# base's own layers never move. The drawing has the three files that ship with the course, each as
# large as it is beside the base.
# %%
from lora_edu.plots import drawing

drawing("one_base")
# %% [markdown]
# Two of the three adapters that ship write text: `tales` talks like a
# pirate, and `menu` makes a sentence about a restaurant from a list of facts.
# %%
from lora_edu import generate_text

menu = load_adapter(data_path("adapters", "menu"), base_fingerprint=fingerprint)
before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
prompts = {"tales": "One day, Tom went to the", "menu": "name[Old Oak], dish[apple pie]\n"}
for name, adapter in (("tales", tales), ("menu", menu)):
    switch(base, adapter)
    print(f"{name}: {generate_text(base, encoding, prompts[name], 16)}\n")
detach(base)
after = base.state_dict()
print("names as before:", list(after) == list(before))
print("every bit as before:", all(same_bits(before[name], after[name]) for name in before))
# %% [markdown]
# **Investigate:** in a new cell, call `switch(base, tales)` and `set_strength(base, 0.5)` and
# generate a text; then with `-1`. What becomes of the pirate? End with `detach(base)`. Notebook 00
# has a slider for it.
#
# ## Merge
# An attached adapter costs two more products in each layer. They can be spared: the update is a
# matrix of the weight's own shape, so add it to the weight. Above in the drawing is the layer as
# `attach` leaves it, below the same layer merged.
# %%
drawing("merge")
# %% [markdown]
# **Worked example**, for the formula $y = x W$ with $W$ of shape (in, out):
#
# $$x W + m \cdot x A B = x (W + m A B)$$
#
# **Exercise 2, fill in.** An `nn.Linear` stores its weight as (out, in). What is its merged weight?
# (Notebook 02 asks for it, too. If you have it, paste it.)
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
# <code>A @ B</code> is (in, out). A matrix is transposed with <code>.T</code>. And the update has
# a multiplier.
# </details>
# %% [markdown]
# A check that yours is what the course does. (Until yours passes, a right one stands in.)
# %%
if not verdict.passed:

    def merged_weight(weight, A, B, multiplier):
        return weight + multiplier * (A @ B).T


switch(base, tales)
layer = base.blocks[2].mlp.fc_in
kept = layer.linear.weight.detach().clone()
with torch.no_grad():
    mine = merged_weight(kept, layer.lora.A, layer.lora.B, layer.lora.multiplier)
    beside = base(tokens)
    merge(base)
    inside = base(tokens)
near = ((inside - beside).abs().max() < 1e-3).item()
print("your weight is the course's:", torch.allclose(mine.float(), layer.linear.weight, atol=1e-6))
print("merged or beside, the largest difference of a logit is below 0.001:", near)
# %% [markdown]
# Can it be taken out again? Subtracting the update, as PEFT does, leaves a rounding error. The
# course keeps the old weight aside instead, at the price of a second copy in memory.
# %%
GROWTH = ["it adds up", "it stays as after the first time"]
cycles = predict("Add the update, subtract it, a hundred times: how does the error grow?", GROWTH)
cycles
# %%
from lora_edu import unmerge


def added_and_subtracted(weight, update, times):
    for _ in range(times):
        weight = (weight + update) - update
    return weight


unmerge(base)
with torch.no_grad():
    update = layer.lora.delta().T
    off = {n: added_and_subtracted(kept, update, n) - kept for n in (1, 100)}
print("unmerge gives the old weight back, bit for bit:", same_bits(layer.linear.weight, kept))
for times, error in off.items():
    print(f"added and subtracted, {times:3} times: {(error != 0).float().mean():.0%} of it changed")
grown = off[100].norm() > 2 * off[1].norm()
reveal(cycles, GROWTH[0 if grown else 1], because="what the sum had no digit for is gone at once")
# %% [markdown]
# ### What merging costs
# In exact arithmetic, merged and unmerged are equal. In a computer, $W + \Delta W$ is rounded to
# the weight's type. Where an update is small beside its weight, its last digits fall off the end.
# *Update lost* is that part of it, ‖what arrived in W − ΔW‖ / ‖ΔW‖. The outputs are compared with
# those of the same numbers, computed in float64.
# %%
types = ["float32", "bfloat16", "float16"]
worst = predict("In which type does merging lose most of the update?", types)
worst
# %%
import math

from lora_edu import merge_errors

switch(base, tales)  # also if you come back from further down
errors = {str(e.dtype).removeprefix("torch."): e for e in merge_errors(base, tokens)}


def below(value):
    """The next power of ten above a value; digits would differ between processors."""
    return f"1e{math.ceil(math.log10(value)):+03}"


# %%
print("relative errors against float64: less than\n")
print("type     | output, unmerged | output, merged | update, lost by merging")
for name, e in errors.items():
    cells = [below(value) for value in (e.unmerged, e.merged, e.update_lost)]
    print(f"{name:8} | {cells[0]:16} | {cells[1]:14} | {cells[2]}")
most = max(errors, key=lambda name: errors[name].update_lost)
reveal(worst, most, because="it keeps 8 binary digits, float16 keeps 11, float32 24")
# %% [markdown]
# Merged or not, the output's error is that of the type. Of this adapter's updates, even bfloat16
# loses less than a hundredth: they are strong. The rounding error is that of $W$ and stays,
# whatever is beside it. So how does the *share* lost grow if the update shrinks?
# %%
switch(base, tales)
found = {}
for strength in (1, 0.1, 0.01):
    set_strength(base, strength)
    found[strength] = merge_errors(base, tokens)[1]  # in bfloat16
set_strength(base, 1)
lost = {strength: e.update_lost for strength, e in found.items()}
ratios = [e.merged / e.unmerged for e in found.values()]
print("a tenth of the update: the share lost is 5 to 15 times as large:", end=" ")
print(5 < lost[0.1] / lost[1] < 15)
print("of a hundredth, more than a quarter is lost:", lost[0.01] > 0.25)
print("the output's error, merged over unmerged, is between 1/2 and 2:", end=" ")
print(all(0.5 < ratio < 2 for ratio in ratios))
# %% [markdown]
# **Takeaway:** `merge` adds in float32. What is lost is lost when the sum is *stored*
# in few digits, and of a weaker update a larger share. Beside the weight $A$ and $B$ keep their
# digits, for another strength or another type. But where the *computing* is in bfloat16 too, the
# output is rounded either way, and the merged one was no worse here.
#
# ## Count the bytes
# **Exercise 3, fill in.** How many bytes do `n_tasks` tasks take, with one base and an adapter for
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
saved = predict("16,384 tasks: how many times smaller than 16,384 full models?")
saved
# %%
if not verdict.passed:

    def bytes_of_tasks(base_bytes, adapter_bytes, n_tasks):
        return base_bytes + n_tasks * adapter_bytes


# %%
from lora_edu.plots import Line, line_chart, show

tasks = [1, 4, 16, 64, 256, 1024, 4096, 16_384]
models = [n * base_bytes / 1e6 for n in tasks]
adapters = [bytes_of_tasks(base_bytes, adapter_bytes, n) / 1e6 for n in tasks]
ratio = models[-1] / adapters[-1]
chart = line_chart(
    [Line("a model for each task", tasks, models), Line("one base, N adapters", tasks, adapters)],
    title=f"At 16,384 tasks adapters take {ratio:.0f} times less room",
    x_label="number of tasks N",
    y_label="on disk (MB)",
    x_log2=True,
    y_log10=True,
)
alt = (
    "Two curves over the number of tasks: at one task the adapter is a little extra; then they "
    "part and end parallel, far apart."
)
show(chart, alt)
reveal(saved, round(ratio), because="base / adapter; the one base hardly counts any more")
# %% [markdown]
# **Takeaway:** the base is paid once; what counts in the long run is the adapter's size. With one
# task the adapter comes on top. On these axes equal distances are equal factors, so the gap is the
# factor: it grows until it is the base's size over the adapter's, the number in the title. A larger
# model with the same rank does better, since layers grow with the square of the width and adapters
# only with the width: notebook 04 has the arithmetic.
#
# ## Blend
# Half a pirate, half a menu: the update we want is $\tfrac12 A_1 B_1 + \tfrac12 A_2 B_2$. It is
# tempting to average $A_1$ with $A_2$ and $B_1$ with $B_2$.
#
# **Exercise 4, own code.** Write `average(first, second)`. Each is a pair (A, B); return a pair
# whose product is the average of the two products. The rank may grow, to the sum of the two ranks
# at most. (The two adapters have the same multiplier. Where they differ, each goes with its own
# pair.)
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
# A check, and how far off the tempting way is.
# %%
from lora_edu import blend

if not verdict.passed:

    def average(first, second):
        return torch.cat([first[0], second[0]], 1), torch.cat([first[1], second[1]]) / 2


# %%
both = blend([tales, menu], [0.5, 0.5])
name = "blocks.3.mlp.fc_out"
pairs = [[t.float() for t in adapter.matrices[name]] for adapter in (tales, menu)]
a, b = average(*pairs)
course_a, course_b = both.matrices[name]
unit = tales.multiplier  # menu's is the same
same = torch.allclose((unit * a @ b).float(), both.multiplier * course_a @ course_b, atol=1e-5)
print(f"yours has rank {a.shape[1]}, the course's {both.rank}; the product is the same:", same)
# %%
missed = size = 0.0
for where in tales.matrices:
    (a1, b1), (a2, b2) = ([t.float() for t in each.matrices[where]] for each in (tales, menu))
    wanted, tempting = (a1 @ b1 + a2 @ b2) / 2, (a1 + a2) @ (b1 + b2) / 4
    missed += (tempting - wanted).square().sum().item()
    size += wanted.square().sum().item()
print(f"averaging A and B misses the average by {(missed / size) ** 0.5:.0%} of its size")
# %% [markdown]
# Why? $(A_1 + A_2)(B_1 + B_2) / 4$ is *half* of what we want, plus a quarter of $A_1 B_2 + A_2
# B_1$, cross terms that no task has learnt. And there is a deeper reason: $A$ and $B$ are not
# determined. $(-A)(-B)$ is the same adapter as $A B$, but the average of $A$ and $-A$ is zero. Any
# invertible matrix $M$ does such a thing: $A M$ and $M^{-1} B$ have the product $A B$. (Our two
# adapters started from the same random $A$. Others miss by more.)
#
# In PEFT's `add_weighted_adapter` the exact way is `combination_type="cat"`. `"svd"` cuts the exact
# sum down to a lower rank, and `"linear"` adds the factors, cross terms and all.
#
# ## Eight adapters in one batch
# A server gets requests for different tasks at once. Switching for each would leave the base
# working on one row at a time. But all rows share $W$; only the small part differs. So: one pass
# through the base, and each row its own $A$ and $B$. Here are two adapters and six blends of them
# (`blend w` is w · tales + (1 − w) · menu); smaller ranks are filled up with zeros.
# %%
from lora_edu import MixedAdapters

eight = {"tales": tales, "menu": menu} | {
    f"blend {w}": blend([tales, menu], [w, 1 - w]) for w in (-0.5, 0.25, 0.5, 0.75, 1.5, 2.0)
}
if lora_layers(base):
    detach(base)
mixed = MixedAdapters(base, eight)
names = [*eight, None]  # the last row: no adapter
ids = [encoding.encode_ordinary("Once upon a time, there was a")] * len(names)
ids = torch.tensor(ids, device=device)
with mixed.rows(names), torch.no_grad():
    together = base(ids)
# %%
alone = []
for name in names:
    if name is not None:
        switch(base, eight[name])
    elif lora_layers(base):
        detach(base)
    with torch.no_grad():
        alone.append(base(ids[:1]))
alone = torch.cat(alone)
equal = (together - alone).norm() / alone.norm() < 1e-5
print("nine rows in one batch as each alone, relative error below 1e-5:", equal.item())
spread = [(together[0] - row).abs().max() > 0.1 for row in together[1:]]
print("and the other rows differ from the first:", all(spread))
# %% [markdown]
# Inside the `with` block `generate` works as well, also with prompts of different lengths. Hugging
# Face fills short prompts up on the left, hides the filling, and shifts the positions. We fill up
# on the right and give the lengths, so no filling is ever read: all rows start behind the shortest
# prompt, and a longer one takes its own tokens first, one a step. A short one so gets more than 16
# new tokens; we cut it there.
# %%
from torch.nn.utils.rnn import pad_sequence

from lora_edu import generate

asked = [(name, prompts["tales"]) for name in ("tales", "blend 0.5", None)]
asked.insert(1, ("menu", prompts["menu"]))
ids = [torch.tensor(encoding.encode_ordinary(text), device=device) for _, text in asked]
lengths = [len(row) for row in ids]
with mixed.rows([name for name, _ in asked]):
    filled = pad_sequence(ids, batch_first=True)
    written = generate(base, filled, 16, lengths=lengths, stop_id=encoding.eot_token)
for (name, _), row, length in zip(asked, written.tolist(), lengths):
    text = encoding.decode([i for i in row[: length + 16] if i != encoding.eot_token])
    print(f"{name or 'no adapter'}, prompt of {length} tokens: {text}\n")
# %% [markdown]
# The first two go on as they did alone, where we switched. On the mini GPT, eight adapters in one
# batch take less than a fifth of the time that they take one by one (`benchmarks/RESULTS.md`). Two
# limits: all adapters of a batch belong to one base, and none may bring a head, since the rows
# share their output layer.
#
# **Make:** let one opening go on in several ways, "blend -0.5" and "blend 2.0" among them.
#
# ## Trade with PEFT
# PEFT reads the folder that you saved, on our own GPT, as this cell shows where PEFT is installed
# (`pip install peft`; nothing else needs it). We read what PEFT saves, too: the course's tests go
# both ways and compare to 1e-9 in float64.
# %% tags=["nbval-ignore-output"]
from importlib.util import find_spec

if find_spec("peft"):
    import peft

    theirs = peft.PeftModel.from_pretrained(load_pretrained("mini", device=device), folder).eval()
    with torch.no_grad():
        print("PEFT gives our logits:", torch.allclose(theirs(tokens).cpu(), there, atol=1e-4))
else:
    print("PEFT is not installed here.")
# %% [markdown]
# Hugging Face's class for GPT-2 is another matter. It can hold our weights, but query, key and
# value lie in one matrix, `c_attn`. Three updates of rank 8 become one of rank 24, whose $B$ has
# blocks:
#
# $$x\,[A_q\;A_k\;A_v]\begin{bmatrix}B_q&0&0\\0&B_k&0\\0&0&B_v\end{bmatrix}
# = [x A_q B_q,\; x A_k B_k,\; x A_v B_v]$$
#
# PEFT divides alpha by the rank, so this layer needs three times the alpha. `save_for_gpt2` does
# all that and `load_from_gpt2` undoes it, to the bit. The base's fingerprint goes along. The zeros
# are stored too, so this file is larger; and trained on in PEFT, they would not stay zero. To load
# it there:
#
# ```python
# from transformers import GPT2LMHeadModel
# gpt2 = GPT2LMHeadModel.from_pretrained(data_path("mini_gpt"))
# gpt2 = peft.PeftModel.from_pretrained(gpt2, gpt2_folder)
# ```
#
# (That it then gives our logits is shown by the course's tests.)
# %%
from lora_edu import load_from_gpt2, save_for_gpt2

gpt2_folder = save_for_gpt2(load_adapter(folder), folder.parent / "gpt2")
config = json.loads((gpt2_folder / "adapter_config.json").read_text())
layer = "transformer.h.0.attn.c_attn"
print(f"rank {config['r']} and alpha {config['lora_alpha']}; for {layer}:")
print(f"rank {config['rank_pattern'][layer]} and alpha {config['alpha_pattern'][layer]:g}")
ours = load_adapter(folder).matrices
back = load_from_gpt2(gpt2_folder, base_fingerprint=fingerprint).matrices
same = [same_bits(x, y) for name in ours for x, y in zip(ours[name], back[name], strict=True)]
print("written and read again, every bit the same:", all(same))
# %% [markdown]
# ## Three sentences to remember
# 1. A task is a small file beside a base that stays as it is, and means nothing without that base.
# 2. Only the product of A and B is determined: add updates, never average factors.
# 3. A merged adapter adds no arithmetic at inference; one that stays beside the weights lets one
#   base serve many tasks in one batch.
#
# ## Five questions
# 1. What is in the two files, and what of the training run is not?
# 2. An adapter is loaded and the outputs equal the base's bit for bit. What happened?
# 3. Why does the course keep the old weight aside instead of subtracting the update?
# 4. Why does a weight stored in bfloat16 lose more of a merged update than $A$ and $B$ beside it
#   lose?
# 5. Three updates of rank 8 for query, key and value become one of which rank in `c_attn`, and what
#   happens to alpha?
#
# <details><summary>Answers</summary>
# (1) A, B, a trained head and how to use them; not the base, not the optimizer's state, not the
# data. (2) No A and no B took part: the names did not match and nobody checked. (3) Adding and
# subtracting rounds twice; the old tensor is exact. (4) The sum is rounded to the digits of the
# larger weight; A and B keep their own. (An output computed in bfloat16 is rounded either way.) (5)
# 24; PEFT divides alpha by the rank, so alpha is three times as large.
# </details>
#
# ## Where next
# [Count before you train](04_count_before_you_train.ipynb) computes the bytes for models of any
# size; [Fine-tune a generator](06_finetune_a_generator.ipynb) trains the pirate and the menu,
# [Fine-tune a classifier](05_finetune_a_classifier.ipynb) the spam filter.
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), section 4.1: merging, and switching
#   tasks by subtracting
# - Sheng et al. 2023, [S-LoRA: Serving Thousands of Concurrent LoRA
#   Adapters](https://arxiv.org/abs/2311.03285): batches of different adapters
# - Hugging Face, [PEFT's checkpoint
#   format](https://huggingface.co/docs/peft/developer_guides/checkpoint)
# - Ilharco et al. 2022, [Editing Models with Task Arithmetic](https://arxiv.org/abs/2212.04089):
#   adding and subtracting updates
