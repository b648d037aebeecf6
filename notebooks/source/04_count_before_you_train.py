# %% [markdown]
# # Count before you train
#
# You predict what a fine-tuning run costs, from 3 million to 175 billion parameters.
#
# {sign:04}
#
# **You will be able to**
# - count LoRA's trainable parameters
# - budget a training step's memory, and say what LoRA saves of it
# - ◇ explain why the activations stay
#
# **You need** to know that LoRA learns two thin matrices `A` and `B` beside a frozen weight.
#
# **Time:** {path} minutes on the marked path ◆, {whole} in all, CPU or GPU.
# %% bootstrap
# %% [markdown]
# ## How many numbers does LoRA train?
# You can know before you train, because it is arithmetic. Begin with one layer: with $m$ inputs and
# $n$ outputs its weight has $m \cdot n$ numbers. LoRA of rank $r$ leaves them alone and trains $A$
# ($m \times r$) and $B$ ($r \times n$), together $r (m + n)$ numbers. In GPT-2 small, of 124 million
# parameters:
# %%
m, n, r = 768, 768, 16
print(f"W: {m} × {n} = {m * n:,} numbers, frozen")
print(f"A and B: {r} × ({m} + {n}) = {r * (m + n):,} numbers, trained")
# %% [markdown]
# Query and value, two of attention's layers, are both 768 → 768.
# %%
from lora_edu.widgets import predict, reveal

guess = predict("12 blocks: how many numbers does LoRA of rank 8 on query and value train?")
guess
# %%
import torch

from lora_edu import GPT, GPTConfig, count_parameters, freeze, replace_linear_with_lora

with torch.device("meta"):  # shapes without memory
    gpt2 = GPT(GPTConfig(vocab_size=50257, context_length=1024, n_layer=12, n_head=12, n_embd=768))
freeze(gpt2)
replace_linear_with_lora(gpt2, rank=8, alpha=2, targets=["query", "value"])
trained = count_parameters(gpt2).trainable
# %%
# @title The answer: run it when you have predicted
reveal(guess, trained, because="24 layers, each with 8 · (768 + 768) = 12,288", tolerance=0.1)
# %% [markdown]
# Now try other models, layers and ranks. Both axes are logarithmic, and a
# prediction becomes a cross. The bar beneath a layer's name is its share of the trained numbers.
# %% tags=["withheld"]
from lora_edu.widgets.rank_explorer import ExplorerState, rank_explorer

explorer = rank_explorer(ExplorerState("GPT-2 small (124M)", rank=8), prediction=guess)
explorer
# %% [markdown]
# **To find out:** go from the mini GPT to GPT-3 at one rank. What happens to the *number* of
# trained parameters, and what to their *share*?
#
# <details><summary>What to look for</summary>
# The number grows, but the share falls: LoRA grows with the width of a layer, the layer itself
# with its square. So LoRA looks modest on a toy and dramatic on a giant.
# </details>
#
# With one sum, then, you can count LoRA for any layer and any model. What your card must hold,
# though, is gigabytes.
#
# ## What must fit into memory?
# All that a training step keeps: the **weights**, a **gradient** for
# each trained weight, the **optimizer's** state (Adam: two numbers for each), and the **activations**,
# which the forward pass keeps for the backward pass. Here a weight or a gradient takes 2 bytes, and
# each of Adam's numbers 4.
#
# **Exercise 1, own code.** Leave the activations out at first. `total` counts all parameters, adapters
# included, and `trained` those that learn. How many bytes is that?
# %% exercise="04.fixed_bytes"
from lora_edu.exercises import check


def fixed_bytes(total, trained):
    """Bytes of weights, gradients and Adam's states."""
    # <solution>
    return 2 * total + (2 + 8) * trained
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("04.fixed_bytes", fixed_bytes)
# %% [markdown]
# <details><summary>Hint</summary>
# Every weight is there, but what does only a trained one need?
# </details>
#
# # <student>
# Stuck? See [the solutions](solutions/04_count_before_you_train.ipynb).
# # </student>
# %% [markdown]
# So far your texts did not matter, but the activations grow with them. In full fine-tuning of GPT-2
# small, with 8 texts (*rows*) of 512 tokens, they are the largest part:
# %%
from lora_edu import MODEL_SHAPES, memory_budget
from lora_edu.plots import table

