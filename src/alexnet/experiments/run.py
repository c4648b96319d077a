"""Runs an experiment, or resumes one: every training is a run folder of its own.

    OUT/plan.json                  what is run here
    OUT/runs/ARM-rLR-tuningSEED    tuning runs for a seed
    OUT/runs/ARM-rLR-sSEED         measured runs, with `outcome-1.json` (or -10) once evaluated
    OUT/result.json plot.png report.md

Every seed is a whole experiment: the learning rate is tuned anew, with a seed that no measured run
has, and a network is trained with it. So the choice of the learning rate is a part of the spread
between seeds, which the intervals are made of.

A finished run is not repeated, and an interrupted one is resumed. So is the whole experiment.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict
from alexnet.errors import TrainingError, UsageError
from alexnet.experiments.experiment import SPEED_MEASURES, Arm, Measure
from alexnet.experiments.initial_weights import check_initial_weights, initial_weights
from alexnet.experiments.measure import measure_diverged, read_history
from alexnet.experiments.outcome import Outcome, read_outcome
from alexnet.experiments.plan import Plan, TrainingSpec
from alexnet.experiments.report import write_report
from alexnet.experiments.results import ExperimentResult, Machine, Trials, summarize
from alexnet.experiments.schedule import Schedule
from alexnet.experiments.task import (
    Task,
    carry_out,
    check_same_recipe,
    outcome_of,
    outcome_path,
)
from alexnet.experiments.tuning import LRTrial, best_trial, choose_lr, next_lrs
from alexnet.io.files import write_text
from alexnet.records import EpochRecord
from alexnet.reporter import NullReporter
from alexnet.runtime.device import choose_device
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.runtime.signals import StopRequest, TrainingInterrupted
from alexnet.runtime.workers import NewReporter, Workers
from alexnet.training.run_folder import RunFolder, has_diverged, remove_models

MARGIN = 1.5
"""Tuning runs for `epochs_to_error` end after this many times the epochs of the best one."""

POLL_SECONDS = 0.2
"""Time after which an interruption is noticed while the workers report nothing."""


@dataclass(eq=False)
class Session:
    """One call of `run_experiment`: the plan, the output folder, and what is known so far."""

    plan: Plan
    out: Path
    new_reporter: NewReporter
    keep_models: bool
    num_started: int = 0
    trials: dict[tuple[str, int], tuple[LRTrial, ...]] = field(default_factory=dict)
    """The tuning runs of an arm and a seed, once the search has ended."""

    def start(self, task: Task) -> str:
        """The description, for the user, of a task that begins; "" if it is finished already.

        Raises:
            UsageError: the folder holds a run of another recipe.
        """
        self.num_started += 1
        check_same_recipe(task)
        if not task.is_finished:
            return f"run {self.num_started} of about {self.plan.num_runs}: {task.description}"
        if not task.keep_models:
            remove_models(task.run)
        return ""

    def lr(self, spec: TrainingSpec, seed: int) -> float:
        """The learning rate of a training with a seed, which is tuned already.

        Raises:
            TrainingError: every learning rate diverged.
        """
        arm = spec.lr_source
        trials = self.trials.get((arm.name, seed))
        if not trials:
            return self.plan.lr_grid(arm)[0]
        best = best_trial(trials)
        if best.has_diverged:
            lrs = ", ".join(f"{trial.lr:g}" for trial in trials)
            raise TrainingError(f"every learning rate of {lrs} diverges with {arm.name}")
        return choose_lr(trials)

    def with_initial_weights(self, recipe: Recipe, arm: Arm, seed: int) -> Recipe:
        """The recipe with the file of the arm's initial weights."""
        return replace(recipe, init_from=initial_weights(self.plan, arm, self.out, seed))


