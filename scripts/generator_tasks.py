"""The two tasks of the generator's record, and how a model is measured on them.

"menu" says a list of slots in a sentence, "voice" tells tales like a pirate; stories show what was
forgotten. Needs sacrebleu, the test extra.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import sacrebleu
import tiktoken

from lora_edu.datasets import (
    IGNORE,
    Batches,
    Pair,
    Row,
    Split,
    generation_rows,
    load_menu,
    load_stories,
    load_tales,
    prompt,
    text_rows,
)
from lora_edu.evaluation import mean_loss
from lora_edu.gpt import GPT
from lora_edu.pretrained import load_tokenizer
from lora_edu.tasks import (
    Patterns,
    e2e_patterns,
    menu_patterns,
    slot_error_rate,
    slot_errors,
    write_sentences,
)
from scripts.mixture import split_stories

MENU_TOKENS, TALE_TOKENS, STORY_TOKENS = 128, 96, 256
BETWEEN_EXAMPLES = "\n\n"
EXAMPLE_TOKENS = 128  # for the examples before a menu prompt: mostly two of them
TALE_BEFORE_TOKENS = 159  # for the tale before a tale: 159, an end of text, and 96 make 256
NEW_TOKENS = 80
STORIES = 64  # held-out stories that the loss is measured on
SHOWN = 20  # sentences of a run that go into the record


@dataclass(frozen=True)
class Task:
    """What is learnt: rows for the loss, and pairs with patterns where slots can be counted."""

    rows: Split
    pairs: Split | None
    patterns: Patterns | None


@cache
def task(name: str, which: str) -> Task:
    """The task `which`, "menu" or "voice", of the set `name`."""
    encoding = load_tokenizer("mini")
    if which == "voice":
        tales = load_tales()
        return Task(Split(*(text_rows(part, encoding, TALE_TOKENS) for part in tales)), None, None)
    pairs = load_menu(name)
    every = (pair.meaning for part in pairs for pair in part)
    patterns = menu_patterns() if name == "bundled" else e2e_patterns(every)
    rows = Split(*(generation_rows(part, encoding, MENU_TOKENS) for part in pairs))
    return Task(rows, pairs, patterns)


@cache
def story_rows(path: str | None) -> list[Row]:
    """Stories for the measure of forgetting: held-out ones of a text, or those that ship."""
    texts = load_stories() if path is None else split_stories(Path(path))[1][:STORIES]
    return text_rows(texts, load_tokenizer("mini"), STORY_TOKENS)


def few_shot(
    pairs: Sequence[Pair], encoding: tiktoken.Encoding, max_tokens: int, *, seed: int = 0
) -> list[int]:
    """Draws worked examples to stand before a prompt: as many as fit, as token ids.

    Args:
        pairs: Where from: training pairs.
        encoding: The model's tokenizer.
        max_tokens: What all examples together may take.
        seed: Of the draw.

    Raises:
        ValueError: the first example drawn is too long already.
    """
    ids: list[int] = []
    for pair in random.Random(seed).sample(list(pairs), len(pairs)):
        text = prompt(pair.meaning) + pair.sentence + BETWEEN_EXAMPLES
        more = encoding.encode_ordinary(text)
        if len(ids) + len(more) > max_tokens:
            if not ids:
                raise ValueError(
                    f"max_tokens = {max_tokens}, but an example has {len(more)}; raise max_tokens"
                )
            break
        ids += more
    return ids


def examples(name: str, which: str, seed: int) -> list[int]:
    """The tokens of the prompt baseline: worked examples, or a whole tale, drawn from train."""
    encoding = load_tokenizer("mini")
    if which == "menu":
        return few_shot(load_menu(name).train, encoding, EXAMPLE_TOKENS, seed=seed)
    tales = [encoding.encode_ordinary(tale) for tale in load_tales().train]
    short = [ids for ids in tales if len(ids) <= TALE_BEFORE_TOKENS]
    return [*random.Random(seed).choice(short), encoding.eot_token]


def bleu(sentences: Sequence[str], pairs: Sequence[Pair]) -> tuple[float, str]:
    """Corpus BLEU, 0 to 100, against all references of each pair, and sacrebleu's signature."""
    most = max(len(pair.references) for pair in pairs)
    # sacrebleu wants the first references of all, then the second ones; None where there is none.
    streams = [
        [pair.references[n] if n < len(pair.references) else None for pair in pairs]
        for n in range(most)
    ]
    metric = sacrebleu.BLEU()
    score = metric.corpus_score(list(sentences), streams).score
    return score, str(metric.get_signature())


def with_prefix(rows: Iterable[Row], prefix: Sequence[int]) -> list[Row]:
    """Puts tokens before each row, none of which the loss counts; other targets stay.

    Example:
        >>> with_prefix([Row([7, 8], [8, 9])], [1, 2])
        [Row(token_ids=[1, 2, 7, 8], target=[-100, -100, 8, 9])]
    """
    ignored = [IGNORE] * len(prefix)
    return [Row([*prefix, *row.token_ids], [*ignored, *row.target]) for row in rows]


def loss_on(model: GPT, rows: Sequence[Row], prefix: Sequence[int] = ()) -> float:
    """Mean loss in nats per token, each row behind the prefix."""
    return mean_loss(model, Batches(with_prefix(rows, prefix), 32, shuffle=False))


def written(model: GPT, job: Task, prefix: Sequence[int], *, shown: bool) -> dict[str, Any]:
    """What the test meanings become, judged: slot errors of each, their rate, BLEU."""
    meanings = [pair.meaning for pair in job.pairs.test]
    encoding = load_tokenizer("mini")
    sentences = write_sentences(model, encoding, meanings, prefix=prefix, max_new_tokens=NEW_TOKENS)
    errors = [slot_errors(m, s, job.patterns) for m, s in zip(meanings, sentences, strict=True)]
    result = {
        "slot_error_rate": slot_error_rate(errors),
        **{kind: sum(getattr(e, kind) for e in errors) for kind in ("missing", "wrong", "added")},
        "bleu": round(bleu(sentences, job.pairs.test)[0], 2),
        "errors": "".join(str(min(9, error.total)) for error in errors),
    }
    return result | ({"sentences": sentences[:SHOWN]} if shown else {})
