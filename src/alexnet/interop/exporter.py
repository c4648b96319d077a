"""A model for other programs, compared with itself before it gets its name."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from torch import nn

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import to_json
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.interop.export_module import exportable, torch_bytes
from alexnet.interop.onnx.export import onnx_bytes
from alexnet.interop.parity import Parity, Runner, compare, normalised, random_pixels, runner
from alexnet.io.files import atomic_write, write_text
from alexnet.models.layers import Shape
from alexnet.runtime.environment import installed
from alexnet.runtime.extras import require_extra

Format: TypeAlias = Literal["onnx", "torch"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
BATCH_SIZES = (1, 2, 5)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What stands beside an exported file."""

    format: Format
    file: str
    architecture: str
    classes: tuple[str, ...]
    input: Shape
    """(channels, height, width) of float32 RGB pictures, or grey ones; any batch."""
    has_preprocessing: bool
    """True: pictures of 0 to 255 go in. False: they must be normalised as `preprocessing` says."""
    preprocessing: Preprocessing
    parity: Parity
    relative_difference: float
    is_close: bool
    versions: tuple[str, ...]


def export_model(
    classifier: Classifier,
    out: Path,
    file_format: Format,
    *,
    with_preprocessing: bool = False,
    batch_sizes: Sequence[int] = BATCH_SIZES,
) -> ExportReport:
    """Export a classifier's network, run the file, and compare it with the network.

    The file gets its name only when it computes the same; the report is written either way, under
    the file's name and `.json`.

    Raises:
        UsageError: the file or the report exists, or an optional package is missing.
    """
    report_file = report_path(out)
    for path in (out, report_file):
        if path.exists():
            raise UsageError(f"{path} is there already; remove it or name another with --out")
    if file_format == "onnx":
        for package in ("onnx", "onnxscript"):
            require_extra(package, "onnx", "exporting to ONNX")
    content, run, runtime = _exported(classifier, file_format, with_preprocessing)
    parity = _parity(classifier, run, runtime, with_preprocessing, batch_sizes)
    report = _report(classifier, out, file_format, with_preprocessing, parity)
    if parity.is_close:
        with atomic_write(out) as aside:
            aside.write_bytes(content)
    write_text(report_file, to_json(report) + "\n")
    return report


def report_path(out: Path) -> Path:
    """Where the report of an exported file stands."""
    return out.with_name(f"{out.name}.json")


def _exported(
    classifier: Classifier, file_format: Format, with_preprocessing: bool
) -> tuple[bytes, Runner, str]:
    """The file's content, what it computes, and who computes it."""
    for_onnx = file_format == "onnx"
    module = exportable(classifier, with_preprocessing=with_preprocessing, for_onnx=for_onnx)
    shape = classifier.network.architecture.input
    exporters: dict[Format, Callable[[nn.Module, Shape], tuple[bytes, Runner, str]]] = {
        "onnx": onnx_bytes,
        "torch": torch_bytes,
    }
    return exporters[file_format](module, shape)


def _parity(
    classifier: Classifier,
    run: Runner,
    runtime: str,
    with_preprocessing: bool,
    batch_sizes: Sequence[int],
) -> Parity:
    eager = exportable(classifier, with_preprocessing=with_preprocessing, for_onnx=False)
    rule = classifier.info.preprocessing
    pictures = [
        random_pixels(classifier.network, count, seed) for seed, count in enumerate(batch_sizes)
    ]
    inputs: list[np.ndarray] = [
        pixels if with_preprocessing else normalised(pixels, rule) for pixels in pictures
    ]
    return compare(runner(eager), run, runtime, inputs)


def _report(
    classifier: Classifier,
    out: Path,
    file_format: Format,
    with_preprocessing: bool,
    parity: Parity,
) -> ExportReport:
    packages = ("alexnet", "torch", *(("onnx", "onnxscript") if file_format == "onnx" else ()))
    versions = (f"python {platform.python_version()}", *(f"{p} {installed(p)}" for p in packages))
    return ExportReport(
        format=file_format,
        file=out.name,
        architecture=classifier.info.architecture.name,
        classes=classifier.class_names,
        input=classifier.info.architecture.input,
        has_preprocessing=with_preprocessing,
        preprocessing=classifier.info.preprocessing,
        parity=parity,
        relative_difference=parity.relative_difference,
        is_close=parity.is_close,
        versions=versions,
    )
