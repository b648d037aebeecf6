# %% [markdown]
# # Fine-tune a generator
#
# Teach a small GPT to say what it is told, and to talk like a pirate; then find out what it forgot.
#
# {sign:06}
#
# **You will be able to**
# - make training rows whose loss counts only what the model must say
# - judge text by slot errors, BLEU and perplexity, and say what each misses
# - compare prompting, LoRA and full fine-tuning fairly
# - measure what was forgotten, and turn an adapter down or off
# - ◇ draw text from a model with temperature and top-k
# - ◇ find the control that a comparison needs
#
# **You need** notebook 03, or: you know that LoRA trains a small update beside frozen layers.
#
# **Time:** {path} minutes on the marked path ◆, {whole} in all, on a CPU; less on a GPU. Hints and
# the questions at the end come on top.
# %% bootstrap
# %% [markdown]
# ## Teach a model to say what you mean
# How do you get a model to write what *you* want? Show it examples. Here, an example is a meaning,
# written as a list of **slots**, and a sentence that says it, about places to eat.
# %%
import math

import torch

from lora_edu import choose_device, generate_text, load_menu, load_pretrained, load_tokenizer

SOURCE = "bundled"  # "real" fetches E2E NLG, on which the LoRA paper tested GPT-2
data = load_menu(SOURCE)
device = choose_device()  # a GPU if there is one
encoding, base = load_tokenizer("mini"), load_pretrained("mini", device=device)
# %%
# @title Shows two examples
for pair in data.train[:2]:
    print(f"meaning:  {pair.meaning}\nsentence: {pair.sentence}\n")
sizes = [f"{len(part):,}" for part in data]
print("{} pairs to train on, {} to validate, {} meanings to test".format(*sizes))
# %% [markdown]
# In the test part, every meaning has several right sentences, its **references**. Our base has read
# only stories, so let it try first. Its *prompt* is the meaning and a line break.
# %%
from lora_edu.datasets import prompt

meaning = data.test[0].meaning
print("prompt:   ", meaning)
for reference in data.test[0].references[:3]:
    print("reference:", reference)
written = generate_text(base, encoding, prompt(meaning), 25)[len(prompt(meaning)) :]
print("the base: ", " ".join(written.split()))
# %% [markdown]
# ## What should the loss count?
# At every position, a language model is asked which token comes *next*. You will always give it the
# meaning, so it needn't learn to write meanings. Where the next token belongs to the prompt, the
# target is therefore -100, which `cross_entropy` ignores. This **prompt masking** is usual, but
# counting the prompt can help, above all where answers are short (Shi et al. 2024).
#
# For example, without a mask the text 5 6 7 8 has the input 5 6 7 and the targets 6 7 8.
#
# **Exercise 1, fill in.** The text is a prompt with its line break, a sentence, and an end of text.
# The input is all of it but the last token. Give the targets, as a list.
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
# At the prompt's last position, the next token is the first of the sentence.
# </details>
# %% [markdown]
# Does the course's `generation_rows` mask the same positions?
# %%
from lora_edu import Batches, generation_rows
from lora_edu.datasets import Split

TOKENS = 128
parts = (data.train[:2000], data.validation, data.test)  # the real set has 20 times as many
coded = Split(*(generation_rows(part, encoding, TOKENS) for part in parts))
same = 0
for pair, row in zip(data.train[:50], coded.train):
    ids = encoding.encode_ordinary(prompt(pair.meaning)), encoding.encode_ordinary(pair.sentence)
    mine = mask(*ids, encoding.eot_token) if masking.passed else row.target
    same += int(list(mine) == row.target)
whose = "yours and the course's" if masking.passed else "not yours yet, the course's twice"
print(f"{whose}: the same targets in {same} of 50 rows")
# %%
from lora_edu.widgets import predict, reveal

share_asked = predict(
    "Of 100 tokens that the model reads in training, how many does the loss count?"
)
share_asked
# %%
# @title The answer: run it when you have predicted
read = sum(len(row.token_ids) for row in coded.train)
counted = sum(target != -100 for row in coded.train for target in row.target)
reveal(share_asked, round(100 * counted / read), because="the rest is meaning, which is only read")


# %% [markdown]
# You have rows whose loss counts the sentence and its end, and nothing else. Still open is how to
# judge the sentences that a model then writes.
#
# ## Is it true?
# The loss says how likely the reference was, not whether what the model *writes* is true. So
# compare slots:
#
# | kind | meant | said |
# |:---|:---|:---|
# | missing | the slot | nothing of it |
# | wrong | the slot | another value |
# | added | no such slot | a value |
#
# The course looks in a sentence for each value's wordings, such as *cheap* or *low prices*. The
# **slot error rate** is then the number of errors, divided by the number of slots meant.
# %%
# @title Reads the slots of the first sentence
from lora_edu.plots import table
from lora_edu.tasks import e2e_patterns, menu_patterns, said_slots, slot_errors

every = [pair.meaning for part in data for pair in part]
menu, words = load_menu(), menu_patterns()  # the bundled set, and how it words each value
patterns = words if SOURCE == "bundled" else e2e_patterns(every)
example = data.test[0]
read = said_slots(example.sentence, patterns)
values = [f"{slot}: {', '.join(sorted(each))}" for slot, each in read.items()]
KINDS = ("slots meant", "missing", "wrong", "added")
errors = slot_errors(example.meaning, example.sentence, patterns)
table(["", *KINDS], [["the first sentence", *errors]], note=f"It reads {'; '.join(values)}.")


# %% [markdown]
# Now you can judge what a model writes. What is missing is the model.
#
# ## Deeper: can you trust the measure?
# **Exercise 2, own code.** Write `count(meant, said)` for two dictionaries from slot to value. How
# many slots are missing, wrong, and added?
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
# Go through <code>meant.items()</code> for missing and wrong, then through <code>said</code> for
# added.
# </details>
# %% [markdown]
# Before you trust a measure, test it: what does it say of the references, or of a sentence said
# twice?
# %%
# @title Counts the errors of both
from lora_edu.datasets import parse_meaning
from lora_edu.tasks import slot_error_rate

twice = f"{example.sentence} {example.sentence}"
said_twice = slot_errors(example.meaning, twice, patterns)
of_references = [
    slot_errors(pair.meaning, reference, patterns)
    for pair in data.test[:100]
    for reference in pair.references
]
wrong = 100 * slot_error_rate(of_references)
counts = [sum(kind) for kind in zip(*of_references)]
counted = [["said twice", *said_twice], [f"{len(of_references)} references", *counts]]
table(["", *KINDS], counted, note=f"Slot error rate of the references: {wrong:.1f} %.")
# %%
# @title Compares your count with the course's, on sentences that have errors
agree = asked = 0
for pair, other in zip(menu.test[:50], menu.test[1:51]):  # another's sentence has errors to count
    theirs = slot_errors(pair.meaning, other.sentence, words)[1:]
    said = said_slots(other.sentence, words)
    if all(len(values) == 1 for values in said.values()):  # a dictionary holds one value a slot
        single = {slot: next(iter(values)) for slot, values in said.items()}
        mine = count(parse_meaning(pair.meaning), single) if counting.passed else theirs
        agree, asked = agree + int(tuple(mine) == theirs), asked + 1
