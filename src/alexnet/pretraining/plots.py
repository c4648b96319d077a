"""Plots of a pretraining: filters, reconstructions beside their inputs, error curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

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
) -> None:
    """Write `filters.png`, `reconstructions.png` and `errors.png` into `plots/`."""
    first = setup.network.get_parameter(f"{setup.stages[0].name}.weight")
    plots.save(plots.filters(first), folder.plots / "filters.png")
    plots.save(reconstruction_sheet(setup, layers), folder.plots / "reconstructions.png")
    plots.save(error_curves(history), folder.plots / "errors.png")


def reconstruction_sheet(setup: PretrainingSetup, layers: Sequence[PretrainedLayer]) -> Figure:
    """One row per image: the input, then its reconstruction from the code of each layer.

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
    return plots.contact_sheet(list(zip(*columns, strict=True)), [""] * count, heads)


def error_curves(history: Sequence[LayerRecord]) -> Figure:
    """Reconstruction errors over the epochs, one panel per layer."""
    names = list(dict.fromkeys(record.layer for record in history))
    figure = Figure(figsize=(1.2 + 2.4 * len(names), 2.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        records = [record for record in history if record.layer == name]
        epochs, marker = [r.epoch for r in records], "o" if len(records) < 3 else ""
        curves = [("training", [r.train_error for r in records], plots.BLUE)]
        val_errors = [r.val_error for r in records if r.val_error is not None]
        if val_errors:
            curves.append(("validation", val_errors, plots.ORANGE))
        for label, errors, color in curves:
            axes.plot(epochs, errors, color=color, marker=marker, label=label)
        axes.set(xlabel="epoch", title=name, ylim=(0, None))
        axes.grid(color="#e6e6e6")
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.axes[0].set_ylabel("reconstruction error\n(fraction of the variance)")
    figure.axes[0].legend(frameon=False)
    return figure
