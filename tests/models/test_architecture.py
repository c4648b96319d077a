"""The arithmetic of layers against torch: output sizes, shapes, parameters, receptive fields."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st

from alexnet.errors import ArchitectureError, ConfigError
from alexnet.io.limits import MAX_INPUT_SIDE
from alexnet.models import layers as layers_module
from alexnet.models.architecture import Architecture, is_valid_input, smallest_input
from alexnet.models.layers import (
    LAYER_TYPES,
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Init,
    Layer,
    Pool,
    ResponseNorm,
    WithinChannelLRN,
    output_size,
)
from alexnet.models.network import Network

LENGTH = st.integers(1, 40)
KERNEL = st.integers(1, 12)
STRIDE = st.integers(1, 6)


def torch_count(length: int, function: Any, *args: Any, **keywords: Any) -> int:
    """Output size of torch; 0 if it raises an error."""
    try:
        maps = torch.empty(1, 1, length, length, device="meta")
        return int(function(maps, *args, **keywords).shape[-1])
    except RuntimeError:
        return 0


@given(LENGTH, KERNEL, STRIDE, st.booleans())
@example(1, 3, 2, True)
@example(2, 3, 2, True)
@example(55, 3, 2, True)
@example(6, 2, 3, True)  # the last window would begin past the end
def test_output_size_is_torchs_pooling(length: int, size: int, stride: int, ceil: bool) -> None:
    expected = torch_count(length, F.max_pool2d, size, stride, ceil_mode=ceil)
    assert output_size(length, size, stride, 0, ceil) == expected


@given(LENGTH, KERNEL, STRIDE, st.integers(0, 6), st.booleans())
def test_output_size_is_torchs_padded_pooling(
    length: int, size: int, stride: int, padding: int, ceil: bool
) -> None:
    """For inputs of at least one window; smaller ones occur only without padding."""
    padding = min(padding, size // 2)
    if length + 2 * padding >= size:
        expected = torch_count(length, F.max_pool2d, size, stride, padding, ceil_mode=ceil)
        assert output_size(length, size, stride, padding, ceil) == expected


@given(LENGTH, KERNEL, STRIDE, st.integers(0, 6))
def test_output_size_is_torchs_convolution(
    length: int, kernel: int, stride: int, padding: int
) -> None:
    weight = torch.empty(1, 1, kernel, kernel, device="meta")
    expected = torch_count(length, F.conv2d, weight, stride=stride, padding=padding)
    assert output_size(length, kernel, stride, padding, False) == expected


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "padding", "ceil", "count"),
    [
        (227, 11, 4, 0, False, 55),
        (224, 11, 4, 0, False, 54),
        (224, 11, 4, 2, False, 55),
        (224, 11, 4, 0, True, 55),
        (55, 3, 2, 0, False, 27),
        (32, 3, 2, 0, True, 16),
        (2, 3, 1, 0, False, 0),
        (2, 3, 2, 0, True, 1),
        (1, 3, 2, 0, True, 0),
        (0, 1, 1, 0, True, 0),
    ],
)
def test_output_size_by_hand(
    length: int, kernel: int, stride: int, padding: int, ceil: bool, count: int
) -> None:
    assert output_size(length, kernel, stride, padding, ceil) == count


def test_conv_by_hand() -> None:
    conv = Conv("c", 6, 3, stride=2, padding=1, groups=2)
    # 6 outputs x 2 inputs of their group x 3 x 3, and 6 biases;
    # (9 + 2 - 3) // 2 + 1 = 5 windows a side.
    assert conv.output((4, 9, 9)) == (6, 5, 5)
    assert conv.parameters((4, 9, 9)) == 108 + 6
    assert conv.bias_parameters() == 6
    assert conv.macs((4, 9, 9)) == 108 * 25
    assert conv.receptive_window((4, 9, 9)) == (3, 2)


def test_conv_without_bias() -> None:
    conv = Conv("c", 6, 3, bias=False)
    assert (conv.parameters((4, 9, 9)), conv.bias_parameters()) == (6 * 4 * 9, 0)


def test_conv_on_an_oblong() -> None:
    assert Conv("c", 5, 3, stride=2).output((1, 9, 4)) == (5, 4, 1)


def test_extra_padding_counts_once() -> None:
    assert Conv("c", 1, 11, stride=4, extra_padding=3).output((3, 224, 224)) == (1, 55, 55)
    assert Conv("c", 1, 11, stride=4, extra_padding=2).output((3, 224, 224)) == (1, 54, 54)


def test_fully_connected_by_hand() -> None:
    layer = FullyConnected("f", 7)
    assert layer.output((5,)) == (7,)
    assert (layer.parameters((5,)), layer.bias_parameters(), layer.macs((5,))) == (42, 7, 35)
    assert FullyConnected("f", 7, bias=False).parameters((5,)) == 35


@pytest.mark.parametrize(
    "layer",
    [Activation("a"), ResponseNorm("n"), WithinChannelLRN("m"), Dropout("d"), BatchNorm("b")],
)
def test_layers_that_keep_the_shape(layer: Layer) -> None:
    assert layer.output((4, 6, 6)) == (4, 6, 6)
    assert layer.macs((4, 6, 6)) == 0
    assert layer.parameters((4, 6, 6)) == (16 if isinstance(layer, BatchNorm) else 0)
    assert layer.bias_parameters() == 0


def test_adaptive_pool() -> None:
    pool = AdaptivePool("p", 6)
    assert pool.output((4, 13, 13)) == (4, 6, 6)
    assert pool.receptive_window((4, 6, 6)) == (1, 1)
    assert pool.receptive_window((4, 12, 12)) == (2, 2)
    assert pool.receptive_window((4, 13, 13)) == (3, 2)
    assert pool.receptive_window((4, 2, 2)) == (1, 1)


def test_kinds_are_unique_and_complete() -> None:
    classes = [c for c in vars(layers_module).values() if isinstance(c, type)]
    layers = {c for c in classes if issubclass(c, Layer) and c is not Layer}
    assert set(LAYER_TYPES.values()) == layers
    assert len(LAYER_TYPES) == len(layers) == 10
    assert all(LAYER_TYPES[kind].kind == kind for kind in LAYER_TYPES)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Conv("c", 0, 3), "^c: channels 0 must be from 1 to 16777216$"),
        (lambda: Conv("c", 4, 3, stride=0), "^c: stride 0 must be from 1 to"),
        (lambda: Conv("c", 4, 3, padding=-1), "^c: padding -1 must be from 0 to"),
        (lambda: Conv("c", 4, 3, extra_padding=-1), "^c: extra_padding -1 must be from 0 to"),
        (lambda: FullyConnected("f", 0), "^f: features 0 must be from 1 to"),
        (lambda: Pool("p", 0), "^p: size 0 must be from 1 to"),
        (lambda: AdaptivePool("p", 0), "^p: size 0 must be from 1 to"),
        (lambda: ResponseNorm("n", groups=0), "^n: groups 0 must be from 1 to"),
        (
            lambda: ResponseNorm("n", alpha=-1.0),
            r"^n: alpha -1\.0 must be from 0 to 1\.79769e\+308$",
        ),
        (lambda: WithinChannelLRN("n", k=float("nan")), "^n: k nan must be from 0 to"),
        (lambda: BatchNorm("b", eps=float("inf")), "^b: eps inf must be from 0 to"),
        (lambda: Dropout("d", 1.5), r"^d: p 1\.5 must be from 0 to 1$"),
        (lambda: Activation("a.b"), r"^a layer cannot be called 'a\.b'$"),
        (lambda: Conv(16, 3, 1), "cannot be called 16; Conv begins with a name"),  # type: ignore[arg-type]
        (lambda: Conv("c", "16", 3), "c: channels '16' must be from 1"),  # type: ignore[arg-type]
        (lambda: Conv("c", 16.0, 3), "c: channels 16.0 must be from 1"),  # type: ignore[arg-type]
        (lambda: Conv("c", 2, 3, init="he"), r"init 'he' must be an Init, such as"),  # type: ignore[arg-type]
        (lambda: FullyConnected("f", 2, "no"), "bias 'no' must be one of True, False"),  # type: ignore[arg-type]
        (lambda: Init("he"), "init: kind 'he' must be one of normal"),  # type: ignore[arg-type]
        (lambda: Dropout("d", "half"), "p 'half' must be from 0 to 1"),  # type: ignore[arg-type]
        (
            lambda: flat(Activation("a", "gelu")),
            "function 'gelu' must be one of relu",
        ),  # type: ignore[arg-type]
        (lambda: Pool("p", reduce="mean"), "reduce 'mean' must be one of max, average"),  # type: ignore[arg-type]
        (lambda: Flatten("f", "hw"), "order 'hw' must be one of chw, hwc"),  # type: ignore[arg-type]
    ],
)
def test_a_layer_names_the_field_that_is_wrong(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        build()


@pytest.mark.parametrize("layer", [Pool("p"), AdaptivePool("p", 2)])
def test_pooling_needs_a_feature_map(layer: Layer) -> None:
    with pytest.raises(ArchitectureError, match=r"^p: pooling needs a feature map, not a vector$"):
        layer.output((5,))


def small(*layers: Layer, shape: tuple[int, ...] = (4, 16, 16)) -> Architecture:
    return Architecture("small", "a test", shape, layers)


def test_rows_by_hand() -> None:
    net = small(Conv("c", 6, 3, padding=1), Pool("p"), Flatten("v"), FullyConnected("f", 5))
    rows = net.layer_infos()
    assert [row.input for row in rows] == [(4, 16, 16), (6, 16, 16), (6, 7, 7), (294,)]
    assert [row.output for row in rows] == [(6, 16, 16), (6, 7, 7), (294,), (5,)]
    assert [row.parameters for row in rows] == [222, 0, 0, 1475]
    assert [row.macs for row in rows] == [216 * 256, 0, 0, 1470]
    assert [row.neurons for row in rows] == [1536, 0, 0, 5]
    # conv 3; pool 3 + 2 * 1 with stride 2; seven of those side by side 5 + 6 * 2.
    assert [row.receptive_field for row in rows] == [3, 5, 17, 17]
    assert [row.input_stride for row in rows] == [1, 2, 2, 2]
    assert net.num_classes == 5


def test_two_layers_of_one_name() -> None:
    with pytest.raises(ArchitectureError, match=r"^small: two layers are called 'a'$"):
        small(Activation("b"), Activation("a"), Activation("a"))


def test_too_small_an_input() -> None:
    message = "^small cannot take 5x7 pixels; the smallest input that works is 6x6$"
    with pytest.raises(ArchitectureError, match=message) as caught:
        small(Conv("c", 6, 6), shape=(4, 5, 7))
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("channels", "inputs"), [(6, 3), (5, 4)])
def test_groups_that_do_not_divide(channels: int, inputs: int) -> None:
    message = f"^conv9: {inputs} -> {channels} channels cannot be split into 2 groups$"
    with pytest.raises(ArchitectureError, match=message):
        small(Conv("conv9", channels, 1, groups=2), shape=(inputs, 8, 8))


def test_norm_groups_that_do_not_divide() -> None:
    with pytest.raises(
        ArchitectureError, match=r"^norm9: 4 channels cannot be split into 3 groups$"
    ):
        small(ResponseNorm("norm9", groups=3))


def test_fully_connected_needs_a_vector() -> None:
    with pytest.raises(ArchitectureError, match=r"^fc9: a fully connected layer needs a Flatten"):
        small(FullyConnected("fc9", 3))


def test_fits_and_smallest_input() -> None:
    layers = (Conv("c", 2, 5, stride=3), Pool("p"))
    # The pool takes 3 windows, the third ends at pixel 2 * 3 + 5.
    assert [side for side in range(20) if is_valid_input(layers, (1, side, side))] == list(
        range(11, 20)
    )
    assert smallest_input(layers, 1) == 11


def reached(net: Architecture, stage: str, place: int) -> tuple[int, int, int, int]:
    """The box (top, left, bottom, right) of input pixels that one output's gradient reaches."""
    torch.manual_seed(0)
    network = Network(net).double().eval()
    x = torch.rand(1, *net.input, dtype=torch.float64, requires_grad=True)
    output = network.intermediate_outputs(x)[stage]
    (output[0, 0, place, place] if output.ndim == 4 else output[0, 0]).backward()
    assert x.grad is not None
    ys, xs = x.grad[0].abs().sum(0).nonzero(as_tuple=True)
    return int(ys.min()), int(xs.min()), int(ys.max()) + 1, int(xs.max()) + 1