small, step = MODEL_SHAPES["GPT-2 small (124M)"], {"batch_size": 8, "length_tokens": 512}
full = memory_budget(small, "full", **step)
parts = ("weights", "gradients", "optimizer", "activations", "total")
for_loss = 4 * 8 * 512 * small.vocab_size  # float32, for each token and entry of the vocabulary
note = f"""Of the activations, the loss alone keeps {for_loss / 1e9:.2f} GB:
a score for each token and each word that the model knows."""
rows = [[part, f"{getattr(full, f'{part}_bytes') / 1e9:.2f}"] for part in parts]
table(["", "GB"], rows, note=note)
# %% [markdown]
# LoRA spares some activations, because a frozen layer without an adapter need not keep its input. But
# most stay, because the gradient comes back through attention, norms and GELU, which need
# their inputs. So what is saved in all?
# %%
shares = ["over 95 %", "about 70 %", "about half", "under 30 %"]
saving = predict("How much of the total does LoRA save, at rank 8 on query and value?", shares)
saving
# %%
# @title The answer: run it when you have predicted
lora = memory_budget(small, "lora", **step)
saved = 1 - lora.total_bytes / full.total_bytes
size = next(s for s, least in zip(shares, (0.95, 0.6, 0.3, 0)) if saved >= least)
spared = (full.activations_bytes - lora.activations_bytes) / full.total_bytes
why = f"it is {100 * saved:.0f} %: {100 * (saved - spared):.0f} points from gradients and Adam, "
gb = full.activations_bytes / 1e9, lora.activations_bytes / 1e9
why += f"{100 * spared:.0f} from activations, where {gb[1]:.2f} of {gb[0]:.2f} GB stay"
reveal(saving, size, because=why)
# %% [markdown]
# The total decides which card you need. Take Llama 3 8B, with LoRA on all layers of the blocks. Beside
# it is QLoRA, which keeps the base's blocks in 4 bits instead of 16.
# %%
from lora_edu.widgets.memory_bars import MemoryState, memory_bars

rows = {"batch_size": 4, "length_tokens": 1024}
bars = memory_bars(MemoryState("Llama 3 8B", target_set="all layers of the blocks", **rows))
bars
# %% [markdown]
# No single card here is large enough for full fine-tuning, but LoRA, as set here, fits on one of 48 GB. The bars
# fill a card to the brim, and they are estimates, so leave a tenth free yourself.
#
# **To find out:** which is the smallest card for LoRA on query and value? And on all layers, what do
# 32 rows do, and then checkpointing?
#
# <details><summary>What to look for</summary>
# An A100 of 40 GB, just: fewer layers keep their inputs, so it takes notebook 00's 35 GB. With 32 rows
# activations dominate, and LoRA saves less than a third; checkpointing then brings it from 210 GB to 47.5.
# </details>
# %% [markdown]
# And how many numbers does LoRA of rank 8 train there?
# %%
from lora_edu import adapter_bytes, lora_parameters

llama = MODEL_SHAPES["Llama 3 8B"]
in_blocks = [layer.target for layer in llama.projections if layer.target != "head"]
learnt = lora_parameters(llama, 8, in_blocks)
print(f"trained: {learnt:,} parameters, {100 * learnt / llama.parameters:.2f} % of the model's")


# %% [markdown]
# ✓ **LoRA's first promise, far fewer trainable parameters: counted.** Only 0.26 % of the parameters learn, and yet 40.5 of 121 GB are needed, because the weights
# and the activations stay. No sum can tell whether so few numbers can learn your task. For that, you
# must train them.
#
# ## Deeper: count for any model
# At the *break-even rank* $A$ and $B$ hold as many numbers as $W$: for 768 → 768 at 384, half the width.
#
# **Exercise 2, fill in.** And where a layer is not square? The result need not be whole.
# %% exercise="04.break_even"
def break_even(in_dim, out_dim):
    """The rank r at which r (in_dim + out_dim) = in_dim · out_dim."""
    # <solution>
    return in_dim * out_dim / (in_dim + out_dim)
    # </solution>
    # <student>
    # return ...  # your formula
    # </student>


