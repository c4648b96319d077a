"""What docs/reliability.md promises of bits: same recipe, machine and threads, same files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from alexnet.training.run_folder import RunFolder
from alexnet.training.trainer import Run
from support.commands import Alexnet
from support.runs import is_same_run, train
from support.slow import first_fast

pytestmark = pytest.mark.usefixtures("small_place")


@pytest.fixture
def threads() -> Iterator[None]:
    """Restores the number of threads afterwards."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def with_threads(count: int, recipe: Recipe, out: Path) -> Run:
    """A run with so many threads."""
    torch.set_num_threads(count)
    return train(recipe, out=out)


@pytest.mark.slow
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_the_same_number_of_threads_gives_the_same_bits_and_another_nearly(
    tiny: Recipe, tmp_path: Path, precision: str
) -> None:
    recipe = replace(tiny, precision=precision, epochs=1)  # type: ignore[arg-type]
    runs = {}
    for count in (1, 2):
        first, again = (with_threads(count, recipe, tmp_path / f"{count}{n}") for n in "ab")
        assert first.folder.model.read_bytes() == again.folder.model.read_bytes()
        assert first.folder.metrics.read_bytes() == again.folder.metrics.read_bytes()
        runs[count] = first
    for one, two in zip(runs[1].history, runs[2].history, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, rel=0.02)
        assert two.eval_loss == pytest.approx(one.eval_loss, rel=0.02)


@pytest.mark.parametrize(
    "change", first_fast([{"save_every_steps": 1}, {"save_every_minutes": 0.0}]), ids=str
)
def test_saving_more_often_changes_no_figure(
    small: Recipe, small_whole: RunFolder, tmp_path: Path, change: dict[str, float]
) -> None:
    run = train(replace(small, **change), out=tmp_path / "run")  # type: ignore[arg-type]
    assert run.folder.metrics.read_bytes() == small_whole.metrics.read_bytes()


@pytest.mark.slow
def test_processes_of_their_own_give_the_same_bits(
    small: Recipe,
    small_whole: RunFolder,
    tmp_path: Path,
    alexnet_process: Alexnet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another hash seed, language and working folder change nothing."""
    (tmp_path / "small.json").write_text(to_json(small))
    folders = []
    for seed, place in (("0", "here"), ("4711", "there")):
        (tmp_path / place).mkdir()
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        monkeypatch.setenv("LC_ALL", "C" if seed == "0" else "C.UTF-8")
        words = ("train", "--config", "../small.json", "--out", "run")
        assert alexnet_process(*words, cwd=tmp_path / place).wait() == 0
        folders.append(RunFolder(tmp_path / place / "run"))
    assert is_same_run(*folders)
    assert folders[0].model.read_bytes() == small_whole.model.read_bytes()
