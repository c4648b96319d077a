"""Graphs that normalize their images themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import GraphProto, NodeProto, helper, numpy_helper

from alexnet.config.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from alexnet.errors import ModelFileError
from alexnet.interop.importer import import_model
from alexnet.interop.onnx.normalization import InputNormalization, input_normalization
from alexnet.interop.published_preprocessing import published_preprocessing
from support.onnx_files import OnnxExports, edited_onnx, parse_chain

COLOR = {
    "mean": np.float32([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1),
    "std": np.float32([0.229, 0.224, 0.225]).reshape(3, 1, 1),
    "255": np.float32(255),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "caffe": np.float32([104, 117, 123]).reshape(3, 1, 1),
    "image": np.arange(3 * 9 * 9, dtype=np.float32).reshape(3, 9, 9),
    "1/127.5": np.float32(1 / 127.5),
    "minus": np.float32(-1),
}


def steps(*names: tuple[str, str]) -> InputNormalization | None:
    """The normalization of nodes (type, constant) one after another."""
    nodes: list[NodeProto] = []
    for i, (op_type, name) in enumerate(names):
        nodes.append(helper.make_node(op_type, [f"v{i - 1}" if i else "x", name], [f"v{i}"]))
    return input_normalization(parse_chain(*nodes, constants=COLOR))


@pytest.mark.parametrize(
    ("names", "mean", "std", "largest"),
    [
        ([("Sub", "mean"), ("Div", "std")], IMAGENET_MEAN, IMAGENET_STD, 1),
        ([("Div", "255"), ("Sub", "mean"), ("Div", "std")], IMAGENET_MEAN, IMAGENET_STD, 255),
        ([("Div", "255")], (0, 0, 0), (255, 255, 255), 255),
        ([("Sub", "half"), ("Div", "half")], (127.5,) * 3, (127.5,) * 3, 1),
        ([("Mul", "1/127.5"), ("Add", "minus")], (127.5,) * 3, (127.5,) * 3, 255),
        ([("Sub", "caffe")], (104, 117, 123), (1, 1, 1), 255),
    ],
)
def test_the_forms_that_people_use(
    names: list[tuple[str, str]], mean: tuple[float, ...], std: tuple[float, ...], largest: float
) -> None:
    found = steps(*names)
    assert found is not None
    assert found.largest == largest
    preprocessing, mean_image = found.preprocessing(Preprocessing())
    assert preprocessing.mean == pytest.approx(mean, abs=1e-4)
    assert preprocessing.std == pytest.approx(std, rel=1e-6)
    assert mean_image is None
    assert f"of values 0 to {largest}," in found.summary()


def test_nothing_is_no_normalization() -> None:
    assert steps() is None
    assert steps(("Mul", "one")) is None


def test_a_mean_image() -> None:
    found = steps(("Sub", "image"))
    assert found is not None
    preprocessing, mean_image = found.preprocessing(Preprocessing())
    assert preprocessing.has_mean_image
    assert mean_image is not None
    np.testing.assert_array_equal(mean_image.numpy(), COLOR["image"])


def test_blue_first() -> None:
    found = steps(("Sub", "caffe"))
    assert found is not None
    assert found.flipped().preprocessing(Preprocessing())[0].mean == (123, 117, 104)


@pytest.mark.parametrize("names", [[("Mul", "minus")], [("Mul", "image")]])
def test_what_is_no_mean_and_std(names: list[tuple[str, str]]) -> None:
    with pytest.raises(ModelFileError, match="multiplies its images by numbers that are no 1 / st"):
        steps(*names)


def test_whether_a_preprocessing_agrees() -> None:
    caffe, image = steps(("Sub", "caffe")), steps(("Sub", "image"))
    assert caffe is not None
    assert image is not None
    own = Preprocessing(mean=(104, 117, 123))
    assert caffe.agrees_with(own, None)
    assert not caffe.agrees_with(replace(own, mean=(123, 117, 104)), None)
    assert not caffe.agrees_with(replace(own, std=(2, 1, 1)), None)
    assert not image.agrees_with(own, None)
    assert image.agrees_with(own, torch.from_numpy(COLOR["image"]))
    assert not image.agrees_with(own, torch.from_numpy(COLOR["image"] + 1))


def test_normalization_of_blue_first(onnx_exports: OnnxExports, tmp_path: Path) -> None:
    """A file of BGR images that subtracts Caffe's mean itself, whatever its metadata say."""

    def normalize(graph: GraphProto) -> None:
        graph.node.insert(0, helper.make_node("Sub", ["images", "caffe"], ["normalized"]))
        graph.node[1].input[0] = "normalized"
        graph.initializer.append(numpy_helper.from_array(COLOR["caffe"], "caffe"))

    path = edited_onnx(onnx_exports("alexnet_caffe").path, tmp_path / "a.onnx", normalize)
    imported = import_model(path, "alexnet_caffe", channel_order="bgr")
    assert imported.info.preprocessing.mean == (123, 117, 104)
    assert imported.parity is not None
    assert imported.parity.relative_difference < 1e-5
    published = published_preprocessing("published", imported.info.architecture)
    assert imported.info.preprocessing == replace(published, mean=(123, 117, 104))
    assert "normalizes its images, of values 0 to 255, itself" in imported.notes[-1]
