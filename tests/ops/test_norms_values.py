"""Both norms by hand, against torch and by finite differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from alexnet.models.modules import ResponseNorm
from alexnet.ops.norms import response_norm, within_channel_lrn


def draw(*shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return scale * torch.randn(shape, generator=generator, dtype=dtype)


def pixel(*values: float) -> Tensor:
    """One pixel with these channels."""
    return torch.tensor(values, dtype=torch.float64)[None, :, None, None]


@pytest.mark.parametrize(
    ("size", "energies"),
    [
        # Squares 1 4 9 16 25 36; two channels to each side, fewer at the first and the last.
        (5, [14, 30, 55, 90, 86, 77]),
        (3, [5, 14, 29, 50, 77, 61]),
        (1, [1, 4, 9, 16, 25, 36]),
        # Even: two channels before and one after.
        (4, [5, 14, 30, 54, 86, 77]),
        (99, [91] * 6),
    ],
)
@pytest.mark.parametrize("beta", [0.75, 1.0, 0.5])
def test_response_norm_by_hand(size: int, energies: list[int], beta: float) -> None:
    found = response_norm(pixel(1, 2, 3, 4, 5, 6), size, alpha=0.1, beta=beta, k=2.0).flatten()
    expected = [(i + 1) / (2 + 0.1 * energy) ** beta for i, energy in enumerate(energies)]
    assert found.tolist() == pytest.approx(expected, rel=1e-13)


def test_response_norm_defaults_are_the_papers() -> None:
    found = float(response_norm(pixel(100.0)).item())
    assert found == pytest.approx(100 / (2 + 1e-4 * 100**2) ** 0.75, rel=1e-13)


def test_response_norm_groups_by_hand() -> None:
    found = response_norm(pixel(1, 2, 3, 4, 5, 6), 3, alpha=1.0, beta=1.0, k=0.0, groups=2)
    energies = [5, 14, 13, 41, 77, 61]
    assert found.flatten().tolist() == pytest.approx([(i + 1) / e for i, e in enumerate(energies)])


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_are_independent(groups: int) -> None:
    x = draw(2, 16, 5, 4, scale=20)
    alone = [response_norm(part, alpha=0.01) for part in x.chunk(groups, 1)]
    together = response_norm(x, alpha=0.01, groups=groups)
    assert torch.allclose(together, torch.cat(alone, 1), rtol=1e-14, atol=0)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize(
    ("alpha", "beta", "k"), [(1e-4, 0.75, 2.0), (2e-5, 0.75, 1.0), (0.1, 0.6, 3.0)]
)
def test_response_norm_is_torchs_with_alpha_times_size(
    size: int, alpha: float, beta: float, k: float
) -> None:
    x = draw(2, 12, 4, 3, scale=100, dtype=torch.float32)
    torchs = nn.LocalResponseNorm(size, alpha * size, beta, k)(x)
    assert torch.allclose(response_norm(x, size, alpha, beta, k), torchs, rtol=1e-6, atol=1e-6)


@given(st.integers(1, 9), st.integers(1, 12), st.floats(0.1, 2.0))
def test_response_norm_shrinks_and_keeps_signs(size: int, channels: int, beta: float) -> None:
    x = draw(1, channels, 2, 2, scale=50)
    y = response_norm(x, size, beta=beta, k=1.0)
    assert bool((y.abs() <= x.abs()).all())
    assert torch.equal(y.sign(), x.sign())


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_response_norm_gradient(groups: int, beta: float) -> None:
    x = draw(2, 6, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda t: response_norm(t, 3, alpha=0.3, beta=beta, k=1.0, groups=groups), x
    )


def test_response_norm_groups_must_divide() -> None:
    with pytest.raises(ValueError, match=r"^5 channels cannot be split into 2 groups"):
        response_norm(draw(1, 5, 2, 2), groups=2)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", [(2, 6, 3, 4, 5), (2, 6, 3, 1, 2, 5)])
def test_there_may_be_more_axes_after_the_channels(shape: tuple[int, ...], groups: int) -> None:
    x = draw(*shape).requires_grad_()
    constants = (4, 0.1, 0.6, 0.5, groups)
    found = response_norm(x, *constants)
    expected = response_norm(x.flatten(2)[..., None], *constants).reshape(shape)
    assert torch.equal(found, expected)
    gradients = [torch.autograd.grad(y.sin().sum(), x)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_maps_in_three_dimensions_are_normed_as_by_torch() -> None:
    x = draw(2, 6, 3, 4, 5).contiguous(memory_format=torch.channels_last_3d)
    found = ResponseNorm(size=5, alpha=0.1)(x)
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(found, nn.LocalResponseNorm(5, alpha=0.5, k=2.0)(x))


@pytest.mark.parametrize("shape", [(6, 3, 4), (2, 6), (6,), ()])
def test_with_fewer_axes_the_channels_are_not_guessed(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"takes activations \[N, C, H, W\], not \[.*x\[None\]"):
        ResponseNorm()(torch.ones(shape))


@pytest.mark.parametrize("value", [0, -1, -300])
def test_sizes_and_groups_are_at_least_1(value: int) -> None:
    x = draw(1, 4, 2, 2, dtype=torch.float32)
    for norm in (response_norm, within_channel_lrn):
        with pytest.raises(ValueError, match=f"^size must be at least 1, not {value}"):
            norm(x, size=value)
    with pytest.raises(ValueError, match=f"^groups must be at least 1, not {value}"):
        response_norm(x, groups=value)


def naive_within_channel_lrn(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    reach, y = size // 2, torch.zeros_like(x)
    height, width = x.shape[2:]
    for i in range(height):
        for j in range(width):
            window = x[:, :, max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1]
            energy = window.square().sum((2, 3))
            y[:, :, i, j] = x[:, :, i, j] / (k + alpha * energy) ** beta
    return y


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_within_channel_lrn_is_the_naive_loop(size: int, beta: float) -> None:
    x = draw(2, 3, 7, 6, scale=10)
    found = within_channel_lrn(x, size, alpha=0.05, beta=beta, k=1.5)
    expected = naive_within_channel_lrn(x, size, alpha=0.05, beta=beta, k=1.5)
    assert torch.allclose(found, expected, rtol=1e-12, atol=0)


def test_within_channel_lrn_defaults_are_net_145s() -> None:
    x = draw(1, 2, 6, 6, scale=100)
    expected = naive_within_channel_lrn(x, 5, alpha=1e-3 / 25, beta=0.75, k=1.0)
    assert torch.allclose(within_channel_lrn(x), expected, rtol=1e-12, atol=0)


def test_within_channel_lrn_gradient() -> None:
    x = draw(1, 2, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: within_channel_lrn(t, 3, alpha=0.3), x)


NORMS = pytest.mark.parametrize("norm", [response_norm, within_channel_lrn])


@NORMS
@pytest.mark.parametrize("is_autocast", [False, True])
def test_bf16_is_widened_inside(norm: Any, is_autocast: bool) -> None:
    """bf16 comes out, rounded once from what float32 gives."""
    x = draw(2, 16, 6, 6, scale=60).bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=is_autocast):
        y = norm(x)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, norm(x.float()).bfloat16())


@NORMS
def test_autocast_leaves_float32_alone(norm: Any) -> None:
    """A sum of squares in bf16 would be off by 4e-3."""
    x = draw(2, 16, 6, 6, scale=60, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = norm(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, norm(x))
    assert torch.allclose(y.double(), norm(x.double()), rtol=2e-6, atol=0)


@NORMS
def test_memory_formats_give_the_same(norm: Any) -> None:
    x = draw(2, 16, 6, 5, scale=60, dtype=torch.float32)
    last = x.contiguous(memory_format=torch.channels_last)
    y = norm(last)
    assert torch.allclose(norm(x), y, rtol=1e-6, atol=0)
    assert y.is_contiguous(memory_format=torch.channels_last)


@NORMS
def test_input_is_left_as_it_was(norm: Any) -> None:
    x = draw(1, 8, 4, 4, scale=60)
    before = x.clone()
    norm(x)
    assert torch.equal(x, before)
