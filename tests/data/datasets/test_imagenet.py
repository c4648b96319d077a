"""ImageNet's layouts, with four classes and two training images each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from alexnet.data.datasets.catalogue import open_source
from alexnet.data.datasets.imagenet import imagenet_source, tiny_imagenet_source
from alexnet.data.source import Source
from alexnet.errors import DataError, MissingDataError

WNIDS = ("n01440764", "n01443537", "n02012849", "n03126707")
NAMES = ("tench", "goldfish", "crane (n02012849)", "crane (n03126707)")
PLACES = (0, 1, 134, 517)
VAL = [f"ILSVRC2012_val_{number:08d}" for number in range(1, 5)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that --data imagenet finds."""
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path))
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "imagenet").mkdir()
    return tmp_path / "imagenet"


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3)).save(path, "JPEG")


def write_classes(folder: Path, inner: str = "") -> None:
    for wnid in WNIDS:
        for number in range(2):
            write_image(folder / wnid / inner / f"{wnid}_{number}.JPEG")


def write_flat(folder: Path) -> None:
    """One image per class, in the order of the classes."""
    for name in VAL:
        write_image(folder / f"{name}.JPEG")


def write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def kaggle(root: Path) -> None:
    images = root / "ILSVRC" / "Data" / "CLS-LOC"
    write_classes(images / "train")
    write_flat(images / "val")
    write_image(images / "test" / "ILSVRC2012_test_00000001.JPEG")
    rows = [
        f"{name},{wnid} 1 2 30 40 {wnid} 5 6 70 80 " for name, wnid in zip(VAL, WNIDS, strict=True)
    ]
    write_lines(root / "LOC_val_solution.csv", ["ImageId,PredictionString", *reversed(rows)])


def torchvision(root: Path) -> None:
    write_classes(root / "train")
    for name, wnid in zip(VAL, WNIDS, strict=True):
        write_image(root / "val" / wnid / f"{name}.JPEG")


def caffe(root: Path) -> None:
    write_classes(root / "train")
    write_flat(root / "val")
    lines = [f"{name}.JPEG {place}" for name, place in zip(VAL, PLACES, strict=True)]
    write_lines(root / "meta" / "val.txt", lines)


def hugging_face(root: Path) -> None:
    for wnid in WNIDS:
        for number in range(2):
            write_image(root / "train" / f"{wnid}_{number}_{wnid}.JPEG")
    for name, wnid in zip(VAL, WNIDS, strict=True):
        write_image(root / "val" / f"{name}_{wnid}.JPEG")


def tensorflow(root: Path) -> None:
    write_classes(root / "train")
    write_flat(root / "validation")
    write_lines(root / "imagenet_2012_validation_synset_labels.txt", list(WNIDS))


def tiny(root: Path) -> None:
    write_classes(root / "train", "images")
    for wnid in WNIDS:
        (root / "train" / wnid / f"{wnid}_boxes.txt").touch()
    for number in range(4):
        write_image(root / "val" / "images" / f"val_{number}.JPEG")
        write_image(root / "test" / "images" / f"test_{number}.JPEG")
    lines = [f"val_{i}.JPEG\t{wnid}\t0\t32\t44\t62" for i, wnid in enumerate(WNIDS)]
    write_lines(root / "val" / "val_annotations.txt", lines)


def in_parts(root: Path) -> None:
    for wnid, part in zip(WNIDS, (1, 1, 2, 3), strict=True):
        for number in range(2):
            write_image(root / f"train.X{part}" / wnid / f"{wnid}_{number}.JPEG")
        write_image(root / "val.X" / wnid / "1.JPEG")


def devkit(root: Path) -> None:
    write_classes(root / "ILSVRC2012_img_train")
    write_flat(root / "ILSVRC2012_img_val")
    folder = root / "ILSVRC2012_devkit_t12" / "data"
    write_lines(folder / "ILSVRC2012_validation_ground_truth.txt", ["3", "4", "1", "2"])
    write_lines(
        folder / "map_clsloc.txt", [f"{WNIDS[i]} {n} x" for n, i in enumerate((2, 3, 0, 1), 1)]
    )


