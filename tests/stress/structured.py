"""Mutators of the content of well-formed files: JSON, safetensors, zip, tar, protobuf."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from typing import Any

import onnx

from stress.mutators import GENERAL, Mutator, Rng

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 2**31, 2**63, 10**30, -(2**40), 0.5, 1e308, -0.0, "", "x",
    "../../out", "/tmp/out", "a\0b", "\ud800", "x" * 5000, [], {}, [[[[]]]], [1, 2, 3],
    {"kind": "conv"}, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip


def edit_json(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Replace a value, drop, double or rename a key, or nest everything deeply."""
    try:
        plain = json.loads(content)
    except ValueError:
        return content
    action = int(rng.integers(8))
    if action == 0:
        return b"[" * int(rng.choice([50, 990, 100_000])) + content
    if action == 1:
        return content.rstrip()[:-1] + b"," + content.lstrip()[1:]  # every key twice
    if action == 2:
        return content.replace(b": 1", b": 1" + b"0" * int(rng.choice([20, 400, 5000])), 3)
    _change(plain, rng)
    return json.dumps(plain).encode()


def _change(plain: Any, rng: Rng) -> None:
    """Descend at random and change what is there."""
    place: Any = plain
    for _ in range(12):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = keys[int(rng.integers(len(keys)))]
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.85:
            place = place[key]
            continue
        action = int(rng.integers(4))
        if action == 0:
            del place[key]
        elif action == 1 and isinstance(place, dict):
            place[f"{key}s"] = place.pop(key)
        elif action == 2 and isinstance(place, list):
            place.extend(place * int(rng.choice([1, 20, 2000])))
        else:
            place[key] = STRANGE[int(rng.integers(len(STRANGE)))]
        return


