"""The images of a store as a data set of torch, for loops and loaders of your own."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from alexnet.data.batches import Batches
from alexnet.data.store.store import Store, as_indices
from alexnet.errors import UsageError
from alexnet.io.html import panel, picture
from alexnet.io.text import short_repr

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ImageDataset(Dataset[tuple[Any, int]]):
    """Images and labels of one split: `dataset[i]` is (uint8 tensor [S, S, 3], label).

    That is what this package's augmenters and classifiers take. With `channels_first=True` it is
    [3, S, S], as torchvision has tensors; a `transform` gets a Pillow image, as those of
    torchvision's data sets do, or with `channels_first=True` that tensor.

    `classes`, `class_to_idx` and `targets` are those of torchvision's data sets. A
    `torch.utils.data.Subset` has none of them: `subset.dataset.targets[subset.indices[i]]`. Images
    without labels, which only a pretraining takes, are all of one class, "images".

    It works with `torch.utils.data.DataLoader` and any number of workers, however they are started;
    its pickle, which a worker may get, has the path of the images, not the images.
    """

    def __init__(
        self,
        store: Store,
        indices: Sequence[int] | np.ndarray | None = None,
        transform: Callable[[Any], Any] | None = None,
        *,
        channels_first: bool = False,
    ) -> None:
        """The images at `indices` of a store, all usable ones unless given.

        Args:
            store: from `alexnet.data.load_dataset`.
            indices: such as `splits.train`, or a mask, as `Store.images` takes them.
            transform: from a Pillow image, RGB, or a uint8 tensor [3, S, S] if `channels_first`, to
                what is to be given in its place. It can be changed later: `split.transform = ..`.
            channels_first: whether tensors are [3, S, S].

        Raises:
            IndexError: an image is not there, or these are no indices.
            UsageError: `transform` cannot be called.
        """
        if transform is not None and not callable(transform):
            raise UsageError(
                f"transform must be a function of an image, not {short_repr(transform)}"
            )
        self.store = store
        self.indices = as_indices(store.usable if indices is None else indices, len(store))
        self.transform = transform
        self.channels_first = channels_first

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in the order of the labels."""
        return self.store.info.class_names

    @property
    def classes(self) -> list[str]:
        """The class names as a list, under torchvision's name."""
        return list(self.class_names)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of every class."""
        return {name: label for label, name in enumerate(self.class_names)}

    @cached_property
    def targets(self) -> list[int]:
        """The labels of this split's images, in their order; no image is read."""
        labels: list[int] = self.store.labels[self.indices].tolist()
        return labels

    def __repr__(self) -> str:
        return f"ImageDataset({len(self):,} images of {self.store!r})"

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        try:
            position = operator.index(i)
        except TypeError:
            raise UsageError(
                f"a split has images by whole numbers, not by {short_repr(i)}; "
                "torch.utils.data.Subset(split, positions) is a part of it, "
                "such as of the positions range(10)"
            ) from None
        return self.__getitems__([position])[0]

    def __getitems__(self, positions: Sequence[int]) -> list[tuple[Any, int]]:
        """Several images by one call, as a `DataLoader` reads a batch."""
        indices = self.indices[np.asarray(positions)]
        images = map(self._form, self.store.images(indices))
        labels = map(int, self.store.labels[indices])
        return list(zip(images, labels, strict=True))

    def _form(self, pixels: np.ndarray) -> Any:
        """Convert an image, uint8 [S, S, 3], to the form in which `dataset[i]` returns it."""
        image: Tensor | Image.Image = torch.from_numpy(pixels)
        if self.channels_first:
            image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        elif self.transform is not None:
            image = Image.fromarray(pixels)
        return image if self.transform is None else self.transform(image)

    def show(self, num_classes: int = 12, num_images: int = 6) -> Figure:
        """A sheet of stored images, one row for each class: the first classes and images.

        A notebook shows it for a split on the last line of a cell. `alexnet.plots.save` writes it
        to a file; `alexnet data show` plots augmented images, too.

        Raises:
            UsageError: the split has no images, or there is nothing to show.
        """
        from alexnet.plots.sheets import contact_sheet  # matplotlib: .5 s

        if not len(self) or num_classes < 1 or num_images < 1:
            raise UsageError(f"there is nothing to show of {self!r}")
        labels = self.store.labels[self.indices]
        shown = np.unique(labels)[:num_classes]
        rows = [self.indices[labels == label][:num_images] for label in shown]
        names = [self.class_names[label] for label in shown]
        return contact_sheet([list(self.store.images(row)) for row in rows], names)

    def _repr_html_(self) -> str:
        """The sheet of `show` and the `repr`, as HTML for a notebook."""
        from alexnet.plots.saving import figure_bytes

        sheet = picture(figure_bytes(self.show(), dpi=80), "images of each class") if self else ""
        return panel(repr(self), [sheet])

    def batches(self, batch_size: int, seed: int) -> Batches:
        """The images in batches whose order is a function of (seed, epoch), as in a training."""
        return Batches(self.store, self.indices, batch_size, seed)
