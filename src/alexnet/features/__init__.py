"""The last hidden layer's activations for a data set, and the images that are nearest by them.

- `index`: `FeatureIndex`, the features of all images of a data set, in the cache.
- `build`: `build_index`, which computes them once per model and data set.
- `search`: the nearest rows of an index, exactly.
- `split`: `SplitFeatures`, the features of a split.
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
    from alexnet.features.map import FeatureMap, map_split
    from alexnet.features.neighbors import NearestImages, Neighbor, Neighbors, nearest_images
    from alexnet.features.plots import map_figure, neighbors_sheet
    from alexnet.features.split import SplitFeatures, open_split

__all__ = [
    "FeatureIndex",
    "FeatureMap",
    "NearestImages",
    "Neighbor",
    "Neighbors",
    "SplitFeatures",
    "build_index",
    "map_figure",
    "map_split",
    "nearest_images",
    "neighbors_sheet",
    "open_split",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "FeatureIndex": "index",
        "FeatureMap": "map",
        "NearestImages": "neighbors",
        "Neighbor": "neighbors",
        "Neighbors": "neighbors",
        "SplitFeatures": "split",
        "build_index": "build",
        "map_figure": "plots",
        "map_split": "map",
        "nearest_images": "neighbors",
        "neighbors_sheet": "plots",
        "open_split": "split",
    },
    called="alexnet.load(model).features(images) gives those of images",
)