whose = "yours and the course's" if counting.passed else "not yours yet, the course's twice"
print(f"{whose}: the same count in {agree} of {asked} sentences")
# %% [markdown]
# The bundled references are perfect, because a program wrote them. People leave slots out, so on
# real data *their* score is the yardstick. But slot errors don't see that a sentence is said twice.
#
# **BLEU** sees it. It takes all groups of neighbouring words in a text, of one word, two, three and
# four. For each size it asks which share of the groups is also in a reference, and none counts more
# often than it is there: of *the the the*, one word counts if the reference has one *the*. The
# geometric mean of the four shares, lowered for short texts, goes from 0 to 100. Said twice, our
# references score 49. But BLEU can't tell a wrong price from another wording: references that say
# *cheap* fall from 100 to 87 with *expensive*, and just so with *inexpensive*
# (`tests/unit/test_sweep_generator.py`).
#
# So you have two measures, and each sees what the other misses.
# %% [markdown]
# ## Train one yourself
# LoRA and full fine-tuning each need a learning rate of their own. To find it, both were trained
# beforehand at several rates, each time for 375 steps, that is, four passes over the data. What
# came out ships with the course, as a **record**. Read the best rate of each from there, and train
# both for 50 steps, to see how it goes and what they write by then. Who is better, the record's whole
# runs will tell.
# %%
# @title Each learning rate's loss, from the record
from lora_edu import data_path
from lora_edu.evaluation import best_rate, losses_by_rate, read_record
from lora_edu.plots import Line, line_chart, show, signed

results = {n: read_record(data_path("results", f"generator_{n}.json")) for n in ("bundled", "real")}
record, bundled = results[SOURCE], results["bundled"]
of_runs = f"{record['about']['steps']['menu']} steps a run. Recorded by {record['command']}."
TRAINED = {"LoRA": {"method": "lora", "rank": 8}, "full": {"method": "full"}}
TUNING = {"stage": "tune", "task": "menu"}
tried = {name: losses_by_rate(record, **TUNING, **key) for name, key in TRAINED.items()}
rates = {name: best_rate(record, **TUNING, **key) for name, key in TRAINED.items()}
table(
    ["learning rate", *(f"{name}: validation loss" for name in TRAINED)],
    [
        [f"{lr:g}", *(f"{losses[lr]:.3f}" if lr in losses else "–" for losses in tried.values())]
        for lr in sorted(set().union(*tried.values()))
    ],
    note=of_runs,
)
# %%
from lora_edu import count_parameters, fit, mean_loss, next_token_loss
from lora_edu.tasks import prepare_menu

validation = Batches(coded.validation[:50], 32, shuffle=False)
LIVE_STEPS = 50
models, histories = {}, {}
for name, key in TRAINED.items():
    models[name] = load_pretrained("mini", device=device)
    # For LoRA: base frozen, updates of rank 8 beside the blocks' layers, times alpha / rank = 2.
    prepare_menu(models[name], key["method"], rank=8, seed=0)
    histories[name] = fit(
        models[name],
        Batches(coded.train, 16, seed=0),
        next_token_loss,
        lr=rates[name],
        steps=LIVE_STEPS,
        evaluate=lambda model: {"validation_loss": mean_loss(model, validation)},
        eval_every=LIVE_STEPS // 5,
    )
# %%
# @title Counts what learns, and sets the losses before and after beside it
before, in_base = mean_loss(base, validation), count_parameters(base).total
learnt = []
for name, history in histories.items():
    learning = count_parameters(models[name]).trainable
    after = history.evaluations[-1]["validation_loss"]
    share = f"{100 * learning / in_base:.1f} %"
    learnt.append([name, f"{learning:,}", share, f"{before:.1f}", f"{after:.1f}"])
losses = ["validation loss before", "after"]
table(["", "numbers that learn", "of the base's", *losses], learnt)
# %%
# @title Draws both losses
lines = []
for name, history in histories.items():
    points = [(row["step"], row["validation_loss"]) for row in history.evaluations]
    lines.append(Line(name, *zip((0, before), *points)))
title = "The loss falls fast; whether the sentences are true is another matter"
chart = line_chart(lines, title=title, x_label="step", y_label="validation loss (nats per token)")
show(chart, alt=f"Validation loss of LoRA and of full fine-tuning over steps: both fall. {title}.")
# %% [markdown]
# What do they write? Beside your two models, ask the adapter that ships. It was trained for 376
# steps, one more than the record's runs, where yours made 50. All write **greedily**: they always
# take the likeliest next token. Read like a judge: what is missing, made up, or said twice?
# %%
from lora_edu import attach, load_adapter

shipped = load_pretrained("mini", device=device)
attach(shipped, load_adapter(data_path("adapters", "menu")))
writers = dict(models)
asked_for = [data.test[3].meaning, data.test[100].meaning]
if SOURCE == "bundled":
    writers["shipped adapter"] = shipped
    asked_for[1] = "name[Old Oak], dish[carrot cake], children[no]"
# %% tags=["nbval-ignore-output"]
# @title Lets each of them write
from lora_edu.plots import cards, to_last_word
from lora_edu.tasks import write_sentences

display(cards({"the dishes of all menus": ", ".join(words["dish"])}))
sentences = {
    meaning: {name: write_sentences(m, encoding, [meaning])[0] for name, m in writers.items()}
    for meaning in asked_for
}
for meaning, by_writer in sentences.items():
    display(cards(by_writer, title=f"meant: {meaning}"))


# %% [markdown]
# Now count:
# %%
# @title Counts a sentence's errors, or says why it cannot
def judged(meaning, sentence, patterns):
    try:
        kinds = slot_errors(meaning, sentence, patterns)
    except ValueError:
        return "a value that no pattern knows, so read it yourself"
    return f"missing {kinds.missing}, wrong {kinds.wrong}, added {kinds.added}"


# %% tags=["nbval-ignore-output"]
rows = [
    [name, *(judged(meaning, said[name], patterns) for meaning, said in sentences.items())]
    for name in writers
]
table(["", "first meaning", "second meaning"], rows)
# %% [markdown]
# After four passes the cake is still left out, and *no children* is said twice.
#
# **Make:** set `asked_for[1]` to `"name[Old Oak], dish[roast moon]"`.
#
# <details><summary>What to look for</summary>
# Our adapter made it "egg moona": it joins pieces of dishes that it knows.
# </details>
#
# You have two models whose loss fell fast, and whose sentences still leave things out. Two meanings
# can't tell which model is better, so the next section takes the whole test part.
# %% [markdown]
# ## Which way is best?
# Back to the record. There, four ways wrote a sentence for every meaning of the test part. **base**
# gets just the prompt. **examples** gets one or two examples before it. That costs no training, so
# always try it first. **LoRA** and **full** were trained for 375 steps, each at its best rate.
#
# The table also has the *perplexity*, $e$ to the power of the loss: the model hesitates as if among
# so many equally likely tokens. And it has *BLEU*, from 0 to 100, which asks how many groups of
# neighbouring words are in a reference, too.
# %%
GUESSES = ["the prompt with examples", "LoRA", "full fine-tuning", "the data cannot tell"]
fewest = predict("Which way makes the fewest slot errors, by more than chance?", GUESSES)
fewest
# %%
# @title One row for each way, its slot errors with a 95 % interval
from statistics import mean, stdev

from lora_edu.evaluation import compare, digits, runs_of, summarise
from lora_edu.tasks import error_rate_score

WAYS = {"base": {"method": "base"}, "examples": {"method": "prompt"}, **TRAINED}


def finals(record, task="menu", **key):
    return runs_of(record, stage="final", task=task, **key)


def spread(values, digits=3):
    after = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{after}"


def error_rates(record, ways):
    slots = digits(record["about"]["test_slots"])
    errors = {name: [digits(r["errors"]) for r in finals(record, **ways[name])] for name in ways}
    errors = {name: torch.stack(runs) for name, runs in errors.items()}
    score, most = error_rate_score, math.inf
    rates = {name: summarise(slots, errors[name], score, highest=most) for name in ways}
    return rates, compare(slots, errors["LoRA"], errors["full"], score, highest=most)


