"""Checkpoints in the forms in which trainers write them: all are the same network."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import os
import pathlib
import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from alexnet.checkpoints.layer_names import TORCHVISION_NAMES
from alexnet.checkpoints.weights import ForeignWeights, read_weights
from alexnet.errors import ModelFileError
from support.narrow_nets import narrow_classifier
from support.slow import every_nth_fast

State = dict[str, Any]


class Color(enum.Enum):
    RED = 1


class Config(dict[str, Any]):
    """A dict of a class that a reader does not have, such as mmcv's or OmegaConf's."""


class Opaque:
    """An object of a class that a reader does not have."""

    def __init__(self) -> None:
        self.weight = torch.zeros(3, 3)


class Net(nn.Module):
    """A whole model."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.folder),)


NETWORK = narrow_classifier("alexnet_owt").network
OURS = {name: tensor.detach() for name, tensor in NETWORK.state_dict().items()}


def renamed(layers: dict[str, str]) -> State:
    """The weights with other names of the layers."""
    parts = {name: name.split(".") for name in OURS}
    return {f"{layers[layer]}.{kind}": OURS[name] for name, (layer, kind) in parts.items()}


def listed(*names: str) -> State:
    """The weights with the given names of the layers, in order."""
    return renamed(dict(zip(TORCHVISION_NAMES.values(), names, strict=True)))


THEIRS = renamed({ours: theirs for theirs, ours in TORCHVISION_NAMES.items()})


def prefixed(prefix: str, state: State = THEIRS) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def inserted(module: str) -> State:
    return {
        name.replace("features.", f"features.{module}."): tensor for name, tensor in THEIRS.items()
    }


PREFIXES = (
    "module.", "model.", "net.", "backbone.", "encoder.", "_orig_mod.", "module.model.", "student.",
    "_orig_mod.module.", "my_alexnet.", "model.module.net.",
)  # fmt: skip
WRAPPERS = (
    "state_dict", "model", "model_state_dict", "net", "network", "weights", "params", "parameters",
    "model_ema", "ema", "generator", "best_model",
)  # fmt: skip
LIGHTNING = {
    "epoch": 1,
    "state_dict": prefixed("model."),
    "loops": {"fit": {"done": torch.tensor(3)}},
    "callbacks": {"best": {"score": torch.tensor(0.5), "path": pathlib.PurePosixPath("x.ckpt")}},
    "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3, 3)}}}],
    "hyper_parameters": {"lr": 0.1, "color": Color.RED},
}
HARMLESS = {
    "model": THEIRS,
    "args": argparse.Namespace(lr=0.1, out=pathlib.PurePosixPath("runs")),
    "counts": collections.Counter("abc"),
    "default": collections.defaultdict(list, a=[1]),
    "numbers": (np.int64(3), np.float32(0.5), np.zeros((3, 3)), complex(1, 2)),
    "time": datetime.datetime(2020, 1, 1),
    "others": [{1, 2}, types.SimpleNamespace(a=1), Color.RED, Opaque(), Config(a=Config(b=1))],
    "torch": (torch.float16, torch.device("cuda"), torch.Size([1, 2])),
}
FORMS: dict[str, object] = {
    **{f"prefix {prefix}": prefixed(prefix) for prefix in PREFIXES},
    **{f"wrapper {key}": {key: THEIRS, "epoch": 3} for key in WRAPPERS},
    "features.module.": inserted("module"),
    "features._orig_mod.": inserted("_orig_mod"),
    "one wrapper inside the other": {"checkpoint": {"model": {"state_dict": prefixed("module.")}}},
    "PyTorch's ImageNet example": {
        "epoch": 3, "arch": "alexnet", "state_dict": inserted("module"),
        "best_acc1": torch.tensor(55.0),
    },
    "Lightning": LIGHTNING,
    "mmcv": {"meta": Config(time="x"), "state_dict": prefixed("backbone."), "hub": Opaque()},
    "fastai": {"model": THEIRS, "opt": {"state": [{"grad_avg": torch.zeros(2, 2)}]}},
    "harmless classes": HARMLESS,
    "a dict of an unknown class": Config(model=Config(THEIRS)),
    "OrderedDict": collections.OrderedDict(THEIRS),
    "parameters": {name: nn.Parameter(tensor) for name, tensor in THEIRS.items()},
    "numpy arrays": {name: tensor.numpy() for name, tensor in THEIRS.items()},
    "list of pairs": list(THEIRS.items()),
    "AveragedModel": {"n_averaged": torch.tensor(3), **prefixed("module.")},
    "own optimizer": prefixed("network.") | {"optimizer.conv1.weight.exp_avg": torch.zeros(2, 2)},
    "a loss with class weights": {
        "state_dict": prefixed("net.") | {"criterion.weight": torch.ones(3)}
    },
    "losses and metrics": prefixed("model.") | {
        "loss_fn.pos_weight": torch.ones(3), "train_acc.confmat": torch.zeros(3, 3),
        "val_f1.tp": torch.zeros(3), "CrossEntropyLoss.weight": torch.ones(3),
    },
    "channels last": {
        n: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t
        for n, t in THEIRS.items()
    },
    "a head inside a Sequential": {
        name.replace("classifier.6", "classifier.6.1"): t for name, t in THEIRS.items()
    },
    "features and classifier apart": {
        part: {n.partition(".")[2]: t for n, t in THEIRS.items() if n.startswith(part)}
        for part in ("features", "classifier")
    },
    "a head of another name": listed(
        *(f"backbone.{name}" for name in list(TORCHVISION_NAMES)[:-1]), "head"
    ),
    "one Sequential": listed(*(f"net.{i}" for i in (0, 3, 6, 8, 10, 15, 18, 20))),
    "fc1 to fc3": listed("conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3"),
    "counted from 0": listed("conv0", "conv1", "conv2", "conv3", "conv4", "fc0", "fc1", "fc2"),
    "conv1 in every block": listed(*(f"b{i}.conv1" for i in range(5)), "fc6", "fc7", "fc8"),
    "layer1.0": listed(*(f"layer{i}.0" for i in range(1, 6)), "fc.1", "fc1.1", "fc2.0"),
    "conv1_w": {
        n.replace(".weight", "_w").replace(".bias", "_b"): t for n, t in OURS.items()
    },
    "conv_1": {name.replace("conv", "Conv_"): tensor for name, tensor in OURS.items()},
}  # fmt: skip


