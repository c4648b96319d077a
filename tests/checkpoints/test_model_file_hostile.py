"""Model files whose header asks for too much, or that are no model files."""

from __future__ import annotations

import json
import os
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from alexnet.checkpoints.model_file import ModelInfo, load_model, save_model
from alexnet.config.recipe import Recipe
from alexnet.errors import ModelFileError
from alexnet.inference.classifier import load
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO
from support.slow import first_fast

ARCH = variant(ZOO["lenet5"], ModelOptions(width=0.5), num_classes=3)
INFO = ModelInfo(
    architecture=ARCH,
    class_names=("a", "b", "c"),
    preprocessing=published_preprocessing("published", ARCH),
    recipe=Recipe(),
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(tmp_path / "model.safetensors", Network(ARCH).state_dict(), INFO)
    return tmp_path / "model.safetensors"


def forged(model: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Another header over the same values, without a checksum, which older files lack too."""
    content = model.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    facts = json.loads(header["__metadata__"]["alexnet"])
    del facts["checksum"]
    told = change(facts)
    header["__metadata__"]["alexnet"] = told if isinstance(told, str) else json.dumps(facts)
    text = json.dumps(header).encode()
    model.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def layer(place: int, **values: object) -> Callable[[dict[str, Any]], None]:
    return lambda facts: facts["architecture"]["layers"][place].update(values)


def preprocessing(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda facts: facts["preprocessing"].update(values)


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "1e12 parameters": lambda facts: facts["architecture"]["layers"].insert(
        9, {"kind": "fc", "name": "big", "features": 1 << 24}),
    "a million channels": layer(0, channels=10**6),
    "channels beyond 64 bits": layer(0, channels=10**30),
    "channels of 4,000 digits": layer(0, channels=10**4000),
    "a layer called forward": layer(0, name="forward"),
    "a layer called __class__": layer(0, name="__class__"),
    "weights from nowhere": layer(0, init={"kind": "normal", "std": float("nan"), "bias": 0.0}),
    "an input as large as a field": lambda facts: facts["architecture"].update(
        input=[1, 10**5, 10**5]),
    "layers without end": lambda facts: facts["architecture"]["layers"].extend(
        {"kind": "activation", "name": f"a{i}", "function": "relu"} for i in range(2_000)),
    "images as large as a field": preprocessing(resize_size=10**9),
    "a margin as wide as a field": preprocessing(padding=10**6),
    "no numbers": preprocessing(mean=[float("nan")] * 3),
    "divided by infinity": preprocessing(std=[float("inf")] * 3),
    "channels of 1.0": preprocessing(channels=1.0),
    "three colours for one": preprocessing(channels=3),
    "another crop": preprocessing(crop_size=20),
    "a value nested deep": lambda facts: facts["recipe"].update(
        epochs=json.loads("[" * 900 + "]" * 900)),
    "all nested deep": lambda facts: "[" * 100_000 + "]" * 100_000,
    "a number of 5,000 digits": lambda facts: '{"format": ' + "1" * 5000 + "}",
    "a key twice": lambda facts: '{"format": 1, "format": 1}',
    "a text": lambda facts: '"words"',
    "a key of 1 MB": lambda facts: json.dumps({"x" * 1_000_000: 1}),
    "names without end": lambda facts: facts.update(class_names=["x"] * 50_000),
    "a temperature of 0": lambda facts: facts.update(temperature=0),
    "a temperature below 0": lambda facts: facts.update(temperature=-1.5),
    "no temperature": lambda facts: facts.update(temperature=float("nan")),
    "an infinite temperature": lambda facts: facts.update(temperature=float("inf")),
    "a temperature in words": lambda facts: facts.update(temperature="hot"),
    "a folder for a name": lambda facts: facts["recipe"].update(name="../../out"),
}  # fmt: skip


@pytest.mark.parametrize("name", first_fast(HOSTILE, fast=4))
def test_a_header_that_asks_for_too_much(model: Path, name: str) -> None:
    forged(model, HOSTILE[name])
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(ModelFileError) as caught:
        load(model, "cpu")
    peak, seconds = tracemalloc.get_traced_memory()[1], time.perf_counter() - began
    tracemalloc.stop()
    message = str(caught.value)
    assert str(model) in message
    assert len(message) < 1000
    assert "\n" not in message
    assert peak < 200 << 20
    assert seconds < 10


@pytest.mark.parametrize("claimed", [10**11, 2**63 + 5, (1 << 24) + 1])
def test_a_header_that_claims_gigabytes(model: Path, claimed: int) -> None:
    model.write_bytes(struct.pack("<Q", claimed) + model.read_bytes()[8:])
    with pytest.raises(ModelFileError, match="its header claims"):
        load_model(model)


def test_a_file_as_large_as_a_disk_and_a_pipe(tmp_path: Path) -> None:
    with (tmp_path / "sparse.safetensors").open("wb") as file:
        file.truncate(1 << 41)
    with pytest.raises(ModelFileError, match="at most 8,589,934,592 are read"):
        load_model(tmp_path / "sparse.safetensors")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="not a regular file"):
        load_model(tmp_path / "pipe")


@pytest.mark.slow
@given(st.binary(max_size=300))
def test_no_bytes_are_a_model(content: bytes) -> None:
    path = Path(os.environ["ALEXNET_CACHE"]) / "any.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"any\.safetensors"):
        load_model(path)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=60))
def test_no_header_is_trusted(claimed: int, rest: bytes) -> None:
    path = Path(os.environ["ALEXNET_CACHE"]) / "any.safetensors"
    path.write_bytes(struct.pack("<Q", claimed) + rest)
    with pytest.raises(ModelFileError):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "net.onnx",
            b"\x08\x08",
            "an ONNX file; `alexnet import .*net.onnx` makes one",
        ),
        ("sd.pth", b"\x80\x02}.", "a pickle; `alexnet import .*sd.pth` makes one"),
        ("net.h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file; `alexnet import .*net.h5"),
        ("one.png", b"\x89PNG\r\n\x1a\n", "an image: the model comes first, before the images"),
        ("one.jpg", b"\xff\xd8\xff\xe0", "an image: the model comes first, before the images"),
        ("list.csv", b"path,label\n", "a text file"),
        ("page.safetensors", b"<html>", "a web page; download the file again"),
    ],
)
def test_files_of_other_programs_are_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=f"is no model of this program, but {message}"):
        load(tmp_path / name)


def test_a_program_says_how_it_is_run(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/archive_format", "pt2")
    with pytest.raises(ModelFileError, match=r"in Python by torch\.export\.load\('.*m\.pt2'\)"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/constants.pkl", "")
    with pytest.raises(ModelFileError, match=r"predict with the run .* by torch\.jit\.load\('"):
        load(path)


def test_torch_files_of_other_programs(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "sd.pth")
    with pytest.raises(ModelFileError, match=r"a file of torch\.save; `alexnet import .*sd\.pth"):
        load(tmp_path / "sd.pth")
    (tmp_path / "half.pth").write_bytes((tmp_path / "sd.pth").read_bytes()[:300])
    with pytest.raises(ModelFileError, match="no model of this program: it is a damaged or incom"):
        load(tmp_path / "half.pth")
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "timm.safetensors")
    message = r"another program; `alexnet import .*timm\.safetensors` makes one"
    with pytest.raises(ModelFileError, match=message):
        load(tmp_path / "timm.safetensors")


def test_a_folder_of_images_in_place_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"without a model .* or a run folder$"):
        load(tmp_path)


def test_a_file_without_a_temperature_has_temperature_one(model: Path) -> None:
    """As files that were written before there were any."""
    forged(model, lambda facts: facts.pop("temperature") and None)
    assert load_model(model)[1].temperature == 1
