"""LoRA and full fine-tuning at two models' shapes: the time of a step and the peak of its memory.

The weights and the tokens are random, so there are no results on a task. Our GPT has GPT-2 124M's
shape, transformers' Llama SmolLM2 135M's; each has a head for two classes on the last token, in
the format that `choose_precision` picks. The two methods begin with the same loss, which is
checked, warm up, and then take turns; a time is the median of many calls, with its 95 % bootstrap
interval. Beside the measured peak stands what `memory_budget` predicts.

    python -m benchmarks.gpu_shapes --output shapes.json
    python -m benchmarks.gpu_shapes --device cpu --quick    # sees that it runs, on tiny shapes
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.gpu import TINY, TOLERANCE, OnDevice, first_steps
from benchmarks.machine import machine, versions
from benchmarks.protocol import median_interval, paired_ratio, turn
from benchmarks.shapes import CLASSES, GPT2_SMALL, TARGETS, random_batches, random_gpt
from benchmarks.trainer import UnequalLosses
from lora_edu.budget import ModelShape, count_parameters, gpt_shape, memory_budget
from lora_edu.files import atomic_write
from lora_edu.gpt import GPTConfig
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.training import choose_precision

NO_GPU = (
    "no CUDA GPU here; run this where torch.cuda.is_available() is True, or see that it runs, on "
    "tiny shapes, with: python -m benchmarks.gpu_shapes --device cpu --quick"
)
LORA, FULL = "lora", "full"
RANK = 16
# Our names of linear layers → Llama's.
LLAMA_NAMES = {
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "out": "o_proj",
    "gate": "gate_proj",
    "fc_in": "up_proj",
    "fc_out": "down_proj",
}
SMOLLM2 = ModelShape("llama", 30, 576, 9, 3, 1536, 49152, 8192)  # HuggingFaceTB/SmolLM2-135M
TINY_LLAMA = ModelShape("llama", 2, 32, 4, 2, 64, 40, 16)


@dataclass(frozen=True)
class Case:
    """A model's shape, and what builds it.

    Args:
        shape: With a head for the classes, as `memory_budget` reads it.
        build: Returns the same random model at each call, which is given the tokens, and as
            `positions` the place in each row that the head answers for.
        targets: The adapted layers: all inside the blocks; our name → the model's.
    """

    shape: ModelShape
    build: Callable[[], nn.Module]
    targets: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often."""

    cases: Mapping[str, Callable[[], Case]]
    rows: int
    length_tokens: int
    rounds: int
    steps: int  # in each timed call


