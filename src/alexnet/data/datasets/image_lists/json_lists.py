"""JSON and JSON Lines as a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alexnet.data.datasets.image_lists.columns import is_header
from alexnet.data.datasets.image_lists.delimited import read_text
from alexnet.data.datasets.image_lists.table import Table, TableRow, cell_text, is_image_name
from alexnet.data.datasets.split_names import split_of
from alexnet.errors import DataError
from alexnet.io.text import error_text, short_repr

SUFFIXES = (".json", ".jsonl", ".ndjson")
FORMS = (
    'use one object such as {"file_name": "1.jpg", "label": "rose"} per line, an array of these, '
    'or one object {"1.jpg": "rose", ..}'
)


def is_json_name(path: Path) -> bool:
    """Whether a file's name ends like one of JSON, perhaps compressed: list.json, list.jsonl.gz."""
    return bool({suffix.lower() for suffix in path.suffixes[-2:]} & set(SUFFIXES))


def read_json(path: Path) -> Table:
    """The rows of JSON Lines, or of one JSON value.

    The value is an array of objects or of pairs, an object with one such array, or with one for
    each split, an object of columns (as pandas writes), of labels by path, or of paths by label, or
    COCO's images, annotations and categories.

    Raises:
        DataError: the file cannot be read, or is none of these.
    """
    text, notes = read_text(path, "JSON")
    skipped: Counter[str] = Counter()
    items, unit = _parse(path, text, notes, skipped)
    if not items:
        raise DataError(f"{path} is empty; {FORMS}")
    rows = [(number, item) for number, item in items if isinstance(item, Mapping)]
    if len(rows) < len(items):
        wrong = next(item for _, item in items if not isinstance(item, Mapping))
        raise DataError(f"{path} holds {short_repr(wrong)} where an image should be; {FORMS}")
    header = tuple(dict.fromkeys(str(key) for _, row in rows for key in row))
    cells = [TableRow(number, [cell_text(row.get(key)) for key in header]) for number, row in rows]
    return Table(path, header, cells, unit=unit, notes=notes, skipped=skipped)


def _parse(
    path: Path, text: str, notes: list[str], skipped: Counter[str]
) -> tuple[list[tuple[int, Any]], str]:
    """The number and value of every item, and what these are called in messages.

    Adds to the notes, and counts images that are left out.
    """
    try:
        value = _load(text, str(path))
    except (ValueError, RecursionError) as error:
        return _parse_lines(path, text, error), "line"
    try:
        if isinstance(value, dict) and {"images", "annotations", "categories"} <= set(value):
            items: Sequence[Any] = _coco_items(value, str(path), notes, skipped)
        else:
            items = _items(value)
        return list(enumerate(items, start=1)), "item"
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise DataError(f"{path} is not a list of images and labels; {FORMS}") from error


def _parse_lines(path: Path, text: str, whole_error: Exception) -> list[tuple[int, Any]]:
    """The number and value of every line; `whole_error` is why the text is not one value."""
    items: list[tuple[int, Any]] = []
    number = 0
    try:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                items.append((number, _load(line, f"{path} line {number}")))
    except (ValueError, RecursionError) as error:
        cause = error if items else whole_error  # not even the first line is JSON
        problem = "nested too deeply" if isinstance(cause, RecursionError) else error_text(cause)
        where = f"{path} line {number}" if items else str(path)
        raise DataError(f"{where} cannot be read as JSON: {problem}") from error
    return items


def _load(text: str, where: str) -> Any:
    """Parse a JSON text; a key may occur twice in an object only with the same value.

    Raises:
        ValueError: it is no JSON.
        DataError: a key has two values, of which Python would take the last.
    """
    return json.loads(text, object_pairs_hook=lambda pairs: _one_value_each(pairs, where))


