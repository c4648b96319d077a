"""Labels that are no classes: quantities and several at once, and names that only look so."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pytest

from alexnet.data.datasets.image_lists.label_notes import (
    combination_note,
    quantity_error,
    quantity_note,
)
from alexnet.data.datasets.image_lists.source import list_source
from alexnet.data.datasets.imagenet_classes import imagenet_class_names
from alexnet.data.source import Source
from alexnet.errors import DataError
from support.drawing import draw_all

NUM_IMAGES = 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw_all(tmp_path, *(f"{i}.png" for i in range(NUM_IMAGES)))
    return tmp_path


def read(folder: Path, column: str, labels: Iterable[object]) -> Source:
    rows = [f"{i}.png\t{label}\n" for i, label in enumerate(labels)]
    (folder / "list.tsv").write_text("".join([f"path\t{column}\n", *rows]), encoding="utf-8")
    return list_source(folder / "list.tsv")


def counts(labels: Iterable[str], images: int = 10) -> Counter[str]:
    return Counter(dict.fromkeys(labels, images))


def test_a_regression_is_refused(folder: Path) -> None:
    values = random.Random(0)
    with pytest.raises(DataError, match=r"24 different numbers as labels, such as .*regression"):
        read(folder, "label", [values.gauss(30, 10) for _ in range(NUM_IMAGES)])
    with pytest.raises(DataError, match="regression"):
        read(folder, "label", ["nan", *(f"{i}e-3" for i in range(1, NUM_IMAGES))])


def test_ages_and_ratings_are_noted(folder: Path) -> None:
    (note,) = read(folder, "label", range(20, 20 + NUM_IMAGES)).notes
    assert note.startswith("the labels are 24 numbers from 20 to 43, each of which is a class")
    notes = read(folder, "rating", [i % 9 / 2 for i in range(NUM_IMAGES)]).notes
    assert any("9 numbers from 0.0 to 4.0" in note for note in notes)


def test_numbers_of_classes_are_not_noted(folder: Path) -> None:
    assert read(folder, "label", [i % 10 for i in range(NUM_IMAGES)]).notes == ()
    for numbers in (map(str, range(102)), ["1.5", "2.5"], ["a", *map(str, range(50))]):
        labels = counts(numbers)
        assert not quantity_error(labels)
        assert not quantity_note(labels, is_named=True)
    assert quantity_note(counts(map(str, range(102))), is_named=False), "a column such as `age`"


@pytest.mark.parametrize(
    ("column", "separator"), [("tags", " "), ("label", ","), ("label", " | "), ("label", ";")]
)
def test_joined_labels_are_noted(folder: Path, column: str, separator: str) -> None:
    pairs = list(product(["daffodil", "iris", "lily"], ["haze", "clear"]))
    labels = [separator.join(pairs[i % 6]) for i in range(NUM_IMAGES)]
    source = read(folder, column, labels)
    (note,) = [note for note in source.notes if "combinations of the same 5 parts" in note]
    assert "multi-label data is not supported" in note
    assert len(source.class_names) == 6, "a note, no error: they may be classes"


@pytest.mark.parametrize(
    ("column", "labels", "told"),
    [
        ("labels", "dog;cat;person car;horse person", "'person car' (2 of 4 labels)"),
        ("labels", "person;dog;cat;person car", "'person car' (1 of 4 labels)"),
        ("label", "dog;cat;person|car;person | dog", "'person|car' (2 of 4 labels)"),
        ("label", "dog;cat;bird;dog, car", "'dog, car' (1 of 4 labels)"),
    ],
)
def test_some_joined_labels_are_noted(folder: Path, column: str, labels: str, told: str) -> None:
    names = labels.split(";")
    source = read(folder, column, (names[i % len(names)] for i in range(NUM_IMAGES)))
    (note,) = source.notes
    assert note.startswith(f"combinations such as {told} are classes of their own; if the parts")


def test_labels_in_any_order_are_several() -> None:
    planet = (
        "haze primary;agriculture clear primary water;clear primary;clear primary road;"
        "clear primary water;haze primary water;cloudy;partly_cloudy primary;"
        "agriculture clear habitation primary road;agriculture partly_cloudy primary"
    )
    assert combination_note(counts(planet.split(";")), is_plural=False)


def test_labels_in_several_orders_are_several() -> None:
    pairs = [f"{a} {b}" for a in "pqrs" for b in "pqrs" if a != b]
    assert combination_note(counts(pairs), is_plural=False)


def test_a_text_for_each_image_is_not_compared_with_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = counts((f"{i // 100}, {i % 100}" for i in range(10_001)), images=1)
    assert not combination_note(pairs, is_plural=True)
    assert combination_note(counts(pairs), is_plural=True), "of many images"


@pytest.mark.parametrize(
    "names",
    [
        "golden retriever;flat-coated retriever;Labrador retriever;Irish setter;English setter",
        "new york;new orleans;san francisco;san diego;los angeles;las vegas;boston",
        "Dallas, Texas;Houston, Texas;Austin, Texas;Reno, Nevada;Paris, Texas",
        "dog/pug;dog/husky;cat/siamese;cat/persian",
        "dog_pug;dog_husky;cat_pug;cat_husky",
        "Quercus alba;Quercus rubra;Quercus robur;Acer rubrum;Pinus alba;Pinus strobus",
        "white king;white queen;white pawn;black king;black queen;black pawn",
        "fresh apple;rotten apple;fresh banana;rotten banana",
        "ace of clubs;two of clubs;ace of hearts;two of hearts;ace of spades;two of spades",
        "turn left;turn right;go left;go right;left;right;no left turn;no right turn",
        "bear;cat;bear cat;dog",
        "Paris, Texas;Paris, France;Lyon, France;Texas",
        "New York, New York;Buffalo, New York;Dallas, Texas",
        "New York, New York;Mexico, Mexico;Singapore, Singapore;Panama, Panama;Paris, France",
        "1,5;5,1;2,5;5,2;1,2;2,1;5;-2,1",
        "shark;tiger shark;cat;wild cat",
        "speed limit 20;speed limit 30;speed limit 50;stop;yield;no entry;end of speed limit",
    ],
)
def test_names_of_classes_are_not_several(names: str) -> None:
    assert not combination_note(counts(names.split(";")), is_plural=False)


def test_numbers_of_classes_may_be_several() -> None:
    for names, is_plural in (("1,5;5,1;2,5;5,2", True), ("1,5;5,1;2,5,1;5,2;1", False)):
        assert combination_note(counts(names.split(";")), is_plural=is_plural)


def test_names_in_a_column_of_tags_are_not_several() -> None:
    for names in ("shark;tiger shark;cat;wild cat", "white king;white queen;joker"):
        assert not combination_note(counts(names.split(";")), is_plural=True)


def test_names_of_imagenet_are_not_several() -> None:
    for replaced in ("", "_", "_-"):
        names = [
            name.translate(dict.fromkeys(map(ord, replaced), " "))
            for name in imagenet_class_names().values()
        ]
        for start in (0, 151):
            assert not combination_note(counts(names[start : start + 118]), is_plural=True)
        assert not combination_note(counts(names), is_plural=True)
