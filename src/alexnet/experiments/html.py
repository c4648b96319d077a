"""A result of an experiment as HTML for notebooks: the claim, what was measured, the verdict."""

from __future__ import annotations

from alexnet.experiments.formatting import format_interval
from alexnet.experiments.results import ComparisonResult, ExperimentResult
from alexnet.experiments.summary_page import is_current
from alexnet.io.html import escape, panel
from alexnet.io.tables import Table

HEADER = ("measured", "effect, 95 % interval", "verdict")


def result_html(result: ExperimentResult) -> str:
    """The claim with its verdict, the effects, and how they were measured."""
    compared = [one for one in result.comparisons if one.is_primary]
    table = Table(HEADER, [_row(one) for one in compared], left=len(HEADER)).as_html()
    verdict = f"{result.experiment}: {result.verdict}"
    return panel(verdict, [escape(result.claim), table, escape(_setting(result))])


def _row(compared: ComparisonResult) -> tuple[str, str, str]:
    return compared.name, format_interval(compared.interval, compared.scale), compared.verdict


def _setting(result: ExperimentResult) -> str:
    """The size and data of the runs, and whether they followed an earlier protocol."""
    text = f"{result.protocol} protocol: {result.setting}."
    if is_current(result):
        return text
    return f"{text} Measured with an earlier protocol than this version's."
