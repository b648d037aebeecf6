# %% [markdown]
# # Fine-tune a generator
#
# Teach a small GPT to say what it is told, and to talk like a pirate; then find what it forgot.
#
# **You will be able to**
# - turn data and sentences into training rows whose loss counts the sentence alone
# - draw text from a model, and say what temperature and top-k do to it
# - judge generated text: slot errors, BLEU, perplexity, and what each of them does not see
# - compare a prompt, LoRA and full fine-tuning, each at its own learning rate, over several seeds
# - measure what was forgotten, with the adapter on and off, and read a learning-forgetting curve
#
# **You need** notebook 03, or: you know that LoRA adds a small trainable update beside frozen
# layers. The last part of notebook 05 explains the intervals.
#
# **Time:** 50 minutes to read and try; running all cells takes about 50 seconds on a CPU with two
# cores (estimate for a GPU: 20 seconds).
# %% bootstrap
# %% [markdown]
# ## The task
# A machine knows something, as a list of **slots**, and shall say it in a sentence: a weather
# report, a summary of a form. The bundled set was written for this course and is about places to
# eat. For real data change one word: `"real"` fetches the E2E NLG set, on which the LoRA paper
# tested GPT-2. What you train, what it forgets, and the first table of results are then of that
# set; the adapters that ship, and the recorded curves at the end, stay with the bundled one.
# %%
import torch

from lora_edu import choose_device, generate_text, load_menu, load_pretrained, load_tokenizer

SOURCE = "bundled"  # or "real"
data = load_menu(SOURCE)
device = choose_device()  # a GPU if there is one
encoding, base = load_tokenizer("mini"), load_pretrained("mini", device=device)
for pair in data.train[:2]:
    print(f"meaning:  {pair.meaning}\nsentence: {pair.sentence}\n")
print({part: len(rows) for part, rows in data._asdict().items()})
# %% [markdown]
# In the test part each meaning stands once, with all the sentences that were written for it, the
# **references**. The base has read stories, and nothing like this. Let it try: the meaning and a
# line break are the *prompt*.
# %%
from lora_edu.datasets import prompt

meaning = data.test[0].meaning
print("prompt:   ", meaning)
for reference in data.test[0].references[:3]:
    print("reference:", reference)
written = generate_text(base, encoding, prompt(meaning), 25)[len(prompt(meaning)) :]
print("the base: ", " ".join(written.split()))
# %% [markdown]
# ## What the loss counts
# A language model is trained on the *next* token: at each position it is asked which one follows.
# But the meaning will always be given, so there is no need to learn to write meanings. The
# positions where the next token belongs to the prompt get the target -100, which
# `torch.nn.functional.cross_entropy` ignores. This is **prompt masking**. It is the custom, and a
# choice: Shi et al. (2024) find that to count the prompt as well can help, most of all where
# prompts are long, answers short and examples few.
#
# A worked example without a mask: for the text 5 6 7 8 the input is 5 6 7, the targets are 6 7 8.
#
# **Exercise 1, fill in.** The text is prompt (its line break included), sentence and an end of
# text; the input is all of it but the last token. Give the targets, as a list.
# %% exercise="06.mask"
from lora_edu.exercises import check


def mask(prompt_ids, sentence_ids, end):
    """Targets of the input prompt_ids + sentence_ids; -100 where nothing counts."""
    # <solution>
    hidden = [-100] * (len(prompt_ids) - 1)
    return hidden + sentence_ids + [end]
    # </solution>
    # <student>
    # hidden = ...  # a list with a -100 for each position that does not count
    # return ...  # hidden, and what counts
    # </student>


masking = check("06.mask", mask)
masking
# %% [markdown]
# <details><summary>Hint</summary>
# With three tokens in the prompt, positions 1 and 2 have a next token that belongs to the prompt.
# Position 3 does not: its next token is the first of the sentence.
# </details>
# %% [markdown]
# The parity cell: the course's `generation_rows` masks the same positions. (Until yours passes, it
# compares the course's with itself.)
# %%
from lora_edu import Batches, generation_rows
from lora_edu.datasets import Split

TOKENS = 128
parts = (data.train[:2000], data.validation, data.test)  # the real set has 20 times as many
rows = Split(*(generation_rows(part, encoding, TOKENS) for part in parts))
same = 0
for pair, row in zip(data.train[:50], rows.train):
    ids = encoding.encode_ordinary(prompt(pair.meaning)), encoding.encode_ordinary(pair.sentence)
    mine = mask(*ids, encoding.eot_token) if masking.passed else row.target
    same += int(list(mine) == row.target)
print(f"the same targets in {same} of 50 rows")
# %%
from lora_edu.widgets import predict, reveal