check("04.break_even", break_even)
# %% [markdown]
# <details><summary>Hint</summary>
# Divide both sides of the equation in the docstring by <code>in_dim + out_dim</code>.
# </details>
# %% [markdown]
# In Llama 3 8B several queries share one key and value (*grouped-query attention*), so key and value
# have fewer outputs. The MLP has a third matrix, the *gate*. “Copies” is how often a layer occurs:
# %%
rows = [[p.target, f"{p.in_dim:,}", f"{p.out_dim:,}", p.copies] for p in llama.projections]
table(["layer", "inputs", "outputs", "copies"], rows)


# %% [markdown]
# **Exercise 3, own code.** Count for any model, given such triples: inputs, outputs, copies.
# %% exercise="04.model"
def count_lora(layers, rank):
    """Trainable parameters of LoRA on layers given as (in_dim, out_dim, copies)."""
    # <solution>
    return sum(rank * (in_dim + out_dim) * copies for in_dim, out_dim, copies in layers)
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("04.model", count_lora)


# %% [markdown]
# <details><summary>Hint</summary>
# Loop over the triples: <code>for in_dim, out_dim, copies in layers</code>.
# </details>
# %%
# @title Your count beside the package's, for every model that it knows
def parity(rank):
    for name, shape in MODEL_SHAPES.items():
        layers = [(p.in_dim, p.out_dim, p.copies) for p in shape.projections]
        targets = [p.target for p in shape.projections]
        yield name, count_lora(layers, rank), lora_parameters(shape, rank, targets)


columns, rows = ["at rank 8, head included", "the package's count"], []
for name, yours, package in parity(rank=8):
    rows.append([name, f"{package:,}"])
    if yours is not None:
        rows[-1].append("agrees" if yours == package else f"off by {yours - package:,}")
table([*columns, "yours"][: len(rows[0])], rows)
# %% [markdown]
# **Exercise 4.** In the [rank explorer](#How-many-numbers-does-LoRA-train?) take Llama 3 8B and tick
# all layers but the head. What is the slider's first stop above 1 % of the model's parameters?
# %% exercise="04.explorer"
# <solution>
smallest_rank = 32
# </solution>
# <student>
# smallest_rank = ...  # a rank on the slider
# </student>
check("04.explorer", smallest_rank)
# %% [markdown]
# <details><summary>Hint</summary>
# The share is below the large number.
# </details>
#
# ## Deeper: why the activations stay
# Take a layer $y = x W$, with $G$ the loss's gradient at its output. The backward pass computes
# $x^\top G$, the gradient of $W$, and $G W^\top$, that at the layer's input. A frozen layer skips the
# first, so it need not keep $x$. With an adapter it must, because $A$'s gradient needs the same $x$.
# %%
from lora_edu.plots import drawing

drawing("kept")
# %% [markdown]
# The lower half counts what a block keeps for each token, in boxes of $d$ numbers, the model's width.
# Attention keeps query, key, value and its result, which is also the input of `out`. The linear
# layers' inputs make six: one that query, key and value share, one for `fc_in`, and four for `fc_out`.
# On the right are the $r$ numbers of each $x A$. *Checkpointing* keeps only
# each block's input and computes the rest again.
#
# Is the drawing right? `kept_bytes` adds up what PyTorch stores for our mini GPT. One row, a control,
# trains query's and value's own weights.
# %%
from lora_edu import next_token_loss
from lora_edu.budget import activation_bytes, kept_bytes
from lora_edu.datasets import Batch

mini, pair = MODEL_SHAPES["mini GPT (3M)"], ["query", "value"]
six = [layer.target for layer in mini.projections if layer.target != "head"]
tokens = torch.zeros(4, 128, dtype=torch.long)
batch = Batch(tokens, torch.full((4,), 128), tokens)


def measured(targets=(), learn=()):
    """What PyTorch keeps with LoRA on `targets`, and with W learning in the layers of `learn`."""
    model = GPT(GPTConfig())
    freeze(model)
    if targets:
        replace_linear_with_lora(model, rank=8, alpha=16, targets=targets)
    for name, parameter in model.named_parameters():
        if any(part in name for part in learn):
            parameter.requires_grad_(True)
    return kept_bytes(model, batch, next_token_loss)


