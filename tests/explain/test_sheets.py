"""The size of a sheet follows what is drawn, whichever maps, channels and neighbors there are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from alexnet.explain import METHODS, Explanation, sheet
from alexnet.explain.filter_sheets import patches_sheet
from support.narrow_nets import narrow_classifier
from support.slow import every_nth_fast

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
PATCH = IMAGE[:12, :12]


@pytest.fixture(scope="module")
def explained() -> Explanation:
    return narrow_classifier("lenet5").explain(IMAGE)


def filled(figure: Figure) -> float:
    """The fraction of the area that the panels cover."""
    boxes = [axes.get_position(original=True) for axes in figure.axes]
    return float(sum(box.width * box.height for box in boxes))


def least_filled_row(figure: Figure) -> float:
    """The fraction of the width from the first to the last panel of a row, least of all rows."""
    rows = defaultdict(list)
    for axes in figure.axes:
        box = axes.get_position(original=True)
        rows[round(box.y1, 3)].append(box)
    return float(min(max(b.x1 for b in row) - min(b.x0 for b in row) for row in rows.values()))


@pytest.mark.parametrize("count", every_nth_fast([1, 2, 3, 4], 4))
def test_few_maps_fill_the_rows_of_a_sheet(explained: Explanation, count: int) -> None:
    maps = {method: explained.maps[method] for method in METHODS[:count]}
    figure = sheet(replace(explained, maps=maps))
    assert least_filled_row(figure) > 0.9
    assert filled(figure) > 0.5


def test_few_channels_make_a_small_sheet_of_large_patches() -> None:
    for count in (1, 2, 5):
        figure = patches_sheet({}, {300 + i: PATCH for i in range(count)}, "title")
        assert filled(figure) > 0.45
    assert filled(patches_sheet({300: [PATCH] * 9}, {}, "title")) > 0.45


def test_a_narrow_sheet_has_its_title_on_several_lines() -> None:
    title = "Channels of conv3: flowers17_finetune-001 · alexnet_owt"
    note = (
        "large: the image that was made to maximize the channel; the nine strongest patches in 60"
    )
    figure = patches_sheet({}, {3: PATCH}, title, note)
    assert [text.get_text().count("\n") for text in figure.texts] == [1, 1, 0]
