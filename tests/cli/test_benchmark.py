"""`alexnet benchmark`: figures that hang together, on nets and pictures small enough for a test."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from alexnet.benchmark.agreement import agreement
from alexnet.benchmark.throughput import training_flops
from alexnet.benchmark.timing import spread, time_interleaved
from alexnet.inference.classifier import Classifier, load
from alexnet.models.zoo import architecture
from alexnet.training.run_folder import RunFolder
from support.commands import Command


@pytest.fixture(autouse=True)
def small_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's ceiling matters to nobody here."""
    monkeypatch.setattr("alexnet.benchmark.throughput.MATRIX_SIDE", {"cpu": 64})


def test_turns_of_one_call_or_of_as_many_as_fill_them() -> None:
    calls = {"slow": 0, "quick": 0}

    def work(name: str, seconds: float) -> None:
        calls[name] += 1
        time.sleep(seconds)

    works = {"slow": lambda: work("slow", 0.03), "quick": lambda: work("quick", 0.001)}
    device = torch.device("cpu")
    assert len(time_interleaved(works, 2, device, warm_ups=1)["slow"]) == 2
    assert calls == {"slow": 3, "quick": 3}
    times = time_interleaved(works, 1, device, warm_ups=0, turn_seconds=0.02)
    assert calls["slow"] == 4
    assert calls["quick"] > 4
    assert times["quick"][0] < 0.01 < times["slow"][0]


@pytest.mark.parametrize("work", ["train", "infer"])
def test_a_network(command: Command, work: str) -> None:
    told = command(
        "benchmark", work, "lenet5", "--batch", 4, "--repeats", 2, "--device", "cpu", "--json"
    )
    found = json.loads(told.out)
    assert told.code == 0
    assert (found["work"], found["arch"], found["batch"]) == (work, "lenet5", 4)
    rate, layers = found["images_per_second"], found["layers"]
    assert 0 < rate["low"] <= rate["median"] <= rate["high"]
    assert rate["n"] == 2
    names = [layer.name for layer in architecture("lenet5").layers]
    assert [layer["name"] for layer in layers] == names
    table = architecture("lenet5")
    flops = training_flops(table) if work == "train" else 2 * sum(r.macs for r in table.rows())
    share = rate["median"] * flops / 1e9 / found["matrix_gflops"]["median"]
    assert found["matmul_utilization"] == pytest.approx(share)
    backward = [layer["backward_seconds"] for layer in layers]
    assert any(backward) == (work == "train")
    assert found["peak_bytes"] > 2**20
    if work == "infer":
        assert found["optimized_per_second"]["n"] == 2


def test_the_table_for_people(command: Command) -> None:
    told = command("benchmark", "train", "lenet5", "--batch", 2, "--repeats", 1, "--device", "cpu")
    assert told.code == 0
    assert "conv1" in told.out
    assert "share of it" in told.out
    assert "n = 1" in told.out


def test_operations_of_the_papers_training_step() -> None:
    """3 x 724,406,816 MAC minus conv1's 105,415,200, two operations each: FACTS, section 1."""
    assert training_flops(architecture("alexnet")) == 2 * (3 * 724_406_816 - 105_415_200)


def test_pictures(command: Command, flowers: Path) -> None:
    told = command("benchmark", "data", "quickstart", "--data", flowers, "--repeats", 2, "--json")
    found = json.loads(told.out)
    assert told.code == 0
    assert found["pictures"] == 60
    for name in ("prepare_per_second", "read_per_second", "augment_per_second"):
        assert found[name]["n"] == 2
        assert found[name]["low"] > 0
    assert found["store_bytes"] == 60 * 160 * 160 * 3


def test_agreement_of_a_prepared_classifier(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    found = json.loads(command("benchmark", "agree", trained.path, "--json").out)
    assert found["pictures"] == 60
    assert 0.9 <= found["top1_agreement"] <= 1
    assert 0 <= found["largest_difference"] < 0.1


def test_agreement_counts_what_differs(trained: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = load(trained.path)
    side = classifier.info.preprocessing.resize_size
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, side, side, 3), np.uint8)
    store = SimpleNamespace(pictures=lambda rows: images[rows])
    other = replace(classifier, network=copy.deepcopy(classifier.network))
    with torch.no_grad():
        other.network.get_parameter("fc8.bias")[5] += 100
    monkeypatch.setattr(Classifier, "optimized", lambda self: other)
    found = agreement(classifier, store, np.arange(4))  # type: ignore[arg-type]
    expected = np.mean(classifier.probabilities(images).argmax(1) == 5)
    assert found.top1_agreement == expected
    assert found.largest_difference > 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "no_such_net"), "no_such_net"),
        (("train", "lenet5", "--batch", 0), "--batch"),
        (("fly",), "fly"),
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


def test_spread_by_hand() -> None:
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert (found.median, found.low, found.high, found.n) == (2.5, 1.0, 10.0, 4)
