"""Data sets: nothing leaks from one part of a split into another."""

import csv
import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_edu.datasets import sets as datasets
from lora_edu.datasets.sets import (
    Example,
    Pair,
    Split,
    load_menu,
    load_spam,
    load_stories,
    load_tales,
    near_duplicate_key,
    parse_meaning,
    read_e2e,
    read_sms,
    split_by_group,
    split_sms,
)
from lora_edu.files import DATA_SETS, data_path
from lora_edu.pretrained.tokenizer import load_tokenizer

PARTS = Split._fields


def bundled(name: str) -> dict[str, list[dict]]:
    return {
        part: [json.loads(line) for line in data_path(name, f"{part}.jsonl").open(encoding="utf-8")]
        for part in PARTS
    }


def assert_disjoint(parts: dict[str, set]) -> None:
    names = list(parts)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert not parts[one] & parts[other], f"{one} and {other} share"


@pytest.mark.parametrize("name", ["spam", "menu", "tales"])
def test_no_template_is_in_two_parts(name: str) -> None:
    assert_disjoint(
        {part: {row["template"] for row in rows} for part, rows in bundled(name).items()}
    )


@pytest.mark.parametrize(
    ("name", "field"), [("spam", "text"), ("menu", "sentence"), ("tales", "text")]
)
def test_no_near_duplicate_is_in_two_parts(name: str, field: str) -> None:
    assert_disjoint(
        {
            part: {near_duplicate_key(row[field]) for row in rows}
            for part, rows in bundled(name).items()
        }
    )


@pytest.mark.parametrize(("name", "field"), [("spam", "text"), ("tales", "text")])
def test_no_text_stands_there_twice_even_nearly(name: str, field: str) -> None:
    keys = Counter(near_duplicate_key(r[field]) for rows in bundled(name).values() for r in rows)
    assert keys.most_common(1)[0][1] == 1


def test_no_meaning_is_in_two_parts() -> None:
    assert_disjoint(
        {part: {row["meaning"] for row in rows} for part, rows in bundled("menu").items()}
    )


def test_bundled_spam_is_what_the_file_says() -> None:
    split = load_spam()
    for part, examples in zip(PARTS, split, strict=True):
        rows = bundled("spam")[part]
        assert examples == [Example(r["text"], {"ham": 0, "spam": 1}[r["label"]]) for r in rows]
    assert 1200 <= sum(map(len, split)) <= 2100


def test_each_part_of_bundled_spam_has_the_same_share_of_spam() -> None:
    shares = [sum(e.label for e in part) / len(part) for part in load_spam()]
    assert max(shares) - min(shares) < 0.02


def test_test_meanings_have_several_references_and_stand_there_once() -> None:
    split = load_menu()
    for pairs, count in ((split.validation, 2), (split.test, 3)):
        assert {len(set(pair.references)) for pair in pairs} == {count}
        assert len({pair.meaning for pair in pairs}) == len(pairs)
        assert all(pair.sentence == pair.references[0] for pair in pairs)
    assert all(pair.references == () for pair in split.train)


def test_bundled_tales_are_what_the_file_says() -> None:
    expected = Split(*([row["text"] for row in bundled("tales")[part]] for part in PARTS))
    assert load_tales() == expected


@pytest.mark.parametrize("load", [load_spam, load_menu])
def test_an_unknown_source_is_refused(load) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match='source must be "bundled" or "real", got \'web\''):
        load("web")


# --- splitting


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("ab")), min_size=1, max_size=80),
    st.integers(0, 3),
)
def test_a_split_keeps_every_row_and_never_cuts_a_group(rows: list, seed: int) -> None:
    split = split_by_group(rows, group=lambda r: str(r[0]), stratum=lambda r: r[1], seed=seed)
    assert Counter(row for part in split for row in part) == Counter(rows)
    assert_disjoint({name: {row[0] for row in part} for name, part in split._asdict().items()})


def test_a_split_keeps_the_share_of_each_stratum() -> None:
    rows = [(i, "rare" if i % 10 == 0 else "common") for i in range(1000)]
    split = split_by_group(rows, group=lambda r: str(r[0]), stratum=lambda r: r[1])
    assert [len(part) for part in split] == [700, 100, 200]
    assert [sum(row[1] == "rare" for row in part) for part in split] == [70, 10, 20]


def test_a_split_depends_on_its_seed_alone() -> None:
    rows = [(i, "") for i in range(50)]

    def split(seed: int) -> Split:
        return split_by_group(rows, group=str, stratum=lambda r: r[1], seed=seed)

    assert split(1) == split(1)
    assert split(1) != split(2)


