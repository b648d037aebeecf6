"""The course's drawings, made by code: `python -m scripts.drawings` writes them all."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scripts.drawings import adapter_folder, gpt_block, kept, merge, one_base, side_path

FOLDER = Path(__file__).resolve().parents[2] / "lora_edu/plots/drawings"
DRAWINGS = {
    "side_path": side_path.draw,
    "side_path_alpha": side_path.draw_alpha,
    "side_path_start": side_path.draw_start,
    "side_path_settings": side_path.draw_settings,
    "gpt_block": gpt_block.draw,
    "kept": kept.draw,
    "one_base": one_base.draw,
    "merge": merge.draw,
    "adapter_folder": adapter_folder.draw,
}


def checksum(svg: str) -> str:
    """Names a drawing: pictures made from it carry this."""
    return hashlib.sha256(svg.encode()).hexdigest()[:16]
