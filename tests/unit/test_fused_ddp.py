"""The fast path under DistributedDataParallel: two processes, half of the batch each."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lora_edu.fused.blocks import fuse
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, lora_layers, replace_linear_with_lora

PROCESSES = 2
TOKENS = torch.randint(37, (2 * PROCESSES, 8), generator=torch.Generator().manual_seed(0))


def classifier() -> GPT:
    """A GPT with adapters in all linear layers, B not zero, in float64."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=37, context_length=8, n_layer=2, n_head=2, n_embd=16))
    freeze(model)
    replace_linear_with_lora(model, 2, 4)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B)
    return model.double()


def step(model: nn.Module, tokens: torch.Tensor) -> None:
    """Computes gradients of a mean over rows, for the last token of each."""
    model(tokens, positions=torch.full((len(tokens),), 7)).square().mean().backward()


def train_one_part(rank: int, folder: str) -> None:
    """One process: gradients of its rows, averaged with the other's, kept by the first."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=PROCESSES)
    model = classifier()
    fuse(model)
    step(DistributedDataParallel(model), TOKENS[rank::PROCESSES])
    if rank == 0:
        learnt = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        save_file(learnt, f"{folder}/gradients.safetensors")
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")
def test_two_processes_find_the_gradients_of_the_whole_batch(tmp_path: Path):
    torch.multiprocessing.spawn(train_one_part, args=(str(tmp_path),), nprocs=PROCESSES)
    found = load_file(tmp_path / "gradients.safetensors")
    model = classifier()
    readable, alone = copy.deepcopy(model), copy.deepcopy(model)
    step(readable, TOKENS)
    step(alone, TOKENS[:1])
    learnt = {n: p.grad for n, p in readable.named_parameters() if p.requires_grad}
    assert learnt and found.keys() == learnt.keys()
    for name, gradient in learnt.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-12)
    first = next(n for n, g in learnt.items() if g.any())
    assert not torch.allclose(dict(alone.named_parameters())[first].grad, learnt[first])
