"""`alexnet experiment list|plan|run|report`: commands that test claims of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from alexnet.cli.console import note, print_json
from alexnet.cli.experiment_plan import check_names, plan_action
from alexnet.cli.experiment_run import measure_speeds, run_action
from alexnet.cli.experiment_text import describe_experiment, verdicts_text
from alexnet.cli.flags import dispatch, parse
from alexnet.cli.outputs.experiments import list_output
from alexnet.errors import UsageError
from alexnet.experiments.catalogue import EXPERIMENTS, experiment
from alexnet.experiments.cost import estimate_minutes
from alexnet.experiments.experiment import ProtocolName
from alexnet.experiments.plan import Plan
from alexnet.experiments.speeds import known_speeds
from alexnet.io.text import shell_command

SMALL: tuple[ProtocolName, ...] = ("quick", "full")
"""The protocols that can be run without ImageNet."""

HELP = """usage: alexnet experiment ACTION ...

Test the claims of the paper and of the tutorial: several seeds, a tuned
learning rate for every arm, a plot, a report and a verdict.

  list     show each experiment's claim, source, limits and cost
  plan     how many seeds decide a claim, and the hours that they take
  run      run one experiment or all, or resume; the exit code is 1 if a claim
           is not reproduced, 0 if all are reproduced or undecided
  report   write the results of finished experiments as one page

  alexnet experiment list                        all claims and their costs
  alexnet experiment plan dropout                seeds and hours that it needs
  alexnet experiment run dropout --quick         test one of them

alexnet experiment ACTION --help lists an action's flags."""


def run(arguments: Sequence[str]) -> int:
    """Run the action that the first word names."""
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
        note(f"speed has not been measured on this machine; measure it in 1 to 2 min: {words}")
    return 0


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

    if not flags.folders and not flags.keep:
        raise UsageError(
            "name the folders of finished experiments, such as runs/experiments/*, or --keep with "
            "a folder of kept results"
        )
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
