"""A network on several processes as values and as tables, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from alexnet.errors import ConfigError
from alexnet.io.tables import Table
from alexnet.models.architecture import Architecture
from alexnet.parallel.plan import Scheme, parameters, plan_for, shared_parameters
from alexnet.parallel.traffic import BF16_BYTES, Traffic, sent_bytes, traffic


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemeSummary:
    """A network spread in one way, as the process of rank 0 has it."""

    scheme: str
    """One of data, columns, hybrid."""
    parameters: int
    """Of the process, with batch-norm statistics."""
    summed_gradients: int
    """Of parameters that every process has."""
    sent_bytes: int
    """Bytes that the process sends in a step, with float32 gradients."""
    sent_bytes_bf16: int
    """With gradients that are summed in bf16."""
    exchanges: tuple[Traffic, ...]
    """What is exchanged in a step, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfitScheme:
    """A way that does not fit the network or the number of processes."""

    scheme: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelSummary:
    """A network on several processes, in every way that fits."""

    name: str
    devices: int
    """Number of processes."""
    batch_size: int
    """Images of a step, of all processes together."""
    schemes: tuple[SchemeSummary, ...]
    unfit: tuple[UnfitScheme, ...]


def summarize_parallel(arch: Architecture, devices: int, batch_size: int) -> ParallelSummary:
    """A network on several processes, for programs."""
    schemes, unfit = [], []
    for scheme in get_args(Scheme):
        try:
            schemes.append(_summarize(arch, scheme, devices, batch_size))
        except ConfigError as error:
            unfit.append(UnfitScheme(scheme=scheme, problem=str(error)))
    return ParallelSummary(
        name=arch.name,
        devices=devices,
        batch_size=batch_size,
        schemes=tuple(schemes),
        unfit=tuple(unfit),
    )


def _summarize(arch: Architecture, scheme: Scheme, devices: int, batch_size: int) -> SchemeSummary:
    plan = plan_for(arch, scheme, devices)
    exchanges = traffic(plan, batch_size)
    return SchemeSummary(
        scheme=scheme,
        parameters=parameters(plan, 0),
        summed_gradients=shared_parameters(plan),
        sent_bytes=sent_bytes(exchanges),
        sent_bytes_bf16=sent_bytes(traffic(plan, batch_size, gradient_bytes=BF16_BYTES)),
        exchanges=tuple(exchanges),
    )


def scheme_table(summary: ParallelSummary) -> Table:
    """One row per scheme that fits: parameters of a process, and what it sends in a step."""
    header = ("scheme", "parameters", "gradients summed", "bytes sent", "with bf16 gradients")
    rows = [
        (one.scheme, one.parameters, one.summed_gradients, one.sent_bytes, one.sent_bytes_bf16)
        for one in summary.schemes
    ]
    return Table(header, rows)


def exchange_table(one: SchemeSummary) -> Table:
    """One row per exchange of a step, with the bytes that a process sends, and their sums."""
    header = ("layer", "exchange", "numbers", "bytes sent forward", "bytes sent backward")
    rows = [
        (e.layer or "all shared", e.exchange, e.numbers, e.forward or None, e.backward or None)
        for e in one.exchanges
    ]
    forward, backward = (
        sum(e.forward for e in one.exchanges),
        sum(e.backward for e in one.exchanges),
    )
    return Table(header, rows, left=2, footer=("sum", None, None, forward, backward))
