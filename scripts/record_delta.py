"""Records what rank the update of full fine-tuning needs: for its matrices, and for its task.

    python -m scripts.record_delta

Full fine-tuning on the spam set gives, for every matrix of the blocks, an update ΔW. Each is cut to
rank r, put back into the model, and the model is tested; beside it the same with r random
directions, with a random update as long as the cut one, with ΔW whole but shrunk to that length,
and with LoRA trained at that rank. What full fine-tuning changed outside these matrices
(embeddings, norms, biases, the new head) stays in place throughout, so rank 0 shows what that alone
can do. A second measurement of the same models, the stage "direction", draws nothing by chance: ΔW
without its strongest directions, and other directions alone, as long as the strongest.

Learning rates are chosen on validation, with one seed; the final seeds alone open the test set.
Results go to `data/results/rank_of_delta.json`, and the updates of seed 0 to `data/delta/` in half
precision: W_tuned − W_base under the name of each parameter, and the new head as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lora_edu.datasets import Batches
from lora_edu.evaluation import classify
from lora_edu.files import atomic_write, data_path
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.pretrained import base_fingerprint, load_pretrained
from lora_edu.spectra import truncate
from lora_edu.tasks import LORA, LORA_TARGETS, prepare_classifier
from lora_edu.training import classification_loss, fit
from scripts.delta_controls import (
    project_on_random_subspace,
    random_update,
    stretched_direction,
    without_strongest,
)
from scripts.runs import Record, run_all
from scripts.sweep_classifier import BATCH_ROWS, MAX_TOKENS, measures, rows

COMMAND = "python -m scripts.record_delta"
STEPS = 96
SEEDS = range(5)
CUT_RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 192)
LORA_RANKS = (1, 2, 4, 8, 16, 32)
RATES = {"full": (3e-4, 1e-3, 3e-3), "lora": (3e-3, 1e-2)}
TUNING_RANK = 8
WITHOUT_RANKS = (1, 2, 4, 8)
STRETCHED_DIRECTIONS = (2, 3, 8)
MULTIPLIER = LORA["alpha"] / LORA["rank"]  # alpha / rank, the same at every rank

Key = dict[str, Any]


def adapted_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weight matrices that LoRA would adapt, by name."""
    return {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if name.split(".")[-1] in LORA_TARGETS and isinstance(module, nn.Linear)
    }