share = predict("Of 100 tokens that the model reads in training, how many does the loss count?")
share
# %%
read = sum(len(row.token_ids) for row in rows.train)
counted = sum(target != -100 for row in rows.train for target in row.target)
reveal(share, round(100 * counted / read), because="the rest is meaning, which is only read")
# %% [markdown]
# ## Draw the next token
# A language model gives a probability to each token. To write, one has to choose:
#
# - always the likeliest, which is called **greedy**: the same text each time, and often a loop.
#   Below it is written $T = 0$
# - a draw, after the logits were divided by a **temperature** $T$: $p \propto e^{z / T}$. Below 1
#   the likely get likelier; above 1 all become more alike
# - a draw among the $k$ likeliest only, **top-k**: what is far down the list is mostly nonsense,
#   but there is a lot of it, and its probabilities add up
#
# A worked example: for logits 2 and 0, $T = 1$ gives 0.88 and 0.12, $T = 2$ gives 0.73 and 0.27.
#
# **Exercise 2, own code.** Write `probabilities(logits, temperature, top_k)` for one row of logits.
# `top_k` is at most the number of tokens; equal logits need no thought.
# %% exercise="06.sample"
def probabilities(logits, temperature, top_k):
    """What the next token is drawn from; logits is a tensor with one number for each token."""
    # <solution>
    weakest = logits.topk(top_k).values[-1]
    hidden = logits.masked_fill(logits < weakest, float("-inf"))
    return (hidden / temperature).softmax(-1)
    # </solution>
    # <student>
    # ...  # your code
    # </student>


sampling = check("06.sample", probabilities)
sampling
# %% [markdown]
# <details><summary>Hint</summary>
# <code>logits.topk(top_k).values[-1]</code> is the smallest logit that stays. A logit of minus
# infinity has probability 0: <code>logits.masked_fill(condition, float("-inf"))</code>. Softmax
# comes last.
# </details>
# %% [markdown]
# The parity cell draws twenty tokens with yours and with the course's `generate`.
# %%
from lora_edu import generate

if not sampling.passed:

    def probabilities(logits, temperature, top_k):
        hidden = logits.masked_fill(logits < logits.topk(top_k).values[-1], float("-inf"))
        return (hidden / temperature).softmax(-1)


OPENING = "Once upon a time there was a"
ids = torch.tensor([encoding.encode_ordinary(OPENING)], device=device)
with torch.no_grad():
    logits = base(ids)[0, -1].float()
agree = 0
for seed in range(20):
    dice, other = (torch.Generator(device).manual_seed(seed) for _ in range(2))
    mine = torch.multinomial(probabilities(logits.clone(), 0.8, 20), 1, generator=dice)
    theirs = generate(base, ids, 1, temperature=0.8, top_k=20, generator=other)[0, -1]
    agree += mine.item() == theirs.item()
print("the same token at least 19 times out of 20:", agree >= 19)  # rounding may flip one draw
# %%
from lora_edu.plots import Line, line_chart, show

temperatures, places = (0.5, 1.0, 2.0), range(1, len(logits) + 1)
lines, inside = [], {}
for t in temperatures:
    ranked = probabilities(logits.clone(), t, len(logits)).sort(descending=True).values.cpu()
    together = 100 * ranked.cumsum(0)
    lines.append(Line(f"T = {t:g}", places, together, points=False))
    inside[t] = f"{together[9].item():.0f} % at T = {t:g}"
title = f"The ten likeliest tokens hold {inside[0.5]}, {inside[2.0]}"
label = f"how many of the likeliest tokens, of {len(logits):,}"
y_label = "their probabilities, summed (%)"
chart = line_chart(lines, title=title, x_label=label, y_label=y_label, x_log2=True)
chart.axes[0].axvline(10, color="#555555", linestyle=":")
chart.axes[0].text(10, 2, " 10", fontsize=8)
show(chart, alt=f"Summed probability of the likeliest tokens, a line for each T. {title}.")
# %%
for temperature, top_k in ((0.0, None), (0.7, None), (2.0, None), (2.0, 5)):
    print(f"T = {temperature:g}, top-k {top_k}")
    for seed in (1, 2) if temperature else (1,):
        dice = torch.Generator(device).manual_seed(seed)
        settings = {"temperature": temperature, "top_k": top_k, "generator": dice}
        print("  ", " ".join(generate_text(base, encoding, OPENING, 22, **settings).split()))
# %% [markdown]
# **Takeaway:** a high temperature lets in what is far down the list, and top-k shuts it out again.
# **Modify:** which temperature and which top-k would you choose for stories? And for sentences that
# must be true? Below, where a sentence must say its meaning, the choice is greedy: no dice.
#
# ## Judge what was written
# The loss says how likely the reference was. It does not say whether what the model *writes* is
# true. So count, slot by slot, against what was meant:
#
# | kind | meant | said |
# |---|---|---|
# | missing | the slot | nothing of it |
# | wrong | the slot | another value of it |
# | added | no such slot, or one value of it | a value of it, or one more |
#
# **Exercise 3, own code.** Write `count(meant, said)` for two dictionaries from slot to value: how
# many slots are missing, wrong, and added? A slot counts once.
# %% exercise="06.slots"
def count(meant, said):
    """(missing, wrong, added) of two dictionaries {slot: value}."""
    # <solution>
    missing = sum(slot not in said for slot in meant)
    wrong = sum(slot in said and said[slot] != value for slot, value in meant.items())
    added = sum(slot not in meant for slot in said)
    return missing, wrong, added
    # </solution>
    # <student>
    # ...  # your code
    # </student>


