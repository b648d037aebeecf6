"""What checkers try answers on, and what they ask of a layer."""

from __future__ import annotations

import copy
import dis
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.exercises.core import Wrong
from lora_edu.gpt import GPT, GPTConfig

TINY = GPTConfig(vocab_size=11, context_length=4, n_layer=6, n_head=2, n_embd=4)


class NotesCopies(GPT):
    """A GPT that remembers whether somebody made a deep copy of it."""

    copied = False

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        self.copied = True
        twin = self.__class__.__new__(self.__class__)
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin


def fill(parameter: Tensor) -> None:
    """Gives a factor random values, as training would give it some."""
    with torch.no_grad():
        parameter.normal_()


def returned(output: Any) -> Any:
    """Returns a layer's output, if there is one."""
    if output is None:
        raise Wrong("forward returned None: is the return missing?")
    return output


def judge_own_names(answer: Any, *names: str) -> None:
    """Sends a class back whose methods read one of these names from the notebook.

    There another cell may have bound it to something else, whose shapes then do not fit.
    """
    for method in vars(answer).values() if isinstance(answer, type) else ():
        if not isinstance(method, FunctionType):
            continue
        for step in dis.get_instructions(method):
            if step.opname == "LOAD_GLOBAL" and step.argval in names:
                raise Wrong(
                    f"`{step.argval}` in your {method.__name__} is not the layer's own: a bare "
                    f"name is looked up in the notebook. Write self.{step.argval}."
                )


def reaches(output: Tensor, source: Tensor) -> bool:
    """Says whether a gradient comes from `output` to `source`."""
    (gradient,) = torch.autograd.grad(output.sum(), source, retain_graph=True, allow_unused=True)
    return gradient is not None


def same_numbers(found: Any, given: Any) -> bool:
    """Says whether a layer has the weight of another, entry by entry."""
    weight = getattr(found, "weight", None)
    return isinstance(weight, Tensor) and torch.equal(weight, given.weight)
