"""Cut-and-mix, and crops that are resized to the input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Augmentation, Recipe
from alexnet.errors import ConfigError
from alexnet.training.state import RunningMetrics, added
from alexnet.training.trainer import train
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.crops import center_crop, resized, ten_crop
from alexnet.transforms.mixing import cutmix


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(batch: int = 6, side: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Views whose every value is the number of the picture, which is its class too."""
    labels = torch.arange(batch)
    return labels[:, None, None, None].float().expand(batch, 3, side, side).clone(), labels


@given(st.integers(0, 10_000))
def test_targets_are_the_shares_of_the_area(seed: int) -> None:
    views, labels = numbered()
    mixed, targets, is_mixed = cutmix(views, labels, 6, 1.0, generator(seed))
    assert is_mixed
    for picture, target in zip(mixed, targets, strict=True):
        counts = torch.bincount(picture[0].flatten().long(), minlength=6).float()
        assert torch.allclose(target, counts / counts.sum(), atol=1e-6)
    assert torch.allclose(targets.sum(1), torch.ones(6))


def test_the_patch_is_one_rectangle_at_one_place() -> None:
    views, labels = numbered()
    mixed, _, _ = cutmix(views, labels, 6, 1.0, generator(3))
    changed = (mixed != views).any(1).any(0)
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    assert 0 < len(rows) < 20
    assert changed.sum() == len(rows) * len(columns)
    assert rows[-1] - rows[0] + 1 == len(rows)


def test_share_zero_changes_nothing_and_half_mixes_half() -> None:
    views, labels = numbered()
    same, targets, is_mixed = cutmix(views, labels, 6, 0.0, generator(1))
    assert torch.equal(same, views)
    assert not is_mixed
    assert torch.equal(targets, F.one_hot(labels, 6).float())
    mixed = [
        not torch.equal(cutmix(views, labels, 6, 0.5, generator(s))[0], views) for s in range(200)
    ]
    assert 60 < sum(mixed) < 140


def test_views_are_not_changed_in_place() -> None:
    views, labels = numbered()
    before = views.clone()
    cutmix(views, labels, 6, 1.0, generator(3))
    assert torch.equal(views, before)


def test_it_is_a_function_of_the_generator() -> None:
    views, labels = numbered()
    one, two, other = (cutmix(views, labels, 6, 1.0, generator(s))[0] for s in (5, 5, 6))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="--cutmix"):
        Augmentation(cutmix=share)


RULE = Preprocessing(resize_size=40, crop_size=32, input_size=16)


def test_crops_are_resized_to_the_input() -> None:
    pixels = torch.randint(256, (3, 40, 40, 3), dtype=torch.uint8)
    assert RULE.side == 16
    assert center_crop(pixels, RULE).shape == (3, 3, 16, 16)
    assert {view.shape for view in ten_crop(pixels, RULE)} == {(3, 3, 16, 16)}
    augmenter = Augmenter(
        options=Augmentation(flip=False, color_std=0),
        preprocessing=RULE,
        color_principal_axes=torch.eye(3),
    )
    assert augmenter(pixels, generator(0)).shape == (3, 3, 16, 16)


def test_shrinking_by_two_averages() -> None:
    """A smoothed reduction keeps the mean; a fine chequerboard becomes flat grey inside."""
    board = ((torch.arange(32)[:, None] + torch.arange(32)) % 2 * 200.0).expand(1, 3, 32, 32)
    small = resized(board.contiguous(), 16)
    assert torch.allclose(small[..., 2:-2, 2:-2], torch.full((1, 3, 12, 12), 100.0), atol=1e-3)
    assert resized(board, 32) is board


def test_mixed_steps_are_left_out_of_the_training_figures() -> None:
    logits, labels = torch.eye(4) * 5, torch.tensor([0, 1, 2, 0])  # the last one is wrong
    sums = added(RunningMetrics(), torch.tensor(0.5), logits, labels, False)
    sums = added(sums, torch.tensor(9.0), logits.flip(0), labels, True)
    assert (sums.images, sums.mixed_images) == (4, 4)
    assert (sums.mean_loss, sums.top1_error) == (0.5, 0.25)
    all_mixed = added(RunningMetrics(), torch.tensor(9.0), logits, labels, True)
    assert (all_mixed.mean_loss, all_mixed.top1_error) == (9.0, 1.0)


def test_a_run_that_mixes_every_step_is_recorded(tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, augment=replace(tiny.augment, cutmix=1.0), epochs=1)
    (record,) = train(recipe, out=tmp_path / "run").history
    assert record.train_top1_error == 1.0
    assert 1.0 < record.train_loss < 4.0