LAYOUTS = [kaggle, torchvision, caffe, hugging_face, tensorflow, tiny, in_parts, devkit]


def labels(source: Source, split: str) -> list[str]:
    """The class names of the images of a split."""
    pairs = zip(source.labels, source.splits, strict=True)
    return [source.class_names[label] for label, name in pairs if name == split]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(root: Path, layout: Callable[[Path], None]) -> None:
    layout(root)
    source = imagenet_source()
    assert (source.name, source.class_names) == ("imagenet", NAMES)
    assert labels(source, "train") == [name for name in NAMES for _ in range(2)]
    assert labels(source, "val") == list(NAMES)
    assert len(source) == 12
    with source.images.open(11) as image:
        assert image.size == (4, 3)
    by_path = open_source(str(root))
    assert by_path.fingerprint() == source.fingerprint() == imagenet_source().fingerprint()


@pytest.mark.parametrize("folder", ["", "ILSVRC", "ILSVRC/Data", "ILSVRC/Data/CLS-LOC"])
def test_kaggles_folders(root: Path, folder: str) -> None:
    kaggle(root)
    source = open_source(str(root / folder))
    assert (source.class_names, labels(source, "val")) == (NAMES, list(NAMES))
    assert source.skipped == {"test image without a label": 1}
    assert source.notes == ("the labels of val are from LOC_val_solution.csv",)
    assert imagenet_source(str(root / folder)).fingerprint() == source.fingerprint()


@pytest.mark.parametrize(
    ("layout", "folder"),
    [(kaggle, "ILSVRC/Data/CLS-LOC/val"), (devkit, "ILSVRC2012_img_val"), (hugging_face, "val")],
)
def test_the_validation_images_alone(
    root: Path, layout: Callable[[Path], None], folder: str
) -> None:
    layout(root)
    source = open_source(str(root / folder))
    assert (labels(source, "val"), len(source)) == (list(NAMES), 4)
    unlabelled = open_source(str(root / folder), allow_unlabelled=True)
    assert not unlabelled.is_labelled


def test_kaggles_list_by_its_path(root: Path) -> None:
    kaggle(root)
    for path in (root / "ILSVRC/Data/CLS-LOC/val").iterdir():
        path.rename(root / path.name)
    source = open_source(str(root / "LOC_val_solution.csv"))
    assert (source.class_names, source.labels.tolist()) == (NAMES, [0, 1, 2, 3])


@pytest.mark.parametrize("layout", [kaggle, torchvision, caffe])
def test_val_without_train(root: Path, layout: Callable[[Path], None]) -> None:
    layout(root)
    for folder in list(root.rglob("train")):
        shutil.rmtree(folder)
    source = imagenet_source()
    assert (set(source.splits), labels(source, "val")) == ({"val"}, list(NAMES))


@pytest.mark.parametrize("outer", ["tiny", "unpacked/2024/tiny"])
@pytest.mark.parametrize("layout", [tiny, caffe, kaggle])
def test_folders_around_it(root: Path, outer: str, layout: Callable[[Path], None]) -> None:
    (root.parent / "whole" / outer).parent.mkdir(parents=True)
    layout(root)
    plain = open_source(str(root))
    root.rename(root.parent / "whole" / outer)
    wrapped = open_source(str(root.parent / "whole"))
    assert (wrapped.splits, wrapped.class_names) == (plain.splits, plain.class_names)
    assert wrapped.skipped == plain.skipped
    assert "val" in wrapped.splits


def test_the_validation_images_of_tiny_imagenet_alone(root: Path) -> None:
    tiny(root)
    whole, val = open_source(str(root)), open_source(str(root / "val"))
    assert set(val.splits) == {"val"}
    assert labels(val, "val") == labels(whole, "val")


def test_one_class_in_a_folder_is_a_class(root: Path) -> None:
    write_image(root / WNIDS[0] / f"{WNIDS[0]}_1.JPEG")
    assert set(open_source(str(root)).splits) == {""}


def test_train_without_val_is_left_to_the_recipe(root: Path) -> None:
    write_classes(root / "train")
    assert imagenet_source().splits == ("",) * 8