def prepare_lora(model: GPT, rank: int, seed: int) -> None:
    """Makes a classifier with LoRA of any rank of a GPT, in place; else as `prepare_classifier`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        freeze(model)
        settings = LORA | {"rank": rank, "alpha": MULTIPLIER * rank}
        replace_linear_with_lora(model, targets=LORA_TARGETS, **settings)
        model.head = nn.Linear(model.config.n_embd, 2)


def train(model: GPT, lr: float, steps: int, seed: int) -> None:
    """Trains a prepared classifier on the bundled set, in place."""
    batches = Batches(rows("bundled").train, BATCH_ROWS, seed=seed)
    fit(model, batches, classification_loss, lr=lr, steps=steps, seed=seed, device="cpu")


def score(model: GPT, part: str) -> dict[str, float]:
    """Loss, accuracy and F1 on "validation" or "test"."""
    examples = getattr(rows("bundled"), part)
    return measures(classify(model, Batches(examples, 64, shuffle=False)), part)


@torch.no_grad()
def put_back(
    model: GPT, base: dict[str, Tensor], updates: dict[str, Tensor], change: Callable
) -> float:
    """Sets each matrix of a model to base + change(update), in place; returns the energy kept."""
    kept = total = 0.0
    for name, weight in adapted_weights(model).items():
        changed = change(updates[name])
        weight.copy_(base[name] + changed)
        kept += changed.double().square().sum().item()
        total += updates[name].double().square().sum().item()
    return kept / total


def shrunk(update: Tensor, rank: int) -> Tensor:
    """Returns `update` in all its directions, as long as its cut to `rank`; (m, n) → (m, n)."""
    return update * (truncate(update, rank).norm() / update.norm())


class Trial:
    """Tests a fully fine-tuned model with its updates changed, and notes what comes out.

    Args:
        model: The fine-tuned classifier; its matrices are overwritten.
        base: The base's matrices, by name.
    """

    def __init__(self, model: GPT, base: dict[str, Tensor]) -> None:
        self.model, self.base = model, base
        tuned = {name: weight.detach().clone() for name, weight in adapted_weights(model).items()}
        self.updates = {name: weight - base[name] for name, weight in tuned.items()}
        self.points: list[dict[str, Any]] = []

    def test(self, kind: str, rank: int, change: Callable) -> None:
        """Adds a point: the score with every update ΔW replaced by change(ΔW)."""
        kept = put_back(self.model, self.base, self.updates, change)
        self.points.append(
            {"kind": kind, "rank": rank, "energy": kept, **score(self.model, "test")}
        )


def curves(model: GPT, base: dict[str, Tensor], ranks: Iterable[int], seed: int) -> list[dict]:
    """Tests a fully fine-tuned model with its updates cut, and replaced by the three controls."""
    trial, generator = Trial(model, base), torch.Generator().manual_seed(seed)
    trial.test("cut", 0, torch.zeros_like)
    for rank in ranks:
        trial.test("cut", rank, partial(truncate, rank=rank))
        by_chance = partial(project_on_random_subspace, rank=rank, generator=generator)
        trial.test("subspace", rank, by_chance)
        trial.test("random", rank, lambda u, r=rank: random_update(truncate(u, r), r, generator))
        trial.test("shrunk", rank, partial(shrunk, rank=rank))
    return trial.points


def directions(model: GPT, base: dict[str, Tensor]) -> list[dict]:
    """Tests a fully fine-tuned model without its strongest directions, and with others alone."""
    trial = Trial(model, base)
    for rank in WITHOUT_RANKS:
        trial.test("without", rank, partial(without_strongest, rank=rank))
    for number in STRETCHED_DIRECTIONS:
        trial.test("stretched", number, partial(stretched_direction, number=number))
    return trial.points


def save_delta(model: GPT, base: GPT, path: Path, metadata: dict[str, str]) -> None:
    """Writes what full fine-tuning changed, and the new head, in half precision."""
    before = dict(base.named_parameters())
    changed = {
        name: parameter.detach() - (0 if name.startswith("head.") else before[name].detach())
        for name, parameter in model.named_parameters()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        half = {name: tensor.half().contiguous() for name, tensor in changed.items()}
        save_file(half, temporary, metadata)


def one_run(key: Key, *, base: str, steps: int, ranks: tuple[int, ...], delta: str) -> Key:
    """Trains one classifier and measures it; while rates are tuned the test set stays shut."""
    start, model = load_pretrained(base), load_pretrained(base)
    if key["method"] == "lora":
        prepare_lora(model, key["rank"], key["seed"])
    else:
        prepare_classifier(model, "full", seed=key["seed"])
    train(model, key["lr"], steps, key["seed"])
    result = score(model, "validation")
    if key["stage"] == "tune":
        return result
    result |= score(model, "test")
    if key["method"] == "full":
        weights = {name: w.detach().clone() for name, w in adapted_weights(start).items()}
        if key["stage"] == "direction":
            return result | {"points": directions(model, weights)}
        if key["seed"] == 0:
            about = {"base_fingerprint": base_fingerprint(base), "command": COMMAND}
            save_delta(model, start, Path(delta), about | {"lr": str(key["lr"])})
        result["points"] = curves(model, weights, ranks, key["seed"])
    return result


def record_all(record: Record, work: Callable[[Key], Key], lora_ranks: tuple[int, ...]) -> None:
    """Tunes, then does the final runs, two at a time."""
    do = partial(run_all, record, work=work, workers=2, report=partial(print, flush=True))

    def key(stage: str, method: str, lr: float, seed: int, rank: int | None = None) -> Key:
        return {"stage": stage, "method": method, "rank": rank, "lr": lr, "seed": seed}

    tuning = {
        method: [
            key("tune", method, lr, 0, TUNING_RANK if method == "lora" else None) for lr in lrs
        ]
        for method, lrs in RATES.items()
    }
    tuned = do(tuning["full"] + tuning["lora"])

    def best(method: str) -> float:
        tried = [run for run in tuned if run["key"]["method"] == method]
        return min(tried, key=lambda run: run["validation_loss"])["key"]["lr"]

    full, lora = best("full"), best("lora")
    final = [key("final", "full", full, seed) for seed in SEEDS]
    do(final + [key("final", "lora", lora, seed, rank) for rank in lora_ranks for seed in SEEDS])
    do([key("direction", "full", full, seed) for seed in SEEDS])


def main() -> None:
    """Reads the arguments and makes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="mini", help='"mini" or a folder')
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--quick", action="store_true", help="two ranks only, for a quick look")
    parser.add_argument("--output", help="by default data/results/rank_of_delta.json")
    parser.add_argument("--delta", help="by default data/delta/spam_full.safetensors")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    about = {
        "set": "bundled",
        "rows": {part: len(rows) for part, rows in rows("bundled")._asdict().items()},
        "max_tokens": MAX_TOKENS,
        "batch_rows": BATCH_ROWS,
        "steps": arguments.steps,
        "lora": {**LORA, "rank": "as stated", "alpha": f"{MULTIPLIER:g} * rank"},
        "targets": LORA_TARGETS,
        "base_fingerprint": base_fingerprint(arguments.base),
    }
    output = arguments.output or data_path("results", "rank_of_delta.json")
    cut_ranks, lora_ranks = ((1, 8), (1, 8)) if arguments.quick else (CUT_RANKS, LORA_RANKS)
    work = partial(
        one_run,
        base=arguments.base,
        steps=arguments.steps,
        ranks=cut_ranks,
        delta=str(arguments.delta or data_path("delta", "spam_full.safetensors")),
    )
    record_all(Record(output, COMMAND, about), work, lora_ranks)


if __name__ == "__main__":
    main()
