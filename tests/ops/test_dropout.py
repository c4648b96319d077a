"""Dropout with masks of 32-bit numbers: its distribution, its bits, and where torch's is used."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from alexnet.ops.dropout import dropout

SHAPES = [(3, 5), (128, 33), (7, 3, 4, 5), (1,), (0, 4)]


def masks(p: float, shape: tuple[int, ...], seed: int = 1, **options: object) -> torch.Tensor:
    torch.manual_seed(seed)
    return dropout(torch.ones(shape).to(**options), p)


@pytest.mark.parametrize("p", [0.5, 0.1, 0.25, 0.9])
def test_as_many_are_dropped_as_asked_and_none_depends_on_another(p: float) -> None:
    kept = (masks(p, (500, 800)) > 0).double()
    error = (p * (1 - p) / kept.numel()) ** 0.5
    assert kept.mean() == pytest.approx(1 - p, abs=5 * error)
    for shift in (1, 2, 3, 800, kept.numel() // 2):
        flat = kept.flatten() - kept.mean()
        together = (flat[shift:] * flat[:-shift]).mean() / flat.square().mean()
        assert abs(together) < 5 / (kept.numel() - shift) ** 0.5
    others = (masks(p, (500, 800), seed=2) > 0).double()
    assert (kept * others).mean() == pytest.approx((1 - p) ** 2, abs=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_the_mask(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, requires_grad=True)
    mask = masks(0.25, shape)
    assert torch.equal(mask, torch.where(mask > 0, 4 / 3, 0.0))
    torch.manual_seed(1)
    y = dropout(x, 0.25)
    assert torch.equal(y, x * mask)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, mask)


def test_masks_depend_on_the_seed_alone() -> None:
    shape = 6, 4, 5, 3
    first = masks(0.5, shape)
    assert torch.equal(masks(0.5, shape, memory_format=torch.channels_last), first)
    assert torch.equal(masks(0.5, shape, dtype=torch.bfloat16).float(), first)
    assert not torch.equal(masks(0.5, shape, seed=2), first)
    torch.manual_seed(1)
    dropout(torch.ones(shape), 0.5)
    assert not torch.equal(dropout(torch.ones(shape), 0.5), first), "a second mask is another one"
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(masks(0.5, shape), first)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("p", [0.0, 1.0, 1e-12, 1 - 1e-12])
def test_certain_probabilities(p: float) -> None:
    assert torch.equal(masks(p, (40, 50)), F.dropout(torch.ones(40, 50), round(p)))


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_impossible_probabilities(p: float) -> None:
    with pytest.raises(ValueError, match=r"probability|NaN"):
        masks(p, (2, 2))


def test_compiled_networks_get_the_masks_of_torch() -> None:
    compiled = torch.compile(lambda x: dropout(x, 0.5), backend="eager", fullgraph=True)
    torch.manual_seed(1)
    expected = F.dropout(torch.ones(10, 10), 0.5)
    torch.manual_seed(1)
    assert torch.equal(compiled(torch.ones(10, 10)), expected)
