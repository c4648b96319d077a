"""`alexnet experiment run`: run one experiment, or all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note, print_json, table
from alexnet.cli.experiment_plan import check_names, jobs_of, protocol_of
from alexnet.cli.experiment_text import at_once_text, plan_text, result_text
from alexnet.cli.flags import parse
from alexnet.cli.outputs.experiment_plan import plan_output
from alexnet.cli.parallel_progress import ParallelProgress
from alexnet.cli.slow_cpu import note_slow_cpu
from alexnet.errors import AlexNetError, TrainingError, UsageError
from alexnet.experiments.catalogue import EXPERIMENTS, experiment
from alexnet.experiments.cost import estimate_minutes
from alexnet.experiments.formatting import format_cost
from alexnet.experiments.plan import Plan
from alexnet.experiments.speeds import Speeds, known_speeds
from alexnet.io.text import shell_command
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.experiments.results import ExperimentResult

EXPERIMENT_RUNS = "runs/experiments"
"""The parent folder of the experiments' folders."""


def measure_speeds(speeds: Speeds, plans: Sequence[Plan]) -> None:
    """Measure the training speeds that plans need and that are not known, with a progress bar."""
    with ProgressReporter() as reporter:
        speeds.measure(plans, reporter.on_measure)


@dataclass(frozen=True, kw_only=True)
class RunFlags:
    """Run one experiment, or all, or resume."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = ""
    """The experiment's name; `alexnet experiment list` shows all."""
    all: bool = False
    """Run all experiments, the shortest first; one that fails does not stop the others."""
    quick: bool = False
    """A few minutes, with smaller nets and fewer images."""
    data: Literal["small", "imagenet"] = "small"
    """small: CIFAR-10 or Oxford 17, depending on the experiment; imagenet: the paper's own size."""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = ""
    """The experiment's folder; runs/experiments/NAME-quick or NAME-full unless given. With --all,
    the folder of these folders."""
    seeds: int | None = None
    """Runs per arm; as the experiment says unless given. A larger number adds the missing runs."""
    exclude: tuple[str, ...] = ()
    """Arms that do not run, by name or by series."""
    data_root: str = ""
    """Folder searched for data sets first."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    jobs: int | None = None
    """Runs at once, which share the threads. Unless given: one for every core of a CPU, up to 8 on
    one GPU, and 1 with --data imagenet."""
    keep_models: bool = False
    """Keep the model files of all runs; otherwise each is removed after its evaluation."""
    dry_run: bool = False
    """Print the arms, what differs, the runs, images and estimated time, for which the speed of
    their networks is measured if it is not known; run nothing."""
    json: bool = False
    """Print the result as JSON."""


def run_action(arguments: Sequence[str]) -> int:
    """Run an experiment and print its effects; the exit code is 1 if a claim is not reproduced."""
    check_names(arguments)
    flags = parse(RunFlags, arguments, "experiment run")
    check_run_flags(flags)
    if flags.all:
        return run_all(flags, arguments)
    plan = plan_of(flags, flags.name)
    out = Path(flags.out or f"{EXPERIMENT_RUNS}/{flags.name}-{plan.protocol_name}")
    if flags.dry_run:
        return dry_run(plan, str(out), flags)
    from alexnet.experiments.results import PLOT, REPORT

    result = run_plan(plan, out, flags, arguments)
    if flags.json:
        print_json(result)
    else:
        print(f"{result_text(result)}\nreport    {out / REPORT}\nplot      {out / PLOT}")
    return int(result.verdict == "not reproduced")


def check_run_flags(flags: RunFlags) -> None:
    """Check which experiments are named, and flags that exclude each other.

    Raises:
        UsageError: no experiment is named, or two flags exclude each other.
    """
    if not (flags.name or flags.all):
        raise UsageError("name an experiment, or run all of them with --all")
    if flags.all and (flags.name or flags.exclude or flags.json or flags.dry_run):
        raise UsageError("--all is not for NAME, --exclude, --json and --dry-run; leave them out")


def run_plan(plan: Plan, out: Path, flags: RunFlags, arguments: Sequence[str]) -> ExperimentResult:
    """Run an experiment and show its progress; if interrupted, print how to resume it."""
    from alexnet.experiments.run import run_experiment

    jobs = jobs_of(flags.jobs, flags.data, flags.device)
    minutes = estimate_minutes(plan, known_speeds(flags.device, jobs), jobs)
    note(
        f"{plan.experiment.name}: about {plan.num_runs} runs{at_once_text(jobs)} into {out}, "
        f"cost: {format_cost(minutes)}"
    )
    note_slow_cpu(flags.device)
    try:
        if jobs == 1:
            return run_experiment(plan, out, shown_run, flags.keep_models)
        with ParallelProgress() as progress:
            return run_experiment(plan, out, progress.run, flags.keep_models, jobs)
    except KeyboardInterrupt:
        command = shell_command(["alexnet", "experiment", "run", *arguments])
        note(f"resume the experiment with: {command}")
        raise


@contextmanager
def shown_run(description: str) -> Iterator[ProgressReporter]:
    """A context that prints a run's description and gives the reporter of its progress."""
    note(description)
    with ProgressReporter() as reporter:
        yield reporter


def run_all(flags: RunFlags, arguments: Sequence[str]) -> int:
    """Run all experiments that have the protocol, and print their verdicts."""
    protocol, folder = protocol_of(flags.quick, flags.data), Path(flags.out or EXPERIMENT_RUNS)
    names = [name for name, one in EXPERIMENTS.items() if protocol in one.protocols]
    verdicts: list[tuple[str, str]] = []
    failures: list[str] = []
    for plan in shortest_first([plan_of(flags, name) for name in names], flags):
        name = plan.experiment.name
        try:
            result = run_plan(plan, folder / f"{name}-{protocol}", flags, arguments)
            verdicts.append((name, result.verdict))
        except AlexNetError as error:
            note(f"{name} failed: {error}")
            failures.append(f"{name}: {error}")
    print(table(("experiment", "verdict"), verdicts, left=2))
    if failures:
        raise TrainingError(f"{len(failures)} of {len(names)} failed: {'; '.join(failures)}")
    return int("not reproduced" in [verdict for _, verdict in verdicts])


def shortest_first(plans: Sequence[Plan], flags: RunFlags) -> list[Plan]:
    """The plans sorted by estimated time; training speeds that are not known are measured."""
    speeds = known_speeds(flags.device, jobs_of(flags.jobs, flags.data, flags.device))
    if flags.data != "imagenet":
        measure_speeds(speeds, plans)
    return sorted(plans, key=lambda plan: estimate_minutes(plan, speeds) or 0.0)


def dry_run(plan: Plan, out: str, flags: RunFlags) -> int:
    """Print what the experiment would run."""
    jobs = jobs_of(flags.jobs, flags.data, flags.device)
    speeds = known_speeds(plan.device, jobs)
    measure_speeds(speeds, [plan])
    found = plan_output(plan, out, jobs, estimate_minutes(plan, speeds, jobs))
    print_json(found) if flags.json else print(plan_text(found))
    return 0


def plan_of(flags: RunFlags, name: str) -> Plan:
    """The plan of an experiment that the flags ask for.

    Raises:
        UsageError: the flags ask for two protocols, or for one that the experiment does not have.
    """
    return Plan(
        experiment=experiment(name),
        protocol_name=protocol_of(flags.quick, flags.data),
        num_seeds=flags.seeds,
        exclude=flags.exclude,
        data_root=flags.data_root,
        device=flags.device,
    )
