"""The report of an exported file."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from torch import Tensor

from alexnet.checkpoints.tensors import checksum
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import FloatOrNaN
from alexnet.inference.classifier import Classifier
from alexnet.interop.agreement import ImageAgreement
from alexnet.interop.metadata import Takes, input_steps
from alexnet.interop.parity import Parity
from alexnet.models.layers import Shape
from alexnet.runtime.environment import installed_version

Format: TypeAlias = Literal["onnx", "torch", "keras", "torchvision"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """The report that is written beside an exported file, as JSON."""

    format: Format
    file: str
    files: tuple[str, ...]
    """Names of all files that were written, including this report; all are in one folder."""
    architecture: str
    class_names: tuple[str, ...]
    takes: Takes
    """"image": any image, uint8 [H, W, 3]; "pixels": the network's input, of 0 to 255;
    "normalized": that input as `preprocessing` says."""
    input: str
    """Type and shape of the file's input."""
    output: str
    """Meaning and shape of the file's output."""
    input_shape: Shape
    """(channels, height, width) of the network's input, RGB or gray."""
    steps: tuple[str, ...]
    """Steps, in words, that prepare an image for the file."""
    preprocessing: Preprocessing
    temperature: float
    """Probabilities are softmax(logits / temperature)."""
    parity: Parity
    """Comparison with the model on random images; of a rounded file, before it was rounded."""
    relative_difference: FloatOrNaN
    is_close: bool
    agreement: ImageAgreement | None
    """Comparison of a file in float16 or int8 with the model on real images, else None."""
    notes: tuple[str, ...]
    """Notes for the file's user."""
    versions: tuple[str, ...]
    weights_checksum: str
    """CRC-32 of the model's weights, eight hex digits, by which an import knows whether the report
    belongs to a file, and a later export recognizes an existing file of other weights."""


def report_path(out: Path) -> Path:
    """The path of an exported file's report."""
    return out.with_name(f"{out.name}.json")


def weights_checksum(weights: Mapping[str, Tensor]) -> str:
    """The checksum of a network's state dict, without a model file's header."""
    return checksum(weights, "")


def make_report(
    classifier: Classifier,
    file_format: Format,
    files: tuple[str, ...],
    takes: Takes,
    parity: Parity,
    agreement: ImageAgreement | None,
    notes: tuple[str, ...],
    packages: tuple[str, ...],
) -> ExportReport:
    """Make the report of an exported file.

    Args:
        classifier: the model.
        file_format: the file's format.
        files: names of all files that are written, the exported file first.
        takes: what the file takes.
        parity: the comparison on random images.
        agreement: the comparison of a rounded file on real images; None for other files.
        notes: notes for the file's user.
        packages: names of the packages whose versions are recorded.
    """
    arch, info = classifier.info.architecture, classifier.info
    count = len(classifier.class_names)
    versions = (f"{package} {installed_version(package)}" for package in packages)
    return ExportReport(
        format=file_format,
        file=files[0],
        files=files,
        architecture=arch.name,
        class_names=classifier.class_names,
        takes=takes,
        input=_input_text(file_format, takes, arch.input),
        output=f"probabilities [{count}]" if takes == "image" else f"logits [batch, {count}]",
        input_shape=arch.input,
        steps=input_steps(classifier, takes),
        preprocessing=info.preprocessing,
        temperature=info.temperature,
        parity=parity,
        relative_difference=parity.relative_difference,
        is_close=parity.is_close,
        agreement=agreement,
        notes=notes,
        versions=(f"python {platform.python_version()}", *versions),
        weights_checksum=weights_checksum(classifier.network.state_dict()),
    )


def _input_text(file_format: Format, takes: Takes, shape: Shape) -> str:
    if takes == "image":
        return "uint8 [height, width, 3] of any size"
    c, h, w = shape
    sides = (h, w, c) if file_format == "keras" else (c, h, w)
    return f"float32 [{', '.join(map(str, ('batch', *sides)))}]"
