"""Claims about what comes out: learning, forgetting, the update's directions, the work of a step.

Each function takes the records that it needs and returns the claim with its trials. A method has
the best of the rates that were tried for it, unless both are compared at equal learning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch

from lora_edu.budget import block_share
from lora_edu.evaluation import (
    Point,
    accuracy_score,
    compare,
    digits,
    forgotten_at,
    mean_difference,
    predictions_of,
    runs_at_best_rate,
    runs_of,
    tradeoff,
)
from lora_edu.tasks.claims.settings import TUNED_MENUS, Sweep, at_best_rates, at_edge, unless_coarse
from lora_edu.tasks.claims.sources import ILLUSION, NO_REGRET
from lora_edu.tasks.claims.verdicts import (
    LAYERS,
    LEAST_SEEDS,
    NATS,
    OPEN,
    POINTS,
    Claim,
    Trial,
    above_zero,
    no_difference,
    same,
    within,
)
from lora_edu.tasks.forgetting import STEPS

Record = Mapping[str, Any]

LORA_8, LORA_32 = ({"method": "lora", "rank": rank} for rank in (8, 32))
FULL, MATRICES = {"method": "full"}, {"method": "matrices"}
WITH_EMBEDDING = {"method": "lora, embedding", "rank": 8}
WHOLE = "its matrices trained whole"  # the control: full's way of learning in LoRA's places
TWO_THIRDS, LITTLE_MORE = 2 / 3, 0.1
WITH_ONE = "layers of 36 with one"
LAYERS_IN_ALL, HARDLY_ANY = 36, 0.1  # of the layers
TALES_LEVEL, MENUS_LEVEL = 3.6, 0.24  # losses that each seed of both methods passes


def same_as_full(
    menus: Record,
    real_menus: Record,
    llm: Record,
    spam: Record,
    real_spam: Record,
    forgetting: Record,
) -> Claim:
    """LoRA against full fine-tuning on test sets, and against the same matrices trained whole.

    Args:
        menus: `generator_bundled.json`.
        real_menus: `generator_real.json`.
        llm: `llm_menu.json`.
        spam: `classifier_bundled.json`.
        real_spam: `classifier_real.json`.
        forgetting: `forgetting.json`, with LoRA that trains the embedding, too. Its runs and full's
            have the same validation set, on which the rates were chosen.
    """
    menu, tales = ({"stage": "final", "task": task} for task in ("menu", "voice"))

    def loss(what: str, record: Record, lora: Mapping, other: Mapping = FULL, **key: Any) -> Trial:
        mine, theirs = runs_of(record, **key, **lora), runs_of(record, **key, **other)
        trial = same(what, mine, theirs, "test_loss", NATS)
        return unless_coarse(trial, *tuned(record, key, lora, other))

    wide = "lora 32, embedding"
    edge = ", LoRA's best rate at the edge of those tried" * at_edge(forgetting, arm=wide)
    return Claim(
        "On small and medium data, LoRA does the same as full fine-tuning",
        f"{NO_REGRET}, “What matters for LoRA”, for instructions and reasoning",
        [
            loss("menus, loss, rank 8 − full", menus, LORA_8, **menu),
            loss("menus, loss, rank 32 − full", menus, LORA_32, **menu),
            loss(f"menus, loss, rank 32 − {WHOLE}", menus, LORA_32, MATRICES, **menu),
            at_best_rates(
                same,
                f"menus, validation loss, rank 32 and the embedding − full{edge}",
                (forgetting, {"arm": wide, "steps": STEPS}),
                (menus, TUNED_MENUS | FULL),
            ),
            loss("tales, loss, rank 8 − full", menus, LORA_8, **tales),
            loss("E2E, loss, rank 8 − full", real_menus, LORA_8, **menu),
            loss("E2E, loss, rank 32 − full", real_menus, LORA_32, **menu),
            loss("E2E, loss, rank 8 and the embedding − full", real_menus, WITH_EMBEDDING, **menu),
            loss("menus, SmolLM2, loss, rank 8 − full", llm, LORA_8, stage="final"),
            _accuracy("spam, accuracy, rank 8 − full", spam),
            _accuracy("real spam, accuracy, rank 8 − full", real_spam),
        ],
        ["05", "06", "08"],
    )


def tuned(record: Record, key: Mapping, *methods: Mapping) -> list[Sweep]:
    """Where the rates of runs on a test set were chosen, one method at a time.

    Args:
        record: That of the runs on the test set.
        key: What these runs have in common.
        methods: What each method's runs have.
    """
    return [(record, {**key, "stage": "tune", **method}) for method in methods]


def _accuracy(what: str, record: Record) -> Trial:
    """As notebook 09 compares them: with the luck of the seeds and that of the messages."""
    about = record["about"]
    runs = (predictions_of(record, method=method) for method in ("lora", "full"))
    groups = torch.tensor(about["test_groups"])
    found = compare(digits(about["test_labels"]), *runs, accuracy_score, groups=groups)
    half = (found.high - found.low) / 2
    text = f"{what}: {POINTS.signed(found.value, half)}, {found.seeds} seeds"
    return Trial(text, no_difference(found.low, found.high, POINTS.margin), found.low, found.high)


def intruder_dimensions(tales: Record, forgetting: Record, llm: Record) -> Claim:
    """Layers with an intruder where both have learnt as much; on SmolLM2, whether LoRA has any.

    Args:
        tales: `intruders.json`; LoRA with PEFT's start.
        forgetting: `forgetting.json`, on menus.
        llm: `forgetting_llm.json`.
    """
    curves = {
        ("tales", TALES_LEVEL): [_layer_curves(tales, init=init) for init in ("peft", "")],
        ("menus", MENUS_LEVEL): [
            tradeoff(forgetting, "intruded", arm=arm, steps=STEPS)[1] for arm in ("lora 8", "full")
        ],
    }
    trials = []
    for (task, level), both in curves.items():
        lora, full = (torch.tensor([forgotten_at(level, seed) for seed in seeds]) for seeds in both)
        mean, half = mean_difference(lora, full)
        where = f"{task} at {level:g}, {WITH_ONE}"
        found = f"{where}, LoRA − full: {LAYERS.signed(mean, half)}, {len(lora)} seeds"
        low, high = mean - half, mean + half
        trials.append(Trial(found, above_zero(low, high), low, high))
        low, high = full.min().item(), full.max().item()
        few = within(low / LAYERS_IN_ALL, high / LAYERS_IN_ALL, 0, HARDLY_ANY)
        found = f"{where}, full: {low:.1f} to {high:.1f} layers, {len(full)} seeds"
        trials.append(Trial(found, few, low, high))
    return Claim(
        "LoRA brings intruder dimensions, and full fine-tuning that learnt as much hardly any",
        f"{ILLUSION}, abstract",
        [*trials, _any_intruders(llm)],
        ["03", "08"],
    )


def _layer_curves(tales: Record, **key: Any) -> list[list[Point]]:
    """Each seed's loss on tales and its layers with an intruder, by rising rate."""
    seeds = defaultdict(list)
    for run in sorted(runs_of(tales, **key), key=lambda run: run["key"]["lr"]):
        point = Point(run["key"]["lr"], run["loss"], run["layers"])
        seeds[run["key"]["seed"]].append(point)
    return [seeds[seed] for seed in sorted(seeds)]


