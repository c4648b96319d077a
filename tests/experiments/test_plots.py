"""The figure of an experiment, by its data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.config.recipe import StoppingOptions
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.plan import Plan
from alexnet.experiments.plots import COLORS, Histories, plot_result
from alexnet.experiments.results import ExperimentResult
from support.experiments import history


@pytest.fixture
def histories(experiment: Experiment) -> Histories:
    """Two epochs of three seeds of every arm that trains."""
    arms = [spec.arm.name for spec in Plan(experiment=experiment).trainings]
    return {name: [history(0.5, 0.4)] * 3 for name in arms}


def test_curves_of_every_seed(tiny_result: ExperimentResult, histories: Histories) -> None:
    """The training error belongs to the middle of an epoch, the test error to its end."""
    train, test, _ = plot_result(tiny_result, histories).axes
    for axes, epochs in ((train, [0.5, 1.5]), (test, [1, 2])):
        assert len(axes.lines) == 6
        assert all(list(line.get_xdata()) == epochs for line in axes.lines)
        assert all(list(line.get_ydata()) == [0.5, 0.4] for line in axes.lines)
        assert axes.get_legend_handles_labels()[1] == ["dropout", "none"]


def test_effects_with_intervals_and_verdicts(
    tiny_result: ExperimentResult, histories: Histories
) -> None:
    effects = plot_result(tiny_result, histories).axes[-1]
    texts = [text.get_text() for text in effects.texts]
    for text, one in zip(texts, tiny_result.comparisons, strict=True):
        assert text.startswith(f"{one.name}: ")
        assert text.endswith(f", {one.verdict}")
    ends = list(effects.lines[0].get_xdata())
    assert ends == [
        tiny_result.comparisons[0].interval.low,
        tiny_result.comparisons[0].interval.high,
    ]


def test_a_missing_end_is_an_arrow(tiny_result: ExperimentResult, histories: Histories) -> None:
    one = tiny_result.comparisons[0]
    interval = replace(one.interval, is_unbounded_above=True)
    result = replace(tiny_result, comparisons=(replace(one, interval=interval),))
    line, marker, *_ = plot_result(result, histories).axes[-1].lines
    assert list(line.get_xdata()) == [interval.low, interval.estimate]
    assert marker.get_marker() == ">"


def test_errors_over_the_number_of_images(
    tiny_result: ExperimentResult, histories: Histories
) -> None:
    """Arms with a series are points of a line, and the target of the training error is no line."""
    arms = tuple(
        replace(arm, series="s", images_per_class=size)
        for arm, size in zip(tiny_result.arms, (5, 10, 20), strict=True)
    )
    figure = plot_result(replace(tiny_result, arms=arms), histories)
    assert len(figure.axes) == 2
    (line,) = figure.axes[0].lines
    assert list(line.get_xdata()) == [5, 10, 20]
    assert list(line.get_ydata()) == [arm.mean for arm in arms]


def test_the_target_is_a_line(tiny_result: ExperimentResult, histories: Histories) -> None:
    first = tiny_result.arms[0]
    arm = replace(
        first, recipe=replace(first.recipe, stopping=StoppingOptions(target_train_error=0.25))
    )
    result = replace(tiny_result, arms=(arm, *tiny_result.arms[1:]))
    assert list(plot_result(result, histories).axes[0].lines[-1].get_ydata()) == [0.25, 0.25]


def test_every_line_of_a_plot_has_its_own_color() -> None:
    plans = [
        Plan(experiment=experiment, protocol_name=name)
        for experiment in EXPERIMENTS.values()
        for name in experiment.protocols
    ]
    lines = [{arm.series or arm.name for arm in plan.arms} for plan in plans]
    assert max(map(len, lines)) <= len(set(COLORS))
