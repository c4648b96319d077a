"""The one-page report of an experiment, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from alexnet import plots
from alexnet.config.serialization import to_json
from alexnet.experiments.design import common_differences, digest
from alexnet.experiments.formatting import (
    MEASURE_NAMES,
    format_effect,
    format_interval,
    format_lrs,
    format_minutes,
    format_value,
)
from alexnet.experiments.intervals import simultaneous_level
from alexnet.experiments.plots import Histories, plot_result
from alexnet.experiments.power import describe_power, power_of
from alexnet.experiments.results import (
    PLOT,
    REPORT,
    RESULT,
    ArmResult,
    ComparisonResult,
    ExperimentResult,
)
from alexnet.io.files import write_text
from alexnet.io.text import count_text
from alexnet.runtime.environment import Environment


def write_report(result: ExperimentResult, histories: Histories, out: Path) -> None:
    """Write plot, report and result; `result.json` last, since it marks the folder as finished.

    Args:
        result: result of the experiment.
        histories: learning curves of every arm that trains, one for each seed.
        out: the experiment's folder.
    """
    plots.save(plot_result(result, histories), out / PLOT)
    write_text(out / REPORT, report_text(result))
    write_text(out / RESULT, to_json(result) + "\n")


def report_text(result: ExperimentResult) -> str:
    """`report.md`: the claim, the verdict, the numbers and how they were measured."""
    parts = [
        f"# {result.experiment}: {result.verdict}",
        result.claim,
        f"- **Source:** {result.source}. Expected: {result.expected}.\n"
        f"- **Limits:** {result.limits}\n"
        f"- **Runs ({result.protocol}):** {result.setting}.{excluded_text(result)}",
        effects_table(result.comparisons, len(result.seeds)),
        undecided_text(result),
        f"![learning curves and effects]({PLOT})",
        arms_table(result),
        differences_text(result),
        *_remarks(result),
        f"{machine_text(result)}; {format_minutes(result.training_seconds / 60)} of training. "
        f"`{RESULT}` has every value and the protocol{_digest_text(result)}.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def effects_table(comparisons: Sequence[ComparisonResult], num_seeds: int) -> str:
    """Every comparison with its interval and verdict, as a Markdown table.

    A comparison with fewer seeds than the experiment is marked. Where several decide the verdict,
    the table also has their intervals at `simultaneous_level`.
    """
    num_claims = sum(one.is_primary for one in comparisons)
    head = ["effect", "published", "minimum effect", "measured, 95 % interval", "verdict"]
    rows = [_effect_row(one, num_seeds, has_several=num_claims > 1) for one in comparisons]
    if num_claims > 1:
        head.insert(4, f"{100 * simultaneous_level(num_claims):.1f} % interval")
    return markdown_table(head, rows)


def _effect_row(
    comparison: ComparisonResult, all_seeds: int, *, has_several: bool
) -> tuple[str, ...]:
    scale, expected = comparison.scale, comparison.expected
    simultaneous = format_interval(comparison.simultaneous, scale).partition(" (")[2]
    together = f"({simultaneous}" if comparison.is_primary else ""
    num_seeds = len(comparison.effects)
    fewer = f", by the first {num_seeds} seeds" if num_seeds < all_seeds else ""
    secondary = "" if comparison.is_primary else " (secondary)"
    return (
        f"{comparison.name}{secondary}{fewer}",
        "" if expected is None else format_effect(expected, scale),
        format_effect(comparison.min_effect, scale),
        interval_text(comparison),
        *([together] if has_several else []),
        f"**{comparison.verdict}**",
    )


def interval_text(comparison: ComparisonResult) -> str:
    """An estimate and its interval; "-" for an end that it does not have."""
    return format_interval(comparison.interval, comparison.scale)


def arms_table(result: ExperimentResult) -> str:
    """Every arm with its learning rate and its values, as a Markdown table."""
    rows = [
        (
            arm.name,
            f"{format_lrs(arm.lrs)}{' (edge of the grid)' if arm.is_at_edge else ''}",
            format_value(arm.mean, result.measure, censored=any(arm.censored)),
            format_value(arm.std, result.measure),
            ", ".join(_seed_values(arm, result)),
        )
        for arm in result.arms
    ]
    head = ("arm", "lr", f"mean: {MEASURE_NAMES[result.measure]}", "std", "by seed")
    return markdown_table(head, rows)


def _seed_values(arm: ArmResult, result: ExperimentResult) -> list[str]:
    return [
        format_value(value, result.measure, censored=is_censored)
        + (" (diverged)" if has_diverged else "")
        for value, is_censored, has_diverged in zip(
            arm.values, arm.censored, arm.diverged, strict=True
        )
    ]


def excluded_text(result: ExperimentResult) -> str:
    """A sentence that names the arms that the user excluded; "" if there are none."""
    return f" Excluded: {', '.join(result.excluded)}." if result.excluded else ""


def undecided_text(result: ExperimentResult) -> str:
    """What would decide the primary comparisons that are undecided; "" if none is."""
    lines = [
        f"- *{one.name}*: {_what_decides(one, result)}"
        for one in result.comparisons
        if one.is_primary and one.verdict == "undecided"
    ]
    return "\n".join(["What would decide it:", "", *lines]) if lines else ""


def _what_decides(comparison: ComparisonResult, result: ExperimentResult) -> str:
    power = power_of(comparison)
    if power is None:
        return "runs that reach the target; some ended before, so the spread is not known."
    num_runs = sum(len(arm.values) for arm in result.arms)
    minutes = result.training_seconds / 60 / num_runs * len(result.arms)
    cost = f"A seed of all arms takes about {format_minutes(minutes)}."
    return f"{describe_power(power, comparison.scale)} {cost}"


def differences_text(result: ExperimentResult) -> str:
    """What differs between the arms; for arms of several sizes, what all sizes share."""
    differs = common_differences([(arm.series or arm.name, arm.differs) for arm in result.arms])
    lines = [f"- `{name}`: {', '.join(texts) or 'nothing'}" for name, texts in differs.items()]
    return "\n".join(["What an arm has otherwise than the recipe that all share:", "", *lines])


def _remarks(result: ExperimentResult) -> list[str]:
    """What a reader must know to interpret the numbers."""
    remarks = []
    if any(any(arm.censored) for arm in result.arms):
        remarks.append(
            "A run marked > ended before it reached the target: its value is a lower bound, and "
            "so is every ratio with it in the numerator."
        )
    if any(arm.is_at_edge for arm in result.arms):
        remarks.append(
            "A learning rate at the edge of the grid may not be the best one, which could lie "
            "outside."
        )
    return remarks


def machine_text(result: ExperimentResult) -> str:
    """The machines that the runs ran on, and the versions of the software."""
    others = "".join(
        f"; {count_text(machine.num_runs, 'run')} on {_environment_text(machine.environment)}"
        for machine in result.other_machines
    )
    return f"Measured on {_environment_text(result.environment)}{others}"


def _environment_text(here: Environment) -> str:
    version = f"alexnet {here.alexnet}, " if here.alexnet[0].isdigit() else ""
    half = "bf16" if here.has_bf16 else "fp16" if here.auto_precision == "fp16" else ""
    return (
        f"{here.device} ({here.device_name}, {count_text(here.threads, 'thread')}"
        f"{', ' * bool(half)}{half}), {version}torch {here.torch}, "
        f"Python {here.python}"
    )


def _digest_text(result: ExperimentResult) -> str:
    return f", `{digest(result.design)}`"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
