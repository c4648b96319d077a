"""CIFAR-10 with four records a batch, and the real one where it is."""

from __future__ import annotations

import pickle
import shutil
import struct
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.datasets import cifar10
from alexnet.data.datasets.cifar10 import (
    BATCHES,
    FOLDER,
    PYTHON_FOLDER,
    RECORD_BYTES,
    cifar10_source,
)
from alexnet.errors import DataError, MissingDataError
from support.places import REAL_DATA

RECORDS = 4


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    root, cache = tmp_path / "root", tmp_path / "cache"
    root.mkdir()
    monkeypatch.setenv("ALEXNET_DATA", str(root))
    monkeypatch.setenv("ALEXNET_CACHE", str(cache))
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    return root, cache


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "BATCH_RECORDS", RECORDS)


def records() -> np.ndarray:
    """Six batches: uint8 [6, 4, 3073]; every class occurs."""
    content = np.random.default_rng(0).integers(0, 256, (6, RECORDS, RECORD_BYTES), np.uint8)
    content[..., 0] = (np.arange(6 * RECORDS) % 10).reshape(6, RECORDS)
    return content


def write(root: Path, content: np.ndarray) -> Path:
    (root / FOLDER).mkdir(exist_ok=True)
    for batch, part in zip(BATCHES, content, strict=True):
        (root / FOLDER / batch).write_bytes(part.tobytes())
    return root / FOLDER


def pack(root: Path, suffix: str) -> None:
    folder = write(root, records())
    with tarfile.open(root / f"cifar-10-binary.tar.{suffix}", f"w:{suffix}") as tar:
        for path in sorted(folder.iterdir(), reverse=True):
            tar.add(path, f"{FOLDER}/{path.name}")
            path.unlink()
    folder.rmdir()


@pytest.mark.usefixtures("small")
def test_folder(roots: tuple[Path, Path]) -> None:
    root, cache = roots
    content = records().reshape(-1, RECORD_BYTES)
    write(root, records())
    source = cifar10_source()
    assert source.class_names[0] == "airplane"
    assert source.class_names[9] == "truck"
    assert source.names[:2] == ("train/00000", "train/00001")
    assert source.names[-1] == "test/00003"
    assert source.splits == ("train",) * 20 + ("test",) * 4
    assert source.labels.tolist() == content[:, 0].tolist()
    assert source.labels.dtype == np.int64
    pixels = np.asarray(source.images.open(21))
    red_of_row_5_column_7 = content[21, 1 + 5 * 32 + 7]
    blue_of_row_5_column_7 = content[21, 1 + 2048 + 5 * 32 + 7]
    assert pixels.shape == (32, 32, 3)
    assert pixels[5, 7, 0] == red_of_row_5_column_7
    assert pixels[5, 7, 2] == blue_of_row_5_column_7
    kept = sorted(path.name for path in (cache / "data" / "cifar-10").iterdir())
    assert kept == ["images.npy", "labels.npy"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("suffix", ["gz", "xz"])
def test_archive_gives_the_same_and_is_read_once(roots: tuple[Path, Path], suffix: str) -> None:
    root, cache = roots
    pack(root, suffix)
    source = cifar10_source()
    assert source.labels.tolist() == records()[..., 0].ravel().tolist()
    (root / f"cifar-10-binary.tar.{suffix}").unlink()
    assert cifar10_source().fingerprint() == source.fingerprint()
    images = cache / "data" / "cifar-10" / "images.npy"
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(MissingDataError, match=r"cifar-10-binary.tar.gz is not here"):
        cifar10_source()


@pytest.mark.usefixtures("small")
def test_damaged_cache_is_made_anew(roots: tuple[Path, Path]) -> None:
    root, cache = roots
    write(root, records())
    before = cifar10_source().fingerprint()
    (cache / "data" / "cifar-10" / "labels.npy").write_bytes(b"")
    assert cifar10_source().fingerprint() == before


@pytest.mark.usefixtures("small")
def test_records_that_lie(roots: tuple[Path, Path]) -> None:
    root, cache = roots
    folder = write(root, records())
    (folder / "data_batch_3.bin").write_bytes(bytes(RECORDS * RECORD_BYTES - 1))
    with pytest.raises(DataError, match=r"data_batch_3.bin in .* has 12291 bytes, not 12292"):
        cifar10_source()
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_3.bin cannot be read"):
        cifar10_source()
    wrong = records()
    wrong[5, 2, 0] = 10
    write(root, wrong)
    with pytest.raises(DataError, match=r"test_batch.bin in .* has a label 10"):
        cifar10_source()
    assert list((cache / "data" / "cifar-10").iterdir()) == []


@pytest.mark.usefixtures("small")
def test_archive_without_a_batch(roots: tuple[Path, Path]) -> None:
    root, _ = roots
    path = root / "cifar-10-binary.tar.gz"
    folder = write(root, records())
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder / BATCHES[0], f"{FOLDER}/{BATCHES[0]}")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(DataError, match=r"has no data_batch_2.bin"):
        cifar10_source()


