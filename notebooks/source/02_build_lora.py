# %% [markdown]
# # Build `LoRALayer` and `LinearWithLoRA`
#
# You write LoRA yourself, in two classes of a few lines each, and then use them to find out how many directions a hidden change of a layer has.
#
# **You will be able to**
# - write `LoRALayer` and `LinearWithLoRA`, and say what each line is for
# - explain why one factor starts at zero, and which matrix gets a gradient first
# - tell apart three scalings and two initialisations that are common, and translate between the scalings
# - merge an update into a layer by hand, and take it out again exactly
# - show that an update has at most rank $r$, and predict from which rank on a task is learnt
#
# **You need** basic PyTorch: `nn.Module`, `nn.Parameter`, `backward`. LoRA is explained from the start. Notebook 01 (what rank means) helps, but is not needed.
#
# **Time:** 90 minutes to read and do; running all cells takes about 25 seconds on a CPU with two cores (estimate for a GPU: the same, the matrices here are too small to need one).
# %% bootstrap
# %% [markdown]
# ## The idea
# A linear layer computes $y = x W + b$. Fine-tuning changes the matrix: $W$ becomes $W + \Delta W$, and $\Delta W$ holds as many numbers as $W$.
#
# LoRA leaves $W$ alone. It *bets* that a useful change can be written with few numbers, as the product of a tall thin matrix and a short wide one:
#
# $$y = x W + b + \text{multiplier} \cdot x A B$$
#
# The multiplier is a fixed number that you choose; in the first half of this notebook it is simply called `alpha`. With `in_dim` inputs and `out_dim` outputs, $A$ is (in_dim × rank) and $B$ is (rank × out_dim). The width inside, the **rank**, is yours to choose. $W$ is frozen; only $A$ and $B$ learn.
#
# (`nn.Linear` stores its weight transposed, as (out_dim × in_dim). Where we compare it with $A B$ or add the two, one of them needs a `.T`.)
#
# One layer of the small GPT of this course turns 192 numbers into 768. In this course you predict first: enter your guess, then run the next cell. Nothing is graded; `check` marks the exercises, and full solutions are in `solutions/02_build_lora.ipynb`.
# %%
import math

import torch
from torch import nn
from torch.nn import functional as F

import lora_edu
from lora_edu.exercises import check
from lora_edu.plots import Line, line_chart, show
from lora_edu.widgets import predict, reveal

numbers = predict("How many numbers do A and B hold together, from 192 to 768 at rank 8?")
numbers
# %%
full, update = 192 * 768, 192 * 8 + 8 * 768
print(f"W holds {full:,} numbers; A and B hold {update:,}, which is {update / full:.1%} of that")
reveal(numbers, update, because="A is 192 × 8 and B is 8 × 768: rank × (in_dim + out_dim)")
# %% [markdown]
# This is what you are going to build. Grey is frozen and blue is LoRA, in every picture of the course.
# %%
from lora_edu.plots import drawing

drawing("side_path")
# %% [markdown]
# ## Worked example: rank 1
# The smallest update has rank 1. Then $A$ is one column and $B$ is one row. `x @ A` is a single number: how much of the direction $A$ is in $x$. The output is that number times the row $B$.
# %%
A = torch.tensor([[1.0], [0.0], [2.0]])  # (3 × 1)
B = torch.tensor([[10.0, 20.0]])  # (1 × 2)
for x in ([1.0, 0.0, 0.0], [0.0, 5.0, 0.0], [1.0, 1.0, 1.0]):
    x = torch.tensor([x])
    print(f"x = {x.tolist()[0]}   x A = {(x @ A).item():.0f}   x A B = {(x @ A @ B).tolist()[0]}")
# %% [markdown]
# **Takeaway:** whatever comes in, a multiple of $B$ comes out. One direction is read, one direction is written. At rank $r$ there are $r$ such pairs.
#
# The second input gave zero: $A$ does not look in its direction. An update can only react to what $A$ reads.
#
# ## Exercise 1: `LoRALayer`
# Now the class. Two things are given: `nn.init.kaiming_uniform_` fills a matrix with random numbers (how large they are, see "Two initialisations" below), and `nn.Parameter` marks a tensor as something that learns. Fill in the three blanks:
#
# - `self.A` is random, made from a matrix of the right shape
# - `self.B` is **zero**, of the right shape
# - `forward` returns `alpha` times $x A B$. The number `alpha` is the update's strength.
# %% exercise="02.lora_layer"
class LoRALayer(nn.Module):
    """A trainable update: x -> alpha * x A B."""

    def __init__(self, in_dim, out_dim, rank, alpha):
        super().__init__()
        # <solution>
        A = torch.empty(in_dim, rank)
        # </solution>
        # <student>
        # A = torch.empty(...)  # your code: the two sizes of A
        # </student>
        nn.init.kaiming_uniform_(A, a=math.sqrt(5))
        self.A = nn.Parameter(A)
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
# Read <code>x @ A @ B</code> from the left: x has <code>in_dim</code> columns, so A has <code>in_dim</code> rows. What comes out of <code>x @ A</code> has <code>rank</code> columns. <code>torch.zeros</code> takes sizes like <code>torch.empty</code> does.
# </details>
# %% [markdown]
# So that you can read on in any case: until your class passes, the cells below use the course's version.
# %%
if not layer_verdict.passed:
    from lora_edu import LoRALayer
