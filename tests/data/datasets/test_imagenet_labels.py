"""Lists of labels for validation images without class folders, and lists that cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets.imagenet_labels import TRUTH, flat_labels
from alexnet.data.datasets.imagenet_layout import find_layout
from alexnet.errors import DataError, UsageError

TENCH, FOX = "n01440764", "n02119789"
NAMES = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 5)]
LABELS = [TENCH, FOX, FOX, TENCH]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of four validation images without a list."""
    (tmp_path / "val").mkdir()
    for name in NAMES:
        Image.new("RGB", (4, 3)).save(tmp_path / "val" / name)
    return tmp_path


def read(root: Path, num_classes: int = 0) -> list[str]:
    layout = find_layout(root)
    assert layout is not None
    return flat_labels(layout, "val", NAMES, num_classes)[0]


def write_truth(root: Path, text: str = "2\n1\n1\n2\n") -> None:
    """IDs by which FOX is 1 and TENCH 2."""
    (root / TRUTH).write_text(text)


def write_named(path: Path, labels: list[str], form: str = "{} {}") -> None:
    rows = [form.format(name, label) for name, label in zip(NAMES, labels, strict=True)]
    path.write_text("\n".join(rows) + "\n")


@pytest.mark.slow
def test_the_devkits_table(root: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="needs scipy")
    write_truth(root)
    synsets = np.empty((3, 1), dtype=[(n, object) for n in ("ILSVRC2012_ID", "WNID", "children")])
    synsets[:, 0] = [(1, FOX, []), (2, TENCH, [3]), (1001, "n00001740", [1, 2])]
    scipy_io.savemat(root / "meta.mat", {"synsets": synsets})
    assert read(root) == LABELS
    (root / "meta.mat").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"meta\.mat cannot be read as a \.mat file"):
        read(root)


def test_the_devkits_table_needs_scipy(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_truth(root)
    (root / "meta.mat").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UsageError, match=r'pip install "alexnet\[scipy\]"'):
        read(root)


def test_a_list_in_the_order_of_the_ids(root: Path) -> None:
    write_truth(root)
    with pytest.raises(DataError, match=r"put the devkit's meta.mat beside it"):
        read(root)
    (root / "synset_words.txt").write_text(f"{FOX} kit fox\n{TENCH} tench\n")
    assert read(root) == LABELS
    (root / "synset_words.txt").write_text(f"{TENCH} tench\n{FOX} kit fox\n")
    with pytest.raises(DataError, match=r"sorted order, but .*put the devkit's meta.mat"):
        read(root)


def test_ground_truth_that_cannot_be_used(root: Path) -> None:
    (root / "map_clsloc.txt").write_text(f"{FOX} 1 kit_fox\n{TENCH} 2 tench\n")
    write_truth(root)
    assert read(root) == LABELS
    write_truth(root, "2\n1\n3\n2\n")
    with pytest.raises(DataError, match=r"no class for val/ILSVRC2012_val_00000003.JPEG"):
        read(root)
    write_truth(root, f"2\n{'9' * 5000}\n")
    with pytest.raises(DataError, match="is not a list of numbers: '999"):
        read(root)
    write_truth(root, "2\nfox\n")
    with pytest.raises(DataError, match="is not a list of numbers: 'fox'"):
        read(root)
    (root / "map_clsloc.txt").write_text(f"{FOX} kit_fox\n")
    with pytest.raises(DataError, match=r"map_clsloc\.txt is not a list of numbers: 'kit_fox'"):
        read(root)


@pytest.mark.parametrize(
    ("labels", "form"),
    [
        (["0", "278", "278", "0"], "{} {}"),
        (["0", "278", "278", "0"], "val/{}\t{}"),
        (LABELS, "{} {}"),
        (LABELS, "{},{}"),
    ],
)
def test_names_and_labels(root: Path, labels: list[str], form: str) -> None:
    write_named(root / "val.txt", labels, form)
    assert read(root) == LABELS
    assert read(root, num_classes=3) == LABELS


def test_lists_that_do_not_fit(root: Path) -> None:
    with pytest.raises(DataError, match=r"Kaggle's LOC_val_solution.csv, Caffe's val.txt, or"):
        read(root)
    write_named(root / "val.txt", ["0", "1", "2", "1000"])  # from 1, or the number of the image
    with pytest.raises(DataError, match="line 4: '1000' is neither a wnid nor a number from 0"):
        read(root)
    write_named(root / "val.txt", ["0", "1", "2", "99"])
    with pytest.raises(DataError, match="among the 100 of the training images; write wnids"):
        read(root, num_classes=100)
    assert len(read(root, num_classes=99)) == len(read(root, num_classes=1000)) == 4
    (root / "val.txt").write_text(f"{NAMES[0]} {TENCH}\n")
    with pytest.raises(DataError, match=r"val\.txt has no class for val/ILSVRC2012_val_00000002"):
        read(root)
    (root / "val.txt").write_bytes(b"\xff\xff")
    with pytest.raises(DataError, match=r"val\.txt cannot be read"):
        read(root)


def test_kaggles_list_comes_before_caffes(root: Path) -> None:
    write_named(root / "val.txt", ["1", "1", "1", "1"])
    write_named(root / "LOC_val_solution.csv", LABELS, "{},{} 1 2 3 4 ")
    assert read(root) == LABELS
