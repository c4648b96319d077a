"""How the trials of a tuning train: the recipe with a validation split and without test images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from alexnet.config.recipe import DataOptions, Recipe
from alexnet.config.recipe_changes import recipe_changes
from alexnet.config.recipe_values import without_folders
from alexnet.config.serialization import from_dict, to_dict
from alexnet.data.splits import split_indices
from alexnet.errors import AlexNetError, DataError, UsageError, require
from alexnet.reporter import Reporter
from alexnet.training.data import plan_data, prepare_data
from alexnet.tune.space import Parameter, Space

VAL_FRACTION = 0.2
"""Fraction of the training images for validation if neither data nor recipe has a split for it."""
REDUCTION_FACTOR = 3
"""Hyperband's eta: about 1 in so many trials goes on to a rung with so many times the epochs."""
EPOCHS_PER_RUNG = 15
"""No trial is pruned before 1 / EPOCHS_PER_RUNG of its epochs."""
FORMAT = 1
"""Version of `Tuning.identity`, which a study stores."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """A recipe and a space to tune, and the images on which its trials are trained."""

    start: Recipe
    """The recipe whose options are tuned."""
    recipe: Recipe
    """The recipe of the trials, without test images; each trial changes options of the space."""
    space: Space
    data: str
    """A hash of the names, classes and splits of the images."""
    images: Mapping[str, int]
    """Number of images in each split of `final`."""
    notes: tuple[str, ...] = ()
    """Sentences for the user on the splits."""

    @property
    def final(self) -> Recipe:
        """The recipe of the trials, with the test images, for the trainings after the trials."""
        options = self.start.data_options
        options = replace(self.recipe.data_options, test_per_class=options.test_per_class)
        return replace(self.recipe, data_options=options, keep_state=self.start.keep_state)

    @property
    def max_epochs(self) -> int:
        """The maximum number of epochs of a trial."""
        epochs = [p.high or max(p.choices) for p in self.space if p.option == "epochs"]
        return int(max(epochs, default=self.recipe.epochs))

    @property
    def min_epochs(self) -> int:
        """The number of epochs before which no trial is pruned: the warmup and some more."""
        part = math.ceil(self.max_epochs / EPOCHS_PER_RUNG)
        warmup = math.ceil(self.recipe.schedule.warmup_epochs)
        return min(self.max_epochs, max(part, 1 + warmup))

    def identity(self) -> dict[str, Any]:
        """The values, as in JSON, that must be equal in all processes of a study."""
        recipe = to_dict(replace(without_folders(self.recipe), device="auto", data_root=""))
        space = {p.option: to_dict(p) for p in self.space}
        return {"format": FORMAT, "recipe": recipe, "space": space, "data": self.data}


def plan_tuning(start: Recipe, space: Space, reporter: Reporter, *, dry: bool = False) -> Tuning:
    """Plan the tuning of a recipe.

    If neither the data nor the recipe has a validation split, one is taken from the training
    images. Random splits get a fixed `split_seed`, so that they do not depend on the run's seed.

    Args:
        start: the recipe.
        space: the options that are varied.
        reporter: receives notes and the progress of building the store.
        dry: whether to plan without building the image store.

    Raises:
        DataError: the data cannot be used, or has too few images for a validation split.
        UsageError: the recipe cannot be tuned.
    """
    check_recipe(start)
    store, splits = plan_data(start, reporter)[:2] if dry else prepare_data(start, reporter)
    options, notes = start.data_options, list[str]()
    own = set(store.info.splits)
    if "val" not in own or ("test" not in own and options.test_fraction):
        seed = start.seed if options.split_seed is None else options.split_seed
        options = replace(options, split_seed=seed)
    if not len(splits.val):
        options = replace(options, val_fraction=VAL_FRACTION)
        splits = split_indices(store, options, start.seed)
        notes.append(_taken_text(len(splits.val), start.data))
    recipe = replace(start, data_options=_without_test(options), keep_state=False)
    return Tuning(
        start=start,
        recipe=recipe,
        space=space,
        data=store.manifest_hash(options.split),
        images=splits.counts,
        notes=tuple(notes),
    )


def _without_test(options: DataOptions) -> DataOptions:
    return replace(options, test_per_class=0)


def check_recipe(recipe: Recipe) -> None:
    """Check that a recipe has no options that trials cannot have.

    Raises:
        UsageError: it has one; the message names the flag and the one to use.
    """
    one = recipe.distributed.devices == 1
    require(one, "--devices is not for trials; --jobs trains several at once", UsageError)
    unlimited = recipe.stopping.max_minutes is None
    require(unlimited, "--max-minutes would cut trials short; use --minutes", UsageError)


def _taken_text(count: int, data: str) -> str:
    """A sentence on the validation images that are taken from the training images.

    Raises:
        DataError: the number of images is 0.
    """
    if not count:
        raise DataError(
            f"{data} has too few images for a validation split; add images, or give a larger part "
            "of them with --val-fraction"
        )
    part = f"{100 * VAL_FRACTION:.0f} % of the training images ({count:,})"
    return f"there is no validation split: {part} choose, and the others train"


def check_identity(found: Any, tuning: Tuning, place: str) -> None:
    """Check that a study belongs to a tuning.

    Args:
        found: the `Tuning.identity` that the study stores.
        tuning: the tuning.
        place: the address of the study, for messages.

    Raises:
        UsageError: the study belongs to another tuning; the message says what differs.
    """
    own = tuning.identity()
    if found == own:
        return
    way_out = "choose another --out, or give the same flags as before"
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UsageError(f"{place} is a study of another program or version; {way_out}")
    if what := _recipe_difference(found["recipe"], own["recipe"]):
        raise UsageError(f"{place} tunes another recipe ({what}); {way_out}")
    if found["space"] != own["space"]:
        options = sorted(_changed(found["space"], own["space"]))
        flags = ", ".join(Parameter(option=option).flag for option in options)
        raise UsageError(f"{place} tunes in another space ({flags}); {way_out}")
    raise UsageError(f"{place} tunes on other images than those of {tuning.start.data}; {way_out}")


def _changed(a: Mapping[str, Any], b: Mapping[str, Any]) -> set[str]:
    return {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)}


def _recipe_difference(found: Any, own: Any) -> str:
    """The first difference of two recipes, as text; "" if they are equal."""
    if found == own:
        return ""
    try:
        changes = recipe_changes((from_dict(Recipe, found), from_dict(Recipe, own)))
    except AlexNetError:
        return "of another version"
    if not changes:
        return "another name"
    before, now = changes[0].values
    return f"{changes[0].flag} was {before}, and is {now}"
