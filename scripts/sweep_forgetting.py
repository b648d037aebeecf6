"""What is forgotten at equal learning, and what decides it: the runs behind notebook 06's curves.

    python -m scripts.sweep_forgetting --stories STORIES.txt --minutes 60

The mini GPT learns menus, and its loss on stories rises. From LoRA to full fine-tuning two things
change at once: the rank of the update, and what else is trained. So each arm changes one of them.
Every arm is trained at five rates, down to where menus stand at about 0.35, with three seeds; three
arms also for 3 and 9 times the steps. Each run records, beside both losses, the size of the update,
its strongest direction and its intruders, and both losses with the update scaled down, W + s ΔW.

`--stories` is the text that the base was trained on, which does not ship: its held-out end is
measured, and replay draws from the rest. A run that is in the record is not repeated; when
`--minutes` are over, what is under way is finished, and the same command goes on.

Source:
    Biderman et al. 2024, arXiv:2405.09673 (curves of learning and forgetting); Wortsman et al.
    2021, arXiv:2109.01903 (scaling the update down); Shuttleworth et al. 2024, arXiv:2410.21228
    (intruder dimensions).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from torch import Tensor, nn

from lora_edu.adapters import merge_and_unload
from lora_edu.datasets import Batch, Batches, Row, text_rows
from lora_edu.files import sha256_of
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.pretrained import base_fingerprint, load_pretrained, load_tokenizer
from lora_edu.spectra import intruders, singular_values
from lora_edu.targets import adaptable_layers
from lora_edu.tasks import LORA_TARGETS, MULTIPLIER
from lora_edu.training import History, fit, next_token_loss, own_random_state, parameter_groups
from scripts.generator_tasks import MENU_TOKENS, STORY_TOKENS, loss_on, story_rows, task
from scripts.mixture import split_stories
from scripts.runs import loss_after_20, sweep_with_text

BATCH_ROWS, STEPS, SEEDS = 16, 375, range(3)
EMBEDDING_RATE = 5e-4  # where the embedding has a rate of its own
REPLAY_TOKENS = (
    64  # of one old text in every batch: as long as a menu row, so that nothing is padded
)
STRENGTHS = (0.9, 0.8, 0.7, 0.5)
ATTENTION, MLP = LORA_TARGETS[:4], LORA_TARGETS[4:]


class Arm(NamedTuple):
    """What is trained, and at which rates.

    Args:
        rates: Five, low to high.
        rank: Of LoRA; 0 where matrices are trained whole.
        targets: The layers that LoRA adapts or whose matrices are trained; None: the whole model.
        embedding: Whether the embedding, which is also the head, is trained at a rate of its own.
        replay: Whether every batch brings an old text.
        decay: AdamW's weight decay, of matrices.
        dropout: The share of activations dropped, in the embedding and behind each block's halves.
    """

    rates: tuple[float, ...]
    rank: int = 0
    targets: tuple[str, ...] | None = LORA_TARGETS
    embedding: bool = False
    replay: bool = False
    decay: float = 0.0
    dropout: float = 0.0


WHOLE = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3)
WIDE = (2e-4, 5e-4, 1e-3, 2e-3, 5e-3)
THIN = (1e-3, 2e-3, 3e-3, 5e-3, 1e-2)
HIGH = (2e-3, 5e-3, 1e-2, 2e-2, 5e-2)
#: The most wanted first. r8 on the MLP and r10 on attention have 92,160 numbers each, r4 on both
#: 82,944; at rank 128 the 36 pairs hold as many numbers as their matrices.
ARMS = {
    "full": Arm(WHOLE, targets=None),
    "matrices": Arm(WHOLE),
    "lora 8": Arm(THIN, 8),
    "lora 32": Arm((5e-4, 1e-3, 2e-3, 5e-3, 1e-2), 32),
    "lora 32, embedding": Arm(WIDE, 32, embedding=True),
    "lora 8, embedding": Arm((5e-4, 1e-3, 2e-3, 5e-3, 1e-2), 8, embedding=True),
    "full, embedding": Arm(WHOLE, targets=None, embedding=True),
    "lora 8, replay": Arm(THIN, 8, replay=True),
    "full, replay": Arm(WHOLE, targets=None, replay=True),
    "full, decay": Arm(WHOLE, targets=None, decay=0.1),
    "full, dropout": Arm(WHOLE, targets=None, dropout=0.1),
    "lora 8, mlp": Arm(HIGH, 8, MLP),
    "lora 10, attention": Arm(HIGH, 10, ATTENTION),
    "lora 4": Arm(HIGH, 4),
    "lora 192": Arm(WIDE, 192),
    "lora 2": Arm(HIGH, 2),
    "lora 128": Arm(WIDE, 128),
}
#: Arms that a claim in notebook 10 rests on, with their best rate: two more seeds, since three
#: could not tell the first two apart.
CLAIMED, MORE_SEEDS = {"lora 8, mlp": 1e-2, "lora 10, attention": 1e-2, "lora 4": 1e-2}, (3, 4)
#: Rates between those of the grid, for the arms whose curves notebook 06 compares: the curves bend,
#: so that a long straight line between two points of theirs lies too high.
BETWEEN = {
    "matrices": (3e-4,),
    "full": (3e-4,),
    "lora 8": (3e-3, 7e-3),
    "lora 32": (1.5e-3, 3e-3),
    "lora 32, embedding": (7e-4, 1.5e-3),
    "full, embedding": (3e-4,),
    "full, decay": (3e-4,),
    "full, dropout": (3e-4,),
}
#: Longer runs: name → two rates, which fall with the length.
LONGER = {
    3: {"full": (1e-4, 5e-4), "matrices": (1e-4, 5e-4), "lora 8": (1e-3, 5e-3)},
    9: {"full": (1e-4, 2e-4), "matrices": (1e-4, 2e-4), "lora 8": (1e-3, 2e-3)},
}


class WithOldText(Batches):
    """Batches that each bring one row more, drawn from other rows: replay."""

    def __init__(self, rows: Sequence[Row], old: Sequence[Row], *, seed: int) -> None:
        super().__init__(rows, BATCH_ROWS, seed=seed)
        self.old = old

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yields the batches of epoch `number`."""
        dice = random.Random(f"replay/{self.seed}/{number}")
        for indices in self.order(number):
            rows = [*(self.rows[index] for index in indices), dice.choice(self.old)]
            yield from Batches(rows, len(rows), shuffle=False).epoch(0)


