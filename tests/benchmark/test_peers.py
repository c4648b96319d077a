"""`benchmarks/peers.py`: what it asks for before it measures, and every program that is here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
OPTIONAL = {"onnxruntime", "openvino", "keras"}
"""Programs, named after their package, that may be missing."""
PROGRAMS = {
    "train": ("ours_without_norm", "matmul"),
    "gains": ("ours_torch_norm", "ours_malloc_trim"),
    "infer": (),
    "notebook": (),
    "prepare": (),
    "folder": (),
}
"""By suite; () for all. Those that torch compiles have a test of their own, and the small form of
gpu.py runs the others of "train"."""


@pytest.mark.parametrize("suite", ["prepare", "folder"])
@pytest.mark.parametrize("images", [[], ["--images", "."]])
def test_a_folder_without_photos_is_an_error(
    suite: str,
    images: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without `--images` it would measure whatever lies below the current folder."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.chdir(BENCHMARKS.parent if not images else tmp_path)
    monkeypatch.setattr(sys, "argv", ["peers.py", suite, *images])
    with pytest.raises(SystemExit):
        import_module("peers").main()
    assert f"{suite} needs --images and a folder with .jpg files" in capsys.readouterr().err


def measure(suite: str, *words: str) -> dict[str, Any]:
    """What peers.py prints of a suite on two images."""
    command = [sys.executable, str(BENCHMARKS / "peers.py"), suite, "--json"]
    command += ["--batch-size", "2", "--repeats", "2", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    printed = subprocess.check_output(command, env=environment, text=True)
    result: dict[str, Any] = json.loads(printed)
    assert (result["suite"], result["batch_size"], result["n"]) == (suite, 2, 2)
    return result


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("suite", PROGRAMS)
def test_programs_are_timed(suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are installed; the others are listed."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        (tmp_path / f"class{i}").mkdir()
        Image.fromarray(pixels).save(tmp_path / f"class{i}" / "0.jpg")
    images = ["--images", str(tmp_path)] if suite in ("prepare", "folder") else []
    programs = PROGRAMS[suite] or import_module("peers").SUITES[suite]
    result = measure(suite, *images, "--only", *programs)
    times, missing = result["milliseconds"], result["missing"]
    assert [*times, *missing] == sorted(programs, key=missing.__contains__)
    assert all(0 < row["low"] <= row["median"] <= row["high"] for row in times.values())
    assert {name.partition("_")[0] for name in missing} <= OPTIONAL
    assert all(why.startswith("No module named") for why in missing.values())
    logits = [*result["logits"].values()]
    assert len(logits) == (len(times) - 1 if suite == "infer" else 0)
    for others in logits[1:]:
        np.testing.assert_allclose(others, logits[0], atol=0.02)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("suite", "program"), [("train", "tuned_pytorch_without_norm"), ("gains", "ours_compiled")]
)
def test_compiled_programs_are_timed(suite: str, program: str) -> None:
    assert measure(suite, "--only", program)["milliseconds"][program]["low"] > 0
