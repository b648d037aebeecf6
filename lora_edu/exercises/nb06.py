"""The exercises of notebook 06: slot errors and forgetting.

The two about tokens come first in the notebook and stand in `nb06_tokens.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lora_edu.exercises import nb06_tokens  # noqa: F401 (defines exercises)
from lora_edu.exercises.core import Wrong, exercise

MEANT = {
    "name": "Old Oak",
    "price": "cheap",
    "dish": "bean stew",
    "near": "the park",
    "open": "late",
}
SAID = {"name": "Old Oak", "price": "high", "drink": "coffee", "kind": "diner"}


def _count(meant: dict[str, str], said: dict[str, str]) -> tuple[int, int, int]:
    missing = sum(slot not in said for slot in meant)
    wrong = sum(slot in said and said[slot] != value for slot, value in meant.items())
    added = sum(slot not in meant for slot in said)
    return missing, wrong, added


@exercise(
    "06.slots",
    right=[_count],
    wrong=[
        lambda meant, said: (4, 1, 2),
        lambda meant, said: (3, 1, 3),
        lambda meant, said: (
            len(meant.items() - said.items()),
            0,
            len(said.items() - meant.items()),
        ),
        lambda meant, said: (len(meant.keys() - said.keys()), 0, len(said.keys() - meant.keys())),
        lambda meant, said: _count(said, meant),
        lambda meant, said: (*_count(meant, said)[:2], 0),
        lambda meant, said: sum(_count(meant, said)),
        lambda meant, said: (
            len(meant.items() - said.items()),
            _count(meant, said)[1],
            len(said.items() - meant.items()),
        ),
        lambda meant, said: (3, 1, 2),
        lambda meant, said: (0, 0, 0),
    ],
    praise="A fluent sentence can still be untrue, and only such a count notices.",
)
def slots(answer: Callable[[dict[str, str], dict[str, str]], tuple[int, int, int]]) -> None:
    """Judges a function (meant, said) → how many slots are missing, wrong and added."""
    found = answer(dict(MEANT), dict(SAID))
    if isinstance(found, int):
        raise Wrong("Return three numbers, missing, wrong and added: they are different mistakes.")
    found = tuple(found)
    messages = {
        (4, 1, 2): "A slot with another value is wrong, but not missing as well: count it once.",
        (3, 1, 3): "A slot with another value is wrong, but not added as well: count it once.",
        (4, 1, 3): "A slot with another value is wrong; you count it as missing and as added, too.",
        (4, 0, 3): "You compare slots and values as pairs, so that a wrong value counts twice, as "
        "missing and as added. Look whether the slot is there first.",
        (3, 0, 2): "You never compare the values: cheap was meant, and high was said.",
        (2, 1, 3): "Missing and added have changed places: missing is meant and not said.",
        (3, 1, 0): "What nobody meant counts too: coffee and a diner were made up.",
    }
    if found in messages:
        raise Wrong(messages[found])
    if found != _count(MEANT, SAID):
        raise Wrong(
            "Meant: name, price, dish, near, open. Said: the name, another price, a drink and a "
            "kind. So 3 are missing, 1 is wrong and 2 are added."
        )
    if tuple(answer({"name": "A"}, {"name": "A"})) != (0, 0, 0):
        raise Wrong("A sentence that says just what was meant has no errors; yours counts some.")


NATS, TOKENS = [20.0, 300.0], [10, 100]


def _perplexity(nats: Sequence[float], tokens: Sequence[int]) -> float:
    return math.exp(sum(nats) / sum(tokens))


@exercise(
    "06.perplexity",
    right=[_perplexity],
    wrong=[
        lambda nats, tokens: sum(math.exp(n / t) for n, t in zip(nats, tokens)) / len(nats),
        lambda nats, tokens: math.exp(sum(n / t for n, t in zip(nats, tokens)) / len(nats)),
        lambda nats, tokens: 2 ** (sum(nats) / sum(tokens)),
        lambda nats, tokens: sum(nats) / sum(tokens),
        lambda nats, tokens: math.exp(sum(nats)),
        lambda nats, tokens: math.exp(sum(nats) / len(nats)),
        lambda nats, tokens: math.exp(-sum(nats) / sum(tokens)),
        lambda nats, tokens: 2.0,
    ],
    praise="Before and after, on the same stories, it says what was forgotten.",
)
def perplexity(answer: Callable[[list[float], list[int]], float]) -> None:
    """Judges a function (summed losses of texts, their tokens) → perplexity over all tokens."""
    mean = sum(NATS) / sum(TOKENS)
    messages = [
        (
            (math.exp(2.0) + math.exp(3.0)) / 2,
            "You averaged perplexities. Average the losses, over all tokens, and take exp once.",
        ),
        (
            math.exp(2.5),
            "Each text weighs the same in yours, so the tokens of a short one weigh more. Divide "
            "all nats by all tokens.",
        ),
        (2**mean, "The loss is in nats, not in bits: the base of the power is e."),
        (mean, "That is the mean loss; the perplexity is exp of it."),
        (math.exp(sum(NATS)), "Divide by the number of tokens before you take exp."),
        (math.exp(sum(NATS) / 2), "You divided by the number of texts, not of tokens."),
        (math.exp(-mean), "The sign is wrong: a loss is positive, and a higher one is worse."),
    ]
    found = float(answer(list(NATS), list(TOKENS)))
    for value, message in messages:
        if math.isclose(found, value, rel_tol=1e-6):
            raise Wrong(message)
    if not math.isclose(found, math.exp(mean), rel_tol=1e-3):
        raise Wrong(
            "320 nats on 110 tokens are 320 / 110 = 2.909 nats per token, and exp of that is 18.3."
        )


FORGOT = {"adapter on": False, "adapter off": True, "merged": False, "full": False}


@exercise(
    "06.forgot",
    right=[FORGOT],
    wrong=[
        FORGOT | {"adapter off": False},
        FORGOT | {"adapter on": True},
        FORGOT | {"merged": True},
        FORGOT | {"full": True},
        FORGOT | {"adapter on": "sometimes"},
    ],
    praise="Whatever LoRA forgets, it forgets in a file of its own.",
)
def forgot(answer: dict[str, bool]) -> None:
    """Judges which of four models tells stories exactly as the base does."""
    if any(not isinstance(value, bool) for value in answer.values()):
        raise Wrong("Answer each with True or False.")
    if not answer["adapter off"]:
        raise Wrong(
            "With the adapter off nothing is left of it: the weights below were frozen, so the "
            "outputs are the base's, bit for bit."
        )
    if answer["adapter on"]:
        raise Wrong(
            "With the adapter on, its update is added to every text, a story too. An adapter does "
            "not know what it is asked for."
        )
    if answer["merged"]:
        raise Wrong(
            "Merging writes the update into the weights: the model is the one with the adapter on."
        )
    if answer["full"]:
        raise Wrong("Full fine-tuning changes the only weights there are.")
