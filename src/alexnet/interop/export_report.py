"""What is said of an exported file."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Literal, TypeAlias

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
    """What is written beside an exported file, as JSON."""

    format: Format
    file: str
    files: tuple[str, ...]
    """The names of all files that were written, this report's too; all are in one folder."""
    architecture: str
    class_names: tuple[str, ...]
    takes: Takes
    """"image": any image, uint8 [H, W, 3]; "pixels": the network's input, of 0 to 255;
    "normalized": that input as `preprocessing` says."""
    input: str
    """Type and shape of what goes in."""
    output: str
    """What comes out, and its shape."""
    input_shape: Shape
    """(channels, height, width) of the network's input, RGB or gray."""
    steps: tuple[str, ...]
    """What is to be done to an image before it goes in, in words."""
    preprocessing: Preprocessing
    temperature: float
    """Probabilities are softmax(logits / temperature)."""
    parity: Parity
    """Of the file, or of the file before its weights were rounded."""
    relative_difference: FloatOrNaN
    is_close: bool
    agreement: ImageAgreement | None
    """Of a file in float16 or int8 with the model, on real images."""
    notes: tuple[str, ...]
    """What a user of the file should know."""
    versions: tuple[str, ...]
    weights_checksum: str
    """Eight hex digits of the model's weights (CRC-32), by which an export tells a file of others
    that is in its place."""


def make_report(
    classifier: Classifier,
    file_format: Format,
    files: tuple[str, ...],
    takes: Takes,
    parity: Parity,
    agreement: ImageAgreement | None,
    notes: tuple[str, ...],
    packages: tuple[str, ...],
    weights_checksum: str,
) -> ExportReport:
    """The report of a file.

    Args:
        classifier: the model.
        file_format: of the file.
        files: names of what is written, the file itself first.
        takes: what the file takes.
        parity: of its outputs.
        agreement: of a rounded file.
        notes: for its user.
        packages: whose versions matter.
        weights_checksum: of the model.
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
        weights_checksum=weights_checksum,
    )


def _input_text(file_format: Format, takes: Takes, shape: Shape) -> str:
    if takes == "image":
        return "uint8 [height, width, 3] of any size"
    c, h, w = shape
    sides = (h, w, c) if file_format == "keras" else (c, h, w)
    return f"float32 [{', '.join(map(str, ('batch', *sides)))}]"
