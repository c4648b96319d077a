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
"""Of the training images, where the data has no validation split and the recipe takes none."""
REDUCTION_FACTOR = 3
"""Hyperband lets about one in so many trials go on, each time that the epochs are so many times."""
EPOCHS_PER_RUNG = 15
"""No trial is ended before a part of its epochs, one in so many."""
FORMAT = 1
"""Of what a study has about its tuning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """What is tuned, on which images."""

    start: Recipe
    """The recipe whose options are tuned."""
    recipe: Recipe
    """That of the trials, but for the values of the space: without test images."""
    space: Space
    data: str
    """A hash of the names, classes and splits of the images."""
    images: Mapping[str, int]
    """How many there are in each split of `final`."""
    notes: tuple[str, ...] = ()
    """Sentences on the splits."""

    @property
    def final(self) -> Recipe:
        """The recipe of the trials with the test images."""
        options = self.start.data_options
        options = replace(self.recipe.data_options, test_per_class=options.test_per_class)
        return replace(self.recipe, data_options=options, keep_state=self.start.keep_state)

    @property
    def max_epochs(self) -> int:
        """The epochs of the longest trial."""
        epochs = [p.high or max(p.choices) for p in self.space if p.option == "epochs"]
        return int(max(epochs, default=self.recipe.epochs))

    @property
    def min_epochs(self) -> int:
        """No trial is ended before so many epochs: those of the warmup, and some more."""
        part = math.ceil(self.max_epochs / EPOCHS_PER_RUNG)
        warmup = math.ceil(self.recipe.schedule.warmup_epochs)
        return min(self.max_epochs, max(part, 1 + warmup))

    def identity(self) -> dict[str, Any]:
        """What must be the same for all processes of a study, as JSON has it."""
        recipe = to_dict(replace(without_folders(self.recipe), device="auto", data_root=""))
        space = {p.option: to_dict(p) for p in self.space}
        return {"format": FORMAT, "recipe": recipe, "space": space, "data": self.data}


def plan_tuning(start: Recipe, space: Space, reporter: Reporter, *, dry: bool = False) -> Tuning:
    """The tuning of a recipe.

    Where the data has no validation split and the recipe takes none, one is taken from the training
    images. Random splits get a seed, so that those of other seeds are the same.

    Args:
        start: the recipe.
        space: what is varied.
        reporter: receives notes and the progress of building the store.
        dry: whether the image store is not built.

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
    """Reject options that have no meaning for trials.

    Raises:
        UsageError: names the flag and the one to use.
    """
    one = recipe.distributed.devices == 1
    require(one, "--devices is not for trials; --jobs trains several at once", UsageError)
    unlimited = recipe.stopping.max_minutes is None
    require(unlimited, "--max-minutes would cut trials short; use --minutes", UsageError)


def _taken_text(count: int, data: str) -> str:
    """That validation images are taken from the training images.

    Raises:
        DataError: there are none.
    """
    if not count:
        raise DataError(
            f"{data} has too few images for a validation split; add images, or give a larger part "
            "of them with --val-fraction"
        )
    part = f"{100 * VAL_FRACTION:.0f} % of the training images ({count:,})"
    return f"there is no validation split: {part} choose, and the others train"


def check_identity(found: Any, tuning: Tuning, place: str) -> None:
    """Check that a study is of this tuning.

    Args:
        found: what `Tuning.identity` gave when the study began.
        tuning: the one that is asked for.
        place: of the study, for messages.

    Raises:
        UsageError: it is of another one; the message says what differs.
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
    """The first option in which recipes differ; "" if none does."""
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
