# %% [markdown]
# # LoRA in a small GPT
#
# You put LoRA into a whole language model, train it, and prove that not one bit of the base moved.
#
# {sign:03}
#
# **You will be able to**
# - choose a GPT's layers, and replace them with a function of your own
# - train it, and prove that the base never changes
# - ◇ say which way the gradient takes
#
# **You need** basic PyTorch and notebook 02.
#
# **Time:** {path} minutes on the marked path ◆, {whole} in all, CPU or GPU.
# %% bootstrap
# %% [markdown]
# ## Where does LoRA go?
# You have built LoRA for one layer. A language model has many, so which of them should get it? Look
# inside ours first: it is a stack of six blocks, all alike.
# %%
import torch
from torch import nn

from lora_edu import choose_device, load_pretrained, load_tokenizer

device = choose_device()  # a GPU if there is one
encoding = load_tokenizer("mini")
model = load_pretrained("mini", device=device)
# %% [markdown]
# A block has six linear layers. Four belong to **attention**, where each token looks back: it compares
# its `query` with the `key` of each token up to itself, and the better the match, the more of that
# token's `value` it collects. Then `out` mixes what was collected, and the result joins the long line of the
# drawing below, the *residual stream*. The other two belong to the **MLP**, which works on each token
# alone: `fc_in` widens 192 numbers to 768, a *GELU* bends negative ones to nearly 0, and `fc_out`
# narrows them again. The *norms* keep numbers at one scale. The blue strip at each linear layer is its
# side path.
# %%
# @title A block, with the side paths in blue
from lora_edu.plots import drawing

drawing("gpt_block")
# %% [markdown]
# In code, under the same names:
# %%
print(model.blocks[0])
# %% [markdown]
# And the blue strip is what you wrote in [notebook 02](02_build_lora.ipynb): the update,
# $\alpha \, x A B$, and a layer with the update beside it. `alpha` is the multiplier. Because $B$
# starts at zero, the layer at first answers as before.


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
        sizes = linear.in_features, linear.out_features
        self.lora = LoRALayer(*sizes, rank, alpha).to(linear.weight)

    def forward(self, x):
        return self.linear(x) + self.lora(x)


# %% [markdown]
# So which layers should you adapt? The LoRA paper adapted only attention's, but later work needed
# all linear layers of the blocks to match full fine-tuning, and so this course adapts all 36.
#
# <details><summary>What the papers measured</summary>
#
# GPT-3's accuracy in %, the same number of parameters trained each time (Hu et al. 2021, table 5):
#
# | adapted | query | key | value | out | query, key | query, value | all four |
# |:---|---:|---:|---:|---:|---:|---:|---:|
# | rank | 8 | 8 | 8 | 8 | 4 | 4 | 2 |
# | WikiSQL, database queries (±0.5) | 70.4 | 70.0 | 73.0 | 73.2 | 71.4 | 73.7 | 73.7 |
# | MultiNLI, does a sentence follow from another? (±0.1) | 91.0 | 90.8 | 91.0 | 91.3 | 91.3 | 91.3 | 91.7 |
#
# Dettmers et al. 2023 needed all layers; Schulman et al. 2025 found attention alone worse than the MLP.
# </details>
#
# ## Replace the layers
# Must you rewrite the model to put them there? No, because a layer's parent takes a new child of the same name:
# %%
attention = load_pretrained("mini").blocks[0].attention
attention.query = LinearWithLoRA(attention.query, rank=8, alpha=2)
print(attention)


# %% [markdown]
# The old layer is not lost: it is now `attention.query.linear`, beside the update,
# `attention.query.lora`.
#
# **Exercise 1, own code.** Now do this for a whole model. `replace` looks at each child of `module`:
#
# - an `nn.Linear` whose name is in `targets` is replaced by `LinearWithLoRA(child, rank, alpha)`
# - anything else may have such layers further down, so `replace` calls itself on it
#
# It returns nothing.
# %% exercise="03.replace"
from lora_edu.exercises import check


