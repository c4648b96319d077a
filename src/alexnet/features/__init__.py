"""The last hidden layer's activations of a data set, and the images that are nearest in it.

- `index`: `FeatureIndex`, the features of all images of a data set, in the cache.
- `build`: `build_index`, which computes them once per model and data set.
- `search`: the nearest rows of an index, exactly.
- `neighbors`: `NearestImages`, the nearest images of a split to any image.
- `map`: a two-dimensional map of a split.
- `plots`: sheets of neighbors, and the map as a figure.

Source: Paper, section 6.1 and figure 4.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.features.build import build_index
    from alexnet.features.index import FeatureIndex

__all__ = [
    "FeatureIndex",
    "build_index",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "FeatureIndex": "index",
        "build_index": "build",
    },
)
