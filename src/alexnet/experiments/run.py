"""Runs an experiment, and goes on with one: every training is a run folder of its own.

    OUT/plan.json            what is run here
    OUT/runs/ARM-rR-tuning   tries of a rate, judged by pictures taken out of the training
    OUT/runs/ARM-rR-sS       measured runs, with `outcome-1.json` (or -10) once they are judged
    OUT/result.json plot.png report.md

A run that has ended is not run again, and one that was stopped goes on. So is the experiment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError, TrainingError, UsageError
from alexnet.experiments.experiment import Arm
from alexnet.experiments.initial_weights import check_first_weights, first_weights
from alexnet.experiments.measure import curve, measure_diverged, measure_run
from alexnet.experiments.outcome import Outcome, read_outcome, write_value
from alexnet.experiments.plan import Plan
from alexnet.experiments.report import write_report
from alexnet.experiments.results import Findings, RateTrial, summarize
from alexnet.io.files import remove_folder, write_text
from alexnet.records import EpochRecord
from alexnet.reporter import NullReporter, Reporter
from alexnet.runtime.device import choose_device
from alexnet.runtime.environment import describe_environment
from alexnet.training.run_folder import RunFolder, read_recipe
from alexnet.training.setup import resolve_paths
from alexnet.training.trainer import resume, train

DIVERGED = "diverged.txt"
"""In a run folder: why it ended before its time."""

Announce = Callable[[str], Reporter]
"""Told what comes next, gives the reporter of it."""


@dataclass(eq=False)
class Session:
    """One going at an experiment: where it writes, whom it tells, how far it is."""

    plan: Plan
    out: Path
    announce: Announce
    keeps_models: bool
    done: int = 0

    def run(self, path: Path, recipe: Recipe, what: str) -> RunFolder:
        """The finished run at `path`, trained now or gone on with where it is not finished.

        A run whose loss is not finite ends with the file `diverged.txt`.

        Raises:
            UsageError: the folder holds a run of another recipe.
        """
        self.done += 1
        folder = RunFolder(path)
        check_same(folder, recipe)
        if folder.result.exists() or (path / DIVERGED).exists():
            return folder
        reporter = self.announce(f"run {self.done} of {self.plan.num_runs}: {what}")
        try:
            if folder.config.exists():
                resume(path, reporter=reporter)
            else:
                remove_folder(path)
                train(recipe, out=path, reporter=reporter)
        except DivergedError as error:
            reporter.note(str(error))
            write_text(path / DIVERGED, f"{error}\n")
        return folder

    def recipe(self, recipe: Recipe, arm: Arm) -> Recipe:
        """The recipe with the file of its first weights."""
        start = first_weights(self.plan, arm, self.out)
        return replace(recipe, init_from=start)


def run_experiment(
    plan: Plan,
    out: Path,
    announce: Announce = lambda heading: NullReporter(),
    keeps_models: bool = False,
) -> Findings:
    """Run what is missing of an experiment, judge it, and write result, picture and report.

    Args:
        plan: the experiment at one size.
        out: its folder; new, or of the same experiment.
        announce: told before every training, gives the reporter of it.
        keeps_models: whether measured networks stay on the disk.

    Raises:
        UsageError: the folder belongs to something else.
        AlexNetError: the data or the first weights cannot be used.
    """
    check_first_weights(plan)
    begin(plan, out)
    session = Session(plan, out, announce, keeps_models)
    trials = {arm.name: tried(session, arm) for arm in plan.tuned_arms}
    rates = {arm.name: chosen_rate(plan, arm, trials) for arm in plan.trained_arms}
    recipes: dict[str, Recipe] = {}
    outcomes: dict[str, list[Outcome]] = {arm.name: [] for arm in plan.arms}
    for seed in plan.seeds:
        for arm in plan.trained_arms:
            run = measured_run(session, arm, rates[arm.name], seed)
            for other in (one for one in plan.arms if one.trains_as(arm)):
                outcomes[other.name].append(read_outcome(outcome_path(run, other)))
                recipes.setdefault(other.name, read_recipe(run.config))
    environment = describe_environment(choose_device(plan.device))
    seconds = training_seconds(out)
    findings = summarize(plan, outcomes, recipes, trials, seconds, environment)
    write_report(findings, curves(plan, out, rates), out)
    return findings


def begin(plan: Plan, out: Path) -> None:
    """Make the experiment's folder, or make sure that it is this experiment's.

    Raises:
        UsageError: it belongs to something else.
    """
    path, mine = out / "plan.json", [plan.experiment.name, plan.protocol_name]
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != mine:
            raise UsageError(
                f"{out} holds the experiment {' '.join(map(str, found))}; choose another --out"
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there and holds no experiment; choose another --out")
    else:
        write_text(path, json.dumps(mine) + "\n")


def check_same(folder: RunFolder, recipe: Recipe) -> None:
    """Refuse a folder in which something else was trained.

    Raises:
        UsageError: its recipe is another one.
    """
    if folder.config.exists() and read_recipe(folder.config) != resolve_paths(recipe):
        raise UsageError(
            f"{folder.path} was trained by another recipe than this experiment's now; remove it to "
            "train it again, or choose another --out"
        )


def run_path(out: Path, arm: Arm, rate: float, seed: int | str) -> Path:
    """The folder of one training."""
    return out / "runs" / f"{arm.name}-r{rate:g}-{seed}"


def tried(session: Session, arm: Arm) -> tuple[RateTrial, ...]:
    """Every rate of the grid, tried once with one arm."""
    trials = []
    for rate in session.plan.protocol.rates:
        recipe = session.recipe(session.plan.tuning_recipe(arm, rate), arm)
        path = run_path(session.out, arm, rate, "tuning")
        run = session.run(path, recipe, f"{arm.name}, trying the rate {rate:g}")
        drop_models(run)
        trials.append(trial(run, rate))
    return tuple(trials)


def trial(run: RunFolder, rate: float) -> RateTrial:
    """What a try of a rate came to."""
    if (run.path / DIVERGED).exists():
        return RateTrial(rate=rate, val_error=1.0, val_loss=1e9, has_diverged=True)
    last = curve(run.path)[-1]
    if last.eval_top1_error is None or last.eval_loss is None:
        raise TrainingError(f"{run.path} has no validation images to choose a learning rate by")
    return RateTrial(
        rate=rate,
        val_error=last.eval_top1_error,
        val_loss=last.eval_loss,
        has_diverged=False,
    )


def chosen_rate(plan: Plan, arm: Arm, trials: dict[str, tuple[RateTrial, ...]]) -> float:
    """The rate with the fewest validation errors; of equals that with the lowest loss.

    Raises:
        TrainingError: every rate diverged.
    """
    found = trials.get(plan.trained_by(plan.tunes(arm)).name)
    if not found:
        return plan.protocol.rates[0]
    best = min(found, key=lambda one: (one.has_diverged, one.val_error, one.val_loss, one.rate))
    if best.has_diverged:
        raise TrainingError(f"every rate of {plan.protocol.rates} diverges with {arm.name}")
    return best.rate


def measured_run(session: Session, arm: Arm, rate: float, seed: int) -> RunFolder:
    """One run, with an outcome for every arm that it serves."""
    plan = session.plan
    recipe = session.recipe(plan.recipe(arm, rate, seed), arm)
    run = RunFolder(run_path(session.out, arm, rate, f"s{seed}"))
    served = [one for one in plan.arms if one.trains_as(arm)]
    if any(has_lost_its_model(run, plan, one) for one in served):
        remove_folder(run.path)
    session.run(run.path, recipe, f"{arm.name}, rate {rate:g}, seed {seed}")
    for other in served:
        if not outcome_path(run, other).exists():
            write_value(outcome_path(run, other), judged(plan, run, other))
    if not session.keeps_models:
        drop_models(run)
    return run


def has_lost_its_model(run: RunFolder, plan: Plan, arm: Arm) -> bool:
    """Whether a finished run cannot be judged for this arm any more, and has to be run again."""
    needs_model = plan.experiment.measure in ("test_error", "train_error")
    is_judged = outcome_path(run, arm).exists() or (run.path / DIVERGED).exists()
    return needs_model and run.result.exists() and not is_judged and not run.model.exists()


def judged(plan: Plan, run: RunFolder, arm: Arm) -> Outcome:
    """The outcome of a run that has ended."""
    measure = plan.experiment.measure
    if (run.path / DIVERGED).exists():
        return measure_diverged(read_recipe(run.config), measure)
    return measure_run(run, measure, arm.crops, NullReporter())


def outcome_path(run: RunFolder, arm: Arm) -> Path:
    """Where the outcome of a run is kept, by the number of views."""
    return run.path / f"outcome-{arm.crops}.json"


def drop_models(run: RunFolder) -> None:
    """Remove the networks of a run; its recipe makes them again."""
    for path in (run.model, run.last):
        path.unlink(missing_ok=True)


def training_seconds(out: Path) -> float:
    """Of all runs that have ended."""
    results = [json.loads(path.read_text()) for path in sorted(out.glob("runs/*/result.json"))]
    return float(sum(result.get("training_seconds", 0.0) for result in results))


def curves(plan: Plan, out: Path, rates: dict[str, float]) -> dict[str, list[list[EpochRecord]]]:
    """For every arm that trains, the learning curve of every seed."""
    return {
        arm.name: [curve(run_path(out, arm, rates[arm.name], f"s{seed}")) for seed in plan.seeds]
        for arm in plan.trained_arms
    }
