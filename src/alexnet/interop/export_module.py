"""A classifier as a plain torch module for export, and its torch.export archive."""

from __future__ import annotations

import logging
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config.preprocessing import Preprocessing
from alexnet.inference.classifier import Classifier
from alexnet.interop.metadata import Takes
from alexnet.interop.onnx.modules import onnx_modules
from alexnet.interop.parity import Runner, torch_runner
from alexnet.transforms.crops import normalize, pad, to_float_chw
from alexnet.transforms.lanczos import lanczos_resize

EXAMPLE_SIZE = (50, 60)
"""Height and width of the image with which a program is traced; it takes other sizes, too."""


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Options of an exported file."""

    name: str = ""
    """Name of the file."""
    takes: Takes = "normalized"
    """"image": the file takes an image, uint8 [H, W, 3] of any size, and gives probabilities."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Texts by key that are stored inside the file."""
    opset: int | None = None
    """ONNX's version of its operations; None for the default of `onnx_bytes`."""


class Preprocess(nn.Module):
    """A module that makes one image of any size the network's input: resize and `center_crop`."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.preprocessing = classifier.info.preprocessing
        mean = classifier.mean_image
        self.register_buffer("mean_image", None if mean is None else mean.cpu())
        self.register_buffer("resize", resize_matrix(self.preprocessing))

    def forward(self, image: Tensor) -> Tensor:
        """Preprocess an image, uint8 [H, W, 3], to float32 [1, C, side, side]."""
        own = self.preprocessing
        pixels = pad(lanczos_resize(image, own.resize, own.resize_size)[None], own.padding)
        start = (pixels.shape[1] - own.crop_size) // 2
        end = start + own.crop_size
        images = to_float_chw(pixels[:, start:end, start:end], own)
        matrix, mean = self._buffers["resize"], self._buffers["mean_image"]
        if matrix is not None:
            images = matrix @ images @ matrix.T
        return normalize(images, own, mean)


def resize_matrix(preprocessing: Preprocessing) -> Tensor | None:
    """The matrix [side, crop_size] that resizes the crop to the input; None if sizes are equal.

    ONNX's antialiased Resize differs from torch's, and opsets before 18 do not have it.
    """
    size, side = preprocessing.crop_size, preprocessing.input_side
    if size == side:
        return None
    rows = torch.eye(size)[None, None]
    return F.interpolate(rows, size=(side, size), mode="bilinear", antialias=True)[0, 0]


class Probabilities(nn.Module):
    """A module that turns the logits of one image into probabilities."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, logits: Tensor) -> Tensor:
        """The probabilities [num_classes] for logits [1, num_classes]."""
        return (logits / self.temperature).softmax(1)[0]


def network_module(classifier: Classifier, *, for_onnx: bool = False) -> nn.Sequential:
    """A module of the classifier's layers by name, on the CPU and in evaluation mode.

    Args:
        classifier: the classifier; the module shares its layers, whose device and mode change.
        for_onnx: whether norms are replaced by modules that can be exported to ONNX.
    """
    network = classifier.network
    layers = onnx_modules(network) if for_onnx else OrderedDict(network.layer_modules())
    return nn.Sequential(layers).cpu().eval()


def whole_module(classifier: Classifier) -> nn.Sequential:
    """A module from an image, uint8 [H, W, 3] of any size, to probabilities [num_classes]."""
    layers = OrderedDict(
        preprocess=Preprocess(classifier),
        network=network_module(classifier),
        probabilities=Probabilities(classifier.info.temperature),
    )
    return nn.Sequential(layers).eval()


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


def example_image() -> tuple[Tensor, tuple[dict[int, torch.export.Dim]]]:
    """An image to trace a program with, and its axes that may have other lengths."""
    axes = {0: torch.export.Dim("height"), 1: torch.export.Dim("width")}
    return torch.zeros(*EXAMPLE_SIZE, 3, dtype=torch.uint8), (axes,)


def torch_bytes(classifier: Classifier, options: FileOptions) -> tuple[bytes, Runner, str]:
    """The torch.export archive of a model, a function that runs it, and torch's version.

    The metadata are the archive's extra files.
    """
    if options.takes == "image":
        module, (example, axes) = whole_module(classifier), example_image()
    else:
        module = network_module(classifier)
        example = torch.zeros(2, *classifier.network.architecture.input)
        axes = ({0: torch.export.Dim("batch")},)
    archive = BytesIO()
    with quiet_export(), torch.no_grad():
        program = torch.export.export(module, (example,), dynamic_shapes=axes)
        torch.export.save(program, archive, extra_files=dict(options.metadata))
        loaded = torch.export.load(BytesIO(archive.getvalue())).module()
    return archive.getvalue(), torch_runner(loaded), f"torch.export {torch.__version__}"
