"""Steps that are checked on the device and read late, as on a GPU, here on the CPU."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from alexnet.config.recipe import OptimizerOptions, Recipe, StoppingOptions
from alexnet.config.serialization import field_types
from alexnet.errors import DivergedError
from alexnet.reporter import NullReporter, StepReport
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.training import loop
from alexnet.training.late_check import LateCheck, build_late_check, count_figures, step_figures
from alexnet.training.run_folder import RunFolder, checkpoint_step
from alexnet.training.setup import TrainingSetup, set_up_training
from alexnet.training.state import TrainState
from alexnet.training.step import train_step
from alexnet.training.step_figures import StepFigures
from support.runs import Witness, is_same_run, resume, train
from support.steps import first_batch

OPTIMIZERS = get_args(field_types(OptimizerOptions)["optimizer"])

pytestmark = pytest.mark.usefixtures("prepared_flowers")


def on_cpu(setup: TrainingSetup) -> LateCheck:
    return LateCheck(torch.zeros(()))


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "build_late_check", on_cpu)


@pytest.mark.usefixtures("no_plots")
def test_a_run_has_the_same_bits(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tiny, out=tmp_path / "whole").folder
    monkeypatch.setattr(loop, "build_late_check", on_cpu)
    assert is_same_run(train(tiny, out=tmp_path / "run").folder, whole)


def reports(recipe: Recipe, out: Path) -> list[StepReport]:
    witness = Witness()
    train(recipe, out=out, reporter=witness)
    return witness.steps


@pytest.mark.usefixtures("no_plots")
def test_every_step_is_reported_in_its_order(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a checkpoint in every third step, which needs the figures of the newest."""
    recipe = replace(tiny, epochs=2, save_every_steps=3)
    expected = reports(recipe, tmp_path / "expected")
    assert [report.step for report in expected] == list(range(1, 9))
    monkeypatch.setattr(loop, "build_late_check", on_cpu)
    assert reports(recipe, tmp_path / "late") == expected


class Stopper(Witness):
    """Asks a run to stop, or raises, in a step."""

    def __init__(self, at_step: int, act: Callable[[], None]) -> None:
        super().__init__()
        self.at_step, self.act = at_step, act

    def on_step(self, report: StepReport) -> None:
        super().on_step(report)
        if report.step == self.at_step:
            self.act()


def fail() -> None:
    raise RuntimeError("no disk")


