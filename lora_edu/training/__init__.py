"""Training: `fit`, and what it stands on. Start reading in `loop.py`."""

from lora_edu.training.history import History, lower_is_better
from lora_edu.training.loop import classification_loss, fit, next_token_loss
from lora_edu.training.modes import evaluation_mode, own_random_state
from lora_edu.training.optimizer import adamw, parameter_groups
from lora_edu.training.precision import BF16_CAPABILITY, choose_device, choose_precision
from lora_edu.training.threads import decoding_threads, free_cores, free_threads

__all__ = [
    "BF16_CAPABILITY",
    "History",
    "adamw",
    "choose_device",
    "choose_precision",
    "classification_loss",
    "decoding_threads",
    "evaluation_mode",
    "fit",
    "free_cores",
    "free_threads",
    "lower_is_better",
    "next_token_loss",
    "own_random_state",
    "parameter_groups",
]
