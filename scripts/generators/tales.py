"""Writes the bundled tales, data/tales/: short tales in a pirate's voice.

    python -m scripts.generators.tales --output data/tales

The plots stand in tales_templates.txt beside this file. A plot is in one part of the split with
all its tales; openings, closings and words are common to all.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from lora_edu.datasets import near_duplicate_key, split_by_group
from scripts.generators.grammar import choose, tidy, write_jsonl

SEED = 11
TALES_PER_PLOT = 20
FRACTIONS = (0.7, 0.1, 0.2)
TEMPLATES = Path(__file__).with_name("tales_templates.txt")
FRAME = ("opening", "closing")

SLOTS = {
    "c": "Jack,Bob,Joe,Fred,Finn,Sam,Max,Redbeard",
    "m": "Molly,Polly,Nell,Sue,Jane,Daisy,Lucy,Sally",
    "rival": "Grim Gus,Sour Sid,Bad Barney,Mean Ned,Old Snort",
    "ship": "Jolly Duck,Wet Dog,Lucky Crab,Red Hen,Black Sheep,Merry Fish",
    "island": "Turtle Island,Skull Rock,Palm Island,Monkey Point,Bird Island,Bone Island",
    "port": "Fishtown,Old Harbour,Rumble Bay,Stone Bay,Saltwick",
    "food": "fish,cabbage,seaweed,porridge,bean stew,pea soup",
    "bird": "Squawk,Pepper,Biscuit,Nut,Old Blue",
    "red": "beet,lobster,cherry,sunset",
    "cannon": "Big Bertie,Boom,Thunder Tess,Old Cough",
}


def read_plots(path: Path = TEMPLATES) -> dict[str, list[list[str]]]:
    """Reads the plots: name to beats, a beat being a list of ways to tell it."""
    plots: dict[str, list[list[str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            beats = plots.setdefault(line[3:], [])
        elif line.startswith("/ "):
            beats[-1].append(line[2:])
        elif line and not line.startswith("#"):
            beats.append([line])
    return plots


def tell(beats: list[list[str]], dice: random.Random) -> str:
    """Tells a plot once; a slot keeps its word from the first beat to the last."""
    words = {slot: dice.choice(choices.split(",")) for slot, choices in SLOTS.items()}
    lines = (choose(dice.choice(beat), dice).format(**words) for beat in beats)
    return tidy(" ".join(lines))


def tales(seed: int = SEED) -> list[dict]:
    """Makes all tales, no two of them near duplicates."""
    dice = random.Random(seed)
    plots = read_plots()
    opening, closing = (plots.pop(name)[0] for name in FRAME)
    rows, seen = [], set()
    for name, beats in plots.items():
        wanted = TALES_PER_PLOT
        while wanted:
            text = tell([opening, *beats, closing], dice)
            if (key := near_duplicate_key(text)) not in seen:
                seen.add(key)
                rows.append({"template": name, "text": text})
                wanted -= 1
    return rows


def write(folder: Path) -> None:
    """Writes train.jsonl, validation.jsonl and test.jsonl."""
    split = split_by_group(
        tales(),
        group=lambda row: row["template"],
        stratum=lambda row: "",
        fractions=FRACTIONS,
        seed=SEED,
    )
    for name, rows in split._asdict().items():
        write_jsonl(folder / f"{name}.jsonl", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("data/tales"))
    write(parser.parse_args().output)


if __name__ == "__main__":
    main()
