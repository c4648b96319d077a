"""Data sets, from files on the disk to training batches.

- `load`: `load_dataset`, from a name or a path to an image store
- `datasets/`: the data sets that have a name, and folders and CSV files, as a `Source`
- `source`: `Source`: names, labels, classes and splits, with nothing decoded yet
- `images/`: opening and decoding image files that may be damaged or hostile
- `store/`: `Store`: every image decoded once to one size, in a memory-mapped array
- `splits`: `Splits`: which images are for training, validation and test
- `batches`: `Batches`: the order of an epoch, and its batches as arrays
- `advice`: what the numbers of images make uncertain
- `duplicates`: images that are in two splits or two classes
- `check`, `export_split`: faults of a data set; a split written as folders or as a CSV file
- `threads`: a bounded `map` over a thread pool
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.data.batches import Batches
    from alexnet.data.datasets.catalogue import open_source
    from alexnet.data.image_dataset import ImageDataset
    from alexnet.data.load import load_dataset
    from alexnet.data.splits import Splits, split_indices
    from alexnet.data.store.store import Store

__all__ = [
    "Batches",
    "ImageDataset",
    "Splits",
    "Store",
    "load_dataset",
    "open_source",
    "split_indices",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Batches": "batches",
        "ImageDataset": "image_dataset",
        "Splits": "splits",
        "Store": "store.store",
        "load_dataset": "load",
        "open_source": "datasets.catalogue",
        "split_indices": "splits",
    },
)
