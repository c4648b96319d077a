"""What a short run makes ineffective, at the borders."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.config.augmentation import Augmentation
from alexnet.config.presets import PRESETS, preset
from alexnet.config.recipe import LRSchedule, OptimizerOptions, Recipe, StoppingOptions
from alexnet.training.schedule_advice import schedule_advice


def advice(recipe: Recipe) -> str:
    """All sentences of ten steps per epoch."""
    return "\n".join(schedule_advice(recipe, 10))


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (LRSchedule(warmup_epochs=2.9), ""),
        (LRSchedule(warmup_steps=29), ""),
        (LRSchedule(warmup_epochs=3), "never falls; a shorter warmup is --warmup-epochs 0.3"),
        (LRSchedule(warmup_steps=30), "30 steps is not shorter than the run of 30 steps"),
        (LRSchedule(warmup_steps=30), "--warmup-epochs 0.3 --warmup-steps 0"),
        (LRSchedule(warmup_epochs=6), "never falls, to 0.005 instead of 0.01; a shorter"),
    ],
)
def test_a_warmup_as_long_as_the_run(schedule: LRSchedule, text: str) -> None:
    recipe = Recipe(epochs=3, schedule=schedule, optimizer=OptimizerOptions(lr=0.01))
    assert text in advice(recipe)
    assert bool(text) == bool(advice(recipe))


def test_what_comes_after_the_last_epoch() -> None:
    recipe = Recipe(
        epochs=50,
        schedule=LRSchedule(schedule="step", milestones=(25, 50, 79)),
        augment=Augmentation(last_color_epoch=50),
        freeze_up_to="conv5",
        freeze_after_epoch=60,
        low_lr_after_epoch=49,
    )
    expected = (
        "the run ends after 50 epochs, so these have no effect: "
        "--milestones 50 79, --freeze-after-epoch 60, --last-color-epoch 50"
    )
    assert advice(recipe) == expected
    assert "--low-lr-after-epoch 49" in advice(replace(recipe, epochs=49))
    assert advice(replace(recipe, epochs=80)) == ""


def test_a_patience_that_cannot_end() -> None:
    recipe = Recipe(epochs=5, stopping=StoppingOptions(patience=3))
    assert advice(recipe) == ""
    recipe = replace(recipe, epochs=4, schedule=LRSchedule(schedule="plateau"))
    assert advice(recipe) == (
        "--patience 3 and --plateau-patience 5 cannot end in a run of 4 epochs, "
        "and so has no effect"
    )


def test_no_preset_has_what_has_no_effect() -> None:
    told = {name: schedule_advice(preset(name), 100) for name in PRESETS}
    assert told == {name: [] for name in PRESETS}
