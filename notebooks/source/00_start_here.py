# %% [markdown]
# # Start here: one model, many behaviours
#
# One small language model becomes a waiter, a pirate or a spam filter: with LoRA you swap one small file.
#
# {drawing:one_base}
#
# **You will be able to**
# - say why LoRA exists, and draw it
# - put an adapter on a language model, set its strength, take it off
# - say what an adapter's file holds, and why the model beneath never changes
#
# **You need** a little PyTorch (tensors, `nn.Module`, training) and a first idea of a transformer.
#
# **Time:** {path} minutes on the marked path, the sections with ◆; {whole} in all, CPU or GPU.
# In a hurry? [LoRA in twenty minutes](20_minutes.ipynb) is one notebook, without exercises.
#
# **How to use it:** press Shift+Enter in each cell, from the top. If something breaks, or sliders
# stop answering after a restart, start again at the top. A section headed “Deeper” is folded.
# %% bootstrap
# %% [markdown]
# ## See it work
# Our model, the *base*, is tiny: 3 million parameters. It has read ten thousand children's stories
# and nothing else. So its grammar is mostly good, but its plots wander off. Three small files,
# *adapters*, teach it more. The waiter, `menu`, turns data about a place into a sentence. **Drag
# Strength to 0 and back.**
# %%
from lora_edu.widgets.strength_explorer import strength_explorer

explorer = strength_explorer()
explorer
# %% [markdown]
# **To find out:** choose the tales adapter and slide up from 0. Who takes over the story, and at
# what strength? What happens at 2 and at −1?
#
# <details><summary>What to look for</summary>
# A pirate: with the first prompt he comes at 0.8. Towards 2 the change is exaggerated until the
# words break up. Below 0 it is subtracted, so the model moves <em>away</em> from pirates, and in the
# end from good English.
# </details>
# %% [markdown]
# Now write a prompt of **your own**; for the waiter, choose menu and Strength 1. We picked
# our prompts. With yours, expect wrong facts, invented words and missed spam from so small a model.
#
# ## Why LoRA?
# A language model that has read half the internet still does not know *your* task. The usual cure,
# *fine-tuning*, trains all of its numbers once more on your examples. Each number needs a gradient and
# two numbers for the optimizer, and the backward pass needs intermediate results. For Llama 3 8B this
# takes about 121 GB of GPU memory, which notebook 04 adds up, and each task leaves a file of 16 GB.
#
# LoRA freezes the model, and trains a small adapter beside it. Only the adapter needs gradients and an
# optimizer; weights and intermediate results remain. So about 35 GB are enough, and each task's file
# shrinks to 7 MB.
# %%
# @title What it takes to train Llama 3 8B, estimated
from lora_edu.budget import MODEL_SHAPES, adapter_bytes, checkpoint_bytes, memory_budget
from lora_edu.plots import bar_chart, show

llama = MODEL_SHAPES["Llama 3 8B"]
ways = {"full fine-tuning": "full", "LoRA": "lora", "LoRA, 4-bit base": "qlora"}
needs_gb = {
    way: memory_budget(llama, method, batch_size=4, length_tokens=1024).total_bytes / 1e9
    for way, method in ways.items()
}
chart = bar_chart(
    needs_gb,
    title=f"LoRA trains in {100 * needs_gb['LoRA'] / max(needs_gb.values()):.0f} % of the memory",
    y_label="GPU memory (GB), 4 texts of 1,024 tokens",
    label_format="{:.0f}",
)
show(chart, alt="Bars: " + ", ".join(f"{way} {gb:.0f} GB" for way, gb in needs_gb.items()))
file_mb = adapter_bytes(llama, 8, ["query", "value"], 2) / 1e6
print(f"a whole copy: {checkpoint_bytes(llama, 2) / 1e9:.0f} GB; an adapter: {file_mb:.0f} MB")
# %% [markdown]
# The idea in one drawing:
# %%
from lora_edu.plots import drawing

drawing("side_path")
# %% [markdown]
# Follow the input $x$. One way leads through the pretrained matrix $W$. It is *frozen*: training
# never changes it. On the side path, a thin $A$ squeezes $x$ to $r$ numbers, and a thin $B$ widens
# them. Then the results are added. Only $A$ and $B$, the *adapter*, are trained. Their thin side,
# $r$, is the **rank**. It is small, hence *low-rank adaptation*. $B$ starts at zero, so at first
# nothing changes. In all, the layer acts as if its matrix were $W + \Delta W$. This *update*,
# $\Delta W$, is $A B$ times a fixed number, the *multiplier*.
#
# Think of $W$ as a drawing in ink, and of $\Delta W$ as tracing paper on it, with a few pencil strokes.
# You see their sum. Lift the sheet, and the ink is as it was.
#
# ## The same in code
# First the base alone. Nobody has taught it what `name[Old Oak], kind[tea room]` means:
# %%
from lora_edu import choose_device, generate_text, load_pretrained, load_tokenizer