# %% [markdown]
# ## Exercise 2: `LinearWithLoRA`
# The second class puts an update beside an existing layer. It takes the layer as it is, pretrained weights and all, and adds the update to its output. This time write the body yourself.
#
# Keep the two parts as `self.linear` and `self.lora`. An `nn.Linear` knows its sizes: `linear.in_features` and `linear.out_features`.
# %% exercise="02.linear_with_lora"
class LinearWithLoRA(nn.Module):
    """A linear layer with its update beside it: x -> linear(x) + lora(x)."""

    def __init__(self, linear, rank, alpha):
        super().__init__()
        # <solution>
        self.linear = linear
        self.lora = LoRALayer(linear.in_features, linear.out_features, rank, alpha)
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
# Three lines in all. <code>self.linear = linear</code> keeps the layer you are given. The second line makes a <code>LoRALayer</code> from the layer's two sizes, the rank and alpha. <code>forward</code> adds the outputs of the two.
# </details>
# %%
if not wrapper_verdict.passed:
    from lora_edu import LinearWithLoRA

torch.manual_seed(0)
linear = nn.Linear(64, 48)
layer = LinearWithLoRA(linear, rank=4, alpha=1.0)
x = torch.randn(5, 64)
print("wrapped and bare layer agree bit for bit:", lora_edu.same_bits(layer(x), linear(x)))
# %% [markdown]
# **Takeaway:** since $B$ is zero, the wrapped layer *is* the base at step 0, to the last bit. Training starts from the pretrained model, not from somewhere near it.
#
# Your class does *not* freeze $W$: it takes the layer as it is. Whoever wraps a layer freezes it first, and forgetting that is the most usual bug with LoRA.
# %%
for frozen in (False, True):
    layer = LinearWithLoRA(nn.Linear(64, 48).requires_grad_(not frozen), rank=4, alpha=1.0)
    learns = [name for name, parameter in layer.named_parameters() if parameter.requires_grad]
    print("frozen first:", frozen, "| learns:", ", ".join(learns))
# %% [markdown]
# Freeze *before* wrapping: called on the wrapped layer, `requires_grad_(False)` would freeze $A$ and $B$ as well.
#
# A frequent mistake about LoRA: "$W$ is replaced by a product of thin matrices". It is not. $W$ is still there, whole; the cell below compares its rank with the update's. What is thin is the *change*. And the change is never computed first and then factorised: $A$ and $B$ are learnt directly.
# %%
with torch.no_grad():
    layer.lora.B.normal_()  # as if it had learnt something
    delta = layer.lora.A @ layer.lora.B
print("rank of W:       ", torch.linalg.matrix_rank(layer.linear.weight).item())
print("rank of A @ B:   ", torch.linalg.matrix_rank(delta).item())
print("shapes:          ", tuple(layer.linear.weight.T.shape), tuple(delta.shape))
# %% [markdown]
# ## Who moves first
# $A$ is random and $B$ is zero. Think about the first backward pass, before any step has been taken. $W$ is frozen.
# %%
options = ["A and B", "only A", "only B", "neither"]
first = predict("Which of A and B get a gradient other than zero at step 0?", options)
first
# %%
torch.manual_seed(0)
linear = nn.Linear(64, 48).requires_grad_(False)  # frozen
layer = LinearWithLoRA(linear, rank=4, alpha=2.0)
x, y = torch.randn(32, 64), torch.randn(32, 48)
F.mse_loss(layer(x), y).backward()
moves = {"A": layer.lora.A.grad.any().item(), "B": layer.lora.B.grad.any().item()}
print("gradient other than zero:", moves, "   W has a gradient:", linear.weight.grad is not None)
found = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}
why = "each factor's gradient contains the other factor, and B is zero"
reveal(first, options[found[moves["A"], moves["B"]]], because=why)
# %% [markdown]
# Let $G$ be the gradient of the loss with respect to the layer's output; $x$ has one example per row. For a product $Y = U V$ the chain rule gives $G V^\top$ as the gradient of $U$, and $U^\top G$ as that of $V$. Used twice on $\alpha \, (x A) B$:
#
# $$\frac{\partial L}{\partial A} = \alpha \, x^\top G \, B^\top \qquad\qquad \frac{\partial L}{\partial B} = \alpha \, (x A)^\top G$$
#
# The first contains $B$, so it is zero. The second contains $A$, so it is not. After one step $B$ is no longer zero, and from then on both learn.
# %%
with torch.no_grad():
    layer.lora.B -= 0.1 * layer.lora.B.grad  # one step
layer.zero_grad()
F.mse_loss(layer(x), y).backward()
print("after one step, A has a gradient:", layer.lora.A.grad.any().item())
# %%
A, B, alpha = layer.lora.A, layer.lora.B, layer.lora.alpha
with torch.no_grad():
    G = 2 * (layer(x) - y) / y.numel()  # the loss is the mean of all squares
    torch.testing.assert_close(A.grad, alpha * x.T @ G @ B.T)
    torch.testing.assert_close(B.grad, alpha * (x @ A).T @ G)
print("both formulas give what autograd gives")
# %% [markdown]
# **Exercise 3.** Now the other start: $A$ is zero and $B$ is random, $W$ is frozen as before. Which of the three get a gradient other than zero at step 0? Replace the dots by `True` or `False`.
# %% exercise="02.gradient_at_start"
# <solution>
has_gradient = {"W": False, "A": True, "B": False}
# </solution>
# <student>
# has_gradient = {"W": ..., "A": ..., "B": ...}
# </student>
check("02.gradient_at_start", has_gradient)
# %% [markdown]
# <details><summary>Hint</summary>
# W is frozen. For the others, look for a factor of zero in the two formulas.
# </details>
#
# ## Why not another start?
# There are four ways to start: each of $A$ and $B$ random or zero. Let us try all of them on a small task: a frozen layer, and targets that need a change of rank 4 (with a little noise).
#
# These three small functions do all the training in this notebook.
# %%
IN, OUT, NOISE = 64, 48, 0.1
torch.manual_seed(1)
base = nn.Linear(IN, OUT).requires_grad_(False)  # the frozen layer; nobody changes it


