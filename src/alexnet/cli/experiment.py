"""`alexnet experiment list|run|report`: every claim as a command with a verdict."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import ProgressReporter, note, table
from alexnet.cli.flags import parse
from alexnet.config.serialization import to_dict
from alexnet.errors import UnknownNameError, UsageError
from alexnet.experiments.catalogue import EXPERIMENTS, experiment
from alexnet.experiments.experiment import Experiment, ProtocolName
from alexnet.experiments.formatting import cost, setting
from alexnet.experiments.plan import Plan, minutes

if TYPE_CHECKING:
    from alexnet.experiments.results import Findings

HELP = """usage: alexnet experiment ACTION ...

Every claim of the paper and of the tutorial as a command: several seeds, a fairly tuned rate for
every arm, a picture, a page and a verdict.

  list     what is claimed, by whom, what a run can say, and what it costs
  run      run one experiment, or go on with it; exit 1 when the claim is not reproduced,
           0 when it is, and 0 when the runs cannot decide
  report   join finished experiments into one page

alexnet experiment ACTION --help tells more."""


def run(arguments: Sequence[str]) -> int:
    """Run one action."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
        return 0
    action, *rest = arguments
    if action not in ACTIONS:
        raise UnknownNameError("action of alexnet experiment", action, ACTIONS)
    return ACTIONS[action](rest)


@dataclass(frozen=True, kw_only=True)
class ListFlags:
    """What is claimed, by whom, what a run can say, and what it costs on two cores."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Experiments to tell about; all of them unless given."""
    json: bool = False
    """Print JSON."""