def side_by_side(record, ways, rates, note=""):
    rows = []
    for name, rate in rates.items():
        runs = finals(record, **ways[name])
        losses, bleus = ([run[measure] for run in runs] for measure in ("test_loss", "bleu"))
        wrong = f"{100 * rate.value:.1f} % ({100 * rate.low:.1f} % to {100 * rate.high:.1f} %)"
        hesitates = f"{math.exp(mean(losses)):.1f}"
        rows.append([name, spread(losses), hesitates, spread(bleus, 1), wrong])
    return table(["", "test loss", "perplexity", "BLEU", "slot errors"], rows, note=note)


# %%
rates_of_errors, error_gap = error_rates(record, WAYS)
seeds, steps = len(finals(record, **TRAINED["LoRA"])), record["about"]["steps"]["menu"]
note = f"""{seeds} seeds for each but the base; LoRA and full made {steps} steps.
± is the standard deviation over seeds.
In parentheses: a 95 % interval for the luck of seeds and of test meanings.
Values that nobody asked for are errors too, so they can be more than 100 %."""
four_ways = side_by_side(record, WAYS, rates_of_errors, note)
# %%
# @title The answer: run it when you have predicted
points = "{} points ({} to {})".format(
    *(signed(100 * x) for x in (error_gap.value, error_gap.low, error_gap.high))
)
reason = "leaves out 0: more than chance" if error_gap.low > 0 or error_gap.high < 0 else "holds 0"
trained_best = GUESSES[1] if error_gap.high < 0 else GUESSES[2] if error_gap.low > 0 else GUESSES[3]
trained = min(rates_of_errors[name].value for name in TRAINED)
reveal(
    fewest,
    GUESSES[0] if rates_of_errors["examples"].value < trained else trained_best,
    because=f"the interval of the difference {reason}",
    measured=[four_ways, f"Slot errors on the same meanings, LoRA's minus full's: {points}."],
)
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# Here, on menus, the examples bring nothing; large models gain a lot from them. And
# don't trust the loss or BLEU alone: in both, LoRA at rank 8 is close to full here, but it gets 4.5
# points more of the slots wrong.
#
# </details>
#
# **Investigate:** what did seed 0 of each say? Choose another number below 20.
# %%
NUMBER = 5
meaning, said = menu.test[NUMBER].meaning, {}
for name, key in WAYS.items():
    sentence = finals(bundled, **key)[0]["sentences"][NUMBER]
    said[name] = f"{sentence}\n\n{judged(meaning, sentence, words)}"
cards(said, title=f"meant: {meaning}")


# %% [markdown]
# ## What was forgotten?
# Can the trained models still tell stories? To find out, measure their perplexity on stories. But
# on which? Not on stories that the base has read, or you would test its memory; nor on its own,
# since it finds what it wrote likely. You will use ten that were written for this course. The
# record has 64 that were held out of pre-training.
#
# **Exercise 3, own code.** From each story's summed loss in nats, $-\ln p$ for each token, and its
# number of tokens, compute the perplexity over all tokens: $\exp(\text{nats per token})$.
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
# All nats over all tokens is the mean loss. Then comes <code>math.exp</code>.
# </details>
# %%
# @title Takes the course's function where yours does not pass yet
if not measured.passed:

    def perplexity(nats, tokens):
        return math.exp(sum(nats) / sum(tokens))


# %%
from lora_edu import load_stories, merge, set_strength, text_rows, unmerge

stories = text_rows(load_stories(), encoding, 256)
tokens = [len(row.target) for row in stories]


def on_stories(model):
    losses = [mean_loss(model, Batches([row], 1)) for row in stories]
    return perplexity([loss * count for loss, count in zip(losses, tokens)], tokens)


# %% [markdown]
# **Exercise 4.** Which of these models tell stories *exactly* as the base does? *Merged* means the
# update added into $W$.
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
# Does the forward pass use the base's weights alone?
# </details>
# %%
outcomes = ["about as before", "twice as high", "several times as high"]
question = "LoRA froze every weight of the base. With the adapter on, perplexity on stories is"
after = predict(question, outcomes)
after
# %%
# @title Measures the base, full fine-tuning, and LoRA with the adapter on
lora = models["LoRA"]
perplexities = {"base": on_stories(base), "full": on_stories(models["full"])}
perplexities["LoRA,\nadapter on"] = on_stories(lora)
times = perplexities["LoRA,\nadapter on"] / perplexities["base"]
harder = times > 1.4
reason = "the update is added to any text" if harder else "so little training moves little"
outcome = outcomes[harder + (times > 2.8)]
# %%
ids = torch.tensor([stories[0].token_ids], device=device)
set_strength(lora, 0.0)
perplexities["LoRA,\nadapter off"] = on_stories(lora)
with torch.inference_mode():
    apart = (lora.eval()(ids) - base.eval()(ids)).abs().max().item()
set_strength(lora, 1.0)
merge(lora)
perplexities["LoRA,\nmerged"] = on_stories(lora)
unmerge(lora)
print(f"adapter off: the largest difference of a logit from the base's is {apart}")
# %%
# @title Draws the five; folded while your prediction is open
from lora_edu.plots import add_level, picture, point_chart

title = "With the adapter off nothing is forgotten" + ("; with it on, much is" if harder else "")
axes = {"y_label": "perplexity on ten stories, log scale", "y_log10": True, "labels_up": 10}
chart = point_chart(perplexities, title=title, label_format="{:.0f}", **axes)
add_level(chart.axes[0], perplexities["base"], "as the base", above=False)

steps = [digit * 10**zeros for zeros in range(4) for digit in (1, 2, 5)]
alt = "Perplexity on ten stories, in multiples of the base's, rounded to 1, 2, 5, 10, 20 or 50"
for name, value in perplexities.items():
    near = sorted(
        steps, key=lambda step, times=value / perplexities["base"]: abs(math.log(step / times))
    )
    alt += f"; {name}: {near[0]}".replace("\n", " ")
reveal(after, outcome, because=reason, measured=picture(chart, alt=f"{alt}. {title}."))
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# With the adapter off, the base is there, bit for bit. While it is *on*, it changes
# whatever the model reads. Full's high value is no verdict: its rate was chosen for menus alone. At a
# lower rate it learns as much as LoRA at its best, 0.226 on validation menus, though not as much as at
# its own best, 0.196. And it then forgets far less, as a deeper section and notebook 08 show.
#
# </details>
#
# Between on and off there is *strength*, the knob of every adapter. The shipped one, turned down:
# %%
menu_rows = generation_rows(menu.validation[:50], encoding, TOKENS)
rows_of_strength = []
for strength in (1.0, 0.9, 0.8, 0.7, 0.5, 0.0):
    set_strength(shipped, strength)
    learnt = mean_loss(shipped, Batches(menu_rows, 32, shuffle=False))
    rows_of_strength.append([strength, f"{learnt:.2f}", f"{math.log(on_stories(shipped)):.1f}"])
table(["strength", "loss on menus", "loss on the ten stories (ln perplexity)"], rows_of_strength)


