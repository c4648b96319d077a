"""What a GPU computes is what the CPU computes: augmentation, updates, and runs on both."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from alexnet.config.augmentation import Augmentation
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.config.serialization import field_types
from alexnet.models.network import create_model
from alexnet.reporter import NullReporter
from alexnet.runtime.device import exact_float32
from alexnet.training import loop
from alexnet.training.late_check import build_late_check, step_figures
from alexnet.training.optimizers import build_optimizer
from alexnet.training.setup import set_up_training
from alexnet.training.step import set_up_update, train_step, update
from alexnet.transforms.applied import Applied
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.mixing import choose_mixing
from support.runs import Witness, cut_off, resume, train

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]  # of torch, about TF32
GPU = "cuda"
AUGMENTATIONS = {
    "crops, flips and colors": Augmentation(crop="random", flip=True, color_std=0.1),
    "resized crops": Augmentation(crop="random", min_scale=0.3, max_aspect_ratio=1.33, flip=True),
    "rotation": Augmentation(crop="random", rotation=15.0, vertical_flip=True),
    "noise, contrast and erasing": Augmentation(
        crop="center", noise_std=5.0, contrast_std=0.2, random_erasing=0.5
    ),
}
OPTIMIZERS = get_args(field_types(OptimizerOptions)["optimizer"])


def on_gpu(applied: Applied) -> Applied:
    values = {field.name: getattr(applied, field.name) for field in fields(applied)}
    moved: dict[str, Any] = {
        name: value.to(GPU) if isinstance(value, Tensor) else value
        for name, value in values.items()
    }
    return Applied(**moved)


@pytest.mark.parametrize("options", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_augmented_images_are_those_of_the_cpu(options: Augmentation) -> None:
    """After the same choices, to 1e-4 of the normalized values' standard deviation.

    As between the C kernel and torch on a CPU: where a pixel is sampled is rounded otherwise.
    """
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (16, 80, 80, 3), dtype=torch.uint8, generator=generator)
    preprocessing = Preprocessing(
        resize_size=80, crop_size=64, mean=(120.0, 110.0, 100.0), std=(60.0, 60.0, 60.0)
    )
    cpu, gpu = (
        Augmenter(
            options=options,
            preprocessing=preprocessing,
            color_principal_axes=(30 * torch.eye(3)).to(device),
        )
        for device in ("cpu", GPU)
    )
    applied = cpu.choose(16, 80, generator)
    expected, found = cpu.run(pixels, applied), gpu.run(pixels.to(GPU), on_gpu(applied))
    assert found.device.type == torch.device(GPU).type
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "options", [replace(options, random_erasing=0.0) for options in AUGMENTATIONS.values()]
)
def test_augmentation_does_not_wait_for_the_gpu(options: Augmentation) -> None:
    """From the second batch on, when constants have been copied there."""
    pixels = torch.zeros(4, 80, 80, 3, dtype=torch.uint8, device=GPU)
    augmenter = Augmenter(
        options=options,
        preprocessing=Preprocessing(resize_size=80, crop_size=64),
        color_principal_axes=torch.eye(3, device=GPU),
    )

    def augment(seed: int) -> None:
        generator = torch.Generator(GPU).manual_seed(seed)
        augmenter.run(pixels, augmenter.choose(4, 80, generator))
        assert choose_mixing(4, 64, 64, options, generator) is None

    augment(0)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        augment(1)
    finally:
        torch.cuda.set_sync_debug_mode(before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_those_of_the_cpu(name: str) -> None:
    """Five of them, of the same gradients."""
    options = OptimizerOptions(
        optimizer=name,  # type: ignore[arg-type]
        lr=0.01,
        weight_decay=0.01,
        bias_lr_multiplier=2.0,
    )
    weights = []
    for device in ("cpu", GPU):
        torch.manual_seed(0)
        network = create_model("lenet5", num_classes=5).to(device)
        optimizer = build_optimizer(network, options)
        generator = torch.Generator().manual_seed(1)
        for _ in range(5):
            for parameter in network.parameters():
                gradient = torch.randn(parameter.shape, generator=generator)
                parameter.grad = torch.empty_like(parameter).copy_(gradient)  # channels last, too
            optimizer.step()
        weights.append([p.detach().cpu() for p in network.parameters()])
    for expected, found in zip(*weights, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["alexnet", "alexnet_bn"])
def test_ten_steps_in_fp16_have_the_losses_of_float32_on_the_cpu(name: str) -> None:
    losses = {}
    for device, precision in (("cpu", "float32"), (GPU, "fp16")):
        torch.manual_seed(0)
        network = create_model(name, width=0.25, dropout=0.0, num_classes=10).to(device)
        images = torch.randn(16, *network.architecture.input).to(device)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.arange(16, device=device) % 10
        recipe = Recipe(
            precision=precision,  # type: ignore[arg-type]
            optimizer=OptimizerOptions(optimizer="paper", lr=1e-3),
        )
        setup = set_up_update(network, recipe)
        losses[device] = [update(setup, images, labels)[0].item() for _ in range(10)]
    assert losses[GPU] == pytest.approx(losses["cpu"], rel=0.02)


def test_exact_float32_is_not_tf32() -> None:
    """Whose mantissa of 10 bits gives errors of about 3e-4."""
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(64, 64, 3, device=GPU)
    x = torch.randn(8, 64, 32, 32, device=GPU)
    with torch.no_grad(), exact_float32(torch.device(GPU)):
        found, matmul = conv(x), x[0] @ x[1]
    with torch.no_grad():
        expected = conv.double()(x.double())
    assert (found - expected).norm() / expected.norm() < 1e-5
    torch.testing.assert_close(matmul.double(), x[0].double() @ x[1].double(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["paper", "sgd", "adam", "adamw"])
def test_a_step_does_not_wait_for_the_gpu(name: Any, tiny: Recipe) -> None:
    """From the third step on, when constants and the optimizer's memory are there."""
    recipe = replace(tiny, device=GPU, optimizer=OptimizerOptions(optimizer=name, lr=1e-3))
    setup = set_up_training(recipe, NullReporter())
    late = build_late_check(setup)
    assert late
    pixels, labels = next(setup.loader.epoch(0))
    before = torch.cuda.get_sync_debug_mode()
    try:
        for step in range(4):
            torch.cuda.set_sync_debug_mode("error" if step > 1 else before)
            outputs = train_step(setup, pixels, labels, step, 1e-3, late)
            figures = step_figures(setup, step, 1e-3, labels, *outputs, late)
    finally:
        torch.cuda.set_sync_debug_mode(before)
    assert figures.read()[0] == outputs[0].item()