device = choose_device()  # a GPU if there is one
encoding = load_tokenizer("mini")
model = load_pretrained("mini", device=device)
meaning = "name[Old Oak], kind[tea room], dish[apple pie], near[the river]\n"
print(generate_text(model, encoding, meaning, 40))
# %% [markdown]
# Now `switch` puts an $A$ and a $B$ beside each adapted layer:
# %%
from lora_edu import data_path, load_adapter, switch

menu = load_adapter(data_path("adapters", "menu"))
switch(model, menu)
print(generate_text(model, encoding, meaning, 40))
# %% [markdown]
# From nonsense to a correct sentence, with one small file! What is in it?
# %%
a, b = menu.matrices["blocks.0.attention.query"]
print(f"A and B for {len(menu.matrices)} layers. The first: A {tuple(a.shape)}, B {tuple(b.shape)}")
# %% [markdown]
# **Exercise 1, to warm up.** What is the rank of this adapter? First see `check` refuse
# 192, then replace the dots.
# %%
from lora_edu.exercises import check

check("00.first", 192)
# %% exercise="00.first"
# <solution>
rank = 8  # the smaller number in both shapes
# </solution>
# <student>
# rank = ...  # a whole number
# </student>
check("00.first", rank)
# %% [markdown]
# <details><summary>Hint</summary>
# It is the smaller number in the two shapes above. Stuck?
# <a href="https://github.com/lora-edu/lora_edu/tree/main/notebooks/solutions">Solutions</a>.
# </details>
#
# ## What does strength do?
# What is left of the waiter at strength 0? Predict: choose an answer, then run on. A wrong guess teaches you most.
# %%
from lora_edu.widgets import predict, reveal

ANSWERS = ["exactly equal", "equal up to rounding", "different, a little like a waiter's"]
zero = predict("With the adapter on at strength 0, the outputs and the base's are …", ANSWERS)
zero
# %%
import torch

from lora_edu import set_strength

base = load_pretrained("mini", device=device)
token_ids = torch.tensor([encoding.encode_ordinary(meaning)], device=device)
switch(model, menu)  # also if you come back from further down
set_strength(model, 0)
with torch.no_grad():
    difference = (model(token_ids) - base(token_ids)).abs().max().item()
set_strength(model, 1)
# %%
# @title The answer: run it when you have predicted
answer, measured = ANSWERS[0 if difference == 0 else 1], f"Largest difference: {difference}"
why = "times 0 the update is 0, and adding 0 changes no bit"
reveal(zero, answer, because=why, measured=measured)
# %% [markdown]
# With strength $s$ the layer computes $x W + s \cdot x \Delta W$. The multiplier is already in
# $\Delta W$, so 1 is the adapter as trained.
#
# ## How small is an adapter?
# The squares of the first drawing are to scale. Here are their files:
# %%
# @title The sizes of the four files
files = {"base": data_path("mini_gpt", "model.safetensors")}
for name in ("tales", "menu", "spam"):
    files[name] = data_path("adapters", name, "adapter_model.safetensors")
sizes_bytes = {name: path.stat().st_size for name, path in files.items()}
share = sizes_bytes["menu"] / sizes_bytes["base"]
chart = bar_chart(
    {name: size_bytes / 1000 for name, size_bytes in sizes_bytes.items()},
    title=f"An adapter takes {100 * share:.1f} % of the base's space",
    y_label="file size (kB)",
    label_format="{:,.0f}",
    concept="lora",
)
show(chart, alt=f"Four bars: each adapter has {100 * share:.1f} % of the base's size.")
# %% [markdown]
# <details><summary>Why so small?</summary>
# In the layer above, A and B hold 2 × 192 × 8 = 3,072 numbers, 8 % of W's 36,864; in the MLP's wider
# layers it is 5 %. Embeddings get no adapter. Llama's 7 MB are only 0.04 % of its 16 GB, because its layers are wider, and only query
# and value have an adapter.
# </details>
#
# ## Does switching change the base?
# Full fine-tuning can make a model forget (notebook 06). Does an adapter, once off, leave a
# trace? Compare every tensor with the file.
# %%
from lora_edu import detach, lora_layers, same_bits

if lora_layers(model):
    detach(model)
now, stored = model.state_dict(), load_pretrained("mini", device=device).state_dict()
changed = [name for name in stored if not same_bits(now[name], stored[name])]
print(f"{len(changed)} of {len(stored)} tensors changed")