def replace(module, rank, alpha, targets):
    """Wraps every nn.Linear named in `targets`, anywhere below `module`."""
    # <solution>
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and name in targets:
            setattr(module, name, LinearWithLoRA(child, rank, alpha))
        else:
            replace(child, rank, alpha, targets)
    # </solution>
    # <student>
    # ...  # your code
    # </student>


replace_verdict = check("03.replace", replace)
replace_verdict
# %% [markdown]
# <details><summary>Hint</summary>
# Loop over <code>module.named_children()</code>. Where the name is known only as text, use
# <code>setattr(module, name, wrapped)</code>.
# </details>
#
# # <student>
# Stuck? See [the solutions](solutions/03_lora_in_a_gpt.ipynb).
# # </student>
# %%
# @title The whole thing in six lines: to run, and to unfold when you are done, or stuck
if not replace_verdict.passed:

    def replace(module, rank, alpha, targets):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear) and name in targets:
                setattr(module, name, LinearWithLoRA(child, rank, alpha))
            else:
                replace(child, rank, alpha, targets)


trial = load_pretrained("mini")
replace(trial, 8, 2.0, {"query", "value"})
whose = "your function" if replace_verdict.passed else "the course's function"
wrapped = sum(isinstance(module, LinearWithLoRA) for module in trial.modules())
print(f"{whose} wrapped {wrapped} layers: query and value in six blocks")
# %% [markdown]
# Nothing in `replace` knows our GPT, so try it on a model that is PyTorch's own, with other names:
# %%
foreign = nn.TransformerDecoder(nn.TransformerDecoderLayer(192, 4, batch_first=True), 6).eval()
x = torch.randn(1, 5, 192)
as_it_was = foreign(x, x)
# The MLP's two. PyTorch's attention never calls its layers but reads their `weight`. A wrapper has
# none, so wrapping them would end in an error.
replace(foreign, 8, 2.0, {"linear1", "linear2"})
print(sum(isinstance(module, LinearWithLoRA) for module in foreign.modules()), "layers wrapped")
print(f"largest change of its output: {(foreign(x, x) - as_it_was).abs().max().item()}")


# %% [markdown]
# From here on we use the course's version, `replace_linear_with_lora`, because it also takes patterns
# such as `"blocks.*"`. `freeze` comes *first*.
# %%
from lora_edu import freeze, lora_layers, replace_linear_with_lora, same_bits


def adapted(targets="blocks.*"):
    """A fresh copy of the base, frozen, with LoRA beside the target layers."""
    model = load_pretrained("mini", device=device)
    freeze(model)
    torch.manual_seed(0)
    replace_linear_with_lora(model, 8, 2.0, targets=targets)
    return model


start = adapted()
# %%
from lora_edu import count_parameters

plain = load_pretrained("mini")
print(f"as loaded: {count_parameters(plain).trainable:,} numbers would learn")
freeze(plain)
print(f"frozen:    {count_parameters(plain).trainable:,}")
print(f"with LoRA: {count_parameters(start).trainable:,}")
# %% [markdown]
# A few lines have put LoRA into a whole model. Does PEFT, the usual library, do the same?
# %%
from importlib.util import find_spec

if find_spec("peft"):
    from peft import LoraConfig, get_peft_model

    six_kinds = ["query", "key", "value", "out", "fc_in", "fc_out"]
    config = LoraConfig(r=8, lora_alpha=16, target_modules=six_kinds)
    theirs = get_peft_model(load_pretrained("mini"), config)
    print(f"with PEFT: {theirs.get_nb_trainable_parameters()[0]:,}")
else:
    print("PEFT is not installed here; `make llm` brings it")
# %% [markdown]
# Where installed, it counts 165,888, too. PEFT's layer is yours, but it divides alpha by the rank, so
# its 16 is our 2, and starts $A$ smaller.
#
# ## Step 0: has anything changed?
# It might: 72 matrices are new, and half of them are random. But while $B$ is 0, every number of the
# output should be the base's. So compare them. Is the comparison sharp enough to notice if a single
# number of $B$, in block 0's `value`, were 0.01?
# %%
from lora_edu.widgets import predict, reveal

