"""torchvision's published convolutions in our net, against the same sum written out by hand."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from alexnet.checkpoints.weights import load_matching_weights, read_weights
from alexnet.config.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from alexnet.data.images.decode import decode
from alexnet.models.network import create_model
from alexnet.transforms.crops import center_crop

RULE = Preprocessing(resize_size=256, crop_size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
CONVS = {
    "conv1": (0, 4, 2),
    "conv2": (3, 1, 2),
    "conv3": (6, 1, 1),
    "conv4": (8, 1, 1),
    "conv5": (10, 1, 1),
}
"""Place in torchvision's Sequential, stride, padding."""


@pytest.fixture
def pixels(shared: Path) -> np.ndarray:
    """A real flower, 256 x 256."""
    with tarfile.open(shared / "data" / "17flowers.tgz") as archive:
        file = archive.extractfile("jpg/image_0721.jpg")
        assert file is not None
        return decode(Image.open(file), "shortest_edge", 256)


def by_hand(pixels: np.ndarray, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's documented preprocessing and five convolutions, layer by layer, in float64."""
    unit = torch.tensor(pixels[16:240, 16:240]).permute(2, 0, 1).double() / 255
    mean, deviation = (
        torch.tensor(v).double() for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    x = ((unit - mean[:, None, None]) / deviation[:, None, None])[None]
    stages = {}
    for name, (place, stride, padding) in CONVS.items():
        weight, bias = (state[f"features.{place}.{kind}"].double() for kind in ("weight", "bias"))
        stages[name] = F.conv2d(x, weight, bias, stride, padding)
        x = stages[name].relu()
        if name in ("conv1", "conv2", "conv5"):
            x = stages[f"pool{name[-1]}"] = F.max_pool2d(x, 3, 2)
    return stages


@pytest.mark.slow
def test_stages_equal_a_plain_computation_on_a_real_image(shared: Path, pixels: np.ndarray) -> None:
    path = shared / "data" / "alexnet_owt" / "features.pth"
    network = create_model("alexnet_owt", num_classes=17).eval()
    report = load_matching_weights(network, read_weights(path, network.architecture).tensors)
    assert len(report.loaded) == 10
    assert report.unused == ()
    with torch.inference_mode():
        ours = network.intermediate_outputs(center_crop(torch.tensor(pixels)[None], RULE))
    for name, expected in by_hand(pixels, torch.load(path, weights_only=True)).items():
        difference = (ours[name].double() - expected).abs().max() / expected.abs().max()
        assert difference < 1e-5, f"{name}: {difference:.1e}"
