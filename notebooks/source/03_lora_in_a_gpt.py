# %% [markdown]
# # LoRA in a small GPT
#
# You put LoRA into a whole language model, and prove that not one bit of the base changes.
#
# **You will be able to**
# - read a GPT: name its parts, follow a text through them, say where its parameters lie
# - choose layers by name or pattern, and replace them with a recursive function of your own
# - prove that nothing changed at step 0, and that the base stays bit-for-bit frozen in training
# - say what goes wrong when freezing and replacing change places, or when no targets are given
# - explain why a frozen layer still takes part in the backward pass, and what that costs
#
# **You need** basic PyTorch (`nn.Module`, `backward`) and LoRA's formula, repeated below.
# Notebook 02, where you build it, helps, but is not needed.
#
# **Time:** 50 minutes to read and do; running all cells takes about 30 seconds on a CPU with two
# cores (estimate for a GPU: 15 seconds).
# %% bootstrap
# %% [markdown]
# ## The model is a tree
# LoRA puts an update of low rank beside a linear layer that stays frozen:
#
# $$y = x W + b + \text{multiplier} \cdot x A B$$
#
# $A$ is (in × rank) and $B$ (rank × out); $A$ starts random and $B$ at zero.
# `LinearWithLoRA(linear, rank, alpha)` is such a layer; the multiplier follows from alpha. One
# layer is not a model, though. Here is the model: the course's small GPT, which has read ten
# thousand stories for children. A PyTorch model is a tree of named modules; this is one of its
# six blocks.
# %%
import torch

from lora_edu import choose_device, load_pretrained, load_tokenizer
from lora_edu.exercises import check
from lora_edu.plots import bar_chart, show
from lora_edu.widgets import predict, reveal

device = choose_device()  # a GPU if there is one
encoding = load_tokenizer("mini")
model = load_pretrained("mini", device=device)
print(model.blocks[0])
# %% [markdown]
# Every name in brackets is an attribute: the query layer is `model.blocks[0].attention.query`,
# and its *path* is `blocks.0.attention.query`. There are six linear layers in a block:
#
# - four for **attention**, where each token looks at itself and the ones before it: `query` asks,
#   `key` offers, `value` is handed over, `out` writes the result back
# - two for the **MLP**, which works on each token alone: `fc_in` widens it from 192 to 768
#   numbers, `fc_out` narrows it again
#
# Around the blocks there are the token embedding (a row of 192 numbers for each of 2,048 tokens),
# the position embedding, a last norm and the `head`, which turns 192 numbers back into a score
# for each token.
# %%
parts = ["token embedding", "attention", "MLP", "positions and norms"]
guess = predict("Which part holds most of the model's parameters?", parts)
guess


# %%
def part_of(name):
    """The part of the model that a parameter belongs to."""
    marks = {"token_embedding": parts[0], ".attention.": parts[1], ".mlp.": parts[2]}
    return next((part for mark, part in marks.items() if mark in name), parts[3])


sizes = dict.fromkeys(parts, 0)
for name, parameter in model.named_parameters():
    sizes[part_of(name)] += parameter.numel()
total = sum(sizes.values())
largest = max(sizes, key=sizes.get)
print(f"{total:,} parameters in all")
reveal(
    guess,
    largest,
    because="each of its two matrices is four times as large as one of attention's four",
)
# %%
in_blocks = (sizes["attention"] + sizes["MLP"]) / total
chart = bar_chart(
    {part: size / 1000 for part, size in sizes.items()},
    title=f"The linear layers of the blocks hold {100 * in_blocks:.0f} % of all parameters",
    y_label="parameters (thousands)",
    label_format="{:,.0f}",
)
alt = (
    "Four bars: the MLP is largest, then attention at half of that, then the token embedding; "
    "positions and norms are tiny."
)
show(chart, alt)
# %% [markdown]
# **Takeaway:** most of the parameters, the share in the figure's title, lie in the blocks' linear
# layers. These are the layers that LoRA can adapt; which of them to adapt is a choice.
#
# In the count the head is missing. Its weight *is* the token embedding: one tensor, used twice.
# Such layers are called **tied**; they come back at the end.
#
# ## Follow a text through it
# `Block.forward` in `lora_edu/gpt.py` is two lines, one for attention and one for the MLP:
#
# ```python
# x = x + attention(norm(x))
# x = x + mlp(norm(x))
# ```
#
# The drawing shows the same block. Grey areas are its six linear layers, and the blue strip beside
# each is where $A$ and $B$ will be, further down.
# %%
from lora_edu.plots import drawing