def plant(strengths, seed=0):
    """A change of the layer, (IN × OUT): one direction for each strength."""
    generator = torch.Generator().manual_seed(seed)
    into = torch.linalg.qr(torch.randn(IN, len(strengths), generator=generator)).Q
    out = torch.linalg.qr(torch.randn(OUT, len(strengths), generator=generator)).Q
    return into * torch.tensor(strengths) @ out.T


def examples(change, seed, noise=NOISE, count=1024):
    """Inputs, and what the changed layer would answer, with noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, IN, generator=generator)
    y = base(x) + x @ change
    return x, y + noise * torch.randn(count, OUT, generator=generator)
# %%
def train(model, x, y, steps=150, learning_rate=0.03):
    """Fits what may learn, with Adam on all examples at once; returns the loss at each step."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)  # down to zero
    losses = []
    for _ in range(steps):
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses
# %%
starts = ["A random, B zero", "A zero, B random", "both zero", "both random"]
stuck = predict("One start never learns anything. Which?", starts)
stuck
# %%
x, y = examples(plant([1.0] * 4), seed=1)
curves = {}
for start in starts:
    torch.manual_seed(0)
    layer = LinearWithLoRA(base, rank=4, alpha=1.0)
    random_A = layer.lora.A.detach().clone()
    random_B = torch.rand(4, OUT) - 0.5  # as large as A: within ±1/2
    with torch.no_grad():
        layer.lora.A.copy_(random_A * (start in (starts[0], starts[3])))
        layer.lora.B.copy_(random_B * (start in (starts[1], starts[3])))
    curves[start] = train(layer, x, y)
base_loss = F.mse_loss(base(x), y).item()
never = [start for start in starts if curves[start][-1] == curves[start][0]]
print("never moved:", never)
print("starts at the base:", [s for s in starts if math.isclose(curves[s][0], base_loss)])
reveal(stuck, never[0], because="each gradient contains the other factor, and both are zero")
# %%
worse = curves["both random"][0] / base_loss
chart = line_chart(
    [Line(start, range(40), curves[start][:40], points=False) for start in starts],
    title=f"{never[0].capitalize()} never moves; both random starts {worse:.0f} times worse",
    x_label="training step",
    y_label="loss (mean squared error), log scale",
    y_log10=True,
)
alt = (
    "Four loss curves over 40 steps, log scale. Both zero stays flat. The two with one zero "
    "matrix start at the same loss and fall. Both random starts far above them and falls."
)
show(chart, alt)
# %% [markdown]
# **Takeaway:** of these four starts, two start at the base *and* learn. What is needed: the product $A B$ is zero, so that step 0 is the base, and not both factors are. One zero matrix is the simplest way. Both zero: nothing ever moves. Both random: step 0 is not the base, so training first repairs the damage it began with.
#
# Here one layer is disturbed, and training first has to get back to where the others began. Even there it stays behind: Adam divides each step by the size of the gradients that it has seen, and the first ones were large. In a pretrained model every wrapped layer would be disturbed at once.
#
# **Modify:** does it matter which of the two is zero? The gap between the first two curves is one seed's. Change `torch.manual_seed(0)` in the cell to 1, 2 and 3, and see whether it stays. (Either zero starts at the base; $B = 0$ is the paper's choice, and this course's.) Then multiply `random_B` by 10, predict which curves change, and run the two cells again.
#
# <details><summary>What to look for</summary>
# Which zero start is ahead changes with the seed: neither is better. With the larger B two curves change. "A zero, B random" still starts at the base, but one step of A is now multiplied by a B ten times as large, so it overshoots at once, and Adam remembers those gradients: it is hardly below the base after 150 steps. "Both random" starts far higher still. A start at the base does not make every learning rate safe.
# </details>
#
# ## At most rank $r$
# A product of a (64 × r) and an (r × 48) matrix has at most rank $r$, whatever numbers stand in it. The **singular values** of a matrix are the strengths of its independent directions, and the rank is how many of them are not zero.
#
# $A$ and $B$ below are filled at random. The full matrix could have 48 directions.
# %%
count = predict("A is 64 × 4, B is 4 × 48, all random. How many singular values are not zero?")
count
# %%
def strengths_of_update(rank, alpha=1.0):
    """The strengths of alpha * A B, for a random A and B; largest first."""
    torch.manual_seed(0)
    lora = LoRALayer(IN, OUT, rank, alpha)
    with torch.no_grad():
        lora.B.normal_()
    return lora_edu.singular_values((alpha * lora.A @ lora.B).detach())


def number_not_zero(values):
    return int((values > 1e-5 * values[0]).sum())  # what is below is rounding

# %%
values = {f"A B, rank {rank}": strengths_of_update(rank) for rank in (1, 4, 16)}
values["W"] = lora_edu.singular_values(base.weight)
for name, strengths in values.items():
    print(f"{name:13} {number_not_zero(strengths)} of {len(strengths)} are not zero")
