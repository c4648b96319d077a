"""`benchmarks/gpu.py` on the CPU, in its small form."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import alexnet
from alexnet.config.published_inputs import with_architecture
from alexnet.config.recipe import Recipe
from alexnet.data.datasets.toyflowers import dataset as toyflowers
from support.places import ROOT

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("gpu")


@pytest.fixture
def checks(script: ModuleType) -> ModuleType:
    return import_module("gpu_checks")


@pytest.fixture
def speed(script: ModuleType) -> ModuleType:
    return import_module("gpu_speed")


@pytest.fixture
def run_main(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Runs the script in this process; returns its exit code."""

    def run(*words: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", *words])
        with pytest.raises(SystemExit) as ended:
            script.main()
        return ended.value.code

    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)


def run_tiny(tmp_path: Path, *sections: str) -> tuple[dict[str, Any], str]:
    """What the script writes of some sections, in processes as its users run it, and prints."""
    out = tmp_path / "gpu.json"
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--device", "cpu", "--tiny"]
    command += ["--only", ",".join(sections), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    results = json.loads(out.read_text())
    assert results["environment"]["device"] == "cpu"
    assert [*results["sections"]] == [*sections]
    assert all(one["seconds"] > 0 for one in results["sections"].values())
    return results["sections"], done.stdout


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_speed_is_measured_and_written(tmp_path: Path) -> None:
    sections, printed = run_tiny(tmp_path, "tests", "training", "gains")
    assert [one["verdict"] for one in sections.values()] == ["left out", "measured", "measured"]
    (training,) = sections["training"]["found"]["rows"]
    for name in ("update", "whole step"):
        assert training[f"{name}, images/s"]["median"] > 0
    gains = sections["gains"]["found"]["rows"]
    assert [row["ms"]["n"] for row in gains] == [2, 2, 2]
    assert "tests     left out  there is no small form of the tests" in printed


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_peers_are_measured_and_written(tmp_path: Path) -> None:
    peers = run_tiny(tmp_path, "peers")[0]["peers"]
    assert peers["verdict"] == "measured"
    programs = {row["program"]: row for row in peers["found"]["rows"]}
    assert [*programs] == ["ours", "plain_pytorch"]
    assert programs["ours"]["times ours"] == 1
    assert all(row["images/s"] > 0 for row in programs.values())


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_agreement_is_checked(tmp_path: Path) -> None:
    agreement = run_tiny(tmp_path, "agreement")[0]["agreement"]
    assert agreement["verdict"] == "passed"
    rows = agreement["found"]["rows"]
    assert max(row["largest difference"] for row in rows) < 1e-6
    assert {row["bound"] for row in rows} == {1e-4}


@pytest.fixture
def few_flowers(cache: Path) -> None:
    """As many toy flowers as the small form takes, small ones, are painted already."""
    folder = cache / "data" / "toyflowers-1"
    toyflowers.write(folder, train_per_class=20, val_per_class=1, test_per_class=5, side=40)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("few_flowers")
def test_resuming_is_checked(tmp_path: Path) -> None:
    sections, printed = run_tiny(tmp_path, "resuming")
    assert sections["resuming"]["verdict"] == "passed"
    rows = sections["resuming"]["found"]["rows"]
    same = {"same bits": True, "of two equal runs": True}
    assert rows == [{"compared": what} | same for what in ("losses", "weights")]
    assert "losses          yes                yes" in printed


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("few_flowers")
def test_accuracy_is_checked(tmp_path: Path) -> None:
    accuracy = run_tiny(tmp_path, "accuracy")[0]["accuracy"]
    assert accuracy["verdict"] == "passed"
    (row,) = accuracy["found"]["rows"]
    assert row["preset"] == "quickstart"
    assert row["images/s"] > 0


def test_checks_come_first_within_eight_minutes(script: ModuleType, speed: ModuleType) -> None:
    assert [*script.SECTIONS][:3] == ["tests", "agreement", "resuming"]
    assert sum(seconds for _, seconds in script.SECTIONS.values()) == 470
    told = (ROOT / "docs" / "performance.md").read_text("utf-8")
    for name, (_, seconds) in script.SECTIONS.items():
        assert f"| `{name}` | {seconds} |" in told
    settings = speed.settings(tiny=False)
    assert settings[:2] == [(False, 512, "alexnet"), (True, 512, "alexnet")]
    assert len(settings) == len(set(settings)) == 18


def test_time_that_a_section_leaves_goes_to_those_after_it(script: ModuleType) -> None:
    names = [*script.SECTIONS]
    planned = [script.SECTIONS[name][1] for name in names]
    whole = [script.limit_seconds(names[i:], sum(planned[i:])) for i in range(len(names))]
    assert whole == pytest.approx(planned)
    assert script.limit_seconds(names[1:], 470) > planned[1]
    assert script.limit_seconds(["gains"], 470) == pytest.approx(470)


@pytest.mark.parametrize(
    ("found", "ending", "verdict"),
    [
        ({"passed": True}, "finished", "passed"),
        ({"passed": True}, "not finished", "not finished"),
        ({"passed": True}, "failed", "failed"),
        ({"passed": False}, "finished", "failed"),
        ({"passed": False}, "not finished", "failed"),
        ({"rows": []}, "finished", "measured"),
        ({"rows": [], "why": "two equal runs differ, too"}, "finished", "measured"),
        ({"left out": "no images"}, "finished", "left out"),
        ({}, "failed", "failed"),
    ],
)
def test_verdicts(script: ModuleType, found: dict[str, Any], ending: str, verdict: str) -> None:
    assert script.section_result(found, ending)["verdict"] == verdict


def test_settings_that_fail_are_told(script: ModuleType) -> None:
    rows = [{"network": "alexnet"}, {"network": "alexnet_bn", "failed": "out of memory"}]
    result = script.section_result({"rows": rows}, "finished")
    assert (result["verdict"], result["why"]) == ("measured", "1 of 2 rows failed")


@pytest.mark.parametrize(("verdict", "code"), [("failed", 1), ("not finished", 0), ("passed", 0)])
def test_a_check_that_failed_decides_the_exit_code(
    script: ModuleType,
    run_main: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    verdict: str,
    code: int,
) -> None:
    def run_section(name: str, *rest: Any) -> None:
        found = {"rows": [{"network": "alexnet", "bound": 1e-4}]}
        rest[-1]({"verdict": verdict, "why": "", "seconds": 2.0, "found": found})

    monkeypatch.setattr(script, "run_section", run_section)
    out = tmp_path / "gpu.json"
    assert run_main("--only", "agreement,gains", "--out", str(out)) == code
    *_, head, _, first, second, _, results = capsys.readouterr().out.splitlines()
    assert head.split() == ["section", "verdict", "why", "seconds"]
    assert first.split() == ["agreement", *verdict.split(), "2"]
    assert second.split() == ["gains", *verdict.split(), "2"]
    assert results == f"results  {out}"
    assert json.loads(out.read_text())["sections"]["gains"]["verdict"] == verdict


def test_results_are_tables(script: ModuleType) -> None:
    rate = {"median": 18600.0, "low": 18512.3, "high": 19200.0, "n": 5}
    rows = [{"batch": 1024, "images/s": rate}, {"batch": 128, "resident": True, "gap": 4.5e-7}]
    assert script.table(rows).splitlines() == [
        "batch                   images/s  resident      gap",
        "-----  -------------------------  --------  -------",
        "1,024  18,600 (18,512 to 19,200)",
        "128                                    yes  4.5e-07",
    ]


@pytest.mark.parametrize("body", ["pass", "assert False"])
def test_gpu_tests_that_fail_fail_the_section(
    checks: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str
) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    test = f"import pytest\n@pytest.mark.gpu\ndef test_one(): {body}\n"
    (tests / "test_some.py").write_text(test)
    (tests / "test_others.py").write_text("import what_is_not_installed\n")
    monkeypatch.setattr(checks, "TESTS", tests)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # starts sooner
    *_, last = checks.run_tests("cuda", tiny=False)
    is_good = body == "pass"
    assert last["passed"] == is_good
    assert last["rows"] == [{"passed" if is_good else "failed": 1}]
    assert last["failed tests"] == ([] if is_good else ["tests/test_some.py::test_one"])


@pytest.mark.parametrize(("loss", "passed"), [(2.0001, True), (2.001, False)])
def test_losses_that_differ_fail(
    checks: ModuleType, monkeypatch: pytest.MonkeyPatch, loss: float, passed: bool
) -> None:
    losses = {"cpu": [2.0] * 10, "cuda": [2.0] * 9 + [loss]}
    monkeypatch.setattr(checks, "_ten_losses", lambda name, device: losses[device])
    *_, last = checks.compare_with_cpu("cuda", tiny=False)
    assert last["passed"] == passed


@pytest.mark.parametrize(("loss", "weights"), [(0.5, b"1"), (0.6, b"1"), (0.5, b"2")])
@pytest.mark.parametrize("twin", [b"1", b"3"])
def test_a_resumed_run_that_differs_fails_where_equal_runs_do_not(
    script: ModuleType,
    checks: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    loss: float,
    weights: bytes,
    twin: bytes,
) -> None:
    def run(name: str, loss: float, weights: bytes) -> SimpleNamespace:
        model = tmp_path / name
        model.write_bytes(weights)
        return SimpleNamespace(history=[loss], folder=SimpleNamespace(model=model))

    runs = iter([("a", 0.5, b"1"), ("b", 0.5, twin), ("stopped", 0.5, b"")])
    monkeypatch.setattr(alexnet, "train", lambda *_, **__: run(*next(runs)))
    monkeypatch.setattr(alexnet, "resume", lambda *_, **__: run("resumed", loss, weights))
    (found,) = checks.check_resuming("cpu", tiny=True)
    result = script.section_result(found, "finished")
    expected = "passed" if (loss, weights) == (0.5, b"1") else "failed"
    if twin == b"3" and expected == "failed":
        expected = "measured"
        assert result["why"] == "two equal runs differ, too"
    assert result["verdict"] == expected


@pytest.mark.parametrize(("accuracy", "passed"), [(0.93, True), (0.5, False)])
def test_a_low_accuracy_fails_and_missing_photos_are_told(
    checks: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    accuracy: float,
    passed: bool,
) -> None:
    times = [SimpleNamespace(elapsed_seconds=2.0, images_per_second=100.0)]
    run = SimpleNamespace(evaluation=SimpleNamespace(accuracy=accuracy), times=times)
    monkeypatch.setattr(alexnet, "train", lambda *_, **__: run)
    for name in ("ALEXNET_DATA", "ALEXNET_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    *_, last = checks.train_to_accuracy("cpu", tiny=False)
    assert last["passed"] == passed
    assert last["rows"][1] == {
        "preset": "flowers17",
        "left out": "17flowers.tgz is not in $ALEXNET_DATA",
    }
    (tmp_path / "17flowers.tgz").touch()
    *_, last = checks.train_to_accuracy("cpu", tiny=False)
    assert [row["test accuracy"] for row in last["rows"]] == [accuracy, accuracy]


def test_whole_steps_go_on_from_epoch_to_epoch(speed: ModuleType, tmp_path: Path) -> None:
    recipe = replace(with_architecture(Recipe(), "lenet5"), batch_size=4, device="cpu")
    setup = speed.set_up(recipe, tmp_path, 8)
    weights = setup.network.state_dict()
    before = {name: weight.clone() for name, weight in weights.items()}
    step = speed.whole_step(setup)
    for _ in range(5):
        step()
    assert not any(before[name].equal(weight) for name, weight in weights.items())


def test_the_bare_update_scales_the_loss_in_fp16(speed: ModuleType, tmp_path: Path) -> None:
    recipe = replace(with_architecture(Recipe(), "lenet5"), batch_size=4, device="cpu")
    setup = speed.set_up(replace(recipe, precision="fp16"), tmp_path, 8)
    speed.bare_update(setup)()
    assert setup.loss_scaler.growth_steps + setup.loss_scaler.skipped_steps == 1


CHILD = "import os, pathlib, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(60)"
"""A program that tells its number and waits."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot tell of it")
@pytest.mark.parametrize("section", ["tests", "peers"])
def test_what_a_section_starts_ends_when_the_section_is_killed(
    tmp_path: Path, section: str
) -> None:
    told, tests = tmp_path / "told", tmp_path / "tests"
    tests.mkdir()
    program = CHILD.format(str(told))
    (tests / "peers.py").write_text(program)
    (tests / "test_some.py").write_text(f"# mark.gpu\n{program}")
    code = (
        "import pathlib, sys, gpu, gpu_checks, gpu_speed\n"
        f"gpu_checks.TESTS = pathlib.Path({str(tests)!r})\n"
        "gpu_speed.PEERS = gpu_checks.TESTS / 'peers.py'\n"
        f"list(gpu.SECTIONS[{section!r}][0]('cpu', False))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    while not (told.exists() and told.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    child = Path("/proc") / told.read_text() / "cmdline"
    for _ in range(100):
        if not child.exists() or not child.read_bytes():  # a zombie has none
            break
        time.sleep(0.05)
    else:
        os.kill(int(told.read_text()), signal.SIGKILL)
        pytest.fail("it is still there")


@pytest.fixture
def hanging(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once the section "training" has begun, which hangs."""
    begun, program = tmp_path / "begun", tmp_path / "hanging.py"
    program.write_text(
        "import pathlib, sys, time\n"
        "out = sys.argv[sys.argv.index('--out') + 1]\n"
        """pathlib.Path(out).write_text('{"rows": [1, 2]}')\n"""
        f"pathlib.Path({str(begun)!r}).touch()\n"
        "time.sleep(600 if 'training' in sys.argv else 0)\n"
        "sys.exit(3)\n"
    )
    monkeypatch.setattr(script, "__file__", str(program))
    return begun


@pytest.mark.slow
@pytest.mark.usefixtures("hanging")
def test_a_section_that_hangs_is_ended_and_keeps_what_it_had(script: ModuleType) -> None:
    found = list[Any]()
    for name, limit in {"training": 2.0, "gains": 60.0}.items():
        script.run_section(name, "cpu", False, limit, found.append)
    assert all(one.pop("seconds") > 0 for one in found)
    had = {"rows": [1, 2]}
    assert found == [
        {"verdict": "not finished", "why": "ended after 2 s", "found": had},
        {"verdict": "failed", "why": "exit code 3", "found": had},
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
        script.run_section("training", "cpu", False, 60.0, found.append)
    thread.join()
    signal.signal(signal.SIGUSR1, before)
    (one,) = found
    assert (one["verdict"], one["found"]) == ("interrupted", {"rows": [1, 2]})


def test_sections_without_time_are_left_out(run_main: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert run_main("--only", "gains", "--seconds", "0", "--out", str(out)) == 0
    gains = json.loads(out.read_text())["sections"]["gains"]
    assert (gains["verdict"], gains["why"]) == ("left out", "no time is left; see --seconds")


def test_an_unknown_section_is_an_error(
    run_main: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main("--only", "speed") == 2
    assert "no section speed; there are tests, agreement" in capsys.readouterr().err
