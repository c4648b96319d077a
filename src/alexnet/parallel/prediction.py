"""The time of a training step of several processes, predicted by arithmetic, without torch.

docs/scaling.md has the formulas, and compares them with measurements.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from alexnet.errors import UsageError
from alexnet.models.layers import FullyConnected
from alexnet.parallel.plan import Plan, Scheme, layer_parameters
from alexnet.parallel.traffic import FLOAT32_BYTES, Traffic, traffic

REPEATED = 2 / 3
"""Fraction of the work that depends on the weights alone which every further round repeats. A step
reads or writes numbers of a layer's size nine times: the weights forward and backward, the
gradients once, and all in the update. A round reads the weights twice, and adds up gradients: six
times."""
PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
BITS = ("bit", "bit/s", "bps")
PER_SECOND = {"us": 1e6, "ms": 1e3, "s": 1.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """The network link of a process."""

    bandwidth: float
    """Bytes per second that it can send, and receive at the same time."""
    latency: float = 0.0
    """Seconds until the first byte of a message arrives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """The speed of one process while the others compute as well."""

    images_per_second: float
    """Images per second that one process trains alone, at batch_size / processes images a step."""
    fixed_seconds: float = 0.0
    """Seconds of one process's step that do not depend on the number of images: weights are read
    and updated, and a few images use the device badly."""
    conv_fixed_seconds: float = 0.0
    """The part of `fixed_seconds` that the convolutions take, with all else before the fully
    connected layers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTime:
    """The parts of a training step's time, and the images per second of all processes."""

    scheme: Scheme
    exchange: Literal["all", "rounds"]
    """all: no process continues before all activations have arrived; rounds: the activations for
    the first fully connected layer are sent while it is computed (--exchange turns or slices)."""
    gradient_bytes: int
    """Bytes per number when gradients are summed: 4, or 2 in bf16."""
    sent_bytes: int
    """Bytes that one process sends in a step."""
    compute_seconds: float
    send_seconds: float
    step_seconds: float
    """Seconds of the step; less than compute_seconds + send_seconds where the processes compute
    while they send."""
    images_per_second: float
    efficiency: float
    """Images per second as a fraction of those of as many devices that exchange nothing, 0 to 1."""


def predict_step(
    plan: Plan,
    batch_size: int,
    device: Device,
    link: Link,
    *,
    exchange: Literal["all", "rounds"] = "all",
    gradient_bytes: int = FLOAT32_BYTES,
) -> StepTime:
    """Predict the time of a training step.

    Args:
        plan: the network and the processes.
        batch_size: images of all processes together.
        device: that of every process.
        link: of every process.
        exchange: of a hybrid.
        gradient_bytes: of a number, when gradients are summed.
    """
    steps = traffic(plan, batch_size, gradient_bytes=gradient_bytes)
    compute, update = _compute_seconds(plan, batch_size, device, exchange)
    send = sum(_send_seconds(one, plan.processes, link) for one in steps)
    hidden = _hidden_seconds(plan, steps, compute - update, link, exchange)
    step = compute + send - hidden
    rate = batch_size / step
    return StepTime(
        scheme=plan.scheme,
        exchange=exchange,
        gradient_bytes=gradient_bytes,
        sent_bytes=sum(one.forward + one.backward for one in steps),
        compute_seconds=compute,
        send_seconds=send,
        step_seconds=step,
        images_per_second=rate,
        efficiency=rate / (plan.processes * device.images_per_second),
    )


def _compute_seconds(
    plan: Plan, batch_size: int, device: Device, exchange: str
) -> tuple[float, float]:
    """Seconds of a step without exchanges, and those of them that do not depend on the images.

    Of these a process has its part of the convolutions' weights and its part of the fully connected
    layers'; the rest of the work is shared evenly.
    """
    whole = batch_size / plan.processes / device.images_per_second
    connected = (device.fixed_seconds - device.conv_fixed_seconds) * _own_part(plan, True)
    if exchange == "rounds":
        connected *= 1 + (plan.processes - 1) * REPEATED
    fixed = device.conv_fixed_seconds * _own_part(plan, False) + connected
    return whole - device.fixed_seconds + fixed, fixed


def _own_part(plan: Plan, is_connected: bool) -> float:
    """The fraction of the fully connected layers' parameters (or of all others') a process has."""
    layers = [
        planned
        for planned in plan.layers
        if isinstance(planned.info.layer, FullyConnected) == is_connected
    ]
    whole = sum(planned.info.parameters for planned in layers)
    own = sum(layer_parameters(planned, plan.processes, 0) for planned in layers)
    return own / whole if whole else 0.0


def _send_seconds(step: Traffic, processes: int, link: Link) -> float:
    """Seconds of one exchange: N - 1 messages in each direction; 2 (N - 1) for an all-reduce."""
    directions = 2 if step.is_sum else (step.forward > 0) + (step.backward > 0)
    messages = directions * (processes - 1)
    return (step.forward + step.backward) / link.bandwidth + messages * link.latency


def _hidden_seconds(
    plan: Plan, steps: Iterable[Traffic], passes: float, link: Link, exchange: str
) -> float:
    """Seconds in which a process sends and computes at the same time.

    Args:
        plan: the network and the processes.
        steps: its exchanges.
        passes: seconds of the forward and the backward pass.
        link: of every process.
        exchange: as of `predict_step`.
    """
    if plan.scheme == "data":  # gradients travel during the backward pass, two thirds of the work
        sums = sum(_send_seconds(one, plan.processes, link) for one in steps if one.is_sum)
        return min(sums, 2 / 3 * passes)
    if exchange == "rounds":  # all rounds but one travel while others are computed
        gathers = (one for one in steps if one.exchange == "gather rows")
        send = sum(_send_seconds(one, plan.processes, link) for one in gathers)
        return (1 - 1 / plan.processes) * min(send, _connected_share(plan) * passes)
    return 0.0


def _connected_share(plan: Plan) -> float:
    """The fully connected layers' fraction of a step's multiply-accumulates, 0 to 1."""
    infos = plan.architecture.layer_infos()
    connected = sum(info.macs for info in infos if isinstance(info.layer, FullyConnected))
    return connected / sum(info.macs for info in infos)


def read_bandwidth(text: str) -> float:
    """Bytes per second from a text such as 100Mbit, 1Gbit/s or 450GB/s.

    Raises:
        UsageError: it is none, or not positive.
    """
    match = re.fullmatch(r"([\d.]+) ?([kMGTmgt]?)(bit|bit/s|bps|B|B/s)", text.strip())
    number = _number(match[1]) if match else 0.0
    if not match or number <= 0:
        raise UsageError(
            f"--bandwidth {text!r} is no bandwidth: write bits as 100Mbit or 10Gbit, bytes as 32GB "
            "(each in a second)"
        )
    return number * PREFIXES[match[2].lower()] / (8 if match[3] in BITS else 1)


def read_latency(text: str) -> float:
    """Seconds from a text such as 50us, 0.2ms, 1s or 0.

    Raises:
        UsageError: it is none.
    """
    match = re.fullmatch(r"([\d.]+) ?(us|ms|s)", text.strip())
    number = _number(match[1]) if match else -1.0
    if text.strip() == "0":
        return 0.0
    if not match or number < 0:
        raise UsageError(f"--latency {text!r} is no time: write it as 50us or 0.2ms")
    return number / PER_SECOND[match[2]]


def _number(text: str) -> float:
    """The decimal number in a text; -1 if it is not one."""
    return float(text) if re.fullmatch(r"\d+(\.\d+)?|\.\d+", text) else -1.0
