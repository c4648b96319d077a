"""Caffe's model files, against a network written out in torch's functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.errors import ModelFileError, UsageError
from alexnet.interop.caffe.reader import read_caffe
from alexnet.interop.importer import (
    ChannelOrderOption,
    ImportedModel,
    build_network,
    import_model,
)
from alexnet.interop.match import MatchedModel
from alexnet.interop.published_preprocessing import CAFFE_MEAN
from alexnet.models.zoo import ZOO
from support.caffe_files import Layer, caffenet_layers, write_caffemodel
from support.narrow_nets import narrow_classifier
from support.slow import first_fast

WIDTHS = (8, 8, 12, 8, 8, 16, 12, 5)
SIDE = 131
ARCHS = {"alexnet_caffe": False, "caffenet": True}
"""Whether pooling comes before norm."""


def random_weights() -> dict[str, np.ndarray]:
    """Weights for BGR images."""
    rng = np.random.default_rng(0)
    a, b, c, d, e, fc6, fc7, classes = WIDTHS
    shapes = {
        "conv1": (a, 3, 11, 11), "conv2": (b, a // 2, 5, 5), "conv3": (c, b, 3, 3),
        "conv4": (d, c // 2, 3, 3), "conv5": (e, d // 2, 3, 3), "fc6": (fc6, e * 9),
        "fc7": (fc7, fc6), "fc8": (classes, fc7),
    }  # fmt: skip
    return {
        f"{name}.{kind}": rng.normal(0, 0.1, size).astype(np.float32)
        for name, shape in shapes.items()
        for kind, size in (("weight", shape), ("bias", shape[:1]))
    }


WEIGHTS = random_weights()


def logits_by_hand(bgr: Tensor, is_pool_first: bool) -> Tensor:
    """bvlc_alexnet or CaffeNet as their prototxt files describe them."""
    w = {name: torch.from_numpy(array) for name, array in WEIGHTS.items()}

    def norm(x: Tensor) -> Tensor:
        return F.local_response_norm(x, 5, 1e-4, 0.75, 1.0)

    def pool(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    def conv(x: Tensor, name: str, **options: int) -> Tensor:
        return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], **options).relu()

    def end(x: Tensor) -> Tensor:
        return norm(pool(x)) if is_pool_first else pool(norm(x))

    x = end(conv(bgr, "conv1", stride=4))
    x = end(conv(x, "conv2", padding=2, groups=2))
    x = conv(x, "conv3", padding=1)
    x = conv(x, "conv4", padding=1, groups=2)
    x = pool(conv(x, "conv5", padding=1, groups=2)).flatten(1)
    for name in ("fc6", "fc7"):
        x = F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"]).relu()
    return F.linear(x, w["fc8.weight"], w["fc8.bias"])


def rgb_images() -> Tensor:
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def layers(arch: str = "alexnet_caffe") -> list[Layer]:
    return caffenet_layers(WIDTHS, ARCHS[arch], crop_size=SIDE)


def check_logits(imported: ImportedModel, arch: str, order: int = -1) -> None:
    network = build_network(MatchedModel(imported.info.architecture, imported.weights))
    images = rgb_images()
    expected = logits_by_hand(images.flip(1) if order < 0 else images, ARCHS[arch])
    with torch.no_grad():
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("is_v1", first_fast([False, True]), ids=["layer", "layers"])
@pytest.mark.parametrize("arch", ARCHS)
def test_both_networks_in_both_forms(tmp_path: Path, arch: str, is_v1: bool) -> None:
    path = write_caffemodel(tmp_path / "net.caffemodel", layers(arch), WEIGHTS, is_v1)
    imported = import_model(path, arch)
    info = imported.info
    assert (info.architecture.input, info.architecture.num_classes) == ((3, SIDE, SIDE), 5)
    assert info.preprocessing.mean == (122.679, 116.669, 104.007)
    assert "net.caffemodel is taken to expect blue, green, red" in imported.notes[0]
    check_logits(imported, arch)


def test_a_network_of_rgb_images(tmp_path: Path) -> None:
    path = write_caffemodel(tmp_path / "net.caffemodel", layers(), WEIGHTS, is_v1=False)
    imported = import_model(path, "alexnet_caffe", channel_order="rgb")
    assert imported.notes == ()
    check_logits(imported, "alexnet_caffe", order=1)


def test_the_other_network_is_named(tmp_path: Path) -> None:
    path = write_caffemodel(tmp_path / "net.caffemodel", layers("caffenet"), WEIGHTS, is_v1=True)
    message = r"is not alexnet_caffe: expected norm1 \(response_norm\), but found Pooling 'pool1'"
    with pytest.raises(ModelFileError, match=message):
        import_model(path, "alexnet_caffe")
    with pytest.raises(
        ModelFileError, match=r"conv1 should have padding 2, but Convolution 'conv1'"
    ):
        import_model(path, "alexnet_owt")


def import_with(folder: Path, order: ChannelOrderOption = "auto", **data: object) -> ImportedModel:
    """The import of a file whose data layer has more parameters."""
    found = [("Data", "data", {"crop_size": SIDE, **data}), *layers()[1:]]
    path = write_caffemodel(folder / "net.caffemodel", found, WEIGHTS, is_v1=False)
    return import_model(path, "alexnet_caffe", channel_order=order)


@pytest.mark.parametrize(
    ("data", "mean"),
    [
        ({"scale": 1 / 128, "mean_value": [127.5]}, (127.5, 127.5, 127.5)),
        ({"scale": 1 / 128, "mean_value": [104.0, 117.0, 123.0]}, (123, 117, 104)),
        ({"scale": 1 / 128}, (0, 0, 0)),
        ({"scale": 1 / 128, "mean_file": "data/mean.binaryproto"}, CAFFE_MEAN),
    ],
    ids=str,
)
def test_the_mean_and_the_scale_of_the_data_layer(
    tmp_path: Path, data: dict[str, object], mean: tuple[float, ...]
) -> None:
    """Caffe computes (x - mean) * scale, with the means in the order of its colors."""
    imported = import_with(tmp_path, **data)
    assert imported.preprocessing_source == "file"
    assert imported.info.preprocessing.mean == mean
    assert imported.info.preprocessing.std == (128, 128, 128)
    note = "the file subtracts the mean image mean.binaryproto, which is not in it"
    assert any(note in one for one in imported.notes) is ("mean_file" in data)


def test_the_mean_of_a_network_of_rgb_images(tmp_path: Path) -> None:
    imported = import_with(tmp_path, "rgb", mean_value=[1.0, 2.0, 3.0])
    assert imported.info.preprocessing.mean == (1, 2, 3)
    assert imported.info.preprocessing.std == (1, 1, 1)


def test_a_mean_image_alone_leaves_the_published_preprocessing(tmp_path: Path) -> None:
    imported = import_with(tmp_path, mean_file="a/mean.binaryproto")
    assert (imported.preprocessing_source, imported.info.preprocessing.mean) == (
        "default",
        CAFFE_MEAN,
    )
    assert "the mean image mean.binaryproto, which is not in it" in imported.notes[0]


@pytest.mark.parametrize("data", [{"scale": -1.0}, {"scale": float("inf")}, {"mean_value": [1, 2]}])
def test_numbers_that_are_no_preprocessing(tmp_path: Path, data: dict[str, object]) -> None:
    imported = import_with(tmp_path, **data)
    assert imported.preprocessing_source == "default"
    assert "the file's preprocessing is not used: " in imported.notes[0]


Change = Callable[[list[Layer]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found[1][2].update(num_output=7), r"conv1\.weight has shape 8x3x11x11"),
        (lambda found: found[3][2].update(alpha=1.0), r"norm1 should have alpha 2e-05, but LRN"),
        (lambda found: found.insert(3, ("Deconvolution", "up", {})), "no layer like its Deconvolu"),
        (
            lambda found: found[:] and found.pop(1),
            r"expected conv1 \(conv\), but found ReLU",
        ),
    ],
)
def test_the_first_difference_is_named(tmp_path: Path, change: Change, message: str) -> None:
    found = [(kind, name, dict(parameters)) for kind, name, parameters in layers()]
    change(found)
    path = write_caffemodel(tmp_path / "net.caffemodel", found, WEIGHTS, is_v1=False)
    with pytest.raises(ModelFileError, match=message):
        import_model(path, "alexnet_caffe")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no Caffe model, or one without weights"),
        (b"\x0a\x03net", "is no Caffe model, or one without weights"),
        (b"\x0a\x7fnet", "it ends too early"),
        (b"\x0b\x03net", "field 1 has the unknown wire type 3"),
        (b"\x12\x04\x0a\x02\x0a\x00", "it is of Caffe's oldest form"),
        (b"\xa2\x06\x0a\x12\x08Mystery?", "no layer like its Mystery[?] ''"),
        (b"\xff" * 30, "it ends too early"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "net.caffemodel").write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        read_caffe(tmp_path / "net.caffemodel", ZOO["caffenet"])


def test_a_blob_with_fewer_numbers_than_its_shape(tmp_path: Path) -> None:
    path = write_caffemodel(tmp_path / "net.caffemodel", layers(), WEIGHTS, is_v1=False)
    content = path.read_bytes().replace(b"\x0a\x04\x08\x03\x0b\x0b", b"\x0a\x04\x08\x03\x0b\x0c")
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"a blob of shape \[8, 3, 11, 12\] has 2,904 numbers"):
        read_caffe(path, ZOO["alexnet_caffe"])


def tensorflow_layout() -> dict[str, list[np.ndarray]]:
    """As caffe-tensorflow converts the weights: kernels HWIO, and fc6 for maps [H, W, C]."""
    found: dict[str, list[np.ndarray]] = {}
    for name, array in WEIGHTS.items():
        layer, _, kind = name.partition(".")
        if kind == "bias":
            found[layer].append(array)
            continue
        if layer == "fc6":
            array = array.reshape(WIDTHS[5], WIDTHS[4], 9).transpose(0, 2, 1).reshape(WIDTHS[5], -1)
        found[layer] = [array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T]
    return found


def write_arrays(folder: Path, kind: str) -> Path:
    """The forms in which these weights are passed on."""
    lists = tensorflow_layout()
    dicts = {name: {"weights": w, "biases": b} for name, (w, b) in lists.items()}
    if kind == "npz":
        flat = {f"{name}_{part[0]}": a for name, d in dicts.items() for part, a in d.items()}
        np.savez_compressed(folder / "net.npz", **flat)
        return folder / "net.npz"
    content: object = lists if kind == "lists" else dicts
    np.save(folder / "net.npy", np.array(content, dtype=object), allow_pickle=True)
    return folder / "net.npy"


@pytest.mark.parametrize("kind", first_fast(["npz", "lists", "dicts"]))
def test_weights_that_were_converted_for_tensorflow(tmp_path: Path, kind: str) -> None:
    path = write_arrays(tmp_path, kind)
    imported = import_model(path, "alexnet_caffe", input_size=SIDE)
    assert "is taken to expect blue, green, red" in imported.notes[-1]
    check_logits(imported, "alexnet_caffe")


def test_a_state_dict_of_bgr_images(tmp_path: Path) -> None:
    torch.save(
        {name: torch.from_numpy(array) for name, array in WEIGHTS.items()}, tmp_path / "n.pt"
    )
    imported = import_model(tmp_path / "n.pt", "caffenet", channel_order="bgr", input_size=SIDE)
    check_logits(imported, "caffenet")
    told = import_model(tmp_path / "n.pt", "caffenet", input_size=SIDE).notes[-1]
    assert told.endswith("blue first: for one, import with --channel-order bgr")


def test_arrays_of_a_network_that_is_not_caffes_are_for_rgb(tmp_path: Path) -> None:
    state = narrow_classifier("alexnet_owt").network.state_dict()
    np.savez(tmp_path / "net.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    imported = import_model(tmp_path / "net.npz", "alexnet_owt")
    assert torch.equal(imported.weights["conv1.weight"], state["conv1.weight"])
    assert not any("blue" in note for note in imported.notes)


def test_colors_of_a_keras_file(tmp_path: Path) -> None:
    (tmp_path / "a.weights.h5").touch()
    with pytest.raises(UsageError, match="--channel-order bgr is not for Keras files such as a"):
        import_model(tmp_path / "a.weights.h5", "alexnet_notebook", channel_order="bgr")
