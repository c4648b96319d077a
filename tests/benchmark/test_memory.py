"""Memory that a network takes, and what it takes at least."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.benchmark import memory
from alexnet.benchmark.memory import Memory, inference_bytes, peak_of, training_bytes
from alexnet.benchmark.throughput import measure_memory
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, Conv, Flatten, FullyConnected, Pool
from alexnet.models.zoo import architecture

CPU = torch.device("cpu")
TINY = Architecture(
    name="tiny",
    source="this test",
    input=(1, 5, 5),
    layers=(
        Conv("conv", channels=2, kernel=2),  # 2 x 4 x 4, 10 parameters
        Activation("relu", "relu"),
        Pool("pool", size=2, stride=2),  # 2 x 2 x 2
        Flatten("flatten"),
        FullyConnected("fc", features=3),  # 27 parameters
    ),
)


def test_minimum_by_hand() -> None:
    an_image = 4 * 25 + 8 + 2 * (32 + 8 + 3 + 32)
    assert training_bytes(TINY, 10, type_bytes=2) == 12 * 37 + 10 * an_image
    assert inference_bytes(TINY, 10, type_bytes=1) == 37 + 10 * (4 * 25 + 32 + 32)


def test_the_papers_network_needs_its_weights_three_times() -> None:
    arch = architecture("alexnet")
    assert training_bytes(arch, 0, 2) == 12 * 60_965_224
    assert inference_bytes(arch, 0, 1) == 60_965_224


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the system does not say")


@pytest.mark.slow
@needs_linux
def test_the_peak_counts_what_is_prepared_and_what_is_computed() -> None:
    def prepare() -> Callable[[], object]:
        np.ones(200 << 17)  # 200 MB, freed before it runs
        kept = np.ones(40 << 17)

        def run() -> np.ndarray:
            other = np.ones(80 << 17)
            return other + kept[0]

        return run

    found = peak_of(prepare, CPU)
    assert found is not None
    assert found / 2**20 == pytest.approx(200, abs=30)


def test_where_the_system_does_not_say_it_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    assert peak_of(lambda: lambda: None, CPU) is None
    assert Memory(peak_bytes=None, minimum_bytes=1).ratio is None
    assert Memory(peak_bytes=3, minimum_bytes=2).ratio == 1.5


@pytest.mark.slow
@needs_linux
def test_training_takes_more_than_the_minimum_and_the_weights_of_inference() -> None:
    arch = architecture("alexnet_bn")
    train, infer = (measure_memory(mode, arch, 8, CPU) for mode in ("train", "infer"))  # type: ignore[arg-type]
    for found in (train, infer):
        assert found.ratio is not None
        assert 1 < found.ratio < 8
    assert (train.peak_bytes or 0) > (infer.peak_bytes or 0)
