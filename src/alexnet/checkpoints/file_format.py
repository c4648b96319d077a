"""Detect the format of a file of weights by its content, since its name tells little.

`.pt` may be a state dict, a TorchScript program or a `torch.export` archive; state dicts are also
called `.pth.tar`, `.ckpt`, `.t7`, `.bin`, or nothing at all.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import IO, Literal, TypeAlias

from alexnet.io.archives import open_zip
from alexnet.io.files import open_regular

FileFormat: TypeAlias = Literal[
    "safetensors", "torch", "torch_legacy", "pickle", "torchscript", "torch_export", "npy", "npz",
    "keras", "hdf5", "onnx", "caffemodel", "image", "html", "lfs_pointer", "text", "zip", "tar",
    "compressed", "folder", "empty", "unknown",
]  # fmt: skip

DESCRIPTIONS: dict[FileFormat, str] = {
    "safetensors": "a safetensors file",
    "torch": "a file of torch.save",
    "torch_legacy": "a file of torch.save",
    "pickle": "a pickle",
    "torchscript": "a TorchScript program",
    "torch_export": "a torch.export archive",
    "npy": "a numpy array",
    "npz": "an archive of numpy arrays",
    "keras": "a Keras file",
    "hdf5": "an HDF5 file",
    "onnx": "an ONNX file",
    "caffemodel": "a Caffe model",
    "image": "an image",
    "html": "a web page; download the file again",
    "lfs_pointer": "a Git LFS pointer, not the file itself; fetch that with `git lfs pull`",
    "text": "a text file",
    "zip": "a zip archive; unpack it",
    "tar": "a tar archive; unpack it",
    "compressed": "a compressed file; unpack it",
    "folder": "a folder",
    "empty": "an empty file",
    "unknown": "a file of an unknown format",
}
"""What each format is, for messages."""
REMEDIES: dict[FileFormat, str] = {
    "torchscript": (
        ", whose code is not run; save its weights: "
        "torch.save(torch.jit.load('{file}').state_dict(), 'weights.pth')"
    ),
    "torch_export": (
        ", whose program is not run; save its weights: "
        "torch.save(torch.export.load('{file}').state_dict, 'weights.pth')"
    ),
    "keras": "; alexnet import reads it",
    "hdf5": "; alexnet import reads it if Keras wrote it",
    "onnx": "; alexnet import reads it",
    "caffemodel": "; alexnet import reads it",
}
"""What to do with files of formats that hold no state dict; {file} is the file's name."""

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickled magic number with which files of torch before 1.6 begin."""
SIGNATURES: dict[FileFormat, bytes] = {
    "torch_legacy": re.escape(LEGACY_MAGIC),
    "hdf5": rb"\x89HDF\r\n\x1a\n",
    "npy": rb"\x93NUMPY",
    "safetensors": rb".{7}\x00\{",
    "pickle": rb"\x80[\x01-\x05]",
    "compressed": rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd",
    "tar": rb".{257}ustar",
    "image": (
        rb"\xff\xd8\xff|\x89PNG|GIF8|BM.{4}\0\0\0\0|II\*\0|MM\0\*|RIFF.{4}WEBP"
        rb"|.{4}ftyp(avif|heic|heix|mif1)"
    ),
    "lfs_pointer": rb"version https://git-lfs",
    "html": rb"\s*<(!doctype html|!DOCTYPE html|html|HTML)",
}
"""Patterns of the first bytes of each format."""
PROTOBUF_FORMATS: dict[str, FileFormat] = {".onnx": "onnx", ".caffemodel": "caffemodel"}
"""Formats by file suffix, for protocol buffers, which have no signature."""
TORCH_EXPORT_MEMBERS = ("archive_format", "serialized_exported_program.json")


def file_format(path: Path) -> FileFormat:
    """The format of a file.

    Raises:
        OSError: it does not exist, or cannot be read.
        ValueError: it is a zip archive with a damaged or huge index.
    """
    if path.is_dir():
        return "folder"
    with open_regular(path) as file:
        start = file.read(300)
        if start.startswith(b"PK\3\4"):
            return _zip_format(file)
    if not start:
        return "empty"
    for name, pattern in SIGNATURES.items():
        if re.match(pattern, start, re.DOTALL):
            return name
    return PROTOBUF_FORMATS.get(path.suffix.lower()) or _text_or_unknown(start)


def _zip_format(file: IO[bytes]) -> FileFormat:
    """The format of a zip archive, by the names of its members."""
    try:
        with open_zip(file) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ValueError("it is a damaged or incomplete zip archive") from error
    inner = {name.partition("/")[2] for name in names}
    if inner & set(TORCH_EXPORT_MEMBERS) or set(names) & set(TORCH_EXPORT_MEMBERS):
        return "torch_export"
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return "torchscript"
    if "data.pkl" in inner or "data.pkl" in names:
        return "torch"
    if "model.weights.h5" in names or "config.json" in names:
        return "keras"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def _text_or_unknown(start: bytes) -> FileFormat:
    is_text = not re.search(rb"[\0-\x08\x0e-\x1f]", start) and start.isascii()
    return "text" if is_text else "unknown"
