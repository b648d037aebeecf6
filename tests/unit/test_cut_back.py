"""The cut put back: recorded answers in words, and what was measured now beside them."""

from __future__ import annotations

import pytest
import torch

from lora_edu.evaluation import read_record
from lora_edu.files import data_path
from lora_edu.widgets.component import answer_to
from lora_edu.widgets.cut_back import (
    KINDS,
    CutBackData,
    CutBackState,
    cut_back,
    describe,
    explain,
    finding,
    recorded,
)

DATA = CutBackData(
    accuracy={
        "cut": {1: 0.74, 2: 0.79, 4: 0.8},
        "lora": {1: 0.73, 2: 0.77},
        **{kind: {1: 0.5, 2: 0.6, 4: 0.7} for kind in ("shrunk", "subspace", "random")},
    },
    energy={"cut": {1: 0.26, 2: 0.4, 4: 0.61}, "subspace": {1: 0.01, 2: 0.02, 4: 0.14}},
    whole=0.83,
    none=0.54,
    live_seed={1: 0.641, 2: 0.7, 4: 0.72},
    seeds=5,
)


def test_words_give_what_was_recorded_and_leave_out_what_was_not() -> None:
    assert finding(CutBackState(4), DATA) == (
        "Rank 4 keeps 61 % of the energy. Accuracy is 80 %, with the whole ΔW 83 %."
    )
    assert explain(CutBackState(4), DATA) == (
        "Accuracy at rank 4, mean over 5 seeds: ΔW cut to rank r 80 %, ΔW in r random directions "
        "70 %. In r random output directions ΔW keeps 14 % of its energy."
    )
    assert explain(CutBackState(4, more=True), DATA) == (
        "Accuracy at rank 4, mean over 5 seeds: ΔW cut to rank r 80 %, ΔW shrunk, to the cut's "
        "energy 70 %, ΔW in r random directions 70 %, random update, of the cut's energy 70 %; "
        "rank 0 54 %. In r random output directions ΔW keeps 14 % of its "
        "energy."
    )
    assert "LoRA trained at rank r 73 %, " in explain(CutBackState(1), DATA)


def test_a_measurement_is_named_beside_the_record_of_its_seed() -> None:
    state = CutBackState(2, {2: 0.655, 1: 0.6})
    said = "Measured now, seed 0: 65.5 %; recorded for that seed 70 %."
    assert explain(state, DATA).endswith(said)
    assert describe(state, DATA).endswith("Stars, measured now: 60 % at rank 1, 66 % at rank 2.")
    assert "Measured" not in explain(CutBackState(4, state.live), DATA)


def test_the_record_is_the_mean_over_all_final_seeds() -> None:
    runs = read_record(data_path("results", "rank_of_delta.json"))["runs"]
    final = [run for run in runs if run["key"]["stage"] == "final"]
    data = recorded()
    assert data.seeds == 5
    for kind in KINDS:
        for rank, mean in data.accuracy[kind].items():
            values = [
                run["test_accuracy"]
                for run in final
                if (run["key"]["method"], run["key"]["rank"]) == (kind, rank)
            ] or [
                point["test_accuracy"]
                for run in final
                for point in run.get("points", ())
                if (point["kind"], point["rank"]) == (kind, rank)
            ]
            assert len(values) == 5
            assert mean == pytest.approx(torch.tensor(values).double().mean().item(), abs=1e-6)
    assert set(data.energy["cut"]) == set(data.energy["subspace"]) == set(data.ranks)


def test_the_page_asks_for_a_rank_and_hears_the_accuracy_or_what_went_wrong() -> None:
    made = cut_back(lambda rank: 1 / (rank - 2), DATA)
    assert answer_to(4, made.ask) == {"value": 0.5}
    assert answer_to(2, made.ask) == {"error": "ZeroDivisionError: division by zero"}


def test_readers_of_text_get_the_words_of_the_first_rank() -> None:
    start = CutBackState(1)
    made = cut_back(lambda rank: 0.5, DATA)
    assert repr(made) == f"{finding(start, DATA)} {explain(start, DATA)}"
    assert made.alt == describe(start, DATA)
