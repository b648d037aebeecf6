"""Texts of your own: what people's files look like is read, and what is wrong is named."""

import csv
import json
from pathlib import Path

import pytest

from lora_edu.datasets.own_texts import FEWEST_TEXTS, load_texts
from lora_edu.datasets.sets import near_duplicate_key

WORDS = "apple bread cloud dress eagle flute grass honey island jacket kettle lemon".split()
PAIRS = [(f"{word}, {side} of the house", side) for side in ("north", "south") for word in WORDS]


def lines(separator: str = ",", names: tuple[str, str] = ("text", "label")) -> str:
    rows = [names, *PAIRS]
    return "\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)


def written(folder: Path, content: str | bytes, name: str = "own.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(own) -> list[tuple[str, str]]:
    return sorted((said, own.classes[label]) for part in own.split for said, label in part)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_table_is_read_whatever_separates_its_columns(tmp_path, separator, ends) -> None:
    own = load_texts(written(tmp_path, lines(separator).replace("\n", ends)))
    assert texts(own) == sorted(PAIRS) and own.classes == ("north", "south")


def test_what_excel_puts_first_and_empty_lines_are_passed_over(tmp_path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf\n" + lines(";").encode() + b"\n\n;\n")
    assert texts(load_texts(path)) == sorted(PAIRS)


def test_other_columns_and_other_names_do_no_harm(tmp_path) -> None:
    rows = [(number, 1 + number % 2, said) for number, (said, _) in enumerate(PAIRS)]
    with (tmp_path / "own.CSV").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "stars", "review"), *rows])
    own = load_texts(tmp_path / "own.CSV", text="review", label="stars")
    assert own.classes == ("1", "2") and len(texts(own)) == len(PAIRS)


def test_a_text_may_have_line_breaks_and_quotation_marks(tmp_path) -> None:
    said = 'He said "no",\nand left.'
    with (tmp_path / "own.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *PAIRS, (said, "north")])
    assert (said, "north") in texts(load_texts(tmp_path / "own.csv"))


def test_an_object_a_line_is_read(tmp_path) -> None:
    content = "\n".join(json.dumps({"label": len(side), "text": said}) for said, side in PAIRS[:12])
    content += "\n\n" + "\n".join(json.dumps({"text": s, "label": "x"}) for s, _ in PAIRS[12:])
    own = load_texts(written(tmp_path, content, "own.jsonl"))
    assert own.classes == ("5", "x")


def test_the_parts_have_all_classes_and_no_near_duplicates(tmp_path) -> None:
    twice = (
        lines()
        + "\n"
        + lines().partition("\n")[2].upper().replace("NORTH", "north").replace("SOUTH", "south")
    )
    own = load_texts(written(tmp_path, twice))
    keys = [{near_duplicate_key(said) for said, _ in part} for part in own.split]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])
    assert all({label for _, label in part} == {0, 1} for part in own.split)


def test_texts_without_letters_are_not_taken_for_one(tmp_path) -> None:
    rows = [f"{n},{'even' if n % 2 == 0 else 'odd'}" for n in range(100, 140)]
    own = load_texts(written(tmp_path, "\n".join(["text,label", *rows])))
    assert len(own.split.train) == 28


def test_it_does_not_depend_on_the_machine_or_the_run(tmp_path) -> None:
    path = written(tmp_path, lines())
    assert load_texts(path) == load_texts(str(path))


BAD = {
    "a spreadsheet": ("own.xlsx", b"PK", "must end in .csv or .jsonl"),
    "another alphabet's bytes": (
        "own.csv",
        "text,label\nschön,a".encode("latin-1"),
        "not in UTF-8",
    ),
    "nothing": ("own.csv", b"", "has no texts"),
    "names alone": ("own.csv", b"text,label\n", "has no texts"),
    "no names": (
        "own.csv",
        b"Hello,ham\nWin,spam",
        "the first line has to name the columns; there is no 'text', only 'Hello', 'ham'. Put",
    ),
    "other keys": ("own.jsonl", b'{"said": "Hello", "label": "b"}', "line 1: there is no 'text'"),
    "other names": ("own.csv", b"v1,v2\nham,Hello", 'load_texts(…, text="…")'),
    "a comma in a text": ("own.csv", b"text,label\nHello, you,ham", "line 2: 3 columns"),
    "an open quotation mark": ("own.csv", b'text,label\n"Hello,ham', "not closed"),
    "an empty text": ("own.csv", b"text,label\n ,ham", "line 2: 'text' must be a text, got ' '"),
    "an empty label": ("own.csv", b"text,label\nHello,", "line 2: 'label' must be a word"),
    "no JSON": ("own.jsonl", b'{"text": "a", "label": "b"}\n{text: a}', "line 2: this is no JSON"),
    "a list": ("own.jsonl", b'["Hello", "ham"]', 'got ["Hello", "ham"]'),
    "a number for a text": ("own.jsonl", b'{"text": 3, "label": "b"}', "must be a text, got 3"),
    "a fraction for a label": (
        "own.jsonl",
        b'{"text": "a", "label": 0.5}',
        "whole number, got 0.5",
    ),
    "no label": ("own.jsonl", b'{"text": "a", "label": null}', "got None"),
    "one class": ("own.csv", b"text,label\na,ham\nb,ham", "one class only, 'ham'"),
    "a rare class": (
        "own.csv",
        lines().encode() + b"\nHello,east",
        f"at least {FEWEST_TEXTS} different texts; too few have 'east' (1)",
    ),
}


@pytest.mark.parametrize(("name", "content", "words"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_used_is_told_why(tmp_path, name, content, words) -> None:
    with pytest.raises(ValueError) as raised:
        load_texts(written(tmp_path, content, name))
    assert words in str(raised.value) and name in str(raised.value)


def test_a_first_text_is_not_lost_as_the_name_of_a_column(tmp_path) -> None:
    path = written(tmp_path, "\n".join(["Hello there,north", *lines().split("\n")[1:]]))
    with pytest.raises(ValueError, match="first line, 'Hello there' and 'north', .* be lost"):
        load_texts(path, text="Hello there", label="north")


def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ValueError, match="none.csv is not a file|must end in"):
            load_texts(path)
