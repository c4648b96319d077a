"""Experiments, their plans and results as text of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from alexnet.cli.console import table
from alexnet.cli.outputs.experiment_plan import ArmPlan, ExperimentPlanOutput
from alexnet.experiments.cost import estimate_minutes
from alexnet.experiments.design import common_differences
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.formatting import (
    describe_setting,
    format_cost,
    format_interval,
    format_lrs,
    format_value,
)
from alexnet.experiments.plan import Plan
from alexnet.experiments.speeds import Speeds

if TYPE_CHECKING:
    from alexnet.cli.outputs.verdicts import ExperimentReportOutput
    from alexnet.experiments.results import ComparisonResult, ExperimentResult

WIDTH = 80
"""Width of the text in columns."""
HEAD_WIDTH = 9
"""Width of the word at the beginning of a paragraph."""


def paragraph(head: str, text: str, width: int = HEAD_WIDTH) -> str:
    """Fill a paragraph with a word at its left."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=f"  {head:<{width}} ",
        subsequent_indent=" " * (width + 3),
        break_on_hyphens=False,
    )


def describe_experiment(one: Experiment, speeds: Speeds) -> str:
    """A text on an experiment's claim, and on the runs and costs of its protocols."""
    protocols: dict[str, str] = {
        name: f"about {plan.num_runs} runs, {format_cost(estimate_minutes(plan, speeds))}: "
        f"{describe_setting(plan)}"
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
    return "\n".join([one.name, *(paragraph(head, text) for head, text in parts.items())])


def plan_text(plan: ExperimentPlanOutput) -> str:
    """A text on what an experiment would run."""
    rows = [
        (
            arm.name,
            "-" if arm.shares_runs_of else f"{arm.num_tuning_runs}",
            f"as {arm.shares_runs_of}" if arm.shares_runs_of else f"{arm.num_measured_runs}",
            f"{arm.epochs}",
            f"{arm.num_train_images:,}",
            f"{arm.num_test_images:,}",
        )
        for arm in plan.arms
    ]
    header = ("arm", "tuning", "runs", "epochs", "training images", "test images")
    parts = {
        "claim": plan.claim,
        "runs": f"about {plan.num_runs}{at_once_text(plan.jobs)}, {format_cost(plan.minutes)}, "
        f"into {plan.out}",
        "recipe": plan.setting,
    }
    head = f"{plan.experiment}, {plan.protocol}"
    lines = [paragraph(name, text) for name, text in parts.items()]
    return "\n".join([head, *lines, "", table(header, rows), "", *_differences(plan.arms)])


def at_once_text(jobs: int) -> str:
    """The number of runs at once, as text that follows the number of runs; "" for one."""
    return f", {jobs} at once" if jobs > 1 else ""


def _differences(arms: Sequence[ArmPlan]) -> Iterator[str]:
    """Yield lines on what each arm changes; arms of a series share a line on what they share."""
    differs = common_differences([(arm.series or arm.name, arm.differs) for arm in arms])
    width = max(map(len, differs))
    yield "differs in"
    for name, texts in differs.items():
        yield paragraph(name, ", ".join(texts) or "nothing", width)


def result_text(result: ExperimentResult) -> str:
    """A text on the values of the arms, the effects, and the verdict."""
    rows = [
        (
            arm.name,
            format_lrs(arm.lrs),
            format_value(arm.mean, result.measure, censored=any(arm.censored)),
            format_value(arm.std, result.measure),
            f"{len(arm.values)}",
        )
        for arm in result.arms
    ]
    arms = table(("arm", "lr", "mean", "std", "n"), rows)
    effects = "\n".join(line for one in result.comparisons for line in _effect(one))
    return f"{arms}\n\n{effects}\n\n{result.experiment}: {result.verdict}"


def _effect(one: ComparisonResult) -> Iterator[str]:
    yield textwrap.fill(one.name if one.is_primary else f"{one.name} (secondary)", WIDTH)
    yield f"  {format_interval(one.interval, one.scale)}, 95 % interval: {one.verdict}"


def verdicts_text(report: ExperimentReportOutput) -> str:
    """A table of the verdicts, which marks results of protocols that this version has changed."""
    rows = [
        (
            one.experiment,
            one.protocol + ("" if one.is_current else " *"),
            f"{one.num_seeds}",
            one.verdict,
        )
        for one in report.verdicts
    ]
    text = table(("experiment", "protocol", "seeds", "verdict"), rows, left=2)
    if all(one.is_current for one in report.verdicts):
        return text
    return f"{text}\n* an earlier protocol than that of this version; the page says in what"