def python2_batch(content: np.ndarray) -> bytes:
    """The records [N, 3073] as Python 2 and its numpy pickled a batch."""

    def text(word: bytes) -> bytes:
        return b"U" + bytes([len(word)]) + word

    count, pixels = struct.pack("<i", len(content)), content[:, 1:].tobytes()
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\0K\1\x87R(K\3" + text(b"|") + b"NNN"
    dtype += 2 * b"J\xff\xff\xff\xff" + b"K\0tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\1cnumpy\nndarray\nK\0\x85" + text(b"b")
    array += b"\x87R(K\1J" + count + b"M\0\x0c\x86" + dtype + b"\x89T"
    array += struct.pack("<i", len(pixels)) + pixels + b"tb"
    labels = b"]q\2(" + b"".join(b"K" + bytes([label]) for label in content[:, 0]) + b"e"
    entries = {b"batch_label": text(b"batch"), b"labels": labels, b"data": array}
    return b"\x80\2}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


def python3_batch(content: np.ndarray) -> bytes:
    return pickle.dumps({b"data": content[:, 1:].copy(), b"labels": content[:, 0].tolist()})


def test_the_batch_of_python_2_is_one() -> None:
    content = records()[0]
    with warnings.catch_warnings(action="ignore"):  # numpy.core has another name now
        batch = pickle.loads(python2_batch(content), encoding="bytes")
    assert batch[b"labels"] == content[:, 0].tolist()
    assert np.array_equal(batch[b"data"], content[:, 1:])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("encode", [python2_batch, python3_batch])
@pytest.mark.parametrize("is_packed", [False, True])
def test_what_torchvision_downloaded(
    roots: tuple[Path, Path], encode: Callable[[np.ndarray], bytes], is_packed: bool
) -> None:
    root, cache = roots
    write(root, records())
    expected = cifar10_source().fingerprint()
    shutil.rmtree(cache)
    shutil.rmtree(root / FOLDER)
    folder = root / PYTHON_FOLDER
    folder.mkdir()
    for batch, part in zip(BATCHES, records(), strict=True):
        (folder / batch.removesuffix(".bin")).write_bytes(encode(part))
    (folder / "batches.meta").write_bytes(pickle.dumps({}))
    if is_packed:
        with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as tar:
            tar.add(folder, PYTHON_FOLDER)
        shutil.rmtree(folder)
    assert cifar10_source(str(root)).fingerprint() == expected


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps([]),
        pickle.dumps({b"labels": [1] * RECORDS, b"data": bytes(9)}),
        pickle.dumps({b"labels": [999] * RECORDS, b"data": bytes(RECORDS * 3072)}),
        python2_batch(records()[0])[:-2000],
        b"cos\nsystem\n(S'exit 1'\ntR.",
    ],
)
def test_pickles_that_are_no_batches(roots: tuple[Path, Path], content: bytes) -> None:
    folder = roots[0] / PYTHON_FOLDER
    folder.mkdir()
    for batch in BATCHES:
        (folder / batch.removesuffix(".bin")).write_bytes(content)
    with pytest.raises(DataError, match=r"data_batch_1 in .*fetch https"):
        cifar10_source()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    not any((REAL_DATA / name).exists() for name in (FOLDER, *cifar10.ARCHIVES)),
    reason=f"CIFAR-10 not in {REAL_DATA}",
)
def test_real(roots: tuple[Path, Path]) -> None:
    source = cifar10_source(str(REAL_DATA))
    assert len(source) == 60_000
    assert np.bincount(source.labels[:50_000]).tolist() == [5_000] * 10
    assert np.bincount(source.labels[50_000:]).tolist() == [1_000] * 10
    images = [np.asarray(source.images.open(index)) for index in range(0, 50_000, 5)]
    mean = np.stack(images).mean(axis=(0, 1, 2)) / 255
    assert mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.004)
