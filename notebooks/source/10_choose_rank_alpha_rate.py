# %% [markdown]
# # Choose rank, alpha, learning rate, targets
#
# Recipes give you four settings; here you learn what each of them does, and why no one of them can be copied alone.
#
# **You will be able to**
# - tell what alpha does from what the rank does
# - translate a recipe between the three scalings that are in use
# - explain how two runs with the same settings can start far apart
# - see when a matrix is too large for its learning rate
#
# **You need** notebook 02: what $A$ and $B$ are, and why $B$ starts at zero.
#
# **Time:** {whole} minutes on a CPU, less on a GPU.
# %% bootstrap
# %% [markdown]
# If you only want values to begin with, take the table at the end of [notebook 05](05_finetune_a_classifier.ipynb) and come back when a run disappoints. This notebook is about the reasons, for the first three settings so far; targets are in notebooks 03 and 04.
#
# ## Is a bigger alpha a bigger rank?
# Both numbers sound like "more LoRA", so it is tempting to take one for the other. An update is a multiplier times $A B$. Fill $A$ and $B$ at random, and compare its directions and their strengths.
# %%
import math

import torch
from torch import nn
from torch.nn import functional as F

import lora_edu
from lora_edu import LinearWithLoRA, LoRALayer, scaling_factor
from lora_edu.exercises import check
from lora_edu.plots import Line, line_chart, show, table
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
for name, strengths in {"plain": plain, "alpha × 2": more_alpha, "rank × 2": more_rank}.items():
    print(f"{name:9}  {len(strengths)} directions, the strongest {strengths[0]:.1f}")
same = len(more_alpha) == len(plain)
reveal(alpha_effect, effects[1 if same else 2], because="alpha multiplies the whole product")


# %% [markdown]
# **Takeaway:** the rank caps how many directions there are, and alpha scales all of them at once. A bigger alpha is not a bigger rank.
#
# It is more like a bigger learning rate. While they learn, $A$ and $B$ can make up for a larger multiplier, so what alpha changes is mostly how far each step carries. With Adam, tuning alpha is roughly the same as tuning the learning rate, if the start is scaled to match (Hu et al., section 4.1).
#
# ## What is alpha multiplied by?
# Three rules are in use, and all of them call the number that you pass "alpha":
#
# | `scaling=` | multiplier | who |
# |---|---|---|
# | `"alpha"` | alpha | Raschka's book as printed (2024); this course, unless told otherwise |
# | `"alpha/rank"` | alpha / rank | the LoRA paper; PEFT, the usual library; the book's repository since 14 September 2025 |
# | `"alpha/sqrt(rank)"` | alpha / √rank | rsLoRA; PEFT with `use_rslora=True` |
#
# So even one book has two rules: the page in your hand multiplies by alpha, and the code that you download divides by the rank. "Rank 16, alpha 16" means 16, 1 or 4. Copy it from one code base to another, and the first steps are many times too large or too small.
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
# The names say it: one divides alpha by the rank, the other by the rank's square root, <code>math.sqrt(rank)</code>.
# </details>
#
# **Exercise 2.** A colleague trained with PEFT's default at rank 8 and `lora_alpha=16`. Which `alpha` gives the `LoRALayer` of notebook 02 the same multiplier, at the same rank?
# %% exercise="10.translate"
# <solution>
my_alpha = 16 / 8
# </solution>
# <student>
# my_alpha = ...  # a number
# </student>
check("10.translate", my_alpha)
# %% [markdown]
# <details><summary>Hint</summary>
# First PEFT's multiplier: it divides lora_alpha by the rank. Your class multiplies by alpha and nothing else.
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
# There is a second trap of this kind, and it is easier to miss. To fill $A$, the paper's code, PEFT, the book and this course all call `kaiming_uniform_(A, a=math.sqrt(5))`. It draws within ±1/√(number of inputs), and PyTorch takes the second dimension of the matrix for that number.
#
# - The book and this course store $A$ as (in_dim × rank): the bound is 1/√rank.
# - PEFT and the paper's code store it transposed: the bound is 1/√in_dim. (That is Kaiming's rule as it was meant.)
#
# At rank 16 and GPT-2's width of 768, one $A$ is √(768/16) = 6.9 times as large as the other. Scaling and start then work together. At "rank 16, alpha 16" one convention multiplies a large $A$ by 16, the other a small $A$ by 1. Adam's first step moves every entry of $B$ by the learning rate, however large its gradient is, so $B$ is the same in both.
# %%
guess = predict("After one step of Adam: how many times larger is the first convention's update?")
guess
# %%
WIDTH = 768


