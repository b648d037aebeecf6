"""GELU from quicker operations: torch's values and gradients, in parts of any size."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lora_edu.fused import functions as fused_functions
from lora_edu.fused.functions import FEW, Gelu, Norm


def exact(x: torch.Tensor, dz: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """torch's value and gradient in float64."""
    x = x.double().clone().requires_grad_()
    z = F.gelu(x, approximate="tanh")
    return z.detach(), torch.autograd.grad(z, x, dz.double())[0]


@pytest.fixture
def in_parts(monkeypatch) -> None:
    """Even a small tensor is composed, and goes through in parts of two rows."""
    monkeypatch.setattr(fused_functions, "FEW", 0)
    monkeypatch.setattr(fused_functions, "PART", 10)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)


def back(x: torch.Tensor, dz: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """f(x) again, which is what a thin matrix of ones on the diagonal reads, and x's gradient."""
    thin, a = torch.eye(len(x), dtype=x.dtype), torch.zeros_like(x)
    return Gelu().backward_with_product(dz.clone(), x, (), thin, a)


def drawn(rows: int, dtype: torch.dtype, width: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(rows)
    x = 3 * torch.randn(rows, width, generator=dice)
    return x.to(dtype), torch.randn(rows, width, generator=dice).to(dtype)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 5e-15), (torch.float32, 2e-6), (torch.bfloat16, 3e-3), (torch.float16, 5e-4)],
    ids=str,
)
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 8])
def test_value_and_gradient_are_torchs_to_rounding(in_parts, rows, dtype, tolerance):
    x, dz = drawn(rows, dtype)
    value, gradient = exact(x, dz)
    z, kept = Gelu().forward(x)
    again, dx = back(x, dz)
    assert kept == () and torch.equal(z, again)
    assert z.dtype == dx.dtype == dtype
    assert (z - value).norm() <= tolerance * value.norm()
    assert (dx - gradient).norm() <= tolerance * gradient.norm()


def test_it_is_as_exact_as_torchs_own_at_the_size_of_gpt2():
    x, dz = drawn(240, torch.float32, 3072)
    value, gradient = exact(x, dz)
    z, dx = back(x, dz)
    theirs = F.gelu(x, approximate="tanh"), Gelu().backward(dz, x, ())
    for mine, their, true in zip((z, dx), theirs, (value, gradient), strict=True):
        assert 0 < (mine - true).norm() <= 4 * (their - true).norm()
        assert not torch.equal(mine, their)  # it was composed


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_products_with_thin_matrices_are_those_of_the_whole(in_parts, dtype):
    x, dz = drawn(7, dtype)
    dice = torch.Generator().manual_seed(0)
    thin, a = (torch.randn(*size, generator=dice).to(dtype) for size in ((7, 2), (2, 5)))
    value, gradient = exact(x, dz.double() + thin.double() @ a.double())
    product, dx = Gelu().backward_with_product(dz.clone(), x, (), thin, a)
    expected = thin.double().T @ value
    tolerance = {torch.float64: 1e-14, torch.float32: 2e-6, torch.bfloat16: 1e-2}[dtype]
    assert product.dtype == dx.dtype == dtype
    assert (product - expected).norm() <= tolerance * expected.norm()
    assert (dx - gradient).norm() <= tolerance * gradient.norm()


def test_far_from_zero_it_is_x_or_zero(in_parts):
    x = torch.tensor([[-1e4, -30.0, 0.0, 30.0, 1e4]])
    z, dx = back(x, torch.ones_like(x))
    torch.testing.assert_close(z, torch.tensor([[0.0, 0.0, 0.0, 30.0, 1e4]]))
    torch.testing.assert_close(dx, torch.tensor([[0.0, 0.0, 0.5, 1.0, 1.0]]))


def test_not_a_number_stays_not_a_number(in_parts):
    x = torch.tensor([[0.0, float("nan"), 1.0]])
    z, dx = back(x, torch.ones_like(x))
    assert z.isnan().tolist() == dx.isnan().tolist() == [[False, True, False]]


def test_few_numbers_are_left_to_torch():
    x, dz = drawn(1, torch.float32, FEW)
    torch.testing.assert_close(back(x, dz)[1], exact(x, dz)[1].float(), rtol=0, atol=5e-6)
    assert torch.equal(Gelu().forward(x)[0], F.gelu(x, approximate="tanh"))
    assert torch.equal(back(x, dz)[0], F.gelu(x, approximate="tanh"))
    more, _ = drawn(1, torch.float32, FEW + 1)
    assert not torch.equal(Gelu().forward(more)[0], F.gelu(more, approximate="tanh"))


