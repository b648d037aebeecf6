# %% [markdown]
# # LoRA in twenty minutes
#
# See what LoRA does, build it, train it in a language model, and keep the result in one small file.
#
# **You will be able to**
# - explain LoRA with one drawing
# - write it in fifteen lines, put it into a GPT, and train it
# - say what it saves, and when to use it
#
# **You need** a little PyTorch (tensors, `nn.Module`, training) and a first idea of a transformer.
#
# **Time:** {whole} minutes to read, and some to run and to play, CPU or GPU. There is nothing to
# solve: press Shift+Enter in each cell, from the top. The [course](00_start_here.ipynb) takes the same
# way slowly, with exercises.
# %% bootstrap
# %% [markdown]
# ## See it
# Here is a tiny language model, the *base*. It has read ten thousand children's stories and nothing
# else. An *adapter* is a small file that teaches it more. The one called `menu` turns data about a
# place into a sentence. **Drag Strength to 0 and back to 1.**
# %%
from lora_edu.widgets.strength_explorer import strength_explorer

explorer = strength_explorer()
explorer
# %% [markdown]
# At 0 you read the base, just as it was. At 1 the adapter is on. Nothing was copied and nothing was
# overwritten: that is LoRA.
#
# ## Why not train the model itself?
# You can. It is called *full fine-tuning*: you train all of a model's numbers once more, on your own
# examples. But each number then needs a gradient and two more numbers for the optimizer. The
# backward pass also needs intermediate results, as it does with LoRA. So for Llama 3 8B you need about 121 GB of
# GPU memory, and each task leaves you a file of 16 GB. LoRA trains a few *new* numbers instead. With
# LoRA on two layers of each block, query and value, training takes 35 GB, and a task's file has 7 MB.
# %%
# @title What it takes to train Llama 3 8B, estimated
from lora_edu.budget import MODEL_SHAPES, adapter_bytes, checkpoint_bytes, memory_budget
from lora_edu.plots import bar_chart, picture

llama = MODEL_SHAPES["Llama 3 8B"]
needs_gb = {}
for way, method in {"full fine-tuning": "full", "LoRA, query and value": "lora"}.items():
    needed = memory_budget(llama, method, batch_size=4, length_tokens=1024)
    needs_gb[way] = needed.total_bytes / 1e9
model_gb = checkpoint_bytes(llama, 2) / 1e9
file_mb = adapter_bytes(llama, 8, ["query", "value"], 2) / 1e6
share = 100 * needs_gb["LoRA, query and value"] / needs_gb["full fine-tuning"]
less = f"LoRA takes {share:.0f} % of the memory"
title = f"{less}, and a file of {file_mb:.0f} MB in place of {model_gb:.0f} GB"
label = "GPU memory (GB), 4 texts of 1,024 tokens"
chart = bar_chart(needs_gb, title=title, y_label=label, label_format="{:.0f}")
bars = ", ".join(f"{way} {gb:.0f} GB" for way, gb in needs_gb.items())
picture(chart, alt=f"Bars, estimated for Llama 3 8B: {bars}. {title}.")
# %% [markdown]
# ## The idea in one drawing
# %%
from lora_edu.plots import drawing

drawing("side_path_alpha")
# %% [markdown]
# A language model is mostly large matrices. Take one of them, $W$, and its input $x$. Training would
# change $W$ into $W + \Delta W$. LoRA leaves $W$ *frozen* and gives $x$ a side path: a thin matrix $A$
# squeezes it to $r$ numbers, and a thin matrix $B$ widens them again. Then both results are added. That
# is the same as adding matrices, because $x (W + \Delta W) = x W + x \Delta W$. With $\Delta W = \alpha A B$:
#
# $$y = x W + \alpha \cdot x A B$$
#
# Only $A$ and $B$ are trained. The number $r$ is the **rank**, and it is small: 8, for instance. The
# multiplier $\alpha$ is fixed. How much smaller is that? In our model one layer turns 192 numbers into 768.
# %%
from lora_edu.widgets import predict, reveal

numbers = predict("W has 192 × 768 = 147,456 numbers. How many do A and B have, at rank 8?")
numbers
# %%
# @title The answer: run it when you have predicted
update = 192 * 8 + 8 * 768
held = (
    f"That is {100 * update / (192 * 768):.0f} % of W. In wider layers the share is smaller still."
)
reveal(numbers, update, because="A is 192 × 8, B is 8 × 768", measured=held)
# %% [markdown]
# Can so few numbers be enough? Everything that $A B$ adds must pass through $r$ numbers. So LoRA is a
# bet: what your task changes in $W$ fits through so few numbers. You will see below how the bet goes.
#
# ## Build it
# This is all of LoRA. `LoRALayer` is the side path, and `LinearWithLoRA` puts it beside a layer.
# %%
import torch
from torch import nn


