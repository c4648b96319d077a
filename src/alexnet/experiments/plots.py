"""The figure of an experiment: learning curves or errors, and the effects with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from alexnet import plots
from alexnet.experiments.formatting import MEASURE_NAMES, format_estimate
from alexnet.experiments.results import ArmResult, ComparisonResult, ExperimentResult
from alexnet.records import EpochRecord

VERDICT_COLORS = {"reproduced": plots.GREEN, "not reproduced": "#b5476f", "undecided": plots.INK}
LEGEND_COLUMNS = 4
NAME_WIDTH = 34
"""Letters on a line of the name of a comparison."""

CurveField: TypeAlias = Literal["train_top1_error", "eval_top1_error"]
Histories: TypeAlias = Mapping[str, Sequence[Sequence[EpochRecord]]]
"""The learning curves of every arm that trains, one for each seed."""


@plots.styled
def plot_result(result: ExperimentResult, histories: Histories) -> Figure:
    """Learning curves, or errors over the number of training images; below them the effects."""
    has_series = any(arm.series for arm in result.arms)
    names = {arm.series for arm in result.arms} if has_series else set(histories)
    num_marks = 0 if _target(result) is None or has_series else 2
    legend_height = 0.22 * math.ceil((len(names) + num_marks) / LEGEND_COLUMNS)
    effects_height = 0.75 + 0.42 * len(result.comparisons)
    above = 3.2 + legend_height
    figure = plots.new_figure(above + effects_height, _title(result))
    grid = figure.add_gridspec(2, 1, height_ratios=(above, effects_height))
    top, bottom = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    mosaic = "E;L" if has_series else "TE;LL"  # training errors, errors; legend
    panels = top.subplot_mosaic(mosaic, height_ratios=(2.6, legend_height))
    if has_series:
        _plot_series(panels["E"], result)
    else:
        _plot_curves(panels["T"], histories, "train_top1_error", "training error, running mean")
        _plot_curves(panels["E"], histories, "eval_top1_error", "validation or test error")
        _plot_target(panels["T"], histories, result)
    lines = panels["E" if has_series else "T"].get_legend_handles_labels()
    panels["L"].legend(*lines, loc="center", ncols=LEGEND_COLUMNS, borderaxespad=0)
    panels["L"].axis("off")
    _plot_effects(bottom.subplots(), result.comparisons)
    return figure


def _title(result: ExperimentResult) -> str:
    what = f"{result.experiment}, {result.verdict}"
    base = result.design.recipe
    net = base.arch if isinstance(base.arch, str) else base.arch.name
    return plots.run_title(what, (result.protocol, base.data, net))


def _plot_curves(
    axes: Axes,
    histories: Histories,
    field: CurveField,
    title: str,
) -> None:
    """Plot each arm in a color: a thin line per seed, and the mean while all seeds were trained."""
    middle = 0.5 if field == "train_top1_error" else 0.0
    for color, (name, seeds) in zip(_colors(len(histories)), histories.items(), strict=True):
        curves = [[_error_of(record, field) for record in records] for records in seeds]
        for curve in curves:
            _plot_curve(axes, curve, middle, color, width=0.7)
        means = [fmean(errors) for errors in zip(*curves, strict=False)]
        label = plots.short_label(name)
        _plot_curve(axes, means, middle, color, width=1.7, label=label)
    axes.set(xlabel="epoch", title=title)
    axes.set_ylim(bottom=0)
    plots.show_percent(axes.yaxis)
    plots.count_epochs(axes.xaxis)


def _error_of(record: EpochRecord, field: CurveField) -> float:
    """An error of an epoch; NaN, which is not drawn, where it was not evaluated."""
    error = getattr(record, field)
    return math.nan if error is None else float(error)


def _plot_curve(
    axes: Axes,
    errors: Sequence[float],
    middle: float,
    color: str,
    width: float,
    label: str | None = None,
) -> None:
    """Plot the errors of the epochs, each `middle` before the epoch's end; one or two as dots."""
    axes.plot(
        [epoch - middle for epoch in range(1, len(errors) + 1)],
        errors,
        color=color,
        linewidth=width,
        alpha=1 if label else 0.45,
        marker="." if len(errors) < 3 else "",
        label=label,
    )


