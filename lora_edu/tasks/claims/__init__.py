"""Published claims about LoRA, one by one: what the course's own records say of each."""

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
from lora_edu.tasks.claims.settings import (
    alpha_is_a_rate,
    rate_whatever_the_rank,
    same_beginning,
    slower_at_high_rank,
    small_rank,
    ten_times_the_rate,
)
from lora_edu.tasks.claims.shown import ClaimTable, claim_table, published_claims
from lora_edu.tasks.claims.targets import attention_alone, more_kinds_of_layers
from lora_edu.tasks.claims.training import larger_batches, separate_rates, zero_b
from lora_edu.tasks.claims.verdicts import FAILS, HOLDS, OPEN, Claim, Trial

__all__ = [
    "Claim",
    "ClaimTable",
    "FAILS",
    "HOLDS",
    "OPEN",
    "Trial",
    "alpha_is_a_rate",
    "amplifies",
    "attention_alone",
    "claim_table",
    "forgets_less_at_equal_learning",
    "forgets_less_than_regularised",
    "intruder_dimensions",
    "larger_batches",
    "learns_and_forgets_less",
    "more_kinds_of_layers",
    "more_rank_holds_more",
    "planted_rank",
    "published_claims",
    "rate_whatever_the_rank",
    "same_as_full",
    "same_beginning",
    "same_directions",
    "separate_rates",
    "slower_at_high_rank",
    "small_rank",
    "ten_times_the_rate",
    "two_thirds",
    "zero_b",
]