drawing("gpt_block")
# %% [markdown]
# Each block *adds* to `x` and hands it on. So the whole model can be run by hand. And since `x`
# keeps its shape, we may ask the head after each block what the next token would be if the model
# ended there.
# %%
text = "Once upon a time, there was a"
ids = torch.tensor([encoding.encode_ordinary(text)], device=device)


def embed(model, ids):
    positions = torch.arange(ids.shape[1], device=ids.device)
    return model.token_embedding(ids) + model.position_embedding(positions)

# %%
with torch.no_grad():
    x = embed(model, ids)
    print(f"{ids.shape[1]} tokens, as vectors: {tuple(x.shape)}")
    for number, block in enumerate(model.blocks):
        x = block(x)
        logits = model.head(model.final_norm(x))
        print(
            f"after block {number}: next token {encoding.decode([logits[0, -1].argmax().item()])!r}"
        )
    print("run by hand, it equals model(ids):", torch.equal(logits, model(ids)))
# %% [markdown]
# **Investigate:** change `text` and run the last two cells again. (Further down `model` gets an
# adapter. If you have been there already, restart first.) After which block is the final answer
# there, to stay? Does a harder text need more blocks?
#
# ## Choose targets
# Which layers should get an update? The layers chosen are called **targets**. The paper adapts
# attention alone (section 4.2). With 18 million trained numbers on GPT-3 it finds more on WikiSQL
# with query and value at rank 4 (73.7 %) than with query alone at rank 8 (70.4 %, table 5): rather
# more layers than more rank. This course adapts all layers of the blocks. First: what is there to
# choose from?
# %%
import textwrap

from lora_edu import find_targets

linear = predict("How many linear layers does the model have?")
linear
# %%
everything = find_targets(model)
print("first:", everything[0], "  last:", everything[-1])
reveal(linear, len(everything), because="6 in each of 6 blocks, and the head", tolerance=0)
# %% [markdown]
# Targets can be given in three ways: as whole paths, as their last part, or as a pattern that
# matches the path or its end. In a pattern, `[45]` stands for a 4 or a 5, and `*` for any text;
# `*` also crosses dots.
# %%
for targets in ("query", ["query", "value"], "mlp.*", "blocks.0.*", "blocks.[12].attention.out"):
    found = find_targets(model, targets)
    print(f"{targets!s:28} {len(found):2} layers, the first is {found[0]}")
# %% [markdown]
# The worst mistake with targets is a quiet one: a name that matches nothing, so that a layer is
# not adapted and nobody notices. Other models call their layers `q_proj`, for example. Here each
# name or pattern that matches nothing is an error, and it says what there is. (In PEFT a list holds
# whole paths or their ends and a string is a regular expression for the whole path; a wrong name in
# a list is passed over if another one matches. So count the layers.)
# %%
try:
    find_targets(model, "q_proj")
except ValueError as error:
    print(textwrap.fill(str(error), 92))
# %% [markdown]
# **Exercise 1, fill in.** Choose all attention layers of the *last two* blocks, four in each, and
# nothing else. One pattern is enough; a list is fine too.
# %% exercise="03.targets"
# <solution>
last_attention = "blocks.[45].attention.*"
# </solution>
# <student>
# last_attention = ...  # a pattern in quotation marks, or a list of them
# </student>
check("03.targets", last_attention)
# %% [markdown]
# <details><summary>Hint</summary>
# The six blocks are numbered from 0 to 5. Start from <code>"blocks.[12].attention.out"</code>
# above.
# </details>
#
# ## Replace layers
# **Worked example.** To replace a layer is to give its parent a new child of the same name. In
# one attention module, by hand:
# %%
from torch import nn

from lora_edu import LinearWithLoRA

attention = load_pretrained("mini").blocks[0].attention
for name, child in attention.named_children():
    if name in {"query", "value"}:
        wrapped = LinearWithLoRA(child, rank=8, alpha=16, scaling="alpha/rank")
        setattr(attention, name, wrapped)  # attention.query = wrapped, and so on
print(attention)


