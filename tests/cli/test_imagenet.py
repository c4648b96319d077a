"""Published weights on ImageNet, without a list of classes made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import alexnet
from alexnet.data.datasets.imagenet_classes import imagenet_words
from alexnet.models.network import Network
from alexnet.models.variants import variant
from alexnet.models.zoo import ZOO
from support.commands import Command
from support.runs import Witness

PLACES = {"n01440764": 0, "n02012849": 134, "n03126707": 517, "n03710721": 639}
FIRST_WORDS = [words.split(", ")[0] for words in imagenet_words().values()]


@pytest.fixture
def subset(tmp_path: Path, cache: Path) -> Path:
    """Kaggle's layout: two validation images of each of four classes, and no training images."""
    rng = np.random.default_rng(0)
    top, rows = tmp_path / "data" / "imagenet", ["ImageId,PredictionString"]
    images = top / "ILSVRC" / "Data" / "CLS-LOC" / "val"
    images.mkdir(parents=True)
    for number, wnid in enumerate([*PLACES, *PLACES], start=1):
        name = f"ILSVRC2012_val_{number:08d}"
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(images / f"{name}.JPEG")
        rows.append(f"{name},{wnid} 1 2 30 40 ")
    (top / "LOC_val_solution.csv").write_text("\n".join(rows))
    return tmp_path / "data"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The state dict of a net with 1,000 outputs, which knows no names."""
    torch.manual_seed(0)
    network = Network(variant(ZOO["cifar_quick"], num_classes=1000))
    torch.save(network.state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_names_are_not_needed_and_change_nothing(
    command: Command, subset: Path, weights: Path, tmp_path: Path
) -> None:
    """Keras's list has two cranes and two maillots."""
    (tmp_path / "keras.json").write_text(json.dumps(dict(enumerate(FIRST_WORDS))))
    errors = set()
    for options in ((), ("--class-names", tmp_path / "keras.json")):
        model = tmp_path / f"{len(options)}.safetensors"
        told = command("import", weights, "--arch", "cifar_quick", "--out", model, *options)
        assert ("these are ImageNet's, sorted by wnid" in told.out) == (not options)
        witness = Witness()
        result = alexnet.evaluate(
            alexnet.load(model), "imagenet", data_root=str(subset), reporter=witness
        )
        assert "imagenet has 4 of the model's 1,000 classes" in " ".join(witness.notes)
        assert (result.split, result.num_images) == ("val", 8)
        assert result.confusion.sum(1)[list(PLACES.values())].tolist() == [2, 2, 2, 2]
        errors.add((result.top1_error, result.loss))
    assert len(errors) == 1


def test_a_list_in_another_order_is_said(command: Command, weights: Path, tmp_path: Path) -> None:
    names, model = tmp_path / "names.txt", tmp_path / "m.safetensors"
    names.write_text("\n".join(reversed(imagenet_words())))
    words = ("--arch", "cifar_quick", "--out", model, "--class-names", names)
    result = command("import", weights, *words)
    assert "names.txt is not sorted by wnid, as the outputs of most" in " ".join(result.err.split())
