# %% [markdown]
# # Start here: one model, many behaviours
#
# With LoRA, one small language model becomes a pirate, a waiter and a spam filter: you swap files.
#
# **You will be able to**
# - load a language model, put an adapter on it and take it off again
# - set an adapter's strength, and say what strength 0, 1, 2 and −1 mean
# - say what an adapter's file holds, and why the model beneath it never changes
# - check your machine, and find your way through the course
#
# **You need** a little Python and PyTorch: you know what a tensor and an `nn.Module` are.
#
# **Time:** 20 minutes to read and try; running all cells takes about 10 seconds on a CPU with two
# cores (estimate for a GPU: the same).
#
# **How to use it:** click a cell and press Shift+Enter. It runs, and the next one is selected. Run
# the cells in order, from the top; the first one only installs the course where it is missing.
# %% bootstrap
# %% [markdown]
# ## What you get
# Below is a language model of 3 million parameters that has read ten thousand short stories and
# nothing else: the *base*. It is *frozen*: its numbers never change again. Beside it lie three
# *adapters*, small files that were trained for one task each. The method is LoRA, *low-rank
# adaptation*; what is low about it you see below.
#
# Run the next cell, choose an adapter, then drag **Strength** (or focus it and use the arrow keys).
# The words in bold come from the model; beneath them is what the base alone says. Bars show the
# probability of some candidates for the next token, now and in the base. A token is a word or a
# piece of one: dark letters are the token, pale ones are how its word goes on.
# %%
from lora_edu.widgets.strength_explorer import strength_explorer

explorer = strength_explorer()
explorer
# %% [markdown]
# **To find out with the tales adapter:** at which strength comes the first pirate's *word*, and at
# which the first pirate's *sentence*? What happens at 2? And at −1?
#
# <details><summary>What to look for</summary>
# At 0 the base speaks. On the way to 1 it changes in stages: first the course of the story, then
# single words, then the voice, and not at the same strength for each prompt. The base is tiny: even
# at 1 not every sentence makes sense. Towards 2 the trained change is exaggerated until the words
# themselves break up. Below 0 it is subtracted: the model moves <em>away</em> from pirates, and in
# the end from good English as well.
# </details>
# %% [markdown]
# These answers were recorded, so they come at once. Write a prompt of **your own** and press Enter:
# then the model itself answers, on your machine, one strength after another. It knows few words
# beyond those of stories for small children.
#
# ## The same by hand
# Nothing above is magic. First the base alone: load it, give it the beginning of a story, and let
# it go on. It always takes the likeliest next token.
# %%
import torch

from lora_edu import choose_device, generate_text, load_pretrained, load_tokenizer

device = choose_device()  # a GPU if there is one
encoding = load_tokenizer("mini")
model = load_pretrained("mini", device=device)
opening = "Once upon a time, there was a little"
print(generate_text(model, encoding, opening, 6))
# %% [markdown]
# Now the adapter. Its file names the base that it was trained on by a *fingerprint*, a checksum of
# the base's file. Told yours, `load_adapter` refuses an adapter of another base. Attaching wraps
# layers of the model: the old layer sits unchanged inside the new one, with a small update beside
# it. Where the old one computes $x W$, the new one computes $x W + x \Delta W$.
#
# $\Delta W$ is never stored. The file holds two thin matrices, $A$ and $B$, whose product it is, up
# to a fixed factor. (You build that yourself in notebook 02. We write a row $x$ on the left, $x A
# B$; the paper and the file hold all matrices transposed.) The drawing shows one such layer, with
# the matrices as large as they are beside each other.
# %%
from lora_edu.plots import drawing

drawing("side_path")
# %%
from lora_edu import base_fingerprint, data_path, load_adapter, switch

