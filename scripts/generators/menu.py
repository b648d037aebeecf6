"""Writes the bundled menu set, data/menu/: meanings and sentences that say them.

    python -m scripts.generators.menu --output data/menu

A sentence is an opening, a food clause and further clauses in some order; that choice is its
template. No template and no meaning is in two parts of the split. Each slot is said with a phrase
of LEXICON (written to lexicon.json), so that a program can tell whether a sentence says it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping
from pathlib import Path

from scripts.generators.grammar import write_jsonl

SEED = 7
SIZES = {"train": 1500, "validation": 100, "test": 200}  # meanings
REFERENCES = {"train": 1, "validation": 2, "test": 3}  # sentences for each of them
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}  # of the templates

ORDER = ("name", "kind", "dish", "drink", "price", "near", "open", "children")
VERBATIM = {  # said in these very words
    "name": "The Blue Spoon,Old Oak,Mimi's,The Lazy Cat,Green Door,The Happy Fox,Little Star,"
    "Sunny Corner,The Red Pan,Moon House,Three Bears,The Warm Stone,Rosie's,The Tall Cup,"
    "Apple Tree,The Brown Hen,Silver Fork,Uncle Bob's,The Round Table,Seven Plates",
    "kind": "café,bakery,tea room,food stall,snack bar,diner,pizza house,garden kitchen",
    "dish": "tomato soup,apple pie,cheese toast,fish cakes,pancakes,bean stew,noodles,fried rice,"
    "egg sandwiches,carrot cake,chicken wings,nut bread,potato salad,pumpkin soup,"
    "mushroom pasta,sweet buns,corn bread,vegetable curry",
    "drink": "lemonade,green tea,hot chocolate,apple juice,cold milk,ginger beer,coffee,mint tea,"
    "berry juice,orange juice,coconut water,warm cider",
    "near": "the park,the station,the river,the old bridge,the school,the zoo,the harbour,"
    "the library,the church,the market,the lake,the museum",
}
LEXICON: dict[str, dict[str, list[str]]] = {
    slot: {value: [value] for value in values.split(",")} for slot, values in VERBATIM.items()
} | {
    "price": {
        "cheap": ["cheap", "does not cost much", "low prices"],
        "fair": ["fairly priced", "costs what is fair", "fair prices"],
        "high": ["expensive", "costs a lot", "high prices"],
    },
    "open": {
        "early": ["opens early", "early in the morning"],
        "late": ["stays open late", "late at night"],
        "all day": ["open all day", "from morning to night"],
        "weekend": ["only at the weekend", "Saturdays and Sundays"],
    },
    "children": {
        "yes": ["children are welcome", "good place for children", "children love it"],
        "no": ["not a place for children", "only for grown-ups", "children cannot come in"],
    },
}

OPENINGS = {  # the slots that an opening says, in the order of ORDER
    ("name",): ["Come to {name}.", "Do you know {name}?", "{name} is a nice place.", "Try {name}."],
    ("name", "kind"): [
        "{name} is a {kind}.",
        "There is a {kind} called {name}.",
        "If you want to go to a {kind}, try {name}.",
        "{name} is the name of a {kind}.",
        "The {kind} {name} is waiting for you.",
    ],
    ("name", "near"): [
        "{name} is near {near}.",
        "You can find {name} near {near}.",
        "Near {near} there is a place called {name}.",
        "Are you near {near}? Go to {name}.",
    ],
    ("name", "kind", "near"): [
        "{name} is a {kind} near {near}.",
        "Near {near} there is a {kind} called {name}.",
        "The {kind} near {near} is called {name}.",
        "There is a {kind} near {near}. Its name is {name}.",
        "If you are near {near}, go to the {kind} {name}.",
    ],
    ("name", "kind", "price"): [
        "{name} is {a_priced} {kind}.",
        "There is {a_priced} {kind} called {name}.",
    ],
    ("name", "kind", "price", "near"): [
        "{name} is {a_priced} {kind} near {near}.",
        "Near {near} there is {a_priced} {kind} called {name}.",
    ],
}
A_PRICED = {"cheap": "a cheap", "fair": "a fairly priced", "high": "an expensive"}
FOODS = {
    ("dish",): [
        "It serves {dish}.",
        "You can eat {dish} there.",
        "People come for the {dish}.",
        "Ask for {dish}.",
        "You should try the {dish}.",
    ],
    ("drink",): [
        "It serves {drink}.",
        "You can drink {drink} there.",
        "People come for the {drink}.",
        "Ask for some {drink}.",
    ],
    ("dish", "drink"): [
        "It serves {dish} and {drink}.",
        "You can eat {dish} and drink {drink} there.",
        "Try the {dish} with some {drink}.",
        "It has {drink} to drink and {dish} to eat.",
        "People come for the {dish} and stay for the {drink}.",
    ],
}
CLAUSES = {  # of the same length for each value: the pattern, not the value, is the template
    "price": {
        "cheap": ["it is cheap", "it does not cost much", "it has low prices"],
        "fair": ["it is fairly priced", "it costs what is fair", "it has fair prices"],
        "high": ["it is expensive", "it costs a lot", "it has high prices"],
    },
    "open": {
        "early": ["it opens early", "you can go early in the morning"],
        "late": ["it stays open late", "you can go late at night"],
        "all day": ["it is open all day", "you can go from morning to night"],
        "weekend": ["it is open only at the weekend", "you can go on Saturdays and Sundays"],
    },
    "children": {
        "yes": ["children are welcome", "it is a good place for children", "children love it"],
        "no": [
            "children cannot come in",
            "it is not a place for children",
            "it is only for grown-ups",
        ],
    },
}
PLEASANT = {("price", "cheap"), ("price", "fair"), ("children", "yes")}
UNPLEASANT = {("price", "high"), ("children", "no")}


def compose(slots: Mapping[str, str], dice: random.Random) -> tuple[str, str]:
    """Says a meaning with a template drawn at random; returns the template's name and the text."""
    place = [slot for slot in ("name", "kind", "near") if slot in slots]
    fused = tuple(slot for slot in ORDER if slot in [*place, "price"])
    fuse = "price" in slots and fused in OPENINGS and dice.random() < 0.4
    said = fused if fuse else tuple(place)
    opening = dice.randrange(len(OPENINGS[said]))
    words = {**slots, "a_priced": A_PRICED.get(slots.get("price", ""), "")}
    parts = [OPENINGS[said][opening].format(**words)]
    template = ["+".join(said), str(opening)]
    blocks = []
    food = tuple(slot for slot in ("dish", "drink") if slot in slots)
    if food:
        pattern = dice.randrange(len(FOODS[food]))
        blocks.append((f"{'+'.join(food)} {pattern}", FOODS[food][pattern].format(**slots)))
    clauses = [slot for slot in CLAUSES if slot in slots and not (fuse and slot == "price")]
    dice.shuffle(clauses)
    while clauses:
        pair = [clauses.pop() for _ in range(min(len(clauses), dice.choice((1, 2))))]
        blocks.append(_sentence(pair, slots, dice))
    dice.shuffle(blocks)
    for name, text in blocks:
        template.append(name)
        parts.append(text)
    return " / ".join(template), " ".join(parts)


