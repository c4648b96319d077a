"""What `explain --neighbors` and `explain --map` print with `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.features.index import source_layer
from alexnet.features.map import FeatureMap
from alexnet.features.neighbors import NearestImages, Neighbor, Neighbors
from alexnet.inference.predictions import ClassProbability


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryOutput:
    """The nearest images to one image, nearest first."""

    image: str
    """The file's path, address, or "image 3" for the image at index 3 that is no file."""
    label: str | None
    """Its class, if the data has an image with exactly these pixels; else null."""
    prediction: ClassProbability | None
    """Its most probable class; null if the image could not be read."""
    neighbors: tuple[Neighbor, ...]
    """The nearest images; empty if the image could not be read."""
    error: str | None
    """Why the image could not be read; null if it was. With one, the exit code is 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NeighborsOutput:
    """The nearest images of a data set to images."""

    data: str
    """The data set's name."""
    split: str
    """The split in which neighbors are searched."""
    num_images: int
    """Number of images in the split."""
    distance: str
    """"euclidean", or "cosine" for 1 - cosine."""
    layer: str
    """The layer whose outputs are compared, such as relu7."""
    num_features: int
    queries: tuple[QueryOutput, ...]
    plot: str | None
    """The sheet; null if no image could be read."""


def neighbors_output(
    nearest: NearestImages, found: Sequence[Neighbors], plot: str | None
) -> NeighborsOutput:
    """Make the output of neighbors."""
    searched = nearest.searched
    return NeighborsOutput(
        data=searched.store.info.name,
        split=searched.split,
        num_images=len(searched.rows),
        distance="cosine" if nearest.cosine else "euclidean",
        layer=source_layer(searched.classifier.info.architecture, searched.index.info.layer),
        num_features=searched.index.info.num_features,
        queries=tuple(
            QueryOutput(
                image=one.image,
                label=one.label,
                prediction=one.prediction,
                neighbors=one.neighbors,
                error=one.error or None,
            )
            for one in found
        ),
        plot=plot,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class MapOutput:
    """A two-dimensional map of a split."""

    data: str
    """The data set's name."""
    split: str
    method: str
    """"pca" or "umap"."""
    num_images: int
    num_right: int | None
    """Number of images predicted right; null if the model has other classes than the data."""
    explained: tuple[float, float] | None
    """Fractions of the variance that PCA's two axes explain, 0 to 1; null for other methods."""
    plot: str
    """The file of the figure."""
    csv: str
    """The CSV file of the coordinates."""


def map_output(found: FeatureMap, plot: str, csv: str) -> MapOutput:
    """Make the output of a map."""
    return MapOutput(
        data=found.data,
        split=found.split,
        method=found.method,
        num_images=len(found.names),
        num_right=None if found.is_right is None else int(found.is_right.sum()),
        explained=found.explained,
        plot=plot,
        csv=csv,
    )
