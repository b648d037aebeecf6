# %% [markdown]
# # Build `LoRALayer` and `LinearWithLoRA`
#
# You write LoRA yourself, in fifteen lines; ◇ then you find the rank of a hidden change.
#
# {sign:02}
#
# **You will be able to**
# - write `LoRALayer` and `LinearWithLoRA`, and say what each line is for
# - explain why one matrix starts at zero, and which moves first
# - ◇ merge an update into a layer by hand
# - ◇ find the elbow of a curve, and say what it does not prove
#
# **You need** basic PyTorch: `nn.Module`, `nn.Parameter`, `backward`. Notebook 01, on rank, helps.
#
# **Time:** {path} minutes on the marked path ◆, {whole} in all, CPU or GPU.
# %% bootstrap
# %% [markdown]
# ## What are we going to build?
# Fine-tuning changes a layer's matrix: $W$ becomes $W + \Delta W$. For every task, $\Delta W$ has as many numbers as $W$. LoRA leaves $W$ alone and bets that far fewer are enough. It writes the change as a tall thin matrix times a short wide one. Why may that stand *beside* $W$? Because $x (W + \Delta W) = x W + x \Delta W$: adding two outputs is the same as adding two matrices.
# %%
import math

import torch
from torch import nn
from torch.nn import functional as F

import lora_edu
from lora_edu.exercises import check
from lora_edu.plots import Line, drawing, line_chart, picture, show, table
from lora_edu.widgets import predict, reveal

drawing("side_path_start")
# %% [markdown]
# $$y = x W + b + \alpha \cdot x A B$$
#
# Each row of $x$ is a token, and $b$ is the layer's own bias. You choose the **rank** $r$. In the drawing grey is frozen and blue learns.
#
# And $\alpha$, in code `alpha`? It is notebook 00's *multiplier*: how strongly the update counts, fixed before training. There are two conventions. Here, as in Raschka's book (2024), alpha *is* the multiplier. In the LoRA paper, the usual library (PEFT) and adapter files, the multiplier is alpha *divided by the rank*. So their alpha of 16 at rank 8 is 16/8 = 2 here. [Notebook 10](10_choose_rank_alpha_rate.ipynb) compares both. The paper's $B A$ is the same, transposed.
#
# One layer of our small GPT turns 192 numbers into 768.
# %%
numbers = predict("How many numbers do A and B hold together, from 192 to 768 at rank 8?")
numbers
# %%
# @title The answer: run it when you have predicted
full, update = 192 * 768, 192 * 8 + 8 * 768
held = f"W holds {full:,} numbers; A and B hold {100 * update / full:.1f} % of that."
why = "A is 192 × 8 and B is 8 × 768: rank × (in_dim + out_dim)"
reveal(numbers, update, because=why, measured=held)
# %% [markdown]
# So a side path is cheap. But what can so few numbers say?
#
# ## How does one update work?
# Look at rank 2, where $A$ has two columns and $B$ two rows:
# %%
A = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])  # (3 × 2)
B = torch.tensor([[10.0, 20.0], [0.0, 5.0]])  # (2 × 2)
for x in ([1.0, 0.0, 0.0], [0.0, 5.0, 0.0], [1.0, 1.0, 1.0]):
    x = torch.tensor([x])
    print(f"x = {x.tolist()[0]}   x A = {(x @ A).tolist()[0]}   x A B = {(x @ A @ B).tolist()[0]}")


# %% [markdown]
# **Takeaway:** each number in $x A$ says how much of one row of $B$ to add. So $A$'s $r$ columns are the directions that the update *reads*, and $B$'s $r$ rows those that it *writes*.
#
# **Exercise 1, fill in.** Write it as a class. `nn.Parameter` marks a tensor as something that learns, and `kaiming_uniform_` draws a random $A$. Three blanks are yours: the two sizes of $A$, a **zero** `self.B` (you will see why), and `forward`, which returns `alpha` times $x A B$.
# %% exercise="02.lora_layer"
class LoRALayer(nn.Module):
    """A trainable update: x (rows × in_dim) -> alpha * x A B (rows × out_dim)."""

    def __init__(self, in_dim, out_dim, rank, alpha):
        super().__init__()
        # <solution>
        A = torch.empty(in_dim, rank)
        # </solution>
        # <student>
        # A = torch.empty(...)  # your code: the two sizes of A
        # </student>
        # random numbers between −1/√rank and 1/√rank
        self.A = nn.Parameter(nn.init.kaiming_uniform_(A, a=math.sqrt(5)))
        # <solution>
        self.B = nn.Parameter(torch.zeros(rank, out_dim))
        # </solution>
        # <student>
        # self.B = ...  # your code
        # </student>
        self.alpha = alpha

    def forward(self, x):
        # <solution>
        return self.alpha * (x @ self.A @ self.B)
        # </solution>
        # <student>
        # return ...  # your code
        # </student>


