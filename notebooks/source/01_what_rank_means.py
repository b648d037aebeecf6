# %% [markdown]
# # What rank means
#
# You see what LoRA bets on: that an update with few directions is enough for a task.
#
# **You will be able to**
# - read a matrix as directions and strengths, and make a rank-1 update with LoRA's own $A$ and $B$
# - cut a picture, a random matrix and a *measured* update to any rank, and say what is lost
# - say what Eckart and Young promise about the cut, and what they do not
# - tell energy kept from accuracy kept
#
# **You need** matrix products and a little PyTorch. No other notebook.
#
# **Time:** 35 minutes to read and try; running all cells takes about 10 seconds on a CPU with two
# cores (estimate for a GPU: the same, nothing is trained here).
# %% bootstrap
# %% [markdown]
# ## One direction in, one direction out
# LoRA adds to a frozen layer's output the product $x A B$. Here $x$ is a row, $A$ has few columns
# and $B$ few rows. With *one* column and *one* row: $x A$ is a single number, how far $x$ points
# along $A$. That number times $B$ is the change. So the change always points along $B$.
# %%
import torch

from lora_edu import LoRALayer

layer = LoRALayer(in_dim=2, out_dim=2, rank=1, alpha=1)  # alpha multiplies the change
with torch.no_grad():
    layer.A.copy_(torch.tensor([[0.8], [0.6]]))  # the direction that is read
    layer.B.copy_(torch.tensor([[0.0, 1.0]]))  # the direction that is written
    for x in ([1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [-0.6, 0.8]):
        change = layer(torch.tensor([x]))[0]
        print(f"x = {x}  is changed by  {[round(c, 2) + 0.0 for c in change.tolist()]}")  # no -0.0
# %% [markdown]
# Four inputs, one direction of change. The last one is perpendicular to $A$ and does not change at
# all. Turn both directions yourself. On the left is the plane of inputs; on the right the same grid
# under a frozen matrix $W$, which stretches and turns it a little (grey), and under $W$ plus the
# update (blue). Strokes that end in a dot show how the update moves eight points; a point that
# stays is a ring.
# %%
from lora_edu.widgets.playground import playground

plane = playground()
plane
# %% [markdown]
# **To find out:** at which angles of $A$ do two of the eight points stay where they are? Can a
# rank-1 update ever move two points along *different* lines? What do the strengths $-1$ and $0$
# do?
#
# <details><summary>What to look for</summary>
# Two points stay whenever A is perpendicular to one of the eight, at multiples of 45°. All moves
# are parallel, always: that is what rank 1 means. A negative strength moves them the other way; at
# 0 the update is gone.
# </details>
# %% [markdown]
# **Exercise 1, make one.** Choose $A$ (a column) and $B$ (a row) such that $x = (1, 0)$ is moved
# by $(0, 2)$ and $x = (0, 1)$ not at all.
# %% exercise="01.make_update"
from lora_edu.exercises import check

# <solution>
A = torch.tensor([[1.0], [0.0]])
B = torch.tensor([[0.0, 2.0]])
# </solution>
# <student>
# A = ...  # torch.tensor([[…], […]])
# B = ...  # torch.tensor([[…, …]])
# </student>
check("01.make_update", (A, B))
# %% [markdown]
# <details><summary>Hint</summary>
# A must not see (0, 1), so its second number is 0. B says where the change goes.
# </details>
#
# ## Any matrix is a sum of such pieces
# Two rank-1 updates added move things along two directions: rank 2, and so on. And backwards:
# *every* matrix is a sum of rank-1 pieces. The singular value decomposition (SVD) finds them,
# sorted by their strengths $\sigma$, the *singular values*:
#
# $$M = \sigma_1 u_1 v_1^\top + \sigma_2 u_2 v_2^\top + \dots, \qquad \sigma_1 \ge \sigma_2 \ge
# \dots \ge 0$$
#
# Each piece is an update of the kind above. For $x M$, a row times a matrix, $u$ reads and $v$
# writes: a cut to rank $r$ *is* a product $A B$, with `U[:, :r] * S[:r]` for $A$ and `Vh[:r]` for
# $B$. (A PyTorch layer stores its weight transposed, out × in; there $v$ reads and $u$ writes.)
#
# The rank is the number of pieces with $\sigma > 0$. Worked example: a matrix made of two pieces.
# %%
torch.manual_seed(0)
two_pieces = torch.randn(6, 2) @ torch.randn(2, 5)
U, S, Vh = torch.linalg.svd(two_pieces, full_matrices=False)
print("strengths:", [round(s, 2) + 0.0 for s in S.tolist()])
together = (U * S) @ Vh
print("put together again:", torch.allclose(together, two_pieces, atol=1e-5))
# %% [markdown]
# To *cut* a matrix to rank $r$ is to keep its $r$ strongest pieces. Eckart and Young (1936) proved
# that no matrix of rank $r$ lies closer to $M$ (sum of the squared differences of all entries).
#
# **Exercise 2, fill in.** Put the strongest pieces together again.
# %% exercise="01.cut"
def cut(matrix, rank):
    U, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
    # <solution>
    return (U[:, :rank] * S[:rank]) @ Vh[:rank]
    # </solution>
    # <student>
    # return ...  # the `rank` strongest pieces, put together
    # </student>


check("01.cut", cut)
# %% [markdown]
# <details><summary>Hint</summary>
# The worked example puts all pieces together: <code>(U * S) @ Vh</code>. Take the first
# <code>rank</code> columns of U, numbers of S and rows of Vh.
# </details>
# %% [markdown]
# How much is kept? The squares of the strengths add up to the sum of all squared entries, the
# *energy*.
#
# **Exercise 3, own code.** Write the share of the energy that a cut to `rank` keeps, from the
# strengths alone.
# %% exercise="01.energy"
def energy(strengths, rank):
    """Share of the energy kept; strengths come largest first."""
    # <solution>
    return (strengths[:rank] ** 2).sum() / (strengths**2).sum()
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("01.energy", energy)
# %% [markdown]
# <details><summary>Hint</summary>
# The sum of the first <code>rank</code> squares, divided by the sum of all squares.
# </details>
# %% [markdown]
# Yours against the package:
# %%
from lora_edu import energy_kept, singular_values, truncate

sample, open_yet = torch.randn(8, 6), "the exercise is still open"
strengths, same = singular_values(sample), open_yet
if check("01.cut", cut).passed:
    same = torch.allclose(cut(sample, 2).float(), truncate(sample, 2), atol=1e-5)
print("cut equal:   ", same)
same = open_yet
if check("01.energy", energy).passed:
    same = abs(float(energy(strengths, 2) - energy_kept(strengths)[1])) < 1e-6
print("energy equal:", same)
# %% [markdown]
# ## Three objects under the knife
# A picture, drawn right here. A matrix of random numbers. And the real thing: we trained *all*
# weights of our mini GPT (3 million) to tell spam from other messages, for 96 steps of 16 messages
# (`scripts/record_delta.py`). We kept what that *changed*, $\Delta W = W_\text{tuned} -
# W_\text{base}$, and look at the 36 matrices of the blocks. (Embeddings, norms and the head
# changed, too; they are left alone here.)
# %%
rows, columns = torch.meshgrid(torch.linspace(1, 0, 192), torch.linspace(0, 1, 192), indexing="ij")
picture = 0.35 + 0.4 * rows  # the sky
picture[rows < 0.3 + 0.12 * torch.sin(7 * columns)] = 0.2  # hills
picture[(columns - 0.75) ** 2 + (rows - 0.78) ** 2 < 0.012] = 1.0  # the sun
picture[(columns > 0.2) & (columns < 0.45) & (rows > 0.15) & (rows < 0.42)] = 0.85  # a house
picture[(rows >= 0.42) & (rows < 0.62 - 1.2 * (columns - 0.325).abs())] = 0.05  # its roof
# %%
from safetensors.torch import load_file

from lora_edu import data_path

change = load_file(data_path("delta", "spam_full.safetensors"))
change = {name: tensor.float() for name, tensor in change.items()}
updates = {n: t for n, t in change.items() if n.startswith("blocks.") and t.dim() == 2}
print(len(updates), "matrices of the blocks; the first:", *list(updates)[:2])
# %%
from lora_edu.widgets import predict, reveal

NAMES = ("the picture", "the random matrix", "the measured ΔW")
hardest = predict("Which of the three needs most pieces to keep 90 % of its energy?", NAMES)
hardest
# %%
torch.manual_seed(0)
objects = (picture, torch.randn(192, 192), updates["blocks.0.attention.query.weight"])
pieces = [int((energy_kept(singular_values(matrix)) < 0.9).sum()) + 1 for matrix in objects]
for name, count in zip(NAMES, pieces):
    print(f"{name:18} {count:4} of 192 pieces for 90 % of the energy")
reveal(hardest, NAMES[pieces.index(max(pieces))], because="in noise no direction is special")
# %%
from lora_edu.widgets.svd_cut import svd_cut

knife = svd_cut(picture, updates)
knife
# %% [markdown]
# Where numbers have signs, zero has the colour of the page, and violet and orange are the two signs.
# The picture has none: dark blue is low, yellow is high.
#
# **To find out:** how much of the picture do you recognise at rank 1, with how much of its energy?
# From which rank on do you see the house, and what is left in the residual, the matrix minus its
# cut? The picture's curve ends before 192: what is its rank? Beyond which rank does the cut take
# more numbers than the matrix itself? Look at ΔW of other layers, and of the last block: are they
# equally low in rank? (`fc_in` and `fc_out` are those of the MLP.)
#
# <details><summary>What to look for</summary>
# One piece has over 90 % of the picture's energy and shows stripes, no house. Most of that is mere
# brightness, as the next cell shows: energy counts from zero and does not know what you look for.
# The house comes with the second piece, its edges come last. Some hundred pieces are all that the
# picture has: the hills are a curve, and a curve takes many. In the random matrix no few pieces
# stand out. Beyond rank 96, the break-even rank of 192 × 192, the cut stores more than the matrix.
# ΔW lies between picture and noise, and the layers differ.
# </details>
# %%
grey = torch.full_like(picture, picture.mean().item())
print(f"energy of one even grey: {(grey**2).sum() / (picture**2).sum():.0%} of the picture's")
print("rank of the picture:", int(torch.linalg.matrix_rank(picture)))
# %% [markdown]
#
# ## Is ΔW low in rank?
# One number for all strengths of a matrix, its *spectrum*: the *effective rank* (Roy and Vetterli
# 2007), 1 for a single piece, 192 if all are equally strong. It is $\exp(-\sum p_i \ln p_i)$, where
# $p_i$ is a strength's share in the sum of all (not of their squares, as in the energy, so weak
# pieces count for more). For all 36 matrices:
# %%
from lora_edu import effective_rank
from lora_edu.plots import heat_map, show

layers = ("query", "key", "value", "out", "fc_in", "fc_out")
ranks = torch.zeros(6, 6)
for name, matrix in updates.items():
    block, module = int(name.split(".")[1]), name.split(".")[-2]
    ranks[layers.index(module), block] = effective_rank(singular_values(matrix))
torch.manual_seed(0)
noise = [effective_rank(singular_values(torch.randn(shape))) for shape in ((192, 192), (768, 192))]
# %%
floor = torch.tensor([noise[0]] * 4 + [noise[1]] * 2)  # fc_in and fc_out are 768 by 192
lower = int((ranks < floor[:, None]).sum())
chart = heat_map(
    ranks,
    title=f"{lower} of 36 updates have a lower effective rank than noise of their shape",
    x_label="block",
    y_label="layer",
    value_label="effective rank of ΔW (of 192)",
    y_names=layers,
    number_format="{:.0f}",
)
show(chart, alt=f"A table of effective ranks, layers by blocks; {lower} of 36 are below noise.")
print(f"noise: {noise[0]:.0f} for a square layer, {noise[1]:.0f} for the MLP's")
# %%
print("lower than noise:", lower == 36)
print("a tenth of 192 or less:", int((ranks <= 19.2).sum()), "of 36")
# %% [markdown]
# **Takeaway:** by its effective rank ΔW is lower than noise, and not low: most of these matrices
# have far more directions than a LoRA of rank 8. The literature disagrees about whether that
# matters.
#
# - **Few numbers are enough.** Aghajanyan et al. (2020) train 200 numbers, spread at random over
#   all weights of RoBERTa, and reach 90 % of what full fine-tuning reaches on a task of sentence
#   pairs. (That is not yet low rank: what these numbers do to one matrix can have all directions.)
# - **So is a low rank.** Hu et al. (2021, section 7.2) find that rank 1 on query and value does for
#   the tasks that they tried on GPT-3, and that LoRAs of rank 8 and of rank 64 share their
#   strongest direction and little else.
# - **ΔW has many.** Biderman et al. (2024) take full fine-tuning's update on code and mathematics
#   apart as we just did. The pieces that 90 % of its energy needs are 10 to 100 times as many as
#   LoRA's usual ranks, and with these ranks LoRA stays behind on most of their tasks.
#
# By their measure, ours:
# %%
kept = [energy_kept(singular_values(matrix)) for matrix in updates.values()]
needed = sorted(int((shares < 0.9).sum()) + 1 for shares in kept)
print("pieces for 90 % of the energy:")
for name, count in (("median matrix", needed[18]), ("square noise", pieces[1])):
    print(f"{name:13} {count:3}, {count / 8:.0f} times rank 8, {count / 192:.0%} of 192")
print("10 times rank 8 or more in", sum(count >= 80 for count in needed), "of 36")
# %% [markdown]
# (How many times rank 8 that can be depends on the width: at most 24 in a matrix of 192, and theirs
# are thousands wide. So ours cannot test their 10 to 100. As a share of its width, our median
# matrix needs far less than noise.)
#
# Both camps measure tasks and find different things; Biderman et al. offer the spectrum as a
# possible reason. Is a ΔW with many directions a reason to expect that low rank fails? Ours has
# many.
#
# ## The finding: ask the task
# So put the cut update *back into the model* and let it do its task. What full fine-tuning changed
# outside these matrices stays in; "rank 0" is what is left of the model without them. (That is no
# floor: its head was trained with them and misses them now, so that it does no better than to call
# every message "ham", no spam.) Beside the cut stand LoRA, trained at the same rank, and three
# controls:
#
# - *ΔW in $r$ random directions*: what it writes is limited to $r$ directions drawn at random, not
#   its strongest; what it reads is left alone
# - *a random update* of rank $r$, as long as the cut
# - *ΔW shrunk*: all its directions, but only as long as the cut
# %%
from lora_edu.evaluation import read_record, runs_of

record = read_record(data_path("results", "rank_of_delta.json"))
final = runs_of(record, stage="final")  # in the order of the seeds
tuned = [run for run in final if run["key"]["method"] == "full"]


def seeds_at(kind, rank, measure="test_accuracy"):
    """One value a seed: of a cut, a control, or LoRA trained at that rank."""
    if kind == "lora":
        runs = [r for r in final if (r["key"]["method"], r["key"]["rank"]) == (kind, rank)]
        return torch.tensor([run[measure] for run in runs])
    points = [p for run in tuned for p in run["points"]]
    return torch.tensor([p[measure] for p in points if (p["kind"], p["rank"]) == (kind, rank)])

# %%
from lora_edu import load_spam

everything = torch.tensor([run["test_accuracy"] for run in tuned]).mean()
nothing = seeds_at("cut", 0).mean()
test = load_spam().test
ham = 1 - sum(example.label for example in test) / len(test)
kept_energy = seeds_at("cut", 1, "energy").mean()
print(f"{len(tuned)} seeds. Cut to rank 1, ΔW keeps {kept_energy:.0%} of its energy.")
# %%
MORE, SAME, LESS = "clearly more than that", "about that", "clearly less than that"
worth = predict(
    "And of what the update gained in accuracy, how much does rank 1 keep?",
    [MORE, SAME, LESS],
)
worth
# %%
from lora_edu.plots import Line, line_chart

KINDS = {
    "cut": "ΔW cut to rank r",
    "lora": "LoRA trained at rank r",
    "subspace": "ΔW in r random directions",
    "random": "random update, as long as the cut",
    "shrunk": "ΔW shrunk, as long as the cut",
}
RANKS = sorted({point["rank"] for run in tuned for point in run["points"]} - {0})


def curve(kind, measure):
    """Mean over seeds, with a band from the worst to the best seed."""
    at = [rank for rank in RANKS if len(seeds_at(kind, rank))]
    values = [seeds_at(kind, rank, measure) for rank in at]
    parts = ([f(v).item() for v in values] for f in (torch.mean, torch.min, torch.max))
    return Line(KINDS[kind], at, *parts)
# %%
def curves(measure, title, y_label):
    """ΔW cut, LoRA and the three controls against rank."""
    lines = [curve(kind, measure) for kind in KINDS]
    chart = line_chart(lines, title=title, x_label="rank r", y_label=y_label, x_log2=True)
    chart.axes[0].set_xticks(RANKS, RANKS)
    return chart


gained = (seeds_at("cut", 1).mean() - nothing) / (everything - nothing)
energy = f"Rank 1 keeps {100 * kept_energy:.0f} % of the energy"
title = f"{energy} and {100 * gained:.0f} % of the gain in accuracy"
chart = curves("test_accuracy", title, "accuracy on the test set")
axis = chart.axes[0]
for height, name in ((everything, "ΔW whole"), (nothing, "rank 0")):
    axis.axhline(height, color="#555555", linestyle=":")
    beside = {"transform": axis.get_yaxis_transform(), "va": "center", "fontsize": 8}
    axis.text(1.01, height, name, **beside)
show(chart, alt=f"Accuracy against rank for ΔW cut, LoRA and three controls. {title}.")
# %%
by_seed = [
    (one - none) / (run["test_accuracy"] - none)
    for run, one, none in zip(tuned, seeds_at("cut", 1).tolist(), seeds_at("cut", 0).tolist())
]
print(f"by seed from {min(by_seed):.0%} to {max(by_seed):.0%} of the gain")
from_ham = (seeds_at("cut", 1).mean() - ham) / (everything - ham)
print(f"rank 0 has {nothing:.0%}, always “ham” {ham:.0%}; counted from there {from_ham:.0%}")
answer = MORE if gained > kept_energy + 0.1 else LESS if gained < kept_energy - 0.1 else SAME
reveal(worth, answer, because="accuracy is full long before the energy is; see what follows")
# %% [markdown]
# Bands go from the worst to the best seed. Those of the weak controls are wide because a head that
# misses its ΔW calls nearly everything ham with one seed and nearly everything spam with another.
# The size of the test set alone leaves some points open, too; we count them below. The same for the
# loss, which also feels how sure the model is:
# %%
whole = torch.tensor([run["test_loss"] for run in tuned]).mean()
at_rank = {rank: seeds_at("cut", rank, "test_loss").mean() for rank in (0, 1)}
fallen = (at_rank[0] - at_rank[1]) / (at_rank[0] - whole)
finding = f"{energy} and {100 * fallen:.0f} % of the fall in loss"
chart = curves("test_loss", finding, "test loss (nats per message)")
show(chart, alt=f"Loss against rank for ΔW cut, LoRA and three controls. {finding}.")
# %% [markdown]
# What makes rank 1 do so well: that few directions hold it, or that these are the right ones, or
# that a short update is enough? Curves at the same rank do not tell, as ΔW in random directions is
# far shorter than the cut. So compare at the same *energy*:
# %%
for kind, rank in (("cut", 1), ("shrunk", 1), ("subspace", 64), ("random", 1)):
    share = (seeds_at(kind, rank).mean() - nothing) / (everything - nothing)
    held = seeds_at(kind, rank, "energy").mean()
    at = "    all" if kind == "shrunk" else f"r = {rank:3}"
    print(f"{KINDS[kind]:34} {at}: energy {held:4.0%}, gain kept {share:4.0%}")
ahead = int((seeds_at("cut", 1) > seeds_at("subspace", 64)).sum())
print(f"the cut to rank 1 is ahead of 64 random directions with {ahead} of {len(tuned)} seeds")
# %% [markdown]
# Three things are at work. *Accuracy fills up early*: ΔW shrunk to half its length, which is a
# quarter of the energy, does as well as the cut. *Direction matters*: a random matrix of that
# length does nothing, and 64 of ΔW's directions taken at random do less than its strongest one. And
# *one direction a matrix is enough* to hold such a push: that is LoRA's bet. LoRA did not get its
# directions from a finished ΔW: it learned them, with all other weights but the head frozen. (Its
# learning rate was chosen at rank 8, the lower of two, and kept: another might be better, above all
# at the right end.)
# %% [markdown]
# Now by hand, with the weights that ship, those of seed 0: base plus cut update, tested on the
# messages that training never saw. It should agree with the record.
# %%
from torch import nn

from lora_edu import load_pretrained


def with_cut(rank):
    """The fine-tuned classifier with every ΔW cut to `rank`."""
    model = load_pretrained("mini")
    model.head = nn.Linear(model.config.n_embd, 2)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith("head."):
                weight.copy_(change[name])
            else:
                weight += truncate(change[name], rank) if name in updates else change[name]
    return model
# %%
from lora_edu import (
    Batches,
    accuracy_interval,
    classification_rows,
    classify,
    load_spam,
    load_tokenizer,
)

messages = classification_rows(load_spam().test, load_tokenizer("mini"), 64)


def accuracy_at(rank):
    """Accuracy on the test set with ΔW cut to `rank`, measured now."""
    predictions = classify(with_cut(rank), Batches(messages, 64, shuffle=False))
    return accuracy_interval(predictions).value


# %%
seed_0 = {rank: seeds_at("cut", rank)[0].item() for rank in RANKS}
print("rank 1 as recorded, within two points:", abs(accuracy_at(1) - seed_0[1]) < 0.02)
half_width = 1.96 * (everything * (1 - everything) / len(messages)) ** 0.5
print(f"{len(messages)} messages: their number alone leaves ±{100 * half_width:.0f} points open,")
print("and more, as messages of one template are right or wrong together (notebook 05)")
# %% [markdown]
# All of it under your hand. The slider answers from the record at once. **Run it live** cuts the
# shipped ΔW at the rank that is set, puts it back and tests it here; the result becomes a star.
# %%
from lora_edu.widgets.cut_back import cut_back

put_back = cut_back(live=accuracy_at)
put_back
# %% [markdown]
# **To find out:** from which rank on does the cut stay within two points of the whole ΔW, and how
# much energy is missing there? Where do the *random directions* catch up, and how much energy have
# they then? Is a star on its curve? It is one seed, the curve is the mean of all.
#
# <details><summary>What to look for</summary>
# From rank 16 on, with a quarter of the energy missing. Rank 2 is inside as well, ranks 1, 4 and 8
# just outside: the curve is not monotone, and such differences are within what the test set leaves
# open. Random directions come as near once they hold half of the energy. At rank 192 they hold all
# of every ΔW but those of `fc_in`, which write in 768 directions: three quarters in all. A star may
# well lie off the curve: compare it with what the text says was recorded for its seed.
# </details>
# %% [markdown]
# **Takeaway:** low rank in the sense of the spectrum and low rank in the sense of the task are two
# things. LoRA needs only the second. A spectrum with many directions does not by itself mean that
# low rank fails: ours has many, and rank 1 does. That does not contradict Biderman et al.: on code
# and mathematics LoRA itself falls short of full fine-tuning, and this easy task, a small model and
# five seeds say nothing about those.
#
# **Exercise 4.** True or false? Replace the dots by `True` or `False`.
#
# - `closest`: no matrix of rank $r$ is closer to ΔW than its cut to rank $r$.
# - `task`: so no update of rank $r$ can do the task better than the cut.
# - `factorised`: LoRA computes ΔW and factorises it into $A$ and $B$.
# - `unique`: a product $A B$ determines $A$ and $B$.
# %% exercise="01.true_or_false"
# <solution>
answers = {"closest": True, "task": False, "factorised": False, "unique": False}
# </solution>
# <student>
# answers = {"closest": ..., "task": ..., "factorised": ..., "unique": ...}
# </student>
check("01.true_or_false", answers)
# %% [markdown]
# <details><summary>Hint</summary>
# For <code>task</code>, print <code>seeds_at("cut", 1)</code> and <code>seeds_at("cut", 4)</code>:
# with seed 1, the second of each, the closer matrix does clearly worse. For <code>unique</code>,
# try 2 A and B / 2.
# </details>
#
# ## Three sentences to remember
# 1. A rank-$r$ update reads $r$ directions and writes along $r$ directions; the rest stays.
# 2. The SVD's cut is the closest matrix of its rank: a promise about distance, not about tasks.
# 3. Energy kept is not accuracy kept: put the update back and test.
#
# ## Five questions
# 1. Which inputs does a rank-1 update leave alone?
# 2. Why is no cut of a random matrix to a *low* rank good?
# 3. Beyond which rank does storing $A$ and $B$ cost more than storing ΔW?
# 4. Which three controls stand beside the cut, and what does each say?
# 5. Why may LoRA at rank $r$ be better than ΔW cut to rank $r$?
#
# <details><summary>Answers</summary>
# (1) Those perpendicular to A. (2) Its strengths fall slowly, and no few stand out. (3) m n /
# (m + n), half the width of a square layer. (4) A random update of equal length: not any push of
# that size does. ΔW in random directions: its strongest are worth more than others of the same
# energy. ΔW shrunk: a quarter of the energy is enough for this task, in one direction or in all.
# (5) It is trained under the limit, so its few directions are learned for the task; the cut takes
# the strongest ones of an update that was trained without it.
# </details>
#
# ## Where next
# Write the layer yourself: [Build `LoRALayer`](02_build_lora.ipynb). Count what a rank costs:
# [Count before you train](04_count_before_you_train.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), section 7
# - Aghajanyan et al. 2020, [Intrinsic Dimensionality Explains the Effectiveness of Language Model
#   Fine-Tuning](https://arxiv.org/abs/2012.13255)
# - Biderman et al. 2024, [LoRA Learns Less and Forgets Less](https://arxiv.org/abs/2405.09673), on
#   the rank of full fine-tuning's update
# - Eckart and Young 1936, "The approximation of one matrix by another of lower rank",
#   Psychometrika 1
# - Roy and Vetterli 2007, "The effective rank: a measure of effective dimensionality", EUSIPCO
