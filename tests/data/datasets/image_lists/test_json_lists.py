"""JSON of every form that lists images and labels."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.source import Source
from alexnet.errors import DataError
from support.drawing import draw_all

ROWS = [
    {"file_name": "p/1.png", "label": "rose", "box": [1, 2, 3, 4]},
    {"file_name": "p/2.png", "label": "iris", "text": "an iris"},
    {"file_name": "3.png", "label": "rose", "text": None},
]
PAIRS = [(row["file_name"], row["label"]) for row in ROWS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw_all(tmp_path, "p/1.png", "p/2.png", "3.png")
    return tmp_path


def read(folder: Path, text: str, name: str = "list.json") -> Source:
    (folder / name).write_text(text, encoding="utf-8")
    return list_source(folder / name)


def by_row(values: list[object]) -> dict[str, object]:
    return {str(i): value for i, value in enumerate(values)}


COLUMNS = {"image": [name for name, _ in PAIRS], "label": [label for _, label in PAIRS]}


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        dict(PAIRS),
        {"rose": ["p/1.png", "3.png"], "iris": ["p/2.png"]},
        COLUMNS,
        {name: by_row(list(column)) for name, column in COLUMNS.items()},
        {"columns": ["path", "class"], "index": [0, 1, 2], "data": PAIRS},
        {
            "images": [
                {"id": i, "file_name": name, "width": 4} for i, (name, _) in enumerate(PAIRS)
            ],
            "categories": [{"id": 7, "name": "rose"}, {"id": 3, "name": "iris"}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 7 if label == "rose" else 3}
                for i, (_, label) in enumerate(PAIRS)
            ],
        },
    ],
    ids=["array", "labels", "paths", "columns", "pandas", "split", "coco"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_one_value(folder: Path, value: object, indent: int | None) -> None:
    source = read(folder, json.dumps(value, indent=indent))
    assert source.names == ("3.png", "p/1.png", "p/2.png")
    assert source.class_names == ("iris", "rose")
    assert source.labels.tolist() == [1, 1, 0]


@pytest.mark.parametrize("name", ["list.jsonl", "list.ndjson", "metadata.JSONL", "list.json"])
def test_json_lines(folder: Path, name: str) -> None:
    source = read(folder, "\n\n".join(map(json.dumps, ROWS)) + "\r\n", name)
    assert source.labels.tolist() == [1, 1, 0]
    assert source.notes == ("columns not used: 'box', 'text'",)


def test_json_lines_compressed_with_splits(folder: Path) -> None:
    rows = [{**row, "split": "test" if i == 2 else "training"} for i, row in enumerate(ROWS)]
    path = folder / "list.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert list_source(path).splits == ("test", "train", "train")


def test_labels_that_are_numbers(folder: Path) -> None:
    rows = [{"image": f"p/{i}.png", "label": i} for i in (1, 2)]
    assert read(folder, json.dumps(rows)).class_names == ("1", "2")
    rows = [{"image": f"p/{i}.png", "label": [f"class {i}"]} for i in (1, 2)]
    assert read(folder, json.dumps(rows)).class_names == ("class 1", "class 2")


@pytest.mark.parametrize("records", [PAIRS, ROWS], ids=["pairs", "objects"])
@pytest.mark.parametrize("key", ["", "data", "images", "labels", "my annotations"])
def test_records_inside_an_object(folder: Path, records: list[object], key: str) -> None:
    value = {"version": 1, key: records} if key else records
    found, plain = (read(folder, json.dumps(v)) for v in (value, ROWS))
    assert (found.names, found.class_names) == (plain.names, plain.class_names)
    assert found.labels.tolist() == plain.labels.tolist()


def test_one_image_with_an_array_of_objects(folder: Path) -> None:
    value = {"file_name": "3.png", "label": "rose", "objects": [{"file_name": "p/1.png"}]}
    assert read(folder, json.dumps(value)).names == ("3.png",)


@pytest.mark.parametrize("records", [PAIRS, ROWS], ids=["pairs", "objects"])
def test_records_by_split(folder: Path, records: list[object]) -> None:
    value = {"training": records[:1], "valid": [], "test": records[1:]}
    source = read(folder, json.dumps(value))
    expected = {name: "train" if i == 0 else "test" for i, (name, _) in enumerate(PAIRS)}
    assert dict(zip(source.names, source.splits, strict=True)) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty; use one object such as"),
        ('{"file_name": "3.png", "label": "a"}\n{"file', "line 2 cannot be read as JSON"),
        ('[\n{"file_name": "3.png",\n"label" "a"}]', "JSON: Expecting ':' delimiter: line 3"),
        ("[" * 100_000, "JSON: nested too deeply"),
        ("9" * 5_000, "JSON: Exceeds the limit"),
        ("[]", "is empty; use one object such as"),
        ("3", "is not a list of images and labels"),
        ("3\n4", "holds 3 where an image should be"),
        ('["3.png", "p/1.png"]', "holds '3.png' where an image should be"),
        (
            '{"images": 3, "annotations": [], "categories": []}',
            "is not a list of images and labels",
        ),
        ('{"images": [{}], "annotations": [], "categories": []}', "is not a list of images"),
        (
            '{"columns": ["path"], "data": [["3.png", "rose"]]}',
            "is not a list of images",
        ),
        ('{"image": ["3.png", "x.png"], "label": ["rose"]}', "is not a list of images and labels"),
        ('{"train": [["3.png", 0, "rose"]], "test": []}', "is not a list of images and labels"),
        ('{"cats": [{"path": "3.png"}], "dogs": [{"path": "3.png"}]}', "is not a list of images"),
        ('{"data": [["3.png", 0, "rose"]]}', "where an image should be"),
        ('{"epochs": 3, "lr": [0.1]}', "none of its columns, 'epochs', 'lr', is known to hold"),
        ('[{"image": "3.png", "label": ["cat", "dog"]}]', "item 1 has 2 labels, 'cat' and 'dog'"),
        ('[{"image": "3.png", "label": NaN}]', "item 1: the label is empty"),
        ('[{"image": "3.png"}, {"label": "x"}]', "item 1: the label is empty"),
        ('[{"image": "3.png", "label": "\\ud83d"}]', "has half of a character"),
    ],
)
def test_json_that_is_no_list(folder: Path, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        read(folder, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"3.png": "rose", "p/1.png": "iris", "3.png": "iris"}', "list.json: '3.png'"),
        (
            '{"file_name": "p/1.png", "label": "a"}\n'
            '{"file_name": "3.png", "label": "rose", "label": "iris"}',
            "list.json line 2: 'label'",
        ),
    ],
)
def test_a_key_with_two_values(folder: Path, text: str, where: str) -> None:
    with pytest.raises(DataError, match=f"{where} is there twice, with 'rose' and with 'iris'"):
        read(folder, text)
    assert len(read(folder, '{"3.png": "rose", "p/1.png": "iris", "3.png": "rose"}')) == 2


def test_other_encodings_are_told_as_of_json(folder: Path) -> None:
    (folder / "list.json").write_bytes('[{"image": "3.png", "label": "ромашка"}]'.encode("cp1251"))
    with pytest.raises(DataError, match=r"it cannot be read as JSON; save it as UTF-8$"):
        list_source(folder / "list.json")


def coco(images: list[tuple[int, str]], categories: list[tuple[int, str]]) -> str:
    """A file in COCO's form, in which the image 0 is in the category 0, and 1 in 1."""
    value = {
        "images": [{"id": i, "file_name": name} for i, name in images],
        "categories": [{"id": i, "name": name} for i, name in categories],
        "annotations": [{"image_id": i, "category_id": i} for i in range(2)],
    }
    return json.dumps(value)


