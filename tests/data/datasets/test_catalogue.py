"""From what people type to a source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets import catalogue as datasets
from alexnet.data.datasets.catalogue import DATASETS, open_source
from alexnet.data.datasets.toyflowers import dataset as toyflowers
from alexnet.data.source import ImageArray, Source
from alexnet.errors import DataError, MissingDataError, UnknownNameError
from alexnet.reporter import ProgressCallback
from support.runs import Witness


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path / "root"))
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    return tmp_path / "cache"


def draw(folder: Path) -> None:
    for split in ("train", "val", "test"):
        for label in ("a", "b"):
            (folder / split / label).mkdir(parents=True)
            Image.new("RGB", (4, 3)).save(folder / split / label / "0000.jpg")


def test_names() -> None:
    assert list(DATASETS) == [
        "toyflowers",
        "flowers17",
        "cifar10",
        "mnist",
        "fashion_mnist",
        "imagenet",
        "tiny_imagenet",
    ]


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "toyflowers"])
def test_what_is_not_here_is_told_in_one_sentence(name: str, cache: Path) -> None:
    with pytest.raises(
        MissingDataError, match=r"fetch https?://|download .* from https://"
    ) as caught:
        open_source(name)
    assert "\n" not in str(caught.value)
    assert not cache.exists() or not [path for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["cifar10", "flowers17", "mnist", "fashion_mnist"])
def test_a_download_is_told(name: str, monkeypatch: pytest.MonkeyPatch, witness: Witness) -> None:
    def download(*_: object, on_progress: ProgressCallback, **__: object) -> Path:
        on_progress(3, 7)
        raise MissingDataError("interrupted")

    module = name.removeprefix("fashion_")
    monkeypatch.setattr(f"alexnet.data.datasets.{module}.download", download)
    with pytest.raises(MissingDataError, match="interrupted"):
        open_source(name, reporter=witness)
    assert witness.progress == {"on_download": [(3, 7)]}


def test_painting_is_told(monkeypatch: pytest.MonkeyPatch, witness: Witness) -> None:
    def write(folder: Path, on_paint: ProgressCallback) -> None:
        draw(folder)
        on_paint(3, 7)

    monkeypatch.setattr(toyflowers, "write", write)
    open_source("toyflowers", reporter=witness)
    assert witness.progress == {"on_paint": [(3, 7)]}


def test_toyflowers_are_drawn_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []

    def write(folder: Path, on_paint: ProgressCallback) -> None:
        drawn.append(folder)
        draw(folder)

    monkeypatch.setattr(toyflowers, "write", write)
    source = open_source("toyflowers", "/nowhere")
    assert (source.name, len(source)) == ("toyflowers", 6)
    assert open_source("toyflowers").fingerprint() == source.fingerprint()
    assert drawn == [cache / "data" / "toyflowers-1"]


def test_toyflowers_that_another_process_draws(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(folder: Path, on_paint: ProgressCallback) -> None:
        draw(folder)
        raise DataError("exists already")

    monkeypatch.setattr(toyflowers, "write", write)
    assert len(open_source("toyflowers")) == 6


def test_toyflowers_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(folder: Path, on_paint: ProgressCallback) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(toyflowers, "write", write)
    with pytest.raises(DataError, match=r"cannot be written: .*No space left"):
        open_source("toyflowers")


def test_folder_and_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    assert len(open_source("photos")) == 6
    assert open_source("./photos/").name == "photos"
    (tmp_path / "few.CSV").write_text("photos/val/a/0000.jpg,a\nphotos/val/b/0000.jpg,b\n")
    assert len(open_source("few.CSV")) == 2
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(open_source("~/photos")) == 6


def test_a_name_wins_over_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingDataError):
        open_source("mnist")
    assert len(open_source("./mnist")) == 6


@pytest.mark.parametrize(
    ("data", "kind", "complaint"),
    [
        ("flowers71", UnknownNameError, r"folder or a list\) 'flowers71'; did you mean flowe"),
        ("xyz", UnknownNameError, "'xyz'; known: cifar10, fashion_mnist"),
        ("", UnknownNameError, "unknown data set"),
        ("some/where", DataError, "there is no folder 'some/where'"),
        ("none.csv", DataError, "there is no file .none.csv"),
        (__file__, DataError, "is a file; give a folder of class folders, an archive of one"),
    ],
)
def test_what_cannot_be_opened(data: str, kind: type[Exception], complaint: str) -> None:
    with pytest.raises(kind, match=complaint):
        open_source(data)


def test_a_spreadsheet_must_be_saved_as_csv(tmp_path: Path) -> None:
    (tmp_path / "list.XLSX").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"is a spreadsheet; save it as CSV \(UTF-8\)"):
        open_source(str(tmp_path / "list.XLSX"))


def test_no_torch_and_no_pyarrow() -> None:
    code = (
        "import sys, alexnet.data.datasets.catalogue; "
        "sys.exit(bool({'torch', 'pyarrow'} & set(sys.modules)))"
    )
    path = str(Path(datasets.__file__).parents[3])
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path})


@pytest.mark.parametrize("label", [2, 200, -1])
def test_a_label_that_is_no_class_names_its_image(label: int) -> None:
    with pytest.raises(DataError, match=rf"^set: train/1 has the label {label}, .* 2 classes"):
        Source(
            name="set", class_names=("a", "b"), names=("train/0", "train/1", "train/2"),
            labels=np.array([0, label, 1]), splits=("train",) * 3,
            images=ImageArray(np.zeros((3, 4, 4), np.uint8)),
        )  # fmt: skip


def test_a_run_folder_is_no_data_set(tmp_path: Path) -> None:
    draw(tmp_path)
    for name in ("config.json", "metrics.jsonl"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(
        DataError, match=r"is a run folder, which holds no data set; alexnet train --resume \S+ res"
    ):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", ["none.csv", "no/list.jsonl", "photos.zip", "x.parquet"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"there is no file '.*'; give a folder"):
        open_source(str(tmp_path / name))
