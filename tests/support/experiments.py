"""A tiny experiment: its definition, its finished runs, and results made up without training."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from alexnet.config.recipe import LRSchedule, Recipe
from alexnet.experiments import catalogue
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol
from alexnet.experiments.outcome import Outcome
from alexnet.experiments.plan import Plan
from alexnet.experiments.results import ExperimentResult, Machine, Trials, summarize
from alexnet.experiments.run import run_experiment
from alexnet.records import EpochRecord
from alexnet.reporter import NullReporter, Reporter, StepReport
from alexnet.runtime.environment import describe_environment
from support.kernels import torch_threads
from support.runs import empty_plot

LR_GRID = (0.001, 0.01)
NUM_IMAGES = 12


def tiny_experiment(base: Recipe) -> Experiment:
    """Two arms that train, one of them tuned, and one that only evaluates ten crops."""
    base = replace(base, epochs=1, schedule=LRSchedule())
    return Experiment(
        name="tiny",
        claim="Dropout helps.",
        source="nobody",
        expected="nothing",
        limits="The runs show nothing.",
        measure="test_error",
        arms=(
            Arm(name="dropout"),
            Arm(name="dropout-ten", crops=10),
            Arm(name="none", changes={"model.dropout": 0.0}),
        ),
        comparisons=(
            Comparison(name="dropout helps", better=("dropout",), worse=("none",), min_effect=0.01),
            Comparison(
                name="ten crops help",
                better=("dropout-ten",),
                worse=("dropout",),
                min_effect=0.01,
                is_primary=False,
            ),
        ),
        protocols={
            "quick": Protocol(
                base=base,
                lr_grid=LR_GRID,
                arm_lr_grids={"none": LR_GRID[:1]},
                tuning_epochs=1,
                tuning_val_fraction=0.4,
            ),
            "full": Protocol(base=base, lr_grid=LR_GRID[:1]),
        },
    )


class RecordingReporters:
    """Records the descriptions of the runs; can interrupt one of them at its third step."""

    def __init__(self, interrupt_run: int = 0) -> None:
        self.descriptions: list[str] = []
        self.interrupt_run = interrupt_run

    def __call__(self, description: str) -> AbstractContextManager[Reporter]:
        self.descriptions.append(description)
        is_last = len(self.descriptions) == self.interrupt_run
        return nullcontext(Interrupter() if is_last else NullReporter())


class Interrupter(NullReporter):
    """Stops a run at its third step as Ctrl-C would."""

    def on_step(self, report: StepReport) -> None:
        if report.step == 3:
            raise KeyboardInterrupt


def history(*errors: float) -> list[EpochRecord]:
    """A learning curve with these training errors."""
    return [
        EpochRecord(
            epoch=epoch,
            step=epoch,
            lr=0.1,
            train_loss=1.0,
            train_top1_error=error,
            train_top5_error=0.0,
            eval_split="test",
            eval_loss=1.0,
            eval_top1_error=error,
            eval_top5_error=0.0,
            layers=(),
        )
        for epoch, error in enumerate(errors, 1)
    ]


def outcome_with(num_wrong: int) -> Outcome:
    """The outcome of a run that misclassified the first `num_wrong` of NUM_IMAGES images."""
    return Outcome(
        value=num_wrong / NUM_IMAGES,
        indices=tuple(range(NUM_IMAGES)),
        misclassified=tuple(range(num_wrong)),
    )


def made_up_result(
    experiment: Experiment,
    num_wrong: Mapping[str, Sequence[int]],
    trials: Trials | None = None,
) -> ExperimentResult:
    """The result of runs that misclassified so many images, for every arm one number per seed."""
    plan = Plan(experiment=experiment)
    return summarize(
        plan,
        {name: [outcome_with(n) for n in numbers] for name, numbers in num_wrong.items()},
        {name: [LR_GRID[0]] * len(numbers) for name, numbers in num_wrong.items()},
        trials or {},
        90.0,
        [Machine(environment=describe_environment(torch.device("cpu")), num_runs=9)],
    )


@pytest.fixture(scope="session")
def experiment(tiny: Recipe) -> Experiment:
    """The tiny experiment."""
    return tiny_experiment(tiny)


@pytest.fixture
def tiny_result(experiment: Experiment) -> ExperimentResult:
    """A made-up result of the tiny experiment, in which dropout helps."""
    numbers = {"dropout": (1, 2, 1), "dropout-ten": (1, 1, 1), "none": (6, 7, 6)}
    return made_up_result(experiment, numbers)


class Finished(NamedTuple):
    """A finished experiment."""

    out: Path
    descriptions: tuple[str, ...]
    """Of the runs, as the reporters were called."""


def make_cheap(patch: pytest.MonkeyPatch) -> None:
    """Empty plots, and grids of learning rates that are refined but not extended."""
    patch.setattr("alexnet.experiments.tuning.MAX_EXTENSIONS", 0)
    patch.setattr("alexnet.plots.save_plot", empty_plot)
    patch.setattr("alexnet.plots.save", empty_plot)


@pytest.fixture(scope="session")
def experiment_cache(new_cache: Callable[[], Path]) -> Path:
    """The cache with the image store of the tiny experiment."""
    return new_cache()


@pytest.fixture(scope="session")
def finished(
    experiment: Experiment, experiment_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    """The tiny experiment, run by one thread with empty plots: 15 runs; look at it and do not
    change it."""
    place, reporters = tmp_path_factory.mktemp("experiment"), RecordingReporters()
    with pytest.MonkeyPatch.context() as patch, torch_threads(1):
        patch.setenv("ALEXNET_CACHE", str(experiment_cache))
        make_cheap(patch)
        run_experiment(Plan(experiment=experiment), place / "out", reporters)
    return Finished(place / "out", tuple(reporters.descriptions))


@pytest.fixture
def own_out(finished: Finished, experiment_cache: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the finished experiment, to write into, with the cache of its image store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_CACHE", str(experiment_cache))
        make_cheap(patch)
        yield Path(shutil.copytree(finished.out, tmp_path / "own"))


@pytest.fixture
def listed(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny experiment in the catalogue."""
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny", experiment)


@pytest.fixture
def constant_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network trains on 1,000 images a second, as far as costs are concerned."""
    monkeypatch.setattr("alexnet.experiments.calibration.measure_speed", lambda *_: 1000.0)