def test_an_id_of_coco_is_that_of_one_image_and_one_category(folder: Path) -> None:
    images, categories = [(0, "p/1.png"), (1, "p/2.png")], [(0, "rose"), (1, "iris")]
    twice = read(folder, coco([*images, (0, "p/1.png")], [*categories, (1, "iris")]))
    assert twice.names == ("p/1.png", "p/2.png")
    with pytest.raises(DataError, match=r"id in images: 0 is there twice, .*1.png' and .*3.png'"):
        read(folder, coco([*images, (0, "3.png")], categories))
    with pytest.raises(
        DataError, match=r"id in categories: 1 is there twice, .*'iris' and .*'fern'"
    ):
        read(folder, coco(images, [*categories, (1, "fern")]))


def test_images_of_coco_without_an_annotation_are_counted(folder: Path) -> None:
    images, categories = [(0, "p/1.png"), (1, "p/2.png")], [(0, "rose"), (1, "iris")]
    source = read(folder, coco([*images, (2, "3.png")], categories))
    assert (len(source), source.skipped) == (2, {"images without a label": 1})
    assert not any("name" in note for note in source.notes)
    source = read(folder, coco(images, [*categories, (7, "rose")]))
    assert source.skipped == {}
    assert "the categories 0 and 7 have the same name, 'rose', and are one class" in source.notes


def test_ids_of_coco_that_are_not_in_the_file(folder: Path) -> None:
    images, categories = [(0, "p/1.png"), (1, "p/2.png")], [(0, "rose"), (1, "iris")]
    with pytest.raises(DataError, match=r"list.json: the image_id 1 of .* not an id in images$"):
        read(folder, coco(images[:1], categories))
    with pytest.raises(DataError, match=r"the category_id 1 of .* not an id in categories$"):
        read(folder, coco(images, categories[:1]))
    value = json.loads(coco(images, categories))
    value["annotations"][0]["category_id"] = "0"
    with pytest.raises(DataError, match=r"category_id '0' .* in categories, where it is 0: write"):
        read(folder, json.dumps(value))


def test_columns_agree_by_row_and_not_by_order(folder: Path) -> None:
    labels = {"1": "iris", "0": "rose"}
    found = read(folder, json.dumps({"path": {"0": "p/1.png", "1": "p/2.png"}, "label": labels}))
    assert [found.class_names[i] for i in found.labels] == ["rose", "iris"]
    with pytest.raises(DataError, match="is not a list of images and labels"):
        read(folder, json.dumps({"path": {"0": "p/1.png", "2": "p/2.png"}, "label": labels}))
