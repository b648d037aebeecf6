# %% [markdown]
# # Distrust a single number
#
# Find out how much of a result is luck, before you tell anyone about it.
#
# **You will be able to**
# - notice when an accuracy flatters, and use F1 instead
# - put an interval on a score, for the luck of the messages and of the seed
# - compare two methods fairly, and say "not shown" when that is the answer
# - choose controls that tell what deserves the credit
#
# **You need** notebook 05, or: you know that a head alone, LoRA and full fine-tuning are three ways
# to make a spam filter of a small GPT.
#
# **Time:** {whole} minutes on a CPU, less on a GPU.
# %% bootstrap
# %% [markdown]
# ## What does an accuracy hide?
# Five seeds of each method were trained, and what each said about each test message was recorded.
# So nothing trains here: we ask how far these numbers can be trusted. For real messages change one
# word; the record of the SMS Spam Collection ships as well.
# %%
import torch

from lora_edu import data_path
from lora_edu.evaluation import digits, read_record

SOURCE = "bundled"  # or "real"
record = read_record(data_path("results", f"classifier_{SOURCE}.json"))
truth = digits(record["about"]["test_labels"])  # 1 is spam, 0 is ham
print(f"recorded by: {record['command']}")
print(f"{len(truth)} test messages, {int(truth.sum())} of them spam")
# %% [markdown]
# Before you trust an accuracy, ask what it costs to reach it without any learning.
# %%
from lora_edu.widgets import predict, reveal

lazy = predict("A classifier calls every message ham. What is its accuracy on the test part, in %?")
lazy
# %%
majority = 1 - truth.double().mean().item()
reveal(lazy, round(100 * majority, 1), because="each ham message is a right answer")
# %% [markdown]
# So a filter that never finds any spam can look decent. **F1** of spam leaves out the ham that is
# called ham. It counts *right* alarms, *false* alarms (ham called spam) and *missed* spam:
#
# $$F_1 = \frac{2 \cdot \text{right}}{2 \cdot \text{right} + \text{false} + \text{missed}}$$
#
# For example, of 3 spam messages one is found, and one ham message raises an alarm. Then
# $F_1 = 2 / (2 + 1 + 2) = 0.4$.
#
# **Exercise 1, fill in.** Complete `f1`. What does it give the lazy classifier?
# %% exercise="09.f1"
from lora_edu.exercises import check


def f1(labels, predicted):
    """F1 of spam (1); both arguments are lists of 0 and 1."""
    pairs = list(zip(labels, predicted))
    right = pairs.count((1, 1))
    # <solution>
    false = pairs.count((0, 1))
    missed = pairs.count((1, 0))
    return 2 * right / max(1, 2 * right + false + missed)
    # </solution>
    # <student>
    # false = ...  # ham, but called spam
    # missed = ...  # spam, but called ham
    # return ...  # a share; 0 where nothing was found
    # </student>


check("09.f1", f1)
# %% [markdown]
# <details><summary>Hint</summary>
# <code>pairs.count((0, 1))</code> counts label 0 with prediction 1. If there is neither spam nor
# an alarm the fraction is 0 / 0: <code>max(1, …)</code> below it avoids that.
# </details>
#
# ## What if the test set had been another?
# An accuracy on $n$ messages is a measurement, and another $n$ messages would give another one. If
# the true share of right answers is $p$, each answer has variance $p(1-p)$ and the mean of $n$ has
# $p(1-p)/n$. In 95 % of cases the measured share is within 1.96 standard deviations of $p$.
#
# **Exercise 2, own code.** Write `half_width(accuracy, messages)`: half the width of the 95 %
# interval, as a share.
# %%
import math


# %% exercise="09.half_width"
def half_width(accuracy, messages):
    """Half the width of the 95 % interval of an accuracy, as a share."""
    # <solution>
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / messages)
    # </solution>
    # <student>
    # ...  # your code
    # </student>


check("09.half_width", half_width)
# %% [markdown]
# <details><summary>Hint</summary>
# Variance of one answer, divided by the number of messages, square root, times 1.96. For accuracy
# 0.9 on 400 messages it is about 0.029, that is ± 2.9 points.
# </details>
#
# Our messages were made from templates, and messages of one template tend to be right or wrong
# together. In other words, 515 of them tell less than 515 strangers would, and the formula's
# interval is too narrow. The intervals below draw whole families of messages again and again, and
# look how much the score moves.
#
# ## What if the seed had been another?
# The seed decides where the head and $A$ start and in which order the batches come. So it is a
# second kind of luck. Look at the five seeds:
# %%
from statistics import stdev

from lora_edu.evaluation import predictions_of
from lora_edu.tasks import METHODS

