"""The picture of an experiment: what the arms did, and the effects with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from alexnet.experiments.formatting import MEASURED, estimate
from alexnet.experiments.results import ArmFinding, ComparisonFinding, Findings
from alexnet.plots import GREY, INK
from alexnet.records import EpochRecord

COLOURS = (
    *("#2f6db3", "#d9772b", "#3a9464", "#b5476f", "#7a5cb0", "#8a7a2d", "#4aa3b8", "#222222"),
)
"""As many as the longest list of lines has."""
VERDICT_COLOURS = {"reproduced": "#3a9464", "not reproduced": "#b5476f", "undecided": INK}

Curves: TypeAlias = Mapping[str, Sequence[Sequence[EpochRecord]]]
"""For every arm that trains, the learning curve of every seed."""


def draw(findings: Findings, curves: Curves) -> Figure:
    """Learning curves, or the value over the number of pictures, and beside them the effects."""
    has_sizes = any(arm.series for arm in findings.arms)
    height = 3.4 + 0.25 * max(0, len(findings.comparisons) - 4)
    figure = Figure(figsize=(9 if has_sizes else 12, height), layout="constrained")
    *left, right = figure.subplots(1, 2 if has_sizes else 3)
    if has_sizes:
        _draw_sizes(left[0], findings)
    else:
        _draw_curves(left[0], curves, "train_top1_error", "training error, as learnt")
        _draw_curves(left[1], curves, "eval_top1_error", "error on held-out pictures")
        _mark_goal(left[0], findings)
    _draw_effects(right, findings.comparisons)
    for axes in (*left, right):
        axes.grid(color="#e6e6e6")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_curves(axes: Axes, curves: Curves, figure_of_merit: str, title: str) -> None:
    """One line a seed, thin; the arms by colour."""
    for colour, (name, seeds) in zip(_cycle(len(curves)), curves.items(), strict=True):
        for i, records in enumerate(seeds):
            errors = [getattr(record, figure_of_merit) for record in records]
            middle = 0.5 if figure_of_merit == "train_top1_error" else 0.0
            axes.plot(
                [record.epoch - middle for record in records],
                errors,
                color=colour,
                linewidth=1.1,
                marker="." if len(errors) < 3 else "",
                label=name if i == 0 else None,
            )
    axes.set(xlabel="epoch", title=title)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)


def _mark_goal(axes: Axes, findings: Findings) -> None:
    goal = findings.arms[0].recipe.target_train_error
    if goal is not None:
        axes.axhline(goal, color=GREY, linestyle="--", linewidth=1)


def _draw_sizes(axes: Axes, findings: Findings) -> None:
    """Means over the number of training pictures, one line a series, with every seed as a dot."""
    series: dict[str, list[ArmFinding]] = {}
    for arm in findings.arms:
        series.setdefault(arm.series, []).append(arm)
    for colour, (name, arms) in zip(_cycle(len(series)), series.items(), strict=True):
        places, means = [arm.at for arm in arms], [arm.mean for arm in arms]
        axes.plot(places, means, color=colour, marker="o", markersize=3, label=name)
        for arm in arms:
            axes.scatter([arm.at] * len(arm.values), arm.values, color=colour, s=6, alpha=0.5)
    axes.set(xlabel="training pictures a class", title=MEASURED[findings.measure])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False, fontsize=8)


def _draw_effects(axes: Axes, comparisons: Sequence[ComparisonFinding]) -> None:
    """A point and its interval for every comparison, the first one on top."""
    for y, one in zip(range(len(comparisons), 0, -1), comparisons, strict=True):
        interval, colour = one.interval, VERDICT_COLOURS[one.verdict]
        low = interval.estimate if interval.is_open_below else interval.low
        high = interval.estimate if interval.is_open_above else interval.high
        axes.plot([low, high], [y, y], color=colour, linewidth=2, alpha=1 if one.is_claim else 0.4)
        marker = ">" if interval.is_open_above else "<" if interval.is_open_below else "o"
        axes.plot([interval.estimate], [y], color=colour, marker=marker)
        axes.plot([one.at_least], [y], color=INK, marker="|", markersize=12)
        text = f"{one.name}: {estimate(interval, one.scale)}, {one.verdict}"
        axes.annotate(
            text, (0, y), (5, 7), xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=7.5, parse_math=False,
        )  # fmt: skip
    is_ratio = comparisons[0].scale == "ratio"
    axes.axvline(1 if is_ratio else 0, color=GREY, linewidth=1)
    axes.set(
        ylim=(0.5, len(comparisons) + 0.8),
        yticks=[],
        xlabel="ratio; the tick is the least that counts"
        if is_ratio
        else "difference; the tick is the least that counts",
        title="effects with their 95 % intervals",
    )
    axes.xaxis.set_major_locator(MaxNLocator(6))
    if not is_ratio:
        axes.xaxis.set_major_formatter(PercentFormatter(1))


def _cycle(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