def edit_safetensors(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Change the header's JSON, or the JSON inside it; its length is right again."""
    return _with_header(content, rng, drop_checksum=False)


def forge_safetensors(content: bytes, other: bytes, rng: Rng) -> bytes:
    """The same without the checksum, as an attacker would."""
    return _with_header(content, rng, drop_checksum=True)


def _with_header(content: bytes, rng: Rng, drop_checksum: bool) -> bytes:
    length = int.from_bytes(content[:8], "little")
    header, values = json.loads(content[8 : 8 + length]), content[8 + length :]
    inner = header.get("__metadata__", {}).get("alexnet")
    if inner and (drop_checksum or rng.random() < 0.7):
        facts = json.loads(inner)
        if drop_checksum:
            del facts["checksum"]
        changed = edit_json(json.dumps(facts).encode(), b"", rng)
        header["__metadata__"]["alexnet"] = changed.decode("utf-8", "replace")
    else:
        _change(header, rng)
    text = json.dumps(header).encode()
    lies = (0, 10**11, 2**63, len(text) + 1)
    claimed = len(text) if rng.random() < 0.9 else int(rng.choice(lies))
    return struct.pack("<Q", claimed) + text + values


def edit_zip(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Damage, drop, rename or compress a member, or make it a zip bomb."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        names = old.namelist()
        chosen, action = names[int(rng.integers(len(names)))], int(rng.integers(6))
        for name in names:
            data, packing, written = old.read(name), zipfile.ZIP_STORED, name
            if name == chosen and action == 0:
                continue
            if name == chosen and action in (1, 2) and data:
                data = GENERAL[int(rng.integers(len(GENERAL)))](data, other, rng)
            if name == chosen and action == 3:
                written = str(rng.choice(["../out", "/tmp/out", "x" * 300, "config.json"]))
            if action == 4:
                packing = zipfile.ZIP_DEFLATED
            if name == chosen and action == 5:
                data, packing = bytes(int(rng.choice([1 << 20, 1 << 26]))), zipfile.ZIP_DEFLATED
            new.writestr(written, data, packing)
    return file.getvalue()


def edit_keras(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Change the configuration in a `.keras` file."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, edit_json(data, b"", rng) if name == "config.json" else data)
    return file.getvalue()


def edit_tar(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Members with paths outside, links, devices, wrong sizes."""
    file = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as old,
        tarfile.open(fileobj=file, mode="w") as new,
    ):
        for member in old:
            data = old.extractfile(member)
            body = data.read() if data else b""
            if rng.random() < 0.3:
                member.name = str(
                    rng.choice(
                        ["../out", "/tmp/out", f"{member.name}/../../out", "x" * 400, "a\nb"]
                    )
                )
            if rng.random() < 0.3:
                member.type = bytes([int(rng.choice(list(b"0123456LKSxg")))])
                member.linkname = str(rng.choice(["/etc/passwd", "../../out", member.name]))
            member.size = len(body)
            new.addfile(member, io.BytesIO(body))
    whole = bytearray(file.getvalue())
    if rng.random() < 0.5:  # a wrong size with a right checksum
        place = 512 * int(rng.integers(len(whole) // 512))
        whole[place + 124 : place + 136] = f"{int(rng.integers(0, 8**11 - 1)):011o}\0".encode()
        whole[place + 148 : place + 156] = b" " * 8
        whole[place + 148 : place + 156] = f"{sum(whole[place : place + 512]):06o}\0 ".encode()
    return bytes(whole)


def edit_onnx(content: bytes, other: bytes, rng: Rng) -> bytes:
    """Change a node, an attribute, a shape or a constant; the file stays well-formed."""
    model = onnx.ModelProto()
    model.ParseFromString(content)
    graph, action = model.graph, int(rng.integers(9))
    node = graph.node[int(rng.integers(len(graph.node)))]
    tensor = graph.initializer[int(rng.integers(len(graph.initializer)))]
    strange = int(rng.choice([0, -1, 1, 2**31, 2**62, -(2**62), 7]))
    if action == 0 and node.attribute:
        attribute = node.attribute[int(rng.integers(len(node.attribute)))]
        del attribute.ints[:]
        attribute.ints.extend([strange] * int(rng.integers(0, 4)))
        attribute.i = strange
    elif action == 1:
        node.op_type = str(
            rng.choice(["Relu", "Loop", "If", "Reshape", "Resize", "ConstantOfShape", ""])
        )
    elif action == 2:
        del tensor.dims[:]
        tensor.dims.extend([strange] * int(rng.integers(0, 5)))
    elif action == 3:
        tensor.raw_data = tensor.raw_data[: int(rng.integers(len(tensor.raw_data) + 1))]
    elif action == 4:
        tensor.data_type = int(rng.integers(0, 24))
    elif action == 5:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key = "location"
        entry.value = str(rng.choice(["/etc/passwd", "../out", "file.onnx", "/dev/zero", "0.png"]))
        tensor.ClearField("raw_data")
    elif action == 6:
        sides = graph.input[0].type.tensor_type.shape.dim
        sides[int(rng.integers(len(sides)))].dim_value = strange
    elif action == 7:
        node.input[int(rng.integers(len(node.input)))] = str(
            rng.choice(["", node.output[0], "images"])
        )
    else:
        graph.node.extend([node] * int(rng.integers(1, 4)))
    return bytes(model.SerializeToString())


EDITS: dict[str, tuple[Mutator, ...]] = {
    ".json": (edit_json,),
    ".safetensors": (edit_safetensors, forge_safetensors),
    ".pth": (edit_zip,),
    ".keras": (edit_zip, edit_keras),
    ".tar": (edit_tar,),
    ".onnx": (edit_onnx,),
}


def structured_mutators(suffix: str) -> tuple[Mutator, ...]:
    """The mutators for a kind of file."""
    return tuple(_if_whole(edit) for edit in EDITS.get(suffix, ()))


def _if_whole(edit: Mutator) -> Mutator:
    """The edit, or flipped bits if the file does not have the format of its suffix."""

    def edited(content: bytes, other: bytes, rng: Rng) -> bytes:
        try:
            return edit(content, other, rng)
        except (zipfile.BadZipFile, ValueError, UnicodeError):
            return GENERAL[0](content, other, rng)

    edited.__name__ = edit.__name__
    return edited
