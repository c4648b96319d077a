"""The page of all claims: every experiment with its measured results, as Markdown."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from alexnet.errors import UsageError
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.design import design_differences, design_of, digest
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.formatting import format_interval, format_minutes
from alexnet.experiments.kept_results import PROTOCOLS, keep_result, kept_results, results_at
from alexnet.experiments.plan import Plan
from alexnet.experiments.report import (
    arms_table,
    differences_text,
    effects_table,
    excluded_text,
    machine_text,
    markdown_table,
    undecided_text,
)
from alexnet.experiments.results import PLOT, ExperimentResult
from alexnet.experiments.summary_page_text import HEAD, NOT_RUN
from alexnet.io.files import atomic_write, write_text

MAX_DIFFERENCES = 5
"""Number of differences between protocols that are listed; the rest is counted."""


def write_page(
    folders: Sequence[Path], out: Path, keep: Path | None = None
) -> list[ExperimentResult]:
    """Write the results of experiments as one page, with their plots beside it.

    Args:
        folders: folders of finished experiments or of kept results, with no result twice.
        out: the Markdown file; plots are copied to `images/claims` beside it.
        keep: where the results are kept, each instead of an earlier one of its protocol; the page
            is then of all results in this folder.

    Raises:
        ModelFileError: a folder holds no finished experiment.
        UsageError: two folders hold the same experiment, or the experiment is unknown.
    """
    found = [(folder, result) for folder in folders for result in results_at(folder)]
    check_different(found)
    for folder, result in found:
        _copy_plot(folder / PLOT, out.parent / plot_path(result))
        if keep:
            keep_result(result, keep)
    results = kept_results(keep) if keep else in_order([result for _, result in found])
    plots = {path for path in map(plot_path, results) if (out.parent / path).is_file()}
    write_text(out, page_text(results, plots))
    return results


def _copy_plot(plot: Path, copy: Path) -> None:
    """Copy a plot, which kept results do not have beside them."""
    if plot.is_file():
        with atomic_write(copy) as temporary:
            shutil.copyfile(plot, temporary)


def check_different(found: Sequence[tuple[Path, ExperimentResult]]) -> None:
    """Check that the page can show all of these results.

    Raises:
        UsageError: two folders hold the same experiment, or the experiment is unknown.
    """
    seen: dict[str, Path] = {}
    for folder, result in found:
        key = f"{result.experiment} ({result.protocol})"
        if key in seen:
            raise UsageError(f"{seen[key]} and {folder} both hold {key}; leave one out")
        if result.experiment not in EXPERIMENTS:
            raise UsageError(f"{folder} holds {key}, an experiment that this alexnet does not have")
        seen[key] = folder


def in_order(results: Sequence[ExperimentResult]) -> list[ExperimentResult]:
    """The results in the order of the catalogue, larger protocols first."""
    names = list(EXPERIMENTS)
    return sorted(
        results, key=lambda one: (names.index(one.experiment), PROTOCOLS.index(one.protocol))
    )


def plot_path(result: ExperimentResult) -> str:
    """The plot's path, relative to the page."""
    return f"images/claims/{result.experiment}-{result.protocol}.png"


