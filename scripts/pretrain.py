"""Pre-trains the mini GPT on a text file. Resumable; the time box is turned into steps once.

    python -m scripts.pretrain --text stories.txt --output runs/mini --minutes 90

The text is split at `<|endoftext|>`; the last 2.5 % of its documents are held out. A second call
with the same output folder goes on where the first one stopped, to the same result: the number of
steps is fixed from the budget at the start and saved, and both the batches and the random numbers
of dropout follow from the step alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from lora_edu.gpt import GPT, GPTConfig
from lora_edu.pretrained import END_OF_TEXT, encoding_from_ranks, read_ranks
from scripts.mixture import split_stories
from scripts.muon import Muon

BATCH, LENGTH = 32, 256  # rows and tokens of one step
WARM_UP_STEPS = 50
DECAY_SHARE = 0.6  # share of the steps, the last ones, over which the rate falls to zero
DROPOUT = 0.1
DROPOUT_SHARE = 0.81  # share of the steps, the first ones, with dropout: it keeps eight readings of
# the text from being learnt by heart; the last, small steps then fit the network as it is used
MUON_LR, ADAM_LR, WEIGHT_DECAY = 0.02, 3e-3, 0.1
LOG_EVERY, SAVE_EVERY = 100, 100
TIMED_STEPS = 10  # steps timed to turn minutes into steps


def encode(documents: list[str], ranks: Path) -> Tensor:
    """Joins documents, each behind an end-of-text token, into one tensor of token ids."""
    encoding = encoding_from_ranks(read_ranks(ranks), "mini")
    text = "".join(END_OF_TEXT + document for document in documents)
    return torch.tensor(encoding.encode(text, allowed_special={END_OF_TEXT}))


def batch_at(tokens: Tensor, step: int, seed: int) -> Tensor:
    """The batch of a step, (BATCH, LENGTH + 1): epochs of shuffled windows at a random offset."""
    per_epoch = (len(tokens) - LENGTH - 1) // LENGTH // BATCH
    if per_epoch < 1:
        raise ValueError(
            f"{len(tokens)} training tokens do not fill one batch of {BATCH} x {LENGTH}; "
            "give a longer text"
        )
    epoch, place = divmod(step, per_epoch)
    generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    offset = int(torch.randint(LENGTH, (), generator=generator))
    order = torch.randperm(per_epoch * BATCH, generator=generator)
    starts = order[place * BATCH : (place + 1) * BATCH] * LENGTH + offset
    return torch.stack([tokens[start : start + LENGTH + 1] for start in starts])


def rate(step: int, steps: int) -> float:
    """Warm-up, constant, then a straight line to zero: a factor between 0 and 1."""
    rising = (step + 1) / WARM_UP_STEPS
    falling = (steps - step) / max(1, DECAY_SHARE * steps)
    return min(1.0, rising, falling)


def set_dropout(model: torch.nn.Module, probability: float) -> None:
    """Sets the probability of every dropout layer."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = probability


