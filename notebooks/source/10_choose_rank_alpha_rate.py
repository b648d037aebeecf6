# %% [markdown]
# # Choose rank, alpha and learning rate
#
# Every recipe for LoRA gives you these three numbers; here you learn what each does, and why none can be copied alone.
#
# {sign:10}
#
# **You will be able to**
# - tell what alpha does from what the rank does
# - translate a recipe between the three scalings that are in use
# - explain how two runs with the same settings can start far apart
# - choose a rate for each rank, and then a rank, by the validation loss
# - ◇ see what the size of a matrix does to its training
# - ◇ say which published claims about LoRA hold on our models, and which nobody here can tell
#
# **You need** notebook 02: what $A$ and $B$ are, and why $B$ starts at zero.
#
# **Time:** {path} minutes on the marked path ◆, {whole} in all, on a CPU or a GPU.
# %% bootstrap
# %% [markdown]
# If you only want values to begin with, take the table “With what?” in [notebook
# 05](05_finetune_a_classifier.ipynb). Recipes also name *targets*, the layers to adapt; [notebook
# 03](03_lora_in_a_gpt.ipynb) chooses those. Here you learn the reasons for the other three
# settings, mostly from the first step of training. Then you choose a rate and a rank yourself, from
# recorded runs. Where is each of the three in a layer?
# %%
from lora_edu.plots import drawing

drawing("side_path_settings")
# %% [markdown]
# ## Is a bigger alpha a bigger rank?
# Both numbers sound like “more LoRA”. An update is a multiplier times $A B$. Fill $A$ and $B$ at random, and look at the directions of the update and how strong each is.
# %%
import math

import torch
from torch import nn
from torch.nn import functional as F

import lora_edu
from lora_edu import LinearWithLoRA, LoRALayer, scaling_factor
from lora_edu.exercises import check
from lora_edu.plots import Line, align, line_chart, picture, table
from lora_edu.widgets import predict, reveal

effects = ["more directions", "the same directions, each stronger", "both"]
alpha_effect = predict("The same A and B, twice the alpha. What does the update get?", effects)
alpha_effect


# %%
def strengths_of_update(rank, alpha):
    """The strengths of an update's directions, for a random A and B; largest first."""
    torch.manual_seed(0)
    lora = LoRALayer(64, 48, rank, alpha)
    nn.init.normal_(lora.B)
    strengths = lora_edu.singular_values(lora.delta().detach())
    return strengths[strengths > 1e-5 * strengths[0]]  # what is below is rounding


plain, more_alpha, more_rank = (strengths_of_update(*each) for each in ((4, 1), (4, 2), (8, 1)))
same = len(more_alpha) == len(plain)
# %%
# @title The answer: run it when you have predicted
three = {"plain": plain, "alpha × 2": more_alpha, "rank × 2": more_rank}
rows = [[name, len(found), f"{found[0]:.1f}"] for name, found in three.items()]
measured = table(["", "directions", "the strongest"], rows)
why = "alpha multiplies the whole product"
reveal(alpha_effect, effects[1 if same else 2], because=why, measured=measured)


# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# The rank caps how many directions there are, and alpha scales all of them at once. A
# bigger alpha is not a bigger rank. Why is the strongest of eight weaker than that of four? Unless
# told otherwise, this course draws a smaller $A$ at a higher rank, as you will see soon.
#
# </details>
#
# A bigger alpha is more like a bigger learning rate. With Adam, say Hu et al. in section 4.1, tuning alpha is
# roughly the same as tuning the learning rate, if the start is scaled to match. More exactly,
# $4 \cdot A B = (2A)(2B)$: four times the alpha does the same as starting both matrices twice as large
# (a zero stays zero) and doubling both learning rates. The deeper section tests that.
#
# ## What is A B multiplied by?
# Three rules are in use, and all of them call the number that you pass “alpha”:
#
# | `scaling=` | multiplier | who |
# |:---|:---|:---|
# | `"alpha"` | alpha | Raschka's book as printed (2024); this course, unless told otherwise |
# | `"alpha/rank"` | alpha / rank | the LoRA paper; PEFT, the usual library; the book's repository since 14 September 2025 |
# | `"alpha/sqrt(rank)"` | alpha / √rank | rsLoRA; PEFT with `use_rslora=True` |
#
# So even one book has two rules: the page in your hand and the code that you download. “Rank 16, alpha 16” means 16, 1 or 4. Copied to another code base, it makes the first steps many times too large or too small.
#
# **Exercise 1.** Write the rule. The first case is done for you.
# %% exercise="10.scaling"
def scale(alpha, rank, scaling):
    """What x A B is multiplied by."""
    if scaling == "alpha":
        return alpha
    # <solution>
    if scaling == "alpha/rank":
        return alpha / rank
    return alpha / math.sqrt(rank)
    # </solution>
    # <student>
    # if scaling == "alpha/rank":
    #     return ...  # your code
    # return ...  # your code: the case "alpha/sqrt(rank)"
    # </student>


