"""Measuring: scores with their uncertainty, records of experiments, equality bit for bit."""

from lora_edu.evaluation.bits import same_bits
from lora_edu.evaluation.experiments import (
    accuracy_score,
    compare,
    digits,
    f1_score,
    predictions_of,
    read_record,
    runs_of,
    summarise,
)
from lora_edu.evaluation.metrics import (
    Interval,
    Predictions,
    accuracy_interval,
    classify,
    confusion,
    f1,
    f1_interval,
    mean_difference,
    mean_loss,
    perplexity,
    student_95,
    wilson_interval,
)
from lora_edu.evaluation.rates import Point, best_rate, forgotten_at, losses_by_rate, tradeoff

__all__ = [
    "Interval",
    "Point",
    "Predictions",
    "accuracy_interval",
    "accuracy_score",
    "best_rate",
    "classify",
    "compare",
    "confusion",
    "digits",
    "f1",
    "f1_interval",
    "f1_score",
    "forgotten_at",
    "losses_by_rate",
    "mean_difference",
    "mean_loss",
    "perplexity",
    "predictions_of",
    "read_record",
    "runs_of",
    "same_bits",
    "student_95",
    "summarise",
    "tradeoff",
    "wilson_interval",
]