# %% [markdown]
# The old layer is still there, inside the wrapper: `attention.query.linear`. Beside it stands the
# update, `attention.query.lora`.
#
# A word on `scaling="alpha/rank"`: with it the multiplier is alpha / rank, as in the paper and in
# PEFT; without it, alpha itself, as in the book that this interface comes from (Raschka 2024, here
# called the *reference*). How $A$ is drawn is a second choice, `init=`. Not given, it is the
# reference's, within ±1/√rank for every layer, whereas PEFT draws within ±1/√in_dim. So this
# notebook mixes two conventions; what that does is seen further down.
#
# **Exercise 2, own code.** Do this for a whole model. Write `replace(module, rank, alpha,
# targets)`:
#
# - look at the children of `module`, as above
# - a child that is an `nn.Linear` and whose name is in `targets` is replaced by
#   `LinearWithLoRA(child, rank, alpha)`, without a `scaling`
# - any other child may have such layers somewhere below: let `replace` call itself on it
#
# It changes the module in place and returns nothing.
# %% exercise="03.replace"
def replace(module, rank, alpha, targets):
    """Wraps every nn.Linear named in `targets`, anywhere below `module`."""
    # <solution>
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and name in targets:
            setattr(module, name, LinearWithLoRA(child, rank, alpha))
        else:
            replace(child, rank, alpha, targets)
    # </solution>
    # <student>
    # ...  # your code
    # </student>


verdict = check("03.replace", replace)
verdict
# %% [markdown]
# <details><summary>Hint</summary>
# A <code>for</code> loop over <code>module.named_children()</code>, in it an <code>if</code> with
# <code>setattr</code> and an <code>else</code> with <code>replace(child, rank, alpha,
# targets)</code>. A child without children ends the recursion by itself.
# </details>
# %% [markdown]
# The proof: yours and the course's wrap the same layers with the same numbers. (Until yours
# passes, this compares the course's with itself.)
# %%
from lora_edu import lora_layers, replace_linear_with_lora

if not verdict.passed:

    def replace(module, rank, alpha, targets):
        replace_linear_with_lora(module, rank, alpha, targets=targets)


# %%
mine, theirs = load_pretrained("mini"), load_pretrained("mini")
torch.manual_seed(0)
replace(mine, 8, 2.0, {"query", "value"})
torch.manual_seed(0)
names = replace_linear_with_lora(theirs, 8, 2.0, targets={"query", "value"}, scaling="alpha")
assert list(lora_layers(mine)) == names
tensors = zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True)
assert all(torch.equal(first, second) for first, second in tensors)
pairs = zip(lora_layers(mine).values(), lora_layers(theirs).values(), strict=True)
assert all(first.lora.multiplier == second.lora.multiplier for first, second in pairs)
print(f"both wrap the same {len(names)} layers; every tensor and every multiplier is equal")
# %% [markdown]
# The course's `replace_linear_with_lora` knows a little more: patterns, an error for zero
# matches, a refusal to wrap twice, and one kind of layer that yours would miss. Hugging Face's
# GPT-2 has no `nn.Linear` in its blocks; its layers are of a class `Conv1D`, which is a linear
# layer that stores its weight as (in, out). A loop that asks for `nn.Linear` passes over all of
# them in silence and finds the head alone.
#
# ## Step 0: nothing has changed
# Now we adapt all 36 layers of the blocks. 72 new matrices, half of them random, and not one step
# of training. How do the outputs of the model compare with those before?
# %%
outcomes = ["equal, bit for bit", "equal up to rounding", "a little different, as A is random"]
start = predict("Outputs of the wrapped model, next to the base's?", outcomes)
start
# %%
from lora_edu import freeze, same_bits

with torch.no_grad():
    base_logits = model(ids)
torch.manual_seed(0)
freeze(model)
names = replace_linear_with_lora(model, rank=8, alpha=16, targets="blocks.*", scaling="alpha/rank")
with torch.no_grad():
    same = same_bits(model(ids), base_logits)
print(f"{len(names)} layers wrapped")
reveal(start, outcomes[0] if same else outcomes[1], because="x A B is exactly 0 while B is 0")
# %% [markdown]
# (Equal as numbers, which is what `torch.equal` asks, is not yet equal in every bit: 0.0 and -0.0
# differ in their sign. `same_bits` compares the bits.)
#
# A proof that cannot fail proves nothing. So let us see this one fail: a single number among the
# 165,888 of all $A$ and $B$ is set to 0.01.
# %%
B = model.blocks[0].attention.value.lora.B
for value in (0.01, 0.0):
    with torch.no_grad():
        B[0, 0] = value
        print(f"with B[0, 0] = {value}: equal to the base is", same_bits(model(ids), base_logits))