def _one_value_each(pairs: Sequence[tuple[Any, Any]], where: str) -> dict[Any, Any]:
    """A dictionary of the pairs.

    Raises:
        DataError: a key has two different values.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, value in pairs:
            if value != found[key]:
                raise DataError(
                    f"{where}: {short_repr(key)} is there twice, with {short_repr(value)} and with "
                    f"{short_repr(found[key])}; keep one of them"
                )
    return found


def _items(value: Any) -> Sequence[Any]:
    """Turn a JSON value in one of the known layouts into one object per image."""
    if isinstance(value, list):
        return list(map(_record, value))
    if {"columns", "data"} <= set(value):  # pandas, orient="split"
        return [dict(zip(value["columns"], row, strict=True)) for row in value["data"]]
    columns, kinds = list(map(str, value)), set(map(type, value.values()))
    if is_header(columns) and kinds in ({dict}, {list}):
        return _rows_of_columns(value)
    is_image = is_header(columns) and any(is_image_name(str(v)) for v in value.values())
    if not is_image and (records := _records_inside(value)):
        return records
    if is_header(columns):
        return [value]
    if kinds == {list}:
        return [{"path": path, "label": label} for label in value for path in value[label]]
    if kinds & {dict, list}:
        return [value]
    return [{"path": path, "label": label} for path, label in value.items()]


def _record(item: Any) -> Any:
    """An object with path and label from a pair [path, label]; anything else as is."""
    is_pair = isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)
    return {"path": item[0], "label": item[1]} if is_pair else item


def _records_inside(value: Mapping[str, Any]) -> list[Any]:
    """The images of an object with one array of them, or with one for each split; else none.

    Raises:
        ValueError: it has several arrays that are no splits, or arrays of something else.
    """
    arrays = {key: v for key, v in value.items() if _has_records(v)}
    if not arrays:
        return []
    if len(arrays) == 1 and not split_of(next(iter(arrays))):
        return list(map(_record, *arrays.values()))
    if not all(map(split_of, arrays)):
        raise ValueError("several arrays")
    pairs = [(_record(item), split) for split, items in arrays.items() for item in items]
    return [{**record, "split": split} for record, split in pairs]


def _has_records(value: Any) -> bool:
    """Whether a value is an array of objects or arrays."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], list | dict)


def _rows_of_columns(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Objects from columns, each a list or an object of values by row, as pandas writes.

    Raises:
        ValueError: the columns do not have the same rows.
    """
    first, *others = values = list(columns.values())
    if isinstance(first, dict):
        if any(one.keys() != first.keys() for one in others):
            raise ValueError("columns with other rows")
        values = [[one[row] for row in first] for one in values]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _coco_items(
    coco: Mapping[str, Any], where: str, notes: list[str], skipped: Counter[str]
) -> list[dict[str, Any]]:
    """Images and labels of a file in COCO's format, which iNaturalist uses, too.

    Adds a note on categories with the same name, and counts images without an annotation.

    Raises:
        DataError: two images or two categories have one id, or an annotation has an unknown id.
    """
    paths, names = (
        _one_value_each([(one["id"], one[name]) for one in coco[part]], f"{where}, id in {part}")
        for part, name in (("images", "file_name"), ("categories", "name"))
    )
    notes.extend(_same_name_notes(names))
    ids = [(item["image_id"], item["category_id"]) for item in coco["annotations"]]
    for image, category in ids:
        _check_id(paths, image, f"{where}: the image_id", "images")
        _check_id(names, category, f"{where}: the category_id", "categories")
    skipped["images without a label"] += len(paths.keys() - {image for image, _ in ids})
    return [{"path": paths[image], "label": names[category]} for image, category in ids]


def _check_id(known: Mapping[Any, Any], found: Any, what: str, part: str) -> None:
    """Reject an id of an annotation that is not in the part of the file that it refers to.

    Raises:
        DataError: it is not there; the message says if it is there as text in place of a number.
    """
    if found in known:
        return
    same = [one for one in known if str(one) == str(found)]
    hint = f", where it is {same[0]!r}: write both as numbers or both as texts" if same else ""
    raise DataError(f"{what} {short_repr(found)} of an annotation is not an id in {part}{hint}")


def _same_name_notes(names: Mapping[Any, Any]) -> list[str]:
    """A sentence on each name that several categories have."""
    ids: dict[Any, list[str]] = {}
    for category, name in names.items():
        ids.setdefault(name, []).append(short_repr(category))
    return [
        f"the categories {' and '.join(same)} have the same name, {short_repr(name)}, and are one "
        "class"
        for name, same in ids.items()
        if len(same) > 1
    ]