# %%
# @title What is kept, by PyTorch and by the formula
everything = measured(learn=[""])  # "" is in every name
rows = {
    "full fine-tuning": (everything, [*six, "head"], 0),
    "LoRA on query, value": (measured(pair), pair, 8),
    "W of query, value": (measured(learn=[".query.weight", ".value.weight"]), pair, 0),
    "LoRA on all six": (measured(six), six, 8),
}
kept = []
for name, (found, targets, rank) in rows.items():
    row = {"batch_size": 4, "length_tokens": 128, "number_bytes": 4}
    formula = activation_bytes(mini, targets, rank=rank, **row)
    both = 100 * found / everything, 100 * formula / everything
    kept.append([name, *(f"{share:.0f}" for share in both)])
last = measured(["blocks.5.attention.query", "blocks.5.attention.value"])
for_loss = 4 * tokens.numel() * mini.vocab_size  # float32
kept.append(["LoRA in the last block alone", f"{100 * last / everything:.0f}", "–"])
kept.append(["the loss's array alone", "–", f"{100 * for_loss / everything:.0f}"])
note = "The control keeps as much as LoRA there: A's gradient needs the inputs that W's would need."
table(["kept, % of full fine-tuning", "by PyTorch", "by the formula"], kept, note=note)
# %% [markdown]
# The drawing's 11 of 16 boxes are 69 %. With loss and head PyTorch keeps 71 %, and in GPT-2 small 81 %, because
# its large vocabulary makes the loss's part larger.
#
# **Exercise 5.** True or false?
#
# - `no_backward`: a frozen layer *after* an adapter takes no part in the backward pass.
# - `last_block`: if only the last block has adapters, those before it keep nothing for the backward
#   pass.
# - `share`: if LoRA trains 0.2 % of the parameters, and the weights stay in 16 bits, it saves at
#   least 90 % of full fine-tuning's memory.
# - `checkpointing`: with activation checkpointing, a step computes more.
# %% exercise="04.true_or_false"
# <solution>
answers = {"no_backward": False, "last_block": True, "share": False, "checkpointing": True}
# </solution>
# <student>
# answers = {"no_backward": ..., "last_block": ..., "share": ..., "checkpointing": ...}
# </student>
check("04.true_or_false", answers)


# %% [markdown]
# <details><summary>Hint</summary>
# Look at what PyTorch kept, and at the bytes for each number.
# </details>
#
# ## Deeper: what a large vocabulary costs
# A task with new words may need embedding and head trained as well. What does that cost in Llama 3 8B?
# %%
# @title What embedding and head cost, beside LoRA on the blocks
head = next(layer for layer in llama.projections if layer.target == "head")
numbers = 2 * head.in_dim * head.out_dim  # the embedding has as many as the head
for_loss = 4 * 4 * 1024 * head.out_dim  # 4 bytes for each of 4 × 1,024 tokens
small_mb = adapter_bytes(llama, 8, in_blocks, 2) / 1e6
costs = [
    ["the loss's array, which is there in any case", f"{for_loss / 1e9:.1f} GB", "while it trains"],
    ["embedding and head, in full", f"{2 * numbers / 1e9:.1f} GB", "in the file"],
    ["their gradients and Adam's numbers", f"{10 * numbers / 1e9:.1f} GB", "while they train"],
    ["LoRA of rank 8 on the blocks", f"{small_mb:.0f} MB", "in the file"],
]
times = f"{1 + 2 * numbers / 1e6 / small_mb:.0f}"
note = f"""With embedding and head the file is {times} times as large, and the run needs more, too.
A plain cross-entropy holds several arrays of tokens × vocabulary; our budget counts one."""
table(["", "takes", "where"], costs, note=note)


# %% [markdown]
# ## Deeper: published figures, checked
# Does our arithmetic agree with the papers?
# %%
# @title Published figures and computed ones
def compare(what, published, computed):
    now, then = (float(said.split()[0].replace(",", "")) for said in (computed, published))
    off = f"differs by {100 * (now / then - 1):+.1f} %".replace("-", "−")
    verdict = "as published" if published == computed else off
    compared.append([what, published, computed, verdict])