reveal(count, number_not_zero(values["A B, rank 4"]), because="all goes through 4 numbers, x A")
# %%
counts = [number_not_zero(values[f"A B, rank {rank}"]) for rank in (1, 4, 16)]
chart = line_chart(
    [
        Line(name, range(1, 49), (strengths / strengths[0]).clamp(min=1e-9))
        for name, strengths in values.items()
    ],
    title=f"Rank 1, 4 and 16 leave {counts[0]}, {counts[1]} and {counts[2]} directions; W has all",
    x_label="number of the singular value, largest first",
    y_label="strength, relative to the largest",
    y_log10=True,
)
alt = (
    "Singular values on a logarithmic scale. W falls slowly over all 48. Each product falls off "
    "a cliff after its rank, down to rounding errors."
)
show(chart, alt)
# %% [markdown]
# **Takeaway:** the cliff stands at $r$ because of the shapes, before any training. What lies below it is rounding.
#
# ## A bigger alpha is not a bigger rank
# Two numbers are yours to set. It is tempting to think of both as "more LoRA".
# %%
effect = ["more directions", "the same directions, each stronger", "both"]
question = "The same A and B, the same rank, twice the alpha: what does the update get?"
alpha_effect = predict(question, effect)
alpha_effect
# %%
plain, double_alpha, double_rank = (
    strengths_of_update(rank, alpha) for rank, alpha in ((4, 1.0), (4, 2.0), (8, 1.0))
)
print("twice the alpha: ", number_not_zero(double_alpha), "directions")
print("twice the rank:  ", number_not_zero(double_rank), "directions")
twice = torch.allclose(double_alpha[:4], 2 * plain[:4], rtol=1e-4)
print("twice the alpha doubles each strength:", twice)
more = number_not_zero(double_alpha) > number_not_zero(plain)
shown = effect[2] if more and twice else effect[0] if more else effect[1]
reveal(alpha_effect, shown, because="alpha is one factor in front of the whole product")
# %%
chart = line_chart(
    [
        Line("rank 4, alpha 1", range(1, 11), plain[:10]),
        Line("rank 4, alpha 2", range(1, 11), double_alpha[:10]),
        Line("rank 8, alpha 1", range(1, 11), double_rank[:10]),
    ],
    title=f"Alpha × 2: twice as strong. Rank × 2: {number_not_zero(double_rank)} directions",
    x_label="number of the singular value, largest first",
    y_label="strength",
)
alt = (
    "Singular values of three updates. Alpha 2 lies twice as high as alpha 1 and both end after "
    "the fourth. Rank 8 goes on to the eighth."
)
show(chart, alt)
# %% [markdown]
# Rank 8 lies below rank 4 at first: each of its directions is weaker, since $A$ is drawn within ±1/√rank. See "Two initialisations" below.
#
# So much for given $A$ and $B$. But they learn. Does twice the alpha still give twice the update after training?
# %%
task_x, task_y = examples(plant([1.0] * 4), seed=1)
trained = []
for alpha in (1.0, 2.0):
    torch.manual_seed(0)
    layer = LinearWithLoRA(base, rank=4, alpha=alpha)
    train(layer, task_x, task_y)
    trained.append((alpha * layer.lora.A @ layer.lora.B).detach())
ratio = (trained[1].norm() / trained[0].norm()).item()
print("after training, the two updates differ in size by less than 2 %:", abs(ratio - 1) < 0.02)
# %% [markdown]
# **Takeaway:** rank caps how many directions there are; alpha scales what $A$ and $B$ hold. A bigger alpha is not a bigger rank. Once $A$ and $B$ learn, they make up for it: alpha changes how far each step carries, not where this training ends. With Adam, tuning alpha is roughly tuning the learning rate, if the initialisation is scaled to match (Hu et al., section 4.1).
#
# ## Three scalings
# So far the product was multiplied by `alpha` itself. This follows the book whose interface the course uses (see Further reading); below it is called *the reference*. Others divide. Three conventions are in use, and all call the number you pass "alpha":
#
# | `scaling=` | multiplier | who |
# |---|---|---|
# | `"alpha"` | alpha | the reference of this course |
# | `"alpha/rank"` | alpha / rank | the LoRA paper; PEFT, the usual library |
# | `"alpha/sqrt(rank)"` | alpha / √rank | rsLoRA; PEFT with `use_rslora=True` |
#
# "Rank 16, alpha 16" therefore means three different things. This is a common confusion about LoRA in practice: a setting is copied from one code base to another, and the first steps are many times too large or too small.
#
# **Exercise 4.** Write the rule. The first case is done for you. `math.sqrt` takes the root.
# %% exercise="02.scaling"
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


