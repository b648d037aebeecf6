"""Equality of bits: stricter than that of numbers, blind to where and how a tensor is stored."""

import pytest
import torch

from lora_edu import same_bits

NUMBERS = torch.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_a_copy_has_the_same_bits_and_a_changed_one_has_not(dtype: torch.dtype) -> None:
    tensor = NUMBERS.to(dtype)
    changed = tensor.clone()
    changed[1, 2] = 0
    assert same_bits(tensor, tensor.clone())
    assert not same_bits(tensor, changed)


def test_the_sign_of_zero_counts_and_nan_is_itself() -> None:
    zero, nan = torch.zeros(1), torch.full((1,), torch.nan)
    assert torch.equal(zero, -zero)
    assert not same_bits(zero, -zero)
    assert not torch.equal(nan, nan)
    assert same_bits(nan, nan.clone())


def test_type_and_shape_count_and_layout_does_not() -> None:
    assert not same_bits(NUMBERS, NUMBERS.double())
    assert not same_bits(NUMBERS, NUMBERS.reshape(3, 2))
    assert same_bits(NUMBERS.T, NUMBERS.T.contiguous())
    assert same_bits(torch.tensor(1.0, requires_grad=True), torch.tensor(1.0))
    assert same_bits(torch.empty(0, 3), torch.empty(0, 3))
