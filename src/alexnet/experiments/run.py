"""Runs an experiment, or resumes one: every training is a run folder of its own.

    OUT/plan.json             what is run here
    OUT/runs/ARM-rLR-tuning   tuning runs, validated on held-out training images
    OUT/runs/ARM-rLR-sSEED    measured runs, with `outcome-1.json` (or -10) once evaluated
    OUT/result.json plot.png report.md

A finished run is not repeated, and an interrupted one is resumed. So is the whole experiment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError, TrainingError, UsageError
from alexnet.experiments.experiment import Arm
from alexnet.experiments.initial_weights import check_initial_weights, initial_weights
from alexnet.experiments.measure import measure_diverged, measure_run, read_history
from alexnet.experiments.outcome import Outcome, read_outcome, write_outcome
from alexnet.experiments.plan import Plan, TrainingSpec
from alexnet.experiments.report import write_report
from alexnet.experiments.results import ExperimentResult, LRTrial, summarize
from alexnet.io.files import remove_folder, write_text
from alexnet.records import EpochRecord
from alexnet.reporter import NullReporter, Reporter
from alexnet.runtime.device import choose_device
from alexnet.runtime.environment import describe_environment
from alexnet.training.initial_weights import resolve_paths
from alexnet.training.run_folder import RunFolder, read_recipe
from alexnet.training.trainer import resume, train

NewReporter = Callable[[str], Reporter]
"""Takes the description of the next run and gives its reporter."""


@dataclass(eq=False)
class Session:
    """One call of `run_experiment`: the plan, the output folder, and the current run's number."""

    plan: Plan
    out: Path
    new_reporter: NewReporter
    keep_models: bool
    num_started: int = 0

    def run(self, path: Path, recipe: Recipe, description: str) -> RunFolder:
        """The finished run at `path`; it is trained or resumed if it is not finished.

        Raises:
            UsageError: the folder holds a run of another recipe.
        """
        self.num_started += 1
        folder = RunFolder(path)
        check_same_recipe(folder, recipe)
        if folder.result.exists() or has_diverged(folder):
            return folder
        progress = f"run {self.num_started} of {self.plan.num_runs}"
        reporter = self.new_reporter(f"{progress}: {description}")
        try:
            if folder.config.exists():
                resume(path, reporter=reporter)
            else:
                remove_folder(path)
                train(recipe, out=path, reporter=reporter)
        except DivergedError as error:
            reporter.note(str(error))
        return folder

    def with_initial_weights(self, recipe: Recipe, arm: Arm) -> Recipe:
        """The recipe with the file of the arm's initial weights."""
        return replace(recipe, init_from=initial_weights(self.plan, arm, self.out))


def run_experiment(
    plan: Plan,
    out: Path,
    new_reporter: NewReporter = lambda description: NullReporter(),
    keep_models: bool = False,
) -> ExperimentResult:
    """Do the missing runs of an experiment, evaluate them, and write result, plot and report.

    Args:
        plan: the experiment at one size.
        out: its folder; new, or of the same experiment.
        new_reporter: called before every training; gives its reporter.
        keep_models: whether the measured networks are kept on disk.

    Raises:
        UsageError: the folder belongs to something else.
        AlexNetError: the data or the initial weights cannot be used.
    """
    check_initial_weights(plan)
    claim_output_folder(plan, out)
    session = Session(plan, out, new_reporter, keep_models)
    trials = {arm.name: tune_lr(session, arm) for arm in plan.tuned_arms}
    lrs = {spec.arm.name: best_lr(plan, spec, trials) for spec in plan.trainings}
    own_lrs: dict[str, list[float]] = {arm.name: [] for arm in plan.arms}
    outcomes: dict[str, list[Outcome]] = {arm.name: [] for arm in plan.arms}
    for seed in plan.seeds:
        for spec in plan.trainings:
            run = measured_run(session, spec, lrs[spec.arm.name], seed)
            for arm in spec.serves:
                outcomes[arm.name].append(read_outcome(outcome_path(run, arm)))
                own_lrs[arm.name].append(lrs[spec.arm.name])
    environment = describe_environment(choose_device(plan.device))
    seconds = total_training_seconds(out)
    result = summarize(plan, outcomes, own_lrs, trials, seconds, environment)
    write_report(result, read_histories(plan, out, lrs), out)
    return result