def _target(result: ExperimentResult) -> float | None:
    """The training error that the runs end at."""
    return result.design.recipe.stopping.target_train_error


def _plot_target(axes: Axes, histories: Histories, result: ExperimentResult) -> None:
    """Plot the target of the training error as a line, and a cross where a run ended above it."""
    target = _target(result)
    if target is None:
        return
    line = f"target, {plots.percent(target)}"
    axes.axhline(target, color=plots.GRAY, linestyle="--", linewidth=1, label=line)
    ends = [
        (records[-1].epoch - 0.5, records[-1].train_top1_error)
        for seeds in histories.values()
        for records in seeds
        if records and records[-1].train_top1_error > target
    ]
    if ends:
        label = "ended before the target"
        axes.plot(*zip(*ends, strict=True), "x", color=plots.INK, markersize=5, label=label)


def _plot_series(axes: Axes, result: ExperimentResult) -> None:
    """Plot means over the number of training images, a line per series, and a dot per seed."""
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
    axes.set_xticks(sorted({arm.images_per_class for arm in result.arms}))
    axes.set_ylim(bottom=0)
    plots.show_percent(axes.yaxis)


def _plot_effects(axes: Axes, comparisons: Sequence[ComparisonResult]) -> None:
    """Plot a point and its interval for every comparison, the first one on top.

    Their names are at the left of the axes, estimates and verdicts at the right.
    """
    heights = range(len(comparisons), 0, -1)
    for y, comparison in zip(heights, comparisons, strict=True):
        _plot_interval(axes, y, comparison)
    scale = comparisons[0].scale
    axes.axvline(1 if scale == "ratio" else 0, color=plots.GRAY, linewidth=1)
    unit = "ratio" if scale == "ratio" else "difference in percentage points"
    axes.set(
        ylim=(0.5, len(comparisons) + 0.5),
        xlabel=f"{unit}; the tick is the minimum effect",
        title="effects with 95 % intervals",
    )
    axes.set_yticks(heights, [_effect_name(comparison) for comparison in comparisons])
    axes.grid(visible=False, axis="y")
    if scale == "ratio":
        _show_ratios(axes)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    _write_estimates(axes, comparisons)


def _show_ratios(axes: Axes) -> None:
    """Make the x axis logarithmic, with ticks at powers of two."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _effect_name(comparison: ComparisonResult) -> str:
    name = comparison.name if comparison.is_primary else f"{comparison.name} (secondary)"
    return plots.wrapped_label(name, NAME_WIDTH)


def _write_estimates(axes: Axes, comparisons: Sequence[ComparisonResult]) -> None:
    """Write the estimate and verdict of every comparison at the right of the axes."""
    right = axes.twinx()
    right.grid(visible=False)
    texts = [f"{format_estimate(c.interval, c.scale)}\n{c.verdict}" for c in comparisons]
    right.set(ylim=axes.get_ylim())
    right.set_yticks(range(len(comparisons), 0, -1), texts)
    right.tick_params(length=0)
    for label, comparison in zip(right.get_yticklabels(), comparisons, strict=True):
        label.set_color(VERDICT_COLORS[comparison.verdict])


def _plot_interval(axes: Axes, y: int, comparison: ComparisonResult) -> None:
    interval, color = comparison.interval, VERDICT_COLORS[comparison.verdict]
    low = interval.estimate if interval.is_unbounded_below else interval.low
    high = interval.estimate if interval.is_unbounded_above else interval.high
    axes.plot(
        [low, high], [y, y], color=color, linewidth=2, alpha=1 if comparison.is_primary else 0.5
    )
    marker = ">" if interval.is_unbounded_above else "<" if interval.is_unbounded_below else "o"
    alpha = 1 if comparison.is_primary else 0.5
    axes.plot([interval.estimate], [y], color=color, marker=marker, alpha=alpha)
    axes.plot([comparison.min_effect], [y], color=plots.INK, marker="|", markersize=12)


def _colors(count: int) -> list[str]:
    return [plots.COLORS[i % len(plots.COLORS)] for i in range(count)]