def loss_of(model: torch.nn.Module, batch: Tensor) -> Tensor:
    """Mean cross-entropy of the next token, nats per token."""
    return F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model: torch.nn.Module, tokens: Tensor) -> float:
    """Nats per token over all of `tokens`, in windows that do not overlap."""
    windows = tokens[: (len(tokens) - 1) // LENGTH * LENGTH + 1]
    rows = windows.unfold(0, LENGTH + 1, LENGTH)
    losses = [loss_of(model, part).item() * len(part) for part in rows.split(BATCH)]
    return sum(losses) / len(rows)


def make_optimizers(model: GPT) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings, norms and biases."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    decayed = {"params": [p for p in others if p.ndim == 2], "weight_decay": WEIGHT_DECAY}
    plain = {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0}
    adam = torch.optim.AdamW([decayed, plain], lr=ADAM_LR, betas=(0.9, 0.95), fused=True)
    return [Muon(matrices, lr=MUON_LR, weight_decay=WEIGHT_DECAY), adam]


def save_checkpoint(path: Path, model: GPT, optimizers: list, run: dict) -> None:
    """Writes weights, optimizer states and the run's record as safetensors, atomically."""
    tensors = {f"model.{name}": tensor for name, tensor in model.named_parameters()}
    for i, optimizer in enumerate(optimizers):
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{number}.{key}": value for key, value in state.items()}
    temporary = path.with_suffix(".partial")
    save_file(tensors, temporary, metadata={"run": json.dumps(run)})
    os.replace(temporary, path)


def load_checkpoint(path: Path, model: GPT, optimizers: list) -> dict:
    """Restores what `save_checkpoint` wrote; returns the run's record."""
    with safe_open(path, "pt") as file:
        run = json.loads(file.metadata()["run"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    for i, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimizer.{i}."):
                _, _, number, key = name.split(".")
                state.setdefault(int(number), {})[key] = tensor
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    return run


def steps_in(minutes: float, trial: Iterator[float]) -> int:
    """How many steps fit into the budget, judged by the median of a few timed ones."""
    seconds = sorted(trial)
    return max(1, math.floor(60 * minutes / seconds[len(seconds) // 2]))


def train_step(model, compiled, optimizers, tokens, run) -> float:  # noqa: ANN001
    """One step at `run['step']`; returns the loss before it."""
    torch.manual_seed(run["seed"] * 1_000_003 + run["step"])
    set_dropout(model, DROPOUT if run["step"] < DROPOUT_SHARE * run["steps"] else 0.0)
    loss = loss_of(compiled, batch_at(tokens, run["step"], run["seed"]))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, peak in zip(optimizers, (MUON_LR, ADAM_LR), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = peak * rate(run["step"], run["steps"])
        optimizer.step()
        optimizer.zero_grad()
    run["step"] += 1
    return loss.item()


def timed_steps(config: GPTConfig, tokens: Tensor, seed: int) -> Iterator[float]:
    """Seconds of a few steps of a throw-away model."""
    model = GPT(config)
    compiled, optimizers = torch.compile(model), make_optimizers(model)
    run = {"seed": seed, "step": 0, "steps": 10_000}
    train_step(model, compiled, optimizers, tokens, run)
    for _ in range(TIMED_STEPS):
        start = time.perf_counter()
        train_step(model, compiled, optimizers, tokens, run)
        yield time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--ranks", type=Path, default=Path("data/mini_gpt/ranks.tiktoken"))
    parser.add_argument("--output", type=Path, default=Path("runs/mini_gpt"))
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float)
    budget.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.use_deterministic_algorithms(True)
    training, held_out = split_stories(arguments.text)
    tokens, held_out_tokens = (encode(part, arguments.ranks) for part in (training, held_out))
    vocab_size = encoding_from_ranks(read_ranks(arguments.ranks), "mini").n_vocab
    config = GPTConfig(vocab_size=vocab_size, context_length=LENGTH, dropout=DROPOUT)
    sha256 = hashlib.sha256(arguments.text.read_bytes()).hexdigest()

    torch.manual_seed(arguments.seed)
    model = GPT(config)
    compiled, optimizers = torch.compile(model), make_optimizers(model)
    checkpoint = arguments.output / "checkpoint.safetensors"
    if checkpoint.exists():
        run = load_checkpoint(checkpoint, model, optimizers)
        if run["text_sha256"] != sha256:
            raise SystemExit(f"{checkpoint} belongs to another text; choose another --output")
        print(f"going on at step {run['step']} of {run['steps']}", flush=True)
    else:
        arguments.output.mkdir(parents=True, exist_ok=True)
        steps = arguments.steps or steps_in(
            arguments.minutes, timed_steps(config, tokens, arguments.seed)
        )
        run = {"seed": arguments.seed, "steps": steps, "step": 0, "seconds": 0.0, "log": []}
        run |= {"text_sha256": sha256, "characters_held_out": sum(map(len, held_out))}
        run |= {"tokens_train": len(tokens), "tokens_held_out": len(held_out_tokens)}
    characters_per_token = run["characters_held_out"] / run["tokens_held_out"]

    losses: list[float] = []
    start = time.perf_counter()
    while run["step"] < run["steps"]:
        model.train()
        losses.append(train_step(model, compiled, optimizers, tokens, run))
        done = run["step"] == run["steps"]
        if run["step"] % LOG_EVERY == 0 or done:
            model.eval()
            held = held_out_loss(model, held_out_tokens)
            run["seconds"] += time.perf_counter() - start
            start = time.perf_counter()
            entry = {
                "step": run["step"],
                "tokens": run["step"] * BATCH * LENGTH,
                "seconds": round(run["seconds"], 1),
                "train_loss": round(sum(losses) / len(losses), 4),
                "held_out_loss": round(held, 4),
                "bits_per_character": round(held / math.log(2) / characters_per_token, 4),
            }
            losses.clear()
            run["log"].append(entry)
            print(json.dumps(entry), flush=True)
        if run["step"] % SAVE_EVERY == 0 or done:
            save_checkpoint(checkpoint, model, optimizers, run)


if __name__ == "__main__":
    main()