def test_a_split_does_not_depend_on_the_order_of_the_rows() -> None:
    rows = [(i, "") for i in range(50)]
    one, other = (
        split_by_group(some, group=str, stratum=lambda r: r[1]) for some in (rows, rows[::-1])
    )
    assert one == other


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_fractions_must_share_out_the_whole(fractions: tuple) -> None:
    with pytest.raises(ValueError, match="fractions must be at least 0 and sum to 1"):
        split_by_group([1], group=str, stratum=str, fractions=fractions)


# --- real data, from small stand-ins of the same form

SMS = (
    'ham\tIt is "half\nham\tsee you at 5\nham\tsee you at 5\nspam\tCALL 0800!\nham\tSee you at 7.\n'
)


def test_sms_are_read_with_quotes_and_without_exact_duplicates() -> None:
    assert read_sms(SMS) == [
        ("ham", 'It is "half'),
        ("ham", "see you at 5"),
        ("spam", "CALL 0800!"),
        ("ham", "See you at 7."),
    ]


def test_near_duplicate_sms_stay_on_one_side() -> None:
    rows = [("ham", f"{word} at {hour}") for word in "abcdefghijklmnop" for hour in range(5)]
    split = split_sms(rows)
    assert sum(map(len, split)) == 80
    assert_disjoint(
        {n: {near_duplicate_key(r[1]) for r in part} for n, part in split._asdict().items()}
    )


def e2e_zip(parts: dict[str, list[tuple[str, str]]]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, rows in parts.items():
            table = io.StringIO()
            csv.writer(table).writerows([("mr", "ref"), *rows])
            zipped.writestr(f"e2e-dataset/{name}.csv", table.getvalue())
    return archive.getvalue()


def real_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    path.write_bytes(data)
    monkeypatch.setattr(datasets, "fetch", lambda wanted: tmp_path / wanted)
    assert name in DATA_SETS


def test_real_spam_is_read_split_and_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{'spam' if i % 4 == 0 else 'ham'}\tword{'x' * i}\n" for i in range(40)]
    text = "".join(lines) + lines[0]
    real_copies(tmp_path, monkeypatch, "sms_spam/SMSSpamCollection", text.encode())
    split = load_spam("real")
    assert [len(part) for part in split] == [28, 4, 8]
    assert {e.text: e.label for part in split for e in part} == {
        f"word{'x' * i}": int(i % 4 == 0) for i in range(40)
    }


def test_real_menus_keep_their_authors_split_with_references_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = e2e_zip(
        {
            "trainset": [
                ("name[A]", "A, it is."),
                ("name[A]", "A, it is."),
                ("name[A]", "Go to A."),
            ],
            "devset": [("name[B]", "B.")],
            "testset_w_refs": [("name[C]", "C."), ("name[D]", "D."), ("name[C]", "To C!")],
        }
    )
    real_copies(tmp_path, monkeypatch, "e2e_nlg/e2e-dataset.zip", archive)
    assert read_e2e(archive)[0] == [("name[A]", "A, it is."), ("name[A]", "Go to A.")]
    split = load_menu("real")
    assert split.train == [Pair("name[A]", "A, it is."), Pair("name[A]", "Go to A.")]
    assert split.validation == [Pair("name[B]", "B.", ("B.",))]
    assert split.test == [Pair("name[C]", "C.", ("C.", "To C!")), Pair("name[D]", "D.", ("D.",))]


def test_real_training_sentences_that_test_or_validation_has_nearly_alike_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = e2e_zip(
        {
            "trainset": [("name[A]", "Go to a pub!"), ("name[A]", "B it is."), ("name[A]", "A!")],
            "devset": [("name[B]", "b, it is")],
            "testset_w_refs": [("name[C]", "C."), ("name[C]", "go to a PUB")],
        }
    )
    real_copies(tmp_path, monkeypatch, "e2e_nlg/e2e-dataset.zip", archive)
    split = load_menu("real")
    assert split.train == [Pair("name[A]", "A!")]
    assert split.test == [Pair("name[C]", "C.", ("C.", "go to a PUB"))]


def test_stories_are_short_and_none_is_a_tale() -> None:
    stories, encoding = load_stories(), load_tokenizer("mini")
    assert len(set(map(near_duplicate_key, stories))) == 10
    assert all(100 < len(encoding.encode_ordinary(story)) < 200 for story in stories)
    assert not any("hearties" in story for story in stories)


def test_a_message_is_never_run() -> None:
    message = "__import__('os').abort()"
    assert read_sms(f"ham\t{message}\n") == [("ham", message)]
    assert parse_meaning(f"name[{message}]") == {"name": message}


def test_a_meaning_comes_apart_into_its_slots() -> None:
    assert parse_meaning("name[Café A], customer rating[5 out of 5], near[B, C]") == {
        "name": "Café A",
        "customer rating": "5 out of 5",
        "near": "B, C",
    }


@pytest.mark.parametrize("text", ["", "a cheap café", "name[A", "name[A],price[low]", "name[[A]]"])
def test_a_text_that_is_no_meaning_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="meaning must look like"):
        parse_meaning(text)
