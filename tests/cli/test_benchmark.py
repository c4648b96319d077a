"""`alexnet benchmark` as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet.benchmark.throughput import MATMUL_SIZE
from alexnet.training.run_folder import RunFolder
from support.commands import Command


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MATMUL_SIZE, "cpu", 64)


LENET = ("lenet5", "--batch-size", 2, "--repeats", 1, "--device", "cpu")


@pytest.mark.slow
def test_inference_as_json(command: Command) -> None:
    told = command("benchmark", "infer", *LENET, "--json")
    assert told.code == 0
    found = json.loads(told.out)
    assert (found["mode"], found["arch"], found["batch_size"]) == ("infer", "lenet5", 2)
    assert found["optimized_images_per_second"]["n"] == 1
    assert found["layers"][0]["backward_seconds"] is None


def test_training_as_a_table(command: Command) -> None:
    told = command("benchmark", "train", *LENET)
    assert told.code == 0
    for text in ("conv1", "backward ms", "of matmul peak", "n = 1", "memory  "):
        assert text in told.out


def test_data(command: Command, flowers: Path) -> None:
    words = ("benchmark", "data", "quickstart", "--data", flowers, "--repeats", 1)
    assert json.loads(command(*words, "--json").out)["num_images"] == 60
    told = command(*words)
    assert told.code == 0
    assert "60 images" in told.out
    assert "augment" in told.out


def test_the_store_format_of_data(command: Command, flowers: Path) -> None:
    words = ("benchmark", "data", "quickstart", "--data", flowers, "--repeats", 1, "--json")
    sizes = [
        json.loads(command(*words, "--store-format", kind).out)["store_bytes"]
        for kind in ("pixels", "jpeg")
    ]
    assert sizes[1] < sizes[0] / 2


@pytest.mark.slow
def test_agreement_of_an_optimized_model(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    found = json.loads(command("benchmark", "agreement", trained.path, "--json").out)
    assert found["num_images"] == 60
    assert 0.9 <= found["top1_agreement"] <= 1
    assert 0 <= found["max_probability_difference"] < 0.1
    told = command("benchmark", "agreement", trained.path, "--batch-size", 60)
    assert "same top-1 class for" in told.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "no_such_net"), "no_such_net"),
        (("train", "lenet5", "--batch-size", 0), "--batch-size"),
        (("train", "lenet5", "--parallel", "hybrid"), "processes: add --devices 2"),
        (("fly",), "fly"),
        (("agree",), "did you mean agreement"),
        (("data", "no_such_preset"), "no_such_preset"),
    ],
)
def test_mistakes_are_one_sentence(
    command: Command, words: tuple[object, ...], message: str
) -> None:
    told = command("benchmark", *words)
    assert told.code == 2
    assert message in told.err
    assert len(told.err.strip().splitlines()) == 1