LAYERS = (
    Conv("conv1", 4, 5, stride=2),
    Activation("tanh1", "tanh"),
    ResponseNorm("norm1"),
    WithinChannelLRN("map_norm1", alpha=0.1),
    Pool("pool1", 3, 2, reduce="average"),
    Conv("conv2", 4, 3, groups=2),
    BatchNorm("bn2"),
    AdaptivePool("avgpool", 4),
    Flatten("flatten"),
    FullyConnected("fc3", 3),
)


@pytest.mark.parametrize("stage", [layer.name for layer in LAYERS[:7]])
def test_receptive_field_is_what_the_gradient_reaches(stage: str) -> None:
    """Away from the border, and the next output sees the same square one stride further on."""
    net = small(*LAYERS, shape=(2, 63, 63))
    info = next(info for info in net.layer_infos() if info.layer.name == stage)
    middle = info.output[1] // 2
    top, left, bottom, right = reached(net, stage, middle)
    assert (bottom - top, right - left) == (info.receptive_field, info.receptive_field)
    assert reached(net, stage, middle + 1)[0] - top == info.input_stride


def test_a_vector_sees_the_windows_of_the_whole_map() -> None:
    layers = (
        Conv("c", 2, 3),
        Pool("p", 3, 2, reduce="average"),
        Flatten("v"),
        FullyConnected("f", 1),
    )
    net = small(*layers, shape=(1, 12, 12))
    # The map is 10, four windows of 3 at stride 2 end at 9: the last row and column are not seen.
    assert net.layer_infos()[-1].receptive_field == 11
    assert reached(net, "f", 0) == (0, 0, 11, 11)


