"""The figures of a tuning: where lines and ticks are."""

from __future__ import annotations

import pytest

from alexnet.plots.tuning import TrialLine, ValueAxis, importance_bars, parallel_coordinates

AXES = (
    ValueAxis(name="--lr", low=1e-4, high=1e-2, log=True),
    ValueAxis(name="--dropout", low=0.0, high=0.8),
    ValueAxis(name="--freeze-up-to", low=0, high=1, choices=("''", "conv3")),
)


def test_an_axis_places_values_and_ticks() -> None:
    assert [AXES[0].place(x) for x in (1e-4, 1e-3, 1e-2)] == pytest.approx([0, 0.5, 1])
    assert [text for _, text in AXES[0].ticks()] == ["0.0001", "0.001", "0.01"]
    assert [text for _, text in AXES[1].ticks()] == ["0", "0.2", "0.4", "0.6", "0.8"]
    assert AXES[2].ticks() == [(0.0, "''"), (1.0, "conv3")]


def test_marked_trials_are_drawn_last_and_ended_ones_first() -> None:
    trials = [
        TrialLine(values=(1e-3, 0.5, 1), error=0.2, mark="winner"),
        TrialLine(values=(1e-2, 0.4, 0), error=None),
        TrialLine(values=(1e-2, 0.8, 0), error=0.4, mark="recipe"),
        TrialLine(values=(1e-4, 0.0, 0), error=0.3),
    ]
    figure = parallel_coordinates(AXES, trials, "Tuning")
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]  # type: ignore[arg-type]
    assert [line.get_ydata()[1] for line in lines] == pytest.approx([0.5, 0, 1, 0.625])  # type: ignore[index]
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["recipe", "winner"]
    alone = parallel_coordinates(AXES[:1], [TrialLine(values=(1e-3,), error=None)])
    assert len(alone.axes) == 1


def test_the_longest_bar_is_on_top() -> None:
    axes = importance_bars({"--lr": 0.7, "--dropout": 0.1, "--cutmix": 0.2}).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["--dropout", "--cutmix", "--lr"]