layer_verdict = check("02.lora_layer", LoRALayer)
layer_verdict


# %% [markdown]
# <details><summary>Hint</summary>
# Read <code>x @ A @ B</code> from the left: x has <code>in_dim</code> columns, so A has <code>in_dim</code> rows, and <code>x @ A</code> has <code>rank</code> columns.
# </details>
# %% [markdown]
# Your class computes an update, but alone it adapts nothing.
#
# ## Where does it go?
# Beside an existing layer, whose weights stay as they are.
#
# **Exercise 2, own code.** Your second class keeps that layer and adds the update to its output. Freeze nothing here, because the whole model is frozen before it is wrapped; freezing afterwards would catch $A$ and $B$. Call the two parts `self.linear` and `self.lora`. The layer knows its sizes: `linear.in_features`, `linear.out_features`. Add `.to(linear.weight)` after `LoRALayer(…)`, so that it works on a GPU, too.
# %% exercise="02.linear_with_lora"
# <student>
# if not layer_verdict.passed:  # so that you can go on in any case
#     from lora_edu import LoRALayer
#
#
# </student>
class LinearWithLoRA(nn.Module):
    """A linear layer with its update beside it: x -> linear(x) + lora(x)."""

    def __init__(self, linear, rank, alpha):
        super().__init__()
        # <solution>
        self.linear = linear
        sizes = linear.in_features, linear.out_features
        self.lora = LoRALayer(*sizes, rank, alpha).to(linear.weight)
        # </solution>
        # <student>
        # ...  # your code
        # </student>

    def forward(self, x):
        # <solution>
        return self.linear(x) + self.lora(x)
        # </solution>
        # <student>
        # return ...  # your code
        # </student>


wrapper_verdict = check("02.linear_with_lora", LinearWithLoRA)
wrapper_verdict
# %% [markdown]
# <details><summary>Hint</summary>
# Make a <code>LoRALayer</code> from the layer's two sizes, the rank and alpha. <code>forward</code> adds their outputs.
# </details>
# %% [markdown]
# ### The whole thing in 15 lines
# That is all of LoRA: your two classes, for any `nn.Linear`.
# %% tags=["long"]
# @title LoRA in 15 lines: to run, and to unfold when you are done, or stuck
if not (layer_verdict.passed and wrapper_verdict.passed):

    class LoRALayer(nn.Module):
        def __init__(self, in_dim, out_dim, rank, alpha):
            super().__init__()
            self.A = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(in_dim, rank), a=5**0.5))
            self.B, self.alpha = nn.Parameter(torch.zeros(rank, out_dim)), alpha

        def forward(self, x):
            return self.alpha * (x @ self.A @ self.B)

    class LinearWithLoRA(nn.Module):
        def __init__(self, linear, rank, alpha):
            super().__init__()
            self.linear = linear
            sizes = linear.in_features, linear.out_features
            self.lora = LoRALayer(*sizes, rank, alpha).to(linear.weight)

        def forward(self, x):
            return self.linear(x) + self.lora(x)


# %%
torch.manual_seed(0)
x, y = torch.randn(32, 64), torch.randn(32, 48)
linear = nn.Linear(64, 48).requires_grad_(False)  # frozen
layer = LinearWithLoRA(linear, rank=4, alpha=2.0)
passed = layer_verdict.passed and wrapper_verdict.passed
print("the two classes are", "yours" if passed else "the course's, until yours pass")
print("largest difference from the bare layer:", (layer(x) - linear(x)).abs().max().item())
print("learns:", [name for name, p in layer.named_parameters() if p.requires_grad])
# %% [markdown]
# **Takeaway:** since $B$ is zero, the wrapped layer *is* the bare one at step 0, to the last bit.
#
# Once it is trained, you can add the update into $W$. In notebook 00's picture, you copy the pencil strokes in ink:
# %%
with torch.no_grad():
    layer.lora.B.normal_()  # as if trained
    update = layer.lora(torch.eye(linear.in_features))  # what each input alone adds: ΔW
    merged = linear.weight + update.T  # nn.Linear stores its weight transposed
    apart = (layer(x) - F.linear(x, merged, linear.bias)).abs().max()
    layer.lora.B.zero_()  # back to the start
