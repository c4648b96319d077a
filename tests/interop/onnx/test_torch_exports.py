"""Files that torch's own exporters write: names, response norms, flatten, training mode, opsets."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from alexnet.errors import ModelFileError
from alexnet.interop.export_module import quiet_export
from alexnet.interop.importer import build_network
from alexnet.interop.onnx.graph import Graph
from alexnet.interop.onnx.reader import check_parity, read_onnx
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import Runner
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.models.architecture import Architecture
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    FullyConnected,
    Pool,
    ResponseNorm,
)
from support.slow import first_fast

LRN = Architecture(
    "lrn",
    "",
    (3, 25, 25),
    (
        Conv("conv1", 6, 5, stride=2),
        Activation("relu1"),
        ResponseNorm("norm1", size=5, alpha=1e-4, beta=0.75, k=2.0),
        Pool("pool1"),
        Conv("conv2", 8, 3, padding=1, groups=2),
        Activation("relu2"),
        ResponseNorm("norm2", size=3, alpha=0.1, beta=0.5, k=1.0),
        AdaptivePool("avgpool", 5),
        Flatten("flatten"),
        Dropout("drop3"),
        FullyConnected("fc3", 7),
        Activation("relu3"),
        FullyConnected("fc4", 4),
    ),
)
WITHOUT_NORM = replace(
    LRN, layers=tuple(layer for layer in LRN.layers if layer.kind != "response_norm")
)


class Net(nn.Module):
    """The same network as people write it, with module paths as torchvision's."""

    def __init__(self, with_norm: bool, use_view: bool = False) -> None:
        super().__init__()
        norms = [nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0), nn.LocalResponseNorm(3, 0.3, 0.5, 1.0)]
        first, second = ([norm] if with_norm else [] for norm in norms)
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 5, 2), nn.ReLU(inplace=True), *first, nn.MaxPool2d(3, 2),
            nn.Conv2d(6, 8, 3, padding=1, groups=2), nn.ReLU(inplace=True), *second,
        )  # fmt: skip
        # torch's older exporter loses the sizes that the pool needs behind a norm
        self.avgpool = nn.Identity() if with_norm else nn.AdaptiveAvgPool2d(5)
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(200, 7), nn.ReLU(inplace=True), nn.Linear(7, 4)
        )
        self.use_view = use_view

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.avgpool(self.features(images))
        x = x.view(x.size(0), -1) if self.use_view else torch.flatten(x, 1)
        return self.classifier(x)  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def ignore_warnings() -> Iterator[None]:
    """torch warns that its older exporter is old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def export(module: nn.Module, path: Path, images: torch.Tensor, **options: Any) -> Path:
    """The module's file by one of torch's exporters."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    with quiet_export():
        torch.onnx.export(module, (images,), path, verbose=False, **options)
    return path


def reference_runner(model: bytes) -> tuple[Runner, str]:
    return onnx_runner(model, lambda name: None)


def imports_as(path: Path, arch: Architecture, module: nn.Module) -> Graph:
    """Check that the file has the module's weights and logits, by both runtimes."""
    matched, graph = read_onnx(path, arch)
    network = build_network(matched)
    preprocessing = published_preprocessing("published", matched.architecture)
    for make_runner in (onnx_runner, reference_runner):
        parity = check_parity(path, network, graph, "rgb", preprocessing, make_runner=make_runner)
        assert parity.relative_difference < 1e-5
    images = 50 * torch.randn(3, *matched.architecture.input)
    torch.testing.assert_close(network(images), module.eval()(images), rtol=1e-4, atol=1e-4)
    return graph


IMAGES = torch.zeros(1, 3, 25, 25)


@pytest.mark.parametrize("with_norm", [False, True])
@pytest.mark.parametrize("opset", first_fast([13, 9, 11, 17, 20]))
def test_the_older_exporter(tmp_path: Path, opset: int, with_norm: bool) -> None:
    module = Net(with_norm).eval()
    options = {"dynamo": False, "opset_version": opset}
    path = export(module, tmp_path / "net.onnx", IMAGES, **options)
    graph = imports_as(path, LRN if with_norm else WITHOUT_NORM, module)
    assert graph.batch_size == 1
    assert "/features/" in graph.layers[0].description


def test_opset_7(tmp_path: Path) -> None:
    """Norms need opset 9 there: torch computes their shapes with ConstantOfShape."""
    module = Net(with_norm=False).eval()
    path = export(module, tmp_path / "net.onnx", IMAGES, dynamo=False, opset_version=7)
    imports_as(path, WITHOUT_NORM, module)