check("02.scaling", scale)
# %% [markdown]
# <details><summary>Hint</summary>
# The names say it: one divides alpha by the rank, the other divides alpha by the square root of the rank. Nothing is multiplied.
# </details>
# %%
ranks = [1, 2, 4, 8, 16, 32, 64]
multiplier = {
    name: [lora_edu.scaling_factor(16, rank, name) for rank in ranks] for name in lora_edu.SCALINGS
}
# %%
at_16 = ", ".join(f"{multiplier[name][4]:g}" for name in lora_edu.SCALINGS)
chart = line_chart(
    [Line(name, ranks, multiplier[name]) for name in multiplier],
    title=f"Rank 16, alpha 16 multiplies by {at_16}: three conventions",
    x_label="rank",
    y_label="multiplier at alpha 16",
    x_log2=True,
    y_log2=True,
)
alt = (
    "Multiplier against rank for alpha 16, both logarithmic. Three straight lines from one point: "
    "alpha is flat, alpha over root of rank falls, alpha over rank falls twice as steeply."
)
show(chart, alt)
print(f"rank 16, alpha 16: {at_16}")
# %% [markdown]
# **Takeaway:** before you compare two LoRA runs, compute the multiplier of each. Alpha alone says nothing.
#
# **Exercise 5.** A colleague trained with PEFT's default at rank 8 and `lora_alpha=16`. Which `alpha` do you pass to *your* `LoRALayer`, at the same rank, to get the same multiplier?
# %% exercise="02.translate"
# <solution>
my_alpha = 16 / 8
# </solution>
# <student>
# my_alpha = ...  # a number
# </student>
check("02.translate", my_alpha)
# %% [markdown]
# <details><summary>Hint</summary>
# First PEFT's multiplier: it divides lora_alpha by the rank. Your class multiplies by alpha and nothing else.
# </details>
#
# ## Two initialisations
# There is a second trap of this kind, and it is easier to miss. `nn.init.kaiming_uniform_(A, a=math.sqrt(5))` draws uniformly within ±1/√fan_in, where fan_in is the number of inputs that PyTorch assumes. (That √5 is what makes the bound so simple.) It takes `fan_in` from the *second* dimension of the matrix.
#
# - Ours stores $A$ as (in_dim × rank), so the bound is $1/\sqrt{\text{rank}}$.
# - PEFT and the paper's code store it transposed, (rank × in_dim), so the same call gives $1/\sqrt{\text{in\_dim}}$. (The paper's text says Gaussian; its code calls this function.) For $x \to x A$ the inputs are in_dim, so this is Kaiming's rule as meant; ours follows the book's code.
#
# Here are both at GPT-2's width. The course's class has `init="reference"` and `init="peft"`.
# %%
torch.manual_seed(0)
WIDTH, RANK = 768, 16
largest = {
    init: lora_edu.LoRALayer(WIDTH, WIDTH, RANK, 16, init=init).A.abs().max().item()
    for init in lora_edu.INITS
}
for init, bound in zip(largest, (1 / math.sqrt(RANK), 1 / math.sqrt(WIDTH)), strict=True):
    print(f"{init:10} largest entry of A {largest[init]:.3f}, bound {bound:.3f}")
print(f"A is 1/{largest['reference'] / largest['peft']:.1f} as large in PEFT's form")
# %% [markdown]
# Scaling and initialisation work together. "Rank 16, alpha 16, the same learning rate" in the reference's form multiplies by 16 and draws a large $A$; in PEFT's form it multiplies by 1 and draws a small one.
#
# Adam's first step moves every entry of $B$ by the learning rate, however large its gradient is (as long as it is far above Adam's ε). So $B$ is equally large in both, and the update is proportional to multiplier × $A$.
# %%
guess = predict("After one step of Adam: how many times larger is the reference's update?")
guess
# %%
def growth(scaling, init, steps=20):
    """Size of the update beside W after each step, at rank 16, alpha 16, learning rate 0.001."""
    torch.manual_seed(0)
    linear = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
    x, y = torch.randn(64, WIDTH), torch.randn(64, WIDTH)
    layer = lora_edu.LinearWithLoRA(linear, RANK, 16, scaling=scaling, init=init)
    optimizer = torch.optim.Adam(layer.lora.parameters(), lr=0.001)
    sizes = []
    for _ in range(steps):
        optimizer.zero_grad()
        F.mse_loss(layer(x), y).backward()
        optimizer.step()
        sizes.append((layer.lora.delta().norm() / linear.weight.norm()).item())
    return sizes
# %%
ours, pefts = growth("alpha", "reference"), growth("alpha/rank", "peft")
expected = 16 * math.sqrt(WIDTH / RANK)
measured = ours[0] / pefts[0]
print(f"expected: scaling 16 × init {expected / 16:.1f} = {expected:.0f}")
why = "16 comes from the scaling, and √(768/16) from A (measured, rounded to tens)"
reveal(guess, round(measured, -1), because=why, tolerance=0.4)
# %%
steps = range(1, 21)
chart = line_chart(
    [
        Line("reference: scaling alpha, init reference", steps, ours),
        Line("PEFT: scaling alpha/rank, init peft", steps, pefts),
    ],
    title=f"Same rank, alpha, learning rate: {measured:.0f} times apart after one step",
    x_label="step of Adam, learning rate 0.001",
    y_label="size of the update, relative to W",
    y_log10=True,
)
alt = (
    "Two curves on a logarithmic axis over 20 steps. The reference's update is about two orders "
    "of magnitude larger than PEFT's after the first step, and one after the twentieth."
)
chart.axes[0].set_xticks([1, 5, 10, 15, 20])
show(chart, alt)
# %% [markdown]
# **Takeaway:** the same three settings start training about a hundred times apart. So a learning rate belongs to its convention. This course names scaling and initialisation wherever it compares with the literature.
#
# **Think:** what would plain SGD give after one step?
#
# <details><summary>Answer</summary>
# About the square of it. SGD's step is the gradient, and B's gradient carries the multiplier and A once more. Put <code>torch.optim.SGD</code> into <code>growth</code> and look.
# </details>
#
# ## Exercise 6: merge by hand
# An update beside the layer costs two extra products per call. For use, without further training, it can be put *into* the weight: LoRA is free at inference only when it is merged.
#
# $$x W + \alpha\, x A B = x \, (W + \alpha A B)$$
#
# Write `merged_weight(linear, lora)`, which returns a new tensor shaped like `linear.weight`. The parts are `linear.weight`, `lora.A`, `lora.B` and `lora.alpha`. Mind how `nn.Linear` stores its weight.
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
# linear.weight is (out × in), A @ B is (in × out). One transpose, <code>.T</code>, makes them fit.
# </details>
# %% [markdown]
# The course's class does the same in `merge()`. And `unmerge()`? It could subtract what was added. Let us see what that gives.
# %%
back = ["W exactly", "W up to rounding"]
subtract = predict("Add the update to W, then subtract it again. What do you get?", back)
subtract
# %%
torch.manual_seed(0)
layer = lora_edu.LinearWithLoRA(nn.Linear(IN, OUT).requires_grad_(False), 4, 2.0)
nn.init.normal_(layer.lora.B)
x = torch.randn(32, IN)
before, W = layer(x), layer.linear.weight.clone()
layer.merge()
print("merged, the outputs agree up to rounding:", torch.allclose(layer(x), before, atol=1e-4))
delta = layer.lora.delta().T.detach()
exact = torch.equal((W + delta) - delta, W)
layer.unmerge()
print("unmerge() gives W back bit for bit:", lora_edu.same_bits(layer.linear.weight, W))
reveal(subtract, back[0] if exact else back[1], because="each sum is rounded to the nearest float")
# %% [markdown]
# **Takeaway:** merging is exact in algebra and rounded in floating point. To get $W$ back exactly, keep a copy, which takes the memory of $W$ once more. That is what our `unmerge()` does; PEFT's subtracts.
#
# How large is the rounding? It depends on the number format; 16-bit formats such as bfloat16 are common for large models. The update above is far larger than $W$, so we first scale it to a tenth of $W$'s size. The error is given relative to $W$'s largest entry.
# %%
delta *= 0.1 * W.norm() / delta.norm()
for dtype in (torch.float32, torch.bfloat16):
    stored = W.to(dtype)
    restored = (stored + delta.to(dtype)) - delta.to(dtype)
    error = (restored - stored).abs().max().item() / stored.abs().max().item()
    moved = (restored != stored).float().mean().item()
    largest = f"1/{2 ** round(-math.log2(error)):,} of the largest weight"
    print(f"{str(dtype):15} moves {moved:.0%} of the weights, by up to about {largest}")