def test_adaptive_pool_sees_what_its_row_says() -> None:
    net = small(Conv("c", 2, 3), AdaptivePool("p", 4), shape=(1, 10, 10))
    assert net.layer_infos()[-1].receptive_field == 4
    assert reached(net, "p", 1) == (2, 2, 6, 6)


def flat(*layers: Any) -> Architecture:
    return Architecture("any", "", (1, 9, 9), (*layers, Flatten("flatten"), FullyConnected("f", 2)))


def test_architectures_have_limits() -> None:
    with pytest.raises(ArchitectureError, match="1002 layers, not 1 to 1000"):
        flat(*(Activation(f"a{i}") for i in range(1000)))
    with pytest.raises(ArchitectureError, match=r"channels 16777217 must be from 1 to 16777216"):
        Conv("c", (1 << 24) + 1, 3)
    with pytest.raises(ArchitectureError, match="must be"):
        Architecture("any", "", (1, 10**9, 9), flat().layers)
    with pytest.raises(ArchitectureError, match="no input works"):
        flat(Conv("c", 1, MAX_INPUT_SIDE + 1))


def test_the_smallest_input_is_found_fast() -> None:
    layers = flat(Conv("c", 2, 9, 3)).layers
    assert smallest_input(layers, 1) == 9
    began = time.perf_counter()
    assert smallest_input((*layers[:1], *(Activation(f"a{i}") for i in range(900))), 1) == 9
    assert time.perf_counter() - began < 1


