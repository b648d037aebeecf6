"""Writes the bundled spam set, data/spam/: short messages, spam or ham.

    python -m scripts.generators.spam --output data/spam

The templates stand in spam_templates.txt beside this file, spam and ham of each topic sharing
their words: which of the two a message is shows in who asks whom for what, and in what is
negated. All messages of a template are in one part of the split, and so are the two halves of a
pair: the same words as spam and, in another order, as ham.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import NamedTuple

from lora_edu.datasets import Split, near_duplicate_key, split_by_group
from scripts.generators.grammar import expand, write_jsonl

SEED = 20
MESSAGES = {"ham": 5, "spam": 4}  # of each template; more ham than spam, as in real life
PAIRED = 3  # of each half of a pair
FRACTIONS = (0.61, 0.14, 0.25)  # of the templates; a large test set, as templates are what counts
TEMPLATES = Path(__file__).with_name("spam_templates.txt")

GIRLS = ["Lily", "Anna", "Mia", "Sara", "Emma", "Lucy", "Zoe", "Ella"]
BOYS = ["Tom", "Ben", "Sam", "Max", "Tim", "Jack", "Leo", "Finn"]
SLOTS = {
    "hi": ["Hi {name},", "Hello {name},", "Hi,", "Hello,", "Hey {name},", "Good morning,", ""],
    "name": GIRLS + BOYS,
    "girl": GIRLS,
    "parent": ["mum", "dad", "mummy", "daddy"],
    "mother": ["mum", "gran"],
    "bank": ["Oak Bank", "River Bank", "Hill Bank", "Star Bank", "Green Bank", "Blue Bank"],
    "shop": ["Toy Box", "Red Barn", "Book Nook", "Sunny Shop", "Hat House", "Moon Market"],
    "money": [f"£{n}" for n in (60, 80, 100, 150, 200, 300, 500)]
    + [f"{n} pounds" for n in (50, 90, 120, 250, 400, 1000)],
    "small": [f"£{n}" for n in (2, 3, 4, 5, 8, 10)] + [f"{n} pounds" for n in (3, 6, 7, 9, 12)],
    "day": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "time": ["two", "three", "four", "five", "six", "seven", "noon", "half past two", "9 pm"],
    "secret": ["code", "password", "card number", "bank account", "account number", "pin"],
    "code": [str(n) for n in range(1043, 9990, 277)],
    "phone": [f"07700 900{n}" for n in range(103, 990, 37)],  # a range no one is ever given
    "link": [
        f"{one}-{two}.example"  # a domain no one can ever own
        for one in ("my", "safe", "best", "new", "top", "fast")
        for two in ("post", "bank", "shop", "help", "page", "box", "pay")
    ],
    "thing": "phone bike coat hat lamp book drum kite watch clock ball doll radio bag".split(),
    "toy": "teddy bear,toy car,toy boat,doll,ball,puzzle,robot,kite,drum,toy train".split(","),
    "pet": "puppy kitten rabbit bird pony hamster".split(),
    "things": "shoes hats bikes books toys coats lamps kites blankets cups".split(),
    "event": "summer fair,school race,football game,quiz,cake contest,village show".split(","),
    "place": "the park,the station,the beach,the library,the market,the pool,the zoo".split(","),
    "town": ["Oakton", "Millbrook", "Redhill", "Seaford", "Applewood"],
    "road": ["Mill Road", "Park Street", "Hill Lane", "Church Road", "Garden Street"],
}

CLOSINGS = ["", "", "", "Have a nice day.", "Best wishes.", "All the best.", "Take care."]


class Template(NamedTuple):
    """A way to write a message; `group` is what stays in one part of the split."""

    group: str
    label: str
    text: str
    messages: int


def read_templates(path: Path = TEMPLATES) -> list[Template]:
    """Reads the templates, in the order of the file."""
    templates: list[Template] = []
    topic, number = "", 0
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            topic, number = line[3:], 0
        elif line and not line.startswith("#"):
            kind, *texts = line.split("\t")
            number += 1
            group = f"{topic}/{kind}/{number}"
            if kind == "pair":
                for label, text in zip(("spam", "ham"), texts, strict=True):
                    templates.append(Template(group, label, text, PAIRED))
            else:
                templates.append(Template(group, kind, texts[0], MESSAGES[kind]))
    return templates


def messages(seed: int = SEED) -> list[dict]:
    """Makes all messages, no two of them near duplicates."""
    dice = random.Random(seed)
    rows, seen = [], set()
    for template in read_templates():
        wanted = template.messages
        for _ in range(200):
            text = expand(f"{template.text} {dice.choice(CLOSINGS)}", SLOTS, dice)
            if (key := near_duplicate_key(text)) not in seen:
                seen.add(key)
                rows.append({"label": template.label, "template": template.group, "text": text})
                wanted -= 1
            if not wanted:
                break
        else:
            raise ValueError(f"template {template.group} is too narrow: {wanted} messages missing")
    return rows


def split(seed: int = SEED) -> Split:
    """Makes the messages and splits them by template."""
    return split_by_group(
        messages(seed),
        group=lambda row: row["template"],
        stratum=lambda row: row["template"].split("/")[1],  # spam, ham or pair
        fractions=FRACTIONS,
        seed=seed,
    )


def write(folder: Path) -> None:
    """Writes train.jsonl, validation.jsonl and test.jsonl."""
    for name, rows in split()._asdict().items():
        write_jsonl(folder / f"{name}.jsonl", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("data/spam"))
    write(parser.parse_args().output)


if __name__ == "__main__":
    main()