tales = load_adapter(data_path("adapters", "tales"), base_fingerprint=base_fingerprint("mini"))
switch(model, tales)  # `attach`; where an adapter is on already, this one takes its place
print(generate_text(model, encoding, opening, 6))
print(f"\n{len(tales.matrices)} layers have an update. One of them, A and B:")
a, b = tales.matrices["blocks.0.attention.query"]
print(tuple(a.shape), tuple(b.shape))
# %% [markdown]
# ## How exercises work
# You change a cell and run it; `check` then says *passed*, or names the likely misconception.
# Before you try, it says *not tried yet*, and nothing breaks if you skip an exercise. A hint folds
# out below each; full solutions are in the folder `solutions`. If a cell
# ever complains about what another one did, run the notebook from the top.
#
# **Exercise 1, to warm up.** $A$ has the shape (192, $r$) and $B$ the shape ($r$, 192). The number
# that they share is the **rank**. A full $W$ here is 192 × 192, so it could be as high as 192; in
# LoRA it is low. What is the rank of the tales adapter? Replace the dots.
# %% exercise="00.first"
from lora_edu.exercises import check

# <solution>
rank = tales.rank
# </solution>
# <student>
# rank = ...  # a whole number
# </student>
check("00.first", rank)
# %% [markdown]
# <details><summary>Hint</summary>
# The shapes stand in the output above: A is (192, rank) and B is (rank, 192). Or ask
# <code>tales.rank</code>.
# </details>
#
# ## Strength
# With strength $s$ each adapted layer computes $x W + s \cdot x \Delta W$. So 1 is the adapter as
# trained.
#
# In this course you predict first and look afterwards: choose an answer, then run on.
# %%
from lora_edu.widgets import predict, reveal

EQUAL, ROUNDED, BETWEEN = "equal, bit for bit", "equal up to rounding", "still a little piratical"
zero = predict(
    "The adapter stays on, its strength is 0. How are the model's outputs, next to the base's?",
    [EQUAL, ROUNDED, BETWEEN],
)
zero
# %%
from lora_edu import same_bits, set_strength

base = load_pretrained("mini", device=device)
token_ids = torch.tensor([encoding.encode_ordinary(opening)], device=device)
switch(model, tales)  # also if you come back from further down
set_strength(model, 0)
with torch.no_grad():
    same = same_bits(model(token_ids), base(token_ids))
set_strength(model, 1)
reveal(zero, EQUAL if same else ROUNDED, because="the update is multiplied by 0 before it is added")
# %% [markdown]
# The text alone hides how the change comes about, since it shows only the likeliest word. The
# probabilities behind it move smoothly. `share_of` asks how probable a word is as the next one
# (strictly, its first token: “pirate” takes two, and we see the token “p”).
# %%
def share_of(word, strength):
    """Probability of `word` behind the opening, with the adapter at this strength."""
    set_strength(model, strength)
    with torch.no_grad():
        probabilities = model(token_ids)[0, -1].softmax(dim=0)
    return probabilities[encoding.encode_ordinary(word)[0]].item()


switch(model, tales)
GIRL, BOY, PIRATE = words = " girl", " boy", " pirate"
for strength in (0, 1):
    likeliest = max(words, key=lambda word: share_of(word, strength))
    print(f"likeliest of the three at strength {strength}:{likeliest}")
# %%
from lora_edu.plots import Line, line_chart, show

switch(model, tales)
strengths = [step / 10 for step in range(-10, 21)]
shares = {word: [100 * share_of(word, s) for s in strengths] for word in words}
set_strength(model, 1)  # as trained again
leaders = [max(words, key=lambda word: shares[word][i]) for i in range(len(strengths))]
changes = [i for i in range(1, len(leaders)) if leaders[i] != leaders[i - 1]]
led = [leaders[0], *(leaders[i] for i in changes)]
at = [f"between {strengths[i - 1]} and {strengths[i]}" for i in changes]
labels = "“girl”", "“boy”", "“p(irate)”"
chart = line_chart(
    [Line(label, strengths, shares[word], points=False) for label, word in zip(labels, words)],
    title=f"The likeliest word changes {len(changes)} times:{','.join(led)}",
    x_label="strength of the adapter",
    y_label="probability as next token (%)",
)
show(chart, alt=f"Three curves. The likeliest of the words{','.join(led)} changes {'; '.join(at)}.")
highest = max(range(len(strengths)), key=lambda i: shares[PIRATE][i])
print("the curve of “p(irate)” is highest at strength", strengths[highest])
# %% [markdown]
# **Takeaway:** strength is a continuous dial. The text changes where another token becomes the
# likeliest: where the two highest curves cross. Strength 1 is special only in that training took
# place there. The curve of “p” goes on beyond it, and falls in the end. (It counts the token “p”
# alone: at 2 the model still says “p”, but no longer goes on to “irate”.)
#
# **Exercise 2, own code.** Write `first_flip(strengths, holds)`. `strengths` is a list in rising
# order; `holds` is a function that takes one strength and returns `True` or `False`. Return the
# first strength for which it is `True`; you may assume that there is one. An example of such a
# `holds` is `pirate_is_likelier`.
# %% exercise="00.flip"
def first_flip(strengths, holds):
    """The lowest strength at which `holds` is true; `strengths` are in rising order."""
    # <solution>
    return next(strength for strength in strengths if holds(strength))
    # </solution>
    # <student>
    # ...  # your code
    # </student>


