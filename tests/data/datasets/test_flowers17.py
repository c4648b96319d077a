"""Oxford 17 flowers as small images, and the real ones where they are."""

from __future__ import annotations

import io
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets.flowers17 import CLASS_NAMES, NAMES, flowers17_source, official_splits
from alexnet.data.datasets.published import published_source
from alexnet.errors import ConfigError, DataError, MissingDataError, UsageError
from support.places import REAL_DATA


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2)).save(file, "JPEG")
    return file.getvalue()


def archive(path: Path, names: tuple[str, ...] = NAMES, prefix: str = "jpg/") -> None:
    content = jpeg()
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in ("files.txt", *names):
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mtime = len(content), 1_100_000_000
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    root, cache = tmp_path / "root", tmp_path / "cache"
    root.mkdir()
    monkeypatch.setenv("ALEXNET_DATA", str(root))
    monkeypatch.setenv("ALEXNET_CACHE", str(cache))
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    return root, cache


def test_archive_is_unpacked_once(roots: tuple[Path, Path]) -> None:
    root, cache = roots
    archive(root / "17flowers.tgz")
    source = flowers17_source()
    assert (source.name, source.class_names, source.test_fraction) == (
        "flowers17",
        CLASS_NAMES,
        0.25,
    )
    assert source.names[0] == "jpg/image_0001.jpg"
    assert source.names[-1] == "jpg/image_1360.jpg"
    assert source.labels[[0, 79, 80, 1359]].tolist() == [0, 0, 1, 16]
    assert np.bincount(source.labels).tolist() == [80] * 17
    assert set(source.splits) == {""}
    with source.images.open(1359) as last:
        assert last.size == (3, 2)
    folder = cache / "data" / "17flowers"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["17flowers"]
    assert sorted(path.name for path in (folder / "jpg").iterdir()) == list(NAMES)
    assert (folder / "jpg" / NAMES[5]).stat().st_mtime == 1_100_000_000
    (root / "17flowers.tgz").unlink()
    assert flowers17_source().fingerprint() == source.fingerprint()
    assert published_source("flowers17").test_fraction == source.test_fraction == 0.25


@pytest.mark.parametrize("place", ["jpg", "17flowers/jpg"])
def test_folder_that_is_unpacked_already(roots: tuple[Path, Path], place: str) -> None:
    root, cache = roots
    (root / place).mkdir(parents=True)
    content = jpeg()
    for name in NAMES:
        (root / place / name).write_bytes(content)
    assert len(flowers17_source()) == 1360
    assert not cache.exists()
    (root / place / NAMES[7]).unlink()
    with pytest.raises(DataError, match=r"1 of 1360 images are missing, first image_0008.jpg"):
        flowers17_source()


def test_incomplete_or_damaged_archive_leaves_nothing(roots: tuple[Path, Path]) -> None:
    root, cache = roots
    archive(root / "17flowers.tgz", NAMES[1:])
    with pytest.raises(DataError, match=r"1 of 1360 images are not in it, first image_0001"):
        flowers17_source()
    archive(root / "17flowers.tgz", NAMES[:3], prefix="../jpg/")
    with pytest.raises(DataError, match="1360 of 1360 images are not in it"):
        flowers17_source()
    (root / "17flowers.tgz").write_bytes(b"not an archive")
    with pytest.raises(DataError, match="is damaged"):
        flowers17_source()
    assert list((cache / "data").iterdir()) == []
    assert [path.name for path in root.iterdir()] == ["17flowers.tgz"]


def test_not_here(roots: tuple[Path, Path]) -> None:
    _, cache = roots
    with pytest.raises(MissingDataError, match=r"17flowers\.tgz is not here") as caught:
        flowers17_source()
    assert "https://www.robots.ox.ac.uk/~vgg/data/flowers/17/17flowers.tgz" in str(caught.value)
    assert str(cache / "data") in str(caught.value)


def test_split_number(roots: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="official_split is 4"):
        flowers17_source(official_split=4)


@pytest.mark.slow
def test_official_splits(roots: tuple[Path, Path]) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="needs scipy")
    root, _ = roots
    archive(root / "17flowers.tgz")
    numbers = np.arange(1, 1361).reshape(17, 80)
    parts = {"trn": numbers[:, :40], "val": numbers[:, 40:60], "tst": numbers[:, 60:]}
    first = {f"{key}1": part.reshape(1, -1) for key, part in parts.items()}
    second = {f"{key}2": part.reshape(1, -1)[:, ::-1] for key, part in parts.items()}
    bad = {"trn3": numbers[:, :40], "val3": numbers[:, 40:60], "tst3": numbers[:, 59:79]}
    scipy_io.savemat(root / "datasplits.mat", first | second | bad)
    source = flowers17_source()
    assert source.splits[:80] == ("train",) * 40 + ("val",) * 20 + ("test",) * 20
    assert Counter(source.splits) == {"train": 680, "val": 340, "test": 340}
    assert official_splits(second, 2) == source.splits
    with pytest.raises(DataError, match=r"not the published file.*each of 1360 images once"):
        flowers17_source(official_split=3)
    with pytest.raises(KeyError):
        official_splits(second, 1)


def test_official_splits_need_scipy(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = roots
    archive(root / "17flowers.tgz")
    (root / "datasplits.mat").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UsageError, match=r'pip install "alexnet\[scipy\]"'):
        flowers17_source()


@pytest.mark.slow
@pytest.mark.skipif(
    not (REAL_DATA / "17flowers.tgz").exists(), reason=f"17flowers.tgz not in {REAL_DATA}"
)
def test_real(roots: tuple[Path, Path]) -> None:
    source = flowers17_source(str(REAL_DATA))
    assert len(source) == 1360
    for index in range(0, 1360, 40):
        with source.images.open(index) as opened:
            assert min(opened.size) >= 400
