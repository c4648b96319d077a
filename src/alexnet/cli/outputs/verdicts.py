"""What `experiment report --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.experiments.design import digest
from alexnet.experiments.experiment import ProtocolName
from alexnet.experiments.intervals import Verdict
from alexnet.experiments.results import ExperimentResult
from alexnet.experiments.summary_page import is_current


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentVerdict:
    """Whether a claim was reproduced."""

    experiment: str
    protocol: ProtocolName
    num_seeds: int
    verdict: Verdict
    training_seconds: float
    """Training time of all runs together."""
    protocol_digest: str
    """Hash of the protocol that was run."""
    is_current: bool
    """Whether this version has that protocol."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentReportOutput:
    """Finished experiments."""

    page: str
    """The Markdown file that was written."""
    verdicts: tuple[ExperimentVerdict, ...]


def report_output(results: Sequence[ExperimentResult], page: str) -> ExperimentReportOutput:
    """Make the output of results."""
    return ExperimentReportOutput(
        page=page,
        verdicts=tuple(
            ExperimentVerdict(
                experiment=one.experiment,
                protocol=one.protocol,
                num_seeds=len(one.seeds),
                verdict=one.verdict,
                training_seconds=one.training_seconds,
                protocol_digest=digest(one.design),
                is_current=is_current(one),
            )
            for one in results
        ),
    )