accuracies = {
    method: [(run == truth).double().mean().item() for run in predictions_of(record, method=method)]
    for method in METHODS
}
for method, found in accuracies.items():
    each = ", ".join(f"{100 * value:.1f} %" for value in found)
    print(f"{method:4} | {each} | standard deviation {100 * stdev(found):.1f} points")
# %% [markdown]
# The mean of five varies by $s / \sqrt 5$, where $s$ is the standard deviation between seeds. With
# only five seeds, $s$ itself is uncertain. To allow for that we multiply by 2.776, Student's $t$ for
# five values, instead of 1.96.
#
# Two methods with the same seed see the same batches in the same order. If a seed is bad for both,
# that cancels in their *difference*. So a fair comparison takes the differences first, seed by
# seed, and their $s$.
#
# **Exercise 3, own code.** Write `paired(first, second)`: given the five accuracies of each method,
# return half the width of the 95 % interval of the mean difference.
# %% exercise="09.paired"
def paired(first, second):
    """Half the width of the 95 % interval of the mean difference, from five seeds."""
    # <solution>
    differences = [a - b for a, b in zip(first, second)]
    return 2.776 * stdev(differences) / math.sqrt(5)
    # </solution>
    # <student>
    # ...  # your code; stdev is imported above
    # </student>


check("09.paired", paired)
# %% [markdown]
# <details><summary>Hint</summary>
# First a list of five differences. Then their standard deviation by <code>stdev</code>, times
# 2.776, divided by the square root of 5.
# </details>
#
# ## Which method is better?
# `summarise` and `compare` put both kinds of luck together. Half the width is
# $\sqrt{(2.776 \, s / \sqrt 5)^2 + (1.96 \, s_\text{sample})^2}$.
# %%
from lora_edu.evaluation import accuracy_score, compare, f1_score, summarise

groups = torch.tensor(record["about"]["test_groups"])  # the family of each message

print("method | accuracy, 95 % interval  | F1     95 % interval    | from seeds | from the sample")
for method in METHODS:
    runs = predictions_of(record, method=method)
    a, f = (summarise(truth, runs, s, groups=groups) for s in (accuracy_score, f1_score))
    print(
        f"{method:6} | {100 * a.value:.1f} % ({100 * a.low:.1f} % to {100 * a.high:.1f} %) | "
        f"{f.value:.3f} ({f.low:.3f} to {f.high:.3f}) | "
        f"±{100 * a.seed_sd:.1f} pts   | ±{100 * a.sample_sd:.1f} pts"
    )
# %% [markdown]
# Now the question that everybody asks.
# %%
question = "On this task, is full fine-tuning better than LoRA?"
versus = predict(question, ["full", "LoRA", "not shown"])
versus
# %%
pair = predictions_of(record, method="full"), predictions_of(record, method="lora")
gap = compare(truth, *pair, accuracy_score, groups=groups)
low, high = 100 * gap.low, 100 * gap.high
print(f"full minus LoRA: {100 * gap.value:+.1f} points ({low:+.1f} to {high:+.1f})")
yours = paired(accuracies["full"], accuracies["lora"])
from_seeds = 2.776 * gap.seed_sd / math.sqrt(5)
told = "not tried yet" if yours is None else f"±{100 * yours:.1f}"
print(f"from the luck of the seeds alone: ±{100 * from_seeds:.1f} points; by your paired: {told}")
verdict = "full" if gap.low > 0 else "LoRA" if gap.high < 0 else "not shown"
reveal(versus, verdict, because="the interval of the difference decides, not the larger mean")
# %% [markdown]
# "Not shown" is not "equal". The true difference could be several points either way, and only more
# seeds or more messages would tell. Which of the two you need, the last two columns of the table
# say.
#
# ## What deserves the credit?
# A good score shows that *something* worked. A **control** takes one thing away and looks what is
# left:
#
# - **head alone**, on the same base: what is left without LoRA?
# - **words and pairs**, a logistic regression on which words and pairs of neighbours occur: what is
#   left without a GPT? It is the dashed line.
# - **random base**: what is left without pre-training?
# - **shuffled labels**: what is left if there is nothing to learn?
# - **all spam**, which calls every message spam: what does F1 give for no work at all?
# %%
question = "Does LoRA on the pre-trained GPT beat counting words and pairs?"
credit = predict(question, ["yes", "no", "not shown"])
credit
# %%
import json

from lora_edu.plots import bar_chart, show

