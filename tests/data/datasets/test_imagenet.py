"""ImageNet's two layouts, with two classes of three images."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets.imagenet import TRUTH, imagenet_source
from alexnet.errors import DataError, MissingDataError, UsageError

TENCH, FOX = "n01440764", "n02119789"


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3)).save(path, "JPEG")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path))
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "imagenet"
    for wnid in (TENCH, FOX):
        for number in range(3):
            write_image(root / "train" / wnid / f"{wnid}_{number}.JPEG")
    return root


def flat_val(root: Path) -> None:
    """Four images, of ILSVRC2012_ID 2, 1, 1 and 2."""
    for number in range(1, 5):
        write_image(root / "val" / f"ILSVRC2012_val_{number:08d}.JPEG")
    (root / TRUTH).write_text("2\n1\n1\n2\n")


def test_class_folders(root: Path) -> None:
    write_image(root / "val" / FOX / "ILSVRC2012_val_00000001.JPEG")
    write_image(root / "val" / TENCH / "ILSVRC2012_val_00000002.JPEG")
    (root / "val" / "notes.txt").touch()
    source = imagenet_source()
    assert source.name == "imagenet"
    assert source.class_names == (TENCH, FOX)
    assert source.splits == ("train",) * 6 + ("val",) * 2
    assert source.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    assert source.names[0] == f"train/{TENCH}/{TENCH}_0.JPEG"
    assert source.skipped == {"not a class folder": 1}
    with source.images.open(6) as image:
        assert image.size == (4, 3)
    assert source.fingerprint() == imagenet_source().fingerprint()


def test_words_name_the_classes(root: Path) -> None:
    write_image(root / "val" / FOX / "1.JPEG")
    (root / "synset_words.txt").write_text(f"{TENCH} tench, Tinca tinca\n{FOX} kit fox, Vulpes\n")
    assert imagenet_source().class_names == ("tench", "kit fox")
    (root / "synset_words.txt").write_text(f"{TENCH} crane\n{FOX} crane\n")
    assert imagenet_source().class_names == (f"crane ({TENCH})", f"crane ({FOX})")
    (root / "synset_words.txt").write_text("tench\n")
    with pytest.raises(DataError, match="line 1: 'tench' does not begin with a wnid"):
        imagenet_source()


def test_flat_val_with_a_list_in_the_order_of_the_ids(root: Path) -> None:
    flat_val(root)
    (root / "synset_words.txt").write_text(f"{FOX} kit fox\n{TENCH} tench\n")
    source = imagenet_source()
    assert source.class_names == ("tench", "kit fox")
    assert source.splits[6:] == ("val",) * 4
    assert source.labels[6:].tolist() == [0, 1, 1, 0]


def test_flat_val_rejects_a_sorted_list(root: Path) -> None:
    flat_val(root)
    (root / "LOC_synset_mapping.txt").write_text(f"{TENCH} tench\n{FOX} kit fox\n")
    with pytest.raises(DataError, match=r"sorted order, but .*put the devkit's meta.mat"):
        imagenet_source()


def test_flat_val_with_the_devkit(root: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="needs scipy")
    flat_val(root)
    devkit = root / "ILSVRC2012_devkit_t12" / "data"
    devkit.mkdir(parents=True)
    (root / TRUTH).rename(devkit / TRUTH)
    synsets = np.empty((3, 1), dtype=[(n, object) for n in ("ILSVRC2012_ID", "WNID", "children")])
    synsets[:, 0] = [(1, FOX, []), (2, TENCH, [3]), (1001, "n00001740", [1, 2])]
    scipy_io.savemat(devkit / "meta.mat", {"synsets": synsets})
    assert imagenet_source().labels[6:].tolist() == [0, 1, 1, 0]
    (devkit / "meta.mat").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"meta\.mat cannot be read as a \.mat file"):
        imagenet_source()


def test_the_devkit_needs_scipy(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat_val(root)
    (root / "meta.mat").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UsageError, match=r'pip install "alexnet\[scipy\]"'):
        imagenet_source()


def test_flat_val_without_its_files(root: Path) -> None:
    flat_val(root)
    with pytest.raises(DataError, match=r"put the devkit's meta.mat beside it"):
        imagenet_source()
    (root / "synset_words.txt").write_text(f"{FOX} kit fox\n{TENCH} tench\n")
    (root / TRUTH).write_text("2\n1\n3\n2\n")
    with pytest.raises(DataError, match=r"no class for val/ILSVRC2012_val_00000003.JPEG"):
        imagenet_source()
    (root / TRUTH).write_text("2\nfox\n")
    with pytest.raises(DataError, match="not a list of numbers"):
        imagenet_source()
    (root / TRUTH).unlink()
    with pytest.raises(DataError, match=f"put the devkit's {TRUTH} there"):
        imagenet_source()


def test_parts_that_are_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"val' cannot be read: No such file"):
        imagenet_source()
    (root / "val").mkdir()
    with pytest.raises(DataError, match="neither class folders nor"):
        imagenet_source()
    write_image(root / "val" / "n09999999" / "1.JPEG")
    with pytest.raises(DataError, match="n09999999 is in val but not in train"):
        imagenet_source()
    monkeypatch.setenv("ALEXNET_DATA", str(root.parent / "empty"))
    with pytest.raises(MissingDataError, match=r"ImageNet is not here: .*image-net.org"):
        imagenet_source()


def test_no_file_is_asked_for_its_status(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(root / "val" / FOX / "1.JPEG")
    asked: list[str] = []
    real = Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        asked.append(self.name)
        return real(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    imagenet_source()
    assert not [name for name in asked if name.endswith(".JPEG")]