print(f"largest difference from the merged layer: {apart:.3f}")
# %% [markdown]
# **What you just did:** you built LoRA, and merged an update. One thing is still strange: how can training begin, if the path adds nothing?
#
# ## Who moves first?
# Remember that $A$ is random, $B$ is zero and $W$ is frozen.
# %%
options = ["neither", "only A", "only B", "A and B"]
first = predict("Which of A and B get a gradient other than zero at step 0?", options)
first
# %%
F.mse_loss(layer(x), y).backward()
A_moves, B_moves = (f.grad.any().item() for f in (layer.lora.A, layer.lora.B))
found = options[A_moves + 2 * B_moves]
# %%
# @title The answer: run it when you have predicted
reveal(first, found, because="while B is 0, changing A changes nothing; changing B does")
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# Training starts from the base itself, and $B$ moves first; once it is no longer 0, $A$ follows.
#
# </details>
#
# ## Deeper: why this start and no other?
# We try all four starts, each matrix zero or random. Beside a frozen layer, `base`, LoRA must learn a hidden change of rank 4. It sees what the changed layer answers, with noise.
# %%
# @title A frozen layer, a hidden change of it, and what the changed layer answers
IN, OUT, NOISE = 64, 48, 0.1
torch.manual_seed(1)
base = nn.Linear(IN, OUT).requires_grad_(False)


def plant(strengths, seed=0):
    """A change of the layer, (IN × OUT): one direction for each strength."""
    generator = torch.Generator().manual_seed(seed)
    into = torch.linalg.qr(torch.randn(IN, len(strengths), generator=generator)).Q
    out = torch.linalg.qr(torch.randn(OUT, len(strengths), generator=generator)).Q
    return into * torch.tensor(strengths) @ out.T


