"""`alexnet import`: a network of another program as a model file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note
from alexnet.cli.flags import parse
from alexnet.config.serialization import json_text, to_dict
from alexnet.errors import UsageError
from alexnet.models.zoo import architecture

if TYPE_CHECKING:
    from alexnet.interop.importer import Imported


@dataclass(frozen=True, kw_only=True)
class ImportFlags:
    """Read a network of torchvision, Keras or ONNX, check it, and write it as a model file."""

    file: Annotated[str, tyro.conf.Positional] = ""
    """A .pth, .safetensors, .keras, .weights.h5 or .onnx file."""
    weights: Literal["file", "torchvision"] = "file"
    """torchvision: its published alexnet, downloaded once, in the place of a file."""
    arch: str = ""
    """The architecture that the file is; alexnet_notebook for Keras and alexnet_owt for torchvision
    unless given."""
    out: str = ""
    """The model file to write; the file's name with .safetensors unless given."""
    class_names: str = ""
    """A text file of class names, one a line, in the order of the outputs."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """The order in which an ONNX file takes colours; Caffe's own nets take bgr."""
    pictures: Literal["published", "torchvision", "caffe", "notebook"] = "published"
    """How pictures are prepared for it; published: as its architecture's program did."""
    input_size: int | None = None
    """Side of the input where the file does not tell it; 0: as published."""
    data_root: str = ""
    """Folder searched for torchvision's file first."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Import, print what came, write the model."""
    flags = parse(ImportFlags, arguments, "import")
    arch = _check(flags)
    if flags.out:
        _refuse_existing(Path(flags.out))
    from alexnet.interop.importer import import_model, read_class_names
    from alexnet.interop.state_dict import torchvision_weights

    is_file = flags.weights == "file"
    path = Path(flags.file) if is_file else torchvision_weights(flags.data_root)
    out = Path(flags.out or f"{_stem(path)}.safetensors")
    _refuse_existing(out)
    names = read_class_names(Path(flags.class_names)) if flags.class_names else ()
    imported = import_model(
        path,
        arch,
        class_names=names,
        channels=flags.channels,
        pictures=flags.pictures,
        input_size=flags.input_size,
    )
    imported.save(out)
    if arch in ("alexnet_caffe", "caffenet") and flags.channels == "rgb":
        note("Caffe's own networks take colours as bgr; if this is one, import with --channels bgr")
    facts = json_text(_facts(imported, out))
    print(facts if flags.json else _text(imported, out))
    return 0


def _check(flags: ImportFlags) -> str:
    """The architecture's name, when the flags go together."""
    if bool(flags.file) == (flags.weights == "torchvision"):
        raise UsageError("name one file to import, or --weights torchvision instead of a file")
    if flags.input_size is not None and flags.input_size < 1:
        raise UsageError(f"--input-size {flags.input_size} must be above 0")
    usual = "alexnet_owt" if flags.weights == "torchvision" else ""
    if flags.file.endswith((".keras", ".h5")):
        usual = "alexnet_notebook"
    if not flags.arch and not usual:
        raise UsageError(f"--arch names the architecture that {flags.file} is; see alexnet summary")
    return architecture(flags.arch or usual).name


def _stem(path: Path) -> str:
    return path.name.removesuffix(".h5").removesuffix(".weights").removesuffix(path.suffix)


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise UsageError(f"{out} is there already; remove it or name another with --out")


def _facts(imported: Imported, out: Path) -> dict[str, object]:
    table, parity = imported.info.architecture, imported.parity
    return {
        "model": str(out),
        "architecture": table.name,
        "input": list(table.input),
        "num_classes": len(imported.info.class_names),
        "parameters": sum(row.parameters for row in table.rows()),
        "preprocessing": to_dict(imported.info.preprocessing),
        "parity": parity and {**to_dict(parity), "relative_difference": parity.relative_difference},
    }


def _text(imported: Imported, out: Path) -> str:
    table, rule = imported.info.architecture, imported.info.preprocessing
    c, h, w = table.input
    mean, divisor = (", ".join(f"{x:g}" for x in t[:c]) for t in (rule.mean, rule.std))
    resize = "squashed to" if rule.resize == "stretch" else "shorter side to"
    compared = (
        imported.parity.sentence()
        if imported.parity
        else "every tensor of the file fits; the file has no computation of its own to compare with"
    )
    return (
        f"{table.name}, {sum(row.parameters for row in table.rows()):,} parameters, "
        f"{len(imported.info.class_names):,} classes, input {c}x{h}x{w}\n"
        f"pictures  {resize} {rule.resize_size}, centre {rule.crop_size}, "
        f"minus ({mean}), divided by ({divisor})\n"
        f"compared  {compared}\n"
        f"model     {out}"
    )
