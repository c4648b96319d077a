"""Layers of a file against an architecture, without a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch

from alexnet.errors import ModelFileError
from alexnet.interop.importer import build_network
from alexnet.interop.match import BATCH_NORM, MatchedModel, ParsedLayer, match_layers
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
)

ARCH = Architecture(
    "small",
    "",
    (3, 6, 6),
    (
        Conv("conv1", channels=2, kernel=3, bias=False),
        BatchNorm("bn1"),
        Activation("relu1"),
        Pool("pool1", size=2, stride=2),
        Dropout("drop1"),
        AdaptivePool("pool2", 2),
        Flatten("flatten"),
        FullyConnected("fc2", features=5),
    ),
)
CONV = np.arange(4 * 3 * 3 * 3, dtype=np.float32).reshape(4, 3, 3, 3)
FC = np.arange(7 * 16, dtype=np.float32).reshape(7, 16)
NORM = np.arange(1, 17, dtype=np.float32).reshape(4, 4)


def parsed(layer: Layer, **weights: np.ndarray) -> ParsedLayer:
    return ParsedLayer(layer, f"{layer.kind} {layer.name!r}", weights)


def file_layers() -> list[ParsedLayer]:
    """Of a file with 4 channels and 7 classes, under its own names."""
    weight, bias, mean, var = NORM
    return [
        parsed(Conv("a", channels=4, kernel=3), weight=CONV),
        parsed(BatchNorm("b"), weight=weight, bias=bias, running_mean=mean, running_var=var),
        parsed(Activation("c")),
        parsed(Pool("d", size=2, stride=2)),
        parsed(Flatten("e")),
        parsed(Dropout("f")),
        parsed(FullyConnected("g", features=7), weight=FC, bias=FC[:, 0]),
    ]


def match(layers: list[ParsedLayer], arch: Architecture = ARCH) -> MatchedModel:
    return match_layers("file", layers, arch, (3, 6, 6))


def test_widths_come_from_the_file_and_names_are_ours() -> None:
    matched = match(file_layers())
    widths = {"conv1": {"channels": 4}, "fc2": {"features": 7}}
    expected = [replace(layer, **widths.get(layer.name, {})) for layer in ARCH.layers]
    assert list(matched.architecture.layers) == expected
    np.testing.assert_array_equal(matched.weights["conv1.weight"], CONV)
    np.testing.assert_array_equal(matched.weights["bn1.running_var"], NORM[3])
    np.testing.assert_array_equal(matched.weights["fc2.bias"], FC[:, 0])
    assert "conv1.bias" not in matched.weights
    assert all(tensor.is_contiguous() for tensor in matched.weights.values())


def test_a_missing_bias_is_zero() -> None:
    layers = file_layers()
    layers[-1] = parsed(FullyConnected("g", features=7), weight=FC)
    assert torch.equal(match(layers).weights["fc2.bias"], torch.zeros(7))


def test_a_folded_batch_norm_adds_only_the_folded_bias() -> None:
    layers = file_layers()
    layers[:2] = [parsed(Conv("a", channels=4, kernel=3), weight=CONV, bias=NORM[0])]
    weights = match(layers).weights
    norm = torch.nn.BatchNorm2d(4).eval()
    norm.load_state_dict({n.split(".")[1]: t for n, t in weights.items() if n.startswith("bn1")})
    x = torch.randn(2, 4, 5, 5)
    expected = x + torch.from_numpy(NORM[0])[:, None, None]
    torch.testing.assert_close(norm(x), expected, rtol=1e-6, atol=1e-6)


def test_a_folded_batch_norm_without_a_bias_is_the_identity() -> None:
    layers = file_layers()
    del layers[1]
    assert torch.equal(match(layers).weights["bn1.bias"], torch.zeros(4))


def test_the_flatten_order_of_one_value_a_channel_does_not_matter() -> None:
    layers = [parsed(Flatten("a", "hwc")), parsed(FullyConnected("b", features=7), weight=FC)]
    arch = Architecture("s", "", (16, 1, 1), (Flatten("flatten"), FullyConnected("fc", 7)))
    matched = match_layers("file", layers, arch, (16, 1, 1))
    assert matched.architecture == arch


@pytest.mark.parametrize(("ours", "theirs"), [("chw", "hwc"), ("hwc", "chw")])
def test_features_are_reordered_where_the_flatten_order_differs(
    ours: Literal["chw", "hwc"], theirs: Literal["chw", "hwc"]
) -> None:
    """From Flatten to the fully connected layer, with a batch norm between; not behind it."""
    arch = Architecture(
        "s",
        "",
        (3, 2, 4),
        (Flatten("f", ours), BatchNorm("bn"), FullyConnected("fc", 24), BatchNorm("bn2")),
    )
    random = np.random.default_rng(0)
    norm = dict(zip(BATCH_NORM, random.random((4, 24), np.float32), strict=True))
    found = [
        parsed(Flatten("a", theirs)),
        parsed(BatchNorm("b"), **norm),
        parsed(FullyConnected("c", 24), weight=random.random((24, 24), np.float32)),
        parsed(BatchNorm("d"), **norm),
    ]
    own, expected = (
        build_network(match_layers("file", found, replace(arch, layers=layers), arch.input))
        for layers in (arch.layers, (Flatten("f", theirs), *arch.layers[1:]))
    )
    images = torch.randn(2, 3, 2, 4)
    torch.testing.assert_close(own(images), expected(images))
    weights = own.state_dict()
    assert not torch.equal(weights["bn.weight"], weights["bn2.weight"])


@pytest.mark.parametrize("side", [8, 9])
def test_zeros_that_no_window_reaches_do_not_matter(side: int) -> None:
    """The second zero at the right of 9 pixels makes a window more, that of 8 does not."""
    arch = Architecture("s", "", (1, side, side), (Conv("conv", 1, 3, 2, extra_padding=2),))
    weight = np.ones((1, 1, 3, 3), np.float32)
    found = [parsed(Conv("a", 1, 3, 2, extra_padding=1), weight=weight)]
    if side == 8:
        matched = match_layers("file", found, arch, arch.input)
        assert matched.architecture == arch
    else:
        with pytest.raises(ModelFileError, match="conv should have extra_padding 2"):
            match_layers("file", found, arch, arch.input)


def test_a_mismatch_comes_before_a_layer_that_cannot_be_parsed() -> None:
    def layers() -> Iterator[ParsedLayer]:
        yield parsed(Conv("a", channels=4, kernel=5), weight=CONV)
        raise ModelFileError("the second layer cannot be parsed")

    with pytest.raises(ModelFileError, match="conv1 should have kernel 3, but conv 'a' has 5"):
        match_layers("file", layers(), ARCH, (3, 6, 6))


def test_another_rounding_of_a_pool_is_kept_where_it_changes_the_output() -> None:
    arch = Architecture("s", "", (1, 5, 5), (Pool("pool", 2, 2), Flatten("f")))
    found = [parsed(Pool("a", 2, 2, ceil=True)), parsed(Flatten("f"))]
    for side, ceil in ((5, True), (6, False)):
        matched = match_layers("file", found, arch, (1, side, side))
        assert matched.architecture.layers[0] == Pool("pool", 2, 2, ceil=ceil)


def change(index: int, *layers: ParsedLayer) -> Callable[[], list[ParsedLayer]]:
    """The file's layers with one replaced."""
    return lambda: [*file_layers()[:index], *layers, *file_layers()[index + 1 :]]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda: file_layers()[:-1], "the file ends where fc2 should be"),
        (
            lambda: [*file_layers(), parsed(Activation("z"))],
            "the file has activation 'z' after fc2",
        ),
        (change(2, parsed(Flatten("z"))), r"expected relu1 \(activation\), but found flatten 'z'"),
        (change(3, parsed(Pool("z", 2, 1))), "pool1 should have stride 2, but pool 'z' has 1"),
        (
            change(1, parsed(BatchNorm("z", 1e-3))),
            "bn1 should have eps 1e-05, but batch_norm 'z' has 0.001",
        ),
        (
            change(0, parsed(Conv("z", 4, 3), weight=CONV, bias=NORM[0])),
            "conv1 should have no bias, but conv 'z' has one",
        ),
        (
            change(0, parsed(Conv("z", 4, 3), weight=CONV[:, :1])),
            r"conv1\.weight has shape 4x1x3x3, expected 4x3x3x3",
        ),
        (change(1, parsed(BatchNorm("z"))), "the file has no weight for bn1"),
        (change(0, parsed(Conv("z", 4, 6), weight=CONV)), "conv1 should have kernel 3"),
        (change(3), r"expected pool1 \(pool\), but found flatten 'e'"),
    ],
)
def test_the_first_mismatch_is_named(layers: Callable[[], list[ParsedLayer]], message: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^file is not small: {message}"):
        match(layers())


def test_a_missing_adaptive_pool_must_do_nothing() -> None:
    arch = replace(ARCH, layers=(*ARCH.layers[:5], AdaptivePool("pool2", 1), *ARCH.layers[6:]))
    message = "the file lacks pool2, which would change an input of 4x2x2"
    with pytest.raises(ModelFileError, match=message):
        match(file_layers(), arch)


def test_an_input_that_is_too_small() -> None:
    with pytest.raises(ModelFileError, match="the input is too small: conv1 has an empty output"):
        match_layers("file", file_layers(), ARCH, (3, 2, 2))


def test_a_huge_map_takes_no_memory_where_the_flatten_order_differs() -> None:
    """2^40 features: their order is not computed before the weights have been found to fit."""
    arch = Architecture("s", "", (16, 1, 1), (Flatten("flatten"), FullyConnected("fc", 7)))
    found = [parsed(Flatten("a", "hwc")), parsed(FullyConnected("b", features=7), weight=FC)]
    with pytest.raises(
        ModelFileError, match=r"fc\.weight has shape 7x16, expected 7x1099511627776"
    ):
        match_layers("file", found, arch, (256, 1 << 16, 1 << 16))
