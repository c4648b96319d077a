"""Batches on the device are the store's, preloaded or streamed."""

from __future__ import annotations

import multiprocessing
import sys
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import pytest
import torch

from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.data.batches import Batches
from alexnet.reporter import NullReporter, Reporter
from alexnet.training import device_loader
from alexnet.training.device_loader import (
    RESERVE_BYTES,
    DeviceLoader,
    free_bytes,
    preload,
    stream,
    to_device,
)
from alexnet.training.memory import bytes_beside_weights, evaluation_bytes
from alexnet.training.setup import set_up_training
from alexnet.training.step import train_step
from support.runs import Witness

pytestmark = pytest.mark.usefixtures("prepared_flowers")

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def batches(tiny: Recipe) -> Batches:
    return set_up_training(tiny, NullReporter()).batches


@pytest.mark.parametrize("first_step", [0, 2])
def test_preloaded_images_come_in_the_same_order(batches: Batches, first_step: int) -> None:
    for epoch in (0, 3):
        plain = list(batches.epoch(epoch, first_step))
        for source in (stream(batches, CPU), preload(batches, CPU, chunk=5)):
            found = list(source.epoch(epoch, first_step))
            assert len(found) == len(plain) == batches.steps_per_epoch - first_step
            for (pixels, labels), (images, truth) in zip(plain, found, strict=True):
                assert torch.equal(torch.from_numpy(pixels), images)
                assert torch.equal(torch.from_numpy(labels), truth)


def test_a_cpu_preloads_nothing(batches: Batches, witness: Witness) -> None:
    assert to_device(batches, CPU, 0, witness).images is None


@dataclass
class Memory:
    """A GPU's memory, in bytes."""

    free: int
    """By the driver."""
    reserved: int = 0
    allocated: int = 0


@pytest.fixture
def memory(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """What a GPU without any memory says of it; images are "preloaded" on the CPU."""
    memory = Memory(0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (memory.free, 1 << 40))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: memory.reserved)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: memory.allocated)
    monkeypatch.setattr(device_loader, "preload", lambda batches, _: preload(batches, CPU))
    return memory


def test_images_are_preloaded_if_they_fit_beside_a_step(
    batches: Batches, memory: Memory, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, step = 36 * 72 * 72 * 3, 5_000_000

    def is_preloaded() -> bool:
        return to_device(batches, GPU, step, witness).images is not None

    memory.free = step + RESERVE_BYTES + images
    assert is_preloaded()
    memory.free -= 1
    assert not is_preloaded(), "the step would have too little"
    memory.reserved, memory.allocated = 10_000_001, 10_000_000
    assert is_preloaded(), "torch keeps a byte that it does not use"
    memory.free *= 2
    monkeypatch.setenv("ALEXNET_PRELOAD", "0")
    assert not is_preloaded()
    assert not witness.notes


def test_a_worker_leaves_half_of_the_memory_to_others(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.free = 1000
    assert free_bytes(GPU) == 1000
    monkeypatch.setattr(device_loader, "parent_process", multiprocessing.current_process)
    assert free_bytes(GPU) == 500


def test_images_that_do_not_fit_after_all_are_streamed(
    batches: Batches, memory: Memory, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.free = 1 << 40
    seen: list[object] = []

    def fail(batches: Batches, device: torch.device) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(device_loader, "preload", fail)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: seen.append(sys.exc_info()[0]))
    assert to_device(batches, GPU, 0, witness).images is None
    assert seen == [None], "the error, which refers to the images, is gone"
    (note,) = witness.notes
    assert "do not fit into the memory of cuda" in note


def test_a_setup_keeps_a_step_and_an_evaluation_free(
    tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and their average are on the device before the images."""
    needed = []

    def take(
        batches: Batches, device: torch.device, needed_bytes: int, _: Reporter
    ) -> DeviceLoader:
        needed.append(needed_bytes)
        return stream(batches, device)

    monkeypatch.setattr("alexnet.training.setup.to_device", take)
    recipe = replace(tiny, precision="float32", optimizer=OptimizerOptions(optimizer="sgd"))
    for changed in (recipe, replace(recipe, optimizer=OptimizerOptions(optimizer="sgd", ema=0.9))):
        setup = set_up_training(changed, NullReporter())
    arch = setup.network.architecture
    learning = sum(p.numel() for p in setup.network.parameters())
    evaluated = evaluation_bytes(arch)
    largest = max(prod(info.output) for info in arch.layer_infos())
    assert evaluated == 512 * 4 * (3 * largest + 3 * 67 * 67)
    assert needed == [2 * 4 * learning + evaluated] * 2, "a step of 8 images needs less"
    needs = [
        bytes_beside_weights(
            replace(recipe, batch_size=4096),
            setup.network,
            setup.network,
            replace(setup.batches, batch_size=4096, indices=np.zeros(4096, np.int64)),
            setup.world,
            CPU,
        )
    ]
    outputs = sum(prod(info.output) for info in arch.layer_infos())
    assert needs == [2 * 4 * learning + 4096 * 4 * (2 * outputs + 3 * 67 * 67)]


@pytest.mark.gpu
def test_a_gpu_preloads_the_images(tiny: Recipe) -> None:
    setup = set_up_training(replace(tiny, device="cuda", precision="auto"), NullReporter())
    assert setup.loader.images is not None
    pixels, labels = next(setup.loader.epoch(0))
    assert pixels.device.type == labels.device.type == "cuda"
    loss, _, _ = train_step(setup, pixels, labels, 0, 1e-3)
    assert torch.isfinite(loss)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
@pytest.mark.timeout(240)  # compiling takes 46 s of one core
def test_a_compiled_network_learns_the_same(tiny: Recipe) -> None:
    """Up to dropout, which a compiled network draws in another way."""
    tiny = replace(tiny, model=replace(tiny.model, dropout=0.0))
    plain, compiled = (
        set_up_training(replace(tiny, compile=is_compiled), NullReporter())
        for is_compiled in (False, True)
    )
    for step, (pixels, labels) in enumerate(plain.loader.epoch(0)):
        losses = [train_step(setup, pixels, labels, step, 1e-3)[0] for setup in (plain, compiled)]
        torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)
