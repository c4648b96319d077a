"""Experiments end to end on synthetic flowers: tuned, run, interrupted, resumed, evaluated."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.errors import TrainingError, UsageError
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.outcome import read_outcome
from alexnet.experiments.plan import TUNING_SEED, Plan
from alexnet.experiments.report import machine_text
from alexnet.experiments.results import read_result
from alexnet.experiments.run import run_experiment
from alexnet.experiments.tuning import best_trial, choose_lr
from alexnet.training.run_folder import read_recipe
from support.experiments import LR_GRID, Finished, RecordingReporters


def modified_at(out: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(out.rglob("result.json"))}


def test_the_runs_of_every_seed(finished: Finished) -> None:
    """A grid of two and the rate halfway; only one of the arms is tuned."""
    assert [text.split(":")[0] for text in finished.descriptions] == [
        f"run {number} of about 21" for number in range(1, 16)
    ]
    names = {path.name for path in (finished.out / "runs").iterdir()}
    lrs = (*LR_GRID, 0.00316)
    tuning = {f"dropout-r{lr:g}-tuning{seed}" for lr in lrs for seed in range(3)}
    assert tuning < names
    assert len(names) == 15
    assert not any("ten" in name for name in names), "ten crops need no training of their own"


def test_learning_rates_are_validated_on_training_images_and_never_on_the_test(
    finished: Finished,
) -> None:
    for path in (finished.out / "runs").iterdir():
        recipe = read_recipe(path / "config.json")
        is_tuning = "-tuning" in path.name
        assert recipe.seed == int(path.name[-1]) + (TUNING_SEED if is_tuning else 0)
        assert recipe.data_options.val_fraction == (0.4 if is_tuning else 0.0)
        split = json.loads((path / "metrics.jsonl").read_text().splitlines()[0])["eval_split"]
        assert split == "val" if is_tuning else split


def test_every_seed_has_the_learning_rate_with_its_lowest_validation_error(
    finished: Finished,
) -> None:
    result = read_result(finished.out)
    arm = result.arm("dropout")
    assert len(arm.trials) == 3
    for trials, lr, at_edge in zip(arm.trials, arm.lrs, arm.at_edge, strict=True):
        assert [trial.lr for trial in trials] == [*LR_GRID, 0.00316]
        assert lr == choose_lr(trials)
        assert at_edge == (best_trial(trials).lr in LR_GRID)
    assert result.arm("dropout-ten").lrs == arm.lrs
    assert result.arm("dropout-ten").at_edge == arm.at_edge
    assert result.arm("none").lrs == (LR_GRID[0],) * 3
    assert (result.arm("none").trials, result.arm("none").at_edge) == ((), ())


def test_values_are_the_outcomes_of_the_runs(finished: Finished) -> None:
    result = read_result(finished.out)
    for name, crops in (("dropout", 1), ("dropout-ten", 10), ("none", 1)):
        arm = result.arm(name)
        trained = name.removesuffix("-ten")
        runs = [
            finished.out / "runs" / f"{trained}-r{lr:g}-s{seed}" for seed, lr in enumerate(arm.lrs)
        ]
        outcomes = [read_outcome(run / f"outcome-{crops}.json") for run in runs]
        assert arm.values == tuple(outcome.value for outcome in outcomes)
        assert arm.mean == pytest.approx(sum(arm.values) / 3)
        for outcome, run in zip(outcomes, runs, strict=True):
            assert len(outcome.indices) == 12
            assert outcome.value == len(outcome.misclassified) / 12
            test = json.loads((run / "result.json").read_text())["test"]
            assert crops == 10 or outcome.value == pytest.approx(test["top1_error"])


def test_a_finished_experiment_is_not_run_again(experiment: Experiment, own_out: Path) -> None:
    before, reporters = modified_at(own_out / "runs"), RecordingReporters()
    result = run_experiment(Plan(experiment=experiment), own_out, reporters)
    assert reporters.descriptions == []
    assert modified_at(own_out / "runs") == before
    assert result == read_result(own_out)


def test_an_arm_that_needs_fewer_runs_has_the_first_seeds(
    experiment: Experiment, own_out: Path
) -> None:
    """Three of four; what it is compared with has a fourth run, and is tuned for it."""
    protocol = replace(experiment.protocols["quick"], num_seeds=4, arm_seeds={"none": 3})
    plan = Plan(experiment=replace(experiment, protocols={"quick": protocol}))
    before = {path.name for path in (own_out / "runs").iterdir()}
    result = run_experiment(plan, own_out, RecordingReporters())
    added = {path.name for path in (own_out / "runs").iterdir()} - before
    assert {name.rpartition("-")[2] for name in added} == {"tuning3", "s3"}
    assert all(name.startswith("dropout-") for name in added)
    assert [len(result.arm(name).values) for name in ("dropout", "dropout-ten", "none")] == [
        4,
        4,
        3,
    ]
    lengths = {one.name: len(one.effects) for one in result.comparisons}
    with_none = [one.name for one in result.comparisons if "none" in one.worse]
    assert [lengths.pop(name) for name in with_none] == [3] * len(with_none)
    assert set(lengths.values()) == {4}
    assert read_result(own_out) == result


@pytest.mark.slow
def test_an_interrupted_experiment_ends_as_if_it_had_not_been_interrupted(
    experiment: Experiment, finished: Finished, own_out: Path
) -> None:
    """Both measured runs of the last seed are missing; the first is interrupted, the second killed
    early."""
    plan = Plan(experiment=experiment)
    (own_out / "result.json").unlink()
    for path in (own_out / "runs").glob("*-s2"):
        shutil.rmtree(path)
        if path.name.startswith("none"):
            path.mkdir()
    before = modified_at(own_out)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(plan, own_out, RecordingReporters(interrupt_run=1))
    assert not (own_out / "result.json").exists()
    assert modified_at(own_out) == before
    reporters = RecordingReporters()
    result = run_experiment(plan, own_out, reporters)
    assert [text.split(":")[0] for text in reporters.descriptions] == [
        "run 14 of about 21",
        "run 15 of about 21",
    ]
    assert before.items() <= modified_at(own_out).items()
    whole = read_result(finished.out)
    assert [arm.values for arm in result.arms] == [arm.values for arm in whole.arms]


def test_a_result_names_every_machine_on_which_runs_ran(
    experiment: Experiment, own_out: Path
) -> None:
    """As of an experiment that was begun on a GPU and resumed elsewhere."""
    paths = sorted((own_out / "runs").glob("*/environment.json"))
    here = paths[0].read_text()
    for path in paths[2:]:
        path.write_text(json.dumps({**json.loads(here), "device_name": "a GPU", "device": "cuda"}))
    result = run_experiment(Plan(experiment=experiment), own_out, RecordingReporters())
    assert result.environment.device_name == "a GPU"
    ((other, count),) = [(m.environment, m.num_runs) for m in result.other_machines]
    assert (other.device_name, count) == (json.loads(here)["device_name"], 2)
    text = machine_text(result)
    assert text.startswith("Measured on cuda (a GPU, ")
    assert f"; 2 runs on cpu ({other.device_name}, " in text
    assert read_result(own_out) == result


@pytest.mark.slow
def test_more_seeds_are_added(experiment: Experiment, own_out: Path) -> None:
    reporters = RecordingReporters()
    result = run_experiment(Plan(experiment=experiment, num_seeds=4), own_out, reporters)
    assert len(reporters.descriptions) == 3 + 2
    assert all("seed 3" in text for text in reporters.descriptions)
    assert [len(arm.values) for arm in result.arms] == [4, 4, 4]


def test_models_are_removed_after_their_evaluation(experiment: Experiment, own_out: Path) -> None:
    """A run whose outcome is lost is trained again, and gives the same one."""
    assert not list(own_out.rglob("model.safetensors"))
    lost = next(own_out.glob("runs/none-*-s1/outcome-1.json"))
    outcome = read_outcome(lost)
    lost.unlink()
    reporters = RecordingReporters()
    run_experiment(Plan(experiment=experiment), own_out, reporters, keep_models=True)
    assert len(reporters.descriptions) == 1
    assert "none" in reporters.descriptions[0]
    assert "seed 1" in reporters.descriptions[0]
    assert read_outcome(lost) == outcome
    assert [path.parent for path in own_out.rglob("model.safetensors")] == [lost.parent]


def test_folders_of_something_else_are_rejected(
    experiment: Experiment, own_out: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="holds the experiment tiny quick"):
        run_experiment(Plan(experiment=experiment, protocol_name="full"), own_out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="holds no experiment"):
        run_experiment(Plan(experiment=experiment), tmp_path / "mine")
    longer = replace(experiment.protocols["quick"].base, epochs=2)
    changed = replace(experiment.protocols["quick"], base=longer)
    other = replace(experiment, protocols={"quick": changed})
    with pytest.raises(UsageError, match="another recipe"):
        run_experiment(Plan(experiment=other), own_out)


def diverging(experiment: Experiment, *lr_grid: float) -> Experiment:
    """The experiment with a grid, and a weight decay that makes every run without dropout diverge.

    With weight decay 1e30, the weights are 1e27 times as large after one step.
    """
    arms = tuple(
        replace(arm, changes={**arm.changes, "optimizer.weight_decay": 1e30})
        if arm.name == "none"
        else arm
        for arm in experiment.arms
    )
    protocol = replace(experiment.protocols["quick"], lr_grid=lr_grid, arm_lr_grids={})
    return replace(experiment, arms=arms, protocols={"quick": protocol})


@pytest.mark.slow
@pytest.mark.usefixtures("no_plots")
def test_a_learning_rate_that_diverges_is_not_chosen_and_not_tried_again(
    experiment: Experiment, tmp_path: Path
) -> None:
    reporters, plan = RecordingReporters(), Plan(experiment=diverging(experiment, 1e-3, 100))
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"every learning rate .* diverges with none"):
            run_experiment(plan, tmp_path / "out", reporters)
    assert len(reporters.descriptions) == len(set(reporters.descriptions))


@pytest.mark.slow
@pytest.mark.usefixtures("no_plots")
def test_a_measured_run_that_diverges_is_scored_as_100_percent_error(
    experiment: Experiment, tmp_path: Path
) -> None:
    result = run_experiment(Plan(experiment=diverging(experiment, 1e-3)), tmp_path / "out")
    assert result.arm("none").diverged == (True, True, True)
    assert result.arm("none").values == (1.0, 1.0, 1.0)
    effect = result.comparisons[0].interval
    assert effect.estimate == pytest.approx(1 - result.arm("dropout").mean)
