"""The classes and splits of a data set in a few lines."""

from __future__ import annotations

import numpy as np

from alexnet.data.summary import classes_text, missing_text, summarize, summary_notes

NAMES = ("Red", "blue", "red")


def test_a_split_that_lacks_classes_says_which() -> None:
    indices = {"train": np.arange(5), "val": np.array([], np.int64), "test": np.array([5])}
    summary = summarize(NAMES, np.array([0, 0, 1, 1, 2, 0]), indices)
    assert summary.num_images == {"train": 5, "test": 1}
    assert summary.classes_without_images == {"test": ("blue", "red")}
    assert summary.names_differing_in_case == (("Red", "red"),)
    assert summary_notes(summary) == [
        "3 classes: Red, blue, red",
        "images: 5 train, 1 test",
        "2 classes have no test images: blue, red",
        "the classes 'Red' and 'red' differ in case alone; if they are one, rename one",
    ]


def test_many_classes_are_counted_and_the_first_ten_named() -> None:
    names = tuple(f"c{i}" for i in range(1200))
    assert classes_text(names[:10]) == f"10 classes: {', '.join(names[:10])}"
    assert classes_text(names) == f"1,200 classes: {', '.join(names[:10])} and 1,190 more"
    assert classes_text(("cat",)) == "1 class: cat"
    assert missing_text(("blue",), "test images") == "blue has no test images"
