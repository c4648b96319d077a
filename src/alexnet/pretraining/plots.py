"""Pictures of a pretraining: filters, reconstructions beside their inputs, error curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from alexnet import plots
from alexnet.pretraining.records import LayerRecord
from alexnet.pretraining.setup import PretrainedLayer, PretrainJob
from alexnet.training.run_folder import RunFolder
from alexnet.transforms.crops import denormalize, to_uint8_images

SHOWN = 6
"""Pictures whose reconstructions are drawn."""


def draw(
    job: PretrainJob,
    layers: Sequence[PretrainedLayer],
    history: Sequence[LayerRecord],
    folder: RunFolder,
) -> None:
    """Draw filters, reconstructions and error curves into `plots/`."""
    first = job.network.get_parameter(f"{job.stages[0].name}.weight")
    plots.save(plots.filters(first), folder.plots / "filters.png")
    plots.save(reconstruction_sheet(job, layers), folder.plots / "reconstructions.png")
    plots.save(error_curves(history), folder.plots / "errors.png")


def reconstruction_sheet(job: PretrainJob, layers: Sequence[PretrainedLayer]) -> Figure:
    """One row a picture (held out, where there are any): the input, then from each layer's code."""
    rows = job.splits.val if len(job.splits.val) else job.splits.train
    picked = rows[np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).round().astype(int)]
    inputs = job.centre(job.store.images(picked))
    columns = [inputs, *(decode_through(layers[: i + 1], inputs) for i in range(len(layers)))]
    shown = [as_pictures(job, maps) for maps in columns]
    sheet = [[column[i] for column in shown] for i in range(len(picked))]
    heads = ["input", *(layer.stage.name for layer in layers)]
    return plots.contact_sheet(sheet, [""] * len(picked), heads)


@torch.no_grad()
def decode_through(layers: Sequence[PretrainedLayer], inputs: Tensor) -> Tensor:
    """Inputs through all layers up and down again; below the top only guides are kept."""
    codes = []
    for layer in layers:
        code = layer.eval().encode(inputs)
        codes.append(code)
        inputs = code.maps
    maps = codes[-1].maps
    for layer, code in zip(reversed(layers), reversed(codes), strict=True):
        held = code.maps.clone()  # what the layer above did not see stays as it was
        held[:, :, : maps.shape[2], : maps.shape[3]] = maps
        maps = layer.decode(code._replace(maps=held))
    return maps


def as_pictures(job: PretrainJob, maps: Tensor) -> list[np.ndarray]:
    """Network inputs as pictures: uint8 [h, w, 3] or grey [h, w]."""
    return to_uint8_images(denormalize(maps.cpu(), job.preprocessing, job.augmenter.mean_image))


def error_curves(history: Sequence[LayerRecord]) -> Figure:
    """Reconstruction errors over the epochs, one panel a layer."""
    names = list(dict.fromkeys(record.layer for record in history))
    figure = Figure(figsize=(1.2 + 2.4 * len(names), 2.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        own = [record for record in history if record.layer == name]
        epochs, marker = [r.epoch for r in own], "o" if len(own) < 3 else ""
        curves = [("training", [r.train_error for r in own], plots.BLUE)]
        if own[0].held_out_error >= 0:
            curves.append(("held out", [r.held_out_error for r in own], plots.ORANGE))
        for label, errors, colour in curves:
            axes.plot(epochs, errors, color=colour, marker=marker, label=label)
        axes.set(xlabel="epoch", title=name, ylim=(0, None))
        axes.grid(color="#e6e6e6")
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.axes[0].set_ylabel("reconstruction error\n(share of the variance)")
    figure.axes[0].legend(frameon=False)
    return figure
