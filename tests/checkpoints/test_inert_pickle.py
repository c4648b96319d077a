"""Pickles that ask for too much, or for what is not theirs."""

from __future__ import annotations

import pickle
import struct
import tracemalloc
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.checkpoints.file_format import LEGACY_MAGIC
from alexnet.checkpoints.weights import read_weights
from alexnet.errors import ModelFileError
from alexnet.models.zoo import ZOO

START = b"\x80\x05"
HUGE = struct.pack("<Q", 6 << 30)
LEGACY_TENSOR = (
    LEGACY_MAGIC + b"\x80\x02M\xe9\x03." + b"\x80\x02}."
    b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n"
    b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    b"\x8a\x05\xff\xff\xff\xff\x0fNtQK\x00K\x02K\x02\x86K\x01K\x01\x86\x89NtRs."
    b"\x80\x02]X\x01\x00\x00\x000a." + bytes(16)
)  # fmt: skip
"""A legacy file of two numbers from a storage of 2^36."""


@pytest.mark.parametrize(
    "content",
    [
        START + b"}r\xff\xff\xff\xff.",
        START + b"\x8e" + HUGE + b"x.",
        START + b"\x96" + HUGE + b"x.",
        START + b"\x95" + HUGE + b"}.",
        START + b"]" * 20_000 + b"a" * 19_999 + b".",
        START + b"cbuiltins\nbytearray\n\x8a\x05\xff\xff\xff\xff\x7f\x85R.",
        LEGACY_TENSOR,
    ],
    ids=["memo", "bytes", "bytearray", "frame", "nesting", "call", "storage"],
)
def test_memory_is_not_taken_for_a_claim(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pkl").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        read_weights(tmp_path / "w.pkl", ZOO["alexnet_owt"])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1 << 27


DOUBLED = b")" + 60 * b"2\x86"
"""A tuple that holds the same tuple twice, and so on."""
STAND_IN = b"ca\nB\n)\x81"
DOUBLED_STAND_IN = STAND_IN + 60 * (b"q\x00" + STAND_IN + b"(K\x01h\x00K\x02h\x00u")
OLD_KEY = b"X\x01\x00\x00\x000a."


@pytest.mark.parametrize(
    "content",
    [
        b"}" + DOUBLED + b"K\x01s.",
        b"}(" + DOUBLED + b"K\x01u.",
        b"(" + DOUBLED + b"K\x01d.",
        b"\x8f(" + DOUBLED + b"\x90.",
        b"(" + DOUBLED + b"\x91.",
        b"ccollections\nOrderedDict\n](" + DOUBLED + b"K\x01\x86e\x85R.",
        b"}" + b"(" + DOUBLED + b"\x91" + b"K\x01s.",
        b"}" + DOUBLED_STAND_IN + b"K\x01s.",
        b"cnumpy\ndtype\n" + DOUBLED + b"\x85R.",
        b"}K\x00cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R(K\x03" + DOUBLED + b"tbs.",
        LEGACY_TENSOR.replace(b"X\x01\x00\x00\x000X\x03", DOUBLED + b"X\x03"),
        LEGACY_TENSOR.replace(OLD_KEY, DOUBLED + b"a."),
    ],
)
def test_a_short_file_is_not_read_for_years(tmp_path: Path, content: bytes) -> None:
    is_whole = content.startswith(LEGACY_MAGIC)
    (tmp_path / "w.pkl").write_bytes(content if is_whole else START + content)
    with pytest.raises(ModelFileError):
        read_weights(tmp_path / "w.pkl", ZOO["alexnet_owt"])


def test_keys_of_trainers_are_kept(tmp_path: Path) -> None:
    weights = {f"{name}.weight": torch.zeros(2, 2) for name in ("conv1", "conv2")}
    content = {"model": OrderedDict(weights), ("a", 1): {None, 2.5}, ((1, 2), 3): frozenset("b")}
    torch.save(content, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth", ZOO["alexnet_owt"]).tensors.keys() == weights.keys()


def test_dicts_in_dicts_without_end(tmp_path: Path) -> None:
    content: dict[str, object] = {"weight": np.zeros((2, 2))}
    for _ in range(30):
        content = {str(i): content for i in range(10)}
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(ModelFileError, match="is not a state dict of tensors"):
        read_weights(tmp_path / "w.pkl", ZOO["alexnet_owt"])


@pytest.mark.parametrize(
    "line", [b"cos\nsystem\n", b"cposix\nsystem\n", b"cbuiltins\neval\n", b"csubprocess\nPopen\n"]
)
def test_a_file_that_names_a_command_is_rejected(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02" + line + b"X\x04\x00\x00\x00true\x85R.")
    with pytest.raises(ModelFileError, match="it would call"):
        read_weights(tmp_path / "w.pkl", ZOO["alexnet_owt"])


def test_our_own_functions_cannot_be_changed(tmp_path: Path) -> None:
    """BUILD would set attributes of whatever is on the stack."""
    content = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb."
    (tmp_path / "w.pkl").write_bytes(content)
    with pytest.raises(ModelFileError, match="a function has no state"):
        read_weights(tmp_path / "w.pkl", ZOO["alexnet_owt"])


def test_our_own_classes_cannot_be_changed(tmp_path: Path) -> None:
    """Neither by a dict of attributes nor by a pair with one of slots; later files are read."""
    slots = b"N}X\x0b\x00\x00\x00__setitem__cfoo\nBar\ns\x86"
    for state in (slots, b"}X\x01\x00\x00\x00aK\x01s"):
        content = b"\x80\x02ccollections\nOrderedDict\n" + state + b"b."
        (tmp_path / "w.pkl").write_bytes(content)
        with pytest.raises(ModelFileError, match="a class has no state"):
            read_weights(tmp_path / "w.pkl", ZOO["alexnet_owt"])


def test_keys_are_printed_with_escapes(tmp_path: Path) -> None:
    torch.save({"\x1b[31mred\n": 1}, tmp_path / "w.pth")
    with pytest.raises(ModelFileError, match=r"its keys are \\x1b\[31mred\\n, and none holds"):
        read_weights(tmp_path / "w.pth", ZOO["alexnet_owt"])


def test_a_numpy_file_that_claims_too_much(tmp_path: Path) -> None:
    with (tmp_path / "w.npy").open("wb") as file:
        facts = {"descr": "<f4", "fortran_order": False, "shape": (1 << 30, 1 << 10)}
        np.lib.format.write_array_header_1_0(file, facts)
    with pytest.raises(ModelFileError, match="its array has 4,398,046,511,104 bytes; at most"):
        read_weights(tmp_path / "w.npy", ZOO["alexnet_owt"])
