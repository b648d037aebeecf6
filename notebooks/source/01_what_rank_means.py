# %% [markdown]
# # What rank means
#
# You take a measured update apart, and ask how many of its directions a task needs.
#
# {sign:01}
#
# **You will be able to**
# - read a matrix as directions and strengths, and make a rank-1 update with $A$ and $B$
# - cut a picture, noise and a *measured* update to any rank
# - say what the rank of an update tells about its task, and what it does not
#
# **You need** matrix products and a little PyTorch.
#
# **Time:** {path} minutes on the marked path ◆, {whole} in all, CPU or GPU.
# %% bootstrap
# %% [markdown]
# ## What does a rank-1 update do?
# LoRA adds $x A B$ to a frozen layer's output. At rank 1, $A$ is a single column and $B$ a single
# row. So $x A$ is one number, how far $x$ points along $A$, and this number times $B$ is the change.
# %%
import torch

from lora_edu import LoRALayer

layer = LoRALayer(in_dim=2, out_dim=2, rank=1, alpha=1)  # alpha multiplies A B
with torch.no_grad():
    layer.A.copy_(torch.tensor([[0.8], [0.6]]))  # the direction that is read
    layer.B.copy_(torch.tensor([[0.0, 1.0]]))  # the direction that is written
    for x in ([1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]):
        change = layer(torch.tensor([x]))[0]
        print(f"x = {x}  changes the output by  {[round(c, 2) + 0.0 for c in change.tolist()]}")
# %% [markdown]
# **One direction is read, one direction is written.** The last $x$ is perpendicular to $A$, so its
# output does not change at all. Turn both directions yourself. On the left are the inputs. On the
# right you see where they land: grey after $W$ alone, blue after $W$ plus the update. An open dot
# did not move. The slider `alpha` scales the
# update.
# %%
from lora_edu.widgets.playground import playground

plane = playground()
plane
# %% [markdown]
# **To find out:** at which angles of $A$ do two of the eight points stay where $W$ takes them? Can
# the update ever move two points along lines that are *not parallel*?
#
# <details><summary>What to look for</summary>
# Two points stay whenever A is perpendicular to them, at multiples of 45°. All moves are parallel.
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
# A must not see (0, 1). B says where the change goes. Stuck?
# <a href="https://github.com/lora-edu/lora_edu/tree/main/notebooks/solutions">Solutions</a>.
# </details>
#
# ## What is any matrix made of?
# You have just turned an update of rank 1. Can every matrix be built from such pieces? Multiply a larger column by a row:
# %%
column, row = torch.tensor([[1], [2], [0], [-1]]), torch.tensor([[3, 0, 1, 2, 5]])
print(column @ row)
# %% [markdown]
# Every row is a multiple of one row: 20 numbers, made of 9. The *rank* of a matrix is the smallest
# number of such pieces that add up to it. And backwards: *every* matrix is a sum of rank-1 pieces, and the
# *singular value decomposition* (SVD) finds such a sum:
#
# $$\begin{gathered}M = \sigma_1 u_1 v_1^\top + \sigma_2 u_2 v_2^\top + \dots \\
# \sigma_1 \ge \sigma_2 \ge \dots \ge 0\end{gathered}$$
#
# Each piece works like the update that you just turned: in $x M$ it reads the direction $u$ and
# writes the direction $v$. Both have length 1, so $\sigma$ is the piece's strength. All $u$ are
# perpendicular to one another, and so are all $v$. The rank is the number of pieces with
# $\sigma > 0$. Now add a second such product.
# %%
from lora_edu import energy_kept, singular_values, truncate

another = torch.tensor([[0], [0], [2], [0]]) @ torch.tensor([[0, 3, 1, 0, 0]])
M = (column @ row + another).float()
strengths = singular_values(M)
print("strengths:", [round(s, 1) + 0.0 for s in strengths.tolist()])
# %% [markdown]
# Two strengths are not 0, so the rank is 2.
#
# To *cut* $M$ to rank $r$ means to keep its $r$ strongest pieces. No other matrix of that rank is
# closer to $M$ (Eckart and Young, 1936). We measure what a cut keeps as *energy*, the sum of all squared
# entries. Each piece contributes its $\sigma^2$:
# %%
kept = energy_kept(strengths)  # by the first piece, by the first two, and so on
print(f"the first piece has {100 * kept[0]:.0f} % of the energy")
# %% [markdown]
# ## How much can you cut?
# Here are three matrices: a picture of a house in the hills, pure noise, and a change that training
# made. To get it, we trained *all* weights of our GPT to tell spam from other messages. That is *full*
# fine-tuning, LoRA's rival. In this notebook, $\Delta W$ is what it added to $W$.
# %%
# @title A picture, drawn as numbers
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
query = updates["blocks.0.attention.query.weight"]
print(f"ΔW of {len(updates)} matrices; that of block 0's query is {tuple(query.shape)}")
# %%
from lora_edu.widgets import predict, reveal