def claim_output_folder(plan: Plan, out: Path) -> None:
    """Create the experiment's folder, or check that it belongs to this experiment.

    Raises:
        UsageError: it belongs to something else.
    """
    path, own = out / "plan.json", [plan.experiment.name, plan.protocol_name]
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != own:
            raise UsageError(
                f"{out} holds the experiment {' '.join(map(str, found))}; choose another --out"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and holds no experiment; choose another --out")
    else:
        write_text(path, json.dumps(own) + "\n")


def check_same_recipe(folder: RunFolder, recipe: Recipe) -> None:
    """Check that a run folder is new or of this recipe.

    Raises:
        UsageError: its recipe is another one.
    """
    if folder.config.exists() and read_recipe(folder.config) != resolve_paths(recipe):
        raise UsageError(
            f"{folder.path} was trained with another recipe than the experiment's current one; "
            "remove it to train it again, or choose another --out"
        )


def run_path(out: Path, arm: Arm, lr: float, suffix: str) -> Path:
    """The folder of one training; the suffix is "tuning" or "s" and the seed."""
    return out / "runs" / f"{arm.name}-r{lr:g}-{suffix}"


def has_diverged(run: RunFolder) -> bool:
    """Whether the run ended because its loss became infinite or NaN."""
    return run.diverged.exists()


def tune_lr(session: Session, arm: Arm) -> tuple[LRTrial, ...]:
    """A tuning run of an arm for every learning rate of the grid."""
    trials = []
    for lr in session.plan.protocol.lr_grid:
        recipe = session.with_initial_weights(session.plan.tuning_recipe(arm, lr), arm)
        path = run_path(session.out, arm, lr, "tuning")
        run = session.run(path, recipe, f"{arm.name}, tuning, learning rate {lr:g}")
        remove_models(run)
        trials.append(read_trial(run, lr))
    return tuple(trials)


def read_trial(run: RunFolder, lr: float) -> LRTrial:
    """The result of a finished tuning run."""
    if has_diverged(run):
        return LRTrial(lr=lr, val_error=1.0, val_loss=None, has_diverged=True)
    last = read_history(run.path)[-1]
    if last.eval_top1_error is None or last.eval_loss is None:
        raise TrainingError(f"{run.path} has no validation images to choose a learning rate by")
    return LRTrial(
        lr=lr,
        val_error=last.eval_top1_error,
        val_loss=last.eval_loss,
        has_diverged=False,
    )


def best_lr(plan: Plan, spec: TrainingSpec, trials: Mapping[str, tuple[LRTrial, ...]]) -> float:
    """The learning rate with the lowest validation error; ties go to the lowest validation loss.

    Raises:
        TrainingError: every learning rate diverged.
    """
    found = trials.get(spec.lr_source.name)
    if not found:
        return plan.protocol.lr_grid[0]
    best = min(found, key=lambda t: (t.has_diverged, t.val_error, t.val_loss, t.lr))
    if best.has_diverged:
        raise TrainingError(
            f"every learning rate of {plan.protocol.lr_grid} diverges with {spec.lr_source.name}"
        )
    return best.lr


def measured_run(session: Session, spec: TrainingSpec, lr: float, seed: int) -> RunFolder:
    """One run, with an outcome for every arm that it serves."""
    plan, arm = session.plan, spec.arm
    recipe = session.with_initial_weights(plan.recipe(arm, lr, seed), arm)
    run = RunFolder(run_path(session.out, arm, lr, f"s{seed}"))
    if any(needs_retraining(run, plan, served) for served in spec.serves):
        remove_folder(run.path)
    session.run(run.path, recipe, f"{arm.name}, learning rate {lr:g}, seed {seed}")
    for served in spec.serves:
        if not outcome_path(run, served).exists():
            write_outcome(outcome_path(run, served), measure(plan, run, served))
    if not session.keep_models:
        remove_models(run)
    return run


def needs_retraining(run: RunFolder, plan: Plan, arm: Arm) -> bool:
    """Whether a finished run can no longer be evaluated, since its model has been removed."""
    needs_model = plan.experiment.measure in ("test_error", "train_error")
    is_measured = outcome_path(run, arm).exists() or has_diverged(run)
    return needs_model and run.result.exists() and not is_measured and not run.model.exists()


def measure(plan: Plan, run: RunFolder, arm: Arm) -> Outcome:
    """The outcome of a run that has ended."""
    if has_diverged(run):
        return measure_diverged(read_recipe(run.config), plan.experiment.measure)
    return measure_run(run, plan.experiment.measure, arm.crops, NullReporter())


def outcome_path(run: RunFolder, arm: Arm) -> Path:
    """Where an arm's outcome of a run is kept; arms of one run differ in the number of crops."""
    return run.path / f"outcome-{arm.crops}.json"


def remove_models(run: RunFolder) -> None:
    """Remove the networks and the state of a run; its recipe makes them again."""
    run.remove_checkpoints()
    for path in (run.model, run.last):
        path.unlink(missing_ok=True)


def total_training_seconds(out: Path) -> float:
    """Training time of all finished runs."""
    paths = sorted(out.glob("runs/*/result.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return float(sum(result.get("training_seconds", 0.0) for result in results))


def read_histories(
    plan: Plan, out: Path, lrs: Mapping[str, float]
) -> dict[str, list[list[EpochRecord]]]:
    """For every arm that trains, the learning curve of every seed."""
    return {
        arm.name: [
            read_history(run_path(out, arm, lrs[arm.name], f"s{seed}")) for seed in plan.seeds
        ]
        for arm in (spec.arm for spec in plan.trainings)
    }