# %% [markdown]
# **Takeaway:** in float32 one merge and unmerge by subtraction hardly matters. In bfloat16 it moves some weights by much more, as the last line shows. The same update put in and taken out again adds nothing to that (notebook 07 repeats it); another one is rounded anew. What is smaller in the update than half a rounding step of $W$ is lost in merging altogether.
#
# ## Yours and the course's
# You have built what stands in the middle of `lora_edu/lora.py`. The test: from the same start, both learn the same numbers. (Until your classes pass, this compares the course's with itself.)
# %%
x, y = examples(plant([1.0] * 4), seed=1)
mine, theirs = LinearWithLoRA(base, 4, 0.5), lora_edu.LinearWithLoRA(base, 4, 0.5)
with torch.no_grad():
    mine.lora.A.copy_(theirs.lora.A)  # the same random draw
for layer in (mine, theirs):
    train(layer, x, y, steps=20)
torch.testing.assert_close(mine.lora.A, theirs.lora.A, rtol=1e-3, atol=1e-4)
torch.testing.assert_close(mine.lora.B, theirs.lora.B, rtol=1e-3, atol=1e-4)
torch.testing.assert_close(mine(x), theirs(x), rtol=1e-3, atol=1e-4)
print("after 20 steps of training, yours has the same A, B and outputs as the course's")
# %% [markdown]
# What the course's file has beyond yours: the other scalings and inits, `merge` and `unmerge`, errors that say what to do, and `replace_linear_with_lora`, which wraps the layers of a whole model. That is notebook 03.
#
# ## Exercise 7: are A and B unique?
# Suppose you have trained $A$ and $B$ to perfection. Does someone else, who trains on the same task, get the same two matrices?
#
# Write a function that returns *other* matrices of the same shapes whose product is the same. There are many answers; one is enough.
# %% exercise="02.another_pair"
def another_pair(A, B):
    """Returns new_A, new_B, different from A and B, with new_A @ new_B = A @ B."""
    # <solution>
    return 2 * A, B / 2
    # </solution>
    # <student>
    # return ...  # your code
    # </student>


check("02.another_pair", another_pair)
# %% [markdown]
# <details><summary>Hint</summary>
# What you do to A on its right side can be undone on the left side of B. The simplest thing that can be done and undone is to multiply by a number.
# </details>
# %% [markdown]
# Training finds another pair too. Two students below differ in the seed of $A$ alone.
# %%
pair = []
for seed in (1, 2):
    torch.manual_seed(seed)
    layer = LinearWithLoRA(base, rank=4, alpha=1.0)
    train(layer, task_x, task_y)
    pair.append(layer.lora)


def relative_distance(first, second):
    return ((first - second).norm() / first.norm()).item()


with torch.no_grad():
    apart_A = relative_distance(pair[0].A, pair[1].A)
    apart_product = relative_distance(pair[0].A @ pair[0].B, pair[1].A @ pair[1].B)
print("the two A lie farther apart than they are large: ", apart_A > 1)
print("the two products A B differ by less than 1 %:", apart_product < 0.01)
# %% [markdown]
# **Takeaway:** for every invertible $M$ (r × r), $A M$ and $M^{-1} B$ give the same product. In this task of one layer, where the rank suffices, the examples fix the product, not its factors. (In a whole model not even that: its layers can make up for each other. Hu et al., section 7.2, compare the directions that the $A$ of two seeds read, at rank 64: only some are shared.) So do not read meaning into single entries of $A$, and do not average two adapters' $A$ and $B$ and expect the average of the updates.
#
# ## Finale: find a planted rank
# We change the layer by a matrix of *known* rank, and hide it: students see inputs and answers only. Each student is your `LinearWithLoRA` around the frozen layer, with a rank from 1 to 32. How well each does is measured on examples that it has not seen.
# %%
PLANTED = 6
elbow = predict(f"Rank {PLANTED} is planted. From which rank on is the loss as low as it gets?")
elbow
# %%
RANKS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32)


