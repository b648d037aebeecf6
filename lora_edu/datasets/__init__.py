"""From texts to batches: the data sets, and rows of tokens side by side."""

from lora_edu.datasets.batching import (
    IGNORE,
    Batch,
    Batches,
    Row,
    classification_rows,
    generation_rows,
    prompt,
    text_rows,
)
from lora_edu.datasets.own_texts import OwnTexts, load_texts
from lora_edu.datasets.sets import (
    LABELS,
    Example,
    Pair,
    Split,
    load_menu,
    load_spam,
    load_stories,
    load_tales,
    near_duplicate_key,
    parse_meaning,
    read_sms,
    split_by_group,
    split_sms,
)

__all__ = [
    "Batch",
    "Batches",
    "Example",
    "IGNORE",
    "LABELS",
    "OwnTexts",
    "Pair",
    "Row",
    "Split",
    "classification_rows",
    "generation_rows",
    "load_menu",
    "load_spam",
    "load_stories",
    "load_tales",
    "load_texts",
    "near_duplicate_key",
    "parse_meaning",
    "prompt",
    "read_sms",
    "split_by_group",
    "split_sms",
    "text_rows",
]