def pirate_is_likelier(strength):
    return share_of(PIRATE, strength) > max(share_of(GIRL, strength), share_of(BOY, strength))


check("00.flip", first_flip)
# %%
switch(model, tales)
flipped = first_flip(strengths, pirate_is_likelier)
set_strength(model, 1)
in_figure = strengths[leaders.index(PIRATE)]
print("as in the figure:", "not tried yet" if flipped is None else flipped == in_figure)
# %% [markdown]
# <details><summary>Hint</summary>
# Go through the strengths with a <code>for</code> loop and <code>return</code> the first one for
# which <code>holds(strength)</code> is true.
# </details>
#
# ## Other files, other behaviours
# The menu adapter turns data into a sentence. The spam adapter does not even write: besides its
# updates it carries a new last layer, a *head* with two outputs, in place of the old one. It reads
# the last token, the only one that has seen the whole message. `switch` takes the old adapter off
# and puts the new one on.
# %%
switch(model, load_adapter(data_path("adapters", "menu")))
meaning = "name[Old Oak], kind[tea room], dish[apple pie], near[the river]"
print(generate_text(model, encoding, meaning + "\n", 40))
# %%
switch(model, load_adapter(data_path("adapters", "spam")))
for message in (
    "You have won a free phone! Call now and have your bank card ready.",
    "Hi mum, I will be home at six. Shall I bring bread?",
):
    message_ids = torch.tensor([encoding.encode_ordinary(message)], device=device)
    with torch.no_grad():
        said = model(message_ids)[0, -1].argmax().item()
    print(f"{('not spam', 'spam')[said]:9}| {message}")
heads = model.head.out_features, base.head.out_features
print(f"\nThe head has {heads[0]} outputs; the base's has {heads[1]:,}, one for each token.")
# %% [markdown]
# Strength scales the updates alone: a head stays as it was trained. So with the spam adapter,
# strength 0 is the base with the adapter's head, not the base.
#
# Two messages prove nothing. How good is it? Next to each adapter lies a `metrics.json`, with its
# results on data that it never saw in training, and the command that made it.
# %%
import json

recorded = json.loads(data_path("adapters", "spam", "metrics.json").read_text())["test"]["adapter"]
right, ham = recorded["accuracy"], recorded["majority_accuracy"]
print(f"right on {right:.1%} of the test messages; always to say “not spam”: {ham:.1%}")
words_alone = json.loads(data_path("results", "baselines.json").read_text())["bundled"]
counting = words_alone["words_and_pairs"]["accuracy"][0]
print(f"words and pairs of words counted, without a language model: {counting:.1%}")
# %% [markdown]
# So most of that score needs no language model. Notebook 05 compares fairly.
#
# ## One small file per task
# The base's file holds 3 million numbers in half precision, two bytes each. An adapter's file holds
# $A$ and $B$ of 36 layers, in half precision too.
# %%
percentage = predict("How large is one adapter's file, in per cent of the base's file?")
percentage
# %%
from lora_edu.plots import bar_chart