counting = check("06.slots", count)
counting
# %% [markdown]
# <details><summary>Hint</summary>
# Go through <code>meant.items()</code> once: is the slot in <code>said</code>, and if so, with the
# same value? Then go through <code>said</code>: was the slot meant at all?
# </details>
# %% [markdown]
# To read a sentence, `lora_edu/tasks/slots.py` has a pattern for each value of each slot: the phrases
# that say it. The **slot error rate** is all errors over all slots meant; a text that makes up
# many can have more than 100 %. It goes a step further than your `count`: where a text says two
# values of one slot, the second cannot be true as well and counts as added. Check a measure before
# you trust it: what does it say of the references? And does your `count` agree with it? (Until
# yours passes, the course's count is compared with itself. A dictionary holds one value a slot, so
# texts with two would be passed over.)
# %%
from lora_edu.datasets import parse_meaning
from lora_edu.tasks import e2e_patterns, menu_patterns, said_slots, slot_error_rate, slot_errors

every = [pair.meaning for part in data for pair in part]
patterns = menu_patterns() if SOURCE == "bundled" else e2e_patterns(every)
example = data.test[0]
print("it reads: ", said_slots(example.sentence, patterns))
print("it counts:", slot_errors(example.meaning, example.sentence, patterns))
menu, words = load_menu(), menu_patterns()  # the bundled set, where words are few
agree = asked = 0
for pair, other in zip(menu.test[:50], menu.test[1:51]):  # another's sentence has errors to count
    theirs = slot_errors(pair.meaning, other.sentence, words)[1:]
    said = said_slots(other.sentence, words)
    if all(len(values) == 1 for values in said.values()):
        single = {slot: next(iter(values)) for slot, values in said.items()}
        mine = count(parse_meaning(pair.meaning), single) if counting.passed else theirs
        agree, asked = agree + int(tuple(mine) == theirs), asked + 1
print(f"the same count in {agree} of {asked} sentences")
# %%
of_references = [
    slot_errors(pair.meaning, reference, patterns)
    for pair in data.test[:100]
    for reference in pair.references
]
print(f"slot error rate of {len(of_references)} references: {slot_error_rate(of_references):.1%}")
twice = f"{example.sentence} {example.sentence}"
print("one of them, said twice:", slot_errors(example.meaning, twice, patterns))
# %% [markdown]
# On the bundled set the references are perfect, which says nothing about the patterns: a program
# wrote them from the same list of phrases. On the real set they are not: people leave slots out,
# and no list holds all their ways of saying something. What the references score there is a
# yardstick. And a sentence that is said twice has no errors at all: this measure does not see
# repetition.
#
# **BLEU** is the older measure: for runs of one, two, three and four words, the share of the text's
# runs that stand in a reference, each counted at most as often as it stands there; then the
# geometric mean of the four, from 0 to 100, with a penalty for texts that are too short. It sees
# what slot errors do not: said twice, the test set's own references score 49 instead of 100. But it
# cannot tell a wrong price from another wording: those that say *cheap* still score 87 if they say
# *expensive* instead. (Both figures come from `tests/unit/test_sweep_generator.py`.) Together the
# two measures say more than either.
#
# ## What was tried before
# Each way of training has its own learning rate, found on validation; that takes many runs, so they
# were made beforehand. The record names the command that made it. (The file of stories that it asks
# for is the one used for pre-training, whose last part was held out; it does not ship.) Here we
# only read it.
# %%
from lora_edu import data_path
from lora_edu.evaluation import read_record, runs_of

files = {name: data_path("results", f"generator_{name}.json") for name in ("bundled", "real")}
results = {name: read_record(file) for name, file in files.items()}
record = results[SOURCE]
print(record["command"])
about = record["about"]
print(f"{about['steps']['menu']} steps of {about['batch_rows']} rows each\n")
TRAINED = {"LoRA": {"method": "lora", "rank": 8}, "full": {"method": "full"}}
rates = {}
for name, key in TRAINED.items():
    tried = {}  # learning rate → validation losses, one for each seed
    for run in runs_of(record, stage="tune", task="menu", **key):
        tried.setdefault(run["key"]["lr"], []).append(run["validation_loss"])
    tried = {lr: sum(losses) / len(losses) for lr, losses in sorted(tried.items())}
    rates[name] = min(tried, key=tried.get)
    losses = ", ".join(f"{lr:g}: {loss:.3f}" for lr, loss in tried.items())
    print(f"{name:4} | best {rates[name]:g} | validation loss by learning rate | {losses}")
# %% [markdown]
# ## Train one yourself
# LoRA and full fine-tuning, each at its rate, 50 steps each: a taste of the record. `prepare_menu` does
# for LoRA what you know: freeze, then put updates of rank 8 beside the layers of the blocks. Alpha
# is twice the rank, with the scaling alpha / rank, so $xAB$ is multiplied by 2. Nothing else is
# new: the head stays, as it is what writes.
# %%
from lora_edu import count_parameters, fit, mean_loss, next_token_loss
from lora_edu.tasks import prepare_menu

validation = Batches(rows.validation[:50], 32, shuffle=False)
LIVE_STEPS = 50
models, histories = {}, {}