def list_action(arguments: Sequence[str]) -> int:
    """Print the experiments."""
    flags = parse(ListFlags, arguments, "experiment list")
    chosen = [experiment(name) for name in flags.names] or list(EXPERIMENTS.values())
    if flags.json:
        print(json.dumps([_facts(one) for one in chosen], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(_description(one) for one in chosen))
    return 0


def _facts(one: Experiment) -> dict[str, object]:
    plans = {name: Plan(experiment=one, protocol_name=name) for name in one.protocols}
    return {
        "name": one.name,
        "claim": one.claim,
        "source": one.source,
        "expected": one.expected,
        "limits": one.limits,
        "measure": one.measure,
        "arms": [arm.name for arm in one.arms],
        "comparisons": [to_dict(comparison) for comparison in one.comparisons],
        "protocols": {
            name: {
                "setting": setting(plan),
                "runs": plan.num_runs,
                "minutes": round(minutes(plan), 1),
            }
            for name, plan in plans.items()
        },
    }


def _description(one: Experiment) -> str:
    protocols: dict[str, str] = {
        name: f"{plan.num_runs} runs, {cost(plan)} on two cores: {setting(plan)}"
        for name in one.protocols
        for plan in [Plan(experiment=one, protocol_name=name)]
    }
    parts = {
        "claim": one.claim,
        "source": one.source,
        "expected": one.expected,
        "limits": one.limits,
        **protocols,
    }
    return "\n".join([one.name, *(_paragraph(head, text) for head, text in parts.items())])


def _paragraph(head: str, text: str) -> str:
    return textwrap.fill(
        text,
        100,
        initial_indent=f"  {head:<9} ",
        subsequent_indent=" " * 12,
        break_on_hyphens=False,
    )


@dataclass(frozen=True, kw_only=True)
class RunFlags:
    """Run one experiment, or go on with it where it was stopped."""

    name: Annotated[str, tyro.conf.Positional]
    """One of alexnet experiment list."""
    quick: bool = False
    """A few minutes on two cores, with smaller nets and fewer pictures."""
    data: Literal["small", "imagenet"] = "small"
    """small: CIFAR-10 or Oxford 17, as the experiment says; imagenet: the paper's own size."""
    out: str = ""
    """The experiment's folder; runs/experiments/NAME-quick or NAME-full unless given."""
    seeds: int = 0
    """Runs an arm; 0: as the experiment says. More than before adds to what is there."""
    without: tuple[str, ...] = ()
    """Arms to leave out."""
    data_root: str = ""
    """Folder searched for data sets first."""
    device: str = "auto"
    """auto: the first GPU, else the processor."""
    keep_models: bool = False
    """Keep the network of every run; they are removed once they are judged."""
    json: bool = False
    """Print the result as JSON."""


def run_action(arguments: Sequence[str]) -> int:
    """Run, print the effects, and say by the exit code whether a claim failed."""
    flags = parse(RunFlags, arguments, "experiment run")
    plan = plan_of(flags)
    out = Path(flags.out or f"runs/experiments/{flags.name}-{plan.protocol_name}")
    from alexnet.experiments.results import PICTURE, REPORT, RESULT
    from alexnet.experiments.run import run_experiment

    note(f"{flags.name}: {plan.num_runs} runs into {out}, about {cost(plan)} on two cores")
    with ExitStack() as stack:
        try:
            findings = run_experiment(plan, out, announcer(stack), flags.keep_models)
        except KeyboardInterrupt:
            words = shlex.join(["alexnet", "experiment", "run", *arguments])
            note(f"the experiment goes on where it was with: {words}")
            raise
    if flags.json:
        print((out / RESULT).read_text(encoding="utf-8"), end="")
    else:
        print(f"{_text(findings)}\nreport    {out / REPORT}\npicture   {out / PICTURE}")
    return int(findings.verdict == "not reproduced")


def plan_of(flags: RunFlags) -> Plan:
    """The experiment at the size that was asked for.

    Raises:
        UsageError: two sizes at once, or one that the experiment has not.
    """
    if flags.quick and flags.data == "imagenet":
        raise UsageError("--quick is not for --data imagenet; leave one of them out")
    size: ProtocolName = "quick" if flags.quick else "full"
    return Plan(
        experiment=experiment(flags.name),
        protocol_name="imagenet" if flags.data == "imagenet" else size,
        num_seeds=flags.seeds,
        without=flags.without,
        data_root=flags.data_root,
        device=flags.device,
    )


def announcer(stack: ExitStack) -> Callable[[str], ProgressReporter]:
    """Says what comes next on stderr, and gives a new reporter for it; the last one is closed."""

    def announce(heading: str) -> ProgressReporter:
        stack.close()
        note(heading)
        return stack.enter_context(ProgressReporter())

    return announce


def _text(findings: Findings) -> str:
    from alexnet.experiments.formatting import number
    from alexnet.experiments.report import interval_text

    arms = table(
        ("arm", "rate", "mean", "sd", "seeds"),
        [
            (
                arm.name,
                f"{arm.recipe.optimizer.lr:g}",
                number(arm.mean, findings.measure, any(arm.bounds)),
                number(arm.sd, findings.measure),
                str(len(arm.values)),
            )
            for arm in findings.arms
        ],
    )
    effects = table(
        ("effect", "95 % interval", "verdict"),
        [(one.name, interval_text(one), one.verdict) for one in findings.comparisons],
        left=3,
    )
    return f"{arms}\n\n{effects}\n\n{findings.experiment}: {findings.verdict}"


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """Join finished experiments into one page; those that were not run are there, and say so."""

    folders: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Folders of finished experiments."""
    out: str = "claims.md"
    """The Markdown page; pictures go into images/claims beside it."""
    json: bool = False
    """Print the verdicts as JSON."""


def report_action(arguments: Sequence[str]) -> int:
    """Write the page and print the verdicts."""
    flags = parse(ReportFlags, arguments, "experiment report")
    from alexnet.experiments.summary_page import write_page

    found = write_page([Path(folder) for folder in flags.folders], Path(flags.out))
    facts = [
        {"experiment": one.experiment, "protocol": one.protocol, "verdict": one.verdict}
        for one in found
    ]
    if flags.json:
        print(json.dumps(facts, indent=2))
        return 0
    if facts:
        print(table(tuple(facts[0]), [tuple(fact.values()) for fact in facts], left=3))
    print(f"page      {flags.out}")
    return 0


ACTIONS = {"list": list_action, "run": run_action, "report": report_action}
