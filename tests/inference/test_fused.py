"""ReLU, response norm and max pooling in one pass are the three operations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.inference.fused import FusedReluNormPool
from alexnet.models.modules import ResponseNorm
from alexnet.ops.library import KernelLibrary
from alexnet.ops.norms import response_norm
from support.kernels import randn


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", [None, {"groups": 1}, {"groups": 2}, {"size": 4, "beta": 0.5}])
@pytest.mark.parametrize(
    ("window", "size"), [((3, 2), (13, 10)), ((2, 2), (9, 8)), ((3, 1), (3, 5))]
)
def test_one_pass_is_relu_norm_and_pooling(
    norm: dict[str, float] | None,
    window: tuple[int, int],
    size: tuple[int, int],
    dtype: torch.dtype,
    kernels: KernelLibrary,
) -> None:
    x = (randn(3, 12, *size) * 40).to(dtype).contiguous(memory_format=torch.channels_last)
    x[1, 5, 1, 2] = float("nan")
    x[2, 3] = -x[2, 3].abs()
    x[2, 3, ::2] = -0.0
    module = None if norm is None else ResponseNorm(**norm)  # type: ignore[arg-type]
    pool = nn.MaxPool2d(*window)
    found = FusedReluNormPool(module, pool, kernels)(x)
    y = x.float().relu()
    if module:
        layer = module.layer
        y = response_norm(y, layer.size, layer.alpha, layer.beta, layer.k, layer.groups)
    expected = F.max_pool2d(y, *window)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    tolerance = 1e-6 if dtype == torch.float32 else 2**-8
    torch.testing.assert_close(found.float(), expected, rtol=tolerance, atol=1e-6, equal_nan=True)
    assert found.isnan().any()
    assert not found[0].isnan().any()
    assert not found[2].signbit().any()


@pytest.mark.parametrize("channels", [1, 2, 31, 32, 33, 96])
def test_bf16_of_any_number_of_channels_and_of_values_that_are_not_finite(
    channels: int, kernels: KernelLibrary
) -> None:
    x = (randn(3, channels, 6, 7) * 300).bfloat16().contiguous(memory_format=torch.channels_last)
    x[1, channels // 2, 1, 2] = float("inf")
    x[1, 0, 4, 4] = -float("inf")
    x[2, channels - 1, 2, 2] = -torch.tensor(float("nan"))
    found = FusedReluNormPool(ResponseNorm(), nn.MaxPool2d(3, 2), kernels)(x)
    expected = F.max_pool2d(response_norm(x.float().relu(), 5, 1e-4, 0.75, 2.0), 3, 2)
    torch.testing.assert_close(found.float(), expected, rtol=2**-8, atol=1e-6, equal_nan=True)
    assert [bool(image.isnan().any()) for image in found] == [False, True, True]


def pooled(kernels: KernelLibrary, **norm: float) -> Tensor:
    module = ResponseNorm(**norm)  # type: ignore[arg-type]
    x = randn(1, 4, 2, 2).contiguous(memory_format=torch.channels_last)
    return FusedReluNormPool(module, nn.MaxPool2d(2, 2), kernels)(x)  # type: ignore[no-any-return]


def test_windows_far_wider_than_the_channels_need_no_stack(kernels: KernelLibrary) -> None:
    assert torch.equal(pooled(kernels, size=1 << 22), pooled(kernels, size=7))
    assert not torch.equal(pooled(kernels, size=3), pooled(kernels, size=7))


def test_whole_constants_are_passed_as_floats(kernels: KernelLibrary) -> None:
    whole, floats = {"alpha": 1, "beta": 1, "k": 2}, {"alpha": 1.0, "beta": 1.0, "k": 2.0}
    assert torch.equal(pooled(kernels, **whole), pooled(kernels, **floats))


def test_windows_larger_than_the_activations_are_rejected(kernels: KernelLibrary) -> None:
    layer = FusedReluNormPool(None, nn.MaxPool2d(3, 2), kernels)
    with pytest.raises(ValueError, match="feature maps of 2 x 4, smaller than the window, 3"):
        layer(randn(1, 4, 2, 4))


def test_channels_that_cannot_be_split_into_groups_are_refused(kernels: KernelLibrary) -> None:
    layer = FusedReluNormPool(ResponseNorm(groups=2), nn.MaxPool2d(3, 2), kernels)
    with pytest.raises(ValueError, match="5 channels cannot be split into 2 groups"):
        layer(randn(1, 5, 6, 6))
