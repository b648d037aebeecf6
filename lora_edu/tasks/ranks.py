"""What was recorded of the rank that an update needs, and its picture.

Full fine-tuning on the spam set was run with five seeds, and each matrix of its update ΔW was cut,
shrunk and taken apart; LoRA was trained at several ranks beside it. `scripts/record_delta.py` made
the record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lora_edu.evaluation import read_record, runs_of
from lora_edu.files import data_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lora_edu.plots import Line

#: The kinds of update that are measured at a rank.
CUT, LORA, SHRUNK = "cut", "lora", "shrunk"
_LORA_NAME, _CUT_NAME = "LoRA trained at rank r", "ΔW of full fine-tuning,\ncut to rank r"
WITHOUT, STRETCHED = "without", "stretched"

Found = Mapping[str, Any]
_ROOM = 6  # times the last rank, on a logarithmic axis: there the levels have their names


@dataclass(frozen=True)
class RankRecord:
    """Accuracy, loss and energy of updates, one value for each seed.

    Args:
        found: What was measured, in the order of the seeds, by kind and rank.
        whole: The same with ΔW whole.
        head: The same with a new head on the frozen base and nothing else trained.
        words: Accuracy of words and pairs of words counted, without a language model.
    """

    found: Mapping[tuple[str, int], Sequence[Found]]
    whole: Sequence[Found]
    head: Sequence[Found]
    words: float

    def accuracy(self, kind: str, rank: int) -> Tensor:
        """Share of right answers on the test set, (seeds,)."""
        return _values(self.found[kind, rank], "test_accuracy")

    def loss(self, kind: str, rank: int) -> Tensor:
        """Test loss in nats per message, (seeds,)."""
        return _values(self.found[kind, rank], "test_loss")

    def energy(self, kind: str, rank: int) -> float:
        """Share of ΔW's energy that such an update has, mean over the seeds."""
        return _values(self.found[kind, rank], "energy").mean().item()

    @property
    def whole_accuracy(self) -> Tensor:
        """Accuracy with ΔW whole, (seeds,)."""
        return _values(self.whole, "test_accuracy")

    @property
    def head_accuracy(self) -> Tensor:
        """Accuracy with a new head on the frozen base, (seeds,)."""
        return _values(self.head, "test_accuracy")

    def ranks(self, kind: str) -> list[int]:
        """The ranks at which a kind was measured; rank 0, no update, is none."""
        return sorted(rank for found, rank in self.found if found == kind and rank)

    def picture(self) -> Figure:
        """Draws accuracy against rank for LoRA and for ΔW cut, between what frames them."""
        from lora_edu.plots import (  # training needs no matplotlib
            CONCEPTS,
            INK,
            add_level,
            line_chart,
        )

        made = line_chart(
            [
                self._line(LORA, _LORA_NAME),
                self._line(CUT, _CUT_NAME),
            ],
            title=(
                f"LoRA trained at rank 1 gets {100 * self.accuracy(LORA, 1).mean():.1f} %, "
                f"the whole ΔW {100 * self.whole_accuracy.mean():.1f} %"
            ),
            x_label="rank r; whiskers from the worst seed to the best",
            y_label="accuracy on the test set (%)",
            x_log2=True,
            beside={_LORA_NAME: (-1, 10, 25), _CUT_NAME: (-1, 2, -56)},
        )
        axis = made.axes[0]
        axis.set_xticks(self.ranks(CUT), self.ranks(CUT))
        axis.set_xlim(right=_ROOM * self.ranks(CUT)[-1])
        for accuracy, name, colour, above in (
            (100 * self.whole_accuracy.mean().item(), "ΔW whole", CONCEPTS["full"], True),
            (100 * self.words, "words counted", INK, False),
            (100 * self.head_accuracy.mean().item(), "a head alone", CONCEPTS["head"], True),
        ):
            add_level(axis, accuracy, f"{name}, {accuracy:.1f} %", colour=colour, above=above)
        return made

    def _line(self, kind: str, label: str) -> Line:
        """The mean over the seeds, with whiskers from the worst to the best."""
        from lora_edu.plots import Line

        ranks = self.ranks(kind)
        values = [100 * self.accuracy(kind, rank) for rank in ranks]
        return Line(
            label,
            ranks,
            [each.mean().item() for each in values],
            [each.min().item() for each in values],
            [each.max().item() for each in values],
        )


def rank_record() -> RankRecord:
    """Reads what was recorded of the shipped ΔW.

    Example:
        >>> record = rank_record()
        >>> [round(100 * each.mean().item(), 1) for each in
        ...  (record.accuracy("lora", 1), record.whole_accuracy, record.head_accuracy)]
        [90.6, 90.5, 81.0]
    """
    record = read_record(data_path("results", "rank_of_delta.json"))
    tuned = runs_of(record, stage="final", method="full")
    found: dict[tuple[str, int], list[Found]] = {}
    for run in [*tuned, *runs_of(record, stage="direction")]:
        for point in run["points"]:
            found.setdefault((point["kind"], point["rank"]), []).append(point)
    for run in runs_of(record, stage="final", method="lora"):
        found.setdefault((LORA, run["key"]["rank"]), []).append(run)
    bundled = read_record(data_path("results", "classifier_bundled.json"))
    heads = runs_of(bundled, stage="final", method="head", base="mini", labels="true")
    return RankRecord(found, tuned, heads, _words_counted())


def _values(found: Sequence[Found], measure: str) -> Tensor:
    return torch.tensor([each[measure] for each in found], dtype=torch.double)


def _words_counted() -> float:
    counted = json.loads(data_path("results", "baselines.json").read_text(encoding="utf-8"))
    return counted["bundled"]["words_and_pairs"]["accuracy"][0]