def run_experiment(
    plan: Plan,
    out: Path,
    new_reporter: NewReporter = lambda description: nullcontext(NullReporter()),
    keep_models: bool = False,
    jobs: int = 1,
) -> ExperimentResult:
    """Do the missing runs of an experiment, evaluate them, and write result, plot and report.

    Args:
        plan: the experiment at one size.
        out: its folder; new, or of the same experiment.
        new_reporter: called before every training; gives its reporter.
        keep_models: whether the measured networks are kept on disk.
        jobs: runs at once, in processes that share the threads of this one.

    Raises:
        UsageError: the folder belongs to something else.
        AlexNetError: the data or the initial weights cannot be used.
        TrainingInterrupted: SIGINT or SIGTERM came; checkpoints are saved.
    """
    check_initial_weights(plan)
    claim_output_folder(plan, out)
    session = Session(plan, out, new_reporter, keep_models)
    schedule = Schedule(
        tasks_of(session, arm, seed)
        for seed in plan.seeds
        for arm in plan.lr_sources
        if seed in plan.seeds_of_tuning(arm)
    )
    if jobs == 1:
        do_one_by_one(session, schedule)
    else:
        do_at_once(session, schedule, jobs)
    result = collect_result(session)
    write_report(result, read_histories(session), out)
    return result


def do_one_by_one(session: Session, schedule: Schedule) -> None:
    """Carry out all tasks in this process."""
    while task := schedule.next():
        if description := session.start(task):
            with session.new_reporter(description) as reporter:
                carry_out(task, reporter)
        schedule.finish(task)


def do_at_once(session: Session, schedule: Schedule, jobs: int) -> None:
    """Carry out the tasks in `jobs` processes.

    Raises:
        TrainingError: a task failed, or its process was killed; the others end, too.
        TrainingInterrupted: SIGINT or SIGTERM came; checkpoints are saved.
    """
    stop = StopRequest()
    with stop.listening(), Workers(jobs, carry_out) as workers:
        while True:
            begin_tasks(session, schedule, workers)
            if workers.num_free == jobs:
                return
            for task in workers.finished(POLL_SECONDS):
                schedule.finish(task)
            if stop.signal_number:
                message = "interrupted; the trainings that were running have saved a checkpoint"
                raise TrainingInterrupted(message, stop.signal_number)


def begin_tasks(session: Session, schedule: Schedule, workers: Workers[Task]) -> None:
    """Give every idle worker a task; tasks that are finished already are skipped."""
    while workers.num_free and (task := schedule.next()):
        if description := session.start(task):
            workers.begin(task, session.new_reporter(description))
        else:
            schedule.finish(task)


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


def tasks_of(session: Session, source: Arm, seed: int) -> Iterator[list[Task]]:
    """Tune an arm with a seed, then do the measured runs with its learning rate.

    Yields:
        Tasks that do not depend on each other. They must be finished before the next are asked for.
    """
    plan = session.plan
    if source in plan.tuned_arms:
        trials: list[LRTrial] = []
        while lrs := lrs_to_try(plan, source, trials):
            tasks = [tuning_task(session, source, lr, seed, trials) for lr in lrs]
            yield tasks
            measure = plan.experiment.measure
            trials += [read_trial(t, measure) for t in tasks]
        session.trials[source.name, seed] = tuple(trials)
    specs = [spec for spec in plan.trainings if spec.lr_source == source]
    yield [
        measured_task(session, spec, seed) for spec in specs if seed in plan.seeds_of_training(spec)
    ]


def lrs_to_try(plan: Plan, arm: Arm, trials: Sequence[LRTrial]) -> tuple[float, ...]:
    """The learning rates that are tried next, together; none when the search has ended.

    With epochs to an error, one at a time: each run ends when it is much slower than the best one.
    """
    lrs = next_lrs(plan.lr_grid(arm), trials)
    return lrs[:1] if plan.experiment.measure == "epochs_to_error" else lrs


def tuning_task(
    session: Session, arm: Arm, lr: float, seed: int, trials: Sequence[LRTrial]
) -> Task:
    """The tuning run of one learning rate.

    The best tuning run is not also the measured one: as the best of several noisy values it would
    be too low, and more so for an arm that tried more.
    """
    plan = session.plan
    max_epochs = None
    if plan.experiment.measure == "epochs_to_error" and trials:
        max_epochs = epochs_worth_waiting(best_trial(trials))
    recipe = plan.tuning_recipe(arm, lr, seed, max_epochs)
    return Task(
        path=run_path(session.out, arm, lr, f"tuning{seed}"),
        recipe=session.with_initial_weights(recipe, arm, seed),
        description=f"{arm.name}, tuning for seed {seed}, learning rate {lr:g}",
        measure=plan.experiment.measure,
    )