# %% [markdown]
# At four fifths of its strength, its loss on menus rises by 0.03, about as much as LoRA is behind full
# fine-tuning, and over a third of what it forgot is back. Wortsman et al. (2021) do this with full fine-tuning, by mixing the old weights with the
# new. Another remedy is *replay*, old text in every batch, which a deeper section tries.
#
# This is the end of the marked path. You can train a generator, say how true its sentences are, and
# measure and undo what it forgot. Still open is whether LoRA forgets less than full fine-tuning:
# three of the deeper sections test it.
# %% [markdown]
# ## Deeper: how does it choose the next word?
# So far the models wrote greedily, because what must be true should be the likeliest. For stories
# that is dull. A language model gives each token a probability, and you choose how to draw from it:
#
# - **greedy**, written $T = 0$ below, always takes the likeliest, and often runs into a loop
# - a **temperature** $T$ divides the logits before the draw, $p \propto e^{z / T}$. Below 1, likely
#   tokens get likelier still; above 1, all become more alike
# - **top-k** draws among the $k$ likeliest only. The others are so many that, unlikely as each is, one
#   of them would often be drawn
#
# For example, logits 2 and 0 give 0.88 and 0.12 at $T = 1$, but 0.73 and 0.27 at $T = 2$.
#
# **Exercise 5, own code.** Write `probabilities(logits, temperature, top_k)` for one row of logits.
# The temperature is above 0, `top_k` at most the number of tokens, and no logits are equal.
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
# infinity has probability 0: <code>logits.masked_fill(condition, float("-inf"))</code>.
# </details>
# %% [markdown]
# Draw twenty tokens with yours and the course's `generate`:
# %%
# @title Takes the course's function where yours does not pass yet
if not sampling.passed:

    def probabilities(logits, temperature, top_k):
        hidden = logits.masked_fill(logits < logits.topk(top_k).values[-1], float("-inf"))
        return (hidden / temperature).softmax(-1)


# %%
from lora_edu import generate

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
whose = "yours and the course's" if sampling.passed else "not yours yet, the course's twice"
print(f"{whose}: the same token in {agree} of 20 draws")
# %%
# @title Sums up probabilities, likeliest first, at three temperatures
places, lines, inside = range(1, len(logits) + 1), [], {}
for t in (0.5, 1.0, 2.0):
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
drawn = {}
for temperature, top_k in ((0.0, None), (0.7, None), (2.0, None), (2.0, 5)):
    texts = []
    for seed in (1, 2) if temperature else (1,):
        dice = torch.Generator(device).manual_seed(seed)
        settings = {"temperature": temperature, "top_k": top_k, "generator": dice}
        said = generate_text(base, encoding, OPENING, 22, **settings)
        texts.append(to_last_word(" ".join(said.split())))
    drawn[f"T = {temperature:g}, {f'top {top_k}' if top_k else 'all'} tokens"] = "\n\n".join(texts)
cards(drawn)
# %% [markdown]
# **Takeaway:** a high temperature lets in what is far down the list, so that even words break
# (*towSara*), and top-k shuts it out again.
#
# **Modify:** add pairs to that cell's first line. Where do stories stop making sense?
# %% [markdown]
# ## Deeper: another voice
# The second task changes not what is said, but how: tales, in a pirate's voice. In the record each
# run made 120 steps, five passes over 380 tales.
# %%
pirate = load_pretrained("mini", device=device)
attach(pirate, load_adapter(data_path("adapters", "tales")))
openings = ("One day, the captain", "There was a little girl")
told = {}
for name, model in (("base", base), ("pirate, by LoRA", pirate)):
    texts = [generate_text(model, encoding, opening, 40).split() for opening in openings]
    told[name] = "\n\n".join(to_last_word(" ".join(words)) for words in texts)
cards(told)
# %% [markdown]
# *The sea were* is how the pirate's tales talk, but *the captain Sam and the tale of Captain Sam*
# is no sentence: 380 tales taught words, not yet grammar. Could the base do without training, if a
# tale comes before the one that it must continue?
# %%
CHANGES = ["it falls", "it stays about the same", "it rises"]
question = "The base reads one tale as example. How does its perplexity on the next tale change?"
helped = predict(question, CHANGES)
helped
# %%
# @title The answer: run it when you have predicted
# "examples" now means that a whole tale comes before the one that is judged.
of_tales = {
    name: [run["test_loss"] for run in finals(bundled, "voice", **key)]
    for name, key in WAYS.items()
}
compared = table(
    ["", "loss on tales", "perplexity"],
    [[name, spread(each), f"{math.exp(mean(each)):.1f}"] for name, each in of_tales.items()],
)

change = mean(of_tales["examples"]) - mean(of_tales["base"])
found = CHANGES[1] if abs(change) < 0.1 else CHANGES[0 if change < 0 else 2]
because = f"its loss changes by {change:.2f}; this small base learns only by training"
reveal(helped, found, because=because, measured=compared)
# %% [markdown]
# ## Deeper: does LoRA forget less than full fine-tuning?
# You often read so. Go slowly: this section and the next are dense.
#
# Who learns less also forgets less, so the fair question is who has forgotten less *at equal
# learning*. In the record each method was trained at several learning rates, three seeds each, for
# 375 steps. Up to the best rate, a higher one learns more and forgets more. So from rate to rate,
# each method moves along a curve: its loss on menus falls, and its loss on stories rises.
#
# We read each curve where the loss on menus is 0.30, 0.25 and 0.23. Between two rates we draw a
# straight line. LoRA has two curves, at rank 8 and at
# rank 32, to see whether the rank matters.
# %%
question = "Where they have learnt menus equally well, which has forgotten less?"
tendency = predict(question, ["LoRA, rank 8", "full", "can't say"])
tendency
# %%
# @title The answer: run it when you have predicted
from lora_edu.evaluation import forgotten_at, forgotten_beyond, mean_difference
from lora_edu.tasks import curves_at_more_rates

LEVELS = (0.30, 0.25, 0.23)  # validation loss on menus
later = read_record(data_path("results", "forgetting.json"))  # has more rates
ARMS = {"LoRA, rank 8": "lora 8", "LoRA, rank 32": "lora 32", "full": "full"}


def at_levels(arms):
    cells = {name: [] for name in arms}
    for name, (_, seeds) in arms.items():
        for level in LEVELS:
            losses = [forgotten_at(level, seed) for seed in seeds]
            cells[name].append("–" if math.isnan(sum(losses)) else spread(losses, 2))
    return cells


def apart_at(level, name, other):
    """The mean loss on stories of the other, and the first's minus it with half its interval."""
    first, second = (
        torch.tensor([forgotten_at(level, seed) for seed in arms[each][1]])
        for each in (name, other)
    )
    return second.mean(), *mean_difference(first, second)


def minus(level, *both):
    """What the first of two has forgotten beyond the second, in words."""
    _, gap, half = apart_at(level, *both)
    return f"{signed(gap, 2)} ± {half:.2f}"


arms = {name: curves_at_more_rates(bundled, later, arm) for name, arm in ARMS.items()}
untouched = finals(bundled, method="base")[0]["story_loss"]
BOTH_RANKS = "LoRA, rank 8", "LoRA, rank 32"
note = f"""Before training, the loss on these stories is {untouched:.2f}.
± is over {len(arms["full"][1])} seeds; – where even the lowest rate had learnt more.
Rank 8 minus rank 32, with half of a 95 % interval: {minus(0.25, *BOTH_RANKS)} with menus at 0.25,
{minus(0.23, *BOTH_RANKS)} at 0.23."""
compared = table(
    ["loss on stories, with menus at", *(f"{level:.2f}" for level in LEVELS)],
    [[name, *cells] for name, cells in at_levels(arms).items()],
    note=note,
)

