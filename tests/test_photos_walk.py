"""The walk of docs/photos.md, done: every command of its blocks, in order, on drawn images."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from alexnet.data.datasets.toyflowers.dataset import paint
from alexnet.interop.torchvision import FEATURES_FILE
from alexnet.models.network import create_model
from support.commands import Command
from support.places import ROOT

TORCHVISION_NAMES = dict(zip((f"conv{n}" for n in range(1, 6)), (0, 3, 6, 8, 10), strict=True))
SECOND_RUN = "alexnet train photos/ --no-flip"
"""Of the page's table, before two runs are compared."""


def walk() -> list[list[str]]:
    """The words of each command, without "alexnet"."""
    page = (ROOT / "docs" / "photos.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M)
    lines = [line for block in blocks for line in block.splitlines()]
    assert SECOND_RUN in page
    comparison = next(n for n, line in enumerate(lines) if line.startswith("alexnet compare"))
    lines.insert(comparison, SECOND_RUN)
    words = [shlex.split(line, comments=True) for line in lines]
    return [rest for program, *rest in words if program == "alexnet"]


def write_weights(folder: Path) -> None:
    """Random weights under the names of torchvision's convolutions, which are not downloaded."""
    state = create_model("alexnet_owt").state_dict()
    path = folder / FEATURES_FILE
    path.parent.mkdir(parents=True)
    torch.save(
        {
            f"features.{place}.{kind}": state[f"{name}.{kind}"]
            for name, place in TORCHVISION_NAMES.items()
            for kind in ("weight", "bias")
        },
        path,
    )


def write_photos() -> None:
    for label, name in enumerate(("daisy", "tulip")):
        folder = Path("photos", name)
        folder.mkdir(parents=True)
        for n in range(6):
            paint(label, 100 * label + n, 64).save(folder / f"{n}.jpg")
    Path("holiday").mkdir()
    paint(0, 900, 64).save("holiday/0.jpg")
    paint(1, 901, 64).save("new.jpg")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_every_command_of_the_walk_works(
    command: Command, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path / "weights"))
    monkeypatch.setenv("BROWSER", "true")
    write_weights(tmp_path / "weights")
    write_photos()
    done = walk()
    assert len(done) > 12
    for words in done:
        more = ["--epochs", "1"] if words[:2] == ["train", "photos/"] else []
        result = command(*words, *more)
        if "--resume" in words:  # on the page, of a training that was interrupted
            assert "has finished already" in result.err
        else:
            assert result.code == 0, (words, result.err)
    made = ("report.html", "explain/new.png", "model.onnx", "predict_model.py", "evaluation")
    assert all(Path("runs/photos-001", name).exists() for name in made)
    assert Path("photos-mistakes.html").exists()