@pytest.mark.parametrize("opset", first_fast([13, 9, 17]))
def test_any_batch_size_and_computed_shapes(tmp_path: Path, opset: int) -> None:
    """`x.view(x.size(0), -1)`, and names with spaces and colons."""
    module = Net(with_norm=True, use_view=True).eval()
    path = export(
        module,
        tmp_path / "net.onnx",
        torch.zeros(2, 3, 25, 25),
        dynamo=False,
        opset_version=opset,
        input_names=["the input:0"],
        output_names=["out/logits"],
        dynamic_axes={"the input:0": {0: "batch"}},
    )
    assert imports_as(path, LRN, module).batch_size == 0


def test_training_mode(tmp_path: Path) -> None:
    """Dropout is active in the file; what the file computes is compared without it."""
    module = Net(with_norm=False)
    path = export(
        module,
        tmp_path / "net.onnx",
        IMAGES,
        dynamo=False,
        opset_version=13,
        training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
    )
    graph = imports_as(path, WITHOUT_NORM, module)
    assert graph.notes == ("the file is in training mode; its dropout is left out",)


def test_batch_norm_in_training_mode(tmp_path: Path) -> None:
    arch = Architecture(
        "bn", "", (3, 9, 9), (Conv("c", 4, 3, bias=False), BatchNorm("b"), Flatten("f"),
                              FullyConnected("fc", 2)),
    )  # fmt: skip
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(),
                           nn.Linear(196, 2))  # fmt: skip
    path = export(
        module,
        tmp_path / "net.onnx",
        torch.zeros(2, 3, 9, 9),
        dynamo=False,
        opset_version=15,
        training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
    )
    graph = imports_as(path, arch, module)
    assert "its batch norms' running statistics are used" in graph.notes[0]


def test_an_adaptive_pool_with_equal_windows(tmp_path: Path) -> None:
    """10 x 10 maps to 5 x 5: the exporter writes an average pool of 2 x 2."""
    module = Net(with_norm=False).eval()
    images = torch.zeros(1, 3, 45, 45)
    path = export(module, tmp_path / "net.onnx", images, dynamo=False, opset_version=13)
    imports_as(path, WITHOUT_NORM, module)


def test_a_half_precision_module(tmp_path: Path) -> None:
    module = Net(with_norm=False).eval().half()
    path = export(module, tmp_path / "net.onnx", IMAGES.half(), dynamo=False, opset_version=13)
    graph = imports_as(path, WITHOUT_NORM, module.float())
    assert graph.notes == ("the file's float16 numbers are read as float32",)


@pytest.mark.slow
def test_the_current_exporter(tmp_path: Path) -> None:
    """Also its constants in a file beside."""
    module = Net(with_norm=True).eval()
    path = export(module, tmp_path / "net.onnx", IMAGES, dynamo=True, external_data=True)
    assert path.with_name("net.onnx.data").exists()
    imports_as(path, LRN, module)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 20, 22])
@pytest.mark.parametrize("use_view", [False, True])
def test_the_current_exporter_with_any_batch_size(
    tmp_path: Path, opset: int, use_view: bool
) -> None:
    module = Net(with_norm=True, use_view=use_view).eval()
    path = export(
        module,
        tmp_path / "net.onnx",
        torch.zeros(2, 3, 25, 25),
        dynamo=True,
        opset_version=opset,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    assert imports_as(path, LRN, module).batch_size == 0


def test_another_norm_is_named(tmp_path: Path) -> None:
    module = Net(with_norm=True).eval()
    path = export(module, tmp_path / "net.onnx", IMAGES, dynamo=False, opset_version=13)
    arch = replace(
        LRN,
        layers=tuple(
            replace(layer, alpha=2e-4) if isinstance(layer, ResponseNorm) else layer
            for layer in LRN.layers
        ),
    )
    message = r"norm1 should have alpha 0\.0002, but Mul '/features/features.2/Mul' has 0\.0001"
    with pytest.raises(ModelFileError, match=message):
        read_onnx(path, arch)


def test_relu6_is_named(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 6, 5, 2), nn.ReLU6()).eval()
    path = export(module, tmp_path / "net.onnx", IMAGES, dynamo=False, opset_version=13)
    message = r"Clip '/1/Clip' is ReLU6, which no architecture here has"
    with pytest.raises(ModelFileError, match=message):
        read_onnx(path, LRN)