def first_step(rank, scaling, init):
    """Size of the update beside W after one step of Adam, at alpha 16, learning rate 0.001."""
    torch.manual_seed(0)
    linear = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
    x, y = torch.randn(64, WIDTH), torch.randn(64, WIDTH)
    layer = LinearWithLoRA(linear, rank, 16, scaling=scaling, init=init)
    optimizer = torch.optim.Adam(layer.lora.parameters(), lr=0.001)
    F.mse_loss(layer(x), y).backward()
    optimizer.step()
    return (layer.lora.delta().norm() / linear.weight.norm()).item()


apart = first_step(16, "alpha", "reference") / first_step(16, "alpha/rank", "peft")
why = "16 comes from the scaling, and 6.9 from A (measured, rounded to tens)"
reveal(guess, round(apart, -1), because=why, tolerance=0.4)
# %% [markdown]
# **Takeaway:** the same rank, alpha and learning rate can start training 110 times apart. A learning rate belongs to its convention, so when you copy one, copy all of it.
#
# ## Why divide by the rank at all?
# Because you would like to change the rank without tuning everything else again. Let us see which convention allows that. Alpha stays 16, the rank goes from 1 to 256, and we measure how far the first step carries.
# %%
flat = ["alpha / rank, PEFT's A", "alpha / √rank, PEFT's A", "alpha, the book's A"]
steady = predict("Of these three, how many keep the first step at about the same size? (0 to 3)")
steady
# %%
ranks = (1, 4, 16, 64, 256)
settings = [("alpha/rank", "peft"), ("alpha/sqrt(rank)", "peft"), ("alpha", "reference")]
sizes = {
    name: [first_step(rank, *setting) for rank in ranks]
    for name, setting in zip(flat, settings, strict=True)
}
stays = [name for name, (first, *_, last) in sizes.items() if 0.5 < last / first < 2]
reveal(steady, len(stays), because="√rank is undone once: by the multiplier, or by how A is drawn")
# %%
# @title Draw the three curves
falls = sizes[flat[0]][0] / sizes[flat[0]][-1]
chart = line_chart(
    [Line(name, ranks, of) for name, of in sizes.items()],
    title=f"From rank 1 to 256 the first step shrinks {falls:.0f} times, or stays as it is",
    x_label="rank",
    y_label="size of the first step, relative to W",
    x_log2=True,
    y_log10=True,
)
show(
    chart,
    f"Size of the first step against rank. With alpha / rank it falls {falls:.0f} times. With "
    "alpha / √rank it is flat. With alpha and the book's A it is flat as well, and much higher.",
)


# %% [markdown]
# **Takeaway:** this is rsLoRA's point. Dividing by the rank holds high ranks back, dividing by its root treats all alike. What surprised us: the printed book's A, drawn within ±1/√rank, does the same job by another way. Its large $A$ is half of the recipe. Mind that this is the first step only.
#
# ## When is a matrix too large for its learning rate?
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
# What you do to A on its right side can be undone on the left side of B. The simplest thing that can be done and undone is to multiply by a number.
# </details>
#
# For every invertible $M$, $A M$ and $M^{-1} B$ are the same update. So single entries mean nothing, and averaging the $A$ and the $B$ of two adapters does not average their updates.
#
# The same update is not the same *training*, though. Adam moves an entry by about the learning rate, however large the entry is, so a large matrix hardly turns. We take a small task that needs a change of rank 4, start with $A$ zero and $B$ random, and make that $B$ ten times larger. How much of $B$'s four directions is the same at the end?
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
def try_start(size, rate_A, rate_B):
    """Trains from A = 0 and B of that size; returns a row of the table."""
    torch.manual_seed(0)
    layer = LinearWithLoRA(base, 4, 1.0)
    layer.lora.A.data.zero_()
    layer.lora.B.data = size * (torch.rand(4, 48) - 0.5)
    before = torch.linalg.qr(layer.lora.B.detach().T).Q
    losses = trained(layer, rate_A, rate_B)
    kept = (torch.linalg.qr(layer.lora.B.detach().T).Q.T @ before).square().sum() / 4
    seen = f"{max(losses):.1f}", f"{losses[-1]:.2f}", f"{4 * kept:.1f} of 4"
    return [f"B × {size}", rate_A, rate_B, *seen]