less = [
    forgotten_at(level, mine) < forgotten_at(level, theirs)
    for level in LEVELS
    for mine, theirs in zip(arms["LoRA, rank 8"][1], arms["full"][1])
]
verdict = "LoRA, rank 8" if all(less) else "can't say" if any(less) else "full"
why = "it is so at each level, for each of the three seeds"
reveal(tendency, verdict, because=why, measured=compared)
# %% [markdown]
# <details><summary><b>What came out</b>, once you have predicted</summary>
#
# Read the middle column, for example. Where menus are at 0.25, the loss on the record's 64 stories,
# 2.12 before training, is 4.20 with LoRA at rank 8, 3.74 at rank 32, and only 3.14 with full
# fine-tuning. So full fine-tuning forgets *less* here, at rates below its best for menus. And where
# menus are at 0.25, LoRA forgets less at rank 32 than at rank 8; at 0.23 that is not shown.
#
# </details>
#
# ## Deeper: is low rank to blame?
# It looks so. But not so fast: from LoRA to full fine-tuning **two things change at once.** LoRA
# gives the blocks' 36 matrices an update of low rank. Full fine-tuning gives them one of any rank,
# but it *also* trains embedding, head, positions, norms and biases.
# %%
RUNS = ["full at a lower rate", "LoRA with a larger alpha", "the same 36 matrices, trained whole"]
wanted = predict("Which run would tell you which of the two it is?", RUNS)
wanted
# %%
# @title The answer: run it when you have predicted
reveal(wanted, RUNS[2], because="its updates are full's, and the places are LoRA's")
# %% [markdown]
# Such a run is a **control**. It was trained as the others were, at several learning rates with
# three seeds each, so it has a curve of its own.
# %%
PLACES = ["nearer to LoRA, rank 8", "half-way", "nearer to full"]
control = predict("At equal learning, what has the control forgotten? It lies", PLACES)
control
# %%
# @title The answer: run it when you have predicted
arms["36 matrices, whole"] = curves_at_more_rates(bundled, later, "matrices")
order = ("LoRA, rank 8", "LoRA, rank 32", "36 matrices, whole", "full")
cells = at_levels(arms)
compared = table(
    ["loss on stories, with menus at", *(f"{level:.2f}" for level in LEVELS)],
    [[name, *cells[name]] for name in order],
)


def ways_to_full(level):
    """Of each seed: 0 where LoRA at rank 8 is, 1 where full fine-tuning is."""
    three = ([forgotten_at(level, seed) for seed in arms[order[n]][1]] for n in (0, 2, 3))
    return [(lora - control) / (lora - full) for lora, control, full in zip(*three)]


CLOSER_LEVELS = (0.30, 0.25, 0.24, 0.23)
ways = [ways_to_full(level) for level in CLOSER_LEVELS]
shares = [f"{100 * min(way):.0f} to {100 * max(way):.0f} %" for way in ways]
gaps = [minus(level, *order[2:]) for level in CLOSER_LEVELS]
columns = ["the control", *(f"menus at {level:.2f}" for level in CLOSER_LEVELS)]
rows = [
    ["on the way from LoRA, rank 8, to full, by seed", *shares],
    ["its loss on stories, minus full's", *gaps],
]
beyond = forgotten_beyond(*(arms[name][1] for name in order[2:])).items()
own = ", ".join(f"{signed(gap, 2)} ± {half:.2f} at {rate:g}" for rate, (gap, half) in beyond)
note = f"""± is half of a 95 % interval over three seeds.
The same at each run's own loss on menus, by the control's rate:
{own}."""
on_the_way = table(columns, rows, note=note)
to_024 = sum(ways[:3], [])  # at 0.23 the seeds disagree
place = PLACES[0 if max(to_024) < 1 / 3 else 2 if min(to_024) > 2 / 3 else 1]

chart = line_chart(
    [Line(name, *list(zip(*whole))[1:]) for name, (whole, _) in arms.items()],
    title=f"With menus down to 0.24, the same matrices trained whole lie {place}",
    x_label="validation loss on menus (nats per token); left is better learnt\n"
    "points: means over three seeds; crosses: as far as the seeds reach",
    y_label="loss on held-out stories",
    beside={name: (-1, -8, -14) if name == "full" else (-1, 12, 0) for name in arms},
)
axis = chart.axes[0]
for line, (_, seeds) in zip(axis.lines, arms.values()):
    for _, menus, forgot in (zip(*runs) for runs in zip(*seeds)):  # of one rate
        axis.hlines(mean(forgot), min(menus), max(menus), line.get_color())
        axis.vlines(mean(menus), min(forgot), max(forgot), line.get_color())
axis.set(ylim=(1.5, None))
add_level(axis, untouched, "before training", above=False)
guess = "a blind guess among 2,048 tokens: ln 2,048 = 7.62"
add_level(axis, math.log(2048), guess, above=False)
alt = "Loss on stories over loss on menus, a curve for each. Where little is learnt, the control's "
alt += "is just below full's; where much is, far above it, near LoRA's at rank 32."
drawn = picture(chart, alt=f"{alt} {axis.get_title('left')}.")

low, high = (f"{100 * of(to_024):.0f}" for of in (min, max))
because = f"down to 0.24 it is {low} to {high} % of the way; at 0.23 the seeds disagree"
reveal(control, place, because=because, measured=[compared, on_the_way, drawn])
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# With menus at 0.30, 0.25 and 0.24 the control is nearer to full fine-tuning; at 0.23 its three seeds
# lie too far apart to say. How the two compare depends on how much was learnt. With menus at 0.30
# and 0.25 the control has forgotten about as much as full, or a little less, and at 0.24 about 0.2
# nats more. Further to the left, in the figure, it forgets far more: at the rate 0.001, for example,
# by 1.32 ± 0.54 nats beside full where full has learnt menus as well. Don't trust a tenth of a nat here, since the straight
# line between two rates may be off by as much. And LoRA at rank 8 only just gets to 0.23: in a second
# sweep one of its three seeds did not.
#
# So of what LoRA at rank 8 forgot beyond full, leaving the rest frozen explains little down to 0.24.
# Does LoRA need what it left frozen? The control can't say, so the next section tries it.
#
# Is it the rank? That rank 32 forgets less than rank 8 at 0.25 speaks for it. But it is open, because
# LoRA and the control also differ in rate, alpha and the random start of $A$, and notebook 03 shows
# that rate and start leave traces.
#
# </details>
#
# ## Deeper: what helps LoRA?
# Two remedies are cheap. The first comes from the control: give LoRA what it
# left frozen. Menus have words that no story had, and our GPT's embedding, which is its head as
# well, never learns them. So LoRA at rank 32 now trains the embedding, too, at a rate of its own
# (0.0005), and each run is measured as before.
# %%
BESIDE_FULL = ["less at each level", "more at each level", "neither at each level"]
question = "Where both have learnt as much, LoRA with the embedding has forgotten, beside full, …"
crossing = predict(question, BESIDE_FULL)
crossing
# %%
# @title The answer: run it when you have predicted
from lora_edu.evaluation import tradeoff

WITH_EMBEDDING, SAME_RATE = "LoRA, rank 32, and embedding", "full, embedding at 0.0005"
SHORT = {"steps": bundled["about"]["steps"]["menu"]}
LOW_RANK = "LoRA, rank 8, and embedding"
NEW = {WITH_EMBEDDING: "lora 32, embedding", SAME_RATE: "full, embedding"}
for name, arm in (NEW | {LOW_RANK: "lora 8, embedding"}).items():
    arms[name] = tradeoff(later, "story_loss", arm=arm, **SHORT)


def as_cells(mean, apart, half):
    return ["–", "–"] if math.isnan(mean) else [f"{mean:.2f}", f"{signed(apart, 2)} ± {half:.2f}"]


DEEPER_LEVELS = (*LEVELS, 0.22)
rows = []
for level in DEEPER_LEVELS:
    lora = mean(forgotten_at(level, seed) for seed in arms[WITH_EMBEDDING][1])
    others = (as_cells(*apart_at(level, WITH_EMBEDDING, other)) for other in ("full", SAME_RATE))
    rows.append([f"{level:.2f}", f"{lora:.2f}", *sum(others, [])])
