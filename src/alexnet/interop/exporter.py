"""Export a model to ONNX, torch.export or Keras, and compare the file's logits with the model's."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from torch import nn

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import FloatOrNaN, json_document
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.export_module import FileOptions, export_module, torch_bytes
from alexnet.interop.keras.export import (
    backend_notes,
    is_weights_only,
    keras_bytes,
    normalizes,
)
from alexnet.interop.metadata import file_metadata
from alexnet.interop.onnx.export import onnx_bytes
from alexnet.interop.parity import (
    Parity,
    Runner,
    compare,
    normalize_array,
    random_images,
    torch_runner,
)
from alexnet.io.files import atomic_write, write_text
from alexnet.models.layers import Shape
from alexnet.runtime.environment import installed_version
from alexnet.runtime.extras import require_extra

Format: TypeAlias = Literal["onnx", "torch", "keras"]
Exporter: TypeAlias = Callable[[nn.Module, Shape, FileOptions], tuple[bytes, Runner, str]]
"""From a module, its input shape and options to a file's content, a function that runs the file,
and the runtime's name."""
EXPORTERS: dict[Format, Exporter] = {"onnx": onnx_bytes, "torch": torch_bytes}
SUFFIXES: dict[Format, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "torch": (".pt2",),
    "keras": (".keras", ".weights.h5"),
}
"""The endings of a format's files; the first is the usual one."""
REQUIRED_PACKAGES: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript"),
    "torch": (),
    "keras": ("h5py",),
}
BATCH_SIZES = (1, 2, 5)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What is written beside an exported file, as JSON."""

    format: Format
    file: str
    architecture: str
    class_names: tuple[str, ...]
    input_shape: Shape
    """(channels, height, width) of float32 images, RGB or gray; any batch size."""
    has_preprocessing: bool
    """True: the file takes images of 0 to 255. False: normalized as `preprocessing` says."""
    steps: tuple[str, ...]
    """What is to be done to an image before it goes in, in words."""
    preprocessing: Preprocessing
    temperature: float
    """The outputs are logits; probabilities are softmax(logits / temperature)."""
    parity: Parity
    relative_difference: FloatOrNaN
    is_close: bool
    notes: tuple[str, ...]
    """What a user of the file should know."""
    versions: tuple[str, ...]


def export_model(
    classifier: Classifier,
    out: Path,
    file_format: Format,
    *,
    with_preprocessing: bool = False,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    opset: int | None = None,
    weights_license: str = "",
) -> ExportReport:
    """Export a classifier's network, run the file, and compare its logits with the network's.

    The file is written only if the logits agree; class names and preprocessing are inside (see
    `metadata.py`). The report is always written, to the file's name plus `.json`.

    Args:
        classifier: the model.
        out: the file to write.
        file_format: "onnx", "torch" (torch.export) or "keras".
        with_preprocessing: the file takes images of 0 to 255 and normalizes them itself. A whole
            model of Keras always does, unless it has a mean image; weights alone never do.
        batch_sizes: of the random images that are compared.
        opset: of an ONNX file; None: 18.
        weights_license: of the weights, by its SPDX name, for the file's metadata.

    Raises:
        UsageError: the file or its report exists, an optional package is missing, or the opset
            cannot be written.
    """
    for path in (out, report_path(out)):
        if path.exists():
            raise UsageError(f"{path} exists already; remove it or choose another with --out")
    if opset is not None and file_format != "onnx":
        raise UsageError(f"--opset is for ONNX files only, not for --format {file_format}")
    for package in REQUIRED_PACKAGES[file_format]:
        require_extra(package, file_format, f"--format {file_format}")
    if file_format == "keras":
        with_preprocessing = _keras_normalizes(classifier, out, with_preprocessing)
    metadata = file_metadata(
        classifier, with_preprocessing=with_preprocessing, weights_license=weights_license
    )
    options = FileOptions(metadata=metadata, opset=opset)
    content, run, runtime = _content(classifier, out, file_format, with_preprocessing, options)
    parity = _parity(classifier, run, runtime, with_preprocessing, batch_sizes)
    report = _report(classifier, out, file_format, with_preprocessing, parity)
    if parity.is_close:
        with atomic_write(out) as temporary:
            temporary.write_bytes(content)
    write_text(report_path(out), json_document(report) + "\n")
    return report


def _keras_normalizes(classifier: Classifier, out: Path, is_asked: bool) -> bool:
    """Whether a Keras file normalizes its images."""
    if is_asked and not normalizes(classifier, out):
        reason = "weights alone have" if is_weights_only(out) else "a mean image needs"
        raise UsageError(f"--with-preprocessing does not fit {out.name}: {reason} no such layer")
    return normalizes(classifier, out)


def _content(
    classifier: Classifier,
    out: Path,
    file_format: Format,
    with_preprocessing: bool,
    options: FileOptions,
) -> tuple[bytes, Runner, str]:
    """A file's content, a function that runs the file, and the runtime's name."""
    if file_format == "keras":
        return keras_bytes(classifier, out, options.metadata)
    module = export_module(
        classifier, with_preprocessing=with_preprocessing, for_onnx=file_format == "onnx"
    )
    return EXPORTERS[file_format](module, classifier.network.architecture.input, options)


def report_path(out: Path) -> Path:
    """The path of an exported file's report."""
    return out.with_name(f"{out.name}.json")


def _parity(
    classifier: Classifier,
    run: Runner,
    runtime: str,
    with_preprocessing: bool,
    batch_sizes: Sequence[int],
) -> Parity:
    """Compare the file with the eager module on random images of every batch size."""
    eager = export_module(classifier, with_preprocessing=with_preprocessing, for_onnx=False)
    batches = [random_images(classifier.network, n, seed) for seed, n in enumerate(batch_sizes)]
    if not with_preprocessing:
        batches = [normalize_array(images, classifier.info.preprocessing) for images in batches]
    return compare(torch_runner(eager), run, runtime, batches)


def _report(
    classifier: Classifier,
    out: Path,
    file_format: Format,
    with_preprocessing: bool,
    parity: Parity,
) -> ExportReport:
    packages = ("alexnet", "torch", *REQUIRED_PACKAGES[file_format])
    versions = (
        f"python {platform.python_version()}",
        *(f"{p} {installed_version(p)}" for p in packages),
    )
    return ExportReport(
        format=file_format,
        file=out.name,
        architecture=classifier.info.architecture.name,
        class_names=classifier.class_names,
        input_shape=classifier.info.architecture.input,
        has_preprocessing=with_preprocessing,
        steps=classifier.info.preprocessing.steps(normalized=not with_preprocessing),
        preprocessing=classifier.info.preprocessing,
        temperature=classifier.info.temperature,
        parity=parity,
        relative_difference=parity.relative_difference,
        is_close=parity.is_close,
        notes=backend_notes(classifier) if file_format == "keras" else (),
        versions=versions,
    )
