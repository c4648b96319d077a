"""The time of each layer, on a small net."""

from __future__ import annotations

import pytest
import torch

from alexnet.benchmark.layers import layer_times
from alexnet.models.network import create_model
from support.kernels import needs_kernels

WITH_WEIGHTS = {"conv", "fc"}


@pytest.mark.parametrize("training", [True, False])
def test_every_layer_in_order(training: bool) -> None:
    network = create_model("lenet5")
    times = layer_times(network, torch.randn(2, 1, 32, 32), "float32", 1, training=training)
    rows = network.architecture.layer_infos()
    assert [(one.name, one.output) for one in times] == [
        (row.layer.name, (2, *row.output)) for row in rows
    ]
    assert all(one.forward_seconds > 0 for one in times)
    assert all((one.backward_seconds is not None) == training for one in times)
    for one, row in zip(times, rows, strict=True):
        assert (one.forward_gflops is not None) == (row.layer.kind in WITH_WEIGHTS)
        if one.forward_gflops:
            expected = 2 * 2 * row.macs / one.forward_seconds / 1e9
            assert one.forward_gflops == pytest.approx(expected)
    assert not any(p.grad is not None for p in network.parameters())


def test_the_first_layer_needs_no_gradient_of_the_images() -> None:
    """So its backward pass is one product instead of two."""
    network = create_model("lenet5")
    first, second = (
        one
        for one in layer_times(network, torch.randn(2, 1, 32, 32), "float32", 3, training=True)
        if one.name in ("conv1", "conv2")
    )
    macs = {info.layer.name: info.macs for info in network.architecture.layer_infos()}
    for one, products in ((first, 1), (second, 2)):
        if one.backward_seconds:
            gflop = 2 * 2 * products * macs[one.name] / 1e9
            assert one.backward_gflops == pytest.approx(gflop / one.backward_seconds)


@needs_kernels
def test_layers_that_are_trained_in_one_pass_are_one_row() -> None:
    network = create_model("alexnet", width=0.05, input_size=67, num_classes=3)
    images = torch.randn(2, 3, 67, 67)
    training = layer_times(network, images, "float32", 1, training=True)
    assert [one.name for one in training][:4] == ["conv1", "relu1+norm1+pool1", "conv2",
                                                   "relu2+norm2+pool2"]  # fmt: skip
    assert "relu5+pool5" in [one.name for one in training]
    assert all(one.backward_seconds is not None for one in training)
    inference = layer_times(network, images, "float32", 1, training=False)
    assert [one.name for one in inference] == [layer.name for layer in network.architecture.layers]
    outputs = {one.name: one.output for one in inference}
    assert training[1].output == outputs["pool1"]
