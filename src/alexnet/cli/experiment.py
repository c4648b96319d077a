"""`alexnet experiment list|plan|run|report`: commands that test claims of the paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note, print_json
from alexnet.cli.experiment_plan import check_names, plan_action, protocol_of
from alexnet.cli.experiment_text import (
    describe_experiment,
    plan_text,
    result_text,
    verdicts_text,
)
from alexnet.cli.flags import dispatch, parse
from alexnet.cli.outputs.experiment_plan import plan_output
from alexnet.cli.outputs.experiments import list_output
from alexnet.cli.slow_cpu import note_slow_cpu
from alexnet.experiments.catalogue import EXPERIMENTS, experiment
from alexnet.experiments.cost import estimate_minutes
from alexnet.experiments.experiment import ProtocolName
from alexnet.experiments.formatting import format_cost
from alexnet.experiments.plan import Plan
from alexnet.experiments.speeds import Speeds, known_speeds
from alexnet.io.text import shell_command
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    pass

SMALL: tuple[ProtocolName, ...] = ("quick", "full")
"""The protocols that a machine without ImageNet runs."""

HELP = """usage: alexnet experiment ACTION ...

Test the claims of the paper and of the tutorial: several seeds, a tuned
learning rate for every arm, a plot, a report and a verdict.

  list     show each experiment's claim, source, limits and cost
  plan     how many seeds decide a claim, and the hours that they take
  run      run one experiment, or resume it; the exit code is 1 if the claim is
           not reproduced, 0 if it is reproduced or undecided
  report   write the results of finished experiments as one page

  alexnet experiment list                        all claims and their costs
  alexnet experiment plan dropout                seeds and hours that it needs
  alexnet experiment run dropout --quick         test one of them

alexnet experiment ACTION --help lists an action's flags."""


def run(arguments: Sequence[str]) -> int:
    """Run one action."""
    return dispatch(arguments, ACTIONS, HELP, "action of alexnet experiment")


@dataclass(frozen=True, kw_only=True)
class ListFlags:
    """Show each experiment's claim, source, limits and cost on this machine."""

    names: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NAME ...]")
    ] = ()
    """Experiments to show; all of them unless given."""
    measure_speed: bool = False
    """Measure how fast this machine trains their networks, a second or two each, and keep it in the
    cache folder; costs are told from then on."""
    json: bool = False
    """Print JSON."""


def list_action(arguments: Sequence[str]) -> int:
    """Print the experiments."""
    check_names(arguments)
    flags = parse(ListFlags, arguments, "experiment list")
    chosen = [experiment(name) for name in flags.names] or list(EXPERIMENTS.values())
    speeds = known_speeds()
    if flags.measure_speed:
        plans = [Plan(experiment=one, protocol_name=size) for one in chosen for size in SMALL]
        measure_speeds(speeds, plans)
    if flags.json:
        print_json(list_output(chosen, speeds))
        return 0
    print("\n\n".join(describe_experiment(one, speeds) for one in chosen))
    if any(estimate_minutes(Plan(experiment=one), speeds) is None for one in chosen):
        words = shell_command(["alexnet", "experiment", "list", *flags.names, "--measure-speed"])
        note(f"costs are not measured here yet; this does it, in a minute or two: {words}")
    return 0


def measure_speeds(speeds: Speeds, plans: Sequence[Plan]) -> None:
    """Measure the networks of plans that are not known yet, with a progress bar."""
    with ProgressReporter() as reporter:
        speeds.measure(plans, reporter.on_measure)


@dataclass(frozen=True, kw_only=True)
class RunFlags:
    """Run one experiment, or resume it."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """The experiment's name; `alexnet experiment list` shows all."""
    quick: bool = False
    """A few minutes, with smaller nets and fewer images."""
    data: Literal["small", "imagenet"] = "small"
    """small: CIFAR-10 or Oxford 17, depending on the experiment; imagenet: the paper's own size."""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = ""
    """The experiment's folder; runs/experiments/NAME-quick or NAME-full unless given."""
    seeds: int | None = None
    """Runs per arm; as the experiment says unless given. A larger number adds the missing runs."""
    exclude: tuple[str, ...] = ()
    """Arms that do not run, by name or by series."""
    data_root: str = ""
    """Folder searched for data sets first."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
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
    plan = plan_of(flags)
    out = Path(flags.out or f"runs/experiments/{flags.name}-{plan.protocol_name}")
    if flags.dry_run:
        return dry_run(plan, str(out), as_json=flags.json)
    from alexnet.experiments.results import PLOT, REPORT
    from alexnet.experiments.run import run_experiment

    cost = format_cost(estimate_minutes(plan, known_speeds(flags.device)))
    note(f"{flags.name}: about {plan.num_runs} runs into {out}, cost: {cost}")
    note_slow_cpu(flags.device)
    with ExitStack() as stack:
        try:
            result = run_experiment(plan, out, reporter_factory(stack), flags.keep_models)
        except KeyboardInterrupt:
            command = shell_command(["alexnet", "experiment", "run", *arguments])
            note(f"resume the experiment with: {command}")
            raise
    if flags.json:
        print_json(result)
    else:
        print(f"{result_text(result)}\nreport    {out / REPORT}\nplot      {out / PLOT}")
    return int(result.verdict == "not reproduced")


def dry_run(plan: Plan, out: str, *, as_json: bool) -> int:
    """Print what the experiment would run."""
    speeds = known_speeds(plan.device)
    measure_speeds(speeds, [plan])
    found = plan_output(plan, out, estimate_minutes(plan, speeds))
    print_json(found) if as_json else print(plan_text(found))
    return 0


def plan_of(flags: RunFlags) -> Plan:
    """The plan that the flags ask for.

    Raises:
        UsageError: two sizes at once, or one that the experiment does not have.
    """
    return Plan(
        experiment=experiment(flags.name),
        protocol_name=protocol_of(flags.quick, flags.data),
        num_seeds=flags.seeds,
        exclude=flags.exclude,
        data_root=flags.data_root,
        device=flags.device,
    )


def reporter_factory(stack: ExitStack) -> Callable[[str], ProgressReporter]:
    """A function that prints a run's description, closes the last reporter and opens a new one."""

    def new_reporter(description: str) -> ProgressReporter:
        stack.close()
        note(description)
        return stack.enter_context(ProgressReporter())

    return new_reporter


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """Write the results of experiments as one page; it lists the others as not run."""

    folders: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[FOLDER ...]")
    ] = ()
    """Folders of finished experiments, or of results that were kept."""
    out: str = "claims.md"
    """The Markdown page; plots are copied to images/claims beside it."""
    keep: str = ""
    """Keep the results in this folder as NAME-PROTOCOL.json, each instead of an earlier one; the
    page is then of all results in it."""
    json: bool = False
    """Print the verdicts as JSON."""


def report_action(arguments: Sequence[str]) -> int:
    """Write the page and print the verdicts."""
    flags = parse(ReportFlags, arguments, "experiment report")
    from alexnet.cli.outputs.verdicts import report_output
    from alexnet.experiments.summary_page import write_page

    keep = Path(flags.keep) if flags.keep else None
    results = write_page([Path(folder) for folder in flags.folders], Path(flags.out), keep)
    found = report_output(results, flags.out)
    if flags.json:
        print_json(found)
        return 0
    if results:
        print(verdicts_text(found))
    print(f"page      {flags.out}")
    return 0


ACTIONS = {
    "list": list_action,
    "plan": plan_action,
    "run": run_action,
    "report": report_action,
}