NAMES = ("the picture", "the noise", "the measured ΔW")
hardest = predict("Which of the three needs most pieces to keep 90 % of its energy?", NAMES)
hardest
# %%
torch.manual_seed(0)
objects = (picture, torch.randn(192, 192), query)
pieces = [int((energy_kept(singular_values(matrix)) < 0.9).sum()) + 1 for matrix in objects]
# %%
# @title The answer: run it when you have predicted
from lora_edu.plots import table

needed = table(["for 90 % of the energy", "pieces, of 192"], zip(NAMES, pieces))
answer = NAMES[pieces.index(max(pieces))]
reveal(hardest, answer, because="in noise no direction is special", measured=needed)
# %% tags=["withheld"]
from lora_edu.widgets.svd_cut import svd_cut

knife = svd_cut(picture, updates)
knife
# %% [markdown]
# **To find out:** what do you recognise of the picture at rank 1, with how much of its energy? From
# which rank on do you see the house? And in ΔW, do few pieces stand out?
#
# <details><summary>What to look for</summary>
# One piece has over 90 % of the energy and shows stripes, no house: energy does not know what you
# look for. The house comes with the second. Block 0's query is between: its first piece has 35 %, 90 % takes 26.
# </details>
#
# ## The finding: does low rank do the task?
# So this ΔW needs 26 pieces for 90 % of its energy. Does the *task* need them? The matrix cannot
# tell, so we trained LoRA on the same messages. At rank 1 each of the 36 matrices gets a single
# direction to read and one to write. A new last layer, the *head*, learns, too. We compare it
# with full fine-tuning, which gave the whole ΔW, and with a head alone on the frozen base. Each is trained with five random *seeds*.
# %%
ANSWERS = ("about as well as the whole ΔW", "halfway between a head and ΔW", "like a head alone")
worth = predict("How well does LoRA do when it is trained at rank 1?", ANSWERS)
worth
# %%
# @title The answer: run it when you have predicted
from lora_edu.evaluation import mean_difference
from lora_edu.plots import picture as drawing_of
from lora_edu.plots import show
from lora_edu.tasks import rank_record

record = rank_record()
chart = record.picture()
drawn = drawing_of(chart, alt=f"Accuracy against rank. {chart.axes[0].get_title('left')}.")

head, whole = record.head_accuracy, record.whole_accuracy
lora_one = record.accuracy("lora", 1)
ways = {
    "a head on the frozen base": head,
    "ΔW whole: full fine-tuning": whole,
    "LoRA at rank 1": lora_one,
}
percent = {way: round(100 * accuracy.mean().item(), 1) for way, accuracy in ways.items()}
percent["counting words, no language model"] = round(100 * record.words, 1)
least = percent["a head on the frozen base"]
ranked = sorted(percent.items(), key=lambda each: each[1])
rows = [[way, f"{share:.1f}", f"{share - least:.1f}"] for way, share in ranked]
accuracies = table(["", "accuracy, %", "above the head, points"], rows)

apart = []
halfway = (whole + head) / 2  # by seed
for name, level in {"ΔW whole": whole, "halfway": halfway, "a head": head}.items():
    points, half = (100 * each for each in mean_difference(lora_one, level))
    apart.append([name, f"{points:.0f} ± {half:.0f} points"])
away = [abs(lora_one.mean() - level.mean()) for level in (whole, halfway, head)]
answer = ANSWERS[away.index(min(away))]  # the nearest of the three
because = "LoRA learns directions of its own, and here one in each matrix was enough"
apart = table(["LoRA at rank 1, compared with", "difference, with its 95 % interval"], apart)
reveal(worth, answer, because=because, measured=[drawn, accuracies, apart])
# %% [markdown]
# <details><summary><b>What came out</b>, once you have predicted</summary>
#
# **LoRA at rank 1 does about as well as the whole ΔW**, and clearly better than a head alone. So
# one direction for each matrix was enough here, give or take five points. But the task is
# easy: counting words gets 89.7 %.
#
# The figure also *cuts* ΔW to each rank. Cut to one direction in each of the 36 matrices, it has 23 %
# of its energy left, yet 88 % are right. But LoRA *learns* its directions.
#
# **Takeaway:** how many directions an update *has* and how many its task *needs* are two things.
# LoRA bets that the second is small.
#
# </details>
#
# ## Deeper: cut it yourself
# Which row of $M$ does the cut to rank 1 lose? And do the squared strengths of $M$ add up to its
# energy?
# %%
for row_of_m, row_of_cut in zip(M.int(), truncate(M, 1)):
    kept = [round(number, 1) for number in row_of_cut.tolist()]
    print(f"{str(row_of_m.tolist()):20} → {kept}")
