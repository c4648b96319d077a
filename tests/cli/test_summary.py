"""`summary`: layers, parameters and MACs, as text and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import alexnet
from alexnet.models.zoo import ZOO
from support.commands import Alexnet, Command


@pytest.mark.parametrize("name", ZOO)
def test_summary_json_is_the_arithmetic(command: Command, name: str) -> None:
    result = command("summary", name, "--json")
    net, facts = alexnet.architecture(name), json.loads(result.out)
    rows = net.layer_infos()
    assert list(facts) == ["name", "input", "layers", "totals"]
    assert (facts["name"], facts["input"]) == (name, list(net.input))
    assert [tuple(layer) for layer in facts["layers"]] == [
        ("name", "kind", "output", "parameters", "macs", "neurons")
    ] * len(rows)
    assert [layer["name"] for layer in facts["layers"]] == [row.layer.name for row in rows]
    for key in ("parameters", "macs", "neurons"):
        assert facts["totals"][key] == sum(layer[key] for layer in facts["layers"])
        assert facts["totals"][key] == sum(getattr(row, key) for row in rows)
    text = command("summary", name).out
    assert f"{facts['totals']['parameters']:,}" in text
    assert f"{facts['totals']['parameters_without_fc_bias']:,}" in text


def test_summary_prints_the_papers_numbers(command: Command) -> None:
    totals = json.loads(command("summary", "alexnet", "--json").out)["totals"]
    assert totals == {
        "parameters": 60_965_224,
        "parameters_without_fc_bias": 60_965_224 - 4096 - 4096 - 1000,
        "macs": 724_406_816,
        "neurons": 659_272,
    }


def test_summary_lists_the_zoo(command: Command) -> None:
    result = command("summary")
    nets = json.loads(command("summary", "--json").out)
    assert len(nets) == 10
    for net in nets:
        assert net["name"] in result.out
        assert f"{net['totals']['parameters']:,}" in result.out


def test_summary_of_a_variant(command: Command) -> None:
    words = (
        "--num-classes",
        "17",
        "--groups",
        "1",
        "--norm",
        "none",
        "--input-size",
        "128",
        "--json",
    )
    facts = json.loads(command("summary", "alexnet", *words).out)
    arch = alexnet.variant(
        alexnet.architecture("alexnet"),
        alexnet.ModelOptions(groups=1, norm="none", input_size=128),
        num_classes=17,
    )
    assert facts["input"] == [3, 128, 128]
    assert facts["totals"]["parameters"] == sum(info.parameters for info in arch.layer_infos())


@pytest.mark.parametrize(("word", "dropouts"), [("None", 2), ("0.5", 2), ("0", 0)])
def test_none_on_the_command_line_is_as_published(
    command: Command, word: str, dropouts: int
) -> None:
    facts = json.loads(command("summary", "alexnet", "--dropout", word, "--json").out)
    assert [layer["kind"] for layer in facts["layers"]].count("dropout") == dropouts


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_behind_stdout_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "alexnet", "summary", "alexnet"],
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr == "alexnet: standard output: No space left on device\n"


def test_a_closed_stdout_is_no_error(alexnet_process: Alexnet) -> None:
    process = alexnet_process("summary", "alexnet")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 0