# %% [markdown]
# The ink is untouched. Training does not touch it either, as you will prove in notebook 03.
#
# Next comes a folded section. Use the mouse: Shift+Enter on one jumps to the top.
#
# ## Deeper: one layer by your own hand
# The drawing is a single line of code.
#
# **Exercise 2, fill in.** Add the two ways: $x$ through $W$, and `scale` times $x$ through $A$
# and $B$. Here `scale` is the strength times the multiplier.
# %% exercise="00.side_path"
def side_path(x, W, A, B, scale):
    # <solution>
    return x @ W + scale * (x @ A @ B)
    # </solution>
    # <student>
    # return ...  # the output of the layer
    # </student>


check("00.side_path", side_path)
# %% [markdown]
# <details><summary>Hint</summary>
# <code>@</code> multiplies matrices, and only what goes through A and B is multiplied by the scale.
# </details>
# %% [markdown]
# Does the real layer do the same? It adds a bias, and its multiplier is *alpha / rank* = 16 / 8, as
# [notebook 02](02_build_lora.ipynb) explains.
# %%
switch(model, menu)
layer = model.blocks[0].attention.query
x = torch.randn(4, 192, device=device)
parts = (layer.linear.weight.T, layer.lora.A, layer.lora.B)  # nn.Linear stores W transposed
yours = side_path(x, *parts, 1 * menu.alpha / menu.rank)  # strength 1, times the multiplier
if yours is not None and yours is not ...:
    with torch.no_grad():
        off = (yours + layer.linear.bias - layer(x)).abs().max().item()
    print(f"largest difference from the real layer: {off:.4f}")
# %% [markdown]
# ## Deeper: why the words jump
# The text shows only the likeliest next token, a word or a piece of one. The probabilities behind
# it move smoothly. “pirate” is split into three tokens; the curve shows the first:
# %%
# @title The next word, against the strength of the tales adapter
from lora_edu.plots import Line, line_chart

switch(model, load_adapter(data_path("adapters", "tales")))
opening = "Once upon a time, there was a little"
opening_ids = torch.tensor([encoding.encode_ordinary(opening)], device=device)
words = {}
for word in ("girl", "boy", "pirate"):
    first, *rest = encoding.encode_ordinary(f" {word}")
    words[f"{encoding.decode([first]).strip()}…" if rest else word] = first
strengths = [step / 10 for step in range(-10, 21)]
shares = {word: [] for word in words}
for strength in strengths:
    set_strength(model, strength)
    with torch.no_grad():
        following = model(opening_ids)[0, -1].softmax(dim=0)
    for word, token in words.items():
        shares[word].append(100 * following[token].item())
set_strength(model, 1)

leading = [max(words, key=lambda word: shares[word][i]) for i in range(len(strengths))]
turns = [(s, now) for s, now, old in zip(strengths[1:], leading[1:], leading) if now != old]
finding = f"“{leading[0]}” leads at first, " + ", ".join(f"“{w}” from {s}" for s, w in turns)
chart = line_chart(
    [Line(f"“{word}”", strengths, shares[word], points=False) for word in words],
    title=finding,
    x_label=f"strength of the adapter, after the prompt “{opening}”",
    y_label="probability as next token (%)",
)
show(chart, alt=f"Three smooth curves that cross. {finding}.")
# %% [markdown]
# **Takeaway:** strength acts smoothly; the text changes where another word's curve becomes the highest.
#
# ## Deeper: a filter for spam
# The spam adapter brings a new last layer, a *head* with two outputs.
# %%
from lora_edu.plots import table

switch(model, load_adapter(data_path("adapters", "spam")))
answers = []
for message in (
    "You have won a free phone! Call now and have your bank card ready.",
    "Hi mum, I will be home at six. Shall I bring bread?",
    "Free money! Reply YES now to get your cash.",
):
    message_ids = torch.tensor([encoding.encode_ordinary(message)], device=device)
    with torch.no_grad():
        said = model(message_ids)[0, -1].argmax().item()
    answers.append([("not spam", "spam")[said], message])
table(["the filter says", "message"], answers)
# %% [markdown]
# The last is a miss! How often is it right on 515 invented test messages?
# %%
# @title How often it is right, from the record
import json