shares = ["nothing", "the output at one position", "nearly everything"]
change = predict("One number of B is 0.01 instead of 0. How much of the output changes?", shares)
change
# %%
base = load_pretrained("mini", device=device)
ids = torch.tensor([encoding.encode_ordinary("Once upon a time, there was a")], device=device)
B = start.blocks[0].attention.value.lora.B
with torch.no_grad():
    of_base = base(ids)
    differ = int((start(ids) != of_base).sum())
    print(f"at step 0: {differ} of {of_base.numel():,} numbers differ")
    B[0, 0] = 0.01
    off = (start(ids) - of_base).abs()
    B[0, 0] = 0.0
# %%
# @title The answer: run it when you have predicted
share = 100 * (off > 0).float().mean()
differ = f"One number of B at 0.01: {share:.0f} % differ, by up to {off.max():.4f}"
why = "B acts on every token, and every later layer passes it on"
reveal(change, shares[2], because=why, measured=differ)
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# A test that cannot fail proves nothing, but ours noticed one number among 165,888.
#
# </details>
#
# So whatever changes from now on is training's doing.
#
# ## Train it
# How do you train so few numbers in so large a model? With the loop that you know, except that only
# $A$ and $B$ go to the optimizer. The data are tales told by pirates: `batches` has eight for each
# step, and `held_out` has 24 that are never trained on. The loss is in *nats* per token: $-\ln p$,
# where $p$ is the probability of the right next token.
# %%
# @title The tales to train on, others held out, and the course's training loop
from lora_edu import Batches, fit, load_tales, mean_loss, next_token_loss, text_rows