def prepare(model: GPT, arm: Arm, seed: int) -> None:
    """Makes an arm's tensors trainable, and no other, and sets its dropout, in place."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = arm.dropout
    if arm.targets is None:
        return
    freeze(model)
    if arm.rank:
        with own_random_state(seed, model.final_norm.weight.device):
            how = {"targets": arm.targets, "scaling": "alpha/rank", "init": "peft"}
            replace_linear_with_lora(model, arm.rank, MULTIPLIER * arm.rank, **how)
    else:
        for layer in adaptable_layers(model, arm.targets).values():
            layer.weight.requires_grad_(True)
    model.token_embedding.weight.requires_grad_(arm.embedding)


def groups_of(arm: Arm) -> Any:
    """(model, weight decay) → groups for AdamW; the embedding apart where it has a rate."""

    def groups(model: GPT, weight_decay: float) -> list[dict[str, Any]]:
        found = parameter_groups(model, weight_decay)
        if not arm.embedding:
            return found
        table = model.token_embedding.weight
        for group in found:
            group["params"] = [p for p in group["params"] if p is not table]
        return [*found, {"params": [table], "lr": EMBEDDING_RATE, "weight_decay": 0.0}]

    return groups


def train(model: GPT, key: Mapping[str, Any], stories: str, callbacks: Sequence = ()) -> History:
    """Trains an arm's tensors, in place."""
    arm, rows = ARMS[key["arm"]], task("bundled", "menu").rows.train
    prepare(model, arm, key["seed"])
    batches = Batches(rows, BATCH_ROWS, seed=key["seed"])
    if arm.replay:
        batches = WithOldText(rows, old_rows(stories), seed=key["seed"])
    return fit(
        model,
        batches,
        next_token_loss,
        lr=key["lr"],
        steps=key["steps"],
        weight_decay=arm.decay,
        groups=groups_of(arm),
        seed=key["seed"],
        device="cpu",
        precision="fp32",
        callbacks=callbacks,
    )


def old_rows(stories: str) -> list[Row]:
    """A thousand of the stories that the base was trained on, cut short."""
    texts = random.Random(0).sample(split_stories(Path(stories))[0], 1000)
    return text_rows(texts, load_tokenizer("mini"), REPLAY_TOKENS)


