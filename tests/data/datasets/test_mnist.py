"""Idx files, MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.datasets.mnist import fashion_mnist_source, mnist_source, read_idx
from alexnet.errors import DataError, MissingDataError
from support.places import REAL_DATA

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def encode(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(folder: Path, *, is_gzipped: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Thirty training and twenty test images; gives all images and labels."""
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28), np.uint8)
    labels = (np.arange(50) % 10).astype(np.uint8)
    for prefix, place in (("train", slice(0, 30)), ("t10k", slice(30, 50))):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            content, name = encode(array[place]), f"{prefix}-{kind}-ubyte"
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            if not is_gzipped:
                (folder / f"{name}.gz").rename(folder / name)
                (folder / name).write_bytes(content)
    return images, labels


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path / "root"))
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    return tmp_path / "root"


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_every_type_comes_back(tmp_path: Path, dtype: str, suffix: str) -> None:
    array = (np.arange(24) * 5 - 3).astype(dtype).reshape(2, 3, 4)
    content = encode(array)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    found = read_idx(path)
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file"),
        (b"\x89PNG\r\n", "not an idx file"),
        (b"\0\0\x07\x01\0\0\0\0", "not an idx file"),
        (b"\0\0\x08\0", "not an idx file"),
        (b"\0\0\x08\x02\0\0\0\x01", "ends within its header"),
        (b"\0\0\x08\x01\0\0\0\x03ab", "has fewer than the 3 bytes"),
        (b"\0\0\x08\x01\0\0\0\x03abcd", "has more than the 3 bytes"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"x", "255 dimensions, not at most 4"),
        (b"\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01", "claims"),
    ],
)
def test_a_wrong_header_is_rejected(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "x")


def test_damaged_gzip_and_no_file(tmp_path: Path) -> None:
    whole = gzip.compress(encode(np.zeros((3, 28, 28), np.uint8)))
    for damaged in (whole[:20], b"not gzip", whole[:-8] + bytes(8)):
        (tmp_path / "x.gz").write_bytes(damaged)
        with pytest.raises(DataError, match=r"x.gz cannot be read"):
            read_idx(tmp_path / "x.gz")
    with pytest.raises(DataError, match="No such file"):
        read_idx(tmp_path / "none")


@pytest.mark.parametrize("is_gzipped", [True, False])
def test_mnist(root: Path, is_gzipped: bool) -> None:
    images, labels = write(root / "mnist", is_gzipped=is_gzipped)
    source = mnist_source()
    assert (source.name, source.class_names) == ("mnist", tuple("0123456789"))
    assert source.splits == ("train",) * 30 + ("test",) * 20
    assert source.names[30] == "test/00000"
    assert source.labels.dtype == np.int64
    np.testing.assert_array_equal(source.labels, labels)
    image = source.images.open(31)
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), images[31])


@pytest.mark.parametrize("is_gzipped", [True, False])
def test_what_torchvision_downloaded(root: Path, is_gzipped: bool) -> None:
    _, labels = write(root / "MNIST" / "raw", is_gzipped=is_gzipped)
    write(root / "FashionMNIST" / "raw", is_gzipped=is_gzipped)
    for source in (mnist_source(str(root)), fashion_mnist_source(str(root))):
        np.testing.assert_array_equal(source.labels, labels)


@pytest.mark.parametrize("folder", ["fashion_mnist", "fashion-mnist"])
def test_fashion_mnist(root: Path, folder: str) -> None:
    write(root / folder)
    source = fashion_mnist_source()
    assert source.class_names[0] == "T-shirt/top"
    assert source.class_names[9] == "Ankle boot"
    assert len(source) == 50


def test_files_that_do_not_belong_together(root: Path) -> None:
    write(root / "mnist", is_gzipped=False)
    labels = root / "mnist" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(encode(np.full(20, 10, np.uint8)))
    with pytest.raises(DataError, match="go up to 10"):
        mnist_source()
    labels.write_bytes(encode(np.zeros(19, np.uint8)))
    with pytest.raises(DataError, match="has 20 images"):
        mnist_source()
    images = root / "mnist" / "t10k-images-idx3-ubyte"
    images.write_bytes(encode(np.zeros((20, 32, 32), np.uint8)))
    with pytest.raises(DataError, match="not uint8 images of 28x28"):
        mnist_source()


def test_not_here(root: Path) -> None:
    write(root / "mnist")
    (root / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(MissingDataError, match=r"t10k-labels-idx1-ubyte.gz is not here") as caught:
        mnist_source()
    assert str(root.parent / "cache" / "data" / "mnist") in str(caught.value)


@pytest.mark.skipif(not (REAL_DATA / "mnist").exists(), reason=f"mnist not in {REAL_DATA}")
def test_real_mnist(root: Path) -> None:
    source = mnist_source(str(REAL_DATA))
    assert len(source) == 70_000
    assert source.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(source.labels[60_000:]).tolist()[0] == 980
