"""Lines over the epochs: points without neighbors, and the texts of ticks."""

from __future__ import annotations

import pytest

from alexnet.reports.curves import number_text, percent_text
from alexnet.reports.line_chart import Series, line_chart, tick_texts


@pytest.mark.parametrize(
    ("values", "dots"),
    [
        ([1, 2, 3], []),
        ([1, None, None], [0]),
        ([None, 1, None], [1]),
        ([1, None, 3], [0, 2]),
        ([None, 1, 2], []),
    ],
)
def test_a_value_between_gaps_is_a_dot(values: list[float | None], dots: list[int]) -> None:
    chart = line_chart("", [1, 2, 3], [Series(name="a", values=values)], number_text)
    (line,) = chart.lines
    assert line.dots == [(chart.xs[i], line.ys[i]) for i in dots]


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0, 5e-5, 1e-4, 1.5e-4], "0 5e-5 1e-4 1.5e-4"),
        ([1e-5, 1e-3, 0.1], "1e-5 1e-3 1e-1"),
        ([0, 0.5, 1], "0 0.5 1"),
    ],
)
def test_ticks_are_written_alike(ticks: list[float], texts: str) -> None:
    assert tick_texts(ticks, number_text) == texts.split()
    assert tick_texts([0, 0.125], percent_text) == ["0 %", "12.5 %"]