class LlamaClassifier(nn.Module):
    """Transformers' Llama with random weights, and a head on one token of each row."""

    def __init__(self, shape: ModelShape) -> None:
        from transformers import LlamaConfig, LlamaModel  # here, where it is needed

        super().__init__()
        self.llama = LlamaModel(
            LlamaConfig(
                vocab_size=shape.vocab_size,
                hidden_size=shape.n_embd,
                intermediate_size=shape.n_mlp,
                num_hidden_layers=shape.n_layer,
                num_attention_heads=shape.n_head,
                num_key_value_heads=shape.n_kv_head,
                max_position_embeddings=shape.context_length,
            )
        )
        self.head = nn.Linear(shape.n_embd, CLASSES)

    def forward(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        """Computes the logits of the classes, (B, CLASSES), at one position of each row."""
        hidden = self.llama(input_ids=token_ids, use_cache=False).last_hidden_state
        return self.head(hidden[torch.arange(len(hidden), device=hidden.device), positions])


def gpt_case(config: GPTConfig) -> Case:
    """Our GPT."""

    def build() -> nn.Module:
        model = random_gpt(config)
        model.head = nn.Linear(config.n_embd, CLASSES)
        return model

    shape = gpt_shape(config).with_classifier(CLASSES)
    return Case(shape, seeded(build), {name: name for name in TARGETS})


def llama_case(shape: ModelShape) -> Case:
    """Transformers' Llama.

    Raises:
        ModuleNotFoundError: transformers is not installed.
    """
    import transformers  # noqa: F401

    shape = shape.with_classifier(CLASSES)
    return Case(shape, seeded(lambda: LlamaClassifier(shape)), LLAMA_NAMES)


def seeded(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Makes a function that builds the same model at each call."""

    def same() -> nn.Module:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            return build()

    return same


PLAN = Plan(
    {"GPT-2 124M": lambda: gpt_case(GPT2_SMALL), "SmolLM2 135M": lambda: llama_case(SMOLLM2)},
    rows=8,
    length_tokens=256,
    rounds=25,
    steps=4,
)
QUICK = Plan(
    {"tiny GPT": lambda: gpt_case(TINY), "tiny Llama": lambda: llama_case(TINY_LLAMA)},
    rows=2,
    length_tokens=8,
    rounds=2,
    steps=1,
)


def model_for(case: Case, method: str) -> nn.Module:
    """Builds the model, ready for `method`; B is zero, so both begin as the base."""
    model = case.build()
    if method == LORA:
        freeze(model)
        options = {"targets": list(case.targets.values()), "scaling": "alpha/rank"}
        replace_linear_with_lora(model, RANK, RANK, **options)
        model.head.requires_grad_(True)
    return model


def budget_bytes(case: Case, method: str, precision: str, plan: Plan) -> float:
    """What `memory_budget` predicts for a step."""
    return memory_budget(
        case.shape,
        method,
        rank=RANK,
        targets=case.targets,
        storage="float32" if precision == "fp32" else "mixed",
        batch_size=plan.rows,
        length_tokens=plan.length_tokens,
    ).total_bytes


def check_first_losses(losses: Mapping[str, float], precision: str) -> None:
    """Compares the losses before any update.

    Raises:
        UnequalLosses: they differ, or one is not a number.
    """
    if not abs(losses[LORA] - losses[FULL]) <= TOLERANCE[precision]:
        raise UnequalLosses(
            f"before any update the loss is {losses[LORA]:.6f} with LoRA and {losses[FULL]:.6f} in "
            f"full; they may differ by {TOLERANCE[precision]:g}"
        )


def picked_format(device: str) -> str:
    """The format that `choose_precision` picks; where that is fp16, whose loss is scaled, fp32."""
    return "bf16" if choose_precision(device) == "bf16" else "fp32"


def warm_up(device: str) -> None:
    """Trains a tiny model, so that the libraries' own memory is not counted as the first one's."""
    model = model_for(gpt_case(TINY), FULL)
    first_steps(OnDevice(model, random_batches(TINY, 1, 2, 8), device, picked_format(device)))


def compare(case: Case, device: str, plan: Plan) -> dict:
    """Measures both methods; returns a row of the record."""
    precision = picked_format(device)
    batches = random_batches(case.shape, 4, plan.rows, plan.length_tokens)
    trainers, losses, peaks = {}, {}, {}
    for method in (LORA, FULL):
        gc.collect()
        before = torch.cuda.memory_allocated() if device == "cuda" else 0
        trainers[method] = OnDevice(model_for(case, method), batches, device, precision)
        (losses[method], *_), peak = first_steps(trainers[method])
        peaks[method] = None if peak is None else peak - before
    check_first_losses(losses, precision)
    times: dict[str, list[float]] = {method: [] for method in trainers}
    for number in range(plan.rounds):
        for method in turn(list(trainers), number):
            times[method].append(trainers[method].seconds(plan.steps))
    methods = {
        method: {
            "trainable_parameters": count_parameters(trainer.model).trainable,
            "first_loss": losses[method],
            "median_seconds": statistics.median(times[method]),
            "interval_seconds": median_interval(times[method]),
            "peak_bytes": peaks[method],
            "budget_bytes": budget_bytes(case, method, precision, plan),
        }
        for method, trainer in trainers.items()
    }
    return {
        "precision": precision,
        "rows": plan.rows,
        "length_tokens": plan.length_tokens,
        "rank": RANK,
        "rounds": plan.rounds,
        "methods": methods,
        "lora / full": asdict(paired_ratio(times[LORA], times[FULL])),
    }


def table(row: dict) -> str:
    """A row of the record as text."""
    size = f"{row['rows']} × {row['length_tokens']} tokens"
    lines = [f"{row['shape']}, {row['precision']}, {size}, rank {row['rank']}:"]
    for method, found in row["methods"].items():
        low, high = (1e3 * seconds for seconds in found["interval_seconds"])
        peak = found["peak_bytes"]
        memory = "not measured" if peak is None else f"{peak / 1e9:.2f} GB"
        lines.append(
            f"  {method:4} | {1e3 * found['median_seconds']:8.2f} ms ({low:.2f} to {high:.2f})"
            f" | peak {memory}, budget {found['budget_bytes'] / 1e9:.2f} GB"
            f" | {found['trainable_parameters']:,} trained"
        )
    ratio = row["lora / full"]
    interval = f"{ratio['low']:.3f} to {ratio['high']:.3f}"
    lines.append(f"  lora / full: {ratio['median']:.3f} ({interval})")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every shape and writes the record after each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_shapes", description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, two rounds")
    parser.add_argument("--output", type=Path, help="the record, a JSON file")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(NO_GPU)
    plan = QUICK if chosen.quick else PLAN
    gpu = torch.cuda.get_device_name() if chosen.device == "cuda" else None
    record: dict = {"gpu": gpu, "machine": machine(), "versions": versions()}
    record |= {"rows": [], "left_out": {}}
    warm_up(chosen.device)
    for name, make in plan.cases.items():
        try:
            row = {"shape": name} | compare(make(), chosen.device, plan)
        except ModuleNotFoundError as error:
            reason = f"{error.name} is not installed; pip install 'lora-edu[peers]'"
            record["left_out"][name] = reason
            print(f"{name} is left out: {reason}", flush=True)
        else:
            record["rows"].append(row)
            print(table(row), flush=True)
        if chosen.output is not None:
            with atomic_write(chosen.output) as file:
                file.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
