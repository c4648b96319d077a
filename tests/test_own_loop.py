"""docs/own-loop.md: its loop, run as it is printed, ends with the bits of `alexnet.train`; what it
says of torch's tools is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.utils import parameters_to_vector

import alexnet
from alexnet import create_model
from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.inference.classifier import load
from alexnet.training.loss_scaling import LossScaler
from alexnet.training.optimizers import build_optimizer
from alexnet.training.step import UpdateSetup, update
from support.places import ROOT
from support.runs import train


def blocks() -> list[str]:
    """The blocks of the page that need a folder of images, without their fences."""
    page = (ROOT / "docs" / "own-loop.md").read_text()
    return re.findall(r"^```python skip\n(.*?)^```", page, re.S | re.M)


def test_own_loop_gives_the_bits_of_train(
    flowers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, after = blocks()[:2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 32
    words = (
        f"data={str(flowers)!r}, width=0.05, input_size=67, batch_size=12, cutmix=0.5, mixup=0.2"
    )
    assert 'data="photos/"' in code
    names: dict[str, Any] = {}
    exec(compile(code.replace('data="photos/"', words), "own-loop.md", "exec"), names)
    run = train(names["recipe"], out=tmp_path / "run")
    assert names["step"] == 9
    own, theirs = names["network"].state_dict(), load(run.folder.last, "cpu").network.state_dict()
    assert list(own) == list(theirs)
    assert 0 < names["recipe"].augment.cutmix < 1
    assert [name for name in own if not torch.equal(own[name], theirs[name])] == []
    monkeypatch.chdir(tmp_path)
    check_what_follows(after, names, capsys)


def check_what_follows(
    code: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines after the loop write a model that this package evaluates as they do."""
    capsys.readouterr()
    exec(compile(code, "own-loop.md", "exec"), names)
    classifier, written = names["classifier"], alexnet.load("mine.safetensors", "cpu")
    evaluation = alexnet.evaluate(written, reporter=None)
    assert evaluation.split == "test"
    assert capsys.readouterr().out == f"test error {evaluation.top1_error:.1%}\n"
    pixels = names["store"].images(names["splits"].test)
    np.testing.assert_array_equal(written.probabilities(pixels), classifier.probabilities(pixels))


def test_tools_that_flatten_weights_take_a_network_in_torchs_own_order(tmp_path: Path) -> None:
    network = create_model("alexnet_owt", width=0.1, input_size=67).eval()
    images = torch.rand(2, *network.architecture.input)
    before = network(images)
    with pytest.raises(ValueError, match="non contiguous"):
        save_file(network.state_dict(), tmp_path / "weights.safetensors")
    network.to(memory_format=torch.contiguous_format)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    assert len(parameters_to_vector(network.parameters())) > 100_000
    torch.testing.assert_close(network(images), before)


def test_an_update_in_fp16_takes_the_setup_that_the_page_names() -> None:
    page = (ROOT / "docs" / "own-loop.md").read_text()
    (code,) = re.findall(r"`(UpdateSetup\(.*?\))`", page)
    recipe = Recipe(precision="fp16", optimizer=OptimizerOptions(optimizer="sgd"))
    network = create_model("alexnet_owt", width=0.05, input_size=63, num_classes=3).train()
    optimizer = build_optimizer(network, recipe.optimizer)
    names = {"network": network, "optimizer": optimizer, "recipe": recipe}
    setup = eval(code, {"UpdateSetup": UpdateSetup, "LossScaler": LossScaler}, names)
    images, before = torch.rand(2, *network.architecture.input), network.fc8.bias.clone()
    loss, _ = update(setup, images, torch.tensor([0, 2]), 0)
    assert loss.isfinite()
    assert not torch.equal(network.fc8.bias, before)
    assert setup.scaler.growth_steps == 1
