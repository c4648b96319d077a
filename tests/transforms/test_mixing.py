"""CutMix and mixup, and what a mixed batch counts for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from alexnet.config.augmentation import Augmentation
from alexnet.config.recipe import Recipe
from alexnet.errors import ConfigError
from alexnet.training.step_figures import RunningMetrics
from alexnet.transforms.mixing import cutmix, mix, mixup
from support.runs import train
from support.steps import with_step


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(batch: int = 6, side: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose values are their index in the batch, which is also their class."""
    labels = torch.arange(batch)
    return labels[:, None, None, None].float().expand(batch, 3, side, side).clone(), labels


@given(st.integers(0, 10_000))
def test_targets_are_fractions_of_the_area(seed: int) -> None:
    images, labels = numbered()
    mixed, targets, is_mixed = cutmix(images, labels, 6, 1.0, generator(seed))
    assert is_mixed
    for image, target in zip(mixed, targets, strict=True):
        counts = torch.bincount(image[0].flatten().long(), minlength=6).float()
        assert torch.allclose(target, counts / counts.sum(), atol=1e-6)
    assert torch.allclose(targets.sum(1), torch.ones(6))


def test_the_patch_is_one_rectangle() -> None:
    images, labels = numbered()
    mixed, _, _ = cutmix(images, labels, 6, 1.0, generator(3))
    changed = (mixed != images).any(1).any(0)
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    assert 0 < len(rows) < 20
    assert changed.sum() == len(rows) * len(columns)
    assert rows[-1] - rows[0] + 1 == len(rows)


def test_p_0_changes_nothing_and_p_one_half_mixes_half() -> None:
    images, labels = numbered()
    same, targets, is_mixed = cutmix(images, labels, 6, 0.0, generator(1))
    assert torch.equal(same, images)
    assert not is_mixed
    assert torch.equal(targets, F.one_hot(labels, 6).float())
    mixed = [
        not torch.equal(cutmix(images, labels, 6, 0.5, generator(s))[0], images) for s in range(200)
    ]
    assert 60 < sum(mixed) < 140


def test_images_are_not_changed_in_place() -> None:
    images, labels = numbered()
    before = images.clone()
    cutmix(images, labels, 6, 1.0, generator(3))
    assert torch.equal(images, before)


def test_it_is_a_function_of_the_generator() -> None:
    images, labels = numbered()
    one, two, other = (cutmix(images, labels, 6, 1.0, generator(s))[0] for s in (5, 5, 6))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_mixup_is_a_weighted_mean_of_images_and_of_labels() -> None:
    """The value of a pixel is its image's index, which is also its class."""
    images, labels = numbered()
    before, partners = images.clone(), set()
    for seed in range(20):
        mixed, targets, is_mixed = mixup(images, labels, 6, 0.4, generator(seed))
        assert is_mixed
        assert torch.equal(images, before)
        assert torch.allclose(targets.sum(1), torch.ones(6))
        means = targets @ labels.float()
        assert torch.allclose(mixed, means[:, None, None, None].expand_as(mixed), atol=1e-5)
        own = targets[labels, labels][targets.count_nonzero(1) == 2]
        assert own.numel() == 0 or torch.allclose(own, own[0]), "one weight for the batch"
        partners |= {tuple(row.nonzero().flatten().tolist()) for row in targets}
    assert len(partners) > 15


@pytest.mark.parametrize("alpha", [0.2, 8.0])
def test_the_weight_has_the_beta_distribution(alpha: float) -> None:
    """Its mean is 1/2 and its variance 1 / (4 (2 alpha + 1))."""
    images, labels = torch.zeros(50, 1, 1, 1), torch.arange(50)
    weights = torch.stack(
        [mixup(images, labels, 50, alpha, generator(seed))[1].diag().min() for seed in range(800)]
    )
    assert float(weights.mean()) == pytest.approx(0.5, abs=0.05)
    expected = 1 / (4 * (2 * alpha + 1))
    assert float((weights - 0.5).square().mean()) == pytest.approx(expected, rel=0.15)


def test_alpha_0_changes_and_draws_nothing() -> None:
    images, labels = numbered()
    source = generator(1)
    same, targets, is_mixed = mixup(images, labels, 6, 0.0, source)
    assert same is images
    assert not is_mixed
    assert torch.equal(targets, F.one_hot(labels, 6).float())
    assert torch.equal(source.get_state(), generator(1).get_state())


def test_a_batch_is_mixed_in_one_of_the_two_ways() -> None:
    images, labels = numbered()
    num_cutmix = 0
    for seed in range(100):
        options = Augmentation(cutmix=0.5, mixup=0.2)
        mixed, targets, is_mixed = mix(images, labels, 6, options, generator(seed))
        assert is_mixed
        assert torch.allclose(targets.sum(1), torch.ones(6))
        is_cutmix = bool((mixed == mixed.round()).all()) and mixed.flatten(2).std(2).max() > 0
        num_cutmix += is_cutmix
        expected = (cutmix if is_cutmix else mixup)(
            images, labels, 6, 1.0 if is_cutmix else 0.2, generator(seed)
        )
        assert not is_cutmix or torch.equal(mixed, expected[0])
    assert 30 < num_cutmix < 70
    assert mix(images, labels, 6, Augmentation(), generator(0))[2] is False


@pytest.mark.parametrize(
    ("option", "value"), [("mixup", -0.1), ("mixup", 101.0), ("cutmix", -0.1), ("cutmix", 1.1)]
)
def test_an_option_out_of_range_is_rejected(option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"--{option}"):
        Augmentation(**{option: value})  # type: ignore[arg-type]


def test_mixed_steps_do_not_count_in_the_training_metrics() -> None:
    logits, labels = torch.eye(4) * 5, torch.tensor([0, 1, 2, 0])  # the last one is wrong
    sums = with_step(RunningMetrics(), torch.tensor(0.5), logits, labels, None)
    targets = F.one_hot(labels, 4).float()
    sums = with_step(sums, torch.tensor(9.0), logits.flip(0), labels, targets)
    assert (sums.images, sums.mixed_images) == (4, 4)
    assert (sums.mean_loss, sums.top1_error) == (0.5, 0.25)
    all_mixed = with_step(RunningMetrics(), torch.tensor(9.0), logits, labels, targets)
    assert (all_mixed.mean_loss, all_mixed.top1_error) == (9.0, 0.25)


def test_a_run_that_mixes_every_step_is_recorded(small: Recipe, tmp_path: Path) -> None:
    recipe = replace(small, augment=replace(small.augment, cutmix=1.0), epochs=1)
    (record,) = train(recipe, out=tmp_path / "run").history
    assert 0.7 < record.train_top1_error < 1.0  # 12 classes after 4 steps
    assert 1.0 < record.train_loss < 4.0