tales = load_tales()
batches = Batches(text_rows(tales.train, encoding, 96), batch_size=8, seed=0)
held_out = Batches(text_rows(tales.validation[:24], encoding, 96), 12, shuffle=False)
# %%
by_hand = load_pretrained("mini", device=device)
freeze(by_hand)
torch.manual_seed(0)
replace(by_hand, 8, 2.0, {"query", "key", "value", "out", "fc_in", "fc_out"})
learning = [parameter for parameter in by_hand.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(learning, lr=2e-3)

for step, batch in zip(range(10), batches.epoch(0)):
    loss = next_token_loss(by_hand, batch.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: {loss.item():.1f} nats per token")


# %% [markdown]
# The course's `fit` is this loop with *warm-up*, a rate that
# starts low, and *clipping*, a limit on the gradient's length. `watch` draws it.
#
# **Exercise 2, own code.** How will you prove that training left the base alone? You need its values
# from before, so write `snapshot(model)`. It returns a dictionary: the name of each tensor in
# `model.state_dict()`, and its values *now*. Careful, the tensors there are the model's own memory.
# %% exercise="03.snapshot"
def snapshot(model):
    """{name: a copy of the tensor} for every tensor of the model."""
    # <solution>
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
    # </solution>
    # <student>
    # ...  # your code
    # </student>


snapshot_verdict = check("03.snapshot", snapshot)
snapshot_verdict
# %% [markdown]
# <details><summary>Hint</summary>
# A tensor's <code>.clone()</code> is a copy with memory of its own.
# </details>
# %% [markdown]
# Now train a fresh `model` for 40 steps. Watch the curve, and beneath it the model's tale at
# steps 0, 10, 20 and 40. **Stop** pauses training after the current step; **Go on** resumes;
# when it has ended, run the cells below again.
# (On Colab use the cell's own button.)
# %%
# @title The tale to tell while it trains; and a snapshot, if yours has not passed
from lora_edu import generate_text

if not snapshot_verdict.passed:

    def snapshot(model):
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def tale():
    return generate_text(model, encoding, "Long ago, there was a", 25)


# %% tags=["nbval-ignore-output"]
from lora_edu.widgets.training_view import watch


def pirates(follow):
    return fit(model, batches, next_token_loss, lr=2e-3, steps=40, callbacks=[follow])


model = adapted()  # afresh: run again, the cell trains from the start
before, loss_before = snapshot(model), mean_loss(model, held_out)
# `await` lets the notebook draw while it trains
history = await watch(pirates, steps=40, title="LoRA on pirates' tales", say=tale)
# %%
from statistics import mean

from lora_edu.plots import table

now = mean(history.losses[-8:])  # each taken before the step that learns from it
losses = {
    "training batches, before their step": (history.losses[0], now),
    "held-out tales": (loss_before, mean_loss(model, held_out)),
}
rows = [[of, *(f"{loss:.1f}" for loss in two)] for of, two in losses.items()]
table(["loss on, in nats per token", "at first", "now"], rows)
# %%
changed = [name for name, old in before.items() if not same_bits(old, model.state_dict()[name])]
of_lora = [name for name in changed if name.endswith((".A", ".B"))]
print(f"A and B: {len(of_lora)} of 72 tensors changed")
print(f"base:    {len(changed) - len(of_lora)} of {len(before) - 72} tensors changed")
# %% [markdown]
# ✓ **LoRA's promise of unchanged weights: measured**, bit for bit. You trained $A$ and $B$ beside 36
# frozen layers, and the loss fell even on tales never seen, so it is not all learnt by heart.
#
# <details><summary>Why is the held-out loss so far above that on training batches?</summary>
# Training batches are new, too, but all 380 tales retell only 19 plots. The held-out ones have
# others.
# </details>
#
# What does such a loss sound like? Here is one opening, told three times: by the base, by your model,
# and by an adapter that is no larger but saw twelve times as many tokens.
# %% tags=["nbval-ignore-output"]
# @title One opening, told by the base, after forty steps, and after longer training
import re

from lora_edu import data_path, load_adapter, set_strength, switch
from lora_edu.plots import cards

longer = load_pretrained("mini", device=device)
switch(longer, load_adapter(data_path("adapters", "tales")))
tellers = {
    "base": (model, 0),  # all updates off
    f"LoRA, after {history.last_step} steps": (model, 1),
    "LoRA, after longer training": (longer, 1),
}
told = {}
for name, (teller, strength) in tellers.items():
    set_strength(teller, strength)
    text = generate_text(teller, encoding, "Long ago, there was a", 40)
    told[name] = re.match(r'.*[.!?]"?|.*', " ".join(text.split()))[0]  # its whole sentences
cards(told)
# %% [markdown]
# **Takeaway:** forty steps have made a storyteller a pirate. On tales that it never saw the loss fell
# by 1.8 nats, so the right next token typically gets six times the probability that the base gave it
# ($e^{1.8} \approx 6$). But the grammar still shakes.
#
# So you can put LoRA into a model, train it, and prove the base untouched. What you don't know yet is
# how much that saves.
#
# ## Deeper: targets by name and pattern
# A target is a layer's path, or the end of that path from any dot on, such as
# `attention.out`. In it `*` stands for any text, `[12]` for a 1 or a 2.
# %%
from lora_edu import find_targets
from lora_edu.plots import table

rows = []
for targets in ("query", ["query", "value"], "mlp.*", "blocks.0.*", "blocks.[12].attention.out"):
    found = find_targets(base, targets)
    name = targets if isinstance(targets, str) else ", ".join(targets)
    rows.append([name, len(found), found[0]])
table(["targets", "layers", "the first"], rows)
# %% [markdown]
# The worst mistake is quiet: a name that matches nothing. Our function refuses it, but PEFT accepts it
# if another name matches, so count the layers.
#
# **Exercise 3, fill in.** Choose all attention layers of the *last two* blocks, and nothing else.
# %% exercise="03.targets"
# <solution>
last_attention = "blocks.[45].attention.*"
# </solution>
# <student>
# last_attention = ...  # a pattern in quotation marks, or a list of them
# </student>
check("03.targets", last_attention)
# %% [markdown]
# <details><summary>Hint</summary>
# The blocks are numbered from 0 to 5. Start from <code>"blocks.[12].attention.out"</code>.
# </details>
#
# ## Deeper: freeze first, then replace
# What if you forget the order? `replace_linear_with_lora` freezes
# nothing.
#
# **Exercise 4.** What learns in each case? Put `"A and B"`, `"nothing"` or `"everything"`.
# %% exercise="03.order"
# <solution>
learns = {"freeze, replace": "A and B", "replace, freeze": "nothing", "replace only": "everything"}
# </solution>
# <student>
# learns = {"freeze, replace": ..., "replace, freeze": ..., "replace only": ...}
# </student>
check("03.order", learns)
# %% [markdown]
# <details><summary>Hint</summary>
# Which parameters exist when <code>freeze</code> is called?
# </details>
# %% [markdown]
# Forgetting to freeze raises no error, so `fit` looks before it starts:
# %%
import textwrap
import warnings

unfrozen, all_frozen = load_pretrained("mini"), load_pretrained("mini")
for each in (unfrozen, all_frozen):
    replace_linear_with_lora(each, 8, 2.0, targets="blocks.*")
freeze(all_frozen)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fit(unfrozen, batches, next_token_loss, lr=2e-3, steps=1)
print(textwrap.fill(f"Warning: {caught[0].message}", 92))
try:
    fit(all_frozen, batches, next_token_loss, lr=2e-3, steps=1)
except ValueError as error:
    print(textwrap.fill(f"Error: {error}", 92))
# %% [markdown]
# ## Deeper: directions unlike any of W's
# Even at the same loss, LoRA may change $W$ in another way than full fine-tuning. Shuttleworth et
# al. 2024 take the ten strongest singular directions of a trained layer, $W + \Delta W$. One whose
# cosine with each direction of $W$ is below 0.5 is an **intruder dimension**. Has your
# run any?
# %% tags=["nbval-ignore-output"]
from lora_edu.spectra import intruders

set_strength(model, 1)
with torch.no_grad():
    here = [
        intruders(layer.linear.weight, layer.linear.weight + layer.lora.delta().T)  # delta: ΔW
        for layer in lora_layers(model).values()
    ]
print(f"{sum(count > 0 for count in here)} of 36 layers have an intruder among their ten strongest")
# %% [markdown]
# Here are recorded runs, three seeds a row, with their mean loss. In two rows $A$ starts smaller, as in PEFT.
# %%
# @title Counts, in each recorded run, the layers that have an intruder
from lora_edu import data_path
from lora_edu.evaluation import read_record, runs_of

record, rows = read_record(data_path("results", "intruders.json")), []
for name, init, rates in (
    ("LoRA", "reference", (2e-3,)),
    ("LoRA, A five to ten times smaller (PEFT)", "peft", (2e-3, 1e-2)),
    ("full fine-tuning", "", (2e-4, 5e-4, 1e-3)),
):
    for lr in rates:
        runs = runs_of(record, init=init, lr=lr)
        loss = sum(run["loss"] for run in runs) / len(runs)
        layers = ", ".join(str(run["layers"]) for run in runs)
        rows.append([name, f"{lr:g}", f"{loss:.2f}", layers])
table(["trained by", "learning rate", "held-out loss", "layers with an intruder, of 36"], rows)
# %% [markdown]
# The loss does not explain them: full fine-tuning has none at 3.69 and 3.32, and LoRA, in between at
# 3.59, has them in 29 or 30 layers. Where LoRA has few, it learnt least. Whether they cause forgetting,
# as the authors think, we did not test. [Notebook 10](10_choose_rank_alpha_rate.ipynb) has more.
#
# ## Deeper: which way does the gradient take?
# A frozen layer needs no gradient for its weight. So does the backward pass go around it?
# %%
ways = ["through block 2 alone", "through blocks 5, 4, 3 and 2", "through all six blocks"]
way = predict("Only block 2 is adapted. Which way does the gradient take from the loss?", ways)
way


# %%
# @title The answer: run it when you have predicted
def entered_blocks(targets):
    """The blocks that the gradient enters, and how many frozen weights got one of their own."""
    model = adapted(targets)
    outputs = []
    for block in model.blocks:
        block.mlp_norm.register_forward_hook(lambda _, inputs, output: outputs.append(output))
    logits = model(ids)
    for output in outputs:
        if output.requires_grad:
            output.retain_grad()  # it comes back through the MLP alone
    nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:]).backward()
    entered = [number for number, output in enumerate(outputs) if output.grad is not None]
    return entered, sum(p.grad is not None for p in model.parameters() if not p.requires_grad)


