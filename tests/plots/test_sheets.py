"""Sheets of images."""

from __future__ import annotations

import numpy as np

from alexnet.plots import contact_sheet


def test_a_contact_sheet_has_titles_and_gaps() -> None:
    images = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2, 3)]
    figure = contact_sheet([images[:2], images[2:]], ["rose", "lily"], ["stored", "augmented"])
    top_left, top_right, bottom_left, bottom_right = figure.axes
    assert [top_left.get_title(), top_right.get_title()] == ["stored", "augmented"]
    assert [top_left.get_ylabel(), bottom_left.get_ylabel()] == ["rose", "lily"]
    assert np.asarray(bottom_left.images[0].get_array())[0, 0].tolist() == [3] * 3
    assert not bottom_right.images