compared = []
two_classes, gpt3 = small.with_classifier(2), MODEL_SHAPES["GPT-3 175B"]
every = [layer.target for layer in two_classes.projections]
compare("Raschka 2024, appendix E: all parameters", "124,441,346", f"{two_classes.parameters:,}")
compare("appendix E: rank 16, all", "2,666,528", f"{lora_parameters(two_classes, 16, every):,}")
compare("LoRA, table 4: all of GPT-3", "175,255.8 M", f"{gpt3.parameters / 1e6:,.1f} M")
for rank, published in ((1, "4.7 M"), (8, "37.7 M")):
    count = lora_parameters(gpt3, rank, pair) / 1e6
    compare(f"table 4: rank {rank} on query, value", published, f"{count:.1f} M")
for size, published in (("medium (355M)", "0.35 M"), ("large (774M)", "0.77 M")):
    count = lora_parameters(MODEL_SHAPES[f"GPT-2 {size}"], 4, pair) / 1e6
    compare(f"table 3: GPT-2 {size}, rank 4", published, f"{count:.2f} M")
rank_4 = adapter_bytes(gpt3, 4, pair, 2) / 1e6
compare("section 4.2: rank 4, a checkpoint", "35 MB", f"{rank_4:.1f} MB")
table(["", "published", "computed", ""], compared)
# %% [markdown]
# Even in MiB, $2^{20}$ bytes, the last row is 36, not 35. We cannot explain GPT-3's 0.4 %, and no whole rank on query
# and value gives table 3's counts, although the [released
# recipe](https://github.com/microsoft/LoRA/tree/main/examples/NLG) has rank 4 there.
#
# QLoRA's headline is 65 billion parameters on one card of 48 GB, where full fine-tuning in 16 bits
# needs more than 780 GB. We take one row of 512 tokens, rank 64 on all layers of the blocks, and checkpointing:
# %%
settings = {"rank": 64, "length_tokens": 512, "checkpointing": True, "targets": in_blocks}
rows = []
for name, method in {"full fine-tuning": "full", "LoRA": "lora", "QLoRA": "qlora"}.items():
    needs = memory_budget(MODEL_SHAPES["LLaMA 65B"], method, **settings)
    smallest = (needs.cards_that_fit() or ["none"])[0]
    rows.append([name, f"{needs.total_bytes / 1e9:.1f}", smallest])
table(["", "GB", "smallest single card"], rows)
# %% [markdown]
# The headline holds on paper, though with 6 % of the card left instead of a tenth.
#
# ## Three sentences to remember
# 1. LoRA trains $r(m+n)$ numbers per layer instead of $m n$; the wider the layer, the smaller the
#   share.
# 2. ◇ Beyond rank $mn/(m+n)$, half the width of a square layer, LoRA is the larger choice.
# 3. LoRA spares gradients and optimizer states, but not the weights, nor most of the activations.
#
# ## Five questions
# 1. Why does the same rank train a smaller share of a larger model?
# 2. ◇ What changes in the count when keys and values are grouped?
# 3. ◇ Why does a file for the blocks alone not grow with the vocabulary?
# 4. When does LoRA save least memory, and what helps then?
# 5. ◇ Which published figures did not add up?
#
# <details><summary>Answers</summary>
# (1) The adapter grows with the width, the layer with its square. (2) Key and value have fewer
# outputs. (3) No layer in them has its size. (4) With many or long rows, where activations dominate;
# checkpointing. (5) 0.35 M, 0.77 M, GPT-3 by 0.4 %, and 35 MB.
# </details>
#
# ## Where next
# [Fine-tune a classifier](05_finetune_a_classifier.ipynb) trains what you counted.
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), sections 4.2, 5.1 and 7.1
# - Dettmers et al. 2023, [QLoRA](https://arxiv.org/abs/2305.14314), section 3
# - Korthikanti et al. 2022, [Reducing Activation Recomputation in Large Transformer
#   Models](https://arxiv.org/abs/2205.05198), section 4