# %%
class LoRALayer(nn.Module):
    def __init__(self, in_dim, out_dim, rank, alpha):
        super().__init__()
        self.A = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(in_dim, rank), a=5**0.5))
        self.B = nn.Parameter(torch.zeros(rank, out_dim))
        self.alpha = alpha

    def forward(self, x):
        return self.alpha * (x @ self.A @ self.B)


class LinearWithLoRA(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear
        self.lora = LoRALayer(linear.in_features, linear.out_features, rank, alpha)

    def forward(self, x):
        return self.linear(x) + self.lora(x)


# %% [markdown]
# Double alpha, and the update counts twice as much. (The slider's strength multiplies on top of alpha:
# at 1, the update counts as it was trained.) $A$ starts with random numbers, $B$ with zeros. So $A B$ is
# zero at first, and the layer answers exactly as before:
# %%
layer, x = nn.Linear(192, 768), torch.randn(4, 192)
difference = (LinearWithLoRA(layer, rank=8, alpha=2.0)(x) - layer(x)).abs().max().item()
print(f"largest difference before training: {difference}")
# %% [markdown]
# ## Put it into a GPT
# Our model is a small GPT: six blocks like this one, one on top of the other. Each has six linear
# layers, and each of those gets a side path, in blue.
# %%
drawing("gpt_block")
# %% [markdown]
# Two things must be done, in this order. First freeze all that is there: done afterwards, it would freeze
# $A$ and $B$ as well. Then walk through the blocks
# and put a `LinearWithLoRA` in the place of each linear layer.
# %%
from lora_edu import choose_device, generate_text, load_pretrained, load_tokenizer


def add_lora(module, rank, alpha):
    """Puts LoRA beside every linear layer below `module`."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, LinearWithLoRA(child, rank, alpha))
        else:
            add_lora(child, rank, alpha)


# %%
device, encoding = choose_device(), load_tokenizer("mini")  # a GPU if there is one
model = load_pretrained("mini")
model.requires_grad_(False)
torch.manual_seed(0)
add_lora(model.blocks, rank=8, alpha=2.0)
model.to(device)

learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
counted = [sum(p.numel() for p in of) for of in (learning, model.parameters())]
print(f"{counted[0]:,} of {counted[1]:,} numbers learn")
# %% [markdown]
# ## Train it
# Now the storyteller learns to talk like a pirate. The loop is the one that you know. The optimizer
# gets $A$ and $B$, and nothing else. Watch how the same opening goes on while the loss falls. The loss is in
# *nats* per token, $-\ln p$, where $p$ is the probability that the model gave the right next token.
# %%
from lora_edu import Batches, load_tales, next_token_loss, text_rows
from lora_edu.plots import cards, to_last_word

batches = Batches(text_rows(load_tales().train, encoding, 96), batch_size=8, seed=0)
before = {name: tensor.clone() for name, tensor in model.state_dict().items()}


def tale(model):
    return to_last_word(generate_text(model, encoding, "Long ago, there was a", 22))


# %% tags=["nbval-ignore-output"]
optimizer, told = torch.optim.AdamW(learning, lr=1e-3), {}

for step, batch in zip(range(41), batches.epoch(0)):
    loss = next_token_loss(model, batch.to(device))
    if step in (0, 10, 20, 40):
        told[f"LoRA, step {step}: {loss.item():.1f} nats per token"] = tale(model)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

cards(told)
# %% [markdown]
# Forty steps, and there are pirates at sea! These tales retell few plots, so on others the loss is higher
# ([notebook 03](03_lora_in_a_gpt.ipynb) measures it). The plot stumbles, too, but with more training an
# adapter of this size tells a better tale:
# %% tags=["nbval-ignore-output"]
from lora_edu import data_path, load_adapter, switch

longer = load_pretrained("mini", device=device)
switch(longer, load_adapter(data_path("adapters", "tales")))  # saw twelve times as many tokens
cards({"LoRA, after longer training": tale(longer)})
# %% [markdown]
# Is the base still there, should you take LoRA off? Compare each of its tensors,
# bit for bit, with the copy from before:
# %%
from lora_edu import same_bits

after = model.state_dict()
for part, of_lora in {"A and B": True, "the base": False}.items():
    names = [name for name in before if name.endswith((".A", ".B")) == of_lora]
    moved = sum(not same_bits(before[name], after[name]) for name in names)
    print(f"{part}: {moved} of {len(names)} tensors changed")
# %% [markdown]
# ## Keep it in one small file
# What has your model learnt? All of it is in $A$ and $B$, so these are all that you keep. A fresh copy
# of the base and this file are the pirate again, and another task is another file.
# %%
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file

file = Path(tempfile.mkdtemp()) / "pirate.safetensors"
save_file({name: p.detach() for name, p in model.named_parameters() if p.requires_grad}, file)

fresh = load_pretrained("mini")
add_lora(fresh.blocks, rank=8, alpha=2.0)
fresh.load_state_dict(load_file(file), strict=False)  # not strict: the base is there already
same = tale(fresh.to(device)) == tale(model)
print("the fresh copy tells", "the same tale" if same else "another tale")
sizes = [path.stat().st_size / 1000 for path in (file, data_path("mini_gpt", "model.safetensors"))]
print(f"the file, in 32 bits: {sizes[0]:,.0f} kB; the base, in 16: {sizes[1]:,.0f} kB")
# %% [markdown]
# ## Is it as good?
# We trained two tasks, with LoRA at rank 8 and with full fine-tuning: telling spam from other
# messages, and writing the waiter's sentences from data.
# %%
TASKS = ["on both", "on spam alone", "on menus alone", "on neither"]
question = "LoRA trained 5 % of the numbers. Where did it do about as well as full fine-tuning?"
as_good = predict(question, TASKS)
as_good
# %%
# @title The answer: run it when you have predicted
from lora_edu.evaluation import read_record, runs_of
from lora_edu.plots import table

spam, menus = (
    read_record(data_path("results", f"{name}_bundled.json"))
    for name in ("classifier", "generator")
)
methods = [{"method": "lora", "rank": 8}, {"method": "full"}]
right = [
    runs_of(spam, stage="final", base="mini", labels="true", method=m["method"]) for m in methods
]
wrong = [runs_of(menus, stage="final", task="menu", **method) for method in methods]


def over_seeds(runs, measure):
    found = [100 * run[measure] for run in runs]
    return f"{sum(found) / len(found):.0f} ({min(found):.0f} to {max(found):.0f})"


rows = [["spam: messages right, %", *(over_seeds(runs, "test_accuracy") for runs in right)]]
rows.append(["menus: facts wrong, %", *(over_seeds(runs, "slot_error_rate") for runs in wrong)])
note = "On test data; the mean over five seeds, and the range."
compared = table(["", "LoRA, rank 8", "full fine-tuning"], rows, note=note)

reveal(as_good, TASKS[1], because="on menus LoRA makes more mistakes", measured=compared)
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# On spam the five seeds of each method overlap, so we cannot tell LoRA from full fine-tuning. But the
# task is easy, since counting words does about as well ([notebook
# 05](05_finetune_a_classifier.ipynb)). On menus LoRA gets six facts in a hundred wrong, and full
# fine-tuning two; the base without training gets nearly all of them wrong. So here LoRA did most of the
# work for a small part of the price. Whether that is enough depends on the task.
#
# </details>
#
# ## Should I use it, and with what?
# Alpha in these tables counts as in PEFT, the usual library: it is divided by the rank, so at rank 8 its
# 16 is our 2. The course's `replace_linear_with_lora` divides, too, with `scaling="alpha/rank"`, and with
# `init="peft"` its $A$ starts with PEFT's smaller random numbers. *QLoRA* keeps the base in 4 bits, and *checkpointing* computes
# activations again instead of keeping them.
# %%
from lora_edu.widgets.choosing import decision_tables

decision_tables()
# %% [markdown]
# The evidence is folded beneath each table.
#
# ## Three sentences to remember
# 1. LoRA freezes a model and trains two thin matrices beside each layer that you choose.
# 2. It starts as the model itself, never changes it, and can be taken off again.
# 3. A task is one small file; whether that is enough for *your* task, only your validation set can say.
#
# ## Where next
# [Start here](00_start_here.ipynb) goes the same way with your own hands: you build each part, predict
# each result, and check it.
#
# ## Further reading
# - Hu et al. 2021, [LoRA: Low-Rank Adaptation of Large Language Models](https://arxiv.org/abs/2106.09685)
# - Raschka 2024, *Build a Large Language Model (From Scratch)*, appendix E, whose two classes these are
