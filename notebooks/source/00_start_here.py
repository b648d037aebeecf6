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
# %% bootstrap
# %% [markdown]
# ## The win
# Below is a language model of 3 million parameters that has read ten thousand short stories and
# nothing else: the *base*. It is *frozen*: its numbers never change again. Beside it lie three
# *adapters*, small files that were trained for one task each. The method is LoRA, *low-rank
# adaptation*; what is low about it you see below.
#
# Choose an adapter, then drag **Strength** (or focus it and use the arrow keys). The words in bold
# come from the model. The bars show how probable it holds a few tokens to be the next one; a token
# is a word or a piece of one: `p(irate)` is the token “p” on the way to “pirate”.
# %%
from lora_edu.widgets.strength import strength_explorer

explorer = strength_explorer()
explorer
# %% [markdown]
# **To find out with the tales adapter:** at which strength does the text turn from a children's
# story to a pirate's yarn? What happens at 2? And at −1?
#
# <details><summary>What to look for</summary>
# At 0 the base speaks alone. On the way to 1 the voice changes, usually within one or two steps of
# the slider. Beyond 1 the trained change is exaggerated, and sooner or later the text falls apart.
# Below 0 the change is subtracted: the model moves <em>away</em> from pirates, and the text may
# suffer as well.
# </details>
# %% [markdown]
# The recorded answers come at once. **Run it live** asks the model on your machine, with your own
# prompt if you write one. It knows few words beyond those of stories for small children.
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
# Now the adapter. Its file names the base that it was trained on by a *fingerprint*, and
# `load_adapter` refuses any other. `attach` leaves every layer of the base where it is, and puts a
# small update beside it: the layer computed $W x$, now it computes $W x$ plus a little more. (What
# the little more is, you build yourself in notebook 02.)
# %%
from lora_edu import attach, base_fingerprint, data_path, load_adapter

tales = load_adapter(data_path("adapters", "tales"), base_fingerprint=base_fingerprint("mini"))
attach(model, tales)
print(generate_text(model, encoding, opening, 6))
print(f"\n{len(tales.matrices)} layers have an update. One of them, A and B:")
a, b = tales.matrices["blocks.0.attention.query"]
print(tuple(a.shape), tuple(b.shape))
# %% [markdown]
# ## How exercises work
# You change a cell, run it, and `check` says *passed*, or names the misconception behind a wrong
# answer, or *not tried yet*. Nothing breaks if you skip one. A hint folds out below each; full
# solutions lie in the folder `solutions`.
#
# **Exercise 1, to warm up.** Each update is two thin matrices, $A$ and $B$. The number that they
# share, the width inside, is called the **rank**. In LoRA it is low. What is the rank of the tales
# adapter? Replace the dots.
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
# With strength $s$ each adapted layer computes $W x + s \cdot$ update. So 1 is the adapter as
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
from lora_edu import set_strength

base = load_pretrained("mini", device=device)
token_ids = torch.tensor([encoding.encode_ordinary(opening)], device=device)
set_strength(model, 0)
with torch.no_grad():
    same = torch.equal(model(token_ids), base(token_ids))
set_strength(model, 1)
reveal(zero, EQUAL if same else ROUNDED, because="the update is multiplied by 0 before it is added")
# %% [markdown]
# Text hides how the change comes about: either one word is the likeliest or another. The
# probabilities behind it move smoothly. `share_of` asks how probable a word is as the next one
# (strictly, its first token: “pirate” takes two).
# %%
def share_of(word, strength):
    """Probability of `word` behind the opening, with the adapter at this strength."""
    set_strength(model, strength)
    with torch.no_grad():
        probabilities = model(token_ids)[0, -1].softmax(dim=0)
    return probabilities[encoding.encode_ordinary(word)[0]].item()


PLAIN, PIRATE = " girl", " pirate"
print(f"{PLAIN} is likelier at strength 0:", share_of(PLAIN, 0) > share_of(PIRATE, 0))
print(f"{PIRATE} is likelier at strength 1:", share_of(PIRATE, 1) > share_of(PLAIN, 1))
# %%
from lora_edu.plots import Line, line_chart, show