squares = M.square().sum(), singular_values(M).square().sum()
print(f"squared entries: {squares[0]:.0f}, squared strengths: {squares[1]:.0f}")
# %% [markdown]
# In PyTorch, `U` has the $u$ as columns and `Vh` the $v$ as rows; `U * S` multiplies each column by
# its strength.
# %%
torch.manual_seed(0)
two_pieces = torch.randn(6, 2) @ torch.randn(2, 5)
U, S, Vh = torch.linalg.svd(two_pieces, full_matrices=False)
print("strengths:", [round(s, 2) + 0.0 for s in S.tolist()])
together = (U * S) @ Vh
print(f"largest difference, put together again: {(together - two_pieces).abs().max():.4f}")


# %% [markdown]
# **Exercise 2, fill in.** Put only the strongest pieces together again.
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
# The first <code>rank</code> columns of U, numbers of S and rows of Vh.
# </details>
# %% [markdown]
# So a cut *is* a product $A B$: cut `U * S` is $A$, cut `Vh` is $B$.
#
# **Exercise 3, own code.** Which share of the energy does the cut keep? Use the strengths alone.
# %% exercise="01.energy"
def energy(strengths, rank):
    """Share of the energy kept; strengths is a tensor, largest first."""
    # <solution>
    return (strengths[:rank] ** 2).sum() / (strengths**2).sum()
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("01.energy", energy)
# %% [markdown]
# <details><summary>Hint</summary>
# Sum the first <code>rank</code> squares, and divide by the sum of all.
# </details>
# %%
sample = torch.randn(8, 6)
if check("01.cut", cut).passed:
    print(f"your cut differs by {(cut(sample, 2) - truncate(sample, 2)).abs().max():.4f} at most")
if check("01.energy", energy).passed:
    of_sample = singular_values(sample)
    by_two = energy_kept(of_sample)[1]  # the first entry is for one piece
    print(f"your energy by {float(energy(of_sample, 2) - by_two):.4f}")
# %% [markdown]
# ## Deeper: which directions matter?
# Is each ΔW's strongest direction special, or would any other, scaled to the same energy, do?
# %%
# @title What some of the directions are worth: accuracy and loss
KINDS = {
    ("cut", 192): "all of them",
    ("cut", 1): "its strongest direction alone",
    ("stretched", 2): "the second, with the first's energy",
    ("stretched", 8): "the eighth, with the first's energy",
    ("shrunk", 1): "all, shrunk to the first's energy",
    ("without", 1): "all but the strongest",
    ("without", 8): "all but the eight strongest",
    ("cut", 0): "none; head, embeddings, norms and biases as trained",
}
rows = []
for kind, name in KINDS.items():
    accuracy = 100 * record.accuracy(*kind)
    seeds = f"{accuracy.min():.0f} to {accuracy.max():.0f}"
    energy_share = f"{100 * record.energy(*kind):.0f}"
    loss = f"{record.loss(*kind).mean():.2f}"
    rows.append([name, energy_share, f"{accuracy.mean():.0f}", seeds, loss])
note = "Means over five seeds. In each of the 36 matrices these directions are kept at once."
columns = ["directions of each ΔW", "% of the energy", "accuracy, %", "worst to best seed", "loss"]
table(columns, rows, note=note)
# %%
lower = sum(int((record.loss("shrunk", r) < record.loss("cut", r)).sum()) for r in (1, 2, 4, 8, 16))
print(f"ΔW, shrunk to the cut's energy, has the lower loss in {lower} of 25: 5 ranks, 5 seeds")
# %% [markdown]
# - *Direction matters.* At the same energy the second does far less than the first, and the eighth
#   hardly more than none.
# - *The strongest is rarely indispensable.* Without it, four seeds of five do about as well, though
#   seed 0, whose ΔW you have, falls to 74 %.
# - *A small change goes far.* All of ΔW, shrunk, has the cut's accuracy, and nearly always a lower loss.
#   So is it low rank that the task needs, or a *small* update? Here we cannot tell.
#
# “None” does worse than a head alone, because its head was trained together with the changed blocks.
#
# ## Deeper: put it back by hand
# The curves are means over five seeds. **Run it live** measures seed 0 alone. Over seed 0's 36 matrices, rank 1 keeps 28 %.
# %%
# @title Puts ΔW back, cut to a rank, and measures what that does
from torch import nn