scale_verdict = check("10.scaling", scale)
scale_verdict
# %% [markdown]
# <details><summary>Hint</summary>
# One divides alpha by the rank, the other by its square root, <code>math.sqrt(rank)</code>.
# </details>
#
# **Exercise 2.** A colleague trained with PEFT's default at rank 16 and `lora_alpha=24`. Which `alpha` gives the `LoRALayer` of notebook 02 the same multiplier, at the same rank?
# %% exercise="10.translate"
# <solution>
my_alpha = 24 / 16
# </solution>
# <student>
# my_alpha = ...  # a number
# </student>
check("10.translate", my_alpha)
# %% [markdown]
# <details><summary>Hint</summary>
# PEFT divides lora_alpha by the rank. Your class multiplies by alpha and nothing else.
# </details>
# %%
rule = scale if scale_verdict.passed else scaling_factor  # yours, or the course's
rows = [
    [name, *(f"{rule(16, rank, name):g}" for rank in (1, 4, 16, 64))] for name in lora_edu.SCALINGS
]
table(["alpha 16 at rank", "1", "4", "16", "64"], rows)
# %% [markdown]
# **Takeaway:** before you compare two LoRA runs, compute the multiplier of each. Alpha alone says nothing.
#
# ## Why does the same call draw two different A?
# There is a second trap, and it is easier to miss. To fill $A$, the paper's code, PEFT, the book and this course all call `kaiming_uniform_(A, a=math.sqrt(5))`. It draws within ±1/√(number of inputs), and PyTorch takes the second dimension of the matrix for that number.
#
# - The book and this course store $A$ as (in_dim × rank): the bound is 1/√rank. Below this is
# `init="reference"`, “the book's A”. (In notebook 05 the course drew as PEFT does.)
# - PEFT and the paper's code store it transposed: the bound is 1/√in_dim: `init="peft"`, “PEFT's A”.
#
# At rank 16 and GPT-2's width of 768, one $A$ is √(768/16) = 6.9 times as large as the other. At “rank 16, alpha 16” one convention multiplies a large $A$ by 16, the other a small $A$ by 1. Adam's first step moves every entry of $B$ by the learning rate, up or down, however large its gradient is. So the entries of $B$ are equally large in both; only their signs depend on $A$.
# %%
guess = predict("After one step of Adam: how many times larger is the book's update than PEFT's?")
guess
# %%
WIDTH = 768


def first_step(rank, scaling, init):
    """Size of the update beside W, and fall of the loss in %, by one step of Adam at alpha 16."""
    torch.manual_seed(0)
    linear = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
    x, y = torch.randn(64, WIDTH), torch.randn(64, WIDTH)
    layer = LinearWithLoRA(linear, rank, 16, scaling=scaling, init=init)
    optimizer = torch.optim.Adam(layer.lora.parameters(), lr=0.0001)
    before = F.mse_loss(layer(x), y)
    before.backward()
    optimizer.step()
    fall = 1 - F.mse_loss(layer(x), y).item() / before.item()
    return (layer.lora.delta().norm() / linear.weight.norm()).item(), 100 * fall


# %%
large, small = first_step(16, "alpha", "reference"), first_step(16, "alpha/rank", "peft")
apart = large[0] / small[0]
# %%
# @title The answer: run it when you have predicted
why = f"16 comes from the scaling, {math.sqrt(WIDTH / 16):.1f} from A (measured, rounded to tens)"
reveal(guess, round(apart, -1), because=why, tolerance=0.4)
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# With the same rank, alpha and learning rate, the first updates can be 110 times apart, here at rank 16 and width 768. How the runs end, this does not show. But when you copy a learning rate, copy its whole convention.
#
# </details>
#
# ## Why divide by the rank at all?
# Because you would like to change the rank without tuning everything else again. Which convention allows that? Alpha stays 16, the rank goes from 1 to 256, and we measure the first step by two yardsticks. One is the update's **size**, beside $W$. The other is what it is good for: how much the loss falls by it. Let us call that its **use**.
# %%
flat = ["alpha / rank, PEFT's A", "alpha / √rank, PEFT's A", "alpha, the book's A"]
steady = predict("Of the three in the list above, how many keep the size about the same? (0 to 3)")
steady
# %%
ranks = (1, 4, 16, 64, 256)
settings = [("alpha/rank", "peft"), ("alpha/sqrt(rank)", "peft"), ("alpha", "reference")]
steps = {
    name: [first_step(rank, *setting) for rank in ranks]
    for name, setting in zip(flat, settings, strict=True)
}
sizes, falls = ({name: [s[i] for s in of] for name, of in steps.items()} for i in (0, 1))


def as_before(curves):
    return [name for name, (first, *_, last) in curves.items() if 0.5 < last / first < 2]


# %%
# @title The answer: run it when you have predicted
why = "by itself it grows like √rank; two undo that, by the multiplier or by how A is drawn"
reveal(steady, len(as_before(sizes)), because=why)
# %% [markdown]
# So much for size. But training wants the loss to fall, and size is only a means.
# %%
useful = predict("Which of the three lets the loss fall equally at all ranks?", flat)
useful
# %%
# @title The answer: run it when you have predicted
shrinks = sizes[flat[0]][0] / sizes[flat[0]][-1]
grows = max(falls[name][-1] / falls[name][0] for name in flat[1:])
titles = (
    f"Size: with alpha / rank it shrinks {shrinks:.0f} times, the others keep it",
    f"Use: with alpha / rank it stays, with the others it grows, up to {grows:.0f} times",
)
labels = "size of the update, relative to W", "fall of the loss, in %"
charts = []
for title, label, curves in zip(titles, labels, (sizes, falls), strict=True):
    lines = [Line(name, ranks, of) for name, of in curves.items()]
    axes = {"x_label": "rank", "y_label": label, "x_log2": True, "y_log10": True}
    charts.append(line_chart(lines, title=title, **axes))
align(charts)  # one rank above the other
drawn = [
    picture(chart, f"{label} against rank. {title}.")
    for title, label, chart in zip(titles, labels, charts, strict=True)
]

