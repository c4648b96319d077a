"""Classes in the names of files."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import alexnet
from alexnet.config.recipe import Recipe
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.datasets.file_names import find_labels, splits_from_folders, suggest_pattern
from alexnet.data.source import Source
from alexnet.errors import AlexNetError, ConfigError, DataError, UsageError
from support.commands import Command
from support.drawing import draw_all

NAMES = tuple(f"{label}.{i}.jpg" for label in ("cat", "dog") for i in range(4))


def by_names(folder: Path, *names: str, pattern: str = r"^([a-z]+)\.") -> Source:
    """The source of drawn images with classes in their names."""
    draw_all(folder, *names)
    return open_source(str(folder), label_from=pattern)


def test_a_flat_folder_is_refused_with_a_pattern_that_works(tmp_path: Path) -> None:
    draw_all(tmp_path, *(f"train/{name}" for name in NAMES), "test1/1.jpg", "test1/2.jpg")
    with pytest.raises(DataError, match="hold the classes, add --label-from '") as caught:
        open_source(str(tmp_path))
    source = by_names(tmp_path, pattern=str(caught.value).rpartition("--label-from ")[2].strip("'"))
    assert (source.class_names, len(source)) == (("cat", "dog"), 8)
    assert source.splits == ("",) * 8  # train alone
    assert source.skipped == {"no match for --label-from, such as test1/1.jpg": 2}


@pytest.mark.parametrize("pattern", ["^(([a-z]|[a-y])+)+$", "^(" + "a?" * 30 + "a" * 30 + ")$"])
def test_a_pattern_that_takes_for_ever_is_stopped(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.data.datasets.file_names.SEARCH_SECONDS", 0.3)
    pattern = pattern.replace("^((", "^(?P<label>(")
    with pytest.raises(ConfigError, match=r"cannot be searched in 1 names .*within 0.3 seconds"):
        find_labels(pattern, ["a" * 29 + "!.jpg"])


def test_a_slow_pattern_finds_what_it_would_at_once() -> None:
    names = ["red rose.1.jpg", "x/b\udce9.2.jpg", "3.jpg"]
    assert find_labels(r"^(.+?)\.(?:\d+)*\.(?:jpg)*$", names) == ["red rose", "b\udce9", ""]
    assert find_labels(r"^(.+?)\.\d", names) == ["red rose", "b\udce9", ""]


def test_folders_of_splits_stay_splits(tmp_path: Path) -> None:
    source = by_names(tmp_path, "my_train/cat.1.jpg", "my_train/dog.1.jpg", "my_test/cat.2.jpg")
    assert Counter(source.splits) == {"train": 2, "test": 1}
    assert source.class_names == ("cat", "dog")


def test_parts_of_a_data_set_are_joined_by_the_flag_that_their_refusal_names(
    tmp_path: Path,
) -> None:
    draw_all(tmp_path, "A/cat/1.jpg", "A/dog/1.jpg", "B/cat/1.jpg", "B/dog/1.jpg")
    with pytest.raises(DataError, match="hold the same folders") as caught:
        open_source(str(tmp_path))
    by_parent, by_top = (part.split("'")[1] for part in str(caught.value).split("from ")[1:])
    assert by_names(tmp_path, pattern=by_parent).class_names == ("cat", "dog")
    assert by_names(tmp_path, pattern=by_top).class_names == ("A", "B")


def test_what_matches_nothing_or_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"matches none of .*'s images, such as 1.jpg"):
        by_names(tmp_path, "1.jpg")
    with pytest.raises(UsageError, match="--label-from is for folders of images, and 'mnist' is n"):
        open_source("mnist", label_from="(a)")
    with pytest.raises(AlexNetError, match="has 0 groups"):
        by_names(tmp_path, pattern="a")


def test_splits_of_paths() -> None:
    assert splits_from_folders(["x/train/a.jpg", "x/dev/a.jpg"]) == ["train", "val"]
    assert splits_from_folders(["seg_train/1.jpg", "seg_test/1.jpg"]) == ["train", "test"]
    assert splits_from_folders(["seg_train/1.jpg", "my_test/1.jpg"]) == ["", ""]
    assert splits_from_folders(["train/a.jpg", "plane/a.jpg"]) == ["", ""]
    assert splits_from_folders(["train/a.jpg", "train/b.jpg"]) == ["", ""]
    assert splits_from_folders(["train.jpg"]) == [""]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["Maine_Coon_1.jpg", "Maine_Coon_2.jpg", "pug_1.jpg", "pug_2.jpg"], r"^(.+?)[\W_]*\d"),
        (["rose (1).jpg", "rose (2).jpg", "lily (1).jpg", "lily (2).jpg"], r"^(.+?)[\W_]*\d"),
        (["0001_a.jpg", "0001_b.jpg", "0002_a.jpg", "0002_b.jpg"], r"^(\d+)[ ._-]"),
        (["rose-a.jpg", "rose-b.jpg", "lily-a.jpg", "lily-b.jpg"], r"^([^ ._-]+)[ ._-]"),
        (["IMG_0001.jpg", "IMG_0002.jpg", "IMG_0003.jpg", "IMG_0004.jpg"], ""),
        (["1.jpg", "2.jpg"], ""),
    ],
)
def test_a_pattern_is_suggested_if_it_finds_few_classes(names: list[str], pattern: str) -> None:
    assert suggest_pattern(names) == pattern


@pytest.mark.usefixtures("no_plots")
def test_a_run_keeps_the_pattern_for_its_evaluation(
    command: Command, tiny: Recipe, flowers: Path, tmp_path: Path
) -> None:
    for path in sorted(flowers.glob("*/[rt]*/*.jpg")):
        split, label = path.parts[-3:-1]
        (tmp_path / "flat" / split).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "flat" / split / f"{label}_{path.name}")
    options = replace(tiny.data_options, label_from="^([a-z]+)_")
    recipe = replace(tiny, data=str(tmp_path / "flat"), data_options=options, epochs=1)
    run = alexnet.train(recipe, out=tmp_path / "run")
    classifier = alexnet.load(run.folder.path)
    assert len(classifier.class_names) > 1
    assert alexnet.evaluate(classifier, str(tmp_path / "flat"), split="val").num_images > 1
    moved = tmp_path / "flat" / "test"
    told = command("evaluate", run.folder.path, "--data", moved, "--label-from", "^([a-z]+)_")
    assert (told.code, told.out[:11]) == (0, "test, all: ")
