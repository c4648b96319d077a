"""Explanations of images: what is in them, every network, and what is refused."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import alexnet
from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import DataError, UnknownNameError, UsageError
from alexnet.explain import METHODS, sheet
from alexnet.explain.placement import crop_window
from alexnet.inference.classifier import Classifier
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Flatten, FullyConnected
from alexnet.models.network import Network
from alexnet.models.zoo import ZOO
from support.narrow_nets import CLASS_NAMES, narrow_classifier
from support.slow import first_fast

PHOTO = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def test_the_window_is_what_the_network_gets() -> None:
    """A crop of 224 of the central square of 256, of a photo of 512 x 256."""
    centered = Preprocessing(resize_size=256, crop_size=224)
    window = crop_window(512, 256, centered)
    assert window == pytest.approx((0.25 + 16 / 512, 16 / 256, 0.75 - 16 / 512, 240 / 256))
    assert crop_window(256, 512, centered)[:2] == pytest.approx((16 / 256, 0.25 + 16 / 512))
    stretched = Preprocessing(resize="stretch", resize_size=100, crop_size=100)
    assert crop_window(333, 77, stretched) == (0, 0, 1, 1)
    padded = Preprocessing(resize="stretch", resize_size=32, padding=4, crop_size=40)
    assert crop_window(50, 50, padded) == (-1 / 8, -1 / 8, 9 / 8, 9 / 8)


@pytest.mark.parametrize("name", first_fast(sorted(ZOO, key="lenet5".__ne__)))
def test_every_network(name: str) -> None:
    classifier = narrow_classifier(name)
    found = classifier.explain(PHOTO)
    side = classifier.info.architecture.input[1]
    (prediction,) = classifier(PHOTO)
    assert found.top_classes == prediction.top_classes
    assert (found.class_name, found.probability) == (
        prediction.label, prediction.top_classes[0].probability
    )  # fmt: skip
    assert set(found.maps) == set(METHODS)
    for method, values in found.maps.items():
        assert values.shape == (side, side), method
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert found.pixels.shape[:2] == (side, side)
    assert found.size == (90, 60)
    assert [one.layer for one in found.channels] == [
        layer.name for layer in classifier.info.architecture.layers if layer.kind == "conv"
    ]


def test_a_class_a_layer_and_a_method_can_be_chosen() -> None:
    classifier = narrow_classifier("lenet5")
    found = classifier.explain(Image.fromarray(PHOTO), "iris", "conv2", ["grad_cam"])
    assert (found.class_name, found.layer, list(found.maps)) == ("iris", "tanh2", ["grad_cam"])
    assert found.left_out["occlusion"] == "not asked for"
    assert math.isnan(found.integration_gap)
    assert len(sheet(found, "a run").axes) == 3 + 1 + 3 * 4
    assert found._repr_html_().startswith("<img")
    assert repr(found).startswith("Explanation('image', 'iris' ")


def test_a_map_of_a_panorama_is_shown_around_what_the_network_gets() -> None:
    wide = Image.fromarray(PHOTO).resize((640, 64))
    found = narrow_classifier("lenet5").explain(wide, methods=["grad_cam"])
    found = replace(found, window=found.window._replace(left=0.4, right=0.5))
    whole, shown, *_ = sheet(found).axes
    assert whole.get_xlim() == (-0.5, 639.5)
    assert shown.get_xlim() == pytest.approx((255.5 - 0.6 * 64, 319.5 + 0.6 * 64))
    assert shown.get_ylim() == (63.5, -0.5)


def test_a_network_without_a_convolution() -> None:
    arch = Architecture(
        "flat", "", (1, 32, 32), (Flatten("flatten"), FullyConnected("fc1", len(CLASS_NAMES)))
    )
    lenet = narrow_classifier("lenet5")
    classifier = Classifier(Network(arch), replace(lenet.info, architecture=arch))
    found = classifier.explain(PHOTO)
    assert (found.layer, found.channels) == ("", ())
    assert found.left_out == {"grad_cam": "the network has no convolution"}
    assert set(found.maps) == set(METHODS) - {"grad_cam"}
    assert len(sheet(found).axes) == 3 + 3


def test_what_cannot_be_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = narrow_classifier("lenet5")
    for words, message in (
        ({"class_name": 7}, "class_name is a name, not 7"),
        ({"target": "tulip"}, "it is called class_name here"),
        ({"class_name": "tulp"}, "no class 'tulp'; did you mean tulip?"),
        ({"layer": "conv9"}, "did you mean conv"),
        ({"layer": "fc4"}, "fc4 are not a map over the image; convolutions: conv1, conv2, conv3"),
        ({"methods": "gradcam"}, "unknown method 'gradcam'; did you mean grad_cam"),
    ):
        with pytest.raises(UsageError, match=message):
            classifier.explain(PHOTO, **words)
    with pytest.raises(UsageError, match="one image, not 2"):
        classifier.explain(np.stack([PHOTO, PHOTO]))
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="not an image"):
        classifier.explain(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="optimized classifier cannot be explained"):
        classifier.optimized().explain(PHOTO)
    broken = narrow_classifier("lenet5")
    next(broken.network.parameters()).data.fill_(np.nan)
    with pytest.raises(UsageError, match=r"cannot be explained: .* values that are not finite"):
        broken.explain(PHOTO)
    with pytest.raises(UnknownNameError):
        classifier.explain(PHOTO, clas="rose")
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(UsageError, match=r'pip install "alexnet\[explain\]"'):
        classifier.explain(PHOTO)


def test_public_names() -> None:
    assert set(alexnet.explain.__all__) <= set(dir(alexnet.explain))
    assert CLASS_NAMES[0] == "rose"
