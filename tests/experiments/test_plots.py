"""The figure of an experiment, by its data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.config.recipe import StoppingOptions
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.formatting import format_estimate
from alexnet.experiments.plan import Plan
from alexnet.experiments.plots import Histories, plot_result
from alexnet.experiments.results import ExperimentResult
from alexnet.plots import COLORS
from support.experiments import history
from support.figures import overlapping_texts


@pytest.fixture
def histories(experiment: Experiment) -> Histories:
    """Two epochs of three seeds of every arm that trains."""
    arms = [spec.arm.name for spec in Plan(experiment=experiment).trainings]
    return {name: [history(0.5, 0.4)] * 3 for name in arms}


def test_curves_of_every_seed_and_their_mean(
    tiny_result: ExperimentResult, histories: Histories
) -> None:
    """The training error belongs to the middle of an epoch, the test error to its end."""
    train, test, legend, *_ = plot_result(tiny_result, histories).axes
    for axes, epochs in ((train, [0.5, 1.5]), (test, [1, 2])):
        assert len(axes.lines) == 2 * (3 + 1)
        assert all(list(line.get_xdata()) == epochs for line in axes.lines)
        for line in axes.lines:
            assert list(line.get_ydata()) == pytest.approx([0.5, 0.4])
    named = legend.get_legend()
    assert named is not None
    assert [text.get_text() for text in named.get_texts()] == ["dropout", "none"]


def test_effects_with_intervals_and_verdicts(
    tiny_result: ExperimentResult, histories: Histories
) -> None:
    effects, right = plot_result(tiny_result, histories).axes[-2:]
    first, second = tiny_result.comparisons
    names = [label.get_text() for label in effects.get_yticklabels()]
    assert names == [first.name, f"{second.name} (secondary)"]
    estimates = [label.get_text() for label in right.get_yticklabels()]
    assert estimates == [
        f"{format_estimate(one.interval, one.scale)}\n{one.verdict}" for one in (first, second)
    ]
    assert list(effects.lines[0].get_xdata()) == [first.interval.low, first.interval.high]


@pytest.mark.slow
def test_texts_overlap_neither_each_other_nor_marks(
    tiny_result: ExperimentResult, histories: Histories
) -> None:
    """All texts beside the effects lie outside of their axes, where no marks are."""
    one = tiny_result.comparisons[0]
    longer = replace(one, name="a remedy with a long name has a lower error than the baseline")
    figure = plot_result(replace(tiny_result, comparisons=(one, longer, longer)), histories)
    assert overlapping_texts(figure) == []
    effects, right = figure.axes[-2:]
    assert not effects.texts
    inner = effects.get_window_extent()
    assert all(t.get_window_extent().x1 <= inner.x0 for t in effects.get_yticklabels())
    assert all(t.get_window_extent().x0 >= inner.x1 for t in right.get_yticklabels())


def test_a_missing_end_is_an_arrow(tiny_result: ExperimentResult, histories: Histories) -> None:
    one = tiny_result.comparisons[0]
    interval = replace(one.interval, is_unbounded_above=True)
    result = replace(tiny_result, comparisons=(replace(one, interval=interval),))
    line, marker, *_ = plot_result(result, histories).axes[-2].lines
    assert list(line.get_xdata()) == [interval.low, interval.estimate]
    assert marker.get_marker() == ">"


@pytest.mark.slow
def test_errors_over_the_number_of_images(
    tiny_result: ExperimentResult, histories: Histories
) -> None:
    """Arms with a series are points of a line, and the target of the training error is no line."""
    arms = tuple(
        replace(arm, series="s", images_per_class=size)
        for arm, size in zip(tiny_result.arms, (5, 10, 20), strict=True)
    )
    figure = plot_result(replace(tiny_result, arms=arms), histories)
    assert len(figure.axes) == 4, "errors, legend, effects, estimates"
    assert list(figure.axes[0].get_xticks()) == [5, 10, 20]
    (line,) = figure.axes[0].lines
    assert list(line.get_xdata()) == [5, 10, 20]
    assert list(line.get_ydata()) == [arm.mean for arm in arms]


def test_a_mean_goes_as_far_as_all_seeds(tiny_result: ExperimentResult) -> None:
    seeds = [history(0.6, 0.5, 0.2), history(0.4, 0.3)]
    train = plot_result(tiny_result, {"dropout": seeds}).axes[0]
    mean = train.lines[-1]
    assert list(mean.get_ydata()) == pytest.approx([0.5, 0.4])
    assert mean.get_label() == "dropout"


def test_the_target_is_a_line_and_runs_that_ended_before_it_have_a_cross(
    tiny_result: ExperimentResult, histories: Histories
) -> None:
    base = replace(tiny_result.design.recipe, stopping=StoppingOptions(target_train_error=0.25))
    result = replace(tiny_result, design=replace(tiny_result.design, recipe=base))
    reached = {**histories, "none": [history(0.5, 0.2)] * 3}
    *_, line, crosses = plot_result(result, reached).axes[0].lines
    assert list(line.get_ydata()) == [0.25, 0.25]
    assert list(crosses.get_xdata()) == [1.5] * 3
    assert list(crosses.get_ydata()) == [0.4] * 3
    all_reached = {"none": reached["none"]}
    assert plot_result(result, all_reached).axes[0].lines[-1].get_label() == "target, 25 %"


def test_ratios_are_on_a_logarithmic_axis(
    tiny_result: ExperimentResult, histories: Histories
) -> None:
    one = tiny_result.comparisons[0]
    interval = replace(one.interval, estimate=3.0, low=1.5, high=6.0)
    ratio = replace(one, scale="ratio", min_effect=2.0, interval=interval)
    effects = plot_result(replace(tiny_result, comparisons=(ratio,)), histories).axes[-2]
    assert effects.get_xscale() == "log"
    assert effects.xaxis.get_major_formatter()(2.0, 0) == "2"


def test_every_line_of_a_plot_has_its_own_color() -> None:
    plans = [
        Plan(experiment=experiment, protocol_name=name)
        for experiment in EXPERIMENTS.values()
        for name in experiment.protocols
    ]
    lines = [{arm.series or arm.name for arm in plan.arms} for plan in plans]
    assert max(map(len, lines)) <= len(set(COLORS))
