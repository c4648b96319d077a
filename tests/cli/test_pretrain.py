"""`pretrain` end to end: stdout, stderr, files, and the training that is initialized with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from alexnet.cli.pretrain import _split_advice
from alexnet.pretraining.recipe import RbmRecipe, read_pretrain_recipe
from alexnet.pretraining.run_files import PretrainingResult
from support.commands import Command
from support.slow import first_fast

TINY_FLAGS = (
    "--arch", "alexnet_bn", "--width", "0.05", "--input-size", "67", "--resize-size", "72",
    "--crop-size", "None", "--epochs", "1", "--batch-size", "12",
)  # fmt: skip


@pytest.mark.parametrize("kind", first_fast(["autoencoder", "rbm"]))
def test_layers_go_from_pretrain_to_train(
    command: Command, flowers: Path, tmp_path: Path, no_plots: None, kind: str
) -> None:
    run = tmp_path / "layers"
    flags = ("--data", flowers, *TINY_FLAGS)
    told = command("pretrain", kind, *flags, "--up-to", "conv2", "--out", run)
    assert told.code == 0, told.err
    assert "pretrained 2 layers on 36 images" in told.out
    assert f"--from {run / 'model.safetensors'}" in told.out
    assert "layer  train error  val error  activation rate" in told.out
    assert "conv2  epoch   1  train error" in told.err
    assert read_pretrain_recipe(run).name == "flowers"
    begun = command(
        "train", *flags, "--from", run / "model.safetensors", "--optimizer", "sgd",
        "--lr", 1e-30, "--out", tmp_path / "classifier",
    )  # fmt: skip
    assert begun.code == 0, begun.err
    assert ": bn1, conv1, bn2, conv2; randomly" in begun.err
    first, last = (
        load_file(run / "model.safetensors"),
        load_file(tmp_path / "classifier" / "model.safetensors"),
    )
    learnt = [name for name in first if name.endswith("weight")]
    assert "conv2.weight" in learnt
    assert all(torch.equal(first[name], last[name]) for name in learnt)


def test_json_is_the_result(
    command: Command, flowers: Path, tmp_path: Path, no_plots: None
) -> None:
    told = command(
        "pretrain", "autoencoder", "--data", flowers, *TINY_FLAGS, "--up-to", "conv1", "--json",
        "--out", tmp_path / "run",
    )  # fmt: skip
    result = json.loads(told.out)
    saved = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {key: result[key] for key in saved} == saved
    assert result["model"] == str(tmp_path / "run" / "model.safetensors")
    assert result["kind"] == "autoencoder"
    other = command("pretrain", "rbm", "--resume", tmp_path / "run")
    assert (other.code, other.out) == (2, "")
    assert "is of kind autoencoder: use alexnet pretrain autoencoder" in other.err
    again = command("pretrain", "autoencoder", "--resume", tmp_path / "run")
    assert again.code == 2
    assert "is finished" in again.err
    predicted = command("predict", tmp_path / "run", flowers / "test" / "rose")
    assert predicted.code == 2
    assert "not a classifier" in predicted.err


@pytest.mark.slow
def test_a_config_and_a_flag_that_overrides_it(
    command: Command, flowers: Path, tmp_path: Path, no_plots: None
) -> None:
    run = ("pretrain", "rbm", "--data", flowers, *TINY_FLAGS, "--up-to", "conv1")
    assert command(*run, "--out", tmp_path / "a").code == 0
    config = tmp_path / "a" / "config.json"
    told = command("pretrain", "rbm", "--config", config, "--cd-steps", 2, "--out", tmp_path / "b")
    assert told.code == 0, told.err
    first, second = (read_pretrain_recipe(tmp_path / name) for name in "ab")
    assert isinstance(first, RbmRecipe)
    assert second == replace(first, cd_steps=2)
    both = command("pretrain", "rbm", "flowers17", "--config", config)
    assert "not both" in both.err


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, ["--split-seed 3, unless"]),
        ({"split": "hash"}, ["--split-seed 3 --split hash, unless"]),
        ({"num_test_images": 0}, []),
    ],
)
def test_the_flags_of_the_same_split_are_told(changes: dict[str, Any], flags: list[str]) -> None:
    result = PretrainingResult(
        kind="rbm", layers=(), num_train_images=8, num_val_images=0, num_test_images=2,
        split_seed=3, rejected=(), training_seconds=1.0,
    )  # fmt: skip
    advice = _split_advice(replace(result, **changes))
    assert [flag in line for flag, line in zip(flags, advice, strict=True)] == [True] * len(flags)


def test_help_names_the_kinds_and_their_own_flags(command: Command) -> None:
    assert "autoencoder" in command("pretrain", "--help").out
    autoencoder, rbm = (
        command("pretrain", kind, "--help-all").out for kind in ("autoencoder", "rbm")
    )
    assert "--masking-fraction" in autoencoder
    assert "--cd-steps" not in autoencoder
    assert "--hidden-pooling" in rbm
    assert "masking" not in rbm
