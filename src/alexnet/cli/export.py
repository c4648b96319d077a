"""`alexnet export`: a model for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import name_list, note, note_next, print_json
from alexnet.cli.flags import parse
from alexnet.cli.models import local_path, with_place
from alexnet.errors import UsageError
from alexnet.io.hub import PREFIX, short_name
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.interop.export_report import ExportReport


@dataclass(frozen=True, kw_only=True)
class ExportFlags:
    """Write a model for other programs, run the file, and compare it with the model."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    format: Literal["onnx", "torch", "keras", "torchvision"]
    """onnx: for ONNX runtimes (.onnx); torch: for torch.export.load (.pt2); keras: a model for
    Keras 3 (.keras), or its weights alone (.weights.h5); torchvision: a state dict of alexnet_owt
    for torchvision's alexnet (.pth or .safetensors)."""
    out: str = ""
    """The file to write; next to the model unless given."""
    with_preprocessing: bool = False
    """Include the preprocessing: the file takes a uint8 image [H, W, 3] of any size and gives
    probabilities. A .keras file always includes the normalization alone."""
    half: bool = False
    """Weights and computation of an ONNX file in float16; its input and output stay float32."""
    int8: bool = False
    """Quantize an ONNX file to 8 bits: all layers (static), or the fully connected ones alone
    (dynamic), whichever agrees better with the model."""
    data: str = ""
    """For --half and --int8: the images on which the file is calibrated and compared with the
    model, labelled or not; unless given, the data of the training."""
    data_root: str = ""
    """Folder searched first for data sets."""
    opset: int | None = None
    """The opset of an ONNX file, 15 or newer; unless given, 18."""
    license: str = ""
    """License of the weights, by its SPDX name, to be stored in the file."""
    json: bool = False
    """Print the report as JSON; it is always written to FILE.json."""


def run(arguments: Sequence[str]) -> int:
    """Export and compare; the exit code is 1 if the file computes something else."""
    flags = with_place(parse(ExportFlags, arguments, "export"), "model")
    from alexnet.inference.classifier import load
    from alexnet.interop.export_report import report_path
    from alexnet.interop.exporter import SUFFIXES, export_model

    out = _out_path(flags, SUFFIXES[flags.format])
    with ProgressReporter() as reporter:
        report = export_model(
            load(local_path(flags.model), "cpu"),
            out,
            flags.format,
            with_preprocessing=flags.with_preprocessing,
            half=flags.half,
            int8=flags.int8,
            data=flags.data,
            data_root=flags.data_root,
            reporter=reporter,
            opset=flags.opset,
            weights_license=flags.license,
        )
    if not report.is_close:
        note(
            f"alexnet: the exported file computes something else than the model and was not saved: "
            f"{report.parity.summary()}"
        )
    if flags.json:
        print_json(report)
    else:
        print(_compared(report))
    if report.is_close and not flags.json:
        print(_text(report, out))
    for text in report.notes:
        note(text)
    note(f"report    {report_path(out)}")
    if report.is_close and not flags.json:
        _note_next(report, out)
    return int(not report.is_close)


def _out_path(flags: ExportFlags, suffixes: tuple[str, ...]) -> Path:
    """The file to write: --out, or beside the model, or in the current folder for an address."""
    model = Path(flags.model)
    file = model / "model.safetensors" if model.is_dir() else model
    default = file.with_suffix(suffixes[0])
    if flags.model.startswith(PREFIX):
        default = Path(f"{short_name(flags.model)}{suffixes[0]}")
    out = Path(flags.out) if flags.out else default
    if not out.name.endswith(suffixes):
        raise UsageError(f"--out {out} must end in {' or '.join(suffixes)}")
    return out


def _compared(report: ExportReport) -> str:
    """Lines on the comparison with the model."""
    lines = f"compared  {report.parity.summary()}"
    return lines if report.agreement is None else f"{lines}\nrounded   {report.agreement.summary()}"


def _note_next(report: ExportReport, out: Path) -> None:
    """Print how the file can be used."""
    script = next((name for name in report.files if name.endswith(".py")), "")
    if script:
        note_next(["python", str(out.with_name(script)), "IMAGE"])
    else:
        note(f"next      in Python: {_usage(report, out)}")


def _usage(report: ExportReport, out: Path) -> str:
    """A Python expression that uses the file, given the images that `_text` describes."""
    name = repr(str(out))
    if report.format == "torchvision":
        reader = "safetensors.torch.load_file" if out.suffix == ".safetensors" else "torch.load"
        return f"torchvision.models.alexnet(num_classes={len(report.class_names)})" + (
            f".load_state_dict({reader}({name}))"
        )
    argument = "image" if report.takes == "image" else "images"
    if report.format == "onnx":
        return f"onnxruntime.InferenceSession({name}).run(None, {{'{argument}': {argument}}})"
    if report.format == "torch":
        return f"torch.export.load({name}).module()({argument})"
    if out.name.endswith(".weights.h5"):
        return f"model.load_weights({name})"
    return f"keras.saving.load_model({name}).predict(images)"


def _text(report: ExportReport, out: Path) -> str:
    """A text on the preprocessing, the input and the output, and on the files."""
    divided = "" if report.temperature == 1 else f" divided by {report.temperature:.6g}"
    softmax = f"softmax   of the logits{divided} gives the probabilities\n"
    facts = "class names, preprocessing and temperature"
    readers = "" if report.format == "torch" else ", which alexnet import reads"
    inside = f"inside    {facts}{readers}\n"
    if report.format == "torchvision":
        inside = f"beside    {facts}, in {out.name}.json, which alexnet import reads, too\n"
    script = next((name for name in report.files if name.endswith(".py")), "")
    return (
        f"images    {', '.join(report.steps)}\n"
        f"input     {report.input}\n"
        f"output    {report.output} of {name_list(report.class_names)}\n"
        f"{'' if report.takes == 'image' else softmax}"
        f"{inside}"
        f"{f'script    {out.with_name(script)}' + chr(10) if script else ''}"
        f"file      {out}"
    )
