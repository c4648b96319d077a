"""Which folders are classes and which are splits: recognized, or refused with the way out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from alexnet.data.datasets.folder_layout import ClassFolder, find_class_folders
from alexnet.errors import DataError

CLASSES = ("cat", "dog")


def write(folder: Path, *names: str) -> Path:
    """Empty files; what they hold does not matter here. "a/b/*" is one in each of two classes."""
    for name in names:
        paths = [name.replace("*", f"{c}/1.jpg") for c in CLASSES] if "*" in name else [name]
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    return folder


def found(folder: Path, *names: str) -> dict[str, tuple[str, ...]]:
    """Class names by split."""
    splits: dict[str, tuple[str, ...]] = {}
    for _, label, split in find_class_folders(write(folder, *names), Counter()):
        splits[split] = (*splits.get(split, ()), label)
    return splits


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Training", "", "Testing"),
        ("training_set", "", "test_set"),
        ("seg_train/seg_train", "", "seg_test/seg_test"),
        ("my_train", "my_val", ""),
        ("trainset", "valset", "testset"),
        ("train_images", "", "test1"),
        ("TrainingData", "", "TestData"),
        ("train", "dev", "holdout"),
        ("train", "eval", ""),
        ("Train Set", "Validation Set", "Hold-Out Set"),
        ("flowers17-train", "flowers17-valid", ""),
        ("train/train", "val/val", ""),
        ("train/images", "val/images", ""),
        ("data/train", "data/val", "data/test"),
        ("a/b/TRAIN", "a/b/VAL", ""),
        ("train", "", "my_test"),
        ("archive/photos/train1", "", "archive/photos/test1"),
    ],
)
def test_splits_in_the_forms_that_people_use(
    tmp_path: Path, train: str, val: str, test: str
) -> None:
    splits = {
        split: name
        for split, name in zip(("train", "val", "test"), (train, val, test), strict=True)
        if name
    }
    names = [f"{name}/*" for name in splits.values()]
    assert found(tmp_path, *names, "__MACOSX/a/._b", "README.md") == dict.fromkeys(splits, CLASSES)


@pytest.mark.parametrize(
    "name", ["*", "photos/*", "data/train/*", "train/*", "a/b/c/*", "seg_train/seg_train/*"]
)
def test_classes_without_splits(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, name, "notes.txt") == {"": CLASSES}


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("train/1.jpg", "plane/1.jpg", "car/1.jpg"), ("car", "plane", "train")),
        (
            ("test tube/1.jpg", "training shoes/1.jpg", "evaluation/1.jpg"),
            ("evaluation", "test tube", "training shoes"),
        ),
        (
            ("test tube/big/1.jpg", "training shoes/red/1.jpg", "cup/2.jpg"),
            ("cup", "test tube", "training shoes"),
        ),
        (("cat/images/1.jpg", "dog/images/1.jpg"), CLASSES),
        (("cat/1.jpg", "cat/a/1.jpg", "dog/2.jpg", "dog/a/1.jpg"), CLASSES),
        (("cat/deep/er/1.jpg",), ("cat",)),
        (("test tube/1.jpg",), ("test tube",)),
        (("animals/cat/1.jpg", "cars/taxi/1.jpg"), ("animals", "cars")),
        (("a/x/1.jpg", "b/x/1.jpg", "c/1.jpg", "d/1.jpg", "e/1.jpg"), tuple("abcde")),
    ],
)  # fmt: skip
def test_classes_with_names_or_folders_of_splits(
    tmp_path: Path, names: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    assert found(tmp_path, *names) == {"": classes}


def test_parts_of_one_split_are_one(tmp_path: Path) -> None:
    splits = found(tmp_path, "train_1/*", "train_2/*", "test/*")
    assert splits == {"train": CLASSES * 2, "test": CLASSES}


def test_splits_may_be_below_the_classes(tmp_path: Path) -> None:
    names = [f"{label}/{split}/1.jpg" for label in CLASSES for split in ("Training", "test")]
    folders = find_class_folders(write(tmp_path, *names), Counter())
    assert folders[0] == ClassFolder("cat/Training", "cat", "train")
    assert {(label, split) for _, label, split in folders} == {
        (label, split) for label in CLASSES for split in ("train", "test")
    }


def test_what_is_beside_the_data_is_counted(tmp_path: Path) -> None:
    skipped: Counter[str] = Counter()
    names = ("d/train/*", "d/test/*", "d/pred/1.jpg", "d/pred/x/2.jpg", "d/a.md", "d/train/b.jpg")
    assert len(find_class_folders(write(tmp_path, *names), skipped)) == 4
    assert +skipped == {"outside the splits": 2, ".md": 1, "not in a class folder": 1}


def test_layouts_of_well_known_data_sets(tmp_path: Path) -> None:
    xray = ("train/*", "val/*", "test/*", "xray/train/*", "xray/val/*", "__MACOSX/xray/._a")
    assert found(tmp_path / "xray", *xray) == dict.fromkeys(("train", "val", "test"), CLASSES)
    signs = ("asl_train/asl_train/*", "asl_test/asl_test/cat_test.jpg")
    assert found(tmp_path / "signs", *signs) == {"": CLASSES}
    fruits = ("Training/*", "Test/*", "test-multiple_fruits/1.jpg", "readme.md")
    assert found(tmp_path / "fruits", *fruits) == {"train": CLASSES, "test": CLASSES}


def test_annotations_beside_the_images_are_no_class(tmp_path: Path) -> None:
    names = ("Images/*", "Annotation/cat/1.xml", "lists/train.txt")
    assert found(tmp_path, *names) == {"": CLASSES}


@pytest.mark.parametrize(
    "names",
    [
        ("cat.0.jpg", "dog.0.jpg"),
        ("train/cat.0.jpg", "train/dog.0.jpg"),
        ("train/cat.0.jpg", "test1/1.jpg"),
        ("my_train/cat.0.jpg", "my_test/1.jpg"),
        ("images/cat_1.jpg", "annotations/cat_1.xml"),
        ("images/train/1.jpg", "images/val/1.jpg", "labels/train/1.txt"),
        ("train/images/1.jpg", "train/labels/1.txt", "val/images/1.jpg"),
        ("notes.txt",),
    ],
)
def test_images_in_no_class_folders(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert found(tmp_path, *names) == {}


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (("A/*", "B/*"), r"A, B hold the same folders \(cat, dog\), as splits do\. Name them"),
        ((*(f"fold{i}/*" for i in range(5)),), r"fold0, fold1, fold2, \.\.\. hold the same"),
        (("2019/*", "2020/*", "2020/x.jpg"), "2019, 2020 hold the same folders"),
        (("A/*", "B/cat/1.jpg", "B/cow/1.jpg"), r"A, B hold the same folders \(cat\)"),
        (("p/A/*", "p/B/*"), r"--label-from '\^p/\(\[\^/\]\+\)/' makes A a class"),
        (("train/*", "val/*", "validation/*"), "'val' and 'validation' would both be the val spl"),
        (("train/*", "test/*", "testing/*"), "'test' and 'testing' would both be the test split"),
        (("train/*", "plane/1.jpg", "car/1.jpg"), r"is 'train' a split or a class\? .*cat, dog,"),
        (("seg_train/*", "seg_pred/1.jpg"), "is 'seg_train' a split or a class"),
        (("seg_train/*", "other/x/1.jpg"), "is 'seg_train' a split or a class"),
        (("data/train/*", "data/test/*", "docs/1.jpg"), r"of a data set, and is itself .*--data"),
        (("*", "set/*"), r"/set holds the folders cat, dog of a data set, .* or move it away$"),
        (("train/*", "train/train/*", "test/*"), r"/train/train holds the folders cat, dog of a"),
        (("rps/*", "rps-test-set/*"), "is 'rps-test-set' a split or a class"),
        (("data/*", "docs/1.jpg"), r"/data holds the folders cat, dog of a data set"),
        (("cat/train/1.jpg", "cat/test/1.jpg", "dog/1.jpg"), "'cat' holds folders of splits"),
        (("train/train/*", "train/val/*", "test/*"), "is a split's folder and holds folders of"),
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_refused(
    tmp_path: Path, names: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        found(tmp_path, *names)
    assert "\n" not in str(caught.value)


def test_links_that_lead_back_end(tmp_path: Path) -> None:
    write(tmp_path, "train/*", "loop/notes.txt")
    (tmp_path / "loop" / "up").symlink_to(tmp_path / "loop")
    (tmp_path / "train" / "cat" / "up").symlink_to(tmp_path)
    assert found(tmp_path) == {"": CLASSES}
