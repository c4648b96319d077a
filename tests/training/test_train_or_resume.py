"""What is done with a run, by the files that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError
from alexnet.reporter import NullReporter
from alexnet.training import train_or_resume as module
from alexnet.training.run_folder import RunFolder, has_diverged, has_ended, remove_models


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was called, instead of a training."""
    names: list[str] = []
    for name in ("train", "resume"):
        monkeypatch.setattr(module, name, lambda *_, name=name, **__: names.append(name))
    return names


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "train"),
        (["environment.json"], "train"),
        (["config.json"], "resume"),
        (["config.json", "result.json"], ""),
    ],
)
def test_a_run_is_begun_resumed_or_left(
    files: list[str], expected: str, called: list[str], tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    for name in files:
        (run.path / name).touch()
    module.train_or_resume(run, Recipe(), NullReporter())
    assert called == ([expected] if expected else [])
    assert run.path.exists() == (expected != "train"), "what is not a run is removed"
    assert has_ended(run) == (expected == "")


def test_a_run_that_has_diverged_says_so_again(called: list[str], tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.config.touch()
    run.write_diverged(DivergedError("the loss is nan at step 3"))
    assert has_ended(run)
    assert has_diverged(run)
    with pytest.raises(DivergedError, match=r"^the loss is nan at step 3$"):
        module.train_or_resume(run, Recipe(), NullReporter())
    assert not called


def test_models_are_removed_and_the_rest_stays(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for path in (run.model, run.config, run.checkpoint(3)):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    remove_models(run)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
