"""Read lists of class names in the forms in which they are common.

| what | for example |
|---|---|
| names, one a line | `tench` |
| wnids and words (`synset_words.txt`, `LOC_synset_mapping.txt`) | `n01440764 tench, Tinca tinca` |
| numbered lines, or a table with a column of numbers | `0 tench`, `0: tench`, `tench,0` |
| a JSON or Python list | `["tench", "goldfish"]` |
| names by number (`imagenet1000_clsidx_to_labels.txt`) | `{0: 'tench, Tinca tinca'}` |
| numbers by name (`class_to_idx`) | `{"tench": 0}` |
| wnids and names by number (`imagenet_class_index.json`) | `{"0": ["n01440764", "tench"]}` |
| one of these inside an object (Hugging Face's `config.json`) | `{"id2label": {"0": "tench"}}` |
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet.data.datasets.imagenet_classes import (
    BACKGROUND,
    WNID,
    class_name,
    imagenet_class_names,
    match_wnids,
)
from alexnet.errors import ModelFileError
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.io.text import short_repr

KEYS = ("id2label", "class_names", "classes", "names", "labels", "categories", "class_to_idx")
"""Keys under which an object has the names, in the order in which they are tried."""
MAX_LITERAL = 1 << 18
"""Characters of a Python literal, whose syntax tree takes several hundred times their memory."""
MIN_WNIDS = 100
"""Number of classes with wnids below which they may be a user's own, in an order of their own."""
NAME_COLUMNS = ("name", "class_name", "class", "label", "words")
NUMBER = re.compile(r"\d{1,7}")
NUMBERED = re.compile(r"\s*(\d{1,7})\s*[:,;\s]\s*(\S.*?),?\s*")
WNID_AND_WORDS = re.compile(rf"({WNID.pattern})(?:[\s,;:]+(.*))?")


def read_class_names(path: Path) -> tuple[str, ...]:
    """The class names in a text, CSV or JSON file, in the order of the outputs.

    Numbers from 0 or 1, if the file has them, give the order. A class with a wnid gets the name
    of `class_name`; so do classes of one name where `match_wnids` can tell them apart.

    Raises:
        ModelFileError: the file is missing, not text, or has no names; a number is missing, or two
            classes have one name.
    """
    text = _read_text(path)
    value = _parse(path, text)
    names = _lines(text) if value is None else _from_value(path, value)
    names = [_imagenet_name(name.strip()) for name in _by_wnid_number(names)]
    if not any(names):
        raise ModelFileError(f"{path} has no class names")
    return tuple(_distinct(path, names))


def fit_to_outputs(names: tuple[str, ...], num_classes: int) -> tuple[str, ...]:
    """Add or remove a first class `background` if that makes as many names as outputs.

    TensorFlow's models of ImageNet have that class, those of other programs do not.
    """
    if len(names) == num_classes + 1 and names[0].lower() in BACKGROUND:
        return names[1:]
    if len(names) == num_classes - 1 == len(imagenet_class_names()) and is_imagenet(names):
        return ("background", *names)
    return names


def default_class_names(num_classes: int) -> tuple[str, ...]:
    """ImageNet's names for 1,000 outputs (1,001 with `background`), else "class 0" and so on."""
    imagenet = fit_to_outputs(tuple(imagenet_class_names().values()), num_classes)
    is_as_many = len(imagenet) == num_classes
    return imagenet if is_as_many else tuple(f"class {i}" for i in range(num_classes))


def is_imagenet(names: Sequence[str]) -> bool:
    """Whether these are the 1,000 classes of ImageNet, in any order, perhaps with `background`."""
    wnids = match_wnids(names[1:] if list(names[:1]) == ["background"] else names)
    return sorted(wnids) == list(imagenet_class_names())


def is_out_of_order(names: Sequence[str]) -> bool:
    """Whether many classes have wnids that are not sorted, as the outputs of most models are."""
    wnids = list(filter(None, match_wnids(names)))
    return len(wnids) >= MIN_WNIDS and wnids != sorted(wnids)


def _read_text(path: Path) -> str:
    try:
        content = read_regular(path, MAX_TEXT_BYTES)
        is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # as Windows' shell writes
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no file {path}") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read as class names: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path} is not UTF-8 text; save it as UTF-8") from error


