"""The notebook's program, run in Keras: our `alexnet_notebook` with its weights has its logits.

The goldens and how their weights are sampled: shared/goldens/notebook_net/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from math import prod
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor

from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import BatchNorm, Conv, Flatten, FullyConnected, Layer
from alexnet.models.network import Network
from alexnet.models.zoo import ZOO

Arrays: TypeAlias = dict[str, np.ndarray]

LEGACY = np.random.RandomState  # the goldens are sampled from the legacy stream
ATOL = 5e-4
BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def goldens(shared: Path, name: str) -> Arrays:
    with np.load(shared / "goldens/notebook_net" / name) as file:
        return dict(file)


def keras_shapes(row: LayerInfo) -> dict[str, tuple[int, ...]]:
    """Our parameter names with the shapes in which Keras keeps them, in Keras's order."""
    name, layer = row.layer.name, row.layer
    if isinstance(layer, Conv):
        kernel = (layer.kernel, layer.kernel, row.input[0], layer.channels)
        return {f"{name}.weight": kernel, f"{name}.bias": (layer.channels,)}
    if isinstance(layer, FullyConnected):
        return {f"{name}.weight": (row.input[0], layer.features), f"{name}.bias": (layer.features,)}
    if isinstance(layer, BatchNorm):
        return {f"{name}.{kind}": (row.input[0],) for kind in BATCH_NORM}
    return {}


def from_keras(array: np.ndarray) -> Tensor:
    """Convolution HWIO to OIHW, dense (in, out) to (out, in)."""
    order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
    return torch.from_numpy(np.ascontiguousarray(array.transpose(order)))


def sampled_weights(arch: Architecture, statistics: Arrays) -> Iterator[tuple[str, Tensor]]:
    """The 50 arrays of the README's seeded stream, with its moving statistics in their places."""
    random, norms = LEGACY(17), count()
    for info in arch.layer_infos():
        shapes = keras_shapes(info)
        arrays = {name: sample(random, name, shape, info.layer) for name, shape in shapes.items()}
        if isinstance(info.layer, BatchNorm):
            i = next(norms)
            arrays[f"{info.layer.name}.running_mean"] = statistics[f"mean_{i}"]
            arrays[f"{info.layer.name}.running_var"] = statistics[f"var_{i}"]
        if info.layer is arch.layers[-1]:
            arrays[f"{info.layer.name}.weight"] *= 4
        yield from ((name, from_keras(array)) for name, array in arrays.items())


def sample(random: object, name: str, shape: tuple[int, ...], layer: Layer) -> np.ndarray:
    """One array as the README samples it."""
    assert isinstance(random, LEGACY)
    kind = name.split(".")[1]
    if not isinstance(layer, BatchNorm):
        bound = 0.35 * np.sqrt(6 / prod(shape[:-1])) if kind == "weight" else 0.1
        return random.uniform(-bound, bound, shape).astype(np.float32)
    if kind == "weight":
        gamma = random.uniform(0.5, 1.5, shape)
        return (gamma * np.where(random.uniform(0, 1, shape) < 0.25, -1, 1)).astype(np.float32)
    ranges = {"bias": (-0.5, 0.5), "running_mean": (0, 0.5), "running_var": (0.02, 0.5)}
    return random.uniform(*ranges[kind], shape).astype(np.float32)


def golden_images(seed: int, count: int, cells: int) -> np.ndarray:
    """Coarse cells of 32 pixels with a fifth of fine noise, NHWC float32."""
    random = LEGACY(seed)
    coarse = random.uniform(0, 1, (count, cells, cells, 3)).repeat(32, 1).repeat(32, 2)
    x = np.clip(0.8 * coarse + 0.2 * random.uniform(0, 1, coarse.shape), 0, 1)
    return x.astype(np.float32)


def to_nchw(x: np.ndarray) -> Tensor:
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def load(network: Network, weights: dict[str, Tensor]) -> Network:
    kept = network.load_state_dict(weights, strict=False)
    assert not kept.unexpected_keys
    assert all("num_batches_tracked" in name for name in kept.missing_keys)
    return network.eval()


