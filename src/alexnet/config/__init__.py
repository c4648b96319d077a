"""The configuration of a run, as frozen dataclasses that convert to and from JSON.

- `recipe`: `Recipe` and the groups of options in it.
- `augmentation`: `Augmentation`, one of these groups.
- `presets`: the recipes that ship, by name.
- `preprocessing`: `Preprocessing`, how an image becomes a network's input.
- `serialization`: dataclasses to and from JSON.
- `options`: `with_options`, a recipe changed by names of flags.
- `architecture_file`: architectures of your own, from Python or JSON files.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.config.augmentation import Augmentation
    from alexnet.config.options import with_options
    from alexnet.config.preprocessing import Preprocessing
    from alexnet.config.presets import preset
    from alexnet.config.recipe import DataOptions, LRSchedule, OptimizerOptions, Recipe
    from alexnet.config.serialization import from_dict, to_dict, to_json

__all__ = [
    "Augmentation",
    "DataOptions",
    "LRSchedule",
    "OptimizerOptions",
    "Preprocessing",
    "Recipe",
    "from_dict",
    "preset",
    "to_dict",
    "to_json",
    "with_options",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Augmentation": "augmentation",
        "DataOptions": "recipe",
        "LRSchedule": "recipe",
        "OptimizerOptions": "recipe",
        "Preprocessing": "preprocessing",
        "Recipe": "recipe",
        "from_dict": "serialization",
        "preset": "presets",
        "to_dict": "serialization",
        "to_json": "serialization",
        "with_options": "options",
    },
)