def _any_intruders(llm: Record) -> Trial:
    """Whether LoRA puts them into more than hardly any of SmolLM2's layers, at its best rate."""
    runs = runs_at_best_rate(llm, arm="lora 8")
    layers = len(llm["about"]["update_measured_in"])
    low, high = (of(run["intruded"] for run in runs) for of in (min, max))
    found = f"menus, SmolLM2, layers of {layers} with one, LoRA: {low} to {high} layers"
    some = within(low / layers, high / layers, HARDLY_ANY, 1)
    verdict = some if len(runs) >= LEAST_SEEDS else OPEN
    return Trial(f"{found}, {len(runs)} seeds", verdict, low, high)


def two_thirds(width: int, rank: int) -> Claim:
    """LoRA's share of a full step's operations in a block.

    Args:
        width: Of the model; the mini GPT's is 192.
        rank: Of the update, on all six layers of the block.
    """
    share = block_share(width, rank)
    found = f"a block {width} wide, rank {rank}, counted: {share:.2f} of a full step's operations"
    return Claim(
        "A LoRA step needs slightly more than two thirds of a full step's operations",
        f"{NO_REGRET}, “Compute efficiency advantage of LoRA”",
        [Trial(found, within(share, share, TWO_THIRDS, TWO_THIRDS + LITTLE_MORE), share, share)],
        ["05"],
    )
