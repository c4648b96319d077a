"""Parquet files of images and labels, as Hugging Face and pandas write them."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from alexnet.config.preprocessing import StoredForm
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.datasets.image_lists import parquet, parquet_images
from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.source import Source
from alexnet.data.store.build import prepare
from alexnet.errors import DataError, UsageError
from support.drawing import draw_all
from support.noise_stores import TINY_FORM


def png(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


def reds(source: Source) -> list[int]:
    found = []
    for index in range(len(source)):
        with source.images.open(index) as image:
            found.append(int(np.asarray(image)[0, 0, 0]))
    return found


def structs(*values: int) -> list[dict[str, Any]]:
    return [{"bytes": png(value), "path": f"{value}.png"} for value in values]


def write(path: Path, columns: dict[str, Any], names: dict[str, list[str]] | None = None) -> Path:
    """A file of two rows per row group, with Hugging Face's schema where classes have names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if names:
        features = {c: {"names": n, "_type": "ClassLabel"} for c, n in names.items()}
        schema = json.dumps({"info": {"features": {**features, "image": {"_type": "Image"}}}})
        table = table.replace_schema_metadata({"huggingface": schema})
    pq.write_table(table, path, row_group_size=2)
    return path


def test_hugging_face_bytes_and_class_names(tmp_path: Path) -> None:
    columns = {"image": structs(10, 20, 30, 40, 50), "label": [1, 0, 1, -1, 0]}
    source = list_source(write(tmp_path / "x.parquet", columns, {"label": ["rose", "iris"]}))
    assert source.class_names == ("iris", "rose")
    assert source.labels.tolist() == [0, 1, 0, 1]
    assert source.names[:2] == ("x.parquet/000000", "x.parquet/000001")
    assert source.splits == ("",) * 4
    assert source.skipped == {"rows without a label": 1}
    assert reds(source) == [10, 20, 30, 50]


def test_rows_of_paths_without_a_label_are_counted(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(png(10))
    columns = {"path": ["a.png", "b.png"], "label": [0, -1]}
    source = list_source(write(tmp_path / "x.parquet", columns, {"label": ["rose"]}))
    assert (source.names, source.skipped) == (("a.png",), {"rows without a label": 1})


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ([png(10), png(20), png(30)], ["a", "b", "a"]),
        (pa.array([png(10), png(20), png(30)], pa.large_binary()), [True, False, True]),
        (structs(10, 20, 30), pa.array(["a", "b", "a"]).dictionary_encode()),
        ([{"bytes": png(v)} for v in (10, 20, 30)], [3, 2, 3]),
        (structs(10, 20, 30), [3.0, 2.0, 3.0]),
    ],
)
@pytest.mark.parametrize("names", [("image", "label"), ("jpg", "class"), ("img", "fine_label")])
def test_kinds_of_columns(tmp_path: Path, image: Any, label: Any, names: tuple[str, str]) -> None:
    columns = {"id": ["5", "6", "7"], names[0]: image, names[1]: label, "coarse": [1, 1, 2]}
    source = list_source(write(tmp_path / "x.parquet", columns))
    assert len(source.class_names) == 2
    assert source.labels[0] == source.labels[2] != source.labels[1]
    assert reds(source) == [10, 20, 30]
    assert "columns not used: 'id', 'coarse'" in source.notes


@pytest.mark.parametrize(
    "files",
    [
        ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet",
         "data/validation-00000-of-00001-a1b2c3.parquet"),
        ("default/train/0000.parquet", "default/train/0001.parquet", "default/val/0000.parquet"),
        ("train.parquet", "train-part2.parquet", "valid.parquet"),
    ],
)  # fmt: skip
def test_a_folder_of_shards(tmp_path: Path, files: tuple[str, ...]) -> None:
    for i, file in enumerate(files):
        write(tmp_path / file, {"image": structs(i * 10, i * 10 + 5), "label": ["a", "b"]})
    source = open_source(str(tmp_path))
    assert sorted(source.splits) == ["train"] * 4 + ["val"] * 2
    by_red = dict(zip(reds(source), source.splits, strict=True))
    assert {red for red, split in by_red.items() if split == "val"} == {20, 25}


