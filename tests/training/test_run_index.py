"""The list of runs: every state, also damaged, from files written by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from alexnet.errors import UsageError
from alexnet.training.run_folder import RunFolder
from alexnet.training.run_index import list_runs, summarize_run
from support.run_folders import RECIPE, write_run


def test_a_finished_run_that_is_about_to_get_more_epochs_is_running(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", (0.5,), test={"top1_error": 0.25, "num_images": 80})
    with run.locked():
        assert summarize_run(run.path).state == "running"
    assert summarize_run(run.path).state == "finished"


def test_a_finished_run(tmp_path: Path) -> None:
    test = {"top1_error": 0.25, "num_images": 80}
    run = write_run(tmp_path / "a", (0.5, 0.2, 0.2, 0.3), test=test)
    summary = summarize_run(run.path)
    assert (summary.state, summary.kind) == ("finished", "training")
    assert (summary.data, summary.arch) == ("/photos/birds", "lenet5")
    assert (summary.epochs, summary.planned_epochs) == (4, 4)
    assert (summary.best_error, summary.best_split, summary.best_epoch) == (0.2, "val", 2)
    assert (summary.test_error, summary.num_test_images) == (0.25, 80)
    assert summary.size_bytes == sum(p.stat().st_size for p in run.path.iterdir())
    changed = datetime.fromisoformat(summary.changed_at)
    assert abs((datetime.now(UTC) - changed).total_seconds()) < 60


def test_test_images_choose_no_epoch(tmp_path: Path) -> None:
    """Without validation images the model is the last epoch's, so its test error is the best."""
    run = write_run(tmp_path / "a", (0.5, 0.2, 0.4), split="test")
    summary = summarize_run(run.path)
    assert (summary.best_error, summary.best_split, summary.best_epoch) == (0.4, "test", 3)
    assert summary.state == "unfinished"
    assert summary.resume_command == f"alexnet train --resume {run.path}"
    assert summary.checkpoint_step is None
    for step in (8, 12, 4):
        run.checkpoints.mkdir(exist_ok=True)
        run.checkpoint(step).write_bytes(b"")
    assert summarize_run(run.path).checkpoint_step == 12


def test_a_run_without_any_evaluation(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", (None, None), split=None, test={})
    summary = summarize_run(run.path)
    assert (summary.state, summary.epochs, summary.best_error) == ("finished", 2, None)
    assert (summary.test_error, summary.num_test_images) == (None, None)


def test_running_and_diverged(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", (0.5,))
    with run.locked():
        assert summarize_run(run.path).state == "running"
    assert (run.path / ".lock").exists(), "as a killed run leaves it"
    assert summarize_run(run.path).state == "unfinished"
    run.diverged.write_text("the loss is not finite after step 7; try a lower --lr\n")
    summary = summarize_run(run.path)
    assert summary.state == "diverged"
    assert summary.problem == "the loss is not finite after step 7; try a lower --lr"


def test_a_pretraining(tmp_path: Path) -> None:
    recipe = {**RECIPE, "kind": "rbm", "arch": "alexnet_bn", "up_to": "conv3", "epochs": 2}
    run = write_run(tmp_path / "a", (None, None, None), split=None, recipe=recipe)
    summary = summarize_run(run.path)
    assert (summary.kind, summary.epochs, summary.planned_epochs) == ("rbm", 3, 6)
    assert summary.resume_command == f"alexnet pretrain rbm --resume {run.path}"
    unknown = write_run(tmp_path / "b", recipe={**recipe, "arch": "of a newer version"})
    assert summarize_run(unknown.path).planned_epochs is None


def test_the_cut_off_line_of_a_killed_run_is_no_damage(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", (0.5, 0.4))
    run.metrics.write_bytes(run.metrics.read_bytes()[:-5])
    assert (summarize_run(run.path).state, summarize_run(run.path).epochs) == ("unfinished", 1)


DAMAGES = {
    "config.json is missing": lambda run: run.config.unlink(),
    "config.json is empty": lambda run: run.config.write_bytes(b""),
    "config.json is a folder": lambda run: (run.config.unlink(), run.config.mkdir()),
    "config.json is not UTF-8": lambda run: run.config.write_bytes(b'{"data": "\xff"}'),
    "config.json is a list": lambda run: run.config.write_text("[]"),
    "config.json is of something else": lambda run: run.config.write_text('{"data": 3}'),
    "metrics.jsonl is damaged": lambda run: run.metrics.write_text("{}\nx\n"),
    "metrics.jsonl has a number": lambda run: run.metrics.write_text("7\n"),
    "result.json is cut off": lambda run: run.result.write_text('{"test": '),
    "result.json is nested": lambda run: run.result.write_text("[" * 100_000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_runs_are_listed(tmp_path: Path, damage: str) -> None:
    run = write_run(tmp_path / "a", (0.5,))
    DAMAGES[damage](run)
    (summary,) = list_runs(tmp_path)
    assert (summary.name, summary.state) == ("a", "damaged")
    assert damage.split()[0] in summary.problem


@pytest.mark.parametrize(
    "test", [{"top1_error": "low", "num_images": []}, {"top1_error": 7.0}, {"top1_error": None}]
)
def test_figures_that_are_none_are_left_out(tmp_path: Path, test: dict[str, object]) -> None:
    summary = summarize_run(write_run(tmp_path / "a", (0.5,), test=test).path)
    assert (summary.state, summary.test_error, summary.num_test_images) == ("finished", None, None)


def test_only_runs_are_listed(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_run(tmp_path / name)
    write_run(tmp_path / ".a.4711.tmp")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert [run.name for run in list_runs(tmp_path)] == ["a", "b"]
    assert [run.name for run in list_runs(tmp_path / "a")] == ["a"]
    with pytest.raises(UsageError, match="cannot read the folder"):
        list_runs(tmp_path / "nowhere")


def test_size_does_not_follow_links(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    before = summarize_run(run.path).size_bytes
    (tmp_path / "large").write_bytes(bytes(1000))
    (run.path / "large").symlink_to(tmp_path / "large")
    (run.path / "up").symlink_to(tmp_path)
    assert summarize_run(run.path).size_bytes == before


def test_the_trained_run(trained: RunFolder) -> None:
    """What the trainer writes is what is read here."""
    summary = summarize_run(trained.path)
    assert (summary.state, summary.epochs, summary.planned_epochs) == ("finished", 3, 3)
    assert (summary.best_split, summary.num_test_images) == ("val", 12)
    assert summary.best_error is not None
    assert summary.test_error is not None
