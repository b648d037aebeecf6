"""The cut put back: recorded answers at once, live ones at a button, each in its words."""

import math

import pytest

from lora_edu.widgets.cut_back import CutBack, CutBackData, CutBackState, explain

DATA = CutBackData(
    accuracy={"ΔW cut": {1: 0.74, 2: 0.79, 4: 0.8}, "LoRA": {1: 0.73, 2: 0.77}},
    energy={"ΔW cut": {1: 0.26, 2: 0.4, 4: 0.61}, "at random": {1: 0.01, 2: 0.02, 4: 0.04}},
    levels={"ΔW whole": 0.83, "rank 0": 0.54},
    live_seed={1: 0.641, 2: 0.7, 4: 0.72},
)


def board(live=lambda rank: 0.6 + rank / 100) -> CutBack:
    return CutBack(DATA, live)


def test_words_give_what_was_recorded_and_leave_out_what_was_not() -> None:
    assert explain(CutBackState(4), DATA) == (
        "Rank 4. Energy kept: ΔW cut 61 %, at random 4 %. Accuracy, mean over seeds: ΔW cut 80 %; "
        "ΔW whole 83 %, rank 0 54 %."
    )
    assert "ΔW cut 74 %, LoRA 73 %;" in explain(CutBackState(1), DATA)


def test_the_button_measures_the_rank_that_is_set_and_says_so_beside_the_record() -> None:
    asked = []
    widget = board(lambda rank: asked.append(rank) or 0.655)
    widget.controls["rank"].value = 2
    before = widget.shown
    widget.button.click()
    assert asked == [2]
    assert "Live, seed 0: 65.5 %; recorded for that seed 70 %." in repr(widget)
    assert "Stars, measured live: 66 % at rank 2." in widget.shown.alt
    assert widget.shown.picture != before.picture


def test_live_results_stay_as_stars_while_the_slider_moves() -> None:
    widget = board()
    for rank in (1, 4):
        widget.controls["rank"].value = rank
        widget.button.click()
    widget.controls["rank"].value = 2
    assert "Live" not in repr(widget)
    assert widget._drawing.live.get_xydata().tolist() == [[0, pytest.approx(61)], [2, 64]]


def test_marks_stand_on_the_curves_at_the_rank_that_is_set() -> None:
    widget = board()
    widget.controls["rank"].value = 2
    expected = [[math.log2(2), 79], [math.log2(2), 77], [math.log2(2), 40]]
    assert widget._drawing.here.get_xydata().tolist() == expected


def test_after_an_error_the_button_can_be_pressed_again() -> None:
    def fail(rank: int) -> float:
        raise ValueError("no model")

    widget = board(fail)
    with pytest.raises(ValueError, match="no model"):
        widget.run_live()
    assert not widget.button.disabled