best = {name: min(point.learning for point in arms[name][0]) for name in arms}
parts = [f"LoRA, rank 32, {best[order[1]]:.3f}", f"with the embedding {best[WITH_EMBEDDING]:.3f}"]
note = f"""Loss on held-out stories; LoRA minus is the difference to the column before it.
Best loss on menus: {", ".join(parts)}, full {best["full"]:.3f}.
± is half of a 95 % interval over three seeds; – where even the lowest rate had learnt more."""
columns = ["menus at", "LoRA", "full", "LoRA minus", SAME_RATE, "LoRA minus"]
compared = table(columns, rows, note=note)

rows = []
for level in DEEPER_LEVELS:
    lora = mean(forgotten_at(level, seed) for seed in arms[LOW_RANK][1])
    apart = as_cells(*apart_at(level, LOW_RANK, SAME_RATE))
    rows.append([f"{level:.2f}", f"{lora:.2f}", *apart])
columns = ["menus at", LOW_RANK, SAME_RATE, "LoRA minus"]
note = f"""Best loss on menus at rank 8: {best[LOW_RANK]:.3f}.
LoRA with the embedding minus without it, menus at 0.25: {minus(0.25, LOW_RANK, BOTH_RANKS[0])} at
rank 8, {minus(0.25, WITH_EMBEDDING, BOTH_RANKS[1])} at rank 32."""
at_rank_8 = table(columns, rows, note=note)

apart = [apart_at(level, WITH_EMBEDDING, "full")[1:] for level in DEEPER_LEVELS]
more = [gap > half for gap, half in apart]
less = [gap < -half for gap, half in apart]
found = BESIDE_FULL[0 if all(less) else 1 if all(more) else 2]
because = f"more is shown at {sum(more)} of {len(more)} levels, and less at {sum(less)}"
reveal(crossing, found, because=because, measured=[compared, at_rank_8])
# %% [markdown]
# <details><summary><b>What came out</b>, once you have predicted</summary>
#
# Now LoRA learns menus nearly as well as full fine-tuning: its best loss, at the highest rate that
# we tried, is 0.202, beside 0.196. So what rank 32 lacked was the embedding rather than more rank:
# without it, rank 128 and the 36 matrices, whole, got to 0.217. With
# menus at 0.30, 0.25 and 0.23 it has still forgotten more than full; at 0.22 no difference is shown.
#
# But is that LoRA's doing? The embedding's rate stayed at 0.0005 throughout, while in full
# fine-tuning it falls with all the others. The last two columns take this away: full fine-tuning,
# its embedding at the same 0.0005. Beside that, LoRA of rank 32 has forgotten a little more, 0.05 to
# 0.12 nats, which at 0.25 three seeds do not show. So of the difference about half was the
# embedding's rate at 0.23, and more at 0.25, and what is left for LoRA is small.
#
# And what of the last section's question? With the embedding trained, LoRA of rank 8 has forgotten
# 0.49 ± 0.26 nats less where menus are at 0.25, nearly half of the 1.06 that it was behind full, and
# rank 32 0.21 ± 0.09 less. So at that level it helps to train what was frozen. At rank 8 a higher
# rank helps as much, though: plain rank 32, in the last section's table, stands at 3.74, too.
#
# But with rank 8, whose embedding learns at the same rate, LoRA *has* forgotten more: the second table
# shows it with menus at 0.25 and at 0.23. On menus it stays a little behind plain full, at the highest
# rate that we tried. So who forgets more depends on what else is trained, at which rate, and how far. Whether it
# depends on the rank these runs can't say, because their alphas and learning rates differ, too.
#
# </details>
#
# The second remedy is strength. So far a method learnt less by a lower rate. Instead, train it at a
# higher one, and then turn the update down, $W + s \Delta W$, until menus are back at the same loss.
# Each way may choose among its recorded rates, by the mean over seeds. But you would choose the rate
# that is best for menus, so the last column turns down from that one:
# %%
# @title By a lower rate and turned down, side by side
from lora_edu.evaluation import Point


def turned_down(run):
    """Its points by rising strength; the loss on menus falls, that on stories rises."""
    points = [Point(1.0, run["validation_loss"], run["story_loss"])]
    points += [Point(float(s), *losses) for s, losses in run["strengths"].items()]
    return sorted(points)


def from_each_rate(level, arm):
    """Rate → each seed's loss on stories, turned down to the level; rates that learnt as much."""
    runs = runs_of(later, arm=arm, **SHORT)
    by_rate = {rate: [] for rate in sorted({run["key"]["lr"] for run in runs})}
    for run in runs:
        by_rate[run["key"]["lr"]].append(forgotten_at(level, turned_down(run)))
    return {rate: of for rate, of in by_rate.items() if not math.isnan(sum(of))}


def by_strength(level, arm):
    """Each seed's loss on stories at the level, from the rate that is best for it."""
    return torch.tensor(min(from_each_rate(level, arm).values(), key=mean))


RECORDED = ARMS | NEW | {LOW_RANK: "lora 8, embedding", "36 matrices, whole": "matrices"}
rows = []
for name, arm in RECORDED.items():
    cells = []
    for level in (0.30, 0.25, 0.23):
        by_rate = torch.tensor([forgotten_at(level, seed) for seed in arms[name][1]])
        down = from_each_rate(level, arm)
        rate = min(down, key=lambda lr: mean(down[lr]), default=0)
        tried = [rate] if level != 0.25 else [rate, best_rate(later, arm=arm, **SHORT)]
        for lr in tried:
            if lr not in down or by_rate.isnan().any():
                cells.append("–")
                continue
            gain, half = mean_difference(torch.tensor(down[lr]), by_rate)
            cells.append(f"{signed(gain, 2)} ± {half:.2f}, {lr:g}")
    rows.append([name, *cells])
columns = ["turned down − by a lower rate, menus at", "0.30", "0.25", "0.25, from the best rate"]
columns += ["0.23"]
note = """Difference of the loss on stories, and the learning rate that was turned down.
– where the lowest rate had learnt more, or no rate that was turned down as much."""
table(columns, rows, note=note)
# %%
# @title Sets LoRA with both remedies beside full fine-tuning, turned down as well
rows = []
for pair in ((WITH_EMBEDDING, "full"), (WITH_EMBEDDING, SAME_RATE), (LOW_RANK, SAME_RATE)):
    cells = []
    for level in (0.30, 0.25, 0.23):
        gap, half = mean_difference(*(by_strength(level, RECORDED[name]) for name in pair))
        cells.append(f"{signed(gap, 2)} ± {half:.2f}")
    rows.append([" − ".join(pair), *cells])