def send_a_signal() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("at_step", [2, 4])
@pytest.mark.parametrize("act", [fail, send_a_signal])
def test_a_run_that_is_stopped_goes_on_with_the_same_bits(
    act: Callable[[], None],
    at_step: int,
    tiny: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Step 2 is reported when step 3 is computed, and step 4, the last of an epoch, at once.

    A step that is saved is reported, unless the reporter itself has raised an error.
    """
    recipe = replace(tiny, epochs=2)
    whole = train(recipe, out=tmp_path / "whole").folder
    monkeypatch.setattr(loop, "build_late_check", on_cpu)
    stopper = Stopper(at_step, act)
    with pytest.raises((RuntimeError, TrainingInterrupted)):
        train(recipe, out=tmp_path / "run", reporter=stopper)
    run = RunFolder(tmp_path / "run")
    saved = max(map(checkpoint_step, run.saved_checkpoints()))
    assert saved == at_step + (at_step % 4 != 0)
    last = at_step if act is fail else saved
    assert [report.step for report in stopper.steps] == list(range(1, last + 1))
    witness = Witness()
    resume(run.path, reporter=witness)
    assert [report.step for report in witness.steps] == list(range(saved + 1, 9))
    assert is_same_run(run, whole)


@pytest.mark.usefixtures("late", "no_plots")
def test_every_step_is_reported_where_each_session_has_time_for_one(
    tiny: Recipe, tmp_path: Path
) -> None:
    recipe = replace(tiny, epochs=1, stopping=StoppingOptions(max_minutes=1e-9))
    witness, out = Witness(), tmp_path / "run"
    train(recipe, out=out, reporter=witness)
    while not RunFolder(out).result.exists():
        resume(out, reporter=witness)
    assert [report.step for report in witness.steps] == [1, 2, 3, 4]


def break_gradient(setup: TrainingSetup, value: float) -> Callable[[], None]:
    """Gradients of conv1 with this value; returns what ends that."""
    weight = setup.network.get_parameter("conv1.weight")
    return weight.register_hook(lambda gradient: torch.full_like(gradient, value)).remove


def weights(setup: TrainingSetup) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in setup.network.named_parameters()}


def broken_at(broken: int) -> Callable[..., object]:
    """`train_step` with a gradient that is not finite in one step, counted from 1."""

    def step_once(
        setup: TrainingSetup, pixels: Tensor, labels: Tensor, step: int, lr: float, late: LateCheck
    ) -> object:
        end = break_gradient(setup, math.nan) if step == broken - 1 else None
        outputs = train_step(setup, pixels, labels, step, lr, late)
        if end:
            end()
        return outputs

    return step_once


@pytest.mark.parametrize("lr", [1e-3, 0.0])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_weight_is_updated_from_the_first_step_on_that_is_not_finite(
    optimizer: Any, lr: float, tiny: Recipe
) -> None:
    """The second step is broken, and the third would be a good one."""
    options = OptimizerOptions(optimizer=optimizer, lr=1e-3)
    setup = set_up_training(replace(tiny, optimizer=options), NullReporter())
    late, state = on_cpu(setup), TrainState()
    pixels, labels = first_batch(setup)
    before: dict[str, Tensor] = {}
    figures = []
    for step, rate in enumerate((1e-3, lr, lr)):
        end = break_gradient(setup, math.inf) if step == 1 else None
        outputs = train_step(setup, pixels, labels, step, rate, late)
        figures.append(step_figures(setup, step, rate, labels, *outputs, late))
        if end:
            end()
        before = before or weights(setup)
    for name, weight in weights(setup).items():
        assert torch.equal(weight, before[name]), name
    count_figures(setup, state, figures[0])
    counted = state.metrics
    count_figures(setup, state, figures[0])
    assert state.metrics == counted, "once"
    for step, one in enumerate(figures[1:], start=2):  # the name of the gradient is not known
        with pytest.raises(DivergedError, match=f"not finite at step {step}; no weight was"):
            count_figures(setup, state, one)
    assert state.metrics == counted


@pytest.mark.usefixtures("late", "no_plots")
def test_the_reporters_own_error_is_passed_on_where_the_next_step_has_diverged(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "train_step", broken_at(3))
    with pytest.raises(RuntimeError) as told:
        train(tiny, out=tmp_path / "run", reporter=Stopper(2, fail))
    (note,) = told.value.__notes__
    assert note.startswith("The run is not saved: a gradient is not finite at step 3; no weight")
    assert not RunFolder(tmp_path / "run").saved_checkpoints()


def test_a_loss_that_is_not_finite_is_told(tiny: Recipe) -> None:
    setup = set_up_training(tiny, NullReporter())
    late, (pixels, labels) = on_cpu(setup), first_batch(setup)
    with torch.no_grad():
        setup.network.get_parameter("fc8.bias")[0] = math.inf
    outputs = train_step(setup, pixels, labels, 0, 1e-3, late)
    figures = step_figures(setup, 0, 1e-3, labels, *outputs, late)
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step 1;"):
        count_figures(setup, TrainState(), figures)


@pytest.mark.usefixtures("late", "no_plots")
@pytest.mark.parametrize("broken", [3, 4, 5])
def test_no_checkpoint_is_of_a_step_that_was_left_out(
    broken: int, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint is due in every step; step 4 is the last of an epoch."""
    monkeypatch.setattr(loop, "train_step", broken_at(broken))
    recipe = replace(tiny, save_every_steps=1, keep_checkpoints=20)
    with pytest.raises(DivergedError, match=f"not finite at step {broken}; "):
        train(recipe, out=tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert max(map(checkpoint_step, run.saved_checkpoints())) == broken - 1
    monkeypatch.setattr(loop, "train_step", train_step)
    assert resume(run.path).folder.result.exists()


class OnGPU:
    """Figures that are on the second of two GPUs."""

    device = torch.device("cuda:1")

    def copy_(self, source: object, *, non_blocking: bool) -> Tensor:
        assert non_blocking
        return torch.arange(5.0)


def test_figures_are_read_when_the_stream_of_their_gpu_has_copied_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not that of the current GPU, the first one."""
    told: list[object] = []

    def current_stream(device: torch.device) -> SimpleNamespace:
        event = SimpleNamespace(synchronize=lambda: told.append("waited"))
        return SimpleNamespace(record_event=lambda: told.append(device) or event)

    monkeypatch.setattr(torch.cuda, "current_stream", current_stream)
    monkeypatch.setattr(torch, "empty_like", lambda *_, **__: OnGPU())
    values: Any = OnGPU()
    figures = StepFigures(step=1, lr=0.1, num_images=2, is_mixed=False, values=values)
    figures.begin_copy()
    assert told == [torch.device("cuda:1")]
    assert figures.read() == [0, 1, 2, 3, 4]
    assert told[1:] == ["waited"]


def test_on_the_cpu_the_host_checks_before_the_update(tiny: Recipe) -> None:
    assert build_late_check(set_up_training(tiny, NullReporter())) is None
