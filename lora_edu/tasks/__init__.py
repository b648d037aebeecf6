"""The course's own tasks: classify messages, write sentences from data. Not the library."""

from lora_edu.tasks.claims import claim_table, published_claims
from lora_edu.tasks.classifier import (
    HEAD_BATCH_ROWS,
    HEAD_STEPS,
    LORA,
    LORA_TARGETS,
    METHODS,
    FeatureBatches,
    feature_loss,
    features,
    measures,
    prepare_classifier,
    train_classifier,
)
from lora_edu.tasks.forgetting import curves_at_more_rates
from lora_edu.tasks.menu import (
    MULTIPLIER,
    RANK,
    error_rate_score,
    prepare_menu,
    write_lines,
    write_sentences,
)
from lora_edu.tasks.ranks import RankRecord, rank_record
from lora_edu.tasks.slots import (
    Patterns,
    e2e_patterns,
    menu_patterns,
    said_slots,
    slot_error_rate,
    slot_errors,
    unmentioned,
)

__all__ = [
    "FeatureBatches",
    "HEAD_BATCH_ROWS",
    "HEAD_STEPS",
    "LORA",
    "LORA_TARGETS",
    "METHODS",
    "MULTIPLIER",
    "Patterns",
    "RANK",
    "RankRecord",
    "claim_table",
    "curves_at_more_rates",
    "e2e_patterns",
    "error_rate_score",
    "feature_loss",
    "features",
    "measures",
    "menu_patterns",
    "prepare_classifier",
    "prepare_menu",
    "published_claims",
    "rank_record",
    "said_slots",
    "slot_error_rate",
    "slot_errors",
    "train_classifier",
    "unmentioned",
    "write_lines",
    "write_sentences",
]