columns = ["both turned down, menus at", *(f"{level:.2f}" for level in (0.30, 0.25, 0.23))]
table(columns, rows, note="Difference of the loss on stories; ± is half of a 95 % interval.")
# %%
# @title Draws what is forgotten, by a lower rate and turned down
full, rated = "full, by a lower rate", f"{WITH_EMBEDDING}, by a lower rate"
by_rate = [list(zip(*arms[name][0]))[1:] for name in ("full", WITH_EMBEDDING)]
lines = [Line(full, *by_rate[0]), Line(rated, *by_rate[1], quiet=True)]
key = {"arm": "lora 32, embedding", "lr": 0.002, **SHORT}
seeds = [turned_down(run) for run in runs_of(later, **key)]
points = [(mean(p.learning for p in of), mean(p.forgetting for p in of)) for of in zip(*seeds)]
down = f"this LoRA at rate {key['lr']:g},\nturned down"
lines.append(Line(down, *zip(*points[1:])))  # from 0.7 to 1; at 0.5 menus are far off
chart = line_chart(
    lines,
    title="Turned down, LoRA with the embedding comes near full fine-tuning",
    x_label="validation loss on menus (nats per token), from 0.21; left is better learnt",
    y_label="loss on held-out stories",
    beside={full: (0, 8, -3), rated: (1, 4, 12), down: (0, 10, 14)},
)
chart.axes[0].set(xlim=(0.21, None), ylim=(2.4, 4.6))
alt = "Loss on stories over loss on menus. LoRA with the embedding, by a lower rate, forgets more "
picture(chart, alt=f"{alt}than full where little is learnt; turned down, it is near full's curve.")
# %% [markdown]
# **Takeaway:** turned down from a rate that suits it, LoRA has forgotten less, and learnt as much. It saves
# 0.2 to 0.4 nats in seven places of the table, in one of which, rank 8 with the embedding at 0.23, the
# straight line could be why; in three others three seeds do not show it. In the seven, the rates that
# suit are a fifth to a half of the one that is best for menus. From the best one itself every way has
# forgotten *more* than by a lower rate, full fine-tuning by two nats; only for LoRA at rank 8 the
# seeds don't show it. Full fine-tuning and the control save no more than our straight lines may be off,
# and at 0.23 turning down costs the control 0.44 ± 0.27.
#
# Where the embedding has a rate of its own, the difference mixes two things: a lower rate leaves the
# embedding's at 0.0005, but turning down shrinks the embedding's change as well. That may be why full
# fine-tuning with such an embedding does gain, 0.14 ± 0.03 with menus at 0.25. So LoRA with the embedding
# should be set beside that one. With both remedies LoRA at rank 32 has still forgotten 0.14 ± 0.09
# nats more at 0.25 than plain full fine-tuning, turned down, too; without remedies it was 0.6. From full with the same rate for
# its embedding, turned down as well, no difference is shown, −0.01 ± 0.08, and neither at 0.30
# nor at 0.23. LoRA at rank 8 with both remedies has still forgotten more than that one, though, by 0.21 ±
# 0.02 at 0.30 and 0.25 ± 0.18 at 0.25.
#
# So where the old must stay, try a rate below the best, turn it down, and measure both losses. And train
# the embedding where a task brings new words. The table flatters turning down a little, because the
# rate was chosen on the seeds that are shown.
#
# A third way costs only time: a low rate, and three times the steps. Each such run is set beside its
# own curve, where 375 steps at a higher rate have learnt as much:
# %%
# @title Sets each run of three times the steps beside its seed's curve
SLOW = {"LoRA, rank 8": ("lora 8", 0.001), "36 matrices, whole": ("matrices", 1e-4)}
SLOW["full"] = ("full", 1e-4)
rows = []
for name, (arm, lr) in SLOW.items():
    runs = runs_of(later, arm=arm, lr=lr, steps=3 * SHORT["steps"])
    slow = torch.tensor([run["story_loss"] for run in runs])
    level = [run["validation_loss"] for run in runs]
    quick = [forgotten_at(at, arms[name][1][run["key"]["seed"]]) for at, run in zip(level, runs)]
    gain, half = mean_difference(slow, torch.tensor(quick))
    losses = [f"{mean(level):.3f}", f"{mean(quick):.2f}", f"{slow.mean():.2f}"]
    rows.append([f"{name}, {len(runs)} seeds", *losses, f"{gain:+.2f} ± {half:.2f}"])
columns = ["loss on stories", "menus at", "375 steps, higher rate", "1,125 steps", "difference"]
table(columns, rows)
# %% [markdown]
# So at a low rate the same learning can cost less, in each way of training: twelve passes forget about
# 0.4 nats less than four at a higher rate. That needs three times the computing. But is it the time, or
# the low rate? Of each way the record has one run, with one seed, of three times the steps at five times
# that rate. Here it is beside the same seed's run of 375 steps:
# %%
# @title Sets three times the steps at five times the rate beside the usual steps
FAST = {name: (arm, 5 * lr) for name, (arm, lr) in SLOW.items()}
rows = []
for name, (arm, lr) in FAST.items():
    (long,) = runs_of(later, arm=arm, lr=lr, steps=3 * SHORT["steps"])
    (short,) = runs_of(later, arm=arm, lr=lr, seed=long["key"]["seed"], **SHORT)
    ends = ([f"{run['validation_loss']:.3f}", f"{run['story_loss']:.2f}"] for run in (short, long))
    rows.append([f"{name}, at {lr:g}", *sum(ends, [])])
columns = ["", "375 steps: menus", "stories", "1,125 steps: menus", "stories"]
table(columns, rows)
# %% [markdown]
# Three times the steps at these rates forgot *more*, in all three ways, and the control and full also
# learnt *less*; whether LoRA did, one seed can't say. Perhaps over
# twelve passes they learn the training menus by heart. So in these runs more time
# helped only where the rate was low.
#
# ## Deeper: a story in every batch
# So far you mended a model that had already forgotten. Can you train it so that it forgets less?
# **Replay** goes on showing it the old. Beside the 16 menus of a batch it now reads one story, cut
# to 64 tokens, from a thousand that the base was trained on. It counts in the loss like the menus.
# %%
SAVED = ["about a tenth", "about a third", "about three quarters"]
question = "At equal learning, how much of what LoRA at rank 8 forgot does that one story save?"
saved = predict(question, SAVED)
saved
# %%
# @title The answer: run it when you have predicted
REPLAYED = {"LoRA, rank 8": "lora 8, replay", "full": "full, replay"}
rows, kept = [], {}
for name, arm in REPLAYED.items():
    key = {"arm": arm, **SHORT}
    with_replay = f"{name}, replay"
    arms[with_replay] = tradeoff(later, "story_loss", **key)
    without, replayed = (
        torch.tensor([forgotten_at(0.25, seed) for seed in arms[each][1]])
        for each in (name, with_replay)
    )
    apart, half = mean_difference(replayed, without)
    kept[name] = -apart / (without.mean().item() - untouched)
    best = [min(point.learning for point in arms[each][0]) for each in (name, with_replay)]
    losses = [f"{without.mean():.2f}", f"{replayed.mean():.2f}", f"{apart:+.2f} ± {half:.2f}"]
    rows.append([name, *losses, *(f"{loss:.3f}" for loss in best)])

columns = ["menus at 0.25: loss on stories", "without", "with replay", "difference"]
others = [
    mean(run["own_story_loss"] for run in runs_of(later, arm=arm, lr=0.005, **SHORT))
    for arm in ("lora 8", "lora 8, replay")
]
note = f"Before training, the loss on these stories is {untouched:.2f}. "
gaps = []
for level in (0.30, 0.25):
    ours, theirs = (
        torch.tensor([forgotten_at(level, seed) for seed in arms[f"{name}, replay"][1]])
        for name in REPLAYED
    )
    gap, half = mean_difference(ours, theirs)
    gaps.append(f"{signed(gap, 2)} ± {half:.2f} with menus at {level:.2f}")
note += f"""± is half of a 95 % interval.
LoRA minus full, both with replay: {", ".join(gaps)}.
On this course's ten stories, with LoRA at rate 0.005: {others[0]:.2f} without replay,
{others[1]:.2f} with it, and {later["about"]["before"]["own_story_loss"]:.2f} before."""
compared = table([*columns, "best on menus, without", "with"], rows, note=note)

beside = {"LoRA, rank 8": (1, 6, 7), "full": (0, 8, 2)}
beside |= {"LoRA, rank 8, replay": (0, -2, 9), "full, replay": (0, 2, -17)}
chart = line_chart(
    [Line(name, *list(zip(*arms[name][0]))[1:], quiet="replay" not in name) for name in beside],
    title="With one story in each batch, most of the old stays",
    x_label="validation loss on menus (nats per token), to 0.5; left is better learnt",
    y_label="loss on held-out stories",
    beside=beside,
)
chart.axes[0].set(xlim=(None, 0.5), ylim=(1.5, None))
add_level(chart.axes[0], untouched, "before training", above=False)
alt = "Loss on stories over loss on menus. With replay, LoRA's curve and full's both stay low."
drawn = picture(chart, alt=f"{alt} {chart.axes[0].get_title('left')}.")

