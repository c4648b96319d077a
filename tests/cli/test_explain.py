"""`explain` end to end: sheets, patches, JSON, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.cli.explain import ExplainFlags, _sheet_paths, flags_class
from alexnet.cli.explain_filters import FiltersFlags, dead_text, with_layer
from alexnet.data.images.open import open_image
from alexnet.explain.patches import LayerPatches
from alexnet.inference.inputs import Input
from alexnet.training.run_folder import RunFolder
from support.commands import Command


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def test_sheets_of_images(
    command: Command, small_whole: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    rose, bad = flowers / "test" / "rose" / "0000.jpg", tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    words = (small_whole.path, rose, bad, "--method", "grad_cam", "--no-nearest", "--out", tmp_path)
    result = command("explain", *words, "--json")
    assert result.code == 1
    good, unread = json.loads(result.out)["images"]
    assert good["sheet"] == str(tmp_path / "0000.png")
    assert is_png(Path(good["sheet"]))
    assert [one["method"] for one in good["explanation"]["maps"]] == ["grad_cam"]
    assert (unread["sheet"], unread["explanation"]) == (None, None)
    assert f"alexnet: cannot read {bad}: " in result.err


def test_a_sheet_that_cannot_be_written_is_no_fault_of_the_image(
    command: Command, small_whole: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    rose = flowers / "test" / "rose" / "0000.jpg"
    words = (small_whole.path, rose, "--method", "grad_cam", "--no-nearest")
    result = command("explain", *words, "--out", tmp_path / "file")
    assert (result.code, "cannot read" in result.err) == (2, False)
    assert f"alexnet: {tmp_path / 'file'}: " in result.err


def test_every_sheet_has_a_file_of_its_own() -> None:
    flags = ExplainFlags(model="m", out="sheets")
    names = ("x/rose.jpg", "x/rose-2.jpg", "y/rose.jpg", "z/ROSE.png", "http://a/rose.jpg?w=2", "-")
    paths = _sheet_paths(flags, [Input(open=open_image, name=name) for name in names])
    stems = ["rose", "rose-2", "rose-3", "ROSE-4", "rose-5", "-"]
    assert [path.as_posix() for path in paths] == [f"sheets/{stem}.png" for stem in stems]


def test_what_is_refused(command: Command, small_whole: RunFolder, flowers: Path) -> None:
    run, rose = small_whole.path, flowers / "test" / "rose" / "0000.jpg"
    for words, message in (
        ((run,), "name at least one image: alexnet explain MODEL IMAGE ..."),
        ((run, "nothing.jpg"), "there is no image at nothing.jpg"),
        (
            (flowers, rose),
            "model.safetensors); the model comes first: alexnet explain MODEL IMAGE ..",
        ),
        ((rose, run), "the model comes first: alexnet explain MODEL IMAGE ..."),
        ((run, rose, "--class", "rosa"), "the model has no class 'rosa'; did you mean rose"),
        ((run, rose, "--layer", "conv7"), "did you mean conv"),
        ((run, flowers / "test", "--out", "a.png"), "--out a.png is one file for 12 images"),
        ((run, "--filters", "tanh1"), "unknown layer with weights of lenet5"),
        ((run, "--filters", "conv2", "--channels", 99), "conv2 has the channels 0 to 7, not 99"),
    ):
        result = command("explain", *words)
        assert (result.code, result.out) == (2, ""), words
        assert message in result.err


def test_filters_without_a_layer_are_those_of_the_first(
    command: Command, small_whole: RunFolder, tmp_path: Path
) -> None:
    assert with_layer(["run", "--filters"]) == ["run", "--filters", "first"]
    assert with_layer(["run", "--filters", "--json"]) == ["run", "--filters", "first", "--json"]
    assert with_layer(["run", "--filters", "conv2"]) == ["run", "--filters", "conv2"]
    assert flags_class(["run", "--filters=conv2"]) is FiltersFlags
    out = tmp_path / "a.png"
    result = command("explain", small_whole.path, "--filters", "--out", out)
    assert (result.code, result.out) == (0, f"{out}\n")
    assert is_png(out)


def test_dead_channels_of_each_layer_with_a_relu() -> None:
    found = LayerPatches(
        layer="conv1",
        values=np.zeros((4, 1), np.float32),
        images=np.zeros((4, 1), np.int64),
        positions=np.zeros((4, 1, 2), np.int64),
        num_channels={"conv1": 4, "fc2": 8},
        num_dead={"conv1": 1, "fc2": 0},
        num_images=60,
    )
    text = dead_text(found)
    assert "above zero in none of 60 images" in text
    assert re.search(r"conv1 +4 +1 +25\.00 %", text)
    without = replace(found, num_channels={}, num_dead={})
    assert dead_text(without) == "no layer has a ReLU, so that none has dead channels"


@pytest.mark.slow
def test_patches_of_a_layer(
    command: Command, trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    out = tmp_path / "patches.png"
    words = ("--filters", "conv3", "--channels", 0, 2, "--synthesize", "--out", out)
    text = command("explain", trained.path, *words)
    assert "channels that are above zero in none of 60 images" in text.out
    facts = json.loads(command("explain", trained.path, *words, "--json").out)
    assert [one["channel"] for one in facts["channels"]] == [0, 2]
    assert all(len(one["patches"]) == 9 for one in facts["channels"])
    for one in facts["channels"]:
        values = [patch["activation"] for patch in one["patches"]]
        assert values == sorted(values, reverse=True)
        assert len({patch["image"] for patch in one["patches"]}) == 9
    assert {one["layer"] for one in facts["dead"]} >= {"conv1", "conv5", "fc6"}
    assert is_png(out)


@pytest.mark.slow
def test_nearest_training_images(
    command: Command, trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    rose = flowers / "train" / "rose" / "0000.jpg"
    result = command("explain", trained.path, rose, "--out", tmp_path / "a.svg", "--json")
    (found,) = json.loads(result.out)["images"]
    distances = [one["distance"] for one in found["explanation"]["neighbors"]]
    assert len(distances) == 5
    assert distances == sorted(distances)
    assert distances[0] > 0, "not the image itself"
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