def student(change, rank, seed=0, noise=NOISE):
    """Fits one student; returns its loss on the examples it learnt from, and on new ones."""
    x, y = examples(change, seed + 10, noise)
    new_x, new_y = examples(change, seed + 20, noise)
    torch.manual_seed(seed)
    layer = LinearWithLoRA(base, rank, alpha=1.0)
    training_loss = train(layer, x, y)[-1]
    with torch.no_grad():
        return training_loss, F.mse_loss(layer(new_x), new_y).item()


def sweep(change, seed=0, ranks=RANKS, noise=NOISE):
    """Fits a student of each rank; returns its loss on new examples, by rank."""
    return {rank: student(change, rank, seed, noise)[1] for rank in ranks}

# %%
planted = plant([1.0] * PLANTED)
sweeps = [sweep(planted, seed) for seed in (0, 1, 2)]
# %% [markdown]
# What to compare with? No matrix of rank $r$ can come closer to the planted one than the cut of its singular value decomposition, which keeps the $r$ strongest directions (the theorem of Eckart and Young, notebook 01). That is a statement about matrices. It is one about the *loss* here because our inputs are independent normal numbers of variance 1: then an error matrix costs on average the sum of its squared entries, divided by the outputs. (Real activations are correlated, and there it does not hold exactly.) So there is a best possible loss for each rank: expected is `NOISE`², plus the sum of the *squares* of the strengths that were cut off, divided by the 48 outputs.
# %%
strengths = lora_edu.singular_values(planted)
best = [NOISE**2 + (strengths[rank:] ** 2).sum().item() / OUT for rank in RANKS]
mean = [sum(losses[rank] for losses in sweeps) / 3 for rank in RANKS]
low = [min(losses[rank] for losses in sweeps) for rank in RANKS]
high = [max(losses[rank] for losses in sweeps) for rank in RANKS]
found = next(rank for rank, loss in zip(RANKS, mean, strict=True) if loss < 1.5 * min(mean))
chart = line_chart(
    [
        Line("best possible at that rank, on average", RANKS, best, points=False),
        Line("students, mean and range of 3 seeds", RANKS, mean, low, high),
    ],
    title=f"A change of rank {PLANTED} was planted; the loss stops falling at rank {found}",
    x_label="rank of the student",
    y_label="loss on new examples (mean squared error)",
    x_log2=True,
)
show(chart, f"Loss against rank: it falls to rank {found} and is flat from there to rank 32.")
# %%
close = all(abs(m / b - 1) < 0.1 for m, b in zip(mean, best, strict=True))
print("at every rank within 10 % of the best possible:", close)
print("one rank too few is at least twice as bad:", mean[RANKS.index(PLANTED) - 1] > 2 * min(mean))
enough, wide = student(planted, PLANTED), student(planted, 32)
print(f"from rank {PLANTED} to 32 the loss on the training examples falls: {wide[0] < enough[0]}")
print(f"and the loss on new examples rises: {wide[1] > enough[1]}")
reveal(elbow, found, because="the planted change has that many directions, and each needs one rank")
# %% [markdown]
# **Takeaway:** below the planted rank the update has too few directions, and each missing one costs. From there on more rank buys nothing: the extra directions fit the noise of the training examples, as the last two lines show. The bend in between is called the *elbow*. The mean of the students lies almost on the best possible line. The range of the three seeds shows at the first ranks; a single seed can fall below the line, which is an average over all inputs, while each seed is measured on 1,024.
#
# **Exercise 8, own code.** Write `find_rank(losses)`: from a dictionary of rank and loss, as `sweep` returns it, find the rank at the elbow. Careful: the very lowest loss need not lie there. Beyond the elbow losses differ by a few per cent, and where directions fade, as further down, the lowest lies well beyond it.
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
# First the lowest of all losses, <code>min(losses.values())</code>. Then the ranks whose loss is at most, say, one and a half times as large. The smallest of these is the answer. (How wide the margin may be depends on the noise. At noise 0.5, used further down, one and a half times the lowest loss would be too much.)
# </details>
# %% [markdown]
# Now a rank that nobody has told you. Read it off the curve, then see what your function finds. (Once you have written it, run its cell again, and the next ones.)
# %%
hidden_rank = torch.randint(2, 9, (), generator=torch.Generator().manual_seed(2026)).item()
mystery = plant([1.0] * hidden_rank, seed=7)
mystery_losses = sweep(mystery)
chart = line_chart(
    [Line("students of one seed", RANKS, list(mystery_losses.values()))],
    title="Which rank was planted?",
    x_label="rank of the student",
    y_label="loss on new examples (mean squared error)",
)
show(chart, "Loss of one seed's students against rank: it falls steeply, then stays flat.")
# %%
read_off = predict("At which rank is the elbow of this curve?")
read_off
# %%
print("find_rank:", find_rank(mystery_losses) if elbow_verdict.passed else "not written yet")
reveal(read_off, hidden_rank, because="that many directions were planted")
# %% [markdown]
# ### Is there always an elbow?
# No, and it would be unfair to stop here. The planted change had equally strong directions and then none. Two controls, of the same total size: directions that halve in strength one after the other, and all 48 directions equally strong.
# %%
size = math.sqrt(PLANTED)  # of the planted change


