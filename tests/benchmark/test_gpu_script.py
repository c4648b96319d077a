"""`benchmarks/gpu.py` on the CPU, in its small form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("gpu")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_sections_measure_and_are_written(tmp_path: Path) -> None:
    """Those that are the script's own; the others are trainings, the tests and the peers."""
    sections = ("training", "gains", "agreement")
    out = tmp_path / "gpu.json"
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--device", "cpu", "--tiny"]
    command += ["--only", ",".join(sections), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    found = json.loads(out.read_text())
    (training,) = found["training"]
    assert training["images per second"]["median"] > 0
    assert {one["n"] for one in found["gains"].values()} == {2}
    differences = found["agreement"]["largest relative difference of a loss"]
    assert max(differences.values()) < 1e-6
    assert all(found[f"{name} seconds"] > 0 for name in sections)


@pytest.mark.slow
def test_a_section_that_hangs_is_ended_and_keeps_what_it_had(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "hanging.py"
    hanging.write_text(
        "import pathlib, sys, time\n"
        "out = sys.argv[sys.argv.index('--out') + 1]\n"
        "pathlib.Path(out).write_text('[1, 2]')\n"
        "time.sleep(600 if 'training' in sys.argv else 0)\n"
        "sys.exit(3)\n"
    )
    monkeypatch.setattr(script, "__file__", str(hanging))
    for name in ("training", "gains"):
        monkeypatch.setitem(script.SECTIONS, name, (script.SECTIONS[name][0], 2))
    flags, found = script.Flags(device="cpu", tiny=False), list[Any]()
    script.run_section("training", flags, found.append)
    script.run_section("gains", flags, found.append)
    assert found == [
        {"failed": "not finished after 2 s", "until then": [1, 2]},
        {"failed": "exit code 3", "until then": [1, 2]},
    ]


def test_an_unknown_section_is_an_error(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--only", "speed"])
    with pytest.raises(SystemExit):
        script.main()
    assert "no section speed; there are tests, training" in capsys.readouterr().err