why = "each direction helps, so r of them help r times as much, and 1 / rank undoes that"
reveal(useful, as_before(falls)[0], because=why, measured=drawn)


# %% [markdown]
# Why do the two disagree? At the start each of the $r$ directions is drawn at random. They point in unrelated ways, so together they are only √r times as long as one. But Adam sends *each* of them downhill, so the loss falls $r$ times as much as with one.
#
# The literature disagrees as well. Kalajdzievski (rsLoRA) reports that 1/rank slows learning at high ranks; Schulman et al. find that with it the best learning rate hardly depends on the rank. One step cannot decide, since later $A$ learns too.
#
# **Takeaway:** what stays the same depends on the yardstick. Dividing by the rank keeps the first step's *use*, dividing by its root its *size*. What surprised us: the printed book keeps the size as well, because it draws $A$ within ±1/√rank.
#
# ## Which rate, and then which rank?
# Now choose, from whole runs. In the record behind [notebook 06](06_finetune_a_generator.ipynb) our
# small GPT learns by LoRA, with PEFT's A, to make sentences from lists of facts, at four ranks,
# each with several learning rates. Alpha is twice the rank, which is the custom, so the multiplier
# `alpha / rank` is 2 at every rank. In other words, nothing shrinks as the rank grows, and by the
# section before this one the first step then has *more* use at a higher rank. What does that do to
# the best learning rate?
# %%
WAYS = ["falls", "stays the same", "rises"]
trend = predict("From rank 1 to rank 32, at a multiplier of 2, the best learning rate", WAYS)
trend
# %%
# @title The answer: run it when you have predicted
from lora_edu import data_path
from lora_edu.evaluation import losses_by_rate, read_record

record = read_record(data_path("results", "generator_bundled.json"))
menu = {"stage": "tune", "task": "menu", "method": "lora"}
losses = {rank: losses_by_rate(record, **menu, rank=rank) for rank in (1, 2, 8, 32)}
steps = record["about"]["steps"]["menu"]
note = f"Validation loss after {steps} steps; ranks 1 and 2: one seed, 8 and 32: mean of three."
measured = table(
    ["learning rate", *(f"rank {rank}" for rank in losses)],
    [
        [f"{lr:g}", *(f"{of[lr]:.3f}" if lr in of else "–" for of in losses.values())]
        for lr in sorted(set().union(*losses.values()))
    ],
    marks_lowest=True,
    note=f"{note} – was not tried; the lowest of each rank is bold.",
)

best = {rank: min(of, key=of.get) for rank, of in losses.items()}
moved = WAYS[0 if best[32] < best[1] else 1 if best[32] == best[1] else 2]
why = "which fits the first step, where more directions did more"
reveal(trend, moved, because=why, measured=measured)
# %% [markdown]
# From rank 1 to 32 the best rate tried falls to a quarter. That it falls fits what you saw of the first
# step; how far, a single step can't say. So whoever keeps alpha at twice the rank has to choose the
# rate anew for each rank. And mind the cliff: at rank 1 the next rate
# above the best ends at a loss of 5.2, worse than the untouched base's 4.9.
#
# Now the rank. To choose one you compare runs, and every run has a rate. Shall all share one, or each
# have its own? Does LoRA need another than full fine-tuning, and what does it cost in what the base
# knew? Here is the whole record, and that of [notebook 08](08_a_model_you_did_not_write.ipynb). *36
# matrices* is notebook 06's control: the matrices that LoRA adapts, trained whole.
# %%
from lora_edu.widgets.rate_explorer import rate_explorer

sweeps = rate_explorer()
sweeps


# %% [markdown]
# **To find out:** move the rate on menus. How far is LoRA behind at one shared rate, and how far with
# each at its own best? Tick the other ranks: which win somewhere? In all three sweeps, how many times full fine-tuning's best rate is LoRA's? And is what
# was forgotten a matter of the method or of the rate?
#
# <details><summary>What to look for</summary>
# At 0.002 rank 8 is 0.11 behind full fine-tuning, but 0.03 with each at its own best. Of the four ranks, 2
# and 8 are about level at 0.02, and 8 is lowest at 0.01; from 0.005 down full fine-tuning beats all.
# So one shared rate compares rates, not methods. Each at its own best, a higher rank ends lower each
# time: a lot from 1 to 8, but from 8 to 32 by less than 0.01, for four times the numbers. The seeds of
# these two do not overlap. Five seeds, pair by pair, say the same on the test set, on which no rate was
# chosen: 0.009 ± 0.007. But the next rate costs each of the two more than that, so a finer grid might
# turn it. On spam notebook 01 could not tell rank 1 from full fine-tuning, ± 5 points.<br><br>
# At rank 8 LoRA's best rate is 5 times full fine-tuning's on menus, and 10 times on tales and with
# SmolLM2. Over all ranks it is from 2.5 to 33 times, by the best of the rates tried. But the rates
# beside the best are often nearly as good, and at rank 1 SmolLM2's best is the highest that we tried,
# so each of these numbers may be several times off. Schulman et al. find about ten, and fifteen for short runs. With the small GPT on menus full fine-tuning is ahead; with
# SmolLM2 it overlaps with ranks 8 and 64. That does not make them equal: over five seeds, compared pair
# by pair, full is ahead of rank 8 by 0.015 ± 0.008, though beside such steps from rate to rate that is
# little.<br><br>
# What is forgotten depends on the rate at least as much as on the method. On menus rank 8's loss on stories, 2.12 before
# training, goes from 3.20 at 0.001 to 7.23 at 0.02. Each at its best rate, LoRA has forgotten less on
# menus with both models and on E2E, and more on tales. But who learns less usually forgets
# less, too: where both have learnt menus equally well, notebooks 06 and 08 find that LoRA forgets more.
# </details>
#
# Whoever compares at one rate compares rates, so give each its own. But must it be searched anew for
# each rank? In all these runs alpha grew with the rank. Other recipes keep alpha at 16 and change the
# rank alone, so that `alpha / rank` falls from 8 to 1/8. By the section before, every rank's first
# step then has as much use. We trained these, too.
# %%
kept = predict("With alpha kept at 16, from rank 2 to rank 128 the best learning rate", WAYS)
kept
# %%
# @title The answer: run it when you have predicted
settings = read_record(data_path("results", "settings.json"))
kept_at_16 = {rank: losses_by_rate(settings, arm=f"lora {rank}") for rank in (2, 8, 32, 128)}
rates = [min(losses, key=losses.get) for losses in kept_at_16.values()]
measured = table(
    ["learning rate", *(f"rank {rank}" for rank in kept_at_16)],
    [
        [f"{lr:g}", *(f"{of[lr]:.3f}" if lr in of else "–" for of in kept_at_16.values())]
        for lr in sorted(set().union(*kept_at_16.values()))
    ],
    marks_lowest=True,
    note=f"""Validation loss, mean of three seeds; – was not tried; the lowest of each rank is bold.
alpha / rank is {", ".join(f"{16 / rank:g}" for rank in kept_at_16)}.""",
)
stays = WAYS[0 if rates[-1] < rates[0] else 1 if rates[-1] == rates[0] else 2]
why = "dividing by the rank takes back what more directions add"
reveal(kept, stays, because=why, measured=measured)


# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# Choose in this order. Fix the convention. Then keep one number while you change the rank. If alpha is
# twice the rank, each rank needs a search of its own. With alpha kept at 16, four ranks had the same
# best of the rates that we tried, which fits what Schulman et al. found. The numbers themselves, 2 and 16, are customs; the rate does roughly
# the same work, so tune only the rate. Try rates until the best has a worse one on either side. Then
# take the smallest rank beyond which the validation loss hardly falls.
#
# This is one task and one small model. At ranks 8, 32 and 128 both neighbours of 0.01 are shown to be
# worse, over three seeds, so the true best of each is somewhere between 0.005 and 0.02. At rank 2 the
# rate of 0.005 is not shown to be worse, so there it is between 0.002 and 0.02. Two ranks may therefore
# differ by up to 4 times, and by up to 10 where rank 2 is one of them: with these rates a factor of two
# cannot be resolved.
#
# </details>
#
# This is the end of the marked path. Still open is what the size of $A$ and $B$ does once both learn.
#
# ## Deeper: what if a matrix starts ten times larger?
# Suppose you trained $A$ and $B$ to perfection. Would someone else get the same two matrices?
#
# **Exercise 3, own code.** Return *other* matrices of the same shapes whose product is the same.
# %% exercise="10.another_pair"
def another_pair(A, B):
    """Returns new_A, new_B, different from A and B, with new_A @ new_B = A @ B."""
    # <solution>
    return 2 * A, B / 2
    # </solution>
    # <student>
    # return ...  # your code
    # </student>


check("10.another_pair", another_pair)
# %% [markdown]
# <details><summary>Hint</summary>
# What you do to A on its right side can be undone on the left side of B. The simplest is to multiply by a number.
# </details>
#
# For every invertible $M$, $A M$ and $M^{-1} B$ are the same update. So single entries mean nothing, and averaging the $A$ and the $B$ of two adapters does not average their updates.
#
# The same update is not the same *training*, though. Adam moves an entry by about the learning
# rate, however large the entry is.
#
# Only a random matrix points somewhere from the start. We watch $B$, whose rows are easy to picture, so we swap the roles: $A$ is zero and $B$ is random. That works as well. One zero is enough for step 0 to be the base, and in notebook 02's one layer it hardly matters, at equal size, which. At the first step only $A$ gets a gradient, and from then on both learn.
#
# The rows of $B$ are the directions in which the update can write. Ours are drawn at random, while the task needs four particular ones, so $B$ has to turn. How many of its four directions are still there at the end? Take four perpendicular directions for the rows at the start, four for those at the end, and add up the squared cosines of all 16 pairs. The sum is 4 if $B$ has not turned at all, and about 4 · 4/48 = 0.33 for random directions in 48 dimensions.
# %%
# @title The task: answers of a frozen layer after a hidden change of rank 4
torch.manual_seed(1)
base = nn.Linear(64, 48).requires_grad_(False)
change = torch.linalg.qr(torch.randn(64, 4)).Q @ torch.linalg.qr(torch.randn(48, 4)).Q.T
task_x = torch.randn(1024, 64)
task_y = base(task_x) + task_x @ change + 0.1 * torch.randn(1024, 48)