# %% [markdown]
# **Takeaway:** at step 0 the adapted model is the base, bit for bit. Whatever differs later was
# learnt.
#
# ## Freeze first, then replace
# `freeze` stops every parameter that the model has *at that moment*. `replace_linear_with_lora`
# freezes nothing; it adds parameters that learn. So the order matters.
#
# **Exercise 3.** What learns in each case? Predict it: put `"A and B"`, `"nothing"` or
# `"everything"` for each.
# %% exercise="03.order"
# <solution>
learns = {"freeze, replace": "A and B", "replace, freeze": "nothing", "replace only": "everything"}
# </solution>
# <student>
# learns = {"freeze, replace": ..., "replace, freeze": ..., "replace only": ...}
# </student>
check("03.order", learns)


# %% [markdown]
# <details><summary>Hint</summary>
# Go through each order step by step. Which parameters exist when <code>freeze</code> is called? A
# new parameter learns unless someone freezes it.
# </details>
# %%
from lora_edu import count_parameters


def prepared(order, targets="blocks.*"):
    """A fresh model on which `order` has been carried out."""
    model = load_pretrained("mini", device=device)
    for step in order.split(", "):
        if step == "freeze":
            freeze(model)
        else:
            replace_linear_with_lora(model, 8, 16, targets=targets, scaling="alpha/rank")
    return model

# %%
trials = {order: prepared(order) for order in ("freeze, replace", "replace, freeze", "replace")}
for order, trial in trials.items():
    total, trainable = count_parameters(trial)
    print(f"{order:16} {trainable:>9,} of {total:,} learn ({trainable / total:.1%})")
# %% [markdown]
# Replacing or freezing in the wrong order raises no error. Training after "replace, freeze" does,
# in PyTorch's words, which do not name the cause. "Replace only" trains without any sign of a
# mistake: it is full fine-tuning under another name. So the course's training function `fit` looks
# before it starts. Our training text is a set of short tales in a pirate's voice. `text_rows` makes
# at most 96 tokens of each, every one to be predicted from those before it; `Batches` deals out
# eight tales a step. 24 tales that are not trained on measure the result.
# %%
import warnings

from lora_edu import Batches, fit, load_tales, mean_loss, next_token_loss, text_rows

tales = load_tales()
batches = Batches(text_rows(tales.train, encoding, 96), batch_size=8, seed=0)
held_out = Batches(text_rows(tales.validation[:24], encoding, 96), 12, shuffle=False)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fit(trials["replace"], batches, next_token_loss, lr=2e-3, steps=1)
print(textwrap.fill(f"Warning: {caught[0].message}", 92))
try:
    fit(trials["replace, freeze"], batches, next_token_loss, lr=2e-3, steps=1)
except ValueError as error:
    print(textwrap.fill(f"Error: {error}", 92))


# %% [markdown]
# **Takeaway:** freeze, then replace. And count what learns before you train; it takes one line.
#
# ## The base stays frozen
# One of LoRA's promises is that the original weights do not change. We test it on
# `model`, which is frozen and wrapped since step 0. Before training we take a picture of every
# tensor, afterwards we compare.
#
# **Exercise 4, own code.** Write `snapshot(model)`: a dictionary from the name of each tensor in
# `model.state_dict()` to its values *now*. Careful, there is a trap in it: the tensors in a state
# dict are the model's own memory.
# %% exercise="03.snapshot"
def snapshot(model):
    """{name: a copy of the tensor} for every tensor of the model."""
    # <solution>
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
    # </solution>
    # <student>
    # ...  # your code
    # </student>


verdict = check("03.snapshot", snapshot)
verdict
# %% [markdown]
# <details><summary>Hint</summary>
# Loop over <code>model.state_dict().items()</code>. A tensor's <code>.clone()</code> is a copy
# with memory of its own.
# </details>
# %% [markdown]
# Now train for 40 steps on pirates' tales, and watch. The loss is in **nats**, units of the natural
# logarithm, as PyTorch's `cross_entropy` gives it. **Stop** holds the run after the step that it is
# in, **Go on** takes it up there, and nothing is lost. (The word `await` lets clicks through while
# the cell waits. On Colab they wait for the cell: use its own stop button there, then **Go on**.)
# %%
from lora_edu.widgets.training_view import watch

if not verdict.passed:

    def snapshot(model):
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def pirates(follow):
    return fit(model, batches, next_token_loss, lr=2e-3, steps=40, callbacks=[follow])


before, loss_before = snapshot(model), mean_loss(model, held_out)
history = await watch(pirates, steps=40, title="LoRA on pirates' tales")
# %%
loss_after = mean_loss(model, held_out)
print(f"{history.trainable_parameters:,} parameters learnt, {history.last_step} steps")
print(
    "loss on tales that it has not seen fell by more than 0.5 nats per token:",
    loss_before - loss_after > 0.5,
)