strengths = [step / 10 for step in range(-10, 21)]
shares = {word: [100 * share_of(word, s) for s in strengths] for word in (PLAIN, PIRATE)}
first = next(i for i, s in enumerate(strengths) if shares[PIRATE][i] > shares[PLAIN][i])
between = f"between strength {strengths[first - 1]} and {strengths[first]}"
chart = line_chart(
    [Line(f"“{word.strip()}”", strengths, shares[word], points=False) for word in shares],
    title=f"“{PIRATE.strip()}” overtakes “{PLAIN.strip()}” {between}",
    x_label="strength of the adapter",
    y_label="probability as next token (%)",
)
show(chart, alt=f"Two curves cross {between}: there “girl” falls and “pirate” rises.")
# %% [markdown]
# **Takeaway:** strength is a continuous dial. The text flips where two curves cross. Strength 1 is
# special only in that training took place there; the pirate's curve still rises beyond it, and
# falls where other tokens take over.
#
# **Exercise 2, own code.** Write `first_flip(strengths, holds)`: the lowest of the strengths at
# which `holds(strength)` is true. An example of such a `holds` stands below it, and the next cell
# applies your function to it.
# %% exercise="00.flip"
def first_flip(strengths, holds):
    """The lowest strength at which `holds` is true; `strengths` rise."""
    # <solution>
    return next(strength for strength in strengths if holds(strength))
    # </solution>
    # <student>
    # ...  # your code
    # </student>


def pirate_is_likelier(strength):
    return share_of(PIRATE, strength) > share_of(PLAIN, strength)


check("00.flip", first_flip)
# %%
flipped = first_flip(strengths, pirate_is_likelier)
print("as in the figure:", "not tried yet" if flipped is None else flipped == strengths[first])
# %% [markdown]
# <details><summary>Hint</summary>
# Go through the strengths with a <code>for</code> loop and <code>return</code> the first one for
# which <code>holds(strength)</code> is true.
# </details>
#
# ## Other files, other behaviours
# The menu adapter turns data into a sentence. The spam adapter does not even write: besides its
# updates it carries a new last layer, a *head* with two outputs, in place of the old one. Swapping
# is `detach`, then `attach`.
# %%
from lora_edu import detach

detach(model)
attach(model, load_adapter(data_path("adapters", "menu")))
meaning = "name[Old Oak], kind[tea room], dish[apple pie], near[the river]"
print(generate_text(model, encoding, meaning + "\n", 40))
# %%
detach(model)
attach(model, load_adapter(data_path("adapters", "spam")))
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
# How good are they? Each adapter's folder in `data/adapters` has a `metrics.json` with its results
# on data that it never saw in training, and the command that made it. Two messages prove nothing.
#
# ## One small file per task
# The base's file holds 3 million numbers in half precision. An adapter's file holds $A$ and $B$ of
# 36 layers, in half precision too.
# %%
percentage = predict("One adapter's file takes how many per cent of the base's file?")
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
    title=f"An adapter takes {share:.1f} per cent of the base's space",
    y_label="file size (kB)",
    label_format="{:,.0f}",
)
show(chart, alt=f"Four bars: each of the three adapters is about {share:.1f} per cent of the base.")
# %%
copies = 3 * sizes_bytes["base"] / 1e6
shared = sum(sizes_bytes.values()) / 1e6
print(f"three whole copies: {copies:.1f} MB; one base and three adapters: {shared:.1f} MB")
reveal(percentage, round(share, 1), because="A and B are far smaller than the W beside them")
# %% [markdown]
# **Takeaway:** each further task costs one small file. For larger models the share shrinks
# further; notebook 04 counts it for any model before anything is trained.
#
# **Exercise 3, fill in.** How many whole adapters fit into the space of one base?
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
detach(model)
stored = load_pretrained("mini", device=device).state_dict()
now = model.state_dict()
print("same names:", list(now) == list(stored))
print("same bits: ", all(torch.equal(now[name], stored[name]) for name in stored))
with torch.no_grad():
    print("same story:", torch.equal(model(token_ids), base(token_ids)))
