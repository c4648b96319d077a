"""`alexnet import`: turn a network of another program into a model file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.checkpoints.file_header import reject_own_model
from alexnet.cli.console import name_list, note, note_next, print_json
from alexnet.cli.flags import parse
from alexnet.errors import UsageError
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture
from alexnet.models.zoo import ZOO

if TYPE_CHECKING:
    from alexnet.interop.importer import ImportedModel


PREPROCESSING_SOURCES = {
    "file": "as the file says",
    "report": "as {report} says",
    "user": "as --preprocessing says",
    "default": "as published for {published}: the file does not say; see --preprocessing",
}
CLASS_NAMES_SOURCES = {
    "file": "from the file",
    "report": "from {report}",
    "user": "from --class-names",
    "imagenet": (
        "the file has no names for them; with 1,000 outputs these are ImageNet's, sorted by wnid"
    ),
    "default": "the file has no names for them; see --class-names",
}


@dataclass(frozen=True, kw_only=True)
class ImportFlags:
    """Import a network of torch, Keras, ONNX or Caffe, check it, and write a model file."""

    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[FILE]")] = ""
    """A checkpoint of torch (.pth, .pt, .ckpt, .safetensors, ..), or a .keras, .h5, .onnx,
    .caffemodel, .npy or .npz file."""
    weights: Literal["file", "ema", "torchvision"] = "file"
    """ema: the averaged weights of a checkpoint that has both; torchvision: its published alexnet,
    downloaded once, instead of a file."""
    arch: str | Architecture = ""
    """The file's architecture, or a table of your own: nets.py:NAME, or a JSON file of one; unless
    given, alexnet_notebook for Keras, alexnet_owt for torchvision, else the one that fits."""
    out: str = ""
    """The model file to write; unless given, the file's name with .safetensors."""
    class_names: str = ""
    """A file of class names in the order of the outputs: one a line, or with wnids or numbers, as
    text, CSV or JSON; unless given, the names inside the file or the report of its export, if they
    have any, and ImageNet's for 1,000 outputs."""
    channel_order: Literal["auto", "rgb", "bgr"] = "auto"
    """The order in which the file's network takes colors; auto: bgr for .caffemodel files, and
    for .npy and .npz files of alexnet_caffe and caffenet, else rgb."""
    preprocessing: Literal["auto", "published", "torchvision", "caffe", "notebook"] = "auto"
    """The program whose preprocessing the model uses; published: the one that belongs to its
    architecture; auto: as the file itself or the report of its export says, or else as
    published."""
    input_size: int | None = None
    """Side of the input in pixels, where the file does not say; unless given, as published."""
    data_root: str = ""
    """Folder searched first for torchvision's file."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Import the network, write the model file, and print a summary."""
    flags = parse(ImportFlags, arguments, "import")
    arch, notes = _check(flags)
    if flags.out:
        _reject_existing(Path(flags.out), flags.file)
    from alexnet.interop.class_names import is_out_of_order
    from alexnet.interop.importer import import_model
    from alexnet.interop.torchvision import torchvision_weights

    path = Path(flags.file) if flags.file else torchvision_weights(flags.data_root)
    out = Path(flags.out or f"{_stem(path)}.safetensors")
    _reject_existing(out, flags.file)
    imported = import_model(
        path,
        arch,
        class_names=Path(flags.class_names) if flags.class_names else (),
        channel_order=flags.channel_order,
        preprocessing=flags.preprocessing,
        input_size=flags.input_size,
        average=flags.weights == "ema",
    )
    imported = replace(imported, notes=(*notes, *imported.notes))
    for text in imported.notes:
        note(text)
    imported.save(out)
    if flags.class_names and is_out_of_order(imported.info.class_names):
        note(f"{flags.class_names} is not sorted by wnid, as the outputs of most models are")
    if flags.json:
        from alexnet.cli.outputs.import_ import import_output

        print_json(import_output(imported, out))
    else:
        print(_text(imported, out))
        note_next(
            ["alexnet", "predict", str(out), "IMAGE"],
            ["alexnet", "evaluate", str(out), "--data", "FOLDER"],
        )
    return 0


def _check(flags: ImportFlags) -> tuple[Architecture, tuple[str, ...]]:
    """Check the flags; return the architecture and notes on how it was chosen."""
    if flags.input_size is not None and flags.input_size < 1:
        raise UsageError(f"--input-size {flags.input_size} must be at least 1")
    if flags.file:
        reject_own_model(Path(flags.file))
    from alexnet.interop.defaults import chosen_architecture

    return chosen_architecture(flags.arch, flags.file, flags.weights, flags.input_size)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".h5").removesuffix(".weights").removesuffix(path.suffix)


def _reject_existing(out: Path, file: str) -> None:
    if out.exists() and file and out.samefile(file):
        raise UsageError(f"{out} is the file to import itself; name the model file with --out")
    if out.exists():
        raise UsageError(f"{out} exists already; remove it or choose another with --out")


def _class_names_text(imported: ImportedModel) -> str:
    """A text on the first class names and their source."""
    source = CLASS_NAMES_SOURCES[imported.class_names_source].format(report=imported.report)
    return f"{name_list(imported.info.class_names)} ({source})"


def _published_text(arch: Architecture) -> str:
    """For which architecture and input a preprocessing was published."""
    published = ZOO.get(arch.name, arch).input[1]
    scaled = (
        "" if arch.input[1] == published else f", scaled from {published} to {arch.input[1]} pixels"
    )
    return f"this architecture{scaled}"


def _text(imported: ImportedModel, out: Path) -> str:
    arch = imported.info.architecture
    source = PREPROCESSING_SOURCES[imported.preprocessing_source].format(
        report=imported.report, published=_published_text(arch)
    )
    compared = (
        imported.parity.summary()
        if imported.parity
        else "every tensor of the network matches; the file has no graph to compare logits with"
    )
    return (
        f"{arch.name}, {sum(info.parameters for info in arch.layer_infos()):,} parameters, "
        f"{len(imported.info.class_names):,} classes, input {shape_text(arch.input)}\n"
        f"images    {', '.join(imported.info.preprocessing.steps())}\n"
        f"          {source}\n"
        f"classes   {_class_names_text(imported)}\n"
        f"compared  {compared}\n"
        f"model     {out}"
    )
