"""Export a model to ONNX, torch or Keras, and compare what the file computes with the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import torch

from alexnet.config.serialization import json_document, parse_json
from alexnet.errors import ConfigError, UnknownNameError, UsageError
from alexnet.inference.classifier import Classifier
from alexnet.inference.optimize import unoptimized_weights
from alexnet.interop.export_module import FileOptions, network_module, torch_bytes
from alexnet.interop.export_report import (
    ExportReport,
    Format,
    make_report,
    report_path,
    weights_checksum,
)
from alexnet.interop.keras.export import (
    backend_notes,
    is_weights_only,
    keras_bytes,
    normalizes,
)
from alexnet.interop.metadata import Takes, file_metadata
from alexnet.interop.onnx.export import onnx_bytes
from alexnet.interop.onnx.predict_script import NO_SCRIPT, predict_script, script_path
from alexnet.interop.onnx.rounding import Rounding, rounded_bytes
from alexnet.interop.parity import (
    Parity,
    Runner,
    compare,
    compare_probabilities,
    normalize_array,
    random_images,
    torch_runner,
)
from alexnet.interop.real_images import load_real_images
from alexnet.interop.torchvision_export import torchvision_bytes
from alexnet.io.files import atomic_write, read_regular, write_text
from alexnet.io.limits import MAX_RESULT_BYTES
from alexnet.models.network import Network
from alexnet.other_names import answer_to_format
from alexnet.reporter import Reporter
from alexnet.runtime.extras import require_extra

Exporter: TypeAlias = Callable[[Classifier, FileOptions], tuple[bytes, Runner, str]]
"""A function from a model and options to a file's content, a function that runs the file, and the
runtime's name."""
EXPORTERS: dict[Format, Exporter] = {
    "onnx": onnx_bytes,
    "torch": torch_bytes,
    "keras": keras_bytes,
    "torchvision": torchvision_bytes,
}
SUFFIXES: dict[Format, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "torch": (".pt2",),
    "keras": (".keras", ".weights.h5"),
    "torchvision": (".pth", ".safetensors"),
}
"""Suffixes of each format's files; the first is the default."""
REQUIRED_PACKAGES: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript"),
    "torch": (),
    "keras": ("h5py",),
    "torchvision": (),
}
BATCH_SIZES = (1, 2, 5)


def export_model(
    classifier: Classifier,
    out: Path,
    file_format: Format,
    *,
    with_preprocessing: bool = False,
    half: bool = False,
    int8: bool = False,
    data: str = "",
    data_root: str = "",
    reporter: Reporter | None = None,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    opset: int | None = None,
    weights_license: str = "",
) -> ExportReport:
    """Export a classifier, run the file, and compare what it computes with the model.

    The file is written only if it computes the same; it includes class names and preprocessing
    (see `metadata.py`). The report is always written, to the file's name plus `.json`. A script
    that predicts with it is written beside an ONNX file.

    Args:
        classifier: the model, on any device; it stays as it is.
        out: the file to write.
        file_format: "onnx", "torch" (torch.export), "keras" or "torchvision" (a state dict).
        with_preprocessing: whether the file takes an image, uint8 [H, W, 3] of any size, and gives
            probabilities. A whole model of Keras takes the network's input with values of 0 to
            255, unless it has a mean image.
        half: whether an ONNX file has its weights in float16 and computes in it.
        int8: whether an ONNX file is quantized to 8 bits: all layers (static), or the fully
            connected ones alone (dynamic), whichever agrees better with the model.
        data: images to calibrate and compare a rounded file on, as for `load_real_images`.
        data_root: folder searched for data sets first.
        reporter: receives notes on these images.
        batch_sizes: sizes of the batches of random images that are compared.
        opset: opset of an ONNX file; None for 18.
        weights_license: SPDX name of the weights' license, for the file's metadata.

    Raises:
        UsageError: a file exists, an optional package is missing, the format cannot have what is
            asked for, or the classifier is optimized, has a weight that is not finite, a layer that
            is not as in its architecture, or a hook on its forward pass.
        ModelFileError: a rounded file gives values that are not finite.
    """
    classifier = _on_cpu(classifier)
    rounding = chosen_rounding(half, int8, data)
    check_options(file_format, rounding, opset)
    takes = _takes(classifier, out, file_format, with_preprocessing)
    script = predict_script(classifier, out.name, takes) if file_format == "onnx" else ""
    paths = _new_paths(out, classifier, has_script=bool(script))
    metadata = file_metadata(classifier, takes=takes, weights_license=weights_license)
    options = FileOptions(name=out.name, takes=takes, metadata=metadata, opset=opset)
    images = load_real_images(classifier, data, data_root, reporter) if rounding else None
    content, parity = _file(classifier, file_format, options, batch_sizes)
    agreement = None
    if rounding and images and parity.is_close:
        content, agreement = rounded_bytes(classifier, options, rounding, images)
    report = make_report(
        classifier,
        file_format,
        tuple(path.name for path in paths) if parity.is_close else (report_path(out).name,),
        takes,
        parity,
        agreement,
        _notes(classifier, file_format, has_script=bool(script)),
        ("alexnet", "torch", *REQUIRED_PACKAGES[file_format]),
    )
    _write(out, content, script, report)
    return report


