"""The format of a file is told by its content."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from alexnet.checkpoints.file_format import file_format
from alexnet.checkpoints.weights import read_weights
from alexnet.errors import ModelFileError
from alexnet.models.zoo import ZOO


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n....", "hdf5"),
        (b"\x93NUMPY\x01\x00", "npy"),
        (b"\x80\x04\x95\x00", "pickle"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"name" + bytes(253) + b"ustar\0", "tar"),
        (b"\n  <!DOCTYPE html><html>", "html"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "lfs_pointer"),
        (b"a,b\n1,2\n", "text"),
        (b"\x00\x01\x02\x03", "unknown"),
    ],
)
def test_signatures(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    assert file_format(tmp_path / "weights.pth") == found


def test_files_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    torch.save({}, path)
    assert file_format(path) == "torch"
    torch.save({}, path, _use_new_zipfile_serialization=False)
    assert file_format(path) == "torch_legacy"
    save_file({"a": torch.zeros(1)}, path)
    assert file_format(path) == "safetensors"
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"):
        Image.new("RGB", (2, 2)).save(path, kind)
        assert file_format(path) == "image"
    assert file_format(tmp_path) == "folder"


@pytest.mark.parametrize(
    ("members", "found"),
    [
        (("archive/data.pkl",), "torch"),
        (("x/data.pkl", "x/constants.pkl", "x/code/a.py"), "torchscript"),
        (("x/archive_format", "x/models/model.json"), "torch_export"),
        (("serialized_exported_program.json",), "torch_export"),
        (("config.json", "model.weights.h5"), "keras"),
        (("conv1.npy", "fc8.npy"), "npz"),
        (("readme.txt",), "zip"),
    ],
)
def test_zip_archives(tmp_path: Path, members: tuple[str, ...], found: str) -> None:
    with zipfile.ZipFile(tmp_path / "weights", "w") as archive:
        for name in members:
            archive.writestr(name, b"")
    assert file_format(tmp_path / "weights") == found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>404", "it is a web page; download the file again"),
        (b"version https://git-lfs.github.com/spec/v1", "fetch that with `git lfs pull`"),
        (b"\x1f\x8b\x08\x00", "it is a compressed file; unpack it"),
        (b"\x89PNG\r\n\x1a\n", "it is an image"),
    ],
)
def test_what_a_file_is_instead_of_weights(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"w\.pth cannot be read as weights: .*{message}$"):
        read_weights(tmp_path / "w.pth", ZOO["alexnet_owt"])