def _sentence(pair: list[str], slots: Mapping[str, str], dice: random.Random) -> tuple[str, str]:
    """One clause, or two joined: "but" between a pleasant and an unpleasant one, else "and"."""
    patterns = [dice.randrange(len(CLAUSES[slot][slots[slot]])) for slot in pair]
    clauses = [CLAUSES[s][slots[s]][p] for s, p in zip(pair, patterns, strict=True)]
    facts = [(slot, slots[slot]) for slot in pair]
    mixed = any(fact in PLEASANT for fact in facts) and any(fact in UNPLEASANT for fact in facts)
    text = (", but " if mixed else " and ").join(clauses)
    name = " ".join(f"{slot} {p}" for slot, p in zip(pair, patterns, strict=True))
    return name, text[0].upper() + text[1:] + "."


def draw_meaning(dice: random.Random) -> dict[str, str]:
    """A name and two to four other slots, in the order of ORDER."""
    others = dice.sample([slot for slot in ORDER if slot != "name"], dice.randint(2, 4))
    chosen = [slot for slot in ORDER if slot in ("name", *others)]
    return {slot: dice.choice(list(LEXICON[slot])) for slot in chosen}


def write_meaning(slots: Mapping[str, str]) -> str:
    """`name[Old Oak], price[cheap]`."""
    return ", ".join(f"{slot}[{value}]" for slot, value in slots.items())


def make(seed: int = SEED) -> dict[str, list[dict]]:
    """Makes all parts: rows of meaning, sentence and template."""
    dice = random.Random(seed)
    part_of_template: dict[str, str] = {}
    meanings: set[str] = set()
    parts: dict[str, list[dict]] = {part: [] for part in SIZES}
    for part, size in SIZES.items():
        while size:
            slots = draw_meaning(dice)
            meaning = write_meaning(slots)
            if meaning in meanings:
                continue
            rows: dict[str, dict] = {}
            for _ in range(100):
                template, sentence = compose(slots, dice)
                if template not in part_of_template:
                    (owner,) = dice.choices(list(SHARES), list(SHARES.values()))
                    part_of_template[template] = owner
                if part_of_template[template] == part:
                    rows[sentence] = {
                        "meaning": meaning,
                        "sentence": sentence,
                        "template": template,
                    }
                if len(rows) == REFERENCES[part]:
                    break
            else:
                continue  # few templates of this part say it
            meanings.add(meaning)
            parts[part].extend(rows.values())
            size -= 1
    return parts


def write(folder: Path) -> None:
    """Writes train.jsonl, validation.jsonl, test.jsonl and lexicon.json."""
    for part, rows in make().items():
        write_jsonl(folder / f"{part}.jsonl", rows)
    lexicon = json.dumps(LEXICON, ensure_ascii=False, indent=1) + "\n"
    (folder / "lexicon.json").write_text(lexicon, encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("data/menu"))
    write(parser.parse_args().output)


if __name__ == "__main__":
    main()
