"""Our adapters are PEFT's adapters: each loads the other's files with equal logits."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from torch import nn

peft = pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")

from adapter_models import ALL, TOKENS, make_adapted, make_base  # noqa: E402

from lora_edu.adapters.attachment import attach  # noqa: E402
from lora_edu.adapters.config import AdapterError  # noqa: E402
from lora_edu.adapters.saving import load_adapter, save_adapter  # noqa: E402
from lora_edu.adapters.weights_file import CONFIG_NAME  # noqa: E402
from lora_edu.lora import SCALINGS  # noqa: E402


def classifier():
    """A base whose head has the stored one's shape, which PEFT demands beforehand."""
    model = make_base()
    model.head = nn.Linear(model.config.n_embd, 2)
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_our_adapter_loads_in_peft_with_equal_logits(tmp_path, scaling, head, dtype):
    trained = make_adapted(scaling=scaling, head=head)
    save_adapter(trained, tmp_path)
    base = classifier() if head else make_base()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PEFT only warns where it drops a key
        theirs = peft.PeftModel.from_pretrained(base, tmp_path).to(dtype).eval()
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    with torch.no_grad():
        torch.testing.assert_close(
            theirs(TOKENS), trained.to(dtype)(TOKENS), rtol=0, atol=tolerance
        )


def test_our_configuration_is_the_one_that_peft_makes_of_the_same_settings(tmp_path):
    save_adapter(make_adapted(rank=3, alpha=2.0), tmp_path)
    ours = peft.LoraConfig.from_pretrained(tmp_path)
    layers = ours.target_modules
    assert ours == peft.LoraConfig(r=3, lora_alpha=6, target_modules=layers, inference_mode=True)
    assert len(layers) == 12 and type(ours.lora_alpha) is int


def train_a_little(model: nn.Module) -> None:
    """Moves every trainable number off its start, so that equality means something."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) / 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["query", "value"]},
        {"target_modules": ["query", "value"], "use_rslora": True},
        {"target_modules": list(ALL), "lora_dropout": 0.1, "lora_alpha": 5},
        {"target_modules": r".*\.(query|fc_out)", "init_lora_weights": "gaussian"},
        {"target_modules": ["query"], "layers_to_transform": [1], "layers_pattern": "blocks"},
        {"target_modules": ["query"], "exclude_modules": ["blocks.1.attention.query"]},
        {"target_modules": ["query", "value"], "modules_to_save": ["head"]},
    ],
    ids=str,
)
def test_an_adapter_of_peft_loads_in_ours_with_equal_logits(tmp_path, options, dtype):
    head = "modules_to_save" in options
    config = peft.LoraConfig(r=3, **options)
    theirs = peft.get_peft_model(classifier() if head else make_base(), config)
    train_a_little(theirs)
    theirs.save_pretrained(tmp_path)
    model = make_base()
    attach(model, load_adapter(tmp_path))
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    with torch.no_grad():
        torch.testing.assert_close(
            model.to(dtype)(TOKENS), theirs.to(dtype).eval()(TOKENS), rtol=0, atol=tolerance
        )


@pytest.mark.parametrize(
    "options",
    [{"use_dora": True}, {"lora_bias": True}, {"bias": "all"}],
    ids=str,
)
def test_a_variant_of_peft_that_we_do_not_have_is_refused(tmp_path, options):
    config = peft.LoraConfig(r=3, target_modules=["query"], **options)
    peft.get_peft_model(make_base(), config).save_pretrained(tmp_path)
    with pytest.raises(AdapterError, match=next(iter(options))):
        load_adapter(tmp_path)


def test_every_field_that_peft_writes_by_default_passes(tmp_path):
    peft.get_peft_model(
        make_base(), peft.LoraConfig(r=3, target_modules=["query"])
    ).save_pretrained(tmp_path)
    assert len(json.loads((tmp_path / CONFIG_NAME).read_text())) > 30
    assert load_adapter(tmp_path).rank == 3