def _parse(path: Path, text: str) -> Any:
    """The JSON value or Python literal in a text; None for other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    parsers = (json.loads, ast.literal_eval) if len(text) <= MAX_LITERAL else (json.loads,)
    for parse in parsers:
        try:
            return parse(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    if path.suffix.lower() == ".json" or text.lstrip().startswith("{"):
        raise ModelFileError(f"{path} is neither JSON nor a Python literal")
    return None


def _from_value(path: Path, value: Any) -> list[str]:
    """The names in a JSON value: a list, a mapping, or one of these inside an object."""
    if isinstance(value, dict):
        inner = [value[key] for key in KEYS if isinstance(value.get(key), list | dict)]
        value = inner[0] if inner else value
    entries = _in_order(path, value) if isinstance(value, dict) else value
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise ModelFileError(
            f"{path} is no list of class names; give names in the order of the outputs, "
            'such as ["tench", "goldfish"]'
        )
    return [entry if isinstance(entry, str) else " ".join(entry) for entry in entries]


def _is_entry(entry: Any) -> bool:
    """Whether an entry is a name, or a wnid and a name."""
    is_pair = isinstance(entry, list | tuple) and len(entry) == 2
    return isinstance(entry, str) or (is_pair and all(isinstance(x, str) for x in entry))


def _in_order(path: Path, names: dict[Any, Any]) -> list[Any]:
    """The names of a mapping from numbers, or to numbers, in the order of the numbers."""
    pairs = list(names.items())
    if names and all(isinstance(value, int) for value in names.values()):
        pairs = [(value, key) for key, value in pairs]
    elif all(WNID.fullmatch(str(key)) for key in names) and list(names) == sorted(names):
        return [f"{wnid} {words}" for wnid, words in names.items()]
    try:
        numbered = sorted(((int(key), name) for key, name in pairs), key=lambda pair: pair[0])
    except (ValueError, TypeError) as error:
        raise ModelFileError(
            f"{path} does not number its classes; number them from 0, such as "
            '{"0": "tench", "1": "goldfish"}'
        ) from error
    if not _is_range([number for number, _ in numbered]):
        raise ModelFileError(
            f"{path} numbers its {len(pairs):,} classes from {numbered[0][0]} to {numbered[-1][0]} "
            "with gaps or twice; number every class once"
        )
    return [name for _, name in numbered]


def _is_range(numbers: Sequence[int]) -> bool:
    """Whether the numbers are 0 to n - 1, or 1 to n, in any order."""
    first = min(numbers, default=2)
    return first in (0, 1) and sorted(numbers) == list(range(first, first + len(numbers)))


def _lines(text: str) -> list[str]:
    """The names in lines, in the order of their numbers if they have any."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for candidate in (lines, lines[1:]):  # without a header
        if len(candidate) > 1:
            header = lines[0] if candidate is not lines else ""
            if names := _from_table(candidate, header) or _from_numbered_lines(candidate):
                return names
    return lines


def _from_numbered_lines(lines: list[str]) -> list[str]:
    """The names in lines such as "0: tench"; [] if a line has another form."""
    matches = [match for line in lines if (match := NUMBERED.fullmatch(line))]
    numbers = [int(match[1]) for match in matches]
    if len(matches) < len(lines) or not _is_range(numbers):
        return []
    return [match[2].strip("'\"") for match in sorted(matches, key=lambda match: int(match[1]))]


def _from_table(lines: list[str], header: str) -> list[str]:
    """The names in a table with a column of numbers; [] if the lines are no such table."""
    for separator in (",", ";", "\t", "|"):
        try:
            rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
        except csv.Error:
            continue
        if len({len(row) for row in rows}) > 1 or len(rows[0]) < 2:
            continue
        columns = [[cell.strip() for cell in column] for column in zip(*rows, strict=True)]
        numbered = [
            c for c in columns if all(map(NUMBER.fullmatch, c)) and _is_range([*map(int, c)])
        ]
        if numbered:
            titles = [title.strip().lower() for title in header.split(separator)]
            names = _name_column(columns, numbered[0], titles)
            order = sorted(range(len(rows)), key=lambda row: int(numbered[0][row]))
            return [names[row] for row in order]
    return []


def _name_column(columns: list[list[str]], numbers: list[str], titles: list[str]) -> list[str]:
    """The names in a table: the column titled as names, else the first that can have them.

    If a column has wnids, each name is preceded by its wnid.
    """
    titled = dict(zip(titles, columns, strict=False))
    others = [column for column in columns if column is not numbers]
    wnids = [column for column in others if all(map(WNID.fullmatch, column))]
    named = [titled[title] for title in NAME_COLUMNS if titled.get(title, numbers) is not numbers]
    name = (named or [c for c in others if c not in wnids] or wnids)[0]
    return [f"{w} {n}" for w, n in zip(wnids[0], name, strict=True)] if wnids else name


def _by_wnid_number(names: list[str]) -> list[str]:
    """Lines such as "n02119789 1 kit_fox" (`map_clsloc.txt`) in the order of their numbers."""
    wnids = [match for name in names if (match := WNID_AND_WORDS.fullmatch(name))]
    numbered = [match for wnid in wnids if (match := NUMBERED.fullmatch(wnid[2] or ""))]
    if len(numbered) < len(names) or not _is_range([int(match[1]) for match in numbered]):
        return names
    pairs = sorted(zip(numbered, wnids, strict=True), key=lambda pair: int(pair[0][1]))
    return [f"{wnid[1]} {words[2]}" for words, wnid in pairs]


def _imagenet_name(name: str) -> str:
    """ImageNet's name of a class with a wnid; any other name unchanged."""
    match = WNID_AND_WORDS.fullmatch(name)
    return class_name(match[1], match[2] or "") if match else name


def _distinct(path: Path, names: list[str]) -> list[str]:
    """The names; those that are equal but have different wnids are replaced by `class_name`."""
    wnids = match_wnids(names)
    count = Counter(names)
    named = [
        class_name(wnid) if wnid and count[name] > 1 else name
        for name, wnid in zip(names, wnids, strict=True)
    ]
    for name, number in Counter(named).items():
        if number > 1:
            raise ModelFileError(
                f"{path} has {number} classes called {short_repr(name)}; "
                "give every class a name of its own"
            )
    return named