# %%
def train(name):
    """One run with seed 0 at the recorded rate."""
    models[name] = load_pretrained("mini", device=device)
    prepare_menu(models[name], TRAINED[name]["method"], rank=8, seed=0)
    histories[name] = fit(
        models[name],
        Batches(rows.train, 16, seed=0),
        next_token_loss,
        lr=rates[name],
        steps=LIVE_STEPS,
        evaluate=lambda model: {"validation_loss": mean_loss(model, validation)},
        eval_every=LIVE_STEPS // 5,
    )


# %%
in_base = count_parameters(base).total
for name in TRAINED:
    train(name)
    learning = count_parameters(models[name]).trainable
    print(f"{name:4} | {learning:9,} numbers learn ({learning / in_base:.1%} of the base's)")
before = mean_loss(base, validation)
for name, history in histories.items():
    fell = before - history.evaluations[-1]["validation_loss"]
    print(f"{name:4} | validation loss fell by more than 2 nats per token: {fell > 2}")
# %%
lines = []
for name, history in histories.items():
    points = [(row["step"], row["validation_loss"]) for row in history.evaluations]
    lines.append(Line(name, *zip((0, before), *points)))
title = "The loss falls fast; whether the sentences are true is another matter"
chart = line_chart(lines, title=title, x_label="step", y_label="validation loss (nats per token)")
show(chart, alt=f"Validation loss of LoRA and of full fine-tuning over steps: both fall. {title}.")
# %% [markdown]
# And what do they write? Machines round differently, so your sentences may differ from those that
# are stored here. On the bundled set the third line is an adapter that ships with the course,
# rank 8 and 376 steps. Read like a judge: which slots are missing, which are made up, what is said
# twice?
# %% tags=["nbval-ignore-output"]
import textwrap

from lora_edu import attach, load_adapter
from lora_edu.tasks import write_sentences

shipped = load_pretrained("mini", device=device)
attach(shipped, load_adapter(data_path("adapters", "menu")))
print("slots: ", ", ".join(words))
print(textwrap.fill(f"dishes: {', '.join(words['dish'])}", 92), "\n")
asked_for = [data.test[3].meaning, data.test[100].meaning]
writers = dict(models)
if SOURCE == "bundled":
    writers["shipped adapter"] = shipped
    asked_for[1] = "name[Old Oak], dish[carrot cake], children[no]"
for meaning in asked_for:
    print(meaning)
    for name, model in writers.items():
        print(f"  {name}: {write_sentences(model, encoding, [meaning])[0]}")
# %% [markdown]
# **Make:** put a meaning of your own into the loop. What happens with a dish that is not on the
# list, say `dish[roast moon]`?
#
# ## Side by side
# Now the recorded comparison, on the test part, several seeds each:
#
# - **base**: just the prompt
# - **prompt**: two or three examples from the training part stand before the prompt. This costs no
#   training at all, and every learner should ask what it gives before training anything
# - **LoRA** and **full**
#
# The *perplexity* in the table is $e$ to the power of the test loss: among so many equally likely
# tokens the model hesitates. Exercise 4 computes one.
# %%
GUESSES = ["the prompt with examples", "LoRA", "full fine-tuning", "the data cannot tell"]
fewest = predict("Which way makes the fewest slot errors, by more than chance?", GUESSES)
fewest
# %%
import math
from statistics import mean, stdev

from lora_edu.evaluation import digits, summarise
from lora_edu.tasks import error_rate_score

WAYS = {"base": {"method": "base"}, "prompt": {"method": "prompt"}, **TRAINED}


# %%
def finals(record, task="menu", **key):
    """The final runs of one way, one for each seed; the base draws nothing and has one run."""
    return runs_of(record, stage="final", task=task, **key)


def spread(runs, measure, digits=3):
    """Mean and standard deviation over seeds."""
    values = [run[measure] for run in runs]
    after = f"± {stdev(values):.{digits}f}" if len(values) > 1 else "(one run)"
    return f"{mean(values):6.{digits}f} {after:9}"


def wrong_slots(record, **key):
    """Slot errors of each test sentence, (seeds, meanings)."""
    return torch.stack([digits(run["errors"]) for run in finals(record, **key)])


# %%
def side_by_side(record, ways):
    """Prints the table; returns the slot error rates with their intervals."""
    slots, rates = digits(record["about"]["test_slots"]), {}
    print("way    | test loss        | perplexity | BLEU             | slot errors (95 % interval)")
    for name, key in ways.items():
        runs = finals(record, **key)
        rate = summarise(slots, wrong_slots(record, **key), error_rate_score, highest=math.inf)
        rates[name] = rate
        hesitates = math.exp(mean(run["test_loss"] for run in runs))
        print(
            f"{name:6} | {spread(runs, 'test_loss')} | {hesitates:10.1f} |"
            f" {spread(runs, 'bleu', 1)} | {rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"
        )
    return rates


error_rates = side_by_side(record, WAYS)
# %%
from lora_edu.evaluation import compare

