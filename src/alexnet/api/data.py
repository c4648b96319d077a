"""The splits of a data set, ready for torch."""

from __future__ import annotations

from typing import Any

from alexnet.api.python_words import in_python
from alexnet.api.recipes import Start, changed_recipe, read_call, show_options, with_hub_model
from alexnet.api.reporting import Reporting, reporting
from alexnet.config.recipe import Recipe
from alexnet.data.image_dataset import ImageDataset
from alexnet.keywords import check_positions
from alexnet.training.data import prepare_data


@show_options(Recipe)
@in_python
@check_positions
def load_splits(
    recipe: Start = "", *, reporter: Reporting = "auto", **options: Any
) -> dict[str, ImageDataset]:
    """The splits that `alexnet.train` would use, by name: "train", and "val" and "test" if any.

    Args:
        recipe: as for `alexnet.train`: data, the name of a preset, or a `Recipe`.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.
        options: as for `alexnet.train`: `resize_size=160`, `val_fraction=0.1`, `seed=1`.

    Raises:
        UsageError: an unknown word, with the nearest one; or a value of the wrong type.
        DataError: the data cannot be used for training.
    """
    call = read_call(recipe, "", options)

    def changed() -> Recipe:
        return changed_recipe(call.recipe(), options, ("recipe", "reporter"))

    with reporting(reporter) as told:
        chosen = with_hub_model(changed(), changed, told)
        store, splits = prepare_data(chosen, told)
    return {name: ImageDataset(store, splits.by_name[name]) for name in splits.counts}