# %%
def changed(before, after):
    """Names of the tensors that differ in at least one bit."""
    return [name for name in before if not same_bits(before[name], after[name])]


def is_adapter(name):
    return name.endswith((".A", ".B"))


different = changed(before, model.state_dict())
of_base = [name for name in before if not is_adapter(name)]
print(f"A and B: {sum(map(is_adapter, different))} of {2 * len(names)} changed")
print(f"base:    {len(different) - sum(map(is_adapter, different))} of {len(of_base)} changed")
# %% [markdown]
# A snapshot could have a bug. So compare with an independent witness as well, the file that the
# model came from. In the wrapped model, the layers have `.linear` in their names.
#
# And again, let us see the test fail where it should: one single step of full fine-tuning.
# %%
stored = load_pretrained("mini", device=device).state_dict()
now = {n.replace(".linear.", "."): t for n, t in model.state_dict().items() if not is_adapter(n)}
print("same names as in the file:", now.keys() == stored.keys())
print("tensors that differ from the file:", len(changed(stored, now)))

full = load_pretrained("mini", device=device)
fit(full, batches, next_token_loss, lr=2e-4, steps=1)
share = len(changed(stored, full.state_dict())) / len(stored)
print("after one step of full fine-tuning more than 90 % differ:", share > 0.9)
# %% [markdown]
# ✓ **The promise that the original weights stay unchanged: measured.** Not approximately: every
# bit of every base tensor is as it was.
#
# So the adapted model cannot have *forgotten* anything for good. Switch the update off and the
# base is back, which the next cell shows: `set_strength(model, s)` multiplies every update by `s`.
# (Switched on, it may well be worse at the stories it knew; that would have to be measured.)
# %%
from lora_edu import generate_text, set_strength

set_strength(model, 0)
with torch.no_grad():
    print("adapter off, outputs equal the base's bit for bit:", same_bits(model(ids), base_logits))
set_strength(model, 1)
# %% tags=["nbval-ignore-output"]
opening = "One day, Tom went to the"
for name, strength in (("base alone", 0), ("with 40 steps of LoRA", 1)):
    set_strength(model, strength)
    print(f"{name}: {generate_text(model, encoding, opening, 40)}\n")
# %% [markdown]
# How large is what was learnt? For each layer, the size of its update $\Delta W$ (the multiplier
# times $A B$) against that of its $W$. Size is the Frobenius norm, the root of the sum of all
# squares.
# %%
from lora_edu.plots import heat_map

layers = ["query", "key", "value", "out", "fc_in", "fc_out"]


def update_sizes(model):
    """Size of each update, in per cent of its W: 6 blocks × 6 layers."""
    sizes = torch.zeros(6, 6)
    with torch.no_grad():
        for name, layer in lora_layers(model).items():
            row, column = int(name.split(".")[1]), layers.index(name.split(".")[-1])
            sizes[row, column] = 100 * layer.lora.delta().norm() / layer.linear.weight.norm()
    return sizes

# %%
def picture(sizes, init):
    return heat_map(
        sizes,
        title=f"init={init!r}: updates of {sizes.min():.0f} to {sizes.max():.0f} % of W's size",
        x_label="layer",
        y_label="block",
        value_label="size of the update (% of W)",
        x_names=layers,
        number_format="{:.0f}",
        limits=(0, 50),  # the same colours for the same sizes, further down as here
    )


# %%
ours = update_sizes(model)
print("every update is smaller than half of its W:", (ours < 50).all().item())
stands_out = ours[:, 5].mean() > 1.25 * ours[:, :5].mean()
print("the column of fc_out is at least a quarter above the others:", stands_out.item())
show(picture(ours, "reference"), "A table of 6 blocks by 6 layers. Every layer has moved.")
# %% [markdown]
# Does `fc_out` need a larger change than the others? Careful: a percentage has two numbers in it.
# Compare the typical entry (the root of the mean square) of each $W$, and of each update.
# %%
def typical(matrices):
    return torch.stack([matrix.square().mean().sqrt() for matrix in matrices]).mean().item()


def beside_others(of):
    """The typical entry in `fc_out` over that in the other layers."""
    named = lora_layers(model).items()
    here = typical([of(layer) for name, layer in named if name.endswith(".fc_out")])
    return here / typical([of(layer) for name, layer in named if not name.endswith(".fc_out")])


with torch.no_grad():
    of_w = beside_others(lambda layer: layer.linear.weight)
    of_update = beside_others(lambda layer: layer.lora.delta())