@pytest.fixture(scope="module")
def outputs(shared: Path) -> dict[str, Tensor]:
    """What every layer of the full network gives for the four golden images."""
    arch = ZOO["alexnet_notebook"]
    weights = dict(sampled_weights(arch, goldens(shared, "bn_moving_stats.npz")))
    assert len(weights) == 50
    with torch.device("meta"):
        network = Network(arch)
    network = load(network.to_empty(device="cpu"), weights)
    with torch.inference_mode():
        return network.intermediate_outputs(to_nchw(golden_images(224, 4, 7)))


@pytest.mark.slow
def test_keras_logits(shared: Path, outputs: dict[str, Tensor]) -> None:
    reference = goldens(shared, "reference.npz")
    logits = outputs["fc8"].numpy()
    assert np.abs(reference["logits"]).max() > 4  # so that the tolerance means something
    np.testing.assert_allclose(logits, reference["logits"], rtol=0, atol=ATOL)
    exact = goldens(shared, "reference_f64.npz")["logits64"]
    np.testing.assert_allclose(logits, exact, rtol=0, atol=ATOL)
    np.testing.assert_allclose(outputs["flatten"].numpy(), reference["flatten"], rtol=0, atol=ATOL)
    probabilities = outputs["fc8"].softmax(1).numpy()
    np.testing.assert_allclose(probabilities, reference["prob"], rtol=0, atol=ATOL)


@pytest.mark.slow
def test_keras_layer_by_layer(shared: Path, outputs: dict[str, Tensor]) -> None:
    """Mean, std, extremes and first eight values of its 32 layers before the softmax."""
    reference = goldens(shared, "reference.npz")
    assert len(outputs) == 32 == len(reference["layer_names"]) - 1
    for i, (name, output) in enumerate(outputs.items()):
        keras = output.permute(0, 2, 3, 1) if output.ndim == 4 else output
        values = (keras.mean(), keras.std(correction=0), keras.min(), keras.max())
        np.testing.assert_allclose(
            [float(value) for value in values],
            reference["layer_stats"][i],
            atol=ATOL,
            rtol=1e-4,
            err_msg=name,
        )
        heads = keras.flatten(1)[:, :8].numpy()
        np.testing.assert_allclose(
            heads, reference["layer_heads"][i], atol=ATOL, rtol=1e-4, err_msg=name
        )


MINI_SIZES = {
    "conv1": 6,
    "conv2": 16,
    "conv3": 24,
    "conv4": 24,
    "conv5": 16,
    "fc6": 64,
    "fc7": 64,
    "fc7b": 50,
    "fc8": 17,
}


def small(layer: Layer, order: Literal["chw", "hwc"]) -> Layer:
    """The layer with the small program's channels or features, and this order of Flatten."""
    if isinstance(layer, Conv):
        return replace(layer, channels=MINI_SIZES[layer.name])
    if isinstance(layer, FullyConnected):
        return replace(layer, features=MINI_SIZES[layer.name])
    return replace(layer, order=order) if isinstance(layer, Flatten) else layer


def mini(order: Literal["chw", "hwc"]) -> Architecture:
    """The same topology, small, with 2 x 2 before Flatten, where its order matters."""
    layers = tuple(small(layer, order) for layer in ZOO["alexnet_notebook"].layers)
    return Architecture("mini", "shared/goldens/notebook_net", (3, 247, 247), layers)


@torch.inference_mode()
@pytest.mark.parametrize("order", ["hwc", "chw"])
def test_keras_mini_logits(shared: Path, order: Literal["chw", "hwc"]) -> None:
    """Right in Keras's order, and far off in torch's."""
    golden = goldens(shared, "mini_small.npz")
    arch = mini(order)
    names = [name for info in arch.layer_infos() for name in keras_shapes(info)]
    weights = {name: from_keras(golden[f"w{i:02}"]) for i, name in enumerate(names)}
    network = load(Network(arch), weights)
    assert sum(info.parameters for info in arch.layer_infos()) == 39_469
    x = np.round(golden_images(6, 2, 8)[:, :247, :247] * 255) / 255
    difference = np.abs(network(to_nchw(x)).numpy() - golden["logits"]).max()
    assert difference < ATOL if order == "hwc" else difference > 1