def test_a_run_that_is_read_late_reports_what_one_does_that_waits(
    tiny: Recipe, tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(tiny, device=GPU, epochs=1)
    train(recipe, out=tmp_path / "late", reporter=witness)
    monkeypatch.setattr(loop, "build_late_check", lambda setup: None)
    waiting = Witness()
    train(recipe, out=tmp_path / "waiting", reporter=waiting)
    assert [report.step for report in witness.steps] == [report.step for report in waiting.steps]
    losses = [[report.step_loss for report in told.steps] for told in (witness, waiting)]
    torch.testing.assert_close(*map(torch.tensor, losses), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("begins_on_gpu", [True, False])
def test_a_run_goes_on_where_there_is_no_gpu_and_where_there_is_one(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins_on_gpu: bool
) -> None:
    """It ends close to the run that was on the CPU throughout, without TF32.

    Nothing is drawn on the device, whose random numbers are others.
    """
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    recipe = replace(
        tiny,
        save_every_minutes=0.0,
        device="cpu",
        model=replace(tiny.model, dropout=0.0),
        augment=Augmentation(crop="center", flip=False, color_std=0.0),
        optimizer=OptimizerOptions(optimizer="paper", lr=0.01),
    )
    whole = train(recipe, out=tmp_path / "whole").folder
    is_available = torch.cuda.is_available
    recipe = replace(recipe, device="auto")
    monkeypatch.setattr(torch.cuda, "is_available", is_available if begins_on_gpu else none)
    cut_off(recipe, tmp_path / "run", 6)
    monkeypatch.setattr(torch.cuda, "is_available", none if begins_on_gpu else is_available)
    run = resume(tmp_path / "run")
    expected, found = load_file(whole.model), load_file(run.folder.model)
    assert found.keys() == expected.keys()
    for weight, other in zip(found.values(), expected.values(), strict=True):
        difference = (weight.float() - other.float()).norm() / other.float().norm().clamp(min=1e-3)
        assert difference < 0.05


def none() -> bool:
    return False
