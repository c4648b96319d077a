"""Receptive fields: the pixels that an output really depends on are those of the arithmetic."""

from __future__ import annotations

import pytest
import torch

from alexnet.errors import UnknownNameError
from alexnet.models import layers
from alexnet.models.architecture import Architecture
from alexnet.models.layers import AdaptivePool, Flatten
from alexnet.models.network import Network
from alexnet.models.receptive_fields import Box, receptive_box
from alexnet.models.zoo import ABLATIONS, ZOO

NETS = {**ZOO, **ABLATIONS}
PADDED = Architecture(
    "padded",
    "",
    (2, 23, 29),
    (
        layers.Conv("conv1", 4, 5, stride=2, padding=2, groups=2, extra_padding=1),
        layers.ResponseNorm("norm1"),
        layers.Pool("pool1", 3, 2, ceil=True),
        layers.WithinChannelLRN("norm2", 3),
        layers.Conv("conv2", 4, 3, padding=1),
        layers.AdaptivePool("pool2", 2),
        layers.Flatten("flatten"),
        layers.FullyConnected("fc3", 2),
    ),
)


def test_published_numbers() -> None:
    """Conv5's receptive field of 195 pixels (Araujo et al. 2019, table of AlexNet v2)."""
    assert receptive_box(ZOO["alexnet_owt"], "conv1") == Box(-2, -2, 9, 9)
    assert receptive_box(ZOO["alexnet_owt"], "conv1", 1, 3) == Box(2, 10, 13, 21)
    box = receptive_box(ZOO["alexnet_owt"], "pool5")
    assert (box.bottom - box.top, box.top) == (195, -66)
    with pytest.raises(UnknownNameError, match="did you mean conv5"):
        receptive_box(ZOO["alexnet"], "conv6")


@pytest.mark.parametrize("name", NETS)
def test_sides_are_those_of_the_summary(name: str) -> None:
    for info in NETS[name].layer_infos():
        if isinstance(info.layer, AdaptivePool | Flatten):
            continue
        box = receptive_box(NETS[name], info.layer.name)
        assert box.bottom - box.top == box.right - box.left == info.receptive_field
        if len(info.output) == 3 and info.output[1] > 1:
            below = receptive_box(NETS[name], info.layer.name, 1, 0)
            assert below.top - box.top == info.input_stride


@pytest.mark.parametrize("pixel", [(0, 0), (11, 14), (22, 28), (3, 27)])
def test_a_pixel_reaches_the_outputs_whose_field_has_it(pixel: tuple[int, int]) -> None:
    """Nan in one pixel spreads to the outputs that depend on it, and to no others."""
    images = torch.ones(1, *PADDED.input)
    images[0, :, pixel[0], pixel[1]] = torch.nan
    outputs = Network(PADDED).eval().intermediate_outputs(images)
    for name in ("conv1", "norm1", "pool1", "norm2", "conv2", "pool2"):
        reached = outputs[name][0].isnan().all(0)
        assert reached.tolist() == [
            [_is_inside(pixel, receptive_box(PADDED, name, row, column)) for column in range(w)]
            for row, w in enumerate([reached.shape[1]] * reached.shape[0])
        ], name
    assert outputs["fc3"].isnan().all()


def _is_inside(pixel: tuple[int, int], box: Box) -> bool:
    return box.top <= pixel[0] < box.bottom and box.left <= pixel[1] < box.right
