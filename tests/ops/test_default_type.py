"""What torch's default type and device are does not matter where kernels write into new tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.inference.winograd import transform_weights
from alexnet.models.network import create_model
from alexnet.ops.bf16_gradients import gradient_norm
from alexnet.ops.dropout import dropout
from alexnet.ops.fft_conv import _dft_angles, fft_conv2d
from alexnet.training.optimizers import PaperSGD
from alexnet.transforms.crops import center_crop
from support.kernels import needs_kernels, randn


@contextmanager
def other_defaults(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def gradients(arch: str) -> Callable[[], list[Tensor]]:
    """Those of a training step in bf16 of a narrow network."""
    torch.manual_seed(0)
    network = create_model(arch, width=0.125, input_size=67, num_classes=3, dropout=0.0)
    images = randn(4, 3, 67, 67)

    def step() -> list[Tensor]:
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            network(images).square().sum().backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    return step


def norm_of_bf16() -> Callable[[], list[Tensor]]:
    gradient = randn(3, 70_000).bfloat16()
    return lambda: [gradient_norm([gradient])]


def resized_crop() -> Callable[[], list[Tensor]]:
    pixels = randn(2, 40, 40, 3).mul(50).abs().to(torch.uint8)
    preprocessing = Preprocessing(resize_size=40, crop_size=32, input_size=24, mean=(1, 2, 3))
    return lambda: [center_crop(pixels, preprocessing)]


def dropped_out() -> Callable[[], list[Tensor]]:
    x = randn(7, 9)

    def compute() -> list[Tensor]:
        torch.manual_seed(0)
        return [dropout(x, 0.5)]

    return compute


def convolved_by_fft() -> Callable[[], list[Tensor]]:
    """The output, and both gradients, without what an earlier call has kept."""
    x, weight = randn(2, 3, 12, 12).requires_grad_(), randn(4, 3, 9, 9, seed=1).requires_grad_()

    def compute() -> list[Tensor]:
        _dft_angles.cache_clear()
        y = fft_conv2d(x, weight, None)
        return [y, *torch.autograd.grad(y.sin().sum(), (x, weight))]

    return compute


def winograd_weights() -> Callable[[], list[Tensor]]:
    weight = randn(4, 3, 3, 3)
    return lambda: [transform_weights(weight, 1)]


def paper_steps() -> Callable[[], list[Tensor]]:
    start, gradient = randn(5, 7), randn(5, 7, seed=1)

    def compute() -> list[Tensor]:
        weight = torch.nn.Parameter(start.clone())
        optimizer = PaperSGD([weight], lr=0.1)
        for _ in range(2):
            weight.grad = gradient.clone()
            optimizer.step()
        return [weight.detach(), *optimizer.state[weight].values()]

    return compute


CASES: dict[str, Callable[[], Callable[[], list[Tensor]]]] = {
    "alexnet": lambda: gradients("alexnet"),
    "alexnet_bn": lambda: gradients("alexnet_bn"),
    "norm of gradients": norm_of_bf16,
    "crop": resized_crop,
    "dropout": dropped_out,
    "FFT": convolved_by_fft,
    "Winograd": winograd_weights,
    "PaperSGD": paper_steps,
}


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_bits_are_the_same(
    case: Callable[[], Callable[[], list[Tensor]]], dtype: torch.dtype
) -> None:
    compute = case()
    expected = compute()
    with other_defaults(dtype):
        found = compute()
    assert len(found) == len(expected) > 0
    assert all(map(torch.equal, found, expected))
