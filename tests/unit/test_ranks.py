"""The record of ΔW's rank: seeds stay in their order, and the picture says what was found."""

from __future__ import annotations

import pytest

from lora_edu.evaluation import read_record, runs_of
from lora_edu.files import data_path
from lora_edu.tasks.ranks import RankRecord, rank_record

SEEDS = range(5)


@pytest.fixture(scope="module")
def record() -> RankRecord:
    return rank_record()


def point(run: dict, kind: str, rank: int) -> dict:
    return next(p for p in run["points"] if (p["kind"], p["rank"]) == (kind, rank))


def test_each_value_is_that_of_its_seed(record: RankRecord) -> None:
    runs = read_record(data_path("results", "rank_of_delta.json"))
    for seed in SEEDS:
        (full,) = runs_of(runs, stage="final", method="full", seed=seed)
        (lora,) = runs_of(runs, stage="final", method="lora", rank=4, seed=seed)
        assert record.whole_accuracy[seed] == full["test_accuracy"]
        assert record.accuracy("lora", 4)[seed] == lora["test_accuracy"]
        assert record.loss("cut", 16)[seed] == point(full, "cut", 16)["test_loss"]


def test_both_measurements_are_of_the_same_models() -> None:
    runs = read_record(data_path("results", "rank_of_delta.json"))
    for stage in ("final", "direction"):
        assert len(runs_of(runs, stage=stage, method="full")) == len(SEEDS)
    for final, again in zip(
        runs_of(runs, stage="final", method="full"), runs_of(runs, stage="direction"), strict=True
    ):
        assert again["key"]["lr"] == final["key"]["lr"]
        for measure in ("validation_loss", "test_loss"):
            assert again[measure] == pytest.approx(final[measure], abs=1e-3)


def test_the_strongest_direction_and_the_others_have_all_energy(record: RankRecord) -> None:
    for rank in (1, 2, 4, 8):
        both = record.energy("cut", rank) + record.energy("without", rank)
        assert both == pytest.approx(1, abs=1e-4)
    assert record.energy("stretched", 2) == pytest.approx(record.energy("cut", 1), abs=1e-4)


def test_the_picture_has_both_curves_and_names_what_frames_them(record: RankRecord) -> None:
    axis = record.picture().axes[0]
    lora, cut = axis.lines[:2]
    assert list(lora.get_xdata()) == record.ranks("lora")
    assert list(cut.get_xdata()) == record.ranks("cut")
    for curve, kind in ((lora, "lora"), (cut, "cut")):
        means = [100 * record.accuracy(kind, rank).mean().item() for rank in record.ranks(kind)]
        assert list(curve.get_ydata()) == pytest.approx(means)
    words = " ".join(text.get_text() for text in axis.texts)
    assert all(name in words for name in ("ΔW whole", "words counted", "a head alone"))
    assert axis.get_title("left") == "LoRA trained at rank 1 gets 90.6 %, the whole ΔW 90.5 %"