def losses_of(model: GPT, stories: str) -> dict[str, float]:
    """What a model has learnt and what it has forgotten, in nats per token."""
    rows = {"validation_loss": task("bundled", "menu").rows.validation}
    rows |= {"story_loss": story_rows(stories), "own_story_loss": story_rows(None)}
    return {name: round(loss_on(model, each), 4) for name, each in rows.items()}


def sizes_of(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], layers: Iterable[str]
) -> dict[str, float]:
    """How large an update is beside W, over the matrices that LoRA adapts.

    Args:
        layers: Their names, without ".weight".

    Returns:
        update_size: ‖ΔW‖_F / ‖W‖_F. strongest: σ_1(ΔW) / σ_1(W). Both are means over matrices.
        intruded: How many matrices have at least one intruder dimension.
    """
    pairs = [(before[f"{name}.weight"], after[f"{name}.weight"]) for name in layers]
    size = mean(((new - old).norm() / old.norm()).item() for old, new in pairs)
    strongest = mean(
        (singular_values(new - old)[0] / singular_values(old)[0]).item() for old, new in pairs
    )
    return {
        "update_size": round(size, 4),
        "strongest": round(strongest, 4),
        "intruded": sum(intruders(old, new) > 0 for old, new in pairs),
    }


def scaled(plain: GPT, before: Mapping[str, Tensor], after: Mapping[str, Tensor], s: float) -> GPT:
    """Puts W + s ΔW into a plain model, for every tensor that was trained."""
    plain.load_state_dict({name: old + s * (after[name] - old) for name, old in before.items()})
    return plain


def one_run(key: dict[str, Any], *, stories: str) -> dict[str, Any]:
    """Trains and measures one model. No test set is opened: nothing is chosen or claimed on one."""
    start = time.process_time()
    model, plain = load_pretrained("mini"), load_pretrained("mini")
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    history = train(model, key, stories)
    seconds = time.process_time() - start
    if ARMS[key["arm"]].rank:
        merge_and_unload(model)
    after = model.state_dict()
    strengths = {}
    for s in STRENGTHS:
        found = losses_of(scaled(plain, before, after, s), stories)
        strengths[f"{s:g}"] = [found["validation_loss"], found["story_loss"]]
    return {
        "stopped": history.stopped,
        "trainable_parameters": history.trainable_parameters,
        "loss_after_20": loss_after_20(history.losses),
        **losses_of(model, stories),
        **sizes_of(before, after, adaptable_layers(plain, LORA_TARGETS)),
        "strengths": strengths,
        "training_seconds": round(seconds, 1),
        "seconds": round(time.process_time() - start, 1),
    }


def key_of(arm: str, lr: float, seed: int, steps: int = STEPS) -> dict[str, Any]:
    """What distinguishes a run."""
    return {"arm": arm, "steps": steps, "lr": lr, "seed": seed}


def keys() -> list[dict[str, Any]]:
    """All runs: the most wanted arms first, all seeds of one before the next; then longer ones."""
    short = [key_of(arm, lr, seed) for arm in ARMS for seed in SEEDS for lr in ARMS[arm].rates]
    long = [
        key_of(arm, lr, seed, times * STEPS)
        for times, arms in LONGER.items()
        for arm, rates in arms.items()
        for seed in SEEDS
        for lr in rates
    ]
    more = [key_of(arm, lr, seed) for seed in MORE_SEEDS for arm, lr in CLAIMED.items()]
    between = [key_of(arm, lr, seed) for arm in BETWEEN for seed in SEEDS for lr in BETWEEN[arm]]
    planned = short + more + between + long
    return [key for number, key in enumerate(planned) if key not in planned[:number]]


def about(stories: str) -> dict[str, Any]:
    """The facts that all runs share."""
    return {
        "batch_rows": BATCH_ROWS,
        "multiplier": MULTIPLIER,
        "embedding_rate": EMBEDDING_RATE,
        "replay_tokens": REPLAY_TOKENS,
        "strengths": "of the update, then the losses on menus and on held-out stories",
        "max_tokens": {"menu": MENU_TOKENS, "stories": STORY_TOKENS},
        "arms": {name: arm._asdict() for name, arm in ARMS.items()},
        "base_fingerprint": base_fingerprint("mini"),
        "before": losses_of(load_pretrained("mini"), stories),
        "stories": len(story_rows(stories)),
        "stories_sha256": sha256_of(stories),
        "threads": 1,
        "seconds": "of one processor's time",
    }


def main() -> None:
    """Reads the arguments and runs the sweep."""
    sweep_with_text("forgetting", __doc__, about, keys(), one_run)


if __name__ == "__main__":
    main()