def page_text(results: Sequence[ExperimentResult], plots: Collection[str] = ()) -> str:
    """The whole page; experiments without a result are listed as not run.

    Args:
        results: in the order of `in_order`.
        plots: the paths of the plots that there are, relative to the page.
    """
    by_name = {name: [one for one in results if one.experiment == name] for name in EXPERIMENTS}
    sections = [_section(EXPERIMENTS[name], found, plots) for name, found in by_name.items()]
    parts = [
        HEAD.rstrip(),
        "## Verdicts",
        verdict_table(results),
        _counts(results),
        *sections,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict_table(results: Sequence[ExperimentResult]) -> str:
    """All claims with the effects of their primary comparisons, by the largest protocol run."""
    rows = [row for name in EXPERIMENTS for row in _rows(name, results)]
    head = ("claim", "effect, 95 % interval", "seeds", "protocol", "training", "verdict")
    return markdown_table(head, rows)


def _rows(name: str, results: Sequence[ExperimentResult]) -> Iterator[tuple[str, ...]]:
    """One row for a claim, and one for each comparison where there are several."""
    link = f"[`{name}`](#{name})"
    result = next((one for one in results if one.experiment == name), None)
    if result is None:
        yield link, "", "", "", "", NOT_RUN
        return
    size = result.protocol + ("" if is_current(result) else r" \*")
    about = f"{len(result.seeds)}", size, format_minutes(result.training_seconds / 60)
    primary = [one for one in result.comparisons if one.is_primary]
    effects = [format_interval(one.interval, one.scale) for one in primary]
    if len(primary) == 1:
        yield f"{link}: {primary[0].name}", effects[0], *about, f"**{result.verdict}**"
        return
    yield f"{link}: all of {len(primary)}", "", *about, f"**{result.verdict}**"
    for one, effect in zip(primary, effects, strict=True):
        yield f"- {one.name}", effect, "", "", "", one.verdict


def _counts(results: Sequence[ExperimentResult]) -> str:
    """How many claims have which verdict, by the largest protocol of each."""
    largest = {one.experiment: one for one in reversed(results)}.values()
    if not largest:
        return ""
    verdicts = [one.verdict for one in largest]
    counts = ", ".join(
        f"{verdicts.count(verdict)} {verdict}"
        for verdict in ("reproduced", "not reproduced", "undecided")
    )
    minutes = sum(one.training_seconds for one in results) / 60
    earlier = sum(not is_current(one) for one in largest)
    mark = (
        f" \\* marks protocols that are not this version's ({earlier}); a claim's section says in "
        "what they differ."
        if earlier
        else ""
    )
    return (
        f"Of {len(EXPERIMENTS)} claims: {counts}. "
        f"Their runs took {format_minutes(minutes)}, where those that serve several claims "
        f"count for each; runs of earlier protocols are not counted.{mark}"
    )


def protocol_differences(result: ExperimentResult) -> tuple[str, ...]:
    """The differences between the protocol of this version and that of a result.

    A protocol that this version does not have is a difference, too; more seeds are not.
    """
    experiment = EXPERIMENTS[result.experiment]
    if result.protocol not in experiment.protocols:
        return (f"this version has no {result.protocol} protocol",)
    plan = Plan(
        experiment=experiment, protocol_name=result.protocol, exclude=tuple(result.excluded)
    )
    num_seeds = max(len(plan.seeds), len(result.seeds))
    return design_differences(result.design, design_of(replace(plan, num_seeds=num_seeds)))


def is_current(result: ExperimentResult) -> bool:
    """Whether a result was measured with the protocol that this version has."""
    return not protocol_differences(result)


def _section(
    experiment: Experiment, found: Sequence[ExperimentResult], plots: Collection[str]
) -> str:
    # The limits of an earlier protocol are those of its own time.
    is_earlier = bool(found) and not is_current(found[0])
    limits = found[0].limits if is_earlier else experiment.limits
    parts = [
        f"## {experiment.name}",
        experiment.claim,
        f"- **Source:** {experiment.source}\n- **Expected:** {experiment.expected}\n"
        f"- **Limits:** {limits}",
        *([_measured(one, plots) for one in found] or [f"**Measured:** {NOT_RUN}."]),
    ]
    return "\n\n".join(parts)


def _measured(result: ExperimentResult, plots: Collection[str]) -> str:
    plot = plot_path(result)
    parts = [
        f"**Measured ({result.protocol}): {result.verdict}.** "
        f"{result.setting}.{excluded_text(result)}",
        _protocol_note(result),
        effects_table(result.comparisons, len(result.seeds)),
        undecided_text(result),
        f"![{result.experiment}: learning curves and effects]({plot})" if plot in plots else "",
        arms_table(result),
        differences_text(result),
        f"{machine_text(result)}; {format_minutes(result.training_seconds / 60)} of training.",
    ]
    return "\n\n".join(part for part in parts if part)


def _protocol_note(result: ExperimentResult) -> str:
    """A sentence on whether this version has the protocol that was run."""
    differences = protocol_differences(result)
    if not differences:
        return f"Protocol `{digest(result.design)}`, that of this version."
    shown = "; ".join(differences[:MAX_DIFFERENCES])
    rest = len(differences) - MAX_DIFFERENCES
    more = f"; and {rest} more" if rest > 0 else ""
    return f"Measured with an earlier protocol, `{digest(result.design)}`: {shown}{more}."
