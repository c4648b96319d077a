"""`alexnet export`: a model for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import name_list, note, print_json
from alexnet.cli.flags import parse
from alexnet.errors import UsageError

if TYPE_CHECKING:
    from alexnet.interop.exporter import ExportReport


@dataclass(frozen=True, kw_only=True)
class ExportFlags:
    """Write a model as ONNX, torch.export or Keras, run it, and compare it with the model."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    format: Literal["onnx", "torch", "keras"]
    """onnx: for ONNX runtimes (.onnx); torch: for torch.export.load (.pt2); keras: a model for
    Keras 3 (.keras), or its weights alone (.weights.h5)."""
    out: str = ""
    """The file to write; next to the model unless given."""
    with_preprocessing: bool = False
    """Include the normalization: the file takes images with values 0 to 255. A .keras file always
    does."""
    opset: int | None = None
    """The opset of an ONNX file, 15 or newer; unless given, 18."""
    license: str = ""
    """License of the weights, by its SPDX name, to be stored in the file."""
    json: bool = False
    """Print the report as JSON; it is always written to FILE.json."""


def run(arguments: Sequence[str]) -> int:
    """Export and compare; exit code 1 if the logits differ."""
    flags = parse(ExportFlags, arguments, "export")
    from alexnet.inference.classifier import load
    from alexnet.interop.exporter import SUFFIXES, export_model, report_path

    model = Path(flags.model)
    file = model / "model.safetensors" if model.is_dir() else model
    suffixes = SUFFIXES[flags.format]
    out = Path(flags.out) if flags.out else file.with_suffix(suffixes[0])
    if not out.name.endswith(suffixes):
        raise UsageError(f"--out {out} must end in {' or '.join(suffixes)}")
    report = export_model(
        load(flags.model, "cpu"),
        out,
        flags.format,
        with_preprocessing=flags.with_preprocessing,
        opset=flags.opset,
        weights_license=flags.license,
    )
    if not report.is_close:
        note(
            f"alexnet: the exported file computes other logits than the model and was not saved: "
            f"{report.parity.summary()}"
        )
    if flags.json:
        print_json(report)
    else:
        print(f"compared  {report.parity.summary()}")
    if report.is_close and not flags.json:
        print(_text(report, out))
    for text in report.notes:
        note(text)
    note(f"report    {report_path(out)}")
    if report.is_close and not flags.json:
        note(f"next      in Python: {_usage(flags.format, out)}")
    return int(not report.is_close)


def _usage(file_format: str, out: Path) -> str:
    """How a program uses the file, given the images that `_text` describes."""
    name = repr(str(out))
    if file_format == "onnx":
        return f"onnxruntime.InferenceSession({name}).run(None, {{'images': images}})"
    if file_format == "torch":
        return f"torch.export.load({name}).module()(images)"
    if out.name.endswith(".weights.h5"):
        return f"model.load_weights({name})"
    return f"keras.saving.load_model({name}).predict(images)"


def _text(report: ExportReport, out: Path) -> str:
    """What must be done to an image, what goes in and comes out, and the file."""
    c, h, w = report.input_shape
    sides = (h, w, c) if report.format == "keras" else (c, h, w)
    shape = ", ".join(map(str, ("batch", *sides)))
    divided = "" if report.temperature == 1 else f" divided by {report.temperature:.6g}"
    return (
        f"images    {', '.join(report.steps)}\n"
        f"input     float32 [{shape}]\n"
        f"output    logits [batch, {len(report.class_names)}] of {name_list(report.class_names)}\n"
        f"softmax   of the logits{divided} gives the probabilities\n"
        f"inside    class names, preprocessing and temperature, which alexnet import reads\n"
        f"file      {out}"
    )