print(f"entries of fc_out's W: {of_w:.0%} of the others'")
print("entries of its update: within a fifth of the others':", abs(of_update - 1) < 0.2)
# %% [markdown]
# Entry by entry `fc_out` moved about as far as the rest; its $W$ is smaller. And how far a layer
# moves depends on us, too. AdamW moves each entry of $B$ by up to about the learning rate a step,
# and an entry of $A B$ is a sum of `rank` products of an entry of $A$ and one of $B$. The reference
# draws every $A$ within the same bound, 1/√rank. PEFT's bound, 1/√in_dim, is half as large for 768
# inputs as for 192. So the same training with PEFT's start:
# %%
torch.manual_seed(0)
other = load_pretrained("mini", device=device)
freeze(other)
replace_linear_with_lora(other, 8, 16, targets="blocks.*", scaling="alpha/rank", init="peft")
fit(other, batches, next_token_loss, lr=2e-3, steps=40)
pefts = update_sizes(other)
print("every update is smaller than half of its W:", (pefts < 50).all().item())
stands_out = pefts[:, 5].mean() > 1.25 * pefts[:, :5].mean()
print("the column of fc_out is at least a quarter above the others:", stands_out.item())
smaller = pefts.mean() < ours.mean() / 2
print("on average, the updates are less than half as large:", smaller.item())
show(picture(pefts, "peft"), "The same table with PEFT's initialisation of A; all are smaller.")
# %% [markdown]
# Smaller than half of $W$ is not small. The size of $W$ is spread over 192 directions, that of an
# update over 8 at most. What does each do along its strongest direction, the one it stretches most?
# %%
def strongest(matrix):
    """The largest singular value."""
    return torch.linalg.matrix_norm(matrix, 2)


with torch.no_grad():
    for start, trained in (("reference", model), ("peft", other)):
        each = lora_layers(trained).values()
        over = sum(bool(strongest(m.lora.delta()) > strongest(m.linear.weight)) for m in each)
        print(f"{start}: an update does more than its W does anywhere in some layers:", over > 0)
# %% [markdown]
# **Takeaway:** all 36 layers took part, and each $W$ stands as it was. But `fc_out` stands out
# under one start and not under the other: the first shows its smaller $W$, the second its smaller
# $A$ as well. How far one learning rate moves the layers depends on the start, too (each map has
# colours of its own). And an update that is small next to $W$ can exceed it along its own few
# directions. Do not read such a map as a map of where learning is needed. How many *directions*
# the changes have is the question of notebook 01.
#
# ## Frozen does not mean left alone
# A frozen layer needs no gradient for its weight. Does the backward pass therefore go around it?
# Suppose that only block 2 has an adapter.
# %%
ways = ["straight to block 2", "through all blocks above it", "through all six blocks"]
way = predict("Only block 2 is adapted. Which way does the gradient take from the loss?", ways)
way


# %%
from torch.nn import functional as F


def entered_blocks(targets):
    """The blocks that the gradient enters, and whether any frozen weight got one of its own."""
    model = prepared("freeze, replace", targets)
    x = embed(model, ids)
    outputs = [x := block(x) for block in model.blocks]
    for output in outputs:
        if output.requires_grad:
            output.retain_grad()  # keep what arrives at the end of the block
    logits = model.head(model.final_norm(x))
    F.cross_entropy(logits[0, :-1], ids[0, 1:]).backward()
    entered = [number for number, output in enumerate(outputs) if output.grad is not None]
    frozen = any(p.grad is not None for p in model.parameters() if not p.requires_grad)
    return entered, frozen


# %%
for targets in ("blocks.2.*", "blocks.[14].*", "blocks.5.*"):
    entered, frozen = entered_blocks(targets)
    print(f"adapters in {targets:14} gradient in blocks {entered}; a frozen W got one: {frozen}")
reveal(way, ways[1], because="block 2 acts on the loss along x + and through the blocks above")


