"""The images of a split that are nearest to any image, by the last hidden layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from alexnet.data.duplicates import same_images
from alexnet.evaluation.evaluator import SplitName
from alexnet.features.split import SplitFeatures, open_split
from alexnet.inference.checks import check_top
from alexnet.inference.classifier import Classifier
from alexnet.inference.decoding import Decoded, decode_batches
from alexnet.inference.inputs import ImageInput, read_inputs
from alexnet.inference.predictions import ClassProbability
from alexnet.inference.predictor import NOT_FINITE
from alexnet.reporter import Reporter


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbor:
    """An image of the data set that is near to a query."""

    index: int
    """Index of the image in the image store."""
    image: str
    """Name of the image in the data set."""
    label: str
    """The class of the image."""
    distance: float
    """Euclidean, or 1 - cosine; 0 for the same image."""
    is_same: bool
    """Whether it has the pixels of the query."""
    is_match: bool | None
    """Whether its class is that of the query: of its label where the data has the image, else the
    predicted one. None where the model's classes are others than the data's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbors:
    """The nearest images to one query, nearest first, or why there are none."""

    image: str
    """The query's path or address, or "image 3" for the image at index 3 that is no file."""
    label: str | None = None
    """The query's class, where the data has the image."""
    prediction: ClassProbability | None = None
    """The most probable class of the query; None if there is an error."""
    neighbors: tuple[Neighbor, ...] = ()
    error: str = ""
    """Why the query could not be read or its outputs are not finite; "" if neither."""
    pixels: np.ndarray | None = field(default=None, compare=False, repr=False)
    """The pixels of the query, resized as stored images are, uint8 [S, S, 3]; only the first
    queries have them."""


@dataclass(frozen=True, eq=False)
class NearestImages:
    """Finds the images of a split that are nearest to any image; `nearest_images` makes one."""

    searched: SplitFeatures
    cosine: bool = False

    def find(
        self,
        images: ImageInput | Iterable[ImageInput],
        top: int = 5,
        *,
        exclude_same: bool = False,
        num_pixels: int = 0,
    ) -> list[Neighbors]:
        """The `top` nearest images to every image.

        Args:
            images: as for `Classifier.predict`.
            top: number of neighbors; fewer if the split is smaller.
            exclude_same: leave out neighbors with just the pixels of the query.
            num_pixels: number of readable queries whose pixels are kept.

        Returns:
            One result per image, in order. An image that cannot be read has an `error`.

        Raises:
            UsageError: a value is no image, or `top` is not a whole number of at least 1.
        """
        check_top(top)
        found: list[Neighbors] = []
        num_read = 0
        inputs, classifier = read_inputs(images), self.searched.classifier
        preprocessing, prefetch = classifier.info.preprocessing, not classifier.is_on_cpu
        with closing(decode_batches(inputs, preprocessing, prefetch=prefetch)) as batches:
            for batch in batches:
                for one in self._find_batch(batch, top, exclude_same):
                    found.append(one if num_read < num_pixels else replace(one, pixels=None))
                    num_read += not one.error
        return found

    def _find_batch(
        self, batch: Sequence[Decoded], top: int, exclude_same: bool
    ) -> Iterator[Neighbors]:
        """The results of a batch, with the pixels of those that could be read."""
        pixels = [image.pixels for image in batch if image.pixels is not None]
        results = iter(self._find(np.stack(pixels), top, exclude_same) if pixels else [])
        for image in batch:
            if image.error:
                yield Neighbors(image=image.name, error=image.error)
            else:
                yield replace(next(results), image=image.name, pixels=image.pixels)

    def _find(self, pixels: np.ndarray, top: int, exclude_same: bool) -> list[Neighbors]:
        """The neighbors of a batch of images uint8 [N, S, S, 3], without their names."""
        index, rows, classifier = self.searched.index, self.searched.rows, self.searched.classifier
        features = classifier.layer_inputs(pixels, index.info.layer)
        probabilities = classifier.probabilities(pixels)
        same = [same_images(self.searched.store, image) for image in pixels]
        extra = max(len(np.intersect1d(one, rows)) for one in same) if exclude_same else 0
        found = []
        nearest = index.nearest(features, rows, top + extra, cosine=self.cosine)
        for i, (near, distances) in enumerate(zip(*nearest, strict=True)):
            if np.isnan(probabilities[i]).any():
                found.append(Neighbors(image="", error=NOT_FINITE))
                continue
            kept = ~np.isin(near, same[i]) if exclude_same else np.ones(len(near), bool)
            found.append(
                self._neighbors(probabilities[i], same[i], near[kept][:top], distances[kept])
            )
        return found

    def _neighbors(
        self, probabilities: np.ndarray, same: np.ndarray, rows: np.ndarray, distances: np.ndarray
    ) -> Neighbors:
        """The neighbors of one query as a result; `same` are the images with its pixels."""
        labels, store = self.searched.labels, self.searched.store
        best, class_names = int(probabilities.argmax()), store.info.class_names
        own = best if labels is None or not len(same) else int(labels[same[0]])
        neighbors = tuple(
            Neighbor(
                index=int(row),
                image=store.info.names[row],
                label=class_names[store.labels[row]],
                distance=0.0 if row in same else float(distance),
                is_same=row in same,
                is_match=None if labels is None else bool(labels[row] == own),
            )
            for row, distance in zip(rows, distances, strict=False)
        )
        predicted = self.searched.classifier.class_names[best]
        return Neighbors(
            image="",
            label=class_names[store.labels[same[0]]] if len(same) else None,
            prediction=ClassProbability(predicted, float(probabilities[best])),
            neighbors=neighbors,
        )


def nearest_images(
    classifier: Classifier,
    data: str = "",
    *,
    data_root: str = "",
    label_from: str = "",
    split: SplitName = "auto",
    cosine: bool = False,
    reporter: Reporter | None = None,
) -> NearestImages:
    """An object that finds the nearest images of a data set to any image, by the last hidden layer.

    The features of the whole data set are computed once per model and kept in the cache.

    Args:
        classifier: gives the features; not one that is optimized for inference.
        data: a data set's name, a folder or a list; what it was trained on unless given.
        data_root: folder searched for data sets first.
        label_from: as `DataOptions.label_from`.
        split: where neighbors are searched: train, val, test or all, as for the classifier's
            training; `auto` is train, or all images of data without splits that the classifier was
            not trained on.
        cosine: use 1 - cosine in place of the paper's Euclidean distance.
        reporter: receives notes, and the progress of decoding and of computing features.

    Raises:
        UsageError: no data is given, and the classifier names none; or it is optimized.
        DataError: the data cannot be used, or the split has no images.

    Source: Paper, section 6.1.
    """
    searched = open_split(
        classifier,
        data,
        data_root=data_root,
        label_from=label_from,
        split=split,
        is_searched=True,
        reporter=reporter,
    )
    return NearestImages(searched, cosine)