columns = ["adapters in", "blocks with a gradient", "frozen weights that got one"]
tried = ("blocks.2.*", "blocks.[14].*", "blocks.5.*")
rows = [[targets, *entered_blocks(targets)] for targets in tried]
why = "block 2 acts on the loss through each later block, too"
reveal(way, ways[1], because=why, measured=table(columns, rows))


# %% [markdown]
# <details><summary>Why is that?</summary>
# A frozen layer is spared only its <em>own</em> weight's gradient; block 2's must pass through it.
# </details>
#
# **Exercise 5, own code.** Write the rule: which blocks does the gradient enter?
# %% exercise="03.backward"
def blocks_entered(with_adapter, n_layer):
    """The blocks that the gradient enters, as a list of numbers from 0.

    with_adapter: the numbers of the blocks with adapters, a list; n_layer: how many there are.
    """
    # <solution>
    return list(range(min(with_adapter), n_layer))
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("03.backward", blocks_entered)
# %% [markdown]
# <details><summary>Hint</summary>
# Which one of several adapters decides how far back the gradient must go?
# </details>
#
# ## Deeper: what the bare call wraps
# Without targets `replace_linear_with_lora(model, rank, alpha)` wraps *every* linear layer, the head
# included, as in Raschka's book. Our head is **tied** to the token embedding: one tensor, used twice.
# Adding $\Delta W$ into it would change the model's input as well, so the course's `merge` unties the
# two first.
#
# The book gives GPT-2 small a head of two classes, and counts this call on it. In each of its blocks
# the six layers have 13,824 inputs and outputs together.
# %%
question = "LoRA at rank 16 beside all layers of 12 blocks and a head 768 → 2: how many in A and B?"
published = predict(question, tolerance=0.001)
published
# %%
# @title The book's count, made on shapes alone, and a warning
import textwrap
import warnings

