"""What the runs of an experiment cost on this machine, from training speeds that are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from alexnet.config.recipe import Recipe
from alexnet.experiments.plan import (
    DATASET_SIZES,
    Plan,
    TrainingSpec,
    images_per_class,
    split_sizes,
)

SpeedOf: TypeAlias = Callable[[Recipe], float | None]
"""Training images per second of a recipe's network; None where it is not measured."""

OVERHEAD_SECONDS = 2.0
"""Seconds per run to set up, plot and save."""


def estimate_minutes(plan: Plan, speed_of: SpeedOf, jobs: int = 1) -> float | None:
    """An estimate of a plan's time; None where a speed or a number of images is not known.

    Runs are counted with all their epochs; those that end at a training error may take fewer.

    Training on an image costs three times as much as evaluating it.

    Args:
        plan: what is run: its tuning runs, its measured runs, and their evaluations.
        speed_of: the training speed of one run, while `jobs` of them run at once.
        jobs: runs at once.
    """
    seconds = 0.0
    for spec, recipe, count in runs_of(plan):
        speed = speed_of(recipe) if recipe.data in DATASET_SIZES else None
        if speed is None:
            return None
        seconds += count * (OVERHEAD_SECONDS + num_image_passes(plan, spec, recipe) / speed)
    return seconds / 60 / jobs


def runs_of(plan: Plan) -> Iterator[tuple[TrainingSpec, Recipe, int]]:
    """Every kind of run of a plan: the training, a recipe, and how many runs there are of it."""
    lr = plan.protocol.lr_grid[0]
    for spec in plan.trainings:
        yield spec, plan.recipe(spec.arm, lr, 0), len(plan.seeds_of_training(spec))
        if spec.arm in plan.tuned_arms:
            yield spec, plan.tuning_recipe(spec.arm, lr, 0), plan.num_tuning_runs(spec.arm)


def num_image_passes(plan: Plan, spec: TrainingSpec, recipe: Recipe) -> float:
    """Images that one run trains on, summed over the epochs, plus a third of those it evaluates."""
    num_train, num_test = images_per_class(recipe)
    num_classes, (train, num_all) = DATASET_SIZES[recipe.data][0], split_sizes(recipe)
    num_val = train * recipe.data_options.val_fraction or num_test
    is_tuning = recipe.data_options.val_fraction > 0  # its outcome is not measured
    num_measured = num_test if is_tuning else num_all
    num_crops = sum({arm.crops for arm in spec.serves})
    is_on_train = plan.experiment.measure == "train_error"
    last = num_train if is_on_train else num_measured * num_crops
    return num_classes * (recipe.epochs * (num_train + num_val / 3) + last / 3)