def test_a_compiler_gets_torchs_operation(in_parts):
    x, _ = drawn(8, torch.float32)
    compiled = torch.compile(lambda x: Gelu().forward(x)[0], backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(x), F.gelu(x, approximate="tanh"))


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_a_layer_norm_adds_its_own_epsilon_to_the_variance(eps):
    norm = nn.LayerNorm(5, eps=eps, dtype=torch.float64).requires_grad_(False)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    x, dz = drawn(7, torch.float64)
    x.requires_grad_()
    deviation = (x.var(1, correction=0, keepdim=True) + eps).sqrt()
    value = (x - x.mean(1, keepdim=True)) / deviation * norm.weight + norm.bias
    (gradient,) = torch.autograd.grad(value, x, dz)
    x = x.detach()
    z, kept = Norm(norm).forward(x)
    torch.testing.assert_close(z, value)
    torch.testing.assert_close(Norm(norm).again(x), value)
    torch.testing.assert_close(Norm(norm).backward(dz, x, kept), gradient)


@pytest.mark.parametrize("of_x", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("of_dz", [torch.float32, torch.bfloat16], ids=str)
def test_a_layer_norm_computes_in_the_format_of_its_input(of_x, of_dz):
    x, dz = drawn(7, of_x)[0], drawn(7, of_dz)[1]
    norm = nn.LayerNorm(5).requires_grad_(False)
    for factor in (norm.weight, norm.bias):
        factor.copy_(torch.randn(5, generator=torch.Generator().manual_seed(1)))
    wide = x.double().requires_grad_()
    expected = F.layer_norm(wide, (5,), norm.weight.double(), norm.bias.double(), norm.eps)
    (gradient,) = torch.autograd.grad(expected, wide, dz.double())
    z, kept = Norm(norm).forward(x)
    dx = Norm(norm).backward(dz, x, kept)
    assert z.dtype == dx.dtype == of_x
    torch.testing.assert_close(z.double(), expected.detach(), rtol=0, atol=2e-6)
    torch.testing.assert_close(dx.double(), gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize("of_products", [torch.float32, torch.bfloat16], ids=str)
def test_before_a_layer_norm_the_products_may_be_narrower_than_its_input(of_products):
    x, dz = drawn(7, torch.float32)
    norm = nn.LayerNorm(5).requires_grad_(False)
    dice = torch.Generator().manual_seed(2)
    for factor in (norm.weight, norm.bias):
        factor.copy_(torch.randn(5, generator=dice))
    thin, a = (torch.randn(*s, generator=dice).to(of_products) for s in ((7, 2), (2, 5)))
    x.requires_grad_()
    z = F.layer_norm(x, (5,), norm.weight, norm.bias, norm.eps)
    (gradient,) = torch.autograd.grad(z, x, dz.to(of_products).float() + thin.float() @ a.float())
    before, x = Norm(norm), x.detach()
    kept = before.forward(x)[1]
    product, dx = before.backward_with_product(dz.to(of_products), x, kept, thin, a)
    assert (product.dtype, dx.dtype) == (of_products, torch.float32)
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 5e-2}[of_products]
    torch.testing.assert_close(product.float(), thin.float().T @ z.detach(), rtol=0, atol=tolerance)
    torch.testing.assert_close(dx, gradient, rtol=0, atol=tolerance)


@pytest.mark.parametrize("learns", ["weight", "bias"])
def test_a_layer_norm_of_which_half_learns_is_refused(learns):
    norm = nn.LayerNorm(5).requires_grad_(False)
    getattr(norm, learns).requires_grad_(True)
    with pytest.raises(ValueError, match="must be frozen"):
        Norm(norm)


@pytest.mark.parametrize("rows", [7, 8])
def test_the_parts_reuse_memory_of_their_own_size(in_parts, rows):
    x, _ = drawn(rows, torch.float32)
    places = set()
    for _, part, here in fused_functions._sigmoids(x, 3):
        assert all(tensor.shape == part.shape for tensor in here)
        places.add(tuple(tensor.data_ptr() for tensor in here))
    assert len(places) == 1
