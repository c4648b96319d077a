"""Gradients by AMX's tiles: those of torch, for every kind of layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alexnet.ops.tile_gradients import conv_gradients, has_tile_kernels, linear_gradients
from support.kernels import randn, torch_threads

pytestmark = pytest.mark.skipif(not has_tile_kernels(), reason="no kernels with AMX's tiles here")

CONVOLUTIONS = {
    # images, channels, height, width, outputs, kernel, padding, groups
    "conv4 of the paper": (9, 384, 13, 13, 384, (3, 3), (1, 1), 2),
    "one image": (1, 32, 13, 13, 32, (3, 3), (1, 1), 1),
    "blocks that are not whole": (3, 48, 9, 9, 80, (3, 3), (1, 1), 1),
    "a tile of each": (2, 16, 5, 6, 16, (3, 3), (1, 1), 1),
    "groups of a tile": (2, 64, 5, 5, 64, (3, 3), (1, 1), 4),
    "large kernels": (3, 32, 7, 8, 32, (5, 5), (2, 2), 1),
    "an even kernel": (3, 32, 7, 8, 32, (2, 4), (1, 2), 1),
    "no padding": (5, 32, 8, 7, 32, (3, 3), (0, 0), 1),
    "more padding than the kernel reads": (2, 32, 6, 6, 32, (3, 3), (3, 4), 1),
    "points": (4, 32, 3, 3, 48, (1, 1), (0, 0), 1),
    "one output": (3, 32, 3, 3, 48, (3, 3), (0, 0), 1),
    "many small images": (200, 32, 3, 3, 32, (3, 3), (1, 1), 1),
    "images that are larger than a part": (2, 16, 50, 41, 16, (3, 3), (1, 1), 1),
    "a last part that is not whole": (19, 32, 13, 13, 32, (3, 3), (1, 1), 1),
}


def torchs(
    x: Tensor, grad: Tensor, kernel: tuple[int, int], padding: tuple[int, int], groups: int
) -> tuple[Tensor, Tensor]:
    """The gradients of weight and bias in float64."""
    x, grad = x.double(), grad.double()
    weight = torch.empty(grad.shape[1], x.shape[1] // groups, *kernel, dtype=torch.float64)
    found = torch.ops.aten.convolution_backward(
        grad, x, weight, [len(weight)], [1, 1], padding, [1, 1], False, [0, 0], groups,
        [False, True, True],
    )  # fmt: skip
    return found[1], found[2]


@pytest.mark.parametrize("shape", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_a_convolution_are_torchs(
    shape: tuple[int, int, int, int, int, tuple[int, int], tuple[int, int], int],
    memory_format: torch.memory_format,
) -> None:
    images, channels, height, width, outputs, kernel, padding, groups = shape
    rows, columns = ((height, width)[i] + 2 * padding[i] - kernel[i] + 1 for i in (0, 1))
    x = randn(images, channels, height, width).bfloat16()
    grad = randn(images, outputs, rows, columns, seed=1).bfloat16()
    x, grad = (t.contiguous(memory_format=memory_format) for t in (x, grad))
    weight, bias = conv_gradients(x, grad, kernel, padding, groups)
    expected = torchs(x, grad, kernel, padding, groups)
    assert weight.dtype == bias.dtype == torch.float32
    for found, exact in zip((weight, bias), expected, strict=True):
        assert found.shape == exact.shape
        assert (found - exact).abs().max() < 1e-5 * max(exact.abs().max(), 1)


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    x = randn(20, 64, 13, 13).bfloat16()
    grad = randn(20, 96, 13, 13, seed=1).bfloat16()
    results = []
    for threads in (1, 2, 3):
        with torch_threads(threads):
            results.append(conv_gradients(x, grad, (3, 3), (1, 1)))
    for weight, bias in results[1:]:
        assert torch.equal(weight, results[0][0])
        assert torch.equal(bias, results[0][1])


def test_what_is_not_finite_stays_so_in_the_gradients_that_meet_it() -> None:
    x, grad = randn(2, 32, 5, 5).bfloat16(), randn(2, 32, 5, 5, seed=1).bfloat16()
    x[1, 7, 2, 2] = torch.inf
    grad[0, 3, 4, 4] = torch.nan
    weight, bias = conv_gradients(x, grad, (3, 3), (1, 1))
    assert bias.isnan().nonzero().tolist() == [[3]]
    has_met = torch.zeros(32, 32, dtype=torch.bool)
    has_met[3], has_met[:, 7] = True, True
    assert torch.equal(~weight.isfinite().all((2, 3)), has_met)


@pytest.mark.parametrize(
    ("images", "inputs", "outputs"),
    [(1, 32, 16), (7, 64, 48), (32, 1056, 32), (33, 96, 80), (70, 2080, 64), (128, 512, 256)],
)
def test_gradients_of_a_linear_layer_are_torchs(images: int, inputs: int, outputs: int) -> None:
    x, grad = randn(images, inputs).bfloat16(), randn(images, outputs, seed=1).bfloat16()
    weight, bias = linear_gradients(x, grad)
    expected = grad.double().t() @ x.double()
    assert weight.dtype == torch.bfloat16
    assert (weight - expected).abs().max() <= 2**-8 * expected.abs().max()
    torch.testing.assert_close(bias.double(), grad.double().sum(0), rtol=1e-5, atol=1e-5)
    with torch_threads(3):
        again = linear_gradients(x.t().contiguous().t(), grad.t().contiguous().t())
    assert torch.equal(weight, again[0])
    assert torch.equal(bias, again[1])
