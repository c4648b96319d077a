"""Head files: the trained tensors alone, in any precision, put together with their trunk."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet.checkpoints.model_file import ModelInfo, load_model, save_model
from alexnet.checkpoints.tensors import load_tensors
from alexnet.errors import UsageError
from alexnet.inference.classifier import Classifier
from alexnet.io.cache import cache_entries
from alexnet.serve.models import model_sources
from alexnet.sharing.weights import HeadInfo, assemble, save_head
from alexnet.training.initial_weights import find_source
from support.narrow_nets import narrow_classifier

TRUNK = "hf:you/trunk"
TRAINED = ("fc5.weight", "fc5.bias")


@pytest.fixture
def trunk(cache: Path) -> Classifier:
    """The model at TRUNK, downloaded."""
    classifier = narrow_classifier("lenet5")
    path = cache / "hub" / "you--trunk" / "main" / "model.safetensors"
    path.parent.mkdir(parents=True)
    save_model(path, classifier.network.state_dict(), classifier.info)
    return classifier


def write_head(
    path: Path, trunk: Classifier, info: ModelInfo | None = None, **options: bool
) -> Path:
    weights = trunk.network.state_dict()
    mine = {n: t + 1 if n in TRAINED else t for n, t in weights.items()}
    num_same = save_head(path, mine, info or trunk.info, None, TRUNK, **options)
    assert num_same == len(weights) - len(TRAINED)
    return path


@pytest.mark.parametrize("half", [False, True])
def test_a_head_has_no_tensor_of_its_trunk(trunk: Classifier, tmp_path: Path, half: bool) -> None:
    head = write_head(tmp_path / "head.safetensors", trunk, half=half)
    kept, _ = load_tensors(head, HeadInfo)
    assert kept.keys() == set(TRAINED)
    assert kept["fc5.weight"].dtype == (torch.float16 if half else torch.float32)
    found = load_model(assemble(head))[0]
    for name, tensor in trunk.network.state_dict().items():
        if name in TRAINED:
            assert torch.allclose(found[name], tensor + 1, atol=1e-3)
        else:
            assert torch.equal(found[name], tensor)


def test_heads_of_equal_tensors_keep_their_own_headers(trunk: Classifier, tmp_path: Path) -> None:
    for i, temperature in enumerate((1.0, 2.0)):
        names = tuple(f"class {i} of head {temperature}" for i in range(len(trunk.class_names)))
        info = replace(trunk.info, class_names=names, temperature=temperature)
        head = write_head(tmp_path / f"{i}.safetensors", trunk, info)
        assert load_model(assemble(head))[1] == info


def test_an_assembled_model_is_an_entry_of_the_cache_that_is_used(
    trunk: Classifier, cache: Path, tmp_path: Path
) -> None:
    head = write_head(tmp_path / "head.safetensors", trunk)
    out = assemble(head)
    for path in (out, out.parent):
        os.utime(path, (1000, 1000))
    entries = {Path(entry.path): entry.used_at for entry in cache_entries(cache)}
    assert entries[out.parent] == 1000
    assemble(head)
    entries = {Path(entry.path): entry.used_at for entry in cache_entries(cache)}
    assert entries[out.parent] > time.time() - 60


@pytest.mark.parametrize("is_on_hub", [False, True])
def test_a_head_is_served(trunk: Classifier, cache: Path, tmp_path: Path, is_on_hub: bool) -> None:
    folder = cache / "hub" / "me--head" / "main" if is_on_hub else tmp_path / "head-1.5"
    folder.mkdir(parents=True)
    write_head(folder / "head.safetensors", trunk)
    (source,) = model_sources(["hf:me/head" if is_on_hub else str(folder)])
    assert source.name == ("head" if is_on_hub else "head-1.5")
    assert source.read("cpu").class_names == trunk.class_names


@pytest.mark.parametrize("place", ["hub", "folder", "file"])
def test_training_does_not_start_from_a_head(
    trunk: Classifier, cache: Path, tmp_path: Path, place: str
) -> None:
    folder = cache / "hub" / "me--head" / "main" if place == "hub" else tmp_path / "share"
    folder.mkdir(parents=True)
    head = write_head(folder / "head.safetensors", trunk)
    source = {"hub": "hf:me/head", "folder": str(folder), "file": str(head)}[place]
    with pytest.raises(UsageError, match="is a model without its trunk") as caught:
        find_source(source)
    assert f"alexnet.load({source!r}).save('model.safetensors')" in str(caught.value)