def examples(change, seed, count=1024):
    """Inputs, and what the changed layer would answer, with noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, IN, generator=generator)
    return x, base(x) + x @ change + NOISE * torch.randn(count, OUT, generator=generator)


# %%
def train(layer, x, y, steps=150, rate=0.03):
    """Trains A and B, on all examples at once; returns the loss at each step."""
    optimizer = torch.optim.Adam(layer.lora.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)  # down to zero
    losses = []
    for _ in range(steps):
        loss = F.mse_loss(layer(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


# %%
STARTS = {  # what A and B, drawn at random, are multiplied by
    "A random, B zero": (1, 0),
    "A zero, B random": (0, 1),
    "both zero": (0, 0),
    "both random": (1, 1),
}
stuck = predict("One start never learns anything. Which?", list(STARTS))
stuck
# %%
task_x, task_y = examples(plant([1.0] * 4), seed=1)


def started(times_A, times_B, seed=0):
    """A wrapped layer whose A and B are drawn alike, within ±1/√4, then multiplied."""
    torch.manual_seed(seed)
    layer = LinearWithLoRA(base, rank=4, alpha=1.0)
    layer.lora.A.data *= times_A
    layer.lora.B.data = times_B * (torch.rand(4, OUT) - 0.5)
    return layer


curves = {name: train(started(*by), task_x, task_y) for name, by in STARTS.items()}
never = [name for name, losses in curves.items() if losses[0] == losses[-1]]
small = train(started(0.1, 0.1), task_x, task_y)  # both random, a tenth as large
# %%
# @title The answer: run it when you have predicted
worse = curves["both random"][0] / curves["both zero"][0]
chart = line_chart(
    [Line(name, range(150), losses, points=False) for name, losses in curves.items()],
    title=f"{never[0].capitalize()} never moves; both random starts at {worse:.0f} times that loss",
    x_label="training step",
    y_label="loss (mean squared error), log scale",
    y_log10=True,
)
drawn = picture(
    chart,
    "Four loss curves over 150 steps, log scale. Both zero stays flat. The two with one zero "
    "matrix start at the same loss and end at the same; A zero falls later. Both random starts "
    "far above.",
)
at = {name: [losses[step] for step in (0, 20, -1)] for name, losses in curves.items()}
at["both random, a tenth as large"] = [small[step] for step in (0, 20, -1)]
losses = [[name, *(f"{loss:.3f}" for loss in three)] for name, three in at.items()]
measured = [drawn, table(["loss", "at step 0", "at step 20", "at the end"], losses)]
why = "moving one changes nothing while the other is 0"
reveal(stuck, never[0], because=why, measured=measured)
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# Exactly one zero is the simple recipe. With two zeros nothing ever moves. With none, step 0 is not the base: at full size training must repair that first, while a tenth as large did no harm.
#
# Which of the two is zero hardly matters here. In large models $B = 0$ ends better on average (Hayou et al. 2024).
#
# </details>
#
# ## Deeper: what are the two gradients?
# Let $x$ be a batch, one example per row, $L$ its loss, and $G$ the gradient of $L$ at the layer's output. By the chain rule, full fine-tuning would give $W$ the gradient $H = x^\top G$, shaped like $W$. $A$ and $B$ each see a part of it:
#
# $$\frac{\partial L}{\partial A} = \alpha \, H B^\top \qquad\qquad \frac{\partial L}{\partial B} = \alpha \, A^\top H$$
#
# So each gradient is the full one times the *other* matrix, and a zero $B$ stops $A$.
# %%
both = started(1, 1)
F.mse_loss(both(task_x), task_y).backward()
A, B, alpha = both.lora.A, both.lora.B, both.lora.alpha
with torch.no_grad():
    G = 2 * (both(task_x) - task_y) / task_y.numel()  # the loss is the mean of all squares
    H = task_x.T @ G
    formulas = {"A": alpha * H @ B.T, "B": alpha * A.T @ H}
for name, autograd in (("A", A.grad), ("B", B.grad)):
    off = (formulas[name] - autograd).norm()
    print(f"{name}: a gradient of norm {autograd.norm():.3f}, and the formula is off by {off:.3f}")
# %% [markdown]
# **Exercise 3.** Now the other start: $A$ is zero, $B$ is random. Which get a gradient other than zero at step 0?
# %% exercise="02.gradient_at_start"
# <solution>
has_gradient = {"W": False, "A": True, "B": False}
# </solution>
# <student>
# has_gradient = {"W": ..., "A": ..., "B": ...}  # True or False
# </student>
check("02.gradient_at_start", has_gradient)


# %% [markdown]
# <details><summary>Hint</summary>
# W is frozen. For the others, look for a factor of zero in the two formulas.
# </details>
#
# ## Deeper: how do we get rid of the side path?
# The side path costs two extra products per call. *Merge* the update into the weight after training, and it is free.
#
# $$x W + \alpha\, x A B = x \, (W + \alpha A B)$$
#
# **Exercise 4.** Return a new tensor shaped like `linear.weight`. You have `linear.weight`, `lora.A`, `lora.B` and `lora.alpha`. `nn.Linear` stores its weight transposed, as (out_dim × in_dim).
# %% exercise="02.merge"
def merged_weight(linear, lora):
    """The weight of a plain linear layer that does what linear and lora do together."""
    # <solution>
    return linear.weight + lora.alpha * (lora.A @ lora.B).T
    # </solution>
    # <student>
    # return ...  # your code
    # </student>


check("02.merge", merged_weight)
# %% [markdown]
# <details><summary>Hint</summary>
# One transpose, <code>.T</code>, makes A @ B fit.
# </details>
# %%
drawing("merge")
# %% [markdown]
# The course's class has `merge()`, and `unmerge()`, which puts back the kept $W$. Does your class learn like the course's?
# %%
mine, theirs = started(1, 0), lora_edu.LinearWithLoRA(base, rank=4, alpha=1.0)
theirs.lora.load_state_dict(mine.lora.state_dict())  # the same start
for student in (mine, theirs):
    train(student, task_x, task_y, steps=20)  # the rate now falls to zero within 20
torch.testing.assert_close(mine(task_x), theirs(task_x), rtol=1e-3, atol=1e-3)


def loss_of(student):
    return F.mse_loss(student(task_x), task_y).item()


own = "yours" if layer_verdict.passed and wrapper_verdict.passed else "not yours yet"
both_losses = f"{loss_of(mine):.3f} ({own}), {loss_of(theirs):.3f} (the course's)"
print(f"loss after 20 steps, in which the rate falls to zero: {both_losses}")
W = base.weight.clone()
theirs.merge()
print(f"merged: {loss_of(theirs):.3f}")
theirs.unmerge()
print("unmerged: the weights differ by", (base.weight - W).abs().max().item())
# %% [markdown]
# ## Deeper: which rank does a task need?
# $A B$ has at most rank $r$, because everything passes through $r$ numbers. So too small a rank should show in the loss. We hide a change of rank 6 in the layer. *Students* of rank 1 to 32 learn it from examples, and are measured on new ones.
# %%
RANKS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32)


def sweep(change, seed=0):
    """Fits a student of each rank; returns its loss on new examples, by rank."""
    x, y = examples(change, seed + 10)
    new_x, new_y = examples(change, seed + 20)
    losses = {}
    for rank in RANKS:
        torch.manual_seed(seed)
        layer = LinearWithLoRA(base, rank, alpha=1.0)
        train(layer, x, y)
        losses[rank] = F.mse_loss(layer(new_x), new_y).item()
    return losses


# %%
# @title Three seeds, beside the best that any matrix of that rank can do
planted = plant([1.0] * 6)
sweeps = [sweep(planted, seed) for seed in (0, 1, 2)]
by_rank = [[losses[rank] for losses in sweeps] for rank in RANKS]
strengths = lora_edu.singular_values(planted)
best = [NOISE**2 + (strengths[rank:] ** 2).sum().item() / OUT for rank in RANKS]
mean, low, high = ([of(each) for each in by_rank] for of in (lambda e: sum(e) / 3, min, max))
elbow = next(rank for rank, loss in zip(RANKS, mean, strict=True) if loss < 1.5 * min(mean))
names = "line: best possible, on average", "squares: students, 3 seeds"
lines = [Line(names[0], RANKS, best, points=False), Line(names[1], RANKS, mean, low, high)]
chart = line_chart(
    lines,
    title=f"A change of rank 6 was planted; the loss stops falling at rank {elbow}",
    x_label="rank of the student; equal steps double it",
    y_label="loss on new examples (mean squared error)",
    x_log2=True,
    beside={names[0]: (1, 14, 10), names[1]: (2, 14, 10)},
)
show(chart, f"Loss against rank: it falls to rank {elbow} and is flat from there to rank 32.")


# %% [markdown]
# **Takeaway:** each missing direction adds the same to the loss, because all six are equally strong. From the planted rank on, more rank buys nothing. The bend is called the *elbow*.
#
# %% [markdown]
# **Exercise 5, own code.** Find the elbow in a dictionary of rank and loss, as `sweep` returns it. Beyond the elbow losses still differ by a few per cent, by chance, and the lowest may be among them. You choose how close is enough: say, at most 1.5 times the lowest.
# %% exercise="02.elbow"
def find_rank(losses):
    """The smallest rank whose loss is about as low as the lowest."""
    # <solution>
    lowest = min(losses.values())
    return min(rank for rank, loss in losses.items() if loss < 1.5 * lowest)
    # </solution>
    # <student>
    # ...  # your code
    # </student>


elbow_verdict = check("02.elbow", find_rank)
elbow_verdict
# %% [markdown]
# <details><summary>Hint</summary>
# Find the lowest loss, then the smallest rank whose loss is at most one and a half times as large.
# </details>
# %% [markdown]
# Now a rank that nobody has told you.
# %%
# @title Trains students of each rank on such a change, and draws their losses
hidden_rank = torch.randint(2, 9, (), generator=torch.Generator().manual_seed(2026)).item()
mystery_losses = sweep(plant([1.0] * hidden_rank, seed=7))
chart = line_chart(
    [Line("students of one seed", RANKS, list(mystery_losses.values()))],
    title="Which rank was planted?",
    x_label="rank of the student",
    y_label="loss on new examples (mean squared error)",
    x_log2=True,
)
chart.axes[0].set_xticks(RANKS)  # to read the elbow off
show(chart, "Loss of one seed's students against rank: it falls steeply, then stays flat.")
# %%
read_off = predict("At which rank is the elbow of this curve?")
read_off
# %%
# @title The answer: run it when you have predicted
by_rule = find_rank(mystery_losses) if elbow_verdict.passed else "not passed yet"
why = "that many directions were planted"
reveal(read_off, hidden_rank, because=why, measured=f"By find_rank: {by_rule}.")


# %% [markdown]
# Does an elbow always tell how many directions there are? Here are two other changes of the same energy.
# %%
def planted_like(strengths):
    """A change with these strengths, as large in all as six of strength 1."""
    total = math.sqrt(sum(s * s for s in strengths))
    return plant([s * math.sqrt(6) / total for s in strengths])


controls = {
    "6 equal": sweeps[0],
    "6, each half the one before": sweep(planted_like([0.5**i for i in range(6)])),
    "all 48 equal": sweep(planted_like([1.0] * OUT)),
}


# %%
# @title Draw the three curves
untouched = NOISE**2 + 6 / OUT  # the loss without any update
shares = {n: (untouched - loss[4]) / (untouched - NOISE**2) for n, loss in controls.items()}
labels = {name: f"{name}: {100 * share:.0f} % at rank 4" for name, share in shares.items()}
low, high = (f"{100 * share:.0f}" for share in (min(shares.values()), max(shares.values())))
chart = line_chart(
    [Line(labels[name], RANKS, list(losses.values())) for name, losses in controls.items()],
    title=f"Rank 4 brings {low} to {high} % of the possible gain",
    x_label="rank of the student",
    y_label="mean squared error on new examples",
    x_log2=True,
)
show(
    chart,
    "Three curves of loss against rank. Six equal directions: steep down to rank 6, then flat. "
    "Halving directions: steep to rank 3, nearly flat from there. All 48 equal: a slow "
    "fall that has not ended at rank 32.",
)


# %%
# @title What the rule says
def first_low(losses):
    """The rule of the hint."""
    return min(rank for rank, loss in losses.items() if loss < 1.5 * min(losses.values()))


for name, losses in controls.items():
    yours = f", yours {find_rank(losses)}" if elbow_verdict.passed else ""
    print(f"{name}: the hint's rule, 1.5 times the lowest, says {first_low(losses)}{yours}")
# %% [markdown]
# **Takeaway:** an elbow counts only the directions strong enough to show. The second curve bends early, because its last ones are weak. LoRA bets that a task needs few directions. But the third curve falls up to the last rank tried, so the rule's 24 means nothing: the bet is lost. Another rule moves the last two answers, but not the sharp elbow at 6.
#
# ## Three sentences to remember
# 1. LoRA adds $\alpha \, x A B$ to a frozen layer's output; training never changes $W$.
# 2. $A$ starts random and $B$ at zero, so training starts exactly at the base, and $B$ moves first.
# 3. The rank caps how many directions an update has. ◇ A rank clearly too small shows in the loss.
#
# ## Five questions
# 1. ◇ Why would an update with $A$ and $B$ both zero never learn?
# 2. Where is the pretrained $W$ while LoRA trains?
# 3. In which order do you freeze and wrap, and why?
# 4. ◇ What does merging save, and when?
# 5. ◇ The loss stops falling at rank 6. What does that tell you?
#
# <details><summary>Answers</summary>
# (1) Each gradient contains the other matrix, so both stay zero. (2) Whole and frozen, inside the wrapper. (3) Freeze first, or A and B are frozen, too. (4) Two products per call, once training is over. (5) About six directions are strong enough to show.
# </details>
#
# ## Where next
# [LoRA in a small GPT](03_lora_in_a_gpt.ipynb) puts such layers into a whole model.
#
# ## Further reading
# - Hu et al. 2021, [LoRA: Low-Rank Adaptation of Large Language Models](https://arxiv.org/abs/2106.09685), section 4.1
# - Raschka 2024, *Build a Large Language Model (From Scratch)*, appendix E
# - Hayou, Ghosh and Yu 2024, [The Impact of Initialization on LoRA Finetuning Dynamics](https://arxiv.org/abs/2406.08447)
