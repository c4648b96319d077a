"""Tunings whose trainings are made up: the error falls with epochs, and depends on the values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from alexnet.config.recipe import LRSchedule, OptimizerOptions, Recipe
from alexnet.errors import DivergedError, TrainingError
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import Reporter
from alexnet.training.run_folder import RunFolder
from alexnet.tune import tasks
from alexnet.tune.folder import open_folder
from alexnet.tune.plan import Tuning
from alexnet.tune.space import Parameter
from alexnet.tune.tuner import Session, open_session

NewSession = Callable[..., Session]

SPACE = (
    Parameter(option="lr", low=1e-4, high=1.0, log=True),
    Parameter(option="batch_size", choices=(8, 16, 32)),
)


def record(epoch: int, error: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        step=epoch,
        lr=0.1,
        layers=(),
        train_loss=error,
        train_top1_error=error,
        train_top5_error=error,
        eval_split="val",
        eval_loss=2 * error,
        eval_top1_error=error,
        eval_top5_error=error,
    )


def error_of(recipe: Recipe, epoch: int) -> float:
    """The nearer the learning rate is to 0.02 the better."""
    distance = abs(recipe.optimizer.lr - 0.02)
    return round(min(0.99, 0.2 + 0.5 / epoch + distance), 4)


def made_up(run: RunFolder, recipe: Recipe, reporter: Reporter, *rest: object) -> None:
    """Write what a training writes; it diverges above a learning rate of 0.5."""
    run.path.mkdir(parents=True, exist_ok=True)
    run.model.write_text("weights")
    if recipe.optimizer.lr > 0.5:
        raise DivergedError("the loss is not finite after step 1; try a lower --lr")
    if recipe.batch_size == 32:
        raise TrainingError("out of memory")
    for epoch in range(1, recipe.epochs + 1):
        one = record(epoch, error_of(recipe, epoch))
        times = EpochTimes(
            epoch=epoch, images_per_second=1.0, data_wait_fraction=0.0, elapsed_seconds=1.5
        )
        run.add_epoch(one, times)
        reporter.on_epoch(one, times)


@pytest.fixture
def tuning() -> Tuning:
    recipe = Recipe(
        name="made_up",
        optimizer=OptimizerOptions(lr=0.1),
        schedule=LRSchedule(),
        epochs=9,
        batch_size=16,
    )
    return Tuning(start=recipe, recipe=recipe, space=SPACE, data="d", images={"val": 100})


@pytest.fixture
def new_session(tuning: Tuning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewSession:
    """Opens a session with made-up trainings; the same folder unless another is named."""
    monkeypatch.setattr(tasks, "train_or_resume", made_up)

    def session(
        trials: int = 12, out: str = "out", study: str = "", tuned: Tuning = tuning
    ) -> Session:
        folder = open_folder(tmp_path / out, study)
        return open_session(tuned, folder, trials=trials, minutes=9.0, jobs=1, keep_models=3)

    return session
