"""The one-page report of an experiment, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from alexnet import plots
from alexnet.config.serialization import to_json
from alexnet.experiments.formatting import MEASURED, duration, effect, estimate, number
from alexnet.experiments.plots import Curves, draw
from alexnet.experiments.results import (
    PICTURE,
    REPORT,
    RESULT,
    ArmFinding,
    ComparisonFinding,
    Findings,
)
from alexnet.io.files import write_text


def write_report(findings: Findings, curves: Curves, out: Path) -> None:
    """Draw and write all that an experiment leaves; `result.json` last, since it says "finished".

    Args:
        findings: what was found.
        curves: for every arm that trains, the learning curve of every seed.
        out: the experiment's folder.
    """
    plots.save(draw(findings, curves), out / PICTURE)
    write_text(out / REPORT, report_text(findings))
    write_text(out / RESULT, to_json(findings) + "\n")


def report_text(findings: Findings) -> str:
    """`report.md`: the claim, the verdict, the numbers and what they rest on, on one page."""
    parts = [
        f"# {findings.experiment}: {findings.verdict}",
        findings.claim,
        f"- **Source:** {findings.source}. Expected: {findings.expected}.\n"
        f"- **What these runs can say:** {findings.limits}\n"
        f"- **Runs ({findings.protocol}):** {findings.setting}." + _left_out(findings),
        effects_table(findings.comparisons),
        f"![learning curves and effects]({PICTURE})",
        arms_table(findings),
        *_remarks(findings),
        f"{machine(findings)}; {duration(findings.training_seconds / 60)} of training. "
        f"`{RESULT}` has every value and every arm's recipe.",
    ]
    return "\n\n".join(parts) + "\n"


def effects_table(comparisons: Iterable[ComparisonFinding]) -> str:
    """Every comparison with its interval and verdict."""
    rows = [
        (
            one.name if one.is_claim else f"{one.name} (beside the claim)",
            effect(one.expected, one.scale) if one.expected else "",
            effect(one.at_least, one.scale),
            interval_text(one),
            f"**{one.verdict}**",
        )
        for one in comparisons
    ]
    head = ("effect", "published", "counts from", "measured, 95 % interval", "verdict")
    return table(head, rows)


def interval_text(one: ComparisonFinding) -> str:
    """An estimate and its interval."""
    interval = one.interval
    low = "-" if interval.is_open_below else effect(interval.low, one.scale)
    high = "-" if interval.is_open_above else effect(interval.high, one.scale)
    return f"{estimate(interval, one.scale)} ({low} to {high})"


def arms_table(findings: Findings) -> str:
    """Every arm with its rate and its values."""
    rows = [
        (
            arm.name,
            f"{arm.recipe.optimizer.lr:g}{' (edge of the grid)' if arm.is_at_edge else ''}",
            number(arm.mean, findings.measure, any(arm.bounds)),
            number(arm.sd, findings.measure),
            ", ".join(_values(arm, findings)),
        )
        for arm in findings.arms
    ]
    head = ("arm", "rate", f"mean: {MEASURED[findings.measure]}", "sd", "by seed")
    return table(head, rows)


def _values(arm: ArmFinding, findings: Findings) -> list[str]:
    return [
        number(value, findings.measure, is_bound) + (" (diverged)" if has_diverged else "")
        for value, is_bound, has_diverged in zip(arm.values, arm.bounds, arm.diverged, strict=True)
    ]


def _left_out(findings: Findings) -> str:
    return f" Left out: {', '.join(findings.left_out)}." if findings.left_out else ""


def _remarks(findings: Findings) -> list[str]:
    """What a reader must know of the numbers above."""
    remarks = []
    if any(any(arm.bounds) for arm in findings.arms):
        remarks.append(
            "A run marked > ended before it got there: its value is a lower bound, and so is every "
            "ratio that has it on top."
        )
    if any(arm.is_at_edge for arm in findings.arms):
        remarks.append(
            "A rate at the edge of the grid may not be the best one: a better may lie outside."
        )
    return remarks


def machine(findings: Findings) -> str:
    """Where it was measured, with versions."""
    here = findings.environment
    return (
        f"Measured on {here.device} ({here.processor}, {here.threads} "
        f"thread{'s' if here.threads > 1 else ''}"
        f"{', bf16' if here.has_bf16 else ''}), alexnet {here.alexnet}, torch {here.torch}, "
        f"Python {here.python}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