# %% [markdown]
# The output of block 2 reaches the loss in two ways: unchanged along each `x +`, and through the
# attention and the MLP of blocks 3, 4 and 5. The gradient comes back both ways, and they add up.
# The first costs nothing. The second multiplies by each frozen $W$, and without it the gradient
# would be wrong. What a frozen layer is spared is only the gradient of its *own* weight.
#
# **Exercise 5, own code.** Write the rule: given the numbers of the adapted blocks, return the
# list of blocks that the gradient enters.
# %% exercise="03.backward"
def blocks_entered(adapted, n_layer):
    """Numbers of the blocks that the gradient enters on its way from the loss, in any order."""
    # <solution>
    return list(range(min(adapted), n_layer))
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("03.backward", blocks_entered)
# %% [markdown]
# <details><summary>Hint</summary>
# Compare the three lines of output above with the adapters' blocks. Which one of several adapters
# decides how far down the gradient must go?
# </details>
#
# ### What that costs
# A linear layer takes part in three products of about equal cost: $x W$ on the way forward; $G
# W^\top$, which passes the gradient $G$ on; and $x^\top G$, the gradient of $W$ itself. Freezing
# saves the third.
#
# PyTorch can count the multiplications and additions in the matrix products of a forward and a
# backward pass. That is most of a step's arithmetic; norms, softmax, GELU, adding the update to the
# output and the optimizer are left out. LoRA trains a small share of the parameters here. What does
# it do to these products?
# %%
question = "LoRA on all layers of the blocks: how many per cent of full fine-tuning's arithmetic?"
work = predict(question)
work
# %%
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

batch = next(batches.epoch(0)).to(device)


def operations(model):
    """Those in the products of a forward and, if anything learns, of a backward pass."""
    # On a CPU the fused kernel of attention is not counted; plain products are.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        loss = next_token_loss(model, batch)
        if loss.requires_grad:
            loss.backward()
    return counter.get_total_flops()


# %%
full_work = operations(load_pretrained("mini", device=device))
cases = {
    "forward\nonly": prepared("freeze"),
    "LoRA in\nblock 5": prepared("freeze, replace", "blocks.5.*"),
    "LoRA in\nblock 0": prepared("freeze, replace", "blocks.0.*"),
    "LoRA in\nall blocks": prepared("freeze, replace"),
}
shares = {name: 100 * operations(case) / full_work for name, case in cases.items()}
# %%
lora_share = shares["LoRA in\nall blocks"]
count = count_parameters(cases["LoRA in\nall blocks"])
trained = 100 * count.trainable / count.total
print(f"LoRA on all layers saves {100 - lora_share:.0f} % of the operations")
chart = bar_chart(
    shares | {"full fine-\ntuning": 100.0},
    title=f"LoRA: {trained:.0f} % of the parameters, {lora_share:.0f} % of the arithmetic",
    y_label="matrix products, forward and backward (% of full)",
    label_format="{:.0f}",
)
alt = (
    "Five bars, in per cent of full fine-tuning: forward only is a third, LoRA in the last block "
    "a little more, LoRA in the first block two thirds, LoRA in all blocks a little above that."
)
show(chart, alt)
reveal(work, round(lora_share), because="two of three products remain, and A and B add their own")
# %% [markdown]
# **Takeaway:** freezing would save almost a third of the arithmetic (attention multiplies tokens
# with tokens as well, where no weight is spared); $A$ and $B$ cost some of it again.
# Arithmetic is not time: notebook 05 times this model, and there a LoRA step takes about as long as
# a full one, as many small products eat up the gain. Adapters in the *first* block alone (six of
# them) already cost nearly as much as all; in the *last* block alone they are cheap, because the
# backward pass stops there.
#
# What LoRA does save is memory for gradients and optimizer states, and files. In an adapted layer,
# the intermediate results of the forward pass, the *activations*, must be kept as before: the
# gradient of $A$ needs the same $x$ that the gradient of $W$ needed. Notebook 04 does the accounts.
#
# ## What the bare call wraps
# Called without targets, as in the book from which the interface comes,
# `replace_linear_with_lora(model, rank, alpha)` wraps *every* linear layer. In our model that
# includes the head, and the head is tied to the token embedding.
# %%
bare = load_pretrained("mini", device=device)
freeze(bare)
wrapped = replace_linear_with_lora(bare, rank=8, alpha=16, scaling="alpha/rank")
print(f"{len(wrapped)} layers, the last one is {wrapped[-1]!r}")


def tied():
    return bare.head.linear.weight is bare.token_embedding.weight


print("head and token embedding are one tensor:", tied())
bare.head.merge()
print("after merging the head:                 ", tied())
bare.head.unmerge()
print("after unmerging it:                     ", tied())
# %% [markdown]
# If merging wrote into that tensor, it would change the *input* of the model too, which nobody
# trained. So merging unties it first.
#
# The book's example (appendix E) counts exactly this call: GPT-2 small with a new head of two
# classes, rank 16. To count we need shapes only, no numbers: on PyTorch's `meta` device a model
# takes no memory. GPT-2 small has 12 blocks of width 768. A layer's $A$ and $B$ together hold
# rank × (in + out) numbers.
# %%
question = "GPT-2 small, 2 classes, rank 16 on every linear layer: how many parameters learn?"
published = predict(question)
published
# %%
from lora_edu import GPT, GPTConfig

