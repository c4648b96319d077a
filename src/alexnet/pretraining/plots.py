"""Plots of a pretraining: filters, reconstructions beside their inputs, error curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet import plots
from alexnet.pretraining.records import LayerRecord
from alexnet.pretraining.setup import PretrainingSetup
from alexnet.pretraining.stack import PretrainedLayer, decode_through
from alexnet.training.run_folder import RunFolder
from alexnet.transforms.crops import denormalize, to_uint8_images

NUM_RECONSTRUCTIONS = 6
"""Images on the reconstruction sheet."""


def save_plots(
    setup: PretrainingSetup,
    layers: Sequence[PretrainedLayer],
    history: Sequence[LayerRecord],
    folder: RunFolder,
) -> list[str]:
    """Write `filters.png`, `reconstructions.png` and `errors.png` into `plots/`.

    Filters that look like noise are left out; returns the sentences that say so.
    """
    parts = (folder.path.resolve().name, setup.store.info.name, setup.network.architecture.name)
    sheet = reconstruction_sheet(setup, layers, plots.run_title("Reconstructions", parts))
    plots.save(sheet, folder.plots / "reconstructions.png")
    curves = error_curves(history, plots.run_title("Reconstruction errors", parts))
    plots.save(curves, folder.plots / "errors.png")
    first = setup.network.get_parameter(f"{setup.stages[0].name}.weight")
    if note := plots.noise_note(first, folder.path):
        return [note]
    title = plots.run_title(f"Filters of {setup.stages[0].name}", parts)
    plots.save(plots.filters(first, title), folder.plots / "filters.png")
    return []


def reconstruction_sheet(
    setup: PretrainingSetup, layers: Sequence[PretrainedLayer], title: str = ""
) -> Figure:
    """A row per image, with its name: the input, then its reconstruction from each layer's code.

    Shows validation images, or training images where there are none.
    """
    indices = setup.splits.val if len(setup.splits.val) else setup.splits.train
    count = min(NUM_RECONSTRUCTIONS, len(indices))
    picked = indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]
    inputs = setup.center_crops(setup.store.images(picked))
    decoded = [decode_through(layers[: i + 1], inputs) for i in range(len(layers))]
    columns = [
        to_uint8_images(denormalize(x, setup.preprocessing, setup.augmenter.mean_image))
        for x in (inputs, *decoded)
    ]
    heads = ["input", *(layer.stage.name for layer in layers)]
    names = [setup.store.info.names[index] for index in picked]
    return plots.contact_sheet(list(zip(*columns, strict=True)), names, heads, title=title)


@plots.styled
def error_curves(history: Sequence[LayerRecord], title: str = "") -> Figure:
    """Plot the reconstruction errors over the epochs, one panel per layer."""
    names = list(dict.fromkeys(record.layer for record in history))
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = plots.new_figure(2.3 * rows + 0.7, title)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        _plot_layer(axes, [record for record in history if record.layer == name])
        axes.set(title=name, ylim=(0, None))
    for axes in grid.flat[len(names) :]:
        axes.axis("off")
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    figure.supylabel("reconstruction error\n(fraction of the variance)", fontsize="medium")
    grid[0][0].legend()
    return figure


def _plot_layer(axes: Axes, records: Sequence[LayerRecord]) -> None:
    """Plot the curves of one layer."""
    epochs, marker = [r.epoch for r in records], "o" if len(records) < 3 else ""
    curves = [("training", [r.train_error for r in records], plots.BLUE)]
    val_errors = [r.val_error for r in records if r.val_error is not None]
    if val_errors:
        curves.append(("validation", val_errors, plots.ORANGE))
    for label, errors, color in curves:
        axes.plot(epochs, errors, color=color, marker=marker, label=label)
    plots.count_epochs(axes.xaxis)
