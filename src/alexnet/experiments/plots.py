"""The figure of an experiment: learning curves or errors, and the effects with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from alexnet.experiments.formatting import MEASURE_NAMES, format_estimate
from alexnet.experiments.results import ArmResult, ComparisonResult, ExperimentResult
from alexnet.plots import GRAY, INK
from alexnet.records import EpochRecord

COLORS = (
    *("#2f6db3", "#d9772b", "#3a9464", "#b5476f", "#7a5cb0", "#8a7a2d", "#4aa3b8", "#222222"),
)
"""As many as the experiment with the most lines has."""
VERDICT_COLORS = {"reproduced": "#3a9464", "not reproduced": "#b5476f", "undecided": INK}

Histories: TypeAlias = Mapping[str, Sequence[Sequence[EpochRecord]]]
"""For every arm that trains, the learning curve of every seed."""


def plot_result(result: ExperimentResult, histories: Histories) -> Figure:
    """Learning curves, or errors over the number of training images, and the effects."""
    has_series = any(arm.series for arm in result.arms)
    height = 3.4 + 0.25 * max(0, len(result.comparisons) - 4)
    figure = Figure(figsize=(9 if has_series else 12, height), layout="constrained")
    *left, right = figure.subplots(1, 2 if has_series else 3)
    if has_series:
        _plot_series(left[0], result)
    else:
        _plot_curves(left[0], histories, "train_top1_error", "training error, running mean")
        _plot_curves(left[1], histories, "eval_top1_error", "validation or test error")
        _plot_target(left[0], result)
    _plot_effects(right, result.comparisons)
    for axes in (*left, right):
        axes.grid(color="#e6e6e6")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _plot_curves(
    axes: Axes,
    histories: Histories,
    field: Literal["train_top1_error", "eval_top1_error"],
    title: str,
) -> None:
    """One thin line per seed, one color per arm."""
    middle = 0.5 if field == "train_top1_error" else 0.0
    for color, (name, seeds) in zip(_colors(len(histories)), histories.items(), strict=True):
        for i, records in enumerate(seeds):
            axes.plot(
                [record.epoch - middle for record in records],
                [getattr(record, field) for record in records],
                color=color,
                linewidth=1.1,
                marker="." if len(records) < 3 else "",
                label=name if i == 0 else None,
            )
    axes.set(xlabel="epoch", title=title)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)


def _plot_target(axes: Axes, result: ExperimentResult) -> None:
    target = result.arms[0].recipe.stopping.target_train_error
    if target is not None:
        axes.axhline(target, color=GRAY, linestyle="--", linewidth=1)


def _plot_series(axes: Axes, result: ExperimentResult) -> None:
    """Means over the number of training images, one line per series, and a dot per seed."""
    series: dict[str, list[ArmResult]] = {}
    for arm in result.arms:
        series.setdefault(arm.series, []).append(arm)
    for color, (name, arms) in zip(_colors(len(series)), series.items(), strict=True):
        sizes, means = [arm.images_per_class for arm in arms], [arm.mean for arm in arms]
        axes.plot(sizes, means, color=color, marker="o", markersize=3, label=name)
        for arm in arms:
            x = [arm.images_per_class] * len(arm.values)
            axes.scatter(x, arm.values, color=color, s=6, alpha=0.5)
    axes.set(xlabel="training images per class", title=MEASURE_NAMES[result.measure])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False, fontsize=8)


def _plot_effects(axes: Axes, comparisons: Sequence[ComparisonResult]) -> None:
    """A point and its interval for every comparison, the first one on top."""
    for y, comparison in zip(range(len(comparisons), 0, -1), comparisons, strict=True):
        _plot_interval(axes, y, comparison)
    scale = comparisons[0].scale
    axes.axvline(1 if scale == "ratio" else 0, color=GRAY, linewidth=1)
    axes.set(
        ylim=(0.5, len(comparisons) + 0.8),
        yticks=[],
        xlabel=f"{scale}; the tick is the minimum effect",
        title="effects with 95 % intervals",
    )
    axes.xaxis.set_major_locator(MaxNLocator(6))
    if scale == "difference":
        axes.xaxis.set_major_formatter(PercentFormatter(1))


def _plot_interval(axes: Axes, y: int, comparison: ComparisonResult) -> None:
    interval, color = comparison.interval, VERDICT_COLORS[comparison.verdict]
    low = interval.estimate if interval.is_unbounded_below else interval.low
    high = interval.estimate if interval.is_unbounded_above else interval.high
    axes.plot(
        [low, high], [y, y], color=color, linewidth=2, alpha=1 if comparison.is_primary else 0.4
    )
    marker = ">" if interval.is_unbounded_above else "<" if interval.is_unbounded_below else "o"
    axes.plot([interval.estimate], [y], color=color, marker=marker)
    axes.plot([comparison.min_effect], [y], color=INK, marker="|", markersize=12)
    axes.annotate(
        f"{comparison.name}: {format_estimate(interval, comparison.scale)}, {comparison.verdict}",
        (0, y),
        (5, 7),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=7.5,
        parse_math=False,
    )


def _colors(count: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(count)]
