"""What is only here to be fast: the arithmetic of adapted layers, fused, and a decoder.

What LoRA *is* stands in `lora_edu/lora.py`; everything here agrees with it.
"""

from lora_edu.fused.blocks import fuse, unfuse
from lora_edu.fused.decoder import Decoder, can_decode
from lora_edu.fused.held_base import hold_base

__all__ = [
    "Decoder",
    "can_decode",
    "fuse",
    "hold_base",
    "unfuse",
]
