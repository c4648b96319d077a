"""What `experiment report --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.experiments.experiment import ProtocolName
from alexnet.experiments.intervals import Verdict
from alexnet.experiments.results import ExperimentResult


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentVerdict:
    """Whether a claim was reproduced."""

    experiment: str
    protocol: ProtocolName
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentReportOutput:
    """Finished experiments."""

    page: str
    """The Markdown file that was written."""
    verdicts: tuple[ExperimentVerdict, ...]


def report_output(results: Sequence[ExperimentResult], page: str) -> ExperimentReportOutput:
    """What is printed of results."""
    return ExperimentReportOutput(
        page=page,
        verdicts=tuple(
            ExperimentVerdict(experiment=one.experiment, protocol=one.protocol, verdict=one.verdict)
            for one in results
        ),
    )