share = kept["LoRA, rank 8"]
found = SAVED[0 if share < 0.2 else 1 if share < 0.55 else 2]
because = f"{100 * share:.0f} % of it, and {100 * kept['full']:.0f} % of what full forgot"
reveal(saved, found, because=because, measured=[compared, drawn])
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# Of all remedies here, replay is the strongest, for LoRA by far, and it
# helps on stories of another hand, too. It costs a sixteenth more rows and a little of the menus: at
# its best rate LoRA's loss on them is 0.244 instead of 0.226, or 0.229 in a second sweep. With replay, for LoRA and for full alike,
# that rate is the highest that we tried, so a higher one may cost less. And you
# need some of the old text, or text like it, which for a published model you often don't have. Full
# fine-tuning is still ahead of LoRA, by 0.13 ± 0.04 nats where menus are at 0.30. At 0.25, where it had
# been ahead by a whole nat, it is by 0.21 ± 0.28, so three seeds don't show it, though each has it ahead.
#
# </details>
#
# All this is one small model, one task, three seeds. Others find:
#
# - Biderman et al. (2024, section 4.3 as published in TMLR) on Llama 2 7B: LoRA can offer the better tradeoff for code,
#   full fine-tuning for mathematics
# - PEFT's comparison on mathematics, August 2026: full fine-tuning solves 47.2 %, LoRA on query and
#   value 47.8 %, on the MLP 49.4 %. But with older software the same full run had 50.0 %, and the
#   others had more, too, so scores three points apart don't rank the three. The loss on Wikipedia rises by 0.03
#   with full, 0.05 with query and value, and 0.03 with the MLP
# - Schulman et al. (2025): both *learn* alike, if all layers are adapted, the data fit into the
#   adapter, batches are small, and LoRA's rate is about ten times full's. Ours learnt
#   less than full at five times, and less still at ten; with the embedding, at 2.5 times, hardly less
#
# So measure your own case.
# %% [markdown]
# ## Deeper: the real data, and the LoRA paper
# On E2E NLG, the paper's table 3 gives GPT-2 medium a BLEU of 70.4 ± 0.1 with LoRA and, from
# earlier work, 68.2 with full fine-tuning. Our mini GPT:
# %%
rates_of_real, _ = error_rates(results["real"], WAYS)
side_by_side(results["real"], WAYS, rates_of_real)
# %%
about = results["real"]["about"]
steps, examples = about["steps"]["menu"], about["rows"]["menu"]["train"]
seen = steps * about["batch_rows"]
print(f"in its {steps} steps, each run has seen {seen:,} of {examples:,} examples")
print(f"people's own sentences: {100 * about['slot_error_rate_of_references']:.1f} % slot errors")
# %% [markdown]
# LoRA is far behind, and the paper's models were not. What does ours lack? You have met two suspects.
# Rank 8 may be too low for so many new sentences. Or it is what LoRA leaves frozen: restaurants' words
# are new to our base, and the embedding, which is the head as well, cannot learn them. So we trained
# two more arms, three seeds each, at the best of three learning rates. Rank 32 trains 663,552
# numbers, four times as many as rank 8. Rank 8 and the embedding are 559,104.
# %%
REMEDIES = {
    "rank 32": {"method": "lora", "rank": 32},
    "rank 8, and the embedding": {"method": "lora, embedding", "rank": 8},
}
brings = predict("Which brings LoRA nearer to full fine-tuning on E2E?", list(REMEDIES))
brings
# %%
# @title The answer: run it when you have predicted
tried_on_real = {"LoRA": WAYS["LoRA"], **REMEDIES, "full": WAYS["full"]}
rates_of_real, _ = error_rates(results["real"], tried_on_real)
measured = side_by_side(results["real"], tried_on_real, rates_of_real)
of_real = {
    name: mean(run["test_loss"] for run in finals(results["real"], **key))
    for name, key in tried_on_real.items()
}
behind = of_real["LoRA"] - of_real["full"]
closed = {name: (of_real["LoRA"] - of_real[name]) / behind for name in REMEDIES}
found = max(closed, key=closed.get)
shares = [f"{100 * of(closed.values()):.0f} %" for of in (max, min)]
because = f"of the gap in loss it closes {shares[0]}, the other {shares[1]}"
errors = [
    torch.stack([digits(run["errors"]) for run in finals(results["real"], **tried_on_real[name])])
    for name in ("rank 32", "LoRA")
]
slots = digits(results["real"]["about"]["test_slots"])
fewer = compare(slots, *errors, error_rate_score, highest=math.inf)
points = [signed(100 * each) for each in (fewer.value, fewer.low, fewer.high)]
gain = "Slot errors on the same meanings, rank 32 minus LoRA: {} points ({} to {}).".format(*points)
reveal(brings, found, because=because, measured=[measured, gain])
# %% [markdown]
# <details><summary><b>Takeaway</b>, once you have predicted</summary>
#
# Mostly it is the embedding. With it rank 8 makes up for 80 % of the gap in loss, and rank 32, which has
# more numbers to train, for 15 %. In slot errors it is 55 %. Rank 32 makes 9.1 points fewer of them, but
# the interval goes from 21.1 fewer to 2.8 more, so a gain is not shown. So where the words themselves
# are new, rank 32 did not replace what is frozen.
#
# What is still missing may be rank, or the embedding's own rate of 0.0005, which we did not tune. Or it
# is time: each run has seen less than a quarter of the examples once, and the paper made five passes.
# Whether the embedding alone would do, we have not tried. And LoRA with the embedding is not shown to have forgotten
# less: full fine-tuning at a rate of 0.0003 learnt as much (validation loss 1.37 against 1.36 at rank 8),
# and its loss on stories is 3.3, LoRA's 3.5, with one seed.
#
# </details>
#
# ## Three sentences to remember
# 1. Mask the prompt: the model reads the meaning, and learns the sentence and where it ends.
# 2. A low loss and a high BLEU don't make a sentence true.
# 3. With the adapter off, nothing is forgotten; ◇ with it on, its strength, and what else learns,
#    decide how much.
#
# ## Five questions
# 1. Why does the last token of the prompt have a target that counts?
# 2. ◇ What do temperature 0.5 and top-k 5 change in the probabilities?
# 3. A sentence says *expensive* where *cheap* was meant. What do slot errors and BLEU say?
# 4. Why measure forgetting on stories that the base has neither read nor written?
# 5. ◇ Someone reports that LoRA forgot less than full fine-tuning. What do you ask?
#
# <details><summary>Answers</summary>
# (1) Its next token is the first of the sentence. (2) Likely tokens get likelier, and all but five
# get 0. (3) One slot is wrong; BLEU falls as for any other wording. (4) What it has read it may
# know by heart, and what it wrote it finds likely. (5) How much each learnt, over how many seeds,
# and whether both trained the same layers.
# </details>
#
# ## Where next
# [Adapters as files](07_adapters_as_files.ipynb) saves, switches and blends what was learnt. [A
# model you did not write](08_a_model_you_did_not_write.ipynb) learns the same menus. How well?
#
# ## Further reading
# - Hu et al. 2021, [LoRA](https://arxiv.org/abs/2106.09685), table 3
# - Shi et al. 2024, [Loss Over Instructions](https://arxiv.org/abs/2405.14394)
# - Biderman et al. 2024, [LoRA Learns Less and Forgets Less](https://arxiv.org/abs/2405.09673);
#   PEFT's [method comparison](https://github.com/huggingface/peft/tree/main/method_comparison)
# - Schulman et al. 2025, [LoRA Without Regret](https://thinkingmachines.ai/blog/lora/)
# - Wortsman et al. 2021, [WiSE-FT](https://arxiv.org/abs/2109.01903)
