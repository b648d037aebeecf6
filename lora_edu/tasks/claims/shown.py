"""All claims with what the records say of them, to show in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from lora_edu.evaluation import read_record
from lora_edu.files import data_path
from lora_edu.gpt import GPTConfig
from lora_edu.plots import note_beneath
from lora_edu.tasks.claims.directions import (
    amplifies,
    more_rank_holds_more,
    planted_rank,
    same_directions,
)
from lora_edu.tasks.claims.forgetting import (
    forgets_less_at_equal_learning,
    forgets_less_than_regularised,
    learns_and_forgets_less,
)
from lora_edu.tasks.claims.outcomes import intruder_dimensions, same_as_full, two_thirds
from lora_edu.tasks.claims.page import MARKS, claims_page, notebook_links
from lora_edu.tasks.claims.settings import (
    alpha_is_a_rate,
    rate_whatever_the_rank,
    same_beginning,
    slower_at_high_rank,
    small_rank,
    ten_times_the_rate,
)
from lora_edu.tasks.claims.targets import attention_alone, more_kinds_of_layers
from lora_edu.tasks.claims.training import larger_batches, separate_rates, zero_b
from lora_edu.tasks.claims.verdicts import Claim
from lora_edu.tasks.menu import RANK

HEADINGS = "claim, and who says so", "tried here", "verdict", "in full"
NOTE = (
    "✓ a trial speaks for the claim, ✗ against it, ? neither. The model is the mini GPT where no "
    "other is named, and full is full fine-tuning."
)


def published_claims(
    falls: Mapping[int, float], by_alpha: Sequence[float], by_rates: Sequence[float]
) -> list[Claim]:
    """Tries every claim on the records that ship, and on what was just measured.

    Args:
        falls: As `same_beginning` takes them.
        by_alpha: As `alpha_is_a_rate` takes them.
        by_rates: Likewise.
    """

    @cache
    def record(name: str) -> dict[str, Any]:
        return read_record(data_path("results", f"{name}.json"))

    def tried(trial: Callable[..., Claim], *names: str) -> Claim:
        return trial(*map(record, names))._replace(records=names)

    menus, real_menus, llm = "generator_bundled", "generator_real", "llm_menu"
    spam, real_spam = "classifier_bundled", "classifier_real"
    return [
        tried(small_rank, "rank_of_delta", menus, llm),
        tried(more_rank_holds_more, "memorise"),
        tried(planted_rank, "planted"),
        tried(same_directions, "subspaces"),
        tried(amplifies, "subspaces"),
        alpha_is_a_rate(by_alpha, by_rates),
        same_beginning(falls),
        tried(rate_whatever_the_rank, "settings"),
        tried(slower_at_high_rank, "settings", menus, "forgetting"),
        tried(separate_rates, "settings"),
        tried(zero_b, "settings"),
        tried(more_kinds_of_layers, "forgetting"),
        tried(attention_alone, "forgetting"),
        tried(ten_times_the_rate, menus, llm, spam, real_spam),
        tried(larger_batches, "settings", menus),
        tried(same_as_full, menus, real_menus, llm, spam, real_spam, "forgetting"),
        tried(learns_and_forgets_less, menus, real_menus, llm),
        tried(forgets_less_at_equal_learning, menus, "forgetting", llm, "forgetting_llm"),
        tried(forgets_less_than_regularised, menus, "forgetting"),
        tried(intruder_dimensions, "intruders", "forgetting", "forgetting_llm"),
        two_thirds(GPTConfig().n_embd, RANK),
    ]


class ClaimTable:
    """Claims and verdicts, shown when a cell ends in them.

    Args:
        claims: In the order of the rows.
    """

    def __init__(self, claims: Iterable[Claim]) -> None:
        self.claims = list(claims)

    @property
    def text(self) -> str:
        """The table in Markdown, with a mark before each trial."""
        rows = [HEADINGS, ["---"] * len(HEADINGS), *map(_row, self.claims)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)

    def __repr__(self) -> str:
        """Returns the Markdown and what its signs mean, for readers of plain text."""
        return f"{self.text}\n\n{NOTE}"

    def _repr_html_(self) -> str:
        return claims_page(self.claims) + note_beneath(NOTE)


def _row(claim: Claim) -> list[str]:
    tried = "<br>".join(f"{MARKS[trial.verdict]} {trial.found}" for trial in claim.trials)
    return [
        f"{claim.said}<br>{claim.source}",
        tried,
        f"**{claim.verdict}**",
        notebook_links(claim),
    ]


def claim_table(claims: Iterable[Claim]) -> ClaimTable:
    """Returns a table of claims, to show in a notebook.

    Example:
        >>> claim = Claim("The earth is round", "Aristotle", [], ["01"])
        >>> claim_table([claim]).text.splitlines()[2]
        '| The earth is round<br>Aristotle |  | **cannot tell** | [01](01_what_rank_means.ipynb) |'
    """
    return ClaimTable(claims)
