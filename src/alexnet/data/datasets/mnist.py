"""MNIST and Fashion-MNIST, and the idx files they come in.

Source: http://yann.lecun.com/exdb/mnist/ (the format);
https://github.com/zalandoresearch/fashion-mnist
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from alexnet.data.source import ImageArray, Source
from alexnet.errors import DataError
from alexnet.io.downloads import download
from alexnet.io.files import open_regular
from alexnet.io.limits import MAX_IDX_BYTES
from alexnet.io.paths import cache_folder, find
from alexnet.io.text import error_text
from alexnet.reporter import SILENT, Reporter, progress_callback

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
MAX_DIMENSIONS = 4
PARTS = (("train", "train"), ("t10k", "test"))


@dataclass(frozen=True, kw_only=True, slots=True)
class IdxDataset:
    """A data set of four idx files, as MNIST: 28x28 grey images and labels of training and test."""

    name: str
    folders: tuple[str, ...]
    """Folders below a data root in which it is searched for, the last one torchvision's; downloads
    go into the first."""
    class_names: tuple[str, ...]
    base_url: str
    """The names of the files, with .gz, are added to it."""
    md5s: dict[str, str]
    """Checksums of the four gzipped files."""


MNIST = IdxDataset(
    name="mnist",
    folders=("mnist", "MNIST/raw"),
    class_names=tuple(str(digit) for digit in range(10)),
    # The mirror and the checksums that torchvision 0.21 uses (torchvision/datasets/mnist.py).
    base_url="https://ossci-datasets.s3.amazonaws.com/mnist/",
    md5s={
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION_MNIST = IdxDataset(
    name="fashion_mnist",
    folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    # The checksums of its README.
    base_url="https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    md5s={
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def mnist_source(data_root: str = "", reporter: Reporter = SILENT) -> Source:
    """Read MNIST from the folder `mnist`: 60,000 training, then 10,000 test images.

    Args:
        data_root: folder searched first; may be a root of torchvision's.
        reporter: is told of the downloads.

    Raises:
        MissingDataError: a file is not here and cannot be downloaded.
        DataError: a file is damaged.
    """
    return _source(MNIST, data_root, reporter)


def fashion_mnist_source(data_root: str = "", reporter: Reporter = SILENT) -> Source:
    """Read Fashion-MNIST from the folder `fashion_mnist` or `fashion-mnist`.

    Args:
        data_root: folder searched first; may be a root of torchvision's.
        reporter: is told of the downloads.

    Raises:
        MissingDataError: a file is not here and cannot be downloaded.
        DataError: a file is damaged.
    """
    return _source(FASHION_MNIST, data_root, reporter)


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file, gzipped when its name ends in .gz, into this machine's byte order.

    Raises:
        DataError: it cannot be read, is not an idx file, or its length is not what its header says.
    """
    path = Path(path)
    try:
        with open_regular(path) as raw, _decompressed(raw, path) as file:
            dtype, shape = _header(file, path)
            expected_bytes = math.prod(shape) * dtype.itemsize
            if expected_bytes > MAX_IDX_BYTES:
                raise DataError(f"{path} claims {expected_bytes} bytes; fetch it again")
            content = file.read(expected_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error_text(error)}); fetch it again") from error
    if len(content) != expected_bytes:
        relation = "fewer" if len(content) < expected_bytes else "more"
        raise DataError(
            f"{path} has {relation} than the {expected_bytes} bytes of {shape}; fetch it again"
        )
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _decompressed(file: IO[bytes], path: Path) -> IO[bytes]:
    """Decompress a file whose name ends in .gz."""
    return cast(IO[bytes], gzip.open(file)) if path.suffix == ".gz" else file


def _header(file: IO[bytes], path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Read type and shape from the first bytes: 0, 0, type, n, then n big-endian sizes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or magic[3] == 0:
        raise DataError(f"{path} is not an idx file (it begins with {magic.hex(' ') or 'nothing'})")
    if magic[3] > MAX_DIMENSIONS:
        raise DataError(
            f"{path} has {magic[3]} dimensions, not at most {MAX_DIMENSIONS}; fetch it again"
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) != 4 * magic[3]:
        raise DataError(f"{path} ends within its header; fetch it again")
    return DTYPES[magic[2]], tuple(int(size) for size in np.frombuffer(sizes, ">u4"))


def _source(dataset: IdxDataset, data_root: str, reporter: Reporter) -> Source:
    """Training and test images together, in the files' order."""
    images, labels, names, splits = [], [], [], []
    for prefix, split in PARTS:
        part_images, part_labels = _part(dataset, prefix, data_root, reporter)
        images.append(part_images)
        labels.append(part_labels)
        names += [f"{split}/{index:05d}" for index in range(len(part_labels))]
        splits += [split] * len(part_labels)
    return Source(
        name=dataset.name,
        class_names=dataset.class_names,
        names=tuple(names),
        labels=np.concatenate(labels).astype(np.int64),
        splits=tuple(splits),
        images=ImageArray(np.concatenate(images)),
    )


def _part(
    dataset: IdxDataset, prefix: str, data_root: str, reporter: Reporter
) -> tuple[np.ndarray, np.ndarray]:
    """The training or the test part: images [N, 28, 28] and labels [N], uint8."""
    path = _file(dataset, f"{prefix}-images-idx3-ubyte", data_root, reporter)
    images = read_idx(path)
    labels = read_idx(_file(dataset, f"{prefix}-labels-idx1-ubyte", data_root, reporter))
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise DataError(
            f"{path} has {images.dtype} {images.shape}, not uint8 images of 28x28 pixels"
        )
    if labels.shape != images.shape[:1] or labels.dtype != np.uint8:
        raise DataError(
            f"{path} has {len(images)} images, but its labels have the shape {labels.shape}"
        )
    if labels.size and labels.max() >= len(dataset.class_names):
        raise DataError(
            f"the labels beside {path} go up to {labels.max()}, "
            f"not {len(dataset.class_names) - 1}; fetch them again"
        )
    return images, labels


def _file(dataset: IdxDataset, name: str, data_root: str, reporter: Reporter) -> Path:
    """One of the four files, gzipped or not; downloads it if it is missing."""
    found = find(data_root, (f"{f}/{name}{gz}" for f in dataset.folders for gz in (".gz", "")))
    target = cache_folder() / "data" / dataset.folders[0] / f"{name}.gz"
    url = f"{dataset.base_url}{name}.gz"
    on_progress = progress_callback(reporter, "on_download")
    return found or download(url, target, md5=dataset.md5s[name], on_progress=on_progress)