slots = digits(record["about"]["test_slots"])
errors = {name: wrong_slots(record, **key) for name, key in WAYS.items()}
gap = compare(slots, errors["LoRA"], errors["full"], error_rate_score, highest=math.inf)
points = [f"{100 * value:+.1f}" for value in (gap.value, gap.low, gap.high)]
print("slot errors, LoRA minus full: {} percentage points ({} to {})".format(*points))
trained_best = GUESSES[1] if gap.high < 0 else GUESSES[2] if gap.low > 0 else GUESSES[3]
asked = error_rates["prompt"].value < min(error_rates["LoRA"].value, error_rates["full"].value)
reveal(
    fewest,
    GUESSES[0] if asked else trained_best,
    because="the interval of the paired difference decides between the two that train",
)
# %%
from lora_edu.plots import bar_chart, line_style

values = ", ".join(f"{name} {100 * rate.value:.0f} %" for name, rate in error_rates.items())
helps = error_rates["prompt"].high < error_rates["base"].low
title = "Training teaches the task" + ("" if helps else "; examples in the prompt do not")
chart = bar_chart(
    {name: 100 * rate.value for name, rate in error_rates.items()},
    intervals={name: (100 * rate.low, 100 * rate.high) for name, rate in error_rates.items()},
    title=title,
    y_label="slot errors (% of the slots meant)",
    label_format="{:.1f}",
)
show(chart, alt=f"Slot errors, four bars with intervals: {values}. {title}.")
# %% [markdown]
# **Takeaway:** what training is worth is the distance from the best way without it. Ours, which has
# read nothing but stories, takes nothing from examples; large models take a lot, and there the
# prompt is the first thing to try. And a low loss does not promise a true sentence: compare the
# perplexity of LoRA with its slot errors. Nor does BLEU: on the bundled set LoRA's and full
# fine-tuning's are as close as their seeds, while LoRA makes three times as many slot errors.
#
# **Investigate:** what was said of the bundled set, by seed 0 of each way? Choose another number
# below 20.
# %%
NUMBER = 5
bundled, meaning = results["bundled"], menu.test[NUMBER].meaning
print("meant: ", meaning)
for name, key in WAYS.items():
    sentence = finals(bundled, **key)[0]["sentences"][NUMBER]
    kinds = slot_errors(meaning, sentence, words)
    print(textwrap.fill(f"{name:6}: {sentence}", 100, subsequent_indent=" " * 8))
    print(f"        missing {kinds.missing}, wrong {kinds.wrong}, added {kinds.added}")
# %% [markdown]
# ## Another voice
# The second task changes not what is said, but how: tales in a pirate's voice. Nothing is masked
# here, as there is no prompt. One base, and an adapter of a third of a megabyte. Look for the
# voice, not for sense: a model of this size has little of it.
# %%
from lora_edu import detach

detach(shipped)
OPENINGS = ("One day, the captain", "There was a little girl")
for name in ("base", "pirate"):
    if name == "pirate":
        attach(shipped, load_adapter(data_path("adapters", "tales")))
    for opening in OPENINGS:
        text = generate_text(shipped, encoding, opening, 40)
        print(textwrap.fill(f"{name:6}: {' '.join(text.split())}", 92), "\n")
# %%
# Here "prompt" means: a whole tale stands before the one that is judged.
voice = {name: finals(bundled, "voice", **key) for name, key in WAYS.items()}
print("way    | loss on tales    | perplexity")
for name, runs in voice.items():
    hesitates = math.exp(mean(run["test_loss"] for run in runs))
    print(f"{name:6} | {spread(runs, 'test_loss')} | {hesitates:10.1f}")
# %% [markdown]
# **Takeaway:** here too a prompt gives nothing, and full fine-tuning is a little ahead of LoRA.
#
# ## What was forgotten
# The base could tell stories. Can it still? Perplexity on stories, before and after, answers that.
# The text must be one that the base has not read, or we would measure memory. So it is measured
# twice: live on ten stories written for this course, and in the record on 64 stories that were held
# out of pre-training, which are not ours to ship. (The ten are harder for the base, being by
# another hand; only changes count.) The base's own samples would not do: it finds whatever it wrote
# itself likely, so any change would look like a loss.
#
# **Exercise 4, own code.** From the summed loss of each story in nats, and its number of tokens,
# compute the perplexity over all tokens: $\exp(\text{nats per token})$.
# %% exercise="06.perplexity"
def perplexity(nats, tokens):
    """Perplexity over all tokens; two lists, one number for each story."""
    # <solution>
    return math.exp(sum(nats) / sum(tokens))
    # </solution>
    # <student>
    # ...  # your code
    # </student>


measured = check("06.perplexity", perplexity)
measured
# %% [markdown]
# <details><summary>Hint</summary>
# All nats over all tokens is the mean loss; <code>math.exp</code> of it is the perplexity.
# </details>
# %%
from lora_edu import load_stories, merge, same_bits, set_strength, text_rows, unmerge

if not measured.passed:

    def perplexity(nats, tokens):
        return math.exp(sum(nats) / sum(tokens))


stories = text_rows(load_stories(), encoding, 256)
tokens = [len(row.target) for row in stories]


def on_stories(model):
    """Perplexity on the ten stories that ship."""
    losses = [mean_loss(model, Batches([row], 1)) for row in stories]
    return perplexity([loss * count for loss, count in zip(losses, tokens)], tokens)


