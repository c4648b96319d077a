"""The plots of a pretraining, by their data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.config.recipe import Recipe
from alexnet.pretraining.plots import error_curves, reconstruction_sheet, save_plots
from alexnet.pretraining.pretrainer import Pretrained
from alexnet.pretraining.recipe import read_pretrain_recipe
from alexnet.pretraining.records import LayerRecord, NullPretrainReporter
from alexnet.pretraining.run_files import load_finished
from alexnet.pretraining.setup import set_up_pretraining
from alexnet.pretraining.stack import decode_through
from alexnet.training.run_folder import RunFolder
from alexnet.transforms.crops import denormalize, to_uint8_images
from support.figures import overlapping_texts
from support.pretraining import small_recipe
from support.slow import first_fast


def epoch(layer: str, number: int, train: float, val: float | None) -> LayerRecord:
    return LayerRecord(
        layer=layer,
        epoch=number,
        train_error=train,
        val_error=val,
        activation_rate=0.1,
        free_energy_gap=0.0,
        images_per_second=1.0,
        elapsed_seconds=1.0,
    )


def test_error_curves_have_a_panel_per_layer() -> None:
    history = [epoch("conv1", 1, 0.9, 0.8), epoch("conv1", 2, 0.5, 0.6), epoch("conv2", 1, 0.7, 1)]
    first, second = error_curves(history).axes
    assert (first.get_title("left"), second.get_title("left")) == ("conv1", "conv2")
    curves = {line.get_label(): np.asarray(line.get_xydata()) for line in first.lines}
    assert curves["training"].tolist() == [[1, 0.9], [2, 0.5]]
    assert curves["validation"].tolist() == [[1, 0.8], [2, 0.6]]


@pytest.mark.parametrize("count", first_fast([1, 5]))
def test_many_layers_stand_in_rows(count: int) -> None:
    layers = [f"conv{i + 1}" for i in range(count)]
    figure = error_curves([epoch(layer, e, 0.9, 0.8) for layer in layers for e in (1, 2)], "title")
    assert [axes.get_title("left") for axes in figure.axes if axes.axison] == layers
    assert overlapping_texts(figure) == []


def test_without_validation_images_there_is_one_curve() -> None:
    (axes,) = error_curves([epoch("conv1", 1, 0.9, None)]).axes
    assert [line.get_label() for line in axes.lines] == ["training"]


@pytest.mark.slow
@pytest.mark.usefixtures("with_store")
def test_the_sheet_shows_inputs_and_reconstructions_as_images(finished: Pretrained) -> None:
    recipe = read_pretrain_recipe(finished.folder.config)
    setup = set_up_pretraining(recipe, NullPretrainReporter())
    layers = load_finished(setup, finished.folder)
    figure = reconstruction_sheet(setup, layers)
    assert [axes.get_title() for axes in figure.axes[:3]] == ["input", "conv1", "conv2"]
    names = [setup.store.info.names[index] for index in setup.splits.val]
    rows = [axes.get_ylabel().replace("\n", "") for axes in figure.axes[::3]]
    assert (rows[0], rows[-1]) == (names[0], names[-1])
    sheet = np.reshape([axes.images[0].get_array() for axes in figure.axes], (6, 3, 67, 67, 3))
    offset = (72 - 67) // 2
    first = setup.store.images(setup.splits.val[:1])
    assert np.array_equal(sheet[:1, 0], first[:, offset : offset + 67, offset : offset + 67])
    decoded = denormalize(
        decode_through(layers, setup.center_crops(first)), setup.preprocessing, None
    )
    assert np.array_equal(sheet[0, 2], to_uint8_images(decoded)[0])


@pytest.mark.slow
@pytest.mark.usefixtures("with_store")
def test_every_plot_is_written(training: Recipe, tmp_path: Path) -> None:
    recipe = replace(small_recipe("rbm", training), up_to="conv1")
    setup = set_up_pretraining(recipe, NullPretrainReporter())
    layers, history = [setup.new_layer([])], [epoch("conv1", 1, 0.9, 0.8)]
    (note,) = save_plots(setup, layers, history, RunFolder(tmp_path))
    assert "look like noise" in note, "nothing is trained"
    assert f"alexnet info {tmp_path} --filters" in note
    others = {"reconstructions.png", "errors.png", "errors.svg"}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == others
    weight = setup.network.get_parameter("conv1.weight")
    with torch.no_grad():
        weight.fill_(1)
    assert save_plots(setup, layers, history, RunFolder(tmp_path)) == []
    assert {path.name for path in (tmp_path / "plots").iterdir()} == others | {"filters.png"}
