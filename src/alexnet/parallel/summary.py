"""A network on several processes as values and as tables, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from alexnet.errors import ConfigError
from alexnet.io.tables import Cell, Table
from alexnet.models.architecture import Architecture
from alexnet.parallel.plan import Plan, Scheme, parameters, plan_for, shared_parameters
from alexnet.parallel.prediction import Device, Link, StepTime, predict_step
from alexnet.parallel.traffic import BF16_BYTES, FLOAT32_BYTES, Traffic, sent_bytes, traffic


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemeSummary:
    """A network under one scheme, with the numbers of the process of rank 0."""

    scheme: Scheme
    parameters: int
    """Number of parameters of the process, with batch-norm statistics."""
    summed_gradients: int
    """Number of gradients that are summed in a step: of the parameters that every process has."""
    sent_bytes: int
    """Bytes that the process sends in a step, with float32 gradients."""
    sent_bytes_bf16: int
    """Bytes that the process sends in a step, with gradients that are summed in bf16."""
    exchanges: tuple[Traffic, ...]
    """What is exchanged in a step, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfitScheme:
    """A scheme that does not fit the network or the number of processes."""

    scheme: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelSummary:
    """A network on several processes, under every scheme that fits."""

    name: str
    devices: int
    """Number of processes."""
    batch_size: int
    """Images of a step, of all processes together."""
    schemes: tuple[SchemeSummary, ...]
    unfit: tuple[UnfitScheme, ...]
    images_per_second: float | None = None
    """Images per second of one device alone; null unless step times are predicted."""
    bandwidth: float | None = None
    """Bytes per second of each process's link; null unless step times are predicted."""
    latency: float | None = None
    """Seconds until the first byte of a message arrives; null unless step times are predicted."""
    times: tuple[StepTime, ...] = ()
    """Predicted times of a step, for every scheme that fits and each way to exchange."""


def summarize_parallel(
    arch: Architecture,
    devices: int,
    batch_size: int,
    device: Device | None = None,
    link: Link | None = None,
) -> ParallelSummary:
    """Summarize a network on several processes, as a value that can be written as JSON.

    Args:
        arch: the network.
        devices: number of processes.
        batch_size: images of a step, of all processes together.
        device: with `link`, to predict the time of a step.
        link: that of every process.
    """
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
        images_per_second=device.images_per_second if device else None,
        bandwidth=link.bandwidth if link else None,
        latency=link.latency if link else None,
        times=tuple(
            time
            for one in schemes
            if device and link
            for time in _times(plan_for(arch, one.scheme, devices), batch_size, device, link)
        ),
    )


def _times(plan: Plan, batch_size: int, device: Device, link: Link) -> list[StepTime]:
    """The step times of a scheme: float32 or bf16 gradients, activations at once or in rounds."""
    ways: list[tuple[Literal["all", "rounds"], int]] = [("all", FLOAT32_BYTES)]
    if plan.scheme != "columns":
        ways.append(("all", BF16_BYTES))
    if plan.scheme == "hybrid":
        ways.append(("rounds", BF16_BYTES))
    return [
        predict_step(plan, batch_size, device, link, exchange=exchange, gradient_bytes=size)
        for exchange, size in ways
    ]


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


def time_table(times: Sequence[StepTime]) -> Table:
    """One row per way to exchange: a step's milliseconds, and the efficiency of all devices."""
    header = ("scheme", "gradients", "MB sent", "compute ms", "send ms", "step ms", "images/s")
    return Table((*header, "efficiency"), [_time_row(time) for time in times], left=2)


def _time_row(time: StepTime) -> tuple[Cell, ...]:
    seconds = (time.compute_seconds, time.send_seconds, time.step_seconds)
    return (
        f"{time.scheme} in rounds" if time.exchange == "rounds" else time.scheme,
        _gradient_type(time),
        f"{time.sent_bytes / 1e6:,.1f}",
        *(f"{1e3 * value:,.1f}" for value in seconds),
        f"{time.images_per_second:,.0f}",
        time.efficiency,
    )


def _gradient_type(time: StepTime) -> str:
    if time.scheme == "columns":
        return ""
    return "bf16" if time.gradient_bytes == BF16_BYTES else "float32"


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