with torch.device("meta"):
    gpt2 = GPT(GPTConfig(vocab_size=50257, context_length=1024, n_layer=12, n_head=12, n_embd=768))
    gpt2.head = nn.Linear(768, 2)
print(f"before: {count_parameters(gpt2).total:,} parameters")
freeze(gpt2)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    replace_linear_with_lora(gpt2, rank=16, alpha=16, scaling="alpha")
trainable = count_parameters(gpt2).trainable
in_head = sum(p.numel() for p in gpt2.head.lora.parameters())
print(f"learn:  {trainable:,}, as published: {trainable == 2_666_528}; {in_head:,} in the head")
print(textwrap.fill(f"Warning: {caught[0].message}", 92))
why = "12 blocks × 16 × 13,824, and 16 × 770 for the head"
reveal(published, trainable, because=why, tolerance=0.001)
# %% [markdown]
# (13,824 is the sum of inputs and outputs over a block's layers: four of attention's, 4 × (768 +
# 768), and two of the MLP's, 2 × (768 + 3,072).)
#
# The count is right, but look at the head. It is new, so its weight is random, and it is frozen
# that way. To steer the 1,536 numbers of its weight, LoRA trains 12,320. The warning says the same:
# no update of a layer with two outputs has a rank above 2.
#
# This course therefore names its targets and trains a new head in full. The head is then saved
# with the adapter.
# %%
with torch.device("meta"):
    gpt2 = GPT(GPTConfig(vocab_size=50257, context_length=1024, n_layer=12, n_head=12, n_embd=768))
freeze(gpt2)
replace_linear_with_lora(gpt2, rank=16, alpha=16, targets="blocks.*", scaling="alpha")
with torch.device("meta"):
    gpt2.head = nn.Linear(768, 2)  # made after freezing: it learns
print(f"learn: {count_parameters(gpt2).trainable:,}, of which 1,538 are the whole head")
# %% [markdown]
# **Make:** your own choice of targets. Change the pattern and the rank, predict the share, and
# run. Which choice trains below 1 % of the parameters?
# %%
my_targets, my_rank = ["query", "value"], 8
mine = load_pretrained("mini")
freeze(mine)
names = replace_linear_with_lora(mine, my_rank, 16, targets=my_targets, scaling="alpha/rank")
total, trainable = count_parameters(mine)
print(f"{len(names)} layers, {trainable:,} of {total:,} parameters learn: {trainable / total:.1%}")
# %% [markdown]
# ## Three sentences to remember
# 1. $B$ starts at zero, so at step 0 the adapted model answers as the base does. Freeze, then
#   replace, and every bit of the base is still there after training.
# 2. Targets are chosen by name, and a name that matches nothing must be an error.
# 3. Frozen layers are crossed by the backward pass all the same; LoRA saves a part of the
#   arithmetic, and most of the memory for gradients and optimizer states (notebook 04).
#
# ## Five questions
# 1. Why does `setattr` belong in `replace`, and not an assignment to the loop's variable?
# 2. What learns if you replace first and freeze afterwards, and what if you never freeze?
# 3. Why is a snapshot without `.clone()` worthless as a proof?
# 4. Of blocks 0 to 11, block 3 has an adapter. Which blocks does the gradient enter, and which
#   product are their frozen layers spared?
# 5. Why must merging an adapted head, tied to the token embedding, not write into its weight?
#
# <details><summary>Answers</summary>
# (1) The parent must get the new child; the variable is only a name for the old one. (2) Nothing;
# everything. (3) It shares memory with the model, so it always agrees. (4) Blocks 3 to 11; the
# gradient of its own weight, x transposed times G. (5) The embedding would change with it, and
# with it the input of the whole model.
# </details>
#
# ## Where next
# [Count before you train](04_count_before_you_train.ipynb) predicts the numbers of this notebook
# for any model, memory included. To train an adapter for a task and judge it, go to [Fine-tune a
# classifier](05_finetune_a_classifier.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA: Low-Rank Adaptation of Large Language
#   Models](https://arxiv.org/abs/2106.09685), sections 4.2 and 7.1: which layers to adapt
# - Raschka 2024, *Build a Large Language Model (From Scratch)*, appendix E: the functions of this
#   notebook, and the count of 2,666,528
# - nostalgebraist 2020, [interpreting GPT: the logit
#   lens](https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens):
#   asking the head after each block