files = {"base": data_path("mini_gpt", "model.safetensors")}
for name in ("tales", "menu", "spam"):
    files[name] = data_path("adapters", name, "adapter_model.safetensors")
sizes_bytes = {name: path.stat().st_size for name, path in files.items()}
share = 100 * sizes_bytes["tales"] / sizes_bytes["base"]
chart = bar_chart(
    {name: size / 1000 for name, size in sizes_bytes.items()},
    title=f"An adapter takes {share:.1f} % of the base's space",
    y_label="file size (kB)",
    label_format="{:,.0f}",
    concept="lora",
)
show(chart, alt=f"Four bars: each of the three adapters is about {share:.1f} % of the base.")
# %%
copies = 3 * sizes_bytes["base"] / 1e6
shared = sum(sizes_bytes.values()) / 1e6
print(f"three whole copies: {copies:.1f} MB; one base and three adapters: {shared:.1f} MB")
reveal(percentage, round(share, 1), because="A and B are far smaller than the W beside them")
# %% [markdown]
# **Takeaway:** each further task costs one small file. At the same rank and on the same layers, its
# share shrinks as models grow; notebook 04 counts it for any model before anything is trained.
#
# **Exercise 3, fill in.** How many whole adapters fit into the space of one base? Write it for any
# two file sizes in bytes.
# %% exercise="00.fit"
def adapters_per_base(base_bytes, adapter_bytes):
    # <solution>
    return base_bytes // adapter_bytes
    # </solution>
    # <student>
    # return ...  # whole adapters that need no more space than one base
    # </student>


check("00.fit", adapters_per_base)
# %% [markdown]
# <details><summary>Hint</summary>
# How often does the small size go into the large one? Python's <code>//</code> divides and drops
# the rest.
# </details>
#
# ## The base has forgotten nothing
# The model has been a pirate, a waiter and a spam filter. A model whose own numbers are trained on
# a new task can lose part of the old one. And this one? Take the adapter off and compare every
# tensor with the file.
# %%
from lora_edu import detach, lora_layers

if lora_layers(model):
    detach(model)
stored = load_pretrained("mini", device=device).state_dict()
now = model.state_dict()
print("same names:", list(now) == list(stored))
print("same bits: ", all(same_bits(now[name], stored[name]) for name in stored))
with torch.no_grad():
    print("same story:", same_bits(model(token_ids), base(token_ids)))
# %% [markdown]
# Every bit is the same, since nobody ever wrote to it. With the adapter *on*, though, the model may
# well be worse at plain stories.
#
# The adapter is not free either: each adapted layer computes two thin products more. Merged into
# the base (notebook 02) they cost nothing, but then the base *is* changed until you unmerge.
# %%
weights = sum(a.shape[0] * b.shape[1] for a, b in tales.matrices.values())
extra = sum(a.numel() + b.numel() for a, b in tales.matrices.values())
print(f"{weights:,} weights in the adapted layers, {extra:,} numbers in A and B:")
print(f"{extra / weights:.2%} more multiplications in these layers while the adapter is attached")
# %% [markdown]
# This counts arithmetic, not time. Two small products are also two more calls a layer, so on a
# small model the clock may show more; notebook 05 takes the time.
#
# **Exercise 4.** True or false? Replace the dots by `True` or `False`.
#
# - `forgotten`: after the training of the tales adapter, the base *without it* tells its stories
#   worse than before.
# - `inside`: an adapter's file holds a changed copy of the base's weights.
# - `zero`: with the tales adapter at strength 0, the model's output is the base's, bit for bit.
# - `free`: an adapter that is attached, and not merged, adds no work when the model runs.
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
# You have measured or counted each of them above: the comparison of all tensors, the file sizes,
# the comparison at strength 0, and the multiplications.
# </details>
#
# ## Check your machine
# Every notebook runs on a laptop's processor, without internet. This cell says what you have.
# %% tags=["nbval-ignore-output"]
import os
import platform
import time

from lora_edu import choose_precision
from lora_edu.training import free_cores, free_threads

