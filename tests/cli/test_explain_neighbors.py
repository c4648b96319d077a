"""`alexnet explain --neighbors` and `--map`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from alexnet.training.run_folder import RunFolder
from support.commands import Command


def test_a_sheet_of_neighbors(
    command: Command, own: RunFolder, flowers: Path, no_plots: None
) -> None:
    image = flowers / "train" / "rose" / "0000.jpg"
    result = command("explain", own.path, "--neighbors", image, "--top", "3", "--json")
    facts = json.loads(result.out)
    assert (facts["split"], facts["distance"], facts["num_images"]) == ("train", "euclidean", 36)
    assert facts["layer"] == "relu7"
    (query,) = facts["queries"]
    assert [one["is_same"] for one in query["neighbors"]] == [True, False, False]
    result = command(
        "explain", own.path, "--neighbors", image, "--exclude-same", "--cosine", "--split", "all"
    )
    assert result.code == 0
    assert "same image" not in result.out
    assert "flowers, all, 60 images" in result.out
    assert str(own.path / "explain" / "neighbors.png") in result.out


def test_neighbors_of_images_that_cannot_be_read(
    command: Command, own: RunFolder, flowers: Path, tmp_path: Path, no_plots: None
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"nothing")
    (folder / "b.png").write_bytes(b"")
    (folder / "c.xyz").write_bytes(b"nothing")
    out = own.path / "explain" / "neighbors.png"
    result = command("explain", own.path, "--neighbors", folder, "--json")
    facts = json.loads(result.out)
    assert (result.code, facts["plot"], out.exists()) == (1, None, False)
    assert all(one["error"] and one["prediction"] is None for one in facts["queries"])
    for text in ("cannot read", "a.jpg", "b.png", "2 of 2 images could", "files skipped: .xyz 1"):
        assert text in result.err
    image = flowers / "train" / "rose" / "0000.jpg"
    result = command("explain", own.path, "--neighbors", folder / "a.jpg", image, "--top", "2")
    assert (result.code, out.exists()) == (1, True)
    assert result.out.count("rose/0000.jpg") == 2, "the query, and itself"
    assert result.err.count("cannot read") == 1
    assert "images could not be read" not in result.err, "it is named"


def test_an_image_in_place_of_the_model(command: Command, flowers: Path) -> None:
    rose = flowers / "test" / "rose" / "0000.jpg"
    told = command("explain", rose, "--neighbors", rose)
    assert "the model comes first: alexnet explain MODEL --neighbors IMAGE ..." in told.err


def test_a_map(command: Command, own: RunFolder, tmp_path: Path, no_plots: None) -> None:
    result = command("explain", own.path, "--map", "--out", tmp_path / "m.png", "--json")
    facts = json.loads(result.out)
    assert (facts["method"], facts["split"], facts["num_images"]) == ("pca", "test", 12)
    assert len(list(csv.DictReader((tmp_path / "m.csv").read_text().splitlines()))) == 12
    result = command("explain", own.path, "--map", "--split", "val", "--out", tmp_path / "n.png")
    assert "flowers, val: 12 images" in result.out
    assert "alexnet report" not in result.err, "the page shows maps in the folder explain"
    assert f"alexnet report {own.path}" in command("explain", own.path, "--map").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--map", "--neighbors", "a.jpg"), "choose one of"),
        (("--neighbors", "a.jpg"), "a.jpg"),
        (("--map", "--out", "x.txt"), "must end in one of"),
        (("--neighbors", "a.jpg", "--top", "0"), "--top 0"),
    ],
)
def test_what_is_refused(
    command: Command, trained: RunFolder, words: tuple[str, ...], message: str
) -> None:
    result = command("explain", trained.path, *words)
    assert result.code == 2
    assert message in result.err