def epochs_worth_waiting(best: LRTrial) -> int | None:
    """Epochs after which a run that has not reached its target need not go on; None: unknown.

    A run that reaches it in epoch e has a value of at most e - 0.5. With the margin, neighbors of
    the best learning rate reach it, too, and tell where between them the lowest point is.
    """
    is_reached = not (best.is_censored or best.has_diverged)
    return math.ceil(MARGIN * best.value + 0.5) if is_reached else None


def measured_task(session: Session, spec: TrainingSpec, seed: int) -> Task:
    """A measured run, with an outcome for every arm that it serves."""
    plan, arm, lr = session.plan, spec.arm, session.lr(spec, seed)
    return Task(
        path=run_path(session.out, arm, lr, f"s{seed}"),
        recipe=session.with_initial_weights(plan.recipe(arm, lr, seed), arm, seed),
        description=f"{arm.name}, learning rate {lr:g}, seed {seed}",
        measure=plan.experiment.measure,
        crops=tuple(dict.fromkeys(served.crops for served in spec.serves)),
        keep_models=session.keep_models,
    )


def run_path(out: Path, arm: Arm, lr: float, suffix: str) -> Path:
    """The folder of one training; the suffix is "tuning" or "s" and the seed."""
    return out / "runs" / f"{arm.name}-r{lr:g}-{suffix}"


def read_trial(task: Task, measure: Measure) -> LRTrial:
    """The result of a finished tuning run."""
    run, lr = task.run, task.recipe.optimizer.lr
    if has_diverged(run):
        value = measure_diverged(task.recipe, measure).value
        return LRTrial(lr=lr, value=value, loss=None, has_diverged=True)
    last = read_history(run.path)[-1]
    if measure in SPEED_MEASURES:
        outcome = outcome_of(task, 1)
        censored = outcome.is_censored
        return LRTrial(lr=lr, value=outcome.value, loss=last.train_loss, is_censored=censored)
    if last.eval_top1_error is None or last.eval_loss is None:
        raise TrainingError(f"{run.path} has no validation images to choose a learning rate by")
    return LRTrial(lr=lr, value=last.eval_top1_error, loss=last.eval_loss)


def collect_result(session: Session) -> ExperimentResult:
    """The result of an experiment whose runs have ended."""
    plan, out = session.plan, session.out
    outcomes: dict[str, list[Outcome]] = {arm.name: [] for arm in plan.arms}
    lrs: dict[str, list[float]] = {arm.name: [] for arm in plan.arms}
    for arm in plan.arms:
        spec = plan.training_of(arm)
        for seed in plan.seeds_of(arm):
            run = measured_task(session, spec, seed).run
            outcomes[arm.name].append(read_outcome(outcome_path(run, arm.crops)))
            lrs[arm.name].append(session.lr(spec, seed))
    seconds = total_training_seconds(out)
    machines = machines_of(out) or [this_machine(plan)]
    return summarize(plan, outcomes, lrs, all_trials(session), seconds, machines)


def machines_of(out: Path) -> list[Machine]:
    """The machines that an experiment's runs ran on, as far as known, that of most runs first."""
    plain = (RunFolder(path).read_environment() for path in sorted(out.glob("runs/*")))
    counts = Counter(from_dict(Environment, one, "environment.json") for one in plain if one)
    return [Machine(environment=one, num_runs=n) for one, n in counts.most_common()]


def this_machine(plan: Plan) -> Machine:
    """The machine that this runs on, where the files of the runs do not say where they ran."""
    return Machine(environment=describe_environment(choose_device(plan.device)), num_runs=0)


def all_trials(session: Session) -> Trials:
    """The tuning runs of every tuned arm, for each seed."""
    plan = session.plan
    return {
        arm.name: [session.trials[arm.name, seed] for seed in plan.seeds_of_tuning(arm)]
        for arm in plan.tuned_arms
    }


def total_training_seconds(out: Path) -> float:
    """Training time of all finished runs."""
    paths = sorted(out.glob("runs/*/result.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return float(sum(result.get("training_seconds", 0.0) for result in results))


def read_histories(session: Session) -> Mapping[str, list[list[EpochRecord]]]:
    """The learning curves of every arm that trains, one for each seed."""
    plan = session.plan
    return {
        spec.arm.name: [
            read_history(measured_task(session, spec, seed).path)
            for seed in plan.seeds_of_training(spec)
        ]
        for spec in plan.trainings
    }