def test_shards_of_train_alone_leave_the_split_to_the_recipe(tmp_path: Path) -> None:
    for i in range(2):
        name = f"train-0000{i}-of-00002.parquet"
        write(tmp_path / name, {"image": structs(i, i + 5), "label": ["a", "b"]})
    assert open_source(str(tmp_path)).splits == ("",) * 4


def test_a_column_of_splits(tmp_path: Path) -> None:
    columns = {"image": structs(1, 2), "label": ["a", "b"], "split": ["train", "test"]}
    assert list_source(write(tmp_path / "x.parquet", columns)).splits == ("train", "test")


@pytest.mark.parametrize(
    "image",
    [
        ["p/1.png", "p/2.png"],
        [{"bytes": None, "path": "p/1.png"}, {"bytes": None, "path": "p/2.png"}],
        pa.array(
            [{"bytes": None, "path": "p/1.png"}, {"bytes": None, "path": "p/2.png"}],
            pa.struct({"bytes": pa.binary(), "path": pa.string()}),
        ),
    ],
)
def test_paths(tmp_path: Path, image: Any) -> None:
    draw_all(tmp_path, "p/1.png", "p/2.png")
    source = list_source(write(tmp_path / "x.parquet", {"image": image, "label": ["b", "a"]}))
    assert source.names == ("p/1.png", "p/2.png")
    assert source.labels.tolist() == [1, 0]
    with source.images.open(0) as opened:
        assert opened.size == (4, 3)


def test_a_store_of_it(tmp_path: Path) -> None:
    values = list(range(0, 250, 10))
    columns = {"image": [*structs(*values), {"bytes": b"?", "path": ""}, {"bytes": None}]}
    columns["label"] = ["ab"[i % 2] for i in range(27)]
    path = write(tmp_path / "x.parquet", columns)
    source = list_source(path)
    store = prepare(source, StoredForm(resize="stretch", resize_size=4), cache=tmp_path, chunk=2)
    assert store.images(range(25))[:, 0, 0, 0].tolist() == values
    assert [image.index for image in store.info.rejected] == [25, 26]
    assert store.info.rejected[1].reason == "its row holds no bytes"
    before = source.fingerprint()
    assert list_source(path).fingerprint() == before
    os.utime(path, ns=(1, 1))
    assert list_source(path).fingerprint() != before