# %%
outcomes = ["finds stories as likely as before", "finds stories less likely"]
question = "LoRA froze every weight of the base and learnt menus. With the adapter on, the model"
after = predict(question, outcomes)
after
# %% [markdown]
# **Exercise 5.** And which of these models tells stories *exactly* as the base does: LoRA with the
# adapter on, with the adapter off, merged into the weights, or full fine-tuning?
# %% exercise="06.forgot"
# <solution>
as_before = {"adapter on": False, "adapter off": True, "merged": False, "full": False}
# </solution>
# <student>
# as_before = {"adapter on": ..., "adapter off": ..., "merged": ..., "full": ...}  # True or False
# </student>
check("06.forgot", as_before)
# %% [markdown]
# <details><summary>Hint</summary>
# Write down for each which numbers the forward pass uses: the base's weights alone, or with
# something added?
# </details>
# %%
found = {"base": on_stories(base), "full": on_stories(models["full"])}
found["LoRA,\nadapter on"] = on_stories(models["LoRA"])
set_strength(models["LoRA"], 0.0)
found["LoRA,\nadapter off"] = on_stories(models["LoRA"])
ids = torch.tensor([stories[0].token_ids], device=device)
with torch.inference_mode():
    exactly = same_bits(models["LoRA"].eval()(ids), base.eval()(ids))
set_strength(models["LoRA"], 1.0)
merge(models["LoRA"])
found["LoRA,\nmerged"] = on_stories(models["LoRA"])
unmerge(models["LoRA"])
print("adapter off: the logits are the base's, bit for bit:", exactly)
harder = found["LoRA,\nadapter on"] > 1.5 * found["base"]
reason = "the update is added to any text" if harder else "so little training moves little"
reveal(after, outcomes[1] if harder else outcomes[0], because=reason)
# %%
title = "With the adapter off nothing is forgotten" + ("; with it on, much is" if harder else "")
chart = bar_chart(found, title=title, y_label="perplexity on ten stories", label_format="{:.0f}")
alt = "Perplexity on stories of the base, of full, and of LoRA with its adapter on, off and merged"
show(chart, alt=f"{alt}. {title}.")
# %% [markdown]
# **Takeaway:** "the base has forgotten" is true of full fine-tuning, and of a merged adapter: our
# `unmerge` gives the base back only because `merge` kept the old weights in memory; a merged file
# has none. With the adapter off the base is there, bit for bit. But while the adapter is *on*, it
# changes whatever the model reads. (The tall bar is no verdict on the methods: in these 50 steps
# full fine-tuning has also *learnt* more, see the chart of losses, and at a rate of its own.)
#
# ## Learning against forgetting
# Does LoRA, while it is on, forget less than full fine-tuning? One number each would not answer
# that, as who learns less also forgets less. So here are all recorded rates up to the best: each
# small dot is a run, each line a method, the mean of three seeds. To the left is better learnt,
# below is less forgotten. (Losses, not perplexities: on stories those would run from 8 to over a
# thousand. And the comparisons below share runs: two ranks and three levels on the curves of three
# seeds.)
# %%
question = "At equal learning, which forgets less: full fine-tuning, LoRA, or can't one say so?"
tendency = predict(question, ["LoRA", "full", "can't say"])
tendency
# %%
CURVES = {f"LoRA, rank {rank}": {"method": "lora", "rank": rank} for rank in (8, 32)}
CURVES["full"] = {"method": "full"}
SEEDS = range(3)


def curve(seed, **key):
    """(learning rate, loss on menus, loss on stories) of each run, by rising rate."""
    runs = runs_of(bundled, stage="tune", task="menu", **key)
    runs = sorted((r for r in runs if r["key"]["seed"] == seed), key=lambda r: r["key"]["lr"])
    return [(run["key"]["lr"], run["validation_loss"], run["story_loss"]) for run in runs]


def averaged(curves):
    """The mean of several curves over the same rates."""
    return [tuple(mean(values) for values in zip(*points)) for points in zip(*curves)]


# %%
seeds, means, beyond = {}, {}, {}
for name, key in CURVES.items():
    curves = [curve(seed, **key) for seed in SEEDS]
    whole = averaged(curves)
    best = min(range(len(whole)), key=lambda place: whole[place][1])  # where menus are learnt best
    seeds[name], means[name] = [points[: best + 1] for points in curves], whole[: best + 1]
    beyond[name] = whole[best + 1 :]
untouched = finals(bundled, method="base")[0]["story_loss"]


def forgotten_at(level, points):
    """Loss on stories where a curve reaches `level` on menus, on the line between two runs."""
    for (_, x0, y0), (_, x1, y1) in zip(points, points[1:]):
        if x1 <= level <= x0:
            return y1 + (y0 - y1) * (level - x1) / (x0 - x1)
    raise ValueError(f"the curve does not reach {level}")


# %%
# What every run of every method passes: from the worst of their best losses up to the best of
# their first ones; three levels in between.
all_runs = [points for curves in seeds.values() for points in curves]
low = max(min(x for _, x, _ in points) for points in all_runs)
high = min(points[0][1] for points in all_runs)
levels = [low + part * (high - low) for part in (0.1, 0.5, 0.9)]
less = []  # of each comparison with full fine-tuning of the same seed, whether LoRA forgot less
print(f"loss on stories (before training {untouched:.2f}) where the loss on menus is")
for level in levels:
    at = {name: [forgotten_at(level, points) for points in seeds[name]] for name in seeds}
    told = [f"{name}: {mean(losses):.2f} ± {stdev(losses):.2f}" for name, losses in at.items()]
    print(f"{level:.2f} | " + " | ".join(told))
    for name in list(at)[:-1]:
        less += [mine < full for mine, full in zip(at[name], at["full"])]