settings = {m: {"method": m} for m in METHODS}
settings |= {f"{m}\nrandom\nbase": {"base": "random", "method": m} for m in METHODS}
settings["lora\nshuffled\nlabels"] = {"labels": "random", "method": "lora"}
scores = {
    name: summarise(truth, predictions_of(record, **key), f1_score, groups=groups)
    for name, key in settings.items()
}
baselines = json.loads(data_path("results", "baselines.json").read_text())
words = baselines[SOURCE]["words_and_pairs"]
by_words = digits(words["predicted"])[None]  # one run
over = compare(truth, predictions_of(record, method="lora"), by_words, f1_score, groups=groups)
verdict = "yes" if over.low > 0 else "no" if over.high < 0 else "not shown"
print(f"LoRA minus words and pairs: F1 {over.value:+.3f} ({over.low:+.3f} to {over.high:+.3f})")
# %%
reveal(credit, verdict, because="the interval of the paired difference decides here, too")
# %% tags=["withheld"]
# @title What it does: F1 of each method and control, with intervals
heading = {"yes": "LoRA beats", "no": "LoRA is behind", "not shown": "LoRA is not shown to beat"}
title = f"{heading[verdict]} words and pairs"
precision = truth.double().mean().item()  # of calling all spam; its recall is 1
all_spam = {"all\nspam": 2 * precision / (1 + precision)}
chart = bar_chart(
    {name: score.value for name, score in scores.items()} | all_spam,
    intervals={name: (score.low, score.high) for name, score in scores.items()},
    reference=("words and pairs", words["f1"][0]),
    label_format="{:.2f}",
    title=title,
    y_label="F1 of spam on the test part",
)
alt = "F1 of head-only, LoRA and full; of the three from a random base; of two more controls"
show(chart, alt=f"{alt}, beside a model of words and pairs. {title}.")
# %%
CONTROLS = {
    "LoRA minus head alone": ({"method": "lora"}, {"method": "head"}),
    "head minus head on a random base": ({"method": "head"}, {"method": "head", "base": "random"}),
    "LoRA minus LoRA on a random base": ({"method": "lora"}, {"method": "lora", "base": "random"}),
    "full minus full on a random base": ({"method": "full"}, {"method": "full", "base": "random"}),
}
for name, (first, second) in CONTROLS.items():
    pair = predictions_of(record, **first), predictions_of(record, **second)
    gain = compare(truth, *pair, f1_score, groups=groups)
    told = "shown" if gain.low > 0 or gain.high < 0 else "not shown"
    print(f"{name:32} | F1 {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) | {told}")
# %% [markdown]
# The last line is worth a closer look. A gain of 0.09 is not small, so why is it not shown?
# %%
alike = torch.ones(len(truth))  # every message counts once
for base in ("mini", "random"):
    found = f1_score(truth, predictions_of(record, method="full", base=base), alike)
    each = ", ".join(f"{score:.3f}" for score in sorted(found.tolist()))
    print(f"full, base {base:6} | F1 of the five seeds: {each}")
# %% [markdown]
# On the random base one seed went wrong, and it widens the interval until "not shown" says no more
# than that. Always look at the single runs.
#
# One more warning: with some dozen intervals at 95 %, you must expect one of them to miss the truth
# by luck alone. Say how many comparisons you made, not only the one that came out well.
#
# **Takeaway:** what LoRA adds is its distance from the head on the same base, and that is shown
# here. What the GPT adds over counting words is not: on messages like these, which words occur
# tells nearly all. A comparison earns trust by a learning rate for each method, several seeds,
# paired differences with intervals, and controls that could have embarrassed it.
#
# ## Three sentences to remember
# 1. A number without an interval, seeds and controls is an anecdote.
# 2. Compare two methods by their paired differences, and call a difference shown only if its
#    interval leaves out zero.
# 3. "Not shown" is an honest answer, and it is not "equal".
#
# ## Five questions
# 1. When is 95 % accuracy worthless?
# 2. Why does the interval widen when messages come in families?
# 3. Why multiply by 2.776 and not by 1.96 with five seeds?
# 4. Pre-training is shown to help LoRA and not shown to help full fine-tuning. Does it help LoRA
#    more?
# 5. Two methods differ by one point on 300 messages. What would you do before you tell anyone?
#
# <details><summary>Answers</summary>
# (1) Where 95 % of the cases are of one class. (2) Those of one family are right or wrong together,
# so they count for fewer than they are. (3) Five seeds know their own spread only roughly.
# (4) That is not known: for it, the gains themselves would have to be compared. (5) Look at the
# interval of the paired difference over several seeds, and add what its larger part asks for: more
# seeds, or more messages.
# </details>
#
# ## Where next
# Use it on the question of what is forgotten: [Fine-tune a
# generator](06_finetune_a_generator.ipynb).
#
# ## Further reading
# - Efron 1979, [Bootstrap methods](https://doi.org/10.1214/aos/1176344552): drawing the sample again
# - Student 1908, [The probable error of a mean](https://doi.org/10.2307/2331554)
# - Zhang et al. 2017, [Understanding deep learning requires rethinking
#   generalization](https://arxiv.org/abs/1611.03530): given many passes, networks learn even
#   shuffled labels by heart; our runs have less than one
# - Almeida et al. 2011, [SMS Spam Collection](https://doi.org/10.1145/2034691.2034742)
