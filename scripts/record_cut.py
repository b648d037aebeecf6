"""Records what the SVD cut of notebook 01 shows: see `lora_edu/widgets/cut_record.py`.

    python -m scripts.record_cut

The picture is the one that the notebook draws. Results go to `data/results/svd_cut.json`; run again
on another machine, singular vectors may have another sign or another last digit.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from lora_edu.files import atomic_write, data_path
from lora_edu.widgets.cut_record import record

COMMAND = "python -m scripts.record_cut"
NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "source" / "01_what_rank_means.py"
_CELL, _DRAWS = "\n# %%", "rows, columns = torch.meshgrid("


def notebook_picture() -> Tensor:
    """Draws the picture as the notebook does, by the notebook's own cell."""
    cells = NOTEBOOK.read_text(encoding="utf-8").split(_CELL)
    (source,) = (cell for cell in cells if _DRAWS in cell)
    drawn = {"torch": torch}
    exec(source, drawn)
    return drawn["picture"]


def shipped_updates() -> dict[str, Tensor]:
    """The measured ΔW of the blocks' matrices, by parameter name."""
    change = load_file(data_path("delta", "spam_full.safetensors"))
    return {
        name: each.float()
        for name, each in change.items()
        if name.startswith("blocks.") and each.dim() == 2
    }


def main() -> None:
    """Takes all apart and writes the record."""
    data = record(notebook_picture(), shipped_updates())
    text = json.dumps({"command": COMMAND, "data": data}, separators=(",", ":"))
    target = Path(__file__).parents[1] / "data" / "results" / "svd_cut.json"
    with atomic_write(target) as part:
        part.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