def resized(strengths):
    total = math.sqrt(sum(s * s for s in strengths))
    return [s * size / total for s in strengths]

# %%
controls = {
    f"{PLANTED} equal directions": sweeps[0],
    f"{PLANTED} directions, each half the one before": sweep(
        plant(resized([0.5**i for i in range(PLANTED)]))
    ),
    "all 48 directions equal": sweep(plant(resized([1.0] * OUT))),
}
untouched = NOISE**2 + size**2 / OUT  # the loss without any update, the same for all three
shares = {n: (untouched - loss[4]) / (untouched - NOISE**2) for n, loss in controls.items()}
for name, share in shares.items():
    print(f"{name:40} rank 4 brings {share:4.0%} of the whole change")
# %%
_, fading, all_equal = shares.values()
title = "Of the change, rank 4 brings " + ", ".join(f"{100 * s:.0f} %" for s in shares.values())
if fading > 0.9 and all_equal < 0.2:
    title = "Rank 4 is nearly enough for fading directions, not for 48 equal ones"
chart = line_chart(
    [Line(name, RANKS, list(losses.values())) for name, losses in controls.items()],
    title=title,
    x_label="rank of the student",
    y_label="loss on new examples (mean squared error)",
)
alt = (
    "Three curves of loss against rank. Six equal directions: straight down to rank 6, then flat. "
    "Halving directions: steep at first, nearly flat from rank 4. All 48 equal: a slow straight "
    "fall that has not ended at rank 32."
)
show(chart, alt)
# %% [markdown]
# **Takeaway:** LoRA works with a small rank *if* the change that the task needs has few strong directions. That is the bet, and it can be lost: the third curve shows what losing looks like. Mind what makes the curves so plain: with squared error and independent inputs every direction costs in proportion to its squared strength. A real task can be different. In notebook 01 the update of full fine-tuning has many directions, and its single strongest ones still do most of the work. Few directions are enough for LoRA to win; many do not yet mean that it loses.
#
# **Make:** plant a change of your own, predict the curves, and look. When does a direction no longer show *in the loss*? Below, two strong and two weak directions are planted, once with the noise used so far and once with five times as much.
# %%
my_strengths, my_ranks = [1.0, 1.0, 0.3, 0.3], (1, 2, 3, 4, 6, 8)
lines = []
for noise in (0.5, 0.1):
    losses = sweep(plant(my_strengths), ranks=my_ranks, noise=noise)
    lines.append(Line(f"noise {noise}", my_ranks, [loss / noise**2 for loss in losses.values()]))
    gain = 1 - losses[4] / losses[2]
    print(f"noise {noise}: ranks 3 and 4 lower the loss by more than a tenth: {gain > 0.1}")
# %%
chart = line_chart(
    lines,
    title=f"Strengths {my_strengths}: what each rank leaves of the loss",
    x_label="rank of the student",
    y_label="loss on new examples, in units of noise²",
)
alt = (
    "Two curves of loss against rank, in units of the noise. With little noise it falls steeply "
    "to rank 2, a little more to rank 4, then stays. With much it is nearly flat from rank 2."
)
show(chart, alt)
# %% [markdown]
# <details><summary>What to look for</summary>
# A direction of strength s lowers the loss by s²/48. For 0.3 that is about 0.002. The noise alone makes a loss of noise²: beside 0.01 such a step is seen, beside 0.25 it is less than a hundredth of the loss. Not seen is not the same as not learnt: whether a direction is found depends on the number of examples as well. With 1,024 of them, noise imitates directions of strengths up to about noise / √1024 · (√64 + √48), which is 0.23 for noise 0.5. Below that a direction drowns, and more examples help. To see it, change <code>count=1024</code> to 128 in <code>examples</code>, far above, run that cell, then the two above this one; set it back afterwards.
# </details>
#
# ## Three sentences to remember
# 1. LoRA adds multiplier · x A B to a frozen layer's output; $W$ itself is neither changed nor factorised.
# 2. $A$ starts random and $B$ at zero, so training starts exactly at the base and $B$ moves first.
# 3. Rank caps the number of directions, the multiplier scales $A B$ and so how far each step carries, and three conventions turn alpha into it.
#
# ## Five questions
# 1. Why would an update with $A$ and $B$ both zero never learn?
# 2. At rank 16 and alpha 16, what are the three multipliers?
# 3. Why does PEFT draw a smaller $A$ than the reference, though both call the same function?
# 4. Why does our `unmerge` keep a copy instead of subtracting?
# 5. Two people train the task of this notebook with different seeds. Which of $A$, $B$ and $A B$ agree?
#
# <details><summary>Answers</summary>
# (1) Each gradient contains the other factor, so both are zero for ever. (2) 16, 1 and 4. (3) PyTorch takes the fan-in from the second dimension, which is the rank in one and in_dim in the other. (4) Adding rounds, so subtracting does not give the old numbers back. (5) Only the product, up to noise, and that if the rank suffices for the task.
# </details>
#
# ## Where next
# [LoRA in a small GPT](03_lora_in_a_gpt.ipynb) puts your layer into a whole model. To see how many directions real updates have, go to [What rank means](01_what_rank_means.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA: Low-Rank Adaptation of Large Language Models](https://arxiv.org/abs/2106.09685), section 4.1: the method, with alpha / rank
# - Raschka 2024, *Build a Large Language Model (From Scratch)*, appendix E: the interface used here, and the scaling by alpha
# - Kalajdzievski 2023, [A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA](https://arxiv.org/abs/2312.03732): why alpha / √rank
