"""What a learning curve says, at the borders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from alexnet.config.options import flag_name, option_types
from alexnet.config.presets import preset
from alexnet.config.recipe import BalanceOptions, Recipe
from alexnet.models.variants import ModelOptions
from alexnet.models.zoo import architecture
from alexnet.records import EpochRecord
from alexnet.training.advice import (
    chance_advice,
    chance_class_counts,
    chance_error,
    is_at_chance,
    is_first_at_chance,
    overfitting_advice,
    overfitting_remedies,
    running_stats_advice,
)

EVEN = np.full(10, 100.0)
"""Chance is 0.9, its standard error 0.0095, so the limit 0.881."""


def history(*train_errors: float, val: float | None = None, step: int = 10) -> list[EpochRecord]:
    """Epochs with these training errors; `val` is that of the last."""
    return [
        EpochRecord(
            epoch=epoch, step=step * epoch, lr=0.1, train_loss=1.0, train_top1_error=error,
            train_top5_error=error, eval_split="val" if val is not None else None, eval_loss=None,
            eval_top1_error=val, eval_top5_error=None, layers=(),
        )
        for epoch, error in enumerate(train_errors, 1)
    ]  # fmt: skip


def test_chance_is_the_error_of_the_most_frequent_class() -> None:
    assert chance_error(EVEN) == pytest.approx(0.9)
    assert chance_error(np.array([90, 10])) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([0.9, 0.9], False),
        ([0.9, 0.9, 0.9], True),
        ([0.882, 0.9, 0.95], True),
        ([0.880, 0.9, 0.9], False),
        ([0.9, 0.9, 0.880], False),
        ([0.2, 0.9, 0.9, 0.9], True),
    ],
)
def test_three_epochs_on_end_within_two_standard_errors(
    errors: Sequence[float], expected: bool
) -> None:
    assert is_at_chance(history(*errors), EVEN) == expected


def test_a_model_that_answers_the_most_frequent_class_has_learnt_nothing() -> None:
    """It is far below the 50 % of a coin."""
    assert is_at_chance(history(0.1, 0.1, 0.1), np.array([900.0, 100.0]))
    assert not is_at_chance(history(0.1, 0.1, 0.08), np.array([900.0, 100.0]))


def test_mixed_steps_are_left_out_unless_they_are_all() -> None:
    errors = history(0.87, 0.87, 0.87)
    assert not is_at_chance(errors, EVEN)
    assert is_at_chance(errors, EVEN, mixed_fraction=0.8), "fewer images, wider limits"
    assert not is_at_chance(errors, EVEN, mixed_fraction=1.0), "the error of all steps"
    assert is_at_chance(history(0.9, 0.9, 0.9), EVEN, mixed_fraction=1.0)


def test_it_is_said_after_one_epoch_only() -> None:
    errors = [0.9] * 5
    firsts = [is_first_at_chance(history(*errors[:n]), EVEN) for n in range(6)]
    assert firsts == [False, False, False, True, False, False]
    later = [0.2, 0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.9]
    assert [n for n in range(9) if is_first_at_chance(history(*later[:n]), EVEN)] == [4]


def test_the_sentence_on_chance_names_both_errors_and_what_to_try() -> None:
    names = tuple("abcdefghij")
    told = chance_advice(history(0.9, 0.9, 0.91), names, EVEN, Recipe())
    assert "(91.0 %, and 90.0 % by always answering 'a')" in told
    assert "--lr 0.001, --lr 0.1" in told
    assert "--init he" in told
    he = Recipe(model=ModelOptions(init="he"))
    assert "--init he" not in chance_advice(history(0.9, 0.9, 0.91), names, EVEN, he)


def test_with_class_weights_chance_is_that_of_equal_classes() -> None:
    """Of 950 and 50 images, always answering the first class is wrong for 5 %."""
    good = history(0.10, 0.07, 0.05)
    weighted = Recipe(balance=BalanceOptions(class_weights="balanced"))
    sampled = Recipe(balance=BalanceOptions(balanced_sampling=True))
    for recipe, is_at in ((Recipe(), True), (weighted, False), (sampled, False)):
        counts = chance_class_counts(np.array([950, 50]), recipe)
        assert counts.sum() == 1000
        assert is_at_chance(good, counts) == is_at
    assert is_at_chance(history(0.48, 0.5, 0.95), counts)
    told = chance_advice(history(0.95), ("a", "b"), counts, weighted)
    assert "(95.0 %, and 50.0 % by guessing)" in told


@pytest.mark.parametrize(
    ("train", "val", "is_said"),
    [(0.02, 0.30, True), (0.021, 0.30, False), (0.0, 0.14, False), (0.0, 0.16, True)],
)
def test_training_error_near_zero_and_validation_error_far_above(
    train: float, val: float, is_said: bool
) -> None:
    """Of 200 images, 0.14 has an interval from 0.099, and 0.16 from 0.116."""
    told = overfitting_advice(history(0.5, train, val=val), 200, Recipe())
    assert bool(told) == is_said
    if is_said:
        assert "has memorized its training images; try more augmentation" in told


def test_without_another_split_nothing_is_known_of_overfitting() -> None:
    assert overfitting_advice(history(0.0), 0, Recipe()) == ""


def test_what_a_recipe_does_already_is_not_advised() -> None:
    assert overfitting_remedies(Recipe()) == [
        "more augmentation (--min-scale 0.3 --cutmix 0.5)",
        "pretrained weights (--arch alexnet_owt --from torchvision)",
        "more images",
    ]
    flowers = replace(preset("flowers17"), init_from="x.safetensors")
    assert overfitting_remedies(flowers) == [
        "more augmentation (--rand-augment 2 9 --random-erasing 0.25)",
        "more images",
    ]
    augment = replace(flowers.augment, cutmix=0.0, mixup=0.2, rand_augment=(2, 9))
    strong = replace(flowers, augment=replace(augment, random_erasing=0.25))
    assert overfitting_remedies(strong) == ["more images"]


def test_the_tutorials_epoch_is_too_short_for_its_batch_norm() -> None:
    """17 steps with 99 % kept in each: 0.99^17 = 84 %; 299 steps leave 5 %."""
    told = running_stats_advice(architecture("alexnet_notebook"), history(0.773, step=17))
    assert told.startswith("after 17 steps, 84 % of batch norm's running statistics are still")
    assert told.endswith("(--epochs 18)")
    twenty = history(*[0.5] * 20, step=17)
    assert running_stats_advice(architecture("alexnet_notebook"), twenty) == ""


@pytest.mark.parametrize(("steps", "is_said"), [(21, True), (22, False)])
def test_torchs_batch_norm_keeps_90_percent_a_step(steps: int, is_said: bool) -> None:
    """0.9^21 = 0.109, 0.9^22 = 0.098."""
    told = running_stats_advice(architecture("alexnet_bn"), history(0.5, step=steps))
    assert bool(told) == is_said


def test_a_net_without_batch_norm_has_no_running_statistics() -> None:
    assert running_stats_advice(architecture("alexnet"), history(0.5, step=1)) == ""


def test_every_flag_that_is_advised_exists() -> None:
    told = [
        chance_advice(history(0.9), ("a", "b"), np.ones(2), Recipe()),
        overfitting_advice(history(0.0, val=0.9), 200, Recipe()),
        running_stats_advice(architecture("alexnet_bn"), history(0.5, step=1)),
    ]
    flags = {flag for sentence in told for flag in re.findall(r"--([a-z-]+)", sentence)}
    assert len(flags) == 10
    assert flags <= {flag_name(name)[2:] for name in option_types(Recipe)}
