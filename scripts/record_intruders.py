"""Counts intruder dimensions after LoRA and after full fine-tuning, for the end of notebook 03.

    python -m scripts.record_intruders        # a few minutes; writes data/results/intruders.json

Each run trains the base as notebook 03 does, 40 steps on pirates' tales, and counts the layers
whose weight has got at least one intruder (`lora_edu.spectra.intruders`). LoRA with both starts,
full fine-tuning at three rates, so that losses can be compared, three seeds each. Cut short, it
goes on where it stopped.
"""

from __future__ import annotations

from typing import Any

import torch

from lora_edu import (
    Batches,
    data_path,
    find_targets,
    fit,
    freeze,
    load_pretrained,
    load_tales,
    load_tokenizer,
    mean_loss,
    next_token_loss,
    replace_linear_with_lora,
    text_rows,
)
from lora_edu.pretrained import base_fingerprint
from lora_edu.spectra import intruders
from scripts.runs import Record, run_all

COMMAND = "python -m scripts.record_intruders"
STEPS, TOKENS, ROWS, HELD_OUT, SEEDS = 40, 96, 8, 24, range(3)
LORA = {"rank": 8, "alpha": 16, "targets": "blocks.*", "scaling": "alpha/rank"}
# How A starts ("" where there is none), and the learning rates.
SETTINGS = {"reference": (2e-3,), "peft": (2e-3, 1e-2), "": (2e-4, 5e-4, 1e-3)}


def one_run(key: dict[str, Any]) -> dict[str, Any]:
    """Trains one model; returns its loss on tales not trained on, and its intruders a layer."""
    encoding, tales, model = load_tokenizer("mini"), load_tales(), load_pretrained("mini")
    before = {name: model.get_submodule(name).weight.clone() for name in targets(model)}
    if key["init"]:
        torch.manual_seed(key["seed"])
        freeze(model)
        replace_linear_with_lora(model, init=key["init"], **LORA)
    batches = Batches(text_rows(tales.train, encoding, TOKENS), ROWS, seed=key["seed"])
    held_out = Batches(text_rows(tales.validation[:HELD_OUT], encoding, TOKENS), 12, shuffle=False)
    fit(model, batches, next_token_loss, lr=key["lr"], steps=STEPS, device="cpu")
    with torch.no_grad():
        counts = [
            intruders(weight, model.get_submodule(name).weight) for name, weight in before.items()
        ]
    return {
        "loss": round(mean_loss(model, held_out), 4),
        "layers": sum(count > 0 for count in counts),
        "intruders": counts,
    }


def targets(model: torch.nn.Module) -> list[str]:
    """The 36 matrices that LoRA adapts here."""
    return find_targets(model, LORA["targets"])


def main() -> None:
    """Runs what is missing, and writes the record."""
    torch.set_num_threads(1)
    about = {
        "steps": STEPS,
        "rows": ROWS,
        "tokens": TOKENS,
        "held_out": HELD_OUT,
        "lora": LORA,
        "layers": len(targets(load_pretrained("mini"))),
        "base_fingerprint": base_fingerprint("mini"),
    }
    record = Record(data_path("results", "intruders.json"), COMMAND, about)
    keys = [
        {"init": init, "lr": lr, "seed": seed}
        for init, rates in SETTINGS.items()
        for lr in rates
        for seed in SEEDS
    ]
    run_all(record, keys, one_run, report=print)


if __name__ == "__main__":
    main()
