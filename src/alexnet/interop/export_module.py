"""A network as other programs can take it: preprocessing in front if wanted, norms as LRN nodes."""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.inference.classifier import Classifier
from alexnet.interop.parity import Runner, runner
from alexnet.models.architecture import LayerInfo
from alexnet.models.layers import AdaptivePool, Layer, ResponseNorm, Shape, WithinChannelLRN
from alexnet.models.network import Network

Constant: TypeAlias = (
    int | float | str | bool | Sequence[int] | Sequence[float] | Sequence[str] | Sequence[bool]
)
"""What an ONNX node's attribute may be, as torch spells it."""


class Normalise(nn.Module):
    """Pictures of 0 to 255 as the network was trained on them."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        rule = classifier.info.preprocessing
        c = rule.channels
        mean = torch.tensor(rule.mean[:c])[:, None, None]
        if classifier.mean_image is not None:
            mean = classifier.mean_image.cpu()
        self.register_buffer("mean", mean)
        self.register_buffer("divisor", torch.tensor(rule.std[:c])[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        """Float [B, C, H, W]."""
        scaled: Tensor = (pixels - self.get_buffer("mean")) / self.get_buffer("divisor")
        return scaled


class OnnxResponseNorm(nn.Module):
    """Response norm as ONNX's own LRN, whose alpha is divided by its size.

    Only to be exported: in torch it gives nothing but a shape.
    """

    def __init__(self, layer: ResponseNorm) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, C, H, W]; columns of maps become pictures of their own for the norm."""
        row = self.layer
        c, h, w = x.shape[1:]
        columns = x.reshape(-1, c // row.groups, h, w) if row.groups > 1 else x
        constants: dict[str, Constant] = {
            "size": row.size,
            "alpha": row.alpha * row.size,
            "beta": row.beta,
            "bias": row.k,
        }
        normed: Tensor = torch.onnx.ops.symbolic(
            "LRN", (columns,), constants, dtype=x.dtype, shape=columns.shape, version=13
        )
        return normed.reshape(-1, c, h, w) if row.groups > 1 else normed


class OnnxMapNorm(nn.Module):
    """Within-map norm in six plain steps."""

    def __init__(self, layer: WithinChannelLRN) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, C, H, W] to the same shape."""
        row = self.layer
        mean = F.avg_pool2d(x * x, row.size, stride=1, padding=row.size // 2)
        return x * (mean * (row.alpha * row.size**2) + row.k).pow(-row.beta)


def exportable(classifier: Classifier, *, with_preprocessing: bool, for_onnx: bool) -> nn.Module:
    """The classifier's network for export, on the processor and in evaluation mode.

    Args:
        classifier: stays as it is.
        with_preprocessing: pictures of 0 to 255 come in; the mean and the divisor are inside.
        for_onnx: norms become nodes that ONNX has.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if with_preprocessing:
        parts["normalise"] = Normalise(classifier)
    network = classifier.network
    parts |= onnx_parts(network) if for_onnx else dict(network.named_children())
    return nn.Sequential(parts).cpu().eval()


def onnx_parts(network: Network) -> dict[str, nn.Module]:
    """The layers by name, with norms as nodes that ONNX has."""
    layers = zip(network.architecture.rows(), network.children(), strict=True)
    return {row.layer.name: _for_onnx(row, module) for row, module in layers}


def _for_onnx(row: LayerInfo, module: nn.Module) -> nn.Module:
    layer: Layer = row.layer
    if isinstance(layer, ResponseNorm) and layer.size % 2:
        return OnnxResponseNorm(layer)
    if isinstance(layer, WithinChannelLRN):
        return OnnxMapNorm(layer)
    if isinstance(layer, AdaptivePool) and row.input == row.output:
        return nn.Identity()
    return module


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps torch's exporter from talking about packages that are not needed here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def torch_bytes(module: nn.Module, shape: Shape) -> tuple[bytes, Runner, str]:
    """The archive of a module for inputs [any batch, *shape], loaded again."""
    example = torch.zeros(2, *shape)
    archive = BytesIO()
    with quiet(), torch.no_grad():
        program = torch.export.export(
            module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
        )
        torch.export.save(program, archive)
        again = torch.export.load(BytesIO(archive.getvalue())).module()
    return archive.getvalue(), runner(again), f"torch.export {torch.__version__}"