verdict = "LoRA" if all(less) else "can't say" if any(less) else "full"
more = len(less) - sum(less)
title = f"Equally well learnt, LoRA forgot more: {more} of {len(less)}, from {len(SEEDS)} seeds"
# %%
chart = line_chart(
    [Line(name, *list(zip(*points))[1:]) for name, points in means.items()],
    title=title,
    x_label="validation loss on menus (nats per token): learning",
    y_label="loss on held-out stories: forgetting",
)
axis = chart.axes[0]
for place, (name, curves) in enumerate(seeds.items()):
    colour = line_style(place, name)["color"]
    for points in curves:
        axis.plot(*list(zip(*points))[1:], ".", color=colour, markersize=4, alpha=0.6)
    for rate, x, y in means[name]:
        aside = {"xytext": ((5, 4), (5, -9), (-6, -9))[place], "textcoords": "offset points"}
        aside["ha"] = "right" if name == "full" else "left"
        axis.annotate(f"{rate:g}", (x, y), fontsize=8, **aside)
axis.margins(x=0.08)  # room for the numbers
axis.axhline(untouched, color="#555555", linestyle=":")
axis.text(axis.get_xlim()[1], untouched, "before training ", va="bottom", ha="right", fontsize=8)
show(chart, alt=f"Loss on stories over loss on menus; the numbers are learning rates. {title}.")
# %%
reveal(tendency, verdict, because="all are compared where they have learnt the same")
worst = {name: max(story for *_, story in some) for name, some in beyond.items() if some}
print("rates above the best learn less; they are not drawn. Their loss on stories goes up to")
print("  " + ", ".join(f"{name} {loss:.1f}" for name, loss in worst.items()))
# %%
print("each at its own best rate, five seeds, test part and held-out stories:")
lower = {f"LoRA, rank {rank}": {"method": "lora", "rank": rank} for rank in (1, 2)}
for name, key in {**lower, **CURVES}.items():
    runs = finals(bundled, **key)
    rise = [run["story_loss"] - untouched for run in runs]
    print(
        f"{name:13} | rate {runs[0]['key']['lr']:<5g} | loss on menus {spread(runs, 'test_loss')}"
        f" | loss on stories up by {mean(rise):.2f} ± {stdev(rise):.2f}"
    )
off = [run["off_is_base"] for run in bundled["runs"] if "off_is_base" in run]
print(f"adapter off equals the base, bit for bit: {sum(off)} of {len(off)} recorded runs")
# %% [markdown]
# From rank 1 to full, each row learns more than the one above it and forgets more. A table like
# this says that who learns more forgets more, not which *method* forgets less. Is it the same for
# the second task, the pirate's voice?
# %%
for name, key in TRAINED.items():
    runs = finals(bundled, "voice", **key)
    rise = [run["story_loss"] - untouched for run in runs]
    print(
        f"{name:4} | rate {runs[0]['key']['lr']:<6g} | loss on tales {spread(runs, 'test_loss')}"
        f" | loss on stories up by {mean(rise):.2f} ± {stdev(rise):.2f}"
    )
