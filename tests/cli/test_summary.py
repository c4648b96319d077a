"""`summary`: layers, parameters and MACs, as text and as JSON."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

import alexnet
from alexnet.checkpoints.model_file import save_model
from alexnet.config.serialization import to_json
from alexnet.io.tables import FORMATS
from alexnet.models.zoo import ZOO
from support.commands import Command, CommandResult
from support.narrow_nets import narrow_classifier
from support.slow import every_nth_fast

LAYER_KEYS = (
    "name", "kind", "function", "output", "kernel", "stride", "padding", "extra_padding", "groups",
    "parameters", "macs", "neurons", "receptive_field", "input_stride",
)  # fmt: skip


@pytest.mark.parametrize("name", every_nth_fast(ZOO, 4))
def test_summary_json_is_the_arithmetic(command: Command, name: str) -> None:
    result = command("summary", name, "--json")
    net, facts = alexnet.architecture(name), json.loads(result.out)
    rows = net.layer_infos()
    assert list(facts) == ["schema", "name", "input", "layers", "totals"]
    assert (facts["name"], facts["input"]) == (name, list(net.input))
    assert [tuple(layer) for layer in facts["layers"]] == [LAYER_KEYS] * len(rows)
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
    nets = json.loads(command("summary", "--json").out)["networks"]
    assert [net["name"] for net in nets] == alexnet.list_models()
    assert len(nets) == 14
    header, _, *rows = result.out.splitlines()
    assert header.split() == ["name", "input", "parameters", "MACs"]
    for net, row in zip(nets, rows, strict=False):
        totals = net["totals"]
        cells = [f"{totals[key]:,}" for key in ("parameters", "macs")]
        assert row.split() == [net["name"], "x".join(map(str, net["input"])), *cells]


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


@pytest.mark.parametrize("name", every_nth_fast(ZOO, 4))
def test_a_line_of_text_fits_100_columns(command: Command, name: str) -> None:
    lines = command("summary", name).out.splitlines()[1:]  # the first has the source
    has_long_type = name == "alexnet_2012"  # within_channel_lrn
    assert max(map(len, lines)) <= (104 if has_long_type else 100)


def test_the_windows_of_the_papers_layers(command: Command) -> None:
    layers = json.loads(command("summary", "alexnet_2012", "--json").out)["layers"]
    windows = {
        layer["name"]: [layer[key] for key in LAYER_KEYS[4:9]]
        for layer in layers
        if layer["name"] in ("conv1", "conv2", "pool1", "norm1", "cnorm2", "fc6", "relu1")
    }
    assert windows == {
        "conv1": [11, 4, 0, 3, 1],
        "norm1": [None, None, None, None, 2],
        "pool1": [3, 2, 0, 0, None],
        "relu1": [None] * 5,
        "conv2": [5, 1, 2, 0, 2],
        "cnorm2": [5, 1, 2, 0, None],
        "fc6": [None] * 5,
    }


def test_text_shows_the_windows(command: Command) -> None:
    text = command("summary", "alexnet_2012").out
    assert re.search(r"^layer +type +output +kernel +stride +padding +groups ", text, re.M)
    assert re.search(r"^conv1 +conv +96x55x55 +11x11 +4 +0\+3 +1 ", text, re.M)


@pytest.mark.parametrize("nets", [(), ("lenet5",), ("lenet5", "cifar_quick")])
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_of_every_summary(
    command: Command, nets: tuple[str, ...], format: str
) -> None:
    result = command("summary", *nets, "--format", format)
    assert (result.code, result.err) == (0, "")
    assert "lenet5" in result.out or len(nets) == 1
    assert "61706" in result.out.replace(",", "") or format == "csv"


def test_csv_numbers_are_those_of_json(command: Command) -> None:
    rows = list(csv.DictReader(command("summary", "alexnet", "--format", "csv").out.splitlines()))
    layers = json.loads(command("summary", "alexnet", "--json").out)["layers"]
    assert [int(row["parameters"] or 0) for row in rows] == [one["parameters"] for one in layers]
    assert sum(float(row["share of MACs"] or 0) for row in rows) == pytest.approx(1)


def test_tutorial_as_text_says_what_it_leaves_out(command: Command) -> None:
    text = command("summary", "alexnet_table", "--format", "tutorial").out
    assert "(11*11*3 + 1) * 96 = 34944" in text
    assert text.endswith("with all, the network has 62,378,344 parameters.\n")


def test_two_networks_side_by_side(command: Command) -> None:
    text = command("summary", "alexnet", "alexnet_owt").out
    assert re.search(r"^\*  conv1 +conv +96x55x55 +64x55x55 +34,944 +23,296 +0.67$", text, re.M)
    assert re.search(r"^-  norm1 +response_norm +96x55x55$", text, re.M)
    assert re.search(r"^   relu3 +relu +384x13x13 +384x13x13$", text, re.M)
    assert (
        "conv1: channels 96 -> 64; padding 0 -> 2; initial weights normal -> as torch's\n" in text
    )
    assert re.search(r"^parameters +60,965,224 +61,100,840 +1.00$", text, re.M)


@pytest.mark.parametrize("words", ["", "--format markdown", "--format html", "--format csv"])
def test_the_functions_of_layers_are_shown(command: Command, words: str) -> None:
    text = command("summary", "lenet5", "--activation", "sigmoid", *words.split()).out
    assert re.search(r"tanh1\b.{1,40}\bsigmoid\b", text), text
    assert re.search(r"pool1\b.{1,40}\baverage pool\b", text), text


def test_flags_change_the_second_network(command: Command) -> None:
    facts = json.loads(command("summary", "lenet5", "lenet5", "--num-classes", "20", "--json").out)
    assert facts["names"] == ["lenet5", "lenet5 (2)"]
    changed = [pair for pair in facts["layers"] if pair["differs"]]
    assert [pair["differences"] for pair in changed] == [[{"name": "features", "values": [10, 20]}]]
    assert facts["ratios"]["neurons"] == pytest.approx((6518 + 10) / 6518)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("lenet5 alexnet caffenet", "two networks, not 3"),
        ("--format tutorial", "alexnet summary NET"),
        ("lenet5 --json --format csv", "one of --json and --format csv"),
        ("--groups 1", "name the network that these flags change"),
        ("lenet5 alexnt", "did you mean alexnet"),
        ("lenet5 --draw net.gif", "net.gif must end in one of .svg, .png"),
        ("lenet5 alexnet --draw net.svg", "--draw draws one network"),
        ("lenet5 --json --draw net.svg", "--draw draws one network"),
        ("--draw net.svg", "alexnet summary NET --draw FILE"),
    ],
)
def test_what_summary_refuses(command: Command, words: str, told: str) -> None:
    result = command("summary", *words.split())
    assert (result.code, result.out) == (2, "")
    assert told in result.err


def test_every_json_has_its_schema(command: Command) -> None:
    for words in ((), ("lenet5",), ("lenet5", "alexnet"), ("lenet5", "--format", "tutorial")):
        assert json.loads(command("summary", *words, "--json").out)["schema"] == 1


def test_a_network_of_an_own_file(command: Command, tmp_path: Path) -> None:
    table = tmp_path / "mynets.py"
    table.write_text(
        "from alexnet.models.architecture import Architecture\n"
        "from alexnet.models.layers import Conv\n"
        "net = Architecture('mine', 'here', (3, 8, 8), (Conv('only', 5, 3),))\n"
    )
    words = ("summary", f"{table}:net", "--json")
    assert json.loads(command(*words).out)["totals"]["parameters"] == 5 * (27 + 1)


def test_a_run_by_its_name(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = narrow_classifier("lenet5")
    run = tmp_path / "runs" / "photos-001"
    save_model(run / "model.safetensors", classifier.network.state_dict(), classifier.info)
    monkeypatch.chdir(tmp_path)
    by_name, by_path = (command("summary", word) for word in ("photos-001", "runs/photos-001"))
    assert (by_name.code, by_name.out) == (0, by_path.out)


def test_two_networks_of_one_name_are_told_apart(command: Command, tmp_path: Path) -> None:
    table = tmp_path / "mine.json"
    table.write_text(to_json(ZOO["lenet5"]))
    facts = json.loads(command("summary", str(table), "lenet5", "--json").out)
    assert facts["names"] == [str(table), "lenet5"]
    assert not any(pair["differs"] for pair in facts["layers"])


@pytest.mark.parametrize("suffix", ["svg", "PNG"])
def test_a_drawing_is_written_and_its_path_printed(
    command: Command, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"net.{suffix}"
    result = command("summary", "lenet5", "--draw", str(path))
    assert result == CommandResult(0, f"{path}\n", "")
    start = {"svg": b"<svg ", "PNG": b"\x89PNG"}[suffix]
    assert path.read_bytes().startswith(start)


def test_summary_of_a_network_on_several_processes(command: Command) -> None:
    words = ("summary", "alexnet", "--devices", "2")
    facts = json.loads(command(*words, "--json").out)
    assert [one["scheme"] for one in facts["schemes"]] == ["data", "columns", "hybrid"]
    text = command(*words).out
    for one in facts["schemes"]:
        assert f"{one['sent_bytes']:,}" in text
    assert "neighbors" in command(*words, "--parallel", "columns").out
    assert "scheme,parameters" in command(*words, "--format", "csv").out
    other = command("summary", "alexnet_owt", "--devices", "4", "--batch-size", "256")
    assert "columns: alexnet_owt has no columns" in other.out


def test_summary_predicts_the_time_of_a_step(command: Command) -> None:
    words = ("summary", "alexnet", "--devices", "2", "--images-per-second", "100")
    link = ("--bandwidth", "1Gbit", "--latency", "50us")
    facts = json.loads(command(*words, *link, "--json").out)
    assert (facts["images_per_second"], facts["bandwidth"], facts["latency"]) == (100, 125e6, 5e-5)
    assert {one["scheme"] for one in facts["times"]} == {"data", "columns", "hybrid"}
    text = command(*words, *link).out
    for one in facts["times"]:
        assert f"{1e3 * one['step_seconds']:,.1f}" in text
    assert "links of 125 MB/s, 50 us" in text
    only = command(*words, *link, "--parallel", "columns").out
    assert "columns" in only
    assert "hybrid" not in only


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("alexnet", "--parallel", "hybrid"), "--parallel hybrid needs --devices"),
        (("alexnet", "--bandwidth", "1Gbit"), "--bandwidth needs --devices"),
        (("alexnet", "--devices", "2", "--bandwidth", "1Gbit"), "--images-per-second S and"),
        (("alexnet", "--devices", "2", "--images-per-second", "9"), "--images-per-second S and"),
        (("alexnet", "--devices", "2", "--images-per-second", "0"), "0 must be above 0"),
        (("alexnet", "--devices", "1"), "--devices 1 must be at least 2"),
        (("alexnet", "--devices", "2", "--batch-size", "0"), "--batch-size 0 must be at least 1"),
        (("alexnet", "lenet5", "--devices", "2"), "--devices is about one network"),
        (("alexnet", "--devices", "3", "--parallel", "columns"), "alexnet has 2 columns"),
    ],
)
def test_summary_refuses_processes_that_do_not_fit(
    command: Command, words: tuple[str, ...], message: str
) -> None:
    result = command("summary", *words)
    assert result.code == 2
    assert message in result.err