from lora_edu import GPT, GPTConfig, count_parameters

with torch.device("meta"):  # shapes only, no memory
    gpt2 = GPT(GPTConfig(vocab_size=50257, context_length=1024, n_layer=12, n_head=12, n_embd=768))
    gpt2.head = nn.Linear(768, 2)
freeze(gpt2)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    replace_linear_with_lora(gpt2, rank=16, alpha=16)
learnt = count_parameters(gpt2).trainable
print(textwrap.fill(f"Warning: {caught[0].message}", 92))
# %%
# @title The answer: run it when you have predicted
book = f"{learnt:,} learn here; the book has 2,666,528."
why = "12 blocks × 16 × 13,824, and 16 × 770 for the head"
reveal(published, learnt, because=why, measured=book)
# %% [markdown]
# The warning is about the head: to steer its 1,536 frozen, random numbers LoRA would train eight times as
# many. So this course trains a new head in full.
#
# ## Three sentences to remember
# 1. $B$ starts at zero, so at step 0 the adapted model answers as the base does.
# 2. Freeze, replace, train, in this order: afterwards every bit of the base is still there.
# 3. ◇ The backward pass crosses frozen layers, too, to reach adapters in earlier layers.
#
# ## Five questions
# 1. Why does `replace` need `setattr`, and not an assignment to the loop's variable?
# 2. ◇ What learns if you replace and then freeze, and what if you never freeze?
# 3. Why does a snapshot without `.clone()` prove nothing?
# 4. ◇ Of blocks 0 to 11, block 3 has an adapter. Which blocks does the gradient enter?
# 5. ◇ Why must merging an adapted, tied head not write into its weight?
#
# <details><summary>Answers</summary>
# (1) The parent must get the new child; the variable only names the old one. (2) Nothing;
# everything. (3) It shares the model's memory. (4) Blocks 3 to 11. (5) The embedding would change.
# </details>
#
# ## Where next
# [Count before you train](04_count_before_you_train.ipynb) what LoRA saves.
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), sections 4.2 and 7.1
# - Dettmers et al. 2023, [QLoRA](https://arxiv.org/abs/2305.14314), section 4; Schulman et al.
#   2025, [LoRA Without Regret](https://thinkingmachines.ai/blog/lora/)
# - Shuttleworth et al. 2024, [LoRA vs Full Fine-tuning: An Illusion of
#   Equivalence](https://arxiv.org/abs/2410.21228)