rows = [
    try_start(1, 0.03, 0.03),
    try_start(10, 0.03, 0.03),
    try_start(10, 0.003, 0.003),  # slower: nothing overshoots now
    try_start(10, 0.003, 0.3),  # a rate for each: A ten times slower, B ten times faster
]
table(["start", "rate of A", "rate of B", "highest loss", "last loss", "B stays"], rows)
# %% [markdown]
# The second row overshoots, so you might blame that. But the third row doesn't, and ends just as badly: in both, $B$ still has the directions it was born with, and the update can write in no others. In the last row each rate fits the size of its matrix. That is the first run again, written with $M = 1/10$, and so are its results.
#
# **Takeaway:** what counts is the size of a matrix *relative to its learning rate*. Giving $A$ and $B$ separate rates is a method of its own, LoRA+.
#
# ## What does merging cost in 16 bits?
# Merging adds the update to $W$. Can you take it out again by subtracting? We try it in float32 and in bfloat16, a format of 16 bits that is common for large models. The update is a tenth of $W$'s size.
# %%
back = ["in both formats", "in float32 only", "in neither"]
subtract = predict("Add the update to W, then subtract it. Where is W back exactly?", back)
subtract
# %%
W = base.weight.T
delta = change * 0.1 * W.norm() / change.norm()
errors = []
for dtype in (torch.float32, torch.bfloat16):
    stored = W.to(dtype)
    restored = (stored + delta.to(dtype)) - delta.to(dtype)
    error = (restored - stored).abs().max().item() / stored.abs().max().item()
    moved = (restored != stored).float().mean().item()
    errors.append(error)
    share = f"1/{2 ** round(-math.log2(error)):,}"
    print(f"{str(dtype):15} {100 * moved:.0f} % of the weights moved, up to {share} of the largest")
reveal(subtract, back[sum(error > 0 for error in errors)], because="each sum is rounded")
# %% [markdown]
# **Takeaway:** in float32 the error hardly matters, in bfloat16 it does. To get $W$ back exactly, keep a copy, as the course's `unmerge()` does. PEFT's subtracts. In 16 bits, whatever in the update is smaller than half a rounding step of $W$ is lost in merging altogether; notebook 07 measures that.
#
# ## Three sentences to remember
# 1. The rank caps the number of directions, the multiplier scales them, and three rules turn alpha into the multiplier.
# 2. A learning rate belongs to its convention: scaling and start together can put two runs 110 times apart.
# 3. What counts is the size of each matrix relative to its own learning rate.
#
# ## Five questions
# 1. At rank 16 and alpha 16, what are the three multipliers?
# 2. Why does PEFT draw a smaller $A$ than this course, though both call the same function?
# 3. In PEFT you raise the rank from 8 to 64, keep alpha, and training becomes slower. Why?
# 4. Why is $B$ ten times as large worse, even at a tenth of the learning rate?
# 5. Why does our `unmerge` keep a copy?
#
# <details><summary>Answers</summary>
# (1) 16, 1 and 4. (2) PyTorch takes the second dimension for the number of inputs: the rank in one, in_dim in the other. (3) alpha / rank fell eightfold. (4) B hardly turns, so the update writes in the directions it started with. (5) Adding rounds, so subtracting does not give the old numbers back.
# </details>
#
# ## Where next
# [Distrust a single number](09_distrust_a_single_number.ipynb) says how to compare two settings fairly. [Adapters as files](07_adapters_as_files.ipynb) trades adapters with PEFT, conventions included.
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), section 4.1: alpha / rank, and alpha beside the learning rate
# - Kalajdzievski 2023, [A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA](https://arxiv.org/abs/2312.03732)
# - Hayou, Ghosh and Yu 2024, [LoRA+](https://arxiv.org/abs/2402.12354): a rate for each
# - Raschka 2024, *Build a Large Language Model (From Scratch)*, appendix E, and its [repository](https://github.com/rasbt/LLMs-from-scratch)
