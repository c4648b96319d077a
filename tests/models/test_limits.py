"""What a file or a flag may ask for, and whether a model file's parts are each other's."""

from __future__ import annotations

import json
import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alexnet.checkpoints.model_file import ModelInfo, load_model, save_model
from alexnet.checkpoints.validation import check_preprocessing, check_tensors
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict, parse_json, to_dict
from alexnet.errors import ArchitectureError, ConfigError, ModelFileError
from alexnet.inference.classifier import load
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.io.limits import MAX_INPUT_SIDE
from alexnet.models import limits
from alexnet.models.architecture import Architecture, smallest_input
from alexnet.models.layers import Activation, Conv, Flatten, FullyConnected
from alexnet.models.limits import check_limits
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO
from support.commands import Command

TABLE = variant(ZOO["lenet5"], ModelOptions(width=0.5), num_classes=3)
INFO = ModelInfo(
    architecture=TABLE,
    class_names=("a", "b", "c"),
    preprocessing=published_preprocessing("published", TABLE),
    recipe=Recipe(),
)


@pytest.mark.parametrize("name", ZOO)
def test_every_published_net_is_within(name: str) -> None:
    check_limits(ZOO[name])
    check_limits(variant(ZOO[name], ModelOptions(width=2)))


def test_each_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, figure in (
        ("MAX_PARAMETERS", r"[\d,]+ parameters"),
        ("MAX_ACTIVATIONS", r"[\d,]+ outputs of one layer"),
        ("MAX_MACS", r"[\d,]+ multiply-accumulates per image"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(limits, name, 5)
            with pytest.raises(
                ArchitectureError, match=f"lenet5 has {figure}, more than the limit of"
            ):
                check_limits(TABLE)


def test_a_net_that_nobody_can_hold_is_one_sentence(command: Command, flowers: Path) -> None:
    for words in (("--width", "500"), ("--width", "1e300"), ("--input-size", "4000000")):
        told = command("train", "--data", flowers, "--resize-size", "300", *words)
        assert told.code == 2, words
        assert len(told.err.splitlines()) == 1


def test_tensors_are_the_tables() -> None:
    state = Network(TABLE).state_dict()
    check_tensors(TABLE, state)
    name = "conv1.weight"
    others: list[tuple[dict[str, torch.Tensor], str]] = [
        ({n: t for n, t in state.items() if n != name}, "it lacks conv1.weight"),
        ({**state, "more": torch.zeros(1)}, "it also has more"),
        (
            {**state, name: state[name][:1]},
            "conv1.weight is 1x1x5x5 float32, and should be 4x1x5x5",
        ),
        ({**state, name: state[name].double()}, "conv1.weight is 4x1x5x5 float64"),
        (
            {**state, name: state[name] * float("nan")},
            "conv1.weight has values that are not finite",
        ),
        ({**state, name: state[name] / 0}, "conv1.weight has values that are not finite"),
    ]
    for tensors, message in others:
        with pytest.raises(ArchitectureError, match=message):
            check_tensors(TABLE, tensors)


def test_pictures_are_the_inputs() -> None:
    rule = INFO.preprocessing
    check_preprocessing(TABLE, rule, None)
    image = torch.zeros(1, 32, 32)
    check_preprocessing(TABLE, replace(rule, has_mean_image=True), image)
    with pytest.raises(ArchitectureError, match=r"preprocessing gives \(3, 32, 32\)"):
        check_preprocessing(TABLE, replace(rule, channels=3), None)
    with pytest.raises(ArchitectureError, match="mean image"):
        check_preprocessing(TABLE, rule, image)
    with pytest.raises(ArchitectureError, match="mean image is 1x32x31"):
        check_preprocessing(TABLE, replace(rule, has_mean_image=True), image[..., :31])


@pytest.mark.parametrize(
    "change",
    [{"resize_size": 10**9}, {"resize_size": 0}, {"padding": 10**6}, {"input_size": -1},
     {"mean": (float("nan"),) * 3}, {"std": (float("inf"), 1, 1)}],
    ids=str,
)  # fmt: skip
def test_preprocessing_that_cannot_be_done(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(Preprocessing(), **change)


def flat(*layers: Any) -> Architecture:
    return Architecture("any", "", (1, 9, 9), (*layers, Flatten("flatten"), FullyConnected("f", 2)))


def test_tables_have_an_end() -> None:
    with pytest.raises(ArchitectureError, match="1002 layers, not 1 to 1000"):
        flat(*(Activation(f"a{i}") for i in range(1000)))
    with pytest.raises(ArchitectureError, match=r"channels 16777217 must be from 1 to 16777216"):
        Conv("c", (1 << 24) + 1, 3)
    with pytest.raises(ArchitectureError, match="must be"):
        Architecture("any", "", (1, 10**9, 9), flat().layers)
    with pytest.raises(ArchitectureError, match="no input works"):
        flat(Conv("c", 1, MAX_INPUT_SIDE + 1))


def test_the_smallest_input_is_found_at_once() -> None:
    layers = flat(Conv("c", 2, 9, 3)).layers
    assert smallest_input(layers, 1) == 9
    began = time.perf_counter()
    assert smallest_input((*layers[:1], *(Activation(f"a{i}") for i in range(900))), 1) == 9
    assert time.perf_counter() - began < 1


# ---------------------------------------------------------------- model files


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(tmp_path / "model.safetensors", Network(TABLE).state_dict(), INFO)
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


def pictures(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda facts: facts["preprocessing"].update(values)


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "1e12 parameters": lambda facts: facts["architecture"]["layers"].insert(
        9, {"kind": "fc", "name": "big", "features": 1 << 24}),
    "a million channels": layer(0, channels=10**6),
    "channels beyond 64 bits": layer(0, channels=10**30),
    "channels of 4,000 digits": layer(0, channels=10**4000),
    "a layer called forward": layer(0, name="forward"),
    "a layer called __class__": layer(0, name="__class__"),
    "weights from nowhere": layer(0, init={"kind": "normal", "sd": float("nan"), "bias": 0.0}),
    "an input as large as a field": lambda facts: facts["architecture"].update(
        input=[1, 10**5, 10**5]),
    "layers without end": lambda facts: facts["architecture"]["layers"].extend(
        {"kind": "activation", "name": f"a{i}", "function": "relu"} for i in range(20_000)),
    "pictures as large as a field": pictures(resize_size=10**9),
    "a margin as wide as a field": pictures(padding=10**6),
    "no numbers": pictures(mean=[float("nan")] * 3),
    "divided by infinity": pictures(std=[float("inf")] * 3),
    "channels of 1.0": pictures(channels=1.0),
    "three colours for one": pictures(channels=3),
    "another crop": pictures(crop_size=20),
    "a value nested deep": lambda facts: facts["recipe"].update(
        epochs=json.loads("[" * 900 + "]" * 900)),
    "all nested deep": lambda facts: "[" * 100_000 + "]" * 100_000,
    "a number of 5,000 digits": lambda facts: '{"format": ' + "1" * 5000 + "}",
    "a key twice": lambda facts: '{"format": 1, "format": 1}',
    "a text": lambda facts: '"words"',
    "a key of 1 MB": lambda facts: json.dumps({"x" * 1_000_000: 1}),
    "names without end": lambda facts: facts.update(classes=["x"] * 200_000),
    "a folder for a name": lambda facts: facts["recipe"].update(name="../../out"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
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


@given(st.binary(max_size=300))
def test_no_bytes_are_a_model(content: bytes) -> None:
    path = Path(os.environ["ALEXNET_CACHE"]) / "any.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"any\.safetensors"):
        load_model(path)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=60))
def test_no_header_is_believed(claimed: int, rest: bytes) -> None:
    path = Path(os.environ["ALEXNET_CACHE"]) / "any.safetensors"
    path.write_bytes(struct.pack("<Q", claimed) + rest)
    with pytest.raises(ModelFileError):
        load_model(path)


# ---------------------------------------------------------------- JSON

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(sorted(to_dict(Recipe())))


def read_or_told(cls: type[Any], plain: object) -> Any:
    """What a dataclass makes of JSON, or the sentence that says why it makes nothing of it."""
    try:
        return from_dict(cls, plain)
    except ConfigError as error:
        return str(error)


@given(st.dictionaries(KEYS | st.text(max_size=3), JSON, max_size=4))
def test_any_json_is_a_recipe_or_one_sentence(plain: dict[str, Any]) -> None:
    recipe = read_or_told(Recipe, plain)
    if isinstance(recipe, str):
        assert 0 < len(recipe) < 1500
    else:
        assert from_dict(Recipe, to_dict(recipe)) == recipe


@given(st.data())
def test_any_change_of_a_table_is_a_table_or_one_sentence(data: st.DataObject) -> None:
    plain = to_dict(TABLE)
    row = data.draw(st.sampled_from(plain["layers"]))
    row[data.draw(st.sampled_from(sorted(row)))] = data.draw(JSON)
    table = read_or_told(Architecture, plain)
    if isinstance(table, str):
        assert 0 < len(table) < 1500
    else:
        assert from_dict(Architecture, json.loads(json.dumps(to_dict(table)))) == table


@given(st.text(max_size=50) | st.binary(max_size=50))
def test_any_text_is_json_or_one_sentence(text: str | bytes) -> None:
    with suppress(ConfigError):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 1}', "duplicate key 'a'"),
        ('{"a": {"b": [{"c": 1, "c": 2}]}}', "duplicate key 'c'"),
        ("9223372036854775808", "'9223372036854775808' has more than 64 bits"),
        ("-9223372036854775809", "has more than 64 bits"),
        ("1" * 5000, "has more than 64 bits"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
    ],
)
def test_json_that_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_json(text)
    assert len(str(caught.value)) < 300


def test_whole_numbers_of_64_bits_come_through() -> None:
    assert parse_json("[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]


def test_many_keys_and_one_twice_take_no_time() -> None:
    keys = [f"k{i}" for i in range(100_000)]
    began = time.perf_counter()
    with pytest.raises(ConfigError, match="duplicate key 'k99999'"):
        parse_json("{" + ",".join(f'"{key}":1' for key in [*keys, keys[-1]]) + "}")
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"epochs": 3, "epochs": 4}', "duplicate key 'epochs'"),
        (b'{"epochs": ' + b"[" * 900 + b"]" * 900 + b"}", "epochs must be int"),
        (b'{"optimizer": {"lr": NaN}}', "--lr is nan"),
        (b'{"name": "../../etc/x"}', "must be a valid folder name"),
        (b'{"epochs": 1' + b"0" * 30 + b"}", "more than 64 bits"),
        (b"\xff\xfe{}", "is not JSON"),
        (b" " * ((1 << 22) + 1), "has more than 4,194,304 bytes"),
        (b'{"data_options": {"padding": 1000000}}', "--padding 1000000 must be 0 to 4096"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_config_of_others(command: Command, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    told = command("train", "--config", tmp_path / "config.json", "--out", tmp_path / "run")
    assert told.code == 2
    assert said in told.err
    assert len(told.err.splitlines()) == 1
    assert len(told.err) < 1500
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