from lora_edu import (
    Batches,
    accuracy_interval,
    classification_rows,
    classify,
    load_pretrained,
    load_spam,
    load_tokenizer,
)

messages = classification_rows(load_spam().test, load_tokenizer("mini"), 64)


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


def accuracy_at(rank):
    """Accuracy on the test set with ΔW cut to `rank`, measured now."""
    predictions = classify(with_cut(rank), Batches(messages, 64, shuffle=False))
    return accuracy_interval(predictions).value


# %%
from lora_edu.widgets.cut_back import cut_back

put_back = cut_back(live=accuracy_at)
put_back
# %% [markdown]
# **To find out:** set a rank and press **Run it live**. Energy grows with each rank: does accuracy?
# Do random directions do as well? Then tick **more curves**.
#
# <details><summary>What to look for</summary>
# From rank 1 to 8 the energy goes from 23 to 60 %, but accuracy stays at 88 to 89 %. ΔW projected onto r
# random directions is worth little up to rank 16. A random update of the cut's energy is
# worthless.
# </details>
#
# ## Deeper: is ΔW low in rank?
# Strictly, no: no strength is exactly 0. So count the pieces for 90 % of the energy
# again, in all 36 matrices.
# %%
# @title The pieces of all 36 matrices
from lora_edu.plots import heat_map


def pieces_for_90(matrix):
    """How many pieces keep 90 % of a matrix's energy."""
    return int((energy_kept(singular_values(matrix)) < 0.9).sum()) + 1


layers = ("query", "key", "value", "out", "fc_in", "fc_out")
counts = torch.zeros(6, 6)
for name, matrix in updates.items():
    block, module = int(name.split(".")[1]), name.split(".")[-2]
    counts[layers.index(module), block] = pieces_for_90(matrix)
torch.manual_seed(0)
noise = [pieces_for_90(torch.randn(shape)) for shape in ((192, 192), (768, 192))]
floor = torch.tensor([noise[0]] * 4 + [noise[1]] * 2)  # fc_in and fc_out are 768 by 192
fewer = int((counts < floor[:, None]).sum())

chart = heat_map(
    counts,
    title=f"{fewer} of 36 updates need fewer pieces than noise of their shape",
    x_label="block",
    y_label="layer",
    value_label="pieces for 90 % of the energy (of 192)",
    y_names=layers,
    number_format="{:.0f}",
)
show(chart, alt=f"A table of pieces, layers by blocks; {fewer} of 36 are below noise.")
print(f"noise: {noise[0]} for a square layer, {noise[1]} for the MLP's fc_in and fc_out")
# %% [markdown]
# So all 36 are far from noise. Yet 31 need 15 pieces or more, and only one as few as 2.
#
# On code and mathematics, Biderman et al. (2024) find full updates whose ranks, counted so, are 10 to
# 100 times LoRA's.
#
# ## Deeper: what is promised?
#
# **Exercise 4.** True or false?
#
# - `closest`: no matrix of rank $r$ is closer to ΔW than its cut to rank $r$.
# - `task`: so no update of rank $r$ can do the task better than the cut.
# - `factorised`: LoRA first computes its update, and then factorises it into $A$ and $B$.
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
# For <code>task</code>: closest to what? For <code>unique</code>: could another pair do?
# </details>
#
# ## Three sentences to remember
# 1. A rank-$r$ update reads $r$ directions and writes $r$ directions; the rest stays.
# 2. The SVD's cut is the closest matrix of its rank: a promise about distance, not about tasks.
# 3. Energy kept is not accuracy kept.
#
# ## Five questions
# 1. Which inputs does a rank-1 update leave alone?
# 2. Why is no low-rank cut of noise good?
# 3. What do Eckart and Young not promise?
# 4. What did LoRA reach here at rank 1?
# 5. Why does ΔW cut to rank $r$ not limit what LoRA reaches at rank $r$?
#
# <details><summary>Answers</summary>
# (1) Those perpendicular to A. (2) No few directions stand out. (3) That the closest matrix does
# the task best. (4) About as much as the whole ΔW, ± 5 points. (5) LoRA learns its directions; the cut
# is only closest to ΔW.
# </details>
#
# ## Where next
# Write the layer yourself: [Build `LoRALayer`](02_build_lora.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), section 7
# - Biderman et al. 2024, [LoRA Learns Less and Forgets Less](https://arxiv.org/abs/2405.09673)
