"""The splits of a data set, ready for torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alexnet.api.python_words import in_python
from alexnet.api.recipes import Start, changed_recipe, read_call, show_options, with_hub_model
from alexnet.api.reporting import Reporting, reporting
from alexnet.config.options import option_types
from alexnet.config.recipe import DataOptions, Recipe
from alexnet.config.serialization import field_types
from alexnet.data.image_dataset import ImageDataset
from alexnet.errors import UsageError
from alexnet.keywords import check_positions
from alexnet.training.data import prepare_data

WORK_OF_AUGMENTERS = ("crop_size", "padding", "mean", "scale")
"""The data options that say what a training does to an image after it was read from the store."""
OTHERS = ("recipe", "transform", "channels_first", "reporter")
OPTIONS = (
    "data", "data_root", "arch", "init_from", "seed",
    *(name for name in option_types(DataOptions) if name not in WORK_OF_AUGMENTERS),
)  # fmt: skip
"""The options that decide which images are in a split and how they are stored. `arch` and
`init_from` are among them since each brings the size of its input."""


@show_options(Recipe, OPTIONS)
@in_python
@check_positions
def load_splits(
    recipe: Start = "",
    *,
    transform: Callable[[Any], Any] | None = None,
    channels_first: bool = False,
    reporter: Reporting = "auto",
    **options: Any,
) -> dict[str, ImageDataset]:
    """The splits that `alexnet.train` would use, by name: "train", and "val" and "test" if any.

    Args:
        recipe: as for `alexnet.train`: data, the name of a preset, or a `Recipe`.
        transform: applied to the images of every split, as by `ImageDataset`: a function of a
            Pillow image, such as torchvision's. For one split: `splits["train"].transform = ..`.
        channels_first: whether images are tensors [3, S, S] in place of [S, S, 3], also those that
            `transform` gets.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.
        options: those of `alexnet.train` that choose, store and split images: `resize_size=160`,
            `val_fraction=0.1`, `seed=1`.

    Raises:
        UsageError: an unknown word, with the nearest one; a value of the wrong type; or an option
            that only a training uses.
        DataError: the data cannot be used for training.
    """
    _check_options(options)
    call = read_call(recipe, "", options)

    def changed() -> Recipe:
        return changed_recipe(call.recipe(), options, OTHERS)

    with reporting(reporter) as reporter:
        chosen = with_hub_model(changed(), changed, reporter)
        store, splits = prepare_data(chosen, reporter)
    return {
        name: ImageDataset(store, splits.by_name[name], transform, channels_first=channels_first)
        for name in splits.counts
    }


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise UsageError for options of a training that have no effect on stored images."""
    known = {*field_types(Recipe), *option_types(Recipe)} - {"data_options", *OPTIONS}
    if unused := [name for name in options if name in known]:
        raise UsageError(
            f"{', '.join(unused)}: only a training uses this; images of load_splits are as they "
            "are stored, without augmentation and normalization, which are the work of transform= "
            "or of alexnet.training.build_augmenter; a DataLoader takes batch_size, and "
            "a loop of your own has the rest (docs/own-loop.md)"
        )