# %%
def trained(layer, rate_A, rate_B, steps=150):
    """Trains A and B with a rate for each; returns the loss at each step."""
    groups = [{"params": layer.lora.A, "lr": rate_A}, {"params": layer.lora.B, "lr": rate_B}]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)  # down to zero
    losses = []
    for _ in range(steps):
        loss = F.mse_loss(layer(task_x), task_y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


# %%
def try_start(size, rate_A, rate_B, alpha=1.0):
    """Trains from A = 0 and a B of that size; returns a row of the table, means of three seeds."""
    seen = []
    for seed in range(3):
        torch.manual_seed(seed)
        layer = LinearWithLoRA(base, 4, alpha)
        layer.lora.A.data.zero_()
        layer.lora.B.data = size * (torch.rand(4, 48) - 0.5)
        before = torch.linalg.qr(layer.lora.B.detach().T).Q  # the directions of B's rows
        losses = trained(layer, rate_A, rate_B)
        after = torch.linalg.qr(layer.lora.B.detach().T).Q
        seen.append((max(losses), losses[-1], (after.T @ before).square().sum().item()))
    highest, last, stays = torch.tensor(seen).mean(0).tolist()
    return [f"B × {size}", rate_A, rate_B, f"{highest:.1f}", f"{last:.3f}", f"{stays:.1f}"]


# %% [markdown]
# First we train from $B$ as it is drawn, at a learning rate of 0.03. Then we make $B$ ten times larger. At the same rate its first steps go much too far, so the loss jumps up. So we also take a tenth of the rate, 0.003, and the loss does not jump any more. Where does it end?
# %%
ends = ["lower than with B as drawn", "the same", "higher than with B as drawn"]
question = "B ten times larger, and a rate of 0.003 instead of 0.03: the last loss is"
tenth = predict(question, ends)
tenth
# %%
untrained = F.mse_loss(base(task_x), task_y).item()
rows = [
    try_start(1, 0.03, 0.03),
    try_start(10, 0.03, 0.03),
    try_start(10, 0.003, 0.003),
    try_start(10, 0.003, 0.3),  # a rate for each: A ten times slower, B ten times faster
]
columns = ["start", "rate of A", "rate of B", "highest loss", "last loss", "B stays, of 4"]
measured = table(columns, rows, note=f"Loss before training: {untrained:.3f}.")
# %%
# @title The answer: run it when you have predicted
last = [float(row[4]) for row in rows]
verdict = ends[0 if last[2] < last[0] else 1 if last[2] == last[0] else 2]
why = "the steps of an entry add up to little beside it; B did not turn"
reveal(tenth, verdict, because=why, measured=measured)
# %% [markdown]
# In row 3 an entry can travel about 0.003 · 75 = 0.225, because the rate falls to zero over 150 steps. Beside entries of about 2.9 that is little, so $B$ keeps the directions that it began with, and the update can write in no others. Row 2 could travel ten times as far, and yet did not turn. Did its overshooting prevent that? We do not know.
#
# The last row is the first run again, written with $M = 1/10$, so its results are the same. And what of the first section's promise, $4 \cdot A B = (2A)(2B)$?
# %%
alike = [try_start(1, 0.01, 0.01, alpha=4.0), try_start(2, 0.02, 0.02)]
for name, row in zip(("alpha 4", "alpha 1"), alike, strict=True):
    print(f"{name}, {row[0]}, rates {row[1]}: last loss {row[4]}, {row[5]} of 4 directions stay")
# %% [markdown]
# **Takeaway:** in row 3, a matrix whose entries are large beside all that its steps add up to did not turn. By the same reasoning the book's large $A$ should turn less than PEFT's small one; that we did not measure. Separate rates for $A$ and $B$ are a method of their own, LoRA+, for another reason: Hayou et al. argue that in wide layers one rate for both learns less well.
# %% [markdown]
# ## Deeper: twenty-one claims, tried here
# Advice on LoRA conflicts, and most of it is passed on without the model and the data that it came
# from. So here are twenty sentences that you will read elsewhere, and one of our own. Each has been tried on this
# course's records: on the mini GPT of three million numbers, and on SmolLM2, a real language model
# of 135 million ([notebook 08](08_a_model_you_did_not_write.ipynb)). When does such a trial speak
# for a claim, and when against it? By these rules:
#
# - Each method gets the best of its rates, where the table says nothing else, and is compared with
#   the other seed by seed. The ± is half of a 95 % interval ([notebook
#   09](09_distrust_a_single_number.ipynb)), of the luck of the seeds. Only where LoRA and full
#   fine-tuning are compared on spam does it hold the luck of the messages, too.
# - A claim that one number is *larger* holds if the interval is above 0, and fails if it is below.
# - A claim that two are *the same* holds if the interval is within ± 0.01 nats or ± 1 point. It
#   fails if the interval is not, and leaves out 0.
# - “About ten” is from 5 to 20, “alike” and “roughly” mean within a tenth, and “slightly more than
#   two thirds” means less than 0.1 more.
# - “Hardly depends” allows a factor of two, “few” a half, and “hardly any” a tenth of the layers;
#   “amplifies” asks for twice as much, and “share” for more than a half.
# - A sweep doesn't name the best rate. It is somewhere between the rates next to those that are as
#   good as the best one tried, and all of that range has to pass.
# - Nor does a difference count if the best rate of one method beats each of its neighbours by more,
#   and that two are the same doesn't, if it beats them by more than what counts as none. Beside such
#   steps, what a rate between them would do is not known.
# - What is forgotten has to have the same sign at the best rates and at their neighbours, since it
#   depends on the rate so much.
# - Where one trial has several levels of learning, one level against the claim decides.
# - In every other case, our records can't tell. The same goes for two seeds, which may agree by luck,
#   for a remedy so weak that it was hardly tried, and for losses of ranks that had no rate to choose
#   from, since the one that all got may suit some better.
#
# Most rates were chosen with one seed: all on tales, E2E, spam and facts, and on menus those of ranks 1
# and 4, of $B$'s rate, of which matrix is zero and of large batches. What was chosen was then measured
# with three seeds or five.
#
# A general claim falls with one trial against it, and needs all of its trials to hold. Two trials
# are run now, because they take no time: the first step at several ranks, and four times the alpha.
# %%
falls_by_rank = {rank: first_step(rank, "alpha/rank", "peft")[1] for rank in (1, 4, 16, 64, 256)}


def losses_of(size, rate, alpha=1.0):
    """The loss of each step, from A = 0 and a B of that size."""
    torch.manual_seed(0)
    layer = LinearWithLoRA(base, 4, alpha)
    layer.lora.A.data.zero_()
    layer.lora.B.data = size * (torch.rand(4, 48) - 0.5)
    return trained(layer, rate, rate)


by_alpha, by_rates = losses_of(1, 0.01, alpha=4.0), losses_of(2, 0.02)
count = predict("Of the twenty-one claims in the next table, how many hold here?")
count
# %%
from lora_edu.tasks import claim_table, published_claims

claims = published_claims(falls_by_rank, by_alpha, by_rates)
verdicts = [claim.verdict for claim in claims]
# %%
# @title The answer: run it when you have predicted
refuted, unknown = verdicts.count("does not hold here"), verdicts.count("cannot tell")
why = f"{refuted} do not hold here, and of {unknown} our records can't tell"
reveal(count, verdicts.count("holds here"), because=why, measured=claim_table(claims))
# %% [markdown]
# Of the four that held, three are close to arithmetic. What did not is a sentence each time, which does not refute
# the paper that it comes from: its models and its data were others. And where our records can't tell,
# two things came out alike, or the runs that would decide have not been made.
#
# <details><summary><b>What held</b>, and what it is worth</summary>
#
# Close to arithmetic are alpha as a rate, the beginning of training, and the operations of a step. The
# beginning is the first step alone, on one layer. Over steps 11 to 20 in the GPT (`settings.json`, at 0.01)
# rank 2 is behind, with a loss of 2.32 beside 2.09, 2.03 and 2.01 at ranks 8, 32 and 128. In
# *time* a step may save less. In our small model LoRA and full fine-tuning are close, and runs came out
# either way ([notebook 05](05_finetune_a_classifier.ipynb)); at GPT-2's width a LoRA step took 81 % of
# a full one, or 74 % with fused layers, in our [benchmarks](https://github.com/lora-edu/lora_edu/blob/main/benchmarks/RESULTS.md).
#
# Where there is much to learn by heart, the rank counts. We made up 512 facts, six random tokens each,
# and showed every one 200 times (`data/results/memorise.json`). Rank 4 holds 89 % of their bits, and
# rank 1 59 %; full fine-tuning, with one seed, all of them. So after 200 times a lower rank held less. Rank 1's share is about one bit for each
# number that it trains. Allen-Zhu and Li 2024 ([arXiv:2404.05405](https://arxiv.org/abs/2404.05405))
# found one bit after a hundred exposures, and two after a thousand. Was it room that rank 1 lacked, or time? Of half as many facts it
# holds 75 %, or 76 % at a rate of 0.005, with one seed each, though there is room for all. So it was
# not room alone. In the other figures LoRA's rate is 0.002, full's 0.001. Of 512 facts, each rank holds
# less at half and at two and a half times that rate, one seed each. At rank 2 it is 0.003, since that was
# better. And by rank 1's measure ranks 2 and 4 had room for all facts, so they may have lacked time.
#
# </details>
# <details><summary><b>What did not hold</b>, and what may explain it</summary>
#
# Hu et al. found rank 1 enough on two data sets, and warn in a footnote of the same section that
# they do not expect it of every task. Schulman et al. trained models of a billion numbers and more on instructions and
# reasoning; our small GPT has read children's stories only, and has to learn new words while LoRA
# freezes its embedding. Unfold that claim's trials in the table, and look at the third: of the 0.022 nats that LoRA at rank 32 is
# behind full fine-tuning, all but 0.003 are still missing when the same 36 matrices are trained
# whole, give or take 0.004. So it looks as if at rank 32 less is due to the rank than to what LoRA leaves
# frozen, though by our rules this trial and the next are open. The fourth
# trial lets the embedding learn, too, and on validation 0.005 ± 0.009 are left of 0.023. On E2E the gap is far
# larger, 0.95 nats, and there, too, most of it is the embedding's: with it rank 8 makes up for 80 %,
# and rank 32 without it for 15 %, which a rate between might change ([notebook 06](06_finetune_a_generator.ipynb)).
#
# Biderman et al. taught Llama 2 code and mathematics, and at equal learning find LoRA ahead for code.
# Where both methods had learnt menus equally well, our LoRA at rank 8 had forgotten more, on either
# model.
#
# Does an update amplify what $W$ has? At rank 8 it is 14 times as large as $W$ in the update's own
# directions, beside 21.5 times at rank 4 in table 7 of Hu et al. But there $W$ has sixteen times
# as much in these directions as in random ones, 0.32 beside 0.02, and here 1.2 times. In random
# directions an update of this size would be 17 times as large as $W$. So ours is large where $W$ has
# little, but hardly where it has anything of note. At rank 64 it is 1.4 times as large as $W$; table 7
# has 3.57 beside 1.90 there, which makes 1.9. The claim is one about low ranks.
#
# Which directions does an update use? Mostly, other ones each time (`data/results/subspaces.json`).
# Of the strongest direction that $A$ reads, a run at rank 8 and one at rank 64 share 18 %, and of the
# eight strongest of each 17 %, where chance gives 0.5 and 4 %. So both are shared more than by chance,
# but the strongest is not shown to be shared more than the others: the difference is 0.002 ± 0.011. This mean hides opposite
# signs, though, as we saw when we looked at each kind of layer. In fc_in the strongest is shared *less*
# than the others, by 0.118 ± 0.043, in value more, by 0.079 ± 0.044, and so it is over the five kinds
# without fc_in, by 0.026 ± 0.015. Hu et al. looked at query and value alone; they found more than
# half of the strongest shared, and little else. In none of our kinds is it more than a quarter on
# average.
# These pairs have the same seed, so they read the same batches in the same order; of two seeds 14 and
# 15 % are shared. One can also read Hu et al. as asking how much of the strongest direction lies in
# *all 64* of the other run. That is 55 to 57 %, and 31 before training, so by that reading the first half of the
# claim would hold. For the second half we have no such figure.
#
# Intruder dimensions are there in our small GPT, and at equal learning they are LoRA's: with menus at
# 0.24, LoRA at rank 8 has them in most of the 36 layers, full fine-tuning in about one. On tales, how
# many LoRA has is less sure than the ± 4.9 of the table says. It is read off a straight line between
# two rates that are five times apart, one with 1 to 4 such layers at a loss of 3.96, one with 30 to 33
# at 3.44, and the ± knows nothing of how the curve bends between them. Only at a high rate has full
# fine-tuning many, too: at 0.002, its best for menus, 22 layers, and 23 with a story in every batch,
# though it then forgets far less.
# What speaks against the claim is SmolLM2. After a hundred steps of menus no layer that we measured
# has an intruder, whatever was trained ([notebook 08](08_a_model_you_did_not_write.ipynb)). But there
# LoRA's update is only 2.4 % as large as $W$, and 53 % at its best rate for menus in our small GPT.
#
# </details>
# <details><summary><b>What our records can't tell</b>, and which runs would</summary>
#
# There are three causes. Some things our rates don't tell apart: attention alone and the MLP alone
# came out 0.001 nats apart, with ± 0.006 over five seeds, two of which were added because three had
# left it open. So did a higher rate for $B$, as in LoRA+, and one rate for both, each
# at its own best rate; Hayou et al. argue for wide models, and ours has a width of 192.
#
# Elsewhere the seeds leave it open. $B$ at zero
# beat $A$ at zero where the other matrix had its usual size. But the usual $B$ is larger than the
# usual $A$, and with both drawn equally small we cannot tell, so it may have been the size.
# Kalajdzievski found that dividing by the rank stunts high ranks, and dividing by its root does not. At
# rank 32 a multiplier of 0.5 and one of 2 are not shown to differ, and neither are 0.125 and 2 at rank
# 128. The larger ones may be ahead by up to 0.018 and 0.011 nats. But here each multiplier has its own
# best rate, and a multiplier is roughly a rate. So what is left for it to stunt is little. At one
# rate for both, 0.005, rank 32 is behind with the smaller multiplier, by 0.019 ± 0.004 nats, and rank
# 128 far ahead, with one seed of the larger, for which that rate is too high.
#
# And elsewhere our rates are too coarse. On all six kinds of layers at rank 4 LoRA was 0.012 nats ahead
# of attention alone at rank 10, and 0.011 ahead of the MLP alone at rank 8, which have a ninth more
# numbers. Its interval leaves out zero over five seeds, but the next rate costs each of these two more than
# that. And with batches of 64 instead of 16, as many rows in all and a quarter of the steps, LoRA was 0.10 nats
# behind full fine-tuning instead of 0.03. But at the rates beside it, half as high and twice as high, it
# loses 0.10 nats and more. It would take rates between.
#
# Nor can our rates tell whether LoRA “learns less and forgets less”. It did learn less on menus, tales
# and E2E; on SmolLM2 by 0.015 ± 0.008 nats, beside which the rates are coarse. At the best of our rates
# it forgot less on menus, with both models, and on E2E, and more on tales. But the rates beside those turn each of these
# round, on E2E by a run that hardly learnt: on menus LoRA's loss on stories goes from 4.4 to 7.2 between them, and full's from 6.2 to 10.8.
# So “forgets less” means little until you hear at which rates, and after how much learning.
#
# And does LoRA keep more than full fine-tuning does with weight decay or dropout, as Biderman et al.
# find? A dropout of 0.1 made full forget more: with menus at 0.25 its loss on stories is 4.1 instead of
# 3.1, about what it is with LoRA. A decay of 0.1 shrinks $W$ by 1 % at most at such rates, so it was
# hardly tried, and full forgets practically as much without it.
#
# One claim is our own. Notebook 02 found, on one layer that was trained to the end, that rank beyond
# the planted one buys nothing. Does it in the whole GPT? We added a random change of rank 4 to each of
# the 36 matrices, and LoRA learnt from the changed model's probabilities, 250 steps at a rate of 0.01
# (`data/results/planted.json`). At first the two models are 0.55 nats apart. Rank 4 leaves 0.10 nats,
# rank 8 leaves 0.07 and rank 16 0.06, which is not shown to be less than rank 8's. So after these steps
# more than the planted rank still helped. But none had arrived, so more directions may only be a faster
# way there. Or the one rate, which was tuned for none of them, suits them better. It would take a rate
# for each rank, and longer runs.
#
# And a best rate is hard to find. With alpha kept, 0.01 was the best of our rates at ranks 2, 8, 32 and
# 128. But they are a factor of two or more apart, so the claim's own factor of two can't be resolved.
# Beside full fine-tuning it is the same: on SmolLM2 rates are tied that are three times apart, and on
# spam each was tried with one seed. More seeds at the rates that are tied would help, and rates
# between them. And while alpha is twice the rank, there may be no one factor to find. On SmolLM2 the
# best of the rates tried falls from 0.01 at rank 1 to 0.001 at rank 64, that is, from 33 to 3 times
# full's 0.0003. That is not shown of the true factor, though. By the rates beside those as good, it is
# above 1 at rank 1 and below 100 at rank 64, so the two could be the same. These two ranks have two
# seeds, and their best rates are the highest and the lowest that we tried.
#
# One question has no row at all: does the gap between LoRA and full fine-tuning shrink, the more text
# a base has read? Our base can't tell, because two things come at once. It has read its 2.25 million
# tokens 7.7 times, so a checkpoint from earlier in its training has not read other text, but the same
# text less often, and its learning rate was higher. It would take bases that each read fresh text once,
# and of them more than we have.
#
# </details>
# <details><summary><b>How far to trust the table</b></summary>
#
# Of so many intervals of 95 %, about three miss by luck. For each claim that failed,
# therefore, look for a trial that is far from the bar that it had to pass. Where the one in its row
# has a ±, it is at least five times that away, at the level that decides.
#
# And we knew most of these figures when we wrote the rules, so a test that is announced beforehand
# would weigh more. Six claims had one, more or less: those on one rate for every rank, on $B$'s
# rate, on which matrix is zero, on batches, on a planted rank and on decay and dropout were put into
# rules before most of their runs were made, though the levels of learning at which dropout is
# compared were chosen when we saw how little it had learnt.
# And twelve rules were changed when the runs were known, some more than once, most since readers found
# that they asked too little.
# That on high ranks tried something else. That on one rate for every rank took one seed's best for the
# best, and then, like that on ten times the rate, forgot how far apart the rates are. That on
# intruder dimensions first forgot to ask whether full fine-tuning has few, and then
# asked it at rates that had learnt unequally. That on the strongest direction measured it inside all 64
# of the other run, but the others eight by eight. That on a planted rank took one rate for all ranks
# as enough. And that on amplifying looked at rank 8, then at rank 64 as well, where its
# source's own figures fail it, and now at rank 8 again. It also took
# 1.2 times as much as in random directions for something that $W$ has, and now asks for twice as much.
# Two seeds, which had decided one trial on SmolLM2, decide nothing any more.
# Then came three on rates that are too coarse: for a difference, for sameness, and for what is
# forgotten. Since then two claims that had held are open, and one that had not. A third, on facts by
# heart, would be open as well, but for two rates that were added for rank 2, one of which was better.
# Last, a weight decay that was hardly tried decides nothing any more. By the rule as it was announced,
# the claim on decay and dropout did not hold.
#
# </details>
#
# **Takeaway:** all of it is evidence about these models and these data, and not about yours. Before you
# repeat a claim, ask for its model, its data, its convention for alpha, and what was held equal. Then
# try it on your own validation set.
#
# ## Three sentences to remember
# 1. The rank caps the number of directions, the multiplier scales them, and three rules turn alpha into the multiplier.
# 2. A learning rate belongs to its convention: at rank 16 and width 768, two first updates were 110 times apart.
# 3. ◇ In our test, a matrix that was large beside all that its steps add up to did not turn.
#
# ## Five questions
# 1. At rank 16 and alpha 16, what are the three multipliers?
# 2. Why does PEFT draw a smaller $A$ than this course, though both call the same function?
# 3. In PEFT you raise the rank from 8 to 64 and keep alpha. How does the first update change, in size and in use?
# 4. ◇ With $B$ ten times as large, our loss ended higher even at a tenth of the learning rate. What do we know about why?
# 5. Why is it unfair to compare ranks at one learning rate?
#
# <details><summary>Answers</summary>
# (1) 16, 1 and 4. (2) PyTorch takes the second dimension for the number of inputs: the rank in one,
# in_dim in the other. (3) It is about √8 = 2.8 times smaller and lowers the loss about as much:
# eight times as many directions, each with an eighth of the weight. (4) B did not turn, so the
# update wrote in the directions it started with; its steps add up to little beside its entries. But
# at ten times that rate it did not turn either, and why we don't know. (5) Where alpha
# grows with the rank, the best of the rates tried falls. At 0.02 rank 2 beat rank 32, which ended
# lowest of the four at its own rate, if only by as much as a finer grid of rates might turn. With alpha kept at 16, the same of our rates was the best at four
# ranks.
# </details>
#
# ## Where next
# [Distrust a single number](09_distrust_a_single_number.ipynb) says how to compare two settings fairly. [Adapters as files](07_adapters_as_files.ipynb) trades adapters with PEFT, conventions included, and measures what merging loses to rounding.
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), section 4.1: alpha / rank, and alpha beside the learning rate
# - Kalajdzievski 2023, [A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA](https://arxiv.org/abs/2312.03732)
# - Schulman et al. 2025, [LoRA Without Regret](https://thinkingmachines.ai/blog/lora/)
# - Biderman et al. 2024, [LoRA Learns Less and Forgets Less](https://arxiv.org/abs/2405.09673)
# - Shuttleworth et al. 2024, [LoRA vs Full Fine-tuning: An Illusion of Equivalence](https://arxiv.org/abs/2410.21228)
# - Hayou, Ghosh and Yu 2024, [LoRA+](https://arxiv.org/abs/2402.12354): a rate for each
# - Hayou, Ghosh and Yu 2024, [The Impact of Initialization on LoRA Finetuning Dynamics](https://arxiv.org/abs/2406.08447): which matrix starts at zero
# - Raschka 2024, *Build a Large Language Model (From Scratch)*, appendix E, and its [repository](https://github.com/rasbt/LLMs-from-scratch)
