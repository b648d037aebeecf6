"""Adds to the records of two sweeps each run's loss after 20 steps, by training these steps again.

    python -m scripts.record_first_steps generator_bundled        # or another of RECORDS

The sweeps record it as they train; the runs in these files are older. Classifiers whose losses are
recorded step by step are not trained again. A run that has it is left, so a call that was cut short
goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from lora_edu.evaluation import read_record
from lora_edu.files import data_path
from lora_edu.pretrained import load_pretrained
from scripts import sweep_classifier, sweep_generator
from scripts.runs import Record, first_losses, loss_after_20

RECORDS = ("generator_bundled", "generator_real", "classifier_bundled", "classifier_real")
UNTRAINED = ("base", "prompt")


def first_steps(name: str, key: Mapping[str, Any]) -> list[float]:
    """Trains a run's first 20 steps again; returns their losses, in nats."""
    sweep, which = name.split("_")
    if sweep == "generator":
        train = partial(
            sweep_generator.train,
            load_pretrained("mini"),
            key,
            name=which,
            steps=sweep_generator.STEPS[which],
        )
    else:
        train = partial(
            sweep_classifier.train,
            sweep_classifier.base_model("mini", key["base"], key["seed"]),
            key,
            name=which,
            steps=sweep_classifier.STEPS[which],
        )
    return first_losses(lambda stop: train(callbacks=[stop]))


def main() -> None:
    """Reads the arguments and completes a record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECORDS)
    name = parser.parse_args().name
    torch.set_num_threads(1)
    path = data_path("results", f"{name}.json")
    found = read_record(path)
    record = Record(path, found["command"], found["about"])
    record.content["versions"] = found["versions"]
    known: dict[str, float] = {}
    for run in record.content["runs"]:
        key = run["key"]
        if "loss_after_20" in run or key["method"] in UNTRAINED:
            continue
        # A rate that was tried and then chosen has the same first steps twice.
        same = json.dumps({**key, "stage": ""})
        if same not in known:
            known[same] = loss_after_20(run.get("losses") or first_steps(name, key))
        run["loss_after_20"] = known[same]
        record.write()
        print(key, known[same], flush=True)


if __name__ == "__main__":
    main()
