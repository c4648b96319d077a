"""`data` end to end: stores, findings, splits, sheets."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config.augmentation import NO_AUGMENTATION
from alexnet.config.presets import FINETUNE, PRESETS
from alexnet.config.recipe import Recipe
from alexnet.data.datasets.folder import folder_source
from alexnet.data.store.store import open_store
from alexnet.errors import UsageError
from support.commands import Command
from support.noise_stores import noise


def test_data_prepare(command: Command, flowers: Path, cache: Path) -> None:
    told = command("data", "prepare", flowers, "--resize-size", 32)
    assert told.code == 0
    assert "60 images (12 test, 36 train, 12 val) of 12 classes: bellflower, " in told.out
    assert str(cache / "stores") in told.out
    assert "prepared 60 of 60" in told.err
    smaller = "--resize-size 32 --crop-size 32"
    assert told.err.endswith(f"next      alexnet train {flowers} {smaller}\n")
    again = command("data", "prepare", flowers, "--resize-size", 32, "--json")
    summary = json.loads(again.out)
    assert again.err == ""
    assert {"store", "num_images", "num_classes", "splits", "rejected", "skipped"} <= set(summary)
    assert (Path(summary["store"]) / "images.npy").is_file()
    assert summary["splits"] == {"train": 36, "val": 12, "test": 12}


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("cifar10", ""),
        ("cifar10 --resize-size 150", " --resize-size 150"),
        ("cifar10 --resize-size 16", " --resize-size 16 --crop-size 16"),
        ("mnist --resize stretch --store-format jpeg", " --resize stretch --store-format jpeg"),
        ("flowers17", ""),
        ("flowers17 --resize shortest_edge --resize-size 256", ""),
    ],
)
def test_data_prepare_builds_the_store_of_the_command_that_it_names(
    command: Command, flowers: Path, monkeypatch: pytest.MonkeyPatch, words: str, changes: str
) -> None:
    source = folder_source(flowers)
    monkeypatch.setattr("alexnet.cli.data.open_source", lambda *_, **__: source)
    monkeypatch.setattr("alexnet.training.dry_run.time_steps", lambda _: 1.0)
    told = command("data", "prepare", *words.split())
    assert told.err.endswith(f"next      alexnet train {words.split()[0]}{changes}\n")
    info = open_store(Path(re.findall(r"^store (\S+)", told.out, re.MULTILINE)[0])).info
    train_words = told.err.splitlines()[-1].split()[2:]
    recipe = json.loads(command(*train_words, "--dry-run", "--json").out)["recipe"]
    options = [recipe["data_options"][key] for key in ("resize", "resize_size", "store_format")]
    assert [info.resize, info.side, info.store_format] == options


def test_data_check_exits_1_for_a_fault(command: Command, flowers: Path, tmp_path: Path) -> None:
    clean = command("data", "check", flowers)
    assert clean.code == 0
    assert "60 images, 5 of each class" in clean.out
    assert clean.err.endswith(f"next      alexnet train {flowers}\n")
    broken = Path(shutil.copytree(flowers, tmp_path / "broken"))
    (broken / "train" / "rose" / "0001.jpg").write_bytes(b"?")
    shutil.copy(broken / "train" / "lily" / "0000.jpg", broken / "test" / "lily" / "twin.jpg")
    (broken / "train" / ".hidden").touch()
    told = command("data", "check", broken, "--json")
    summary = json.loads(told.out)
    assert told.code == 1
    assert summary["skipped"] == {"hidden": 1}
    assert {(f["issue"], f["is_fault"]) for f in summary["findings"]} >= {
        ("unreadable", True), ("duplicate_across_splits", True),
    }  # fmt: skip
    text = command("data", "check", broken)
    assert text.code == 1
    assert "train/rose/0001.jpg" in text.out
    assert "faults: 2, warnings: 0" in text.out
    assert "next " not in text.err, "first it is to be repaired"


def test_data_check_goes_on_after_an_empty_class(command: Command, tmp_path: Path) -> None:
    for i in range(6):
        noise(tmp_path / "photos" / "ab"[i % 2] / f"{i}.png", i)
    (tmp_path / "photos" / "a" / "7.png").write_bytes(b"?")
    (tmp_path / "photos" / "c").mkdir()
    told = command("data", "check", tmp_path / "photos", "--json")
    facts = json.loads(told.out)
    assert (facts["class_names"], facts["classes_without_images"]) == (["a", "b"], {"all": ["c"]})
    found = [(one["issue"], one["name"]) for one in facts["findings"]]
    assert (told.code, found[:2]) == (1, [("empty_class", "c"), ("unreadable", "a/7.png")])
    text = command("data", "check", tmp_path / "photos").out
    assert "photos/c' has no images; fill or remove that folder" in text
    assert "fill or remove that folder" in command("train", tmp_path / "photos").err


def test_data_check_says_what_a_list_left_open(command: Command, tmp_path: Path) -> None:
    for i in range(4):
        noise(tmp_path / f"{i}.png", i)
    lines = "".join(f"{i};{'ab'[i % 2]};7\n" for i in range(4))
    (tmp_path / "list.csv").write_text(f"file;class;width\n{lines}")
    told = command("data", "check", tmp_path / "list.csv")
    assert told.code == 0
    assert "note: columns not used: 'width'" in told.out
    assert "note: paths were completed: '0' is '0.png'" in told.out
    notes = json.loads(command("data", "check", tmp_path / "list.csv", "--json").out)["notes"]
    assert len(notes) == 2


def test_data_split_writes_what_train_reads(
    command: Command, flowers: Path, tmp_path: Path
) -> None:
    words = ("--test-fraction", 0.34, "--val-fraction", 0.5, "--seed", 4)
    folder = command("data", "split", flowers / "train", tmp_path / "parts", *words, "--json")
    table = command("data", "split", flowers / "train", tmp_path / "parts.csv", *words)
    assert (folder.code, table.code) == (0, 0)
    assert json.loads(folder.out)["splits"] == {"train": 12, "val": 12, "test": 12}
    assert "12 train, 12 val, 12 test" in table.out
    assert table.err.endswith(f"next      alexnet train {tmp_path / 'parts.csv'}\n")
    for data in ("parts", "parts.csv"):
        told = command("data", "prepare", tmp_path / data, "--resize-size", 8, "--json")
        summary = json.loads(told.out)
        assert summary["splits"] == {"train": 12, "val": 12, "test": 12}


def test_data_split_by_hash_keeps_each_image_in_its_part(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.progress.SECONDS_PER_COUNT", -1.0)

    def parts(count: int, out: str) -> dict[str, str]:
        for i in range(count):
            noise(tmp_path / "set" / "ab"[i % 2] / f"{i}.png", i, (8, 8))
        told = command("data", "split", tmp_path / "set", tmp_path / out, "--split", "hash")
        assert told.code == 0
        assert f"hashed 1 of {count} images\n" in told.err
        with (tmp_path / out).open(newline="") as file:
            return {Path(row["path"]).name: row["split"] for row in csv.DictReader(file)}

    before, now = parts(30, "before.csv"), parts(50, "now.csv")
    assert set(before.values()) == {"train", "val", "test"}
    assert (len(now), {name: now[name] for name in before}) == (50, before)


def test_data_split_keeps_copies_together(command: Command, tmp_path: Path) -> None:
    for i in range(12):
        path = tmp_path / "set" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(path, i)
        again = path.with_name(f"copy-{i}.bmp")  # of the same pixels in another format
        Image.open(path).save(again)
    told = command("data", "split", tmp_path / "set", tmp_path / "parts.csv", "--seed", 3)
    assert "note: 24 images have copies, which are in the same part; alexnet data check" in told.out
    with (tmp_path / "parts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    split_of = {Path(row["path"]).stem.removeprefix("copy-"): set() for row in rows}
    for row in rows:
        split_of[Path(row["path"]).stem.removeprefix("copy-")].add(row["split"])
    assert len(rows) == 24
    assert all(len(splits) == 1 for splits in split_of.values())
    assert {"train", "test"} <= {row["split"] for row in rows}


def test_data_split_refuses_a_file_that_exists_before_it_reads_images(
    command: Command, flowers: Path, tmp_path: Path
) -> None:
    (tmp_path / "parts.csv").touch()
    told = command("data", "split", flowers / "train", tmp_path / "parts.csv")
    assert told.err == f"alexnet: {tmp_path / 'parts.csv'} exists; choose another path\n"


def test_data_split_writes_no_list_of_an_archive(
    command: Command, flowers: Path, tmp_path: Path
) -> None:
    shutil.make_archive(str(tmp_path / "photos"), "zip", flowers / "train")
    told = command("data", "split", tmp_path / "photos.zip", tmp_path / "photos.csv")
    assert (told.code, told.out) == (2, "")
    assert told.err.endswith("write a new folder, or unpack the archive first\n")
    assert not (tmp_path / "photos.csv").exists()
    told = command("data", "split", tmp_path / "photos.zip", tmp_path / "parts")
    assert told.code == 0


def test_data_split_refuses_what_is_split_already(
    command: Command, flowers: Path, tmp_path: Path
) -> None:
    told = command("data", "split", flowers, tmp_path / "parts")
    assert (told.code, told.out) == (2, "")
    assert told.err == "alexnet: flowers has its own split; use it as it is\n"
    assert not (tmp_path / "parts").exists()


@pytest.mark.slow
def test_data_show_draws_a_sheet(command: Command, flowers: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    told = command("data", "show", flowers, "--num-classes", 2, "--num-samples", 2, "--out", sheet)
    assert (told.code, told.out) == (0, f"{sheet}\n")
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert image.width > image.height
        assert len(np.unique(np.asarray(image.convert("L")))) > 50
    words = ("--num-classes", 1, "--num-samples", 0, "--out", sheet, "--json")
    facts = json.loads(command("data", "show", flowers, *words).out)
    assert (facts["plot"], facts["class_names"]) == (str(sheet), ["bellflower"])


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipes whose images `data show` would plot."""
    recipes: list[Recipe] = []

    def preview(recipe: Recipe, *_: object) -> None:
        recipes.append(recipe)
        raise UsageError("seen")

    monkeypatch.setattr("alexnet.training.preview.augmentation_preview", preview)
    return recipes


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ("photos/", FINETUNE),
        ("photos/ --arch alexnet_owt", FINETUNE),
        ("photos/ --arch alexnet_bn", PRESETS["quickstart"]),
        ("photos/ --preset flowers17", PRESETS["flowers17"]),
        ("flowers17", PRESETS["flowers17"]),
        ("mnist", PRESETS["quickstart"]),
    ],
)
def test_data_show_shows_what_the_same_words_train(
    command: Command, shown: list[Recipe], words: str, start: Recipe
) -> None:
    command("data", "show", *words.split())
    found = [(one.data_options, one.augment, one.arch, one.model) for one in shown]
    assert found == [(start.data_options, start.augment, start.arch, start.model)]
    assert shown[0].data == words.split()[0]


def test_data_show_takes_the_flags_of_augmentation(command: Command, shown: list[Recipe]) -> None:
    """They change the augmentation of the preset, also where they are another preset's defaults."""
    words = "photos --preset notebook --min-scale 0.5 --rand-augment 2 9 --vertical-flip"
    assert command("data", "show", *words.split()).err == "alexnet: seen\n"
    augment = replace(NO_AUGMENTATION, min_scale=0.5, rand_augment=(2, 9), vertical_flip=True)
    assert [recipe.augment for recipe in shown] == [augment]
    assert "--mixup -1.0" in command("data", "show", "photos", "--mixup", "-1").err
