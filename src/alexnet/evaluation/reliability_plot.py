"""The reliability diagram: how often predictions of each probability are right."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet import plots
from alexnet.evaluation.calibration import NUM_BINS, Calibration, ReliabilityBin
from alexnet.evaluation.intervals import wilson_interval


@plots.styled
def reliability_diagram(calibration: Calibration, title: str = "") -> Figure:
    """Accuracy by the probability of the predicted class, and how many images have it.

    The probabilities before the temperature are plotted, too, if they are known.

    Source: Guo et al. 2017, figure 1; DeGroot and Fienberg 1983.
    """
    figure = plots.new_figure(5.6, title, width=6.0)
    accuracy, images = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    accuracy.plot([0, 1], [0, 1], color=plots.GRAY, linewidth=1, label="calibrated")
    error = f"calibration error {plots.percent(calibration.error, 1)}"
    if calibration.error_before is not None:
        before = f"temperature 1: calibration error {plots.percent(calibration.error_before, 1)}"
        _plot_bins(accuracy, images, calibration.bins_before, plots.ORANGE, before, "s")
        error = f"temperature {calibration.temperature:.3g}: {error}"
    _plot_bins(accuracy, images, calibration.bins, plots.BLUE, error, "o")
    accuracy.set(ylabel="accuracy", xlim=(0, 1), ylim=(-0.02, 1.02))
    images.set(xlabel="probability of the predicted class", ylabel="images", ylim=(0, None))
    accuracy.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    for axis in (accuracy.yaxis, images.xaxis):
        plots.show_percent(axis)
    figure.align_ylabels()
    plots.add_note(
        figure,
        f"{NUM_BINS} bins of equal width; bars: 95 % confidence intervals; below the gray line "
        "the model is overconfident.",
    )
    return figure


def _plot_bins(
    accuracy: Axes,
    images: Axes,
    bins: Sequence[ReliabilityBin],
    color: str,
    label: str,
    marker: str,
) -> None:
    """Plot the bins as points with intervals, and the numbers of their images as steps."""
    heights = [part.num_correct / part.num_images for part in bins]
    intervals = [wilson_interval(part.num_correct, part.num_images) for part in bins]
    low = [height - interval.low for height, interval in zip(heights, intervals, strict=True)]
    high = [interval.high - height for height, interval in zip(heights, intervals, strict=True)]
    accuracy.errorbar(
        [part.confidence for part in bins],
        heights,
        yerr=(low, high),
        color=color,
        marker=marker,
        markersize=5,
        linestyle="",
        elinewidth=1,
        label=label,
    )
    counts = [0] * NUM_BINS
    for part in bins:
        counts[round(part.low * NUM_BINS)] = part.num_images
    images.stairs(counts, [i / NUM_BINS for i in range(NUM_BINS + 1)], color=color, linewidth=1.4)
