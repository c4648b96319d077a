"""`benchmarks/gpu.py` on the CPU, in its small form."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
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


@pytest.fixture
def hanging(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once the section "training" has begun, which hangs."""
    begun, program = tmp_path / "begun", tmp_path / "hanging.py"
    program.write_text(
        "import pathlib, sys, time\n"
        "out = sys.argv[sys.argv.index('--out') + 1]\n"
        "pathlib.Path(out).write_text('[1, 2]')\n"
        f"pathlib.Path({str(begun)!r}).touch()\n"
        "time.sleep(600 if 'training' in sys.argv else 0)\n"
        "sys.exit(3)\n"
    )
    monkeypatch.setattr(script, "__file__", str(program))
    return begun


@pytest.mark.slow
@pytest.mark.usefixtures("hanging")
def test_a_section_that_hangs_is_ended_and_keeps_what_it_had(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("training", "gains"):
        monkeypatch.setitem(script.SECTIONS, name, (script.SECTIONS[name][0], 2))
    flags, found = script.Flags(device="cpu", tiny=False), list[Any]()
    script.run_section("training", flags, found.append)
    script.run_section("gains", flags, found.append)
    assert found == [
        {"failed": "not finished after 2 s", "until then": [1, 2]},
        {"failed": "exit code 3", "until then": [1, 2]},
    ]


def test_an_interruption_keeps_what_a_section_had(script: ModuleType, hanging: Path) -> None:
    def interrupt() -> None:
        while not hanging.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    def end(*arguments: object) -> None:
        sys.exit("ended")

    found, before = list[Any](), signal.signal(signal.SIGUSR1, end)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(SystemExit):
        script.run_section("training", script.Flags(device="cpu", tiny=False), found.append)
    thread.join()
    signal.signal(signal.SIGUSR1, before)
    assert found == [{"failed": "interrupted", "until then": [1, 2]}]


def test_sections_without_time_are_left_out(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ["--device", "cpu", "--only", "gains", "--seconds", "0", "--out"]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *words, str(tmp_path / "out.json")])
    before = signal.getsignal(signal.SIGTERM)
    script.main()
    signal.signal(signal.SIGTERM, before)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["gains"] == {"left out": "no time is left; see --seconds"}


def test_an_unknown_section_is_an_error(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--only", "speed"])
    with pytest.raises(SystemExit):
        script.main()
    assert "no section speed; there are tests, training" in capsys.readouterr().err
