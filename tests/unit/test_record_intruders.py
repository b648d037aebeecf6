"""The record of intruders: complete, of the shipped base, and what notebook 03 says of it."""

from statistics import mean

from lora_edu import base_fingerprint, data_path
from lora_edu.evaluation import read_record, runs_of
from scripts.record_intruders import SEEDS, SETTINGS

RECORD = read_record(data_path("results", "intruders.json"))


def of(init: str, lr: float) -> tuple[float, list[int]]:
    """The mean loss, and the layers with an intruder for each seed."""
    runs = runs_of(RECORD, init=init, lr=lr)
    return mean(run["loss"] for run in runs), [run["layers"] for run in runs]


def test_each_setting_has_all_seeds_on_the_base_that_ships() -> None:
    assert RECORD["about"]["base_fingerprint"] == base_fingerprint("mini")
    for init, rates in SETTINGS.items():
        for lr in rates:
            runs = runs_of(RECORD, init=init, lr=lr)
            assert [run["key"]["seed"] for run in runs] == list(SEEDS)
            for run in runs:
                assert len(run["intruders"]) == RECORD["about"]["layers"] == 36
                assert run["layers"] == sum(count > 0 for count in run["intruders"])


def test_full_fine_tuning_has_none_at_a_higher_loss_and_at_a_lower_one_than_lora() -> None:
    lora, layers = of("reference", 2e-3)
    (above, none), (below, neither) = of("", 2e-4), of("", 5e-4)
    assert below + 0.2 < lora < above < lora + 0.15
    assert min(layers) > 0.75 * 36, "in four of five layers"
    assert none == neither == [0, 0, 0]


def test_with_pefts_start_and_a_low_rate_they_are_rare_at_a_higher_loss() -> None:
    (lora, _), (peft, rare), (_, many) = of("reference", 2e-3), of("peft", 2e-3), of("peft", 1e-2)
    assert peft > lora
    assert max(rare) < 6 < 24 < min(many)