def read(path: Path) -> ForeignWeights:
    return read_weights(path, NETWORK.architecture)


def check(found: ForeignWeights) -> None:
    assert set(found.tensors) == set(OURS)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in OURS.items())


@pytest.mark.parametrize("form", every_nth_fast(FORMS, n=3))
def test_every_form_is_the_same_network(tmp_path: Path, form: str) -> None:
    torch.save(FORMS[form], tmp_path / "checkpoint.pth")
    check(read(tmp_path / "checkpoint.pth"))


FILES: dict[str, Callable[[Path], object]] = {
    "legacy": lambda path: torch.save(HARMLESS, path, _use_new_zipfile_serialization=False),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"net": THEIRS})),
    "pickled arrays": lambda path: path.write_bytes(pickle.dumps(FORMS["numpy arrays"])),
    "protocol 2": lambda path: path.write_bytes(pickle.dumps(FORMS["numpy arrays"], 2)),
    "protocol 5": lambda path: path.write_bytes(pickle.dumps(FORMS["numpy arrays"], 5)),
    "safetensors": lambda path: save_file(THEIRS, path),
    "safetensors, sorted otherwise": lambda path: save_file(
        {name: t.contiguous() for name, t in FORMS["one Sequential"].items()},  # type: ignore[attr-defined]
        path,
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_format_is_told_by_the_content(tmp_path: Path, kind: str) -> None:
    FILES[kind](tmp_path / "checkpoint")
    check(read(tmp_path / "checkpoint"))


def test_a_safetensors_file_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    """It is sorted by name, so that net.10 comes before net.6, and all three have one shape."""
    shapes = [(4, 3, 11, 11), (6, 4, 5, 5), *((6, 6, 3, 3),) * 3, (9, 216), (8, 9), (2, 8)]
    places = (0, 3, 6, 8, 10, 15, 18, 20)
    state = {
        f"net.{place}.weight": torch.full(shape, float(place))
        for place, shape in zip(places, shapes, strict=True)
    }
    save_file(state, tmp_path / "w.safetensors")
    found = read(tmp_path / "w.safetensors").tensors
    assert [found[f"conv{i}.weight"].flatten()[0] for i in (3, 4, 5)] == [6, 8, 10]


@pytest.mark.parametrize(
    ("beside", "left_out"),
    [
        ({"state_dict": prefixed("net.") | {"loss.weight": torch.ones(3)}},
         "state_dict.loss.weight"),
        ({"model": THEIRS, "criterion": {"weight": torch.ones(3)}, "bins": torch.ones(2)},
         "bins, criterion.weight"),
        ({"model": THEIRS, **{f"t{i}": torch.ones(2) for i in range(9)}},
         "t0, t1, t2, t3, t4, t5, t6, t7 and 1 more"),
        (LIGHTNING | {"rng_state": torch.zeros(5), "best": torch.tensor(0.5)}, ""),
        ({"model": THEIRS, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}, ""),
    ],
)  # fmt: skip
def test_what_is_left_out_is_named(
    tmp_path: Path, beside: dict[str, object], left_out: str
) -> None:
    torch.save(beside, tmp_path / "w.pth")
    notes = read(tmp_path / "w.pth").notes
    assert notes == ((f"w.pth: left out: {left_out}",) if left_out else ())


def test_views_of_one_storage(tmp_path: Path) -> None:
    whole = torch.arange(24.0)
    state = {"conv1.weight": whole[4:16].view(3, 4).t(), "conv1.bias": whole[::6]}
    for is_legacy in (False, True):
        torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=not is_legacy)
        found = read(tmp_path / "w.pth").tensors
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2])
def test_other_types_of_floats(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in THEIRS.items()}
    torch.save(state, tmp_path / "w.pth")
    found = read(tmp_path / "w.pth").tensors["conv1.weight"]
    assert torch.equal(found.float(), state["features.0.weight"].float())


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_weights_of_whole_numbers_are_of_a_quantized_network(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    state = {n: (t * 99).to(dtype) if t.ndim > 1 else t for n, t in THEIRS.items()}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(
        ModelFileError, match=r"features\.0\.weight holds .* of a quantized network"
    ):
        read(tmp_path / "w.pth")


def test_layers_matched_by_shape_are_told(tmp_path: Path) -> None:
    torch.save(FORMS["fc1 to fc3"], tmp_path / "w.pth")
    assert read(tmp_path / "w.pth").notes == (
        "w.pth has layer names of its own, matched by shape: fc1 is fc6, fc2 is fc7, fc3 is fc8",
    )


@pytest.mark.parametrize(
    ("chosen", "other"),
    [
        ("state_dict", "state_dict_ema"), ("model", "model_ema"), ("model", "ema.module"),
        ("student.backbone", "teacher.backbone"), ("net", "swa_model"), ("model", "best_model"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_nested", [True, False])
def test_weights_beside_others(tmp_path: Path, chosen: str, other: str, is_nested: bool) -> None:
    more = {name: tensor + 1 for name, tensor in THEIRS.items()}
    flat = prefixed(f"{other}.", more) | prefixed(f"{chosen}.")
    torch.save({other: more, chosen: THEIRS} if is_nested else flat, tmp_path / "w.pth")
    found = read(tmp_path / "w.pth")
    check(found)
    assert f"{other}.features.0.weight, .. left out" in found.notes[0]
    if other == "best_model":
        return
    average = read_weights(tmp_path / "w.pth", NETWORK.architecture, average=True)
    assert torch.equal(average.tensors["fc8.bias"], OURS["fc8.bias"] + 1)


def test_averaged_weights_that_are_not_there(tmp_path: Path) -> None:
    torch.save(THEIRS, tmp_path / "w.pth")
    with pytest.raises(ModelFileError, match="has no averaged weights"):
        read_weights(tmp_path / "w.pth", NETWORK.architecture, average=True)


def test_two_networks_are_not_mixed(tmp_path: Path) -> None:
    torch.save({"generator": THEIRS, "critic": THEIRS | {}}, tmp_path / "w.pth")
    message = r"has conv1\.weight twice, as generator\.features.* save one of them: torch\.save"
    with pytest.raises(ModelFileError, match=message):
        read(tmp_path / "w.pth")


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_whole_model_is_named_and_not_run(tmp_path: Path, is_wrapped: bool) -> None:
    torch.save({"epoch": 1, "model": Net()} if is_wrapped else Net(), tmp_path / "w.pth")
    key = r"\['model'\]" if is_wrapped else ""
    message = (
        rf"a whole model \({__name__}\.Net\), whose code is not run; .*"
        rf"torch\.load\('w\.pth', weights_only=False\){key}\.state_dict\(\)"
    )
    with pytest.raises(ModelFileError, match=message):
        read(tmp_path / "w.pth")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_named_and_not_run(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(Net(), torch.zeros(1, 3, 8, 8)), tmp_path / "w.pt")
    message = r"a TorchScript program, whose code is not run; .*torch\.jit\.load\('w\.pt'\)"
    with pytest.raises(ModelFileError, match=message):
        read(tmp_path / "w.pt")


@pytest.mark.parametrize("is_legacy", [True, False])
def test_code_is_never_run(tmp_path: Path, is_legacy: bool) -> None:
    state = {"model": THEIRS, "trap": Trap(tmp_path / "sprung")}
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=not is_legacy)
    with pytest.raises(ModelFileError, match=r"it would call (posix|nt)\.mkdir"):
        read(tmp_path / "w.pth")
    assert not (tmp_path / "sprung").exists()
