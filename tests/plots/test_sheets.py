"""Sheets of images."""

from __future__ import annotations

import numpy as np

from alexnet.plots import contact_sheet
from support.figures import overlapping_texts

IMAGES = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2, 3)]


def test_a_contact_sheet_has_titles_captions_and_gaps() -> None:
    figure = contact_sheet(
        [IMAGES[:2], IMAGES[2:]], ["rose", "lily"], ["stored", "augmented"],
        captions=[["a.jpg", "flipped"], ["b.jpg"]], title="Augmentation",
    )  # fmt: skip
    top_left, top_right, bottom_left, bottom_right = figure.axes
    assert [top_left.get_title(), top_right.get_title()] == ["stored", "augmented"]
    assert [top_left.get_ylabel(), bottom_left.get_ylabel()] == ["rose", "lily"]
    captions = [axes.get_xlabel() for axes in figure.axes]
    assert captions == ["a.jpg", "flipped", "b.jpg", ""]
    assert np.asarray(bottom_left.images[0].get_array())[0, 0].tolist() == [3] * 3
    assert not bottom_right.images
    assert figure.get_suptitle() == "Augmentation"


def test_long_names_and_captions_neither_warn_nor_overlap() -> None:
    """Names of classes and files are wrapped; two that begin alike stay apart."""
    names = ["x" * 200 + end for end in "ab"]
    captions = [[f"{name}.jpg", "color +10 -20 +30\nat 100, 100, flipped"] for name in names]
    figure = contact_sheet([IMAGES[:2], IMAGES[1:]], names, ["stored"], captions, "title")
    assert overlapping_texts(figure) == []
    first, *_, third, _ = (axes.get_ylabel() for axes in figure.axes)
    assert first != third


def test_names_are_no_math() -> None:
    figure = contact_sheet([IMAGES[:1]], ["$a_b"], captions=[["$\\frac.jpg"]])
    figure.draw_without_rendering()
    assert figure.axes[0].get_ylabel() == "$a_b"