# %% [markdown]
# Every bit is the same, since nobody ever wrote to it. With the adapter *on*, though, the model may
# well be worse at plain stories.
#
# The adapter is not free either: beside each adapted layer two thin products are computed in
# addition. Merged into the base (notebook 02) they cost nothing, but then the base *is* changed
# until you unmerge.
# %%
weights = sum(a.shape[0] * b.shape[1] for a, b in tales.matrices.values())
extra = sum(a.numel() + b.numel() for a, b in tales.matrices.values())
print(f"{weights:,} weights in the adapted layers, {extra:,} numbers in A and B:")
print(f"{extra / weights:.2%} more multiplications in these layers while the adapter is attached")
# %% [markdown]
# **Exercise 4.** True or false? Replace the dots by `True` or `False`.
#
# - `forgotten`: after training the tales adapter, the base has forgotten some of its stories.
# - `inside`: an adapter's file holds a changed copy of the base's weights.
# - `zero`: at strength 0 the model's output is the base's, bit for bit.
# - `free`: an attached adapter costs no time when the model runs.
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
# You have measured each of them above: the comparison of all tensors, the file sizes, the
# comparison at strength 0, and the multiplications.
# </details>
#
# ## Check your machine
# Every notebook runs on a laptop's processor, without internet. This cell says what you have.
# %% tags=["nbval-ignore-output"]
import os
import platform
import time

from lora_edu import choose_precision

start = time.perf_counter()
generate_text(model, encoding, opening, 100)
seconds = time.perf_counter() - start
print(f"Python {platform.python_version()}, torch {torch.__version__}")
print(f"device {device}, numbers in {choose_precision(device)} when training")
print(f"threads of torch: {torch.get_num_threads()}, cores: {os.cpu_count()}")
print(f"about {100 / seconds:.0f} tokens per second")
# %% [markdown]
# - **device cpu**: all is well. Training runs of a minute at most; keep other programs quiet while
#   one runs.
# - **device cuda**: the same notebooks, unchanged, use the GPU; the CUDA section of notebook 05
#   becomes available.
# - **1 thread on several cores**: something limits torch, often the variable `OMP_NUM_THREADS`.
#   Training will take longer than stated.
# - **fewer than 50 tokens per second**: a slow or busy machine. Everything works, and takes longer
#   than stated.
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
# | 06 | [Fine-tune a generator](06_finetune_a_generator.ipynb) | write what is meant; forgetting |
# | 07 | [Adapters as files](07_adapters_as_files.ipynb) | save, blend and merge adapters |
#
# Each starts from shipped files, so you can begin anywhere; 00 to 05 in order take an afternoon.
#
# LoRA makes four promises. Each is ticked off where it is *measured*: fewer trainable parameters
# (04), original weights unchanged (03), training only the small matrices (05), one small file per
# task (07, and a first look here).
#
# ## Three sentences to remember
# 1. LoRA leaves a model's weights alone and adds a small, separately stored update beside them.
# 2. The update can be scaled, swapped and taken off; at strength 0 the base is there, bit for bit.
# 3. Each further task costs one small file, and a little time per token unless it is merged.
#
# ## Five questions
# 1. What does a layer with an adapter compute, and where does strength stand in it?
# 2. What does an adapter's file hold, and what does it not hold?
# 3. Why is a model with its adapter off *exactly* the base?
# 4. Why does the text change suddenly while the probabilities change smoothly?
# 5. Why does the spam adapter carry something that the tales adapter does not?
#
# <details><summary>Answers</summary>
# First: W x plus strength times the update. Second: A and B of each adapted layer, and a trained
# head if there is one; not the base. Third: its numbers were never written to. Fourth: the text
# follows the likeliest token, which changes where two probabilities cross. Fifth: it answers with
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