def test_threads_share_few_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(range(0, 240, 4))
    columns = {"image": structs(*values), "label": ["a", "b"] * 30}
    source = list_source(write(tmp_path / "x.parquet", columns))
    monkeypatch.setattr(parquet_images, "MAX_CACHED_BYTES", 400)
    found: list[list[int]] = []
    threads = [Thread(target=lambda: found.append(reds(source))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [values] * 4
    images = source.images
    assert isinstance(images, parquet_images.ParquetImages)
    assert len(images._cache) <= 2


@pytest.mark.parametrize(
    ("columns", "names", "complaint"),
    [
        ({"image": structs(1, 2), "text": ["a", "b"], "more": ["c", "d"]}, None, "hold labels"),
        (
            {"image": structs(1, 2), "label": [0, 7]},
            {"label": ["a", "b"]},
            "label 7, and names of",
        ),
        ({"x": [[1], [2]], "y": [[3], [4]]}, None, "is known to hold images"),
        ({"image": structs(1, 2), "label": ["a", None]}, None, "row 2: the label is empty"),
        ({"image": ["no.png", "nor.png"], "label": ["a", "b"]}, None, "first 'no.png' on row 1"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, columns: dict[str, Any], names: dict[str, list[str]] | None, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        list_source(write(tmp_path / "x.parquet", columns, names))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b"PAR1" * 5, lambda b: b[:-9], lambda b: b"\0" * 99]
)
def test_damaged_files(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path / "x.parquet", {"image": structs(1, 2), "label": ["a", "b"]})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="cannot be read as a Parquet file") as caught:
        list_source(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="No such file"):
        list_source(tmp_path / "none.parquet")


def test_a_damaged_page_rejects_its_images(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"image": structs(1, 2, 3, 4), "label": ["a", "b"] * 2})
    source = list_source(path)
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"), source.images.open(2):
        pass
    with source.images.open(0) as image:
        assert image.size == (4, 3)


def test_one_file_is_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be more of them than files that may be open."""
    opened: list[pq.ParquetFile] = []

    def open_one(*arguments: Any) -> pq.ParquetFile:
        assert all(file.closed for file in opened)
        opened.append(parquet_images.open_parquet(*arguments))
        return opened[-1]

    monkeypatch.setattr(parquet, "open_parquet", open_one)
    for place in ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet"):
        write(tmp_path / place, {"image": structs(1, 2), "label": ["a", "b"]})
    assert reds(open_source(str(tmp_path))) == [1, 2, 1, 2]
    assert all(file.closed for file in opened)


def test_deleted_files_are_not_read(tmp_path: Path) -> None:
    columns = {"image": structs(1, 2), "label": ["a", "b"]}
    for place in ("x.parquet", "$RECYCLE.BIN/y.parquet", ".cache/z.parquet", "#recycle/1.png"):
        write(tmp_path / place, columns)
    assert open_source(str(tmp_path)).names == ("x.parquet/000000", "x.parquet/000001")


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Failed to open"), pa.lib.ArrowMemoryError("malloc failed")]
)
def test_a_failing_machine_rejects_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Neither error of pyarrow names the file."""
    source = list_source(
        write(tmp_path / "x.parquet", {"image": structs(1, 2), "label": ["a", "b"]})
    )

    def fail(*arguments: object, **options: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetFile, "read_row_group", fail)
        with pytest.raises(DataError, match="cannot be read now"):
            prepare(source, TINY_FORM)
    assert not prepare(source, TINY_FORM).info.rejected


def test_row_groups_and_columns_that_are_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.parquet", {"image": structs(1, 2), "label": ["a", "b"]})
    base = "alexnet.data.datasets.image_lists.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(f"{base}.MAX_ROW_GROUP_BYTES", 50)
        with pytest.raises(DataError, match=r"a row group of [0-9]+ bytes, of at most 50; write"):
            list_source(path)
    monkeypatch.setattr(f"{base}.MAX_CSV_BYTES", 5)
    with pytest.raises(DataError, match="has more than 5 bytes beside its images"):
        list_source(path)


def test_shards_that_do_not_fit_each_other(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", {"image": structs(1, 2), "label": ["a", "b"]})
    write(tmp_path / "xyz.parquet", {"image": structs(1, 2), "label": ["a", "b"]})
    with pytest.raises(DataError, match=r"xyz.parquet means no split, and that of others does"):
        open_source(str(tmp_path))
    write(tmp_path / "xyz.parquet", {"image": structs(1, 2), "class": ["a", "b"]})
    with pytest.raises(DataError, match=r"xyz.parquet has other columns than train.parquet"):
        open_source(str(tmp_path))


def test_shards_that_are_missing_are_noted(tmp_path: Path) -> None:
    columns = {"image": structs(1, 2), "label": ["a", "b"]}
    path = write(tmp_path / "train-00000-of-00002.parquet", columns)
    note = "1 of the 2 files train-*-of-00002 are read"
    assert list_source(path).notes == (note,)
    assert open_source(str(tmp_path)).notes == (note,)
    write(tmp_path / "train-00001-of-00002.parquet", columns)
    assert open_source(str(tmp_path)).notes == ()


def test_no_damage_ends_the_process(tmp_path: Path) -> None:
    """Damaged statistics in the footer make pyarrow abort where they are looked at."""
    path = write(tmp_path / "x.parquet", {"image": structs(1, 2, 3), "label": ["a", "b", "a"]})
    content = path.read_bytes()
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(content)
        damaged[random.integers(len(content) - 1500, len(content))] = random.integers(256)
        path.write_bytes(damaged)
        try:
            outcomes.add(len(reds(list_source(path))))
        except (DataError, OSError) as error:
            outcomes.add(type(error).__name__)
    assert {3, "DataError"} <= outcomes


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.parquet", {"image": structs(1, 2), "label": ["a", "b"]})
    monkeypatch.setattr("alexnet.runtime.extras.find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match=r"reading x.parquet needs .*pip install .alexnet\[parquet"
    ):
        list_source(path)