def test_an_empty_val_is_said(root: Path) -> None:
    write_classes(root / "train")
    (root / "val").mkdir()
    assert imagenet_source().notes == ("val has no images",)


def test_classes_of_val_that_are_not_in_train(root: Path) -> None:
    torchvision(root)
    write_image(root / "val" / "n01484850" / "1.JPEG")
    assert imagenet_source().class_names[2] == "great white shark"


def test_subsets_have_readable_names(root: Path) -> None:
    write_classes(root / "some")
    assert open_source(str(root / "some")).class_names == NAMES
    write_lines(root / "list.csv", ["path,label"] + [f"some/{w}/{w}_0.JPEG,{w}" for w in WNIDS])
    assert open_source(str(root / "list.csv")).class_names == NAMES
    (root / "some" / WNIDS[0]).rename(root / "some" / "mine")
    assert open_source(str(root / "some")).class_names == ("mine", *WNIDS[1:])


def test_other_folders_are_not_imagenet(root: Path) -> None:
    write_classes(root / "train")
    write_classes(root / "val")
    for split in ("train", "val"):
        write_image(root / split / "mine" / "1.JPEG")
    assert open_source(str(root)).class_names == ("mine", *WNIDS)


def test_tiny_imagenet_by_name(root: Path) -> None:
    tiny(root.with_name("tiny-imagenet-200"))
    source = tiny_imagenet_source()
    assert (source.name, labels(source, "val")) == ("tiny_imagenet", list(NAMES))
    assert source.skipped == {".txt": 5, "test image without a label": 4}
    assert open_source("tiny_imagenet").fingerprint() == source.fingerprint()


def test_names_of_synsets_that_are_not_in_imagenet(root: Path) -> None:
    write_image(root / "val" / "n00000001" / "1.JPEG")
    write_image(root / "val" / "n00000002" / "1.JPEG")
    write_lines(root / "words.txt", ["n00000001\tentity, thing", "n01440764\tignored"])
    assert imagenet_source().class_names == ("entity (n00000001)", "n00000002")
    write_lines(root / "words.txt", ["tench"])
    with pytest.raises(DataError, match="line 1: 'tench' does not begin with a wnid"):
        imagenet_source()


def test_resized_images(root: Path) -> None:
    caffe(root)
    for path in (root / "val").iterdir():
        path.rename(path.with_suffix(".png"))
    assert labels(open_source(str(root)), "val") == list(NAMES)


def test_class_archives_are_to_be_unpacked(root: Path) -> None:
    (root / "train").mkdir()
    for wnid in WNIDS:
        (root / "train" / f"{wnid}.tar").touch()
    told = r"no images in class .*; 4 archives in .*train, such as n01440764\.tar, are not read: "
    with pytest.raises(DataError, match=told):
        open_source(str(root))
    write_classes(root / "val")
    source = imagenet_source()
    assert set(source.splits) == {"val"}
    assert source.notes[0].startswith("4 archives in")
    assert source.skipped == {"not a class folder": 4}


def test_an_empty_class_folder_is_counted(root: Path) -> None:
    torchvision(root)
    (root / "train" / "n09999999").mkdir()
    source = imagenet_source()
    assert source.class_names == NAMES
    assert source.skipped == {"class folder without images": 1}


def test_what_is_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"neither train/ nor val/ with class folders such as n0"):
        imagenet_source()
    (root / "train" / "n01440764").mkdir(parents=True)
    with pytest.raises(DataError, match="has no images in class folders"):
        imagenet_source()
    monkeypatch.setenv("ALEXNET_DATA", str(root.parent / "empty"))
    with pytest.raises(MissingDataError, match=r"ImageNet is not here: .*image-net.org"):
        imagenet_source()
    with pytest.raises(MissingDataError, match=r"Tiny ImageNet is not here: .*cs231n"):
        tiny_imagenet_source()


def test_no_file_is_asked_for_its_status(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kaggle(root)
    asked: list[str] = []
    real = Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        asked.append(self.name)
        return real(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    imagenet_source()
    assert not [name for name in asked if name.endswith(".JPEG")]