TABLES: list[tuple[Any, str]] = [
    ([("conv", 16, 3)], r"^any: layer 1 is \('conv', 16, 3\); it must be one such as Conv\('conv1"),
    ([Flatten("f"), FullyConnected], r"layer 2 is <class .*FullyConnected'>; .* in alexnet.models"),
    (Flatten("f"), r"layers Flatten\(.*\) must be a tuple of layers"),
]


@pytest.mark.parametrize(("layers", "message"), TABLES)
def test_what_is_no_layer_is_told(layers: Any, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        Architecture("any", "", (1, 9, 9), layers)


@pytest.mark.parametrize("shape", [(9, 9), 9, (1, 9, "9"), (1, 9.0, 9), (0, 9, 9), None, "199"])
def test_an_input_that_is_no_image_is_told(shape: Any) -> None:
    with pytest.raises(ArchitectureError, match=r"must be \(channels, height, width\), three"):
        Architecture("any", "", shape, flat().layers)
    with pytest.raises(ArchitectureError, match="name 5 of an Architecture must be a text"):
        Architecture(5, "", shape, ())  # type: ignore[arg-type]


def test_lists_become_tuples_and_a_convolution_needs_a_map() -> None:
    net = Architecture("any", "", [1, 9, 9], list(flat().layers))  # type: ignore[arg-type]
    assert (net, net.input) == (flat(), (1, 9, 9))
    with pytest.raises(ArchitectureError, match="c: a convolution needs a feature map"):
        flat(Flatten("g"), Conv("c", 2, 1))


def test_numbers_of_numpy_become_those_of_python() -> None:
    layers = (
        Conv("conv1", np.int64(4), np.int32(3), bias=np.bool_(False)),  # type: ignore[arg-type]
        Dropout("dropout", np.float32(0.5)),  # type: ignore[arg-type]
        Flatten("flatten"),
        FullyConnected("fc", 2, init=Init(std=np.float64(0.5), bias=np.int64(1))),
    )
    shape = tuple(np.array((3, 9, 9)))
    arch = Architecture("a", "", shape, layers)
    assert repr(arch) == (
        "Architecture(name='a', source='', input=(3, 9, 9), layers=("
        "Conv(name='conv1', channels=4, kernel=3, stride=1, padding=0, extra_padding=0, groups=1, "
        "bias=False, init=Init(kind='normal', std=0.01, bias=0.0)), "
        "Dropout(name='dropout', p=0.5), Flatten(name='flatten', order='chw'), "
        "FullyConnected(name='fc', features=2, bias=True, "
        "init=Init(kind='normal', std=0.5, bias=1))))"
    )