def _on_cpu(classifier: Classifier) -> Classifier:
    """A copy of the classifier with its network on the CPU, which exporters may change.

    Raises:
        UsageError: the classifier is optimized or was edited, or has a weight that is not finite.
    """
    arch, mean = classifier.info.architecture, classifier.mean_image
    weights = unoptimized_weights(classifier.network, arch, "exported", allow_hooks=False)
    with torch.device("meta"):
        network = Network(arch)
    network.load_state_dict({name: w.cpu() for name, w in weights.items()}, assign=True)
    mean = None if mean is None else mean.cpu()
    return replace(classifier, network=network.eval(), mean_image=mean)


def _new_paths(out: Path, classifier: Classifier, *, has_script: bool) -> list[Path]:
    """The paths of an export's files; UsageError if one of them exists."""
    paths = [out, report_path(out), *([script_path(out)] if has_script else [])]
    for path in paths:
        if path.exists():
            other = ", made of other weights" if _is_of_others(out, classifier) else ""
            raise UsageError(
                f"{path} exists already{other}; remove it or choose another with --out"
            )
    return paths


def _is_of_others(out: Path, classifier: Classifier) -> bool:
    """Whether the report beside an exported file says that the file has other weights."""
    try:
        report = parse_json(read_regular(report_path(out), MAX_RESULT_BYTES))
    except (OSError, ConfigError):
        return False
    found = report.get("weights_checksum") if isinstance(report, dict) else None
    return found not in (None, weights_checksum(classifier.network.state_dict()))


def check_format(name: str) -> None:
    """Check the name of a format.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: it is a format of other programs; the message says what there is instead.
    """
    if name in EXPORTERS:
        return
    if answer := answer_to_format(name):
        raise UsageError(answer)
    raise UnknownNameError("format", name, EXPORTERS)


def chosen_rounding(half: bool, int8: bool, data: str) -> Rounding | None:
    """The rounding that the flags `half` and `int8` ask for; None if neither is set.

    Raises:
        UsageError: both are set, or `data` is given without either.
    """
    if half and int8:
        raise UsageError("--half and --int8 exclude each other; write two files")
    if data and not (half or int8):
        raise UsageError("--data has images to compare a file of --half or --int8 on; name one")
    return "float16" if half else "int8" if int8 else None


def check_options(file_format: Format, rounding: Rounding | None, opset: int | None) -> None:
    """Check that a format supports the options, and that its packages are installed.

    Raises:
        UsageError: the format does not support an option, or a package is missing.
    """
    if opset is not None and file_format != "onnx":
        raise UsageError(f"--opset is for ONNX files only, not for --format {file_format}")
    if rounding and file_format != "onnx":
        flag = "--half" if rounding == "float16" else "--int8"
        raise UsageError(f"{flag} is for ONNX files only, not for --format {file_format}")
    for package in REQUIRED_PACKAGES[file_format]:
        require_extra(package, file_format, f"--format {file_format}")
    if rounding:
        require_extra("onnxruntime", "onnx", "rounding to float16 or int8")


def _takes(classifier: Classifier, out: Path, file_format: Format, is_asked: bool) -> Takes:
    """The kind of input that an exported file takes.

    Raises:
        UsageError: the preprocessing is asked for, and the format cannot include it.
    """
    if file_format == "torchvision" and is_asked:
        raise UsageError(
            f"--with-preprocessing does not fit {out.name}: a state dict has weights alone; "
            "--format onnx and --format torch have it"
        )
    if file_format != "keras":
        return "image" if is_asked else "normalized"
    if normalizes(classifier, out.name):
        return "pixels"
    if is_asked:
        reason = "weights alone have" if is_weights_only(out.name) else "a mean image needs"
        raise UsageError(f"--with-preprocessing does not fit {out.name}: {reason} no such layer")
    return "normalized"


def _file(
    classifier: Classifier, file_format: Format, options: FileOptions, batch_sizes: Sequence[int]
) -> tuple[bytes, Parity]:
    """A file's content in float32, and its comparison with the model on random images."""
    content, run, runtime = EXPORTERS[file_format](classifier, options)
    if options.takes == "image":
        return content, compare_probabilities(classifier, run, runtime)
    preprocessing = classifier.info.preprocessing
    eager = torch_runner(network_module(classifier))
    batches = [random_images(classifier.network, n, seed) for seed, n in enumerate(batch_sizes)]
    if options.takes == "normalized":
        batches = [normalize_array(images, preprocessing) for images in batches]
        return content, compare(eager, run, runtime, batches)
    return content, compare(
        lambda images: eager(normalize_array(images, preprocessing)), run, runtime, batches
    )


def _notes(classifier: Classifier, file_format: Format, *, has_script: bool) -> tuple[str, ...]:
    """Notes for the file's user."""
    if file_format == "keras":
        return backend_notes(classifier)
    return () if has_script or file_format != "onnx" else (NO_SCRIPT,)


def _write(out: Path, content: bytes, script: str, report: ExportReport) -> None:
    """Write the report, and the other files only if the file computes the same as the model."""
    if report.is_close:
        with atomic_write(out) as temporary:
            temporary.write_bytes(content)
        if script:
            write_text(script_path(out), script)
    write_text(report_path(out), json_document(report) + "\n")
