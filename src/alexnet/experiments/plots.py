"""The figure of an experiment: learning curves or errors, and the effects with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from alexnet import plots
from alexnet.config.recipe import Recipe
from alexnet.experiments.formatting import MEASURE_NAMES, format_estimate
from alexnet.experiments.results import ArmResult, ComparisonResult, ExperimentResult
from alexnet.records import EpochRecord

VERDICT_COLORS = {"reproduced": plots.GREEN, "not reproduced": "#b5476f", "undecided": plots.INK}
LEGEND_COLUMNS = 4
NAME_WIDTH = 30
"""Columns of the name of a comparison."""

Histories: TypeAlias = Mapping[str, Sequence[Sequence[EpochRecord]]]
"""For every arm that trains, the learning curve of every seed."""


@plots.styled
def plot_result(result: ExperimentResult, histories: Histories) -> Figure:
    """Learning curves, or errors over the number of training images; below them the effects."""
    has_series = any(arm.series for arm in result.arms)
    names = {arm.series for arm in result.arms} if has_series else set(histories)
    legend_height = 0.22 * math.ceil(len(names) / LEGEND_COLUMNS)
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
        _plot_target(panels["T"], result)
    lines = panels["E"].get_legend_handles_labels()
    panels["L"].legend(*lines, loc="center", ncols=LEGEND_COLUMNS, borderaxespad=0)
    panels["L"].axis("off")
    _plot_effects(bottom.subplots(), result.comparisons)
    return figure


def _title(result: ExperimentResult) -> str:
    what = f"{result.experiment}, {result.verdict}"
    if result.design is None:
        return plots.run_title(what, (result.protocol,))
    base = result.design.recipe
    net = base.arch if isinstance(base.arch, str) else base.arch.name
    return plots.run_title(what, (result.protocol, base.data, net))


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
                label=plots.short_label(name) if i == 0 else None,
            )
    axes.set(xlabel="epoch", title=title)
    axes.set_ylim(bottom=0)
    plots.show_percent(axes.yaxis)
    plots.count_epochs(axes.xaxis)


def _plot_target(axes: Axes, result: ExperimentResult) -> None:
    base = result.design.recipe if result.design else Recipe()
    target = base.stopping.target_train_error
    if target is not None:
        axes.axhline(target, color=plots.GRAY, linestyle="--", linewidth=1)


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
    axes.set_xticks(sorted({arm.images_per_class for arm in result.arms}))
    axes.set_ylim(bottom=0)
    plots.show_percent(axes.yaxis)


def _plot_effects(axes: Axes, comparisons: Sequence[ComparisonResult]) -> None:
    """A point and its interval for every comparison, the first one on top.

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
    axes.xaxis.set_major_locator(MaxNLocator(6))
    if scale == "difference":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    _write_estimates(axes, comparisons)


def _effect_name(comparison: ComparisonResult) -> str:
    name = comparison.name if comparison.is_primary else f"{comparison.name} (secondary)"
    return plots.wrapped_label(name, NAME_WIDTH)


def _write_estimates(axes: Axes, comparisons: Sequence[ComparisonResult]) -> None:
    """Estimate and verdict of every comparison, at the right of the axes."""
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
        [low, high], [y, y], color=color, linewidth=2, alpha=1 if comparison.is_primary else 0.4
    )
    marker = ">" if interval.is_unbounded_above else "<" if interval.is_unbounded_below else "o"
    axes.plot([interval.estimate], [y], color=color, marker=marker)
    axes.plot([comparison.min_effect], [y], color=plots.INK, marker="|", markersize=12)


def _colors(count: int) -> list[str]:
    return [plots.COLORS[i % len(plots.COLORS)] for i in range(count)]