start = time.perf_counter()
text = generate_text(model, encoding, opening, 100)
seconds = time.perf_counter() - start
made = len(encoding.encode_ordinary(text)) - token_ids.shape[1]
print(f"Python {platform.python_version()}, torch {torch.__version__}")
print(f"device {device}; training computes in {choose_precision(device)} (fp32: 32-bit numbers)")
with free_threads() as threads:
    print(f"cores: {os.cpu_count()}, free now: {free_cores():.1f}")
    print(f"training takes {threads} thread(s)")
print(f"about {made / seconds:.0f} tokens per second")
# %% [markdown]
# - **device cpu**: all is well (a Mac's GPU is not used). Training runs take a minute at most.
# - **device cuda**: the same notebooks, unchanged, use the GPU; the CUDA section of notebook 05
#   becomes available.
# - **fewer free cores than cores**: another program is busy, a video call for example. Training then
#   takes fewer threads, because threads that wait for a busy core make it slower, not faster.
# - **1 thread although more cores are free**: something limits torch, often the variable
#   `OMP_NUM_THREADS`. Training will take longer than stated. The output that is stored here shows 1
#   because notebooks are built with one thread, so that they come out the same each time.
# - **far fewer tokens per second** than in the stored output, which comes from an ordinary server
#   and one thread: a slow or busy machine. Everything works, and takes longer than stated.
#
# ## The map
# | | notebook | you will be able to |
# |---|---|---|
# | 00 | Start here | switch adapters and set their strength (done) |
# | 01 | [What rank means](01_what_rank_means.ipynb) | see what a matrix is made of |
# | 02 | [Build `LoRALayer`](02_build_lora.ipynb) | write LoRA yourself, and merge it |
# | 03 | [LoRA in a small GPT](03_lora_in_a_gpt.ipynb) | replace layers, prove what is frozen |
# | 04 | [Count before you train](04_count_before_you_train.ipynb) | predict files and memory |
# | 05 | [Fine-tune a classifier](05_finetune_a_classifier.ipynb) | compare three ways fairly |
# | 06 | [Fine-tune a generator](06_finetune_a_generator.ipynb) | turn data into text; forgetting |
# | 07 | [Adapters as files](07_adapters_as_files.ipynb) | save, blend and merge adapters |
#
# Each starts from shipped files, so you can begin anywhere; 00 to 05 in order take an afternoon.
#
# Four things are promised of LoRA. Each is ticked off where it is *measured*: fewer trainable
# parameters (04), original weights unchanged (03), training only the small matrices (05), one small
# file per task (07, and a first look here).
#
# ## Three sentences to remember
# 1. LoRA leaves a model's weights alone and adds a small, separately stored update beside them.
# 2. The update can be scaled, swapped and taken off; at strength 0 an adapted layer computes what
#    the base's does, bit for bit.
# 3. Each further task costs one small file, and some work per token unless it is merged.
#
# ## Five questions
# 1. What does a layer with an adapter compute, and where in it is the strength?
# 2. What does an adapter's file hold, and what does it not hold?
# 3. Why is a model with its adapter off *exactly* the base?
# 4. Why does the text change suddenly while the probabilities change smoothly?
# 5. Why does the spam adapter carry something that the tales adapter does not?
#
# <details><summary>Answers</summary>
# First: x W plus strength times x ΔW. Second: A and B of each adapted layer, and a trained head if
# there is one; not the base. Third: its numbers were never written to. Fourth: the text follows the
# likeliest token, which changes where the two highest probabilities cross. Fifth: it answers with
# one of two classes, which needs a new head, and the head is trained in full.
# </details>
#
# ## Where next
# To see why so few numbers can suffice, go to [What rank means](01_what_rank_means.ipynb). To
# build the update yourself at once, go to [Build `LoRALayer`](02_build_lora.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA: Low-Rank Adaptation of Large Language
#   Models](https://arxiv.org/abs/2106.09685)
# - Ilharco et al. 2023, [Editing Models with Task Arithmetic](https://arxiv.org/abs/2212.04089),
#   on scaling and subtracting what training changed
# - Eldan and Li 2023, [TinyStories](https://arxiv.org/abs/2305.07759), on how small a model can be
#   and still tell a story
