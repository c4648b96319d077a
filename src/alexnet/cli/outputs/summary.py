"""What `summary --json` prints without the name of a network."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.models.summary import NetworkSummary


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryOutput:
    """The summaries of all networks."""

    networks: tuple[NetworkSummary, ...]
