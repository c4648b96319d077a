"""Batches on the device are the store's, preloaded or streamed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from alexnet.config.recipe import Recipe
from alexnet.data.batches import Batches
from alexnet.reporter import NullReporter
from alexnet.training.device_loader import preload, stream, to_device
from alexnet.training.setup import set_up_training
from alexnet.training.step import train_step

CPU = torch.device("cpu")


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


def test_a_cpu_preloads_nothing(batches: Batches) -> None:
    assert to_device(batches, CPU).images is None


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