recorded = json.loads(data_path("adapters", "spam", "metrics.json").read_text())
counted = json.loads(data_path("results", "baselines.json").read_text())["bundled"]
found = recorded["test"]["adapter"]
adapter = [found["accuracy"], found["accuracy_low"], found["accuracy_high"]]
measured = {
    "the adapter": adapter,
    "counting words and pairs, without a model": counted["words_and_pairs"]["accuracy"],
    "always saying “not spam”": counted["majority"]["accuracy"],
}
table(
    ["", "right, %", "95 % interval"],
    [
        [way, f"{100 * right:.0f}", f"{100 * low:.0f} to {100 * high:.0f}"]
        for way, (right, low, high) in measured.items()
    ],
)
# %% [markdown]
# Counting words comes close, so most of that score needs no language model!
#
# ## Deeper: what it costs
# When the model runs, each adapted layer multiplies by two thin matrices more:
# %%
weights = sum(a.shape[0] * b.shape[1] for a, b in menu.matrices.values())
extra = sum(a.numel() + b.numel() for a, b in menu.matrices.values())
print(f"{100 * extra / weights:.1f} % more multiplications in the 36 adapted layers together")
# %% [markdown]
# In notebook 02 you *merge*: you add $\Delta W$ into $W$, and this cost is gone.
#
# **Exercise 3.** `True` or `False`?
#
# - `forgotten`: once the tales adapter is trained, the base *without it* tells worse stories.
# - `inside`: an adapter's file holds a changed copy of the base's weights.
# - `zero`: with the *tales* adapter at strength 0, the model's output is exactly the base's.
# - `free`: an attached adapter adds no work when the model runs.
# %% exercise="00.true_or_false"
# <solution>
answers = {"forgotten": False, "inside": False, "zero": True, "free": False}
# </solution>
# <student>
# answers = {"forgotten": ..., "inside": ..., "zero": ..., "free": ...}
# </student>
check("00.true_or_false", answers)
# %% [markdown]
# <details><summary>Hint</summary>
# Which numbers does training change? How small is the file?
# </details>
#
# ## Deeper: is your machine fast enough?
# Yes: a laptop's processor will do.
# %% tags=["nbval-ignore-output"]
# @title What your machine does
import platform
import time

beginning = "Once upon a time"
start = time.perf_counter()
text = generate_text(base, encoding, beginning, 100)
seconds = time.perf_counter() - start
made = len(encoding.encode_ordinary(text.removeprefix(beginning)))
print(f"Python {platform.python_version()}, torch {torch.__version__}, device {device}")
print(f"about {made / seconds:.0f} tokens per second")
# %% [markdown]
# ## The map
# | | notebook |
# |:---|:---|
# | 00 | **Core:** Start here |
# | 01 | [What rank means](01_what_rank_means.ipynb) |
# | 02 | [Build `LoRALayer`](02_build_lora.ipynb) |
# | 03 | [LoRA in a small GPT](03_lora_in_a_gpt.ipynb) |
# | 04 | [Count before you train](04_count_before_you_train.ipynb) |
# | 05 | [Fine-tune a classifier](05_finetune_a_classifier.ipynb) |
# | 06 | **Use:** [Fine-tune a generator](06_finetune_a_generator.ipynb) |
# | 07 | [Adapters as files](07_adapters_as_files.ipynb) |
# | 08 | [A model you did not write](08_a_model_you_did_not_write.ipynb) |
# | 09 | **Depth:** [Distrust a single number](09_distrust_a_single_number.ipynb) |
# | 10 | [Choose rank, alpha, rate](10_choose_rank_alpha_rate.ipynb) |
#
# LoRA makes four promises, and you measure each: few trainable parameters (04), unchanged weights
# (03), a task learnt well all the same (05), one small file per task (07).
#
# ## Three sentences to remember
# 1. LoRA leaves a model's weights alone and trains a small update beside them.
# 2. The update can be scaled, swapped and taken off; at strength 0 you have exactly the base, but for a new last layer.
# 3. Each further task costs one small file, and a little computing until you add $\Delta W$ into $W$.
#
# ## Five questions
# 1. Why not fine-tune a whole model for each task?
# 2. What does a layer with an adapter compute?
# 3. What does an adapter's file hold?
# 4. Why is a model with its adapter at strength 0 *exactly* the base?
# 5. ◇ Why does the text change in jumps?
#
# <details><summary>Answers</summary>
# (1) The memory, and a whole copy for each task. (2) x W plus strength times x ΔW. (3) A and B of
# each adapted layer, and a new head if there is one. (4) The update is multiplied by 0, and W never
# changed. (5) Two probabilities cross, and the likeliest token changes.
# </details>
#
# ## Where next
# Why can so few numbers be enough? [What rank means](01_what_rank_means.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA: Low-Rank Adaptation of Large Language
#   Models](https://arxiv.org/abs/2106.09685)
# - Ilharco et al. 2023, [Editing Models with Task Arithmetic](https://arxiv.org/abs/2212.04089)
# - Eldan and Li 2023, [TinyStories](https://arxiv.org/abs/2305.07759)
