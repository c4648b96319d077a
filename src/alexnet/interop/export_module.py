"""A classifier's network as a plain torch module for export, and its torch.export archive."""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO

import torch
from torch import Tensor, nn

from alexnet.inference.classifier import Classifier
from alexnet.interop.onnx.modules import onnx_modules
from alexnet.interop.parity import Runner, torch_runner
from alexnet.models.layers import Shape


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """What an exported file gets besides the network."""

    metadata: dict[str, str] = field(default_factory=dict)
    """Texts by key, stored inside the file."""
    opset: int | None = None
    """ONNX's version of operations; None: the default of `onnx_bytes`."""


DEFAULT_OPTIONS = FileOptions()


class Normalize(nn.Module):
    """Images of 0 to 255 minus the mean (color or image), divided by std."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        preprocessing = classifier.info.preprocessing
        c = preprocessing.channels
        mean = torch.tensor(preprocessing.mean[:c])[:, None, None]
        if classifier.mean_image is not None:
            mean = classifier.mean_image.cpu()
        self.register_buffer("mean", mean)
        self.register_buffer("std", torch.tensor(preprocessing.std[:c])[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Float [B, C, H, W] to the same shape."""
        normalized: Tensor = (images - self.get_buffer("mean")) / self.get_buffer("std")
        return normalized


def export_module(
    classifier: Classifier, *, with_preprocessing: bool, for_onnx: bool
) -> nn.Sequential:
    """The classifier's layers by name, on the CPU and in evaluation mode.

    Args:
        classifier: shares its layers with the module.
        with_preprocessing: the module takes images of 0 to 255 and normalizes them itself.
        for_onnx: norms are replaced by modules that ONNX can write.
    """
    network = classifier.network
    layers = onnx_modules(network) if for_onnx else OrderedDict(network.named_children())
    if with_preprocessing:
        layers = OrderedDict(normalize=Normalize(classifier), **layers)
    return nn.Sequential(layers).cpu().eval()


@contextmanager
def quiet_export() -> Iterator[None]:
    """Silence warnings of torch's exporter about optional packages that are not needed here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def torch_bytes(
    module: nn.Module, shape: Shape, options: FileOptions = DEFAULT_OPTIONS
) -> tuple[bytes, Runner, str]:
    """The torch.export archive of a module, what the archive computes, and torch's version.

    Args:
        module: takes float32 images [any batch, *shape].
        shape: (channels, height, width).
        options: their metadata are the archive's extra files.
    """
    example = torch.zeros(2, *shape)
    archive = BytesIO()
    with quiet_export(), torch.no_grad():
        program = torch.export.export(
            module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
        )
        torch.export.save(program, archive, extra_files=dict(options.metadata))
        loaded = torch.export.load(BytesIO(archive.getvalue())).module()
    return archive.getvalue(), torch_runner(loaded), f"torch.export {torch.__version__}"
