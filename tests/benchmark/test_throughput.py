"""Images per second and what they are compared with, on a small net."""

from __future__ import annotations

import sys

import pytest
import torch

from alexnet.benchmark.throughput import (
    MATMUL_SIZE,
    Mode,
    benchmark_network,
    inference_flops,
    make_matmul,
    random_images,
    training_flops,
)
from alexnet.errors import UnknownNameError
from alexnet.models.zoo import architecture
from support.slow import first_fast

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MATMUL_SIZE, "cpu", 64)


@pytest.mark.slow
@pytest.mark.parametrize("mode", first_fast(["train", "infer"]))
def test_a_network(mode: Mode) -> None:
    found = benchmark_network(mode, "lenet5", 4, 2, CPU, "float32")
    assert (found.mode, found.arch, found.batch_size) == (mode, "lenet5", 4)
    assert found.precision == "float32"
    rate = found.images_per_second
    assert 0 < rate.low <= rate.median <= rate.high
    assert rate.n == 2
    arch = architecture("lenet5")
    flops = training_flops(arch) if mode == "train" else inference_flops(arch)
    expected = rate.median * flops / 1e9 / found.matmul_gflops.median
    assert found.matmul_utilization == pytest.approx(expected)
    assert (found.optimized_images_per_second is None) == (mode == "train")
    assert [layer.name for layer in found.layers] == [layer.name for layer in arch.layers]
    assert found.environment.device == "cpu"
    assert (found.optimized_memory is None) == (mode == "train")
    assert found.memory
    if sys.platform == "linux":
        assert found.memory.peak_bytes is not None


def test_an_unknown_architecture() -> None:
    with pytest.raises(UnknownNameError):
        benchmark_network("train", "no_such_net", 4, 1, CPU)


def test_operations_of_the_papers_network() -> None:
    """724,406,816 MACs, of which conv1 has 105,415,200: FACTS, section 1."""
    arch = architecture("alexnet")
    assert inference_flops(arch) == 2 * 724_406_816
    assert training_flops(arch) == 2 * (3 * 724_406_816 - 105_415_200)


def test_a_matmul_and_its_operations() -> None:
    matmul, flops = make_matmul(CPU, torch.bfloat16)
    product = matmul()
    assert isinstance(product, torch.Tensor)
    assert (product.shape, product.dtype) == ((64, 64), torch.bfloat16)
    assert flops == 2 * 64**3


def test_random_images_are_channels_last() -> None:
    images = random_images(architecture("alexnet"), 2, CPU)
    assert images.shape == (2, 3, 227, 227)
    assert images.is_contiguous(memory_format=torch.channels_last)