at = {name: runs_of(bundled, stage="tune", task="voice", **key) for name, key in TRAINED.items()}
losses = ("validation_loss", "story_loss")
lowest = {loss: min(run[loss] for run in at["LoRA"]) for loss in losses}  # over all its rates
ahead = [run["key"]["lr"] for run in at["full"] if all(run[o] < lowest[o] for o in losses)]
print("full fine-tuning is below the lowest of LoRA's in both losses at the rates:", ahead)
# %% [markdown]
# **Takeaway:** each at its own best rate, LoRA learns less. Whether it then forgets less depends on
# the task: on menus yes, on the pirate's voice no, so that comparison has no answer of its own.
# Where both have learnt the same, LoRA has forgotten more on menus; and on tales full fine-tuning
# at a low rate has learnt more *and* forgotten less than LoRA at any rate tried (one seed a rate).
# This is one small model and two tasks, and no law. Published runs disagree, too:
#
# - Biderman et al. 2024 fine-tuned Llama 2 on code and mathematics: at its usual settings LoRA
#   learnt less and forgot less. Plotted as learning against forgetting (their section 4.3), the two
#   lie on about the same curve
# - the PEFT library's own comparison on mathematics (Llama 3.2 3B, query and value adapted, one
#   rate and one seed each, read in July 2026): full fine-tuning solves 47.2 % of the test and its
#   measure of forgetting is 0.03; LoRA of rank 32 47.8 % and 0.05; rank 64 with the larger scaling
#   of rsLoRA 51.3 % and 0.11. Half a point of 1,319 problems is within their luck (± 2.7), so there
#   full fine-tuning forgot less at about equal learning, as here. Ask it question 5, too
#
# On *learning* alone, Schulman et al. 2025 find no difference, if all layers are adapted, the data
# fits into the adapter and batches are not too large.
#
# So measure it for your own case. What holds in every case, as long as the adapter stays beside the
# weights: the base can be had back without a second copy of the model.
#
# ## The real data, and what the LoRA paper found there
# On E2E NLG the LoRA paper (table 3) reports for GPT-2 medium a BLEU of 68.2 after full
# fine-tuning of 354.92 million parameters (a figure it takes over from earlier work, so not from
# the same recipe), and 70.4 ± 0.1 with LoRA of 0.35 million, that is 0.1 %. Our record on the same
# data, with the mini GPT, three seeds:
# %%
real_rates = side_by_side(results["real"], WAYS)
yardstick = results["real"]["about"]["slot_error_rate_of_references"]
print(f"the people's own sentences, by the same patterns: {yardstick:.1%} slot errors")
real_runs = {name: finals(results["real"], **key) for name, key in TRAINED.items()}
few, all_of_it = (real_runs[name][0]["trainable_parameters"] for name in ("LoRA", "full"))
print(f"LoRA of rank 8 trains {few:,} parameters, {few / all_of_it:.1%} of the model")
# %%
about = results["real"]["about"]
seen = about["steps"]["menu"] * about["batch_rows"]
print(f"each run has seen {seen:,} examples of {about['rows']['menu']['train']:,}")
gain = mean(r["bleu"] for r in real_runs["LoRA"]) - mean(r["bleu"] for r in real_runs["full"])
print(f"BLEU, LoRA minus full: {gain:+.1f}")
# %% [markdown]
# The paper's order does not show here: LoRA is far behind. Much changes with scale. The share of
# parameters falls as rank over width: rank 8 on six kinds of layers is one in twenty at width 192,
# and the paper's rank 4 on two kinds is one in a thousand at width 1,024. Yet the larger share does
# less here. Two reasons are likely, and neither is tested here. A large base knows English and
# restaurants, so that a small update can steer what is there; ours knows stories for children and
# must learn the words as well, and LoRA leaves embedding and head as they are. And ours has not
# even seen all examples once, where the paper made five passes. Full fine-tuning has seen no more,
# so this counts only if LoRA is the slower learner, as it was in the 50 steps above. (LoRA's seeds
# differ far more in BLEU than in loss: in how many slots their greedy text leaves out.)
#
# Compare within a table, not across: BLEU here is `sacrebleu`'s against all references, of greedy
# text; the paper searched with several beams, and used the challenge's own script.
#
# ## Three sentences to remember
# 1. Mask the prompt: the model reads the meaning, and learns the sentence and where it ends.
# 2. Judge what is written by what it says: a low loss and a high BLEU do not make a sentence true.
# 3. With the adapter on, a model can forget like a fully fine-tuned one; with it off, it is the
#    base.
#
# ## Five questions
# 1. Which positions of a row have a target that counts, and why does the last token of the prompt
#    belong to them?
# 2. What do temperature 0.5 and top-k 5 change in the probabilities of the next token?
# 3. A sentence says *expensive* where *cheap* was meant. What do slot errors and BLEU say?
# 4. Why measure forgetting on stories that the base has neither read nor written?
# 5. Someone reports that LoRA forgot less than full fine-tuning, each at one learning rate. What do
#    you ask?
#
# <details><summary>Answers</summary>
# (1) Those whose next token is of the sentence or the end; the first word of the sentence must be
# learnt too. (2) The likely get likelier, and all but the five likeliest get 0. (3) One slot is
# wrong; BLEU loses some runs, as it would for a right sentence in other words. (4) What it has read
# it may know by heart, and what it wrote it finds likely by construction. (5) How much each of them
# learnt, at other rates too, over how many seeds.
# </details>
#
# ## Where next
# Save, switch, blend and merge what was learnt: [Adapters as
# files](07_adapters_as_files.ipynb). How full fine-tuning and LoRA compare where there is a right
# answer: [Fine-tune a classifier](05_finetune_a_classifier.ipynb).
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), section 5.4 and table 3
# - Novikova, Dušek and Rieser 2017, [the E2E data set](https://arxiv.org/abs/1706.09254), and
#   Dušek, Howcroft and Rieser 2019, [on the noise in it](https://arxiv.org/abs/1911.03905)
# - Shi et al. 2024, [Instruction Tuning With Loss Over
#   Instructions](https://arxiv.org/abs/2405.14394): with and without the mask
# - Papineni et al. 2002, [BLEU](https://aclanthology.org/P02-1040/), and Post 2018, [a call for
#   clarity in reporting it](https://arxiv.org/abs/1804.08771)
# - Fan, Lewis and Dauphin 2018, [top-k](https://arxiv.org/abs/1805.04833), and Holtzman et al.
#   2020, [why greedy text repeats itself](https://arxiv.org/abs/1904.09751)
# - Biderman et al. 2024, [LoRA Learns Less and Forgets Less](https://arxiv.org/abs/2405.09673);
#   the other side: PEFT's [method
#   comparison](https://github.com/huggingface/peft/tree/main/method_comparison), and Schulman et
#   al. 2025, [LoRA Without Regret](https://thinkingmachines.ai/blog/lora/)
