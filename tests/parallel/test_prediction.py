"""The predicted time of a step, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from alexnet.errors import UsageError
from alexnet.models.zoo import ZOO
from alexnet.parallel.plan import Scheme, parameters, plan_for
from alexnet.parallel.prediction import (
    Device,
    Link,
    StepTime,
    predict_step,
    read_bandwidth,
    read_latency,
)
from alexnet.parallel.traffic import sent_bytes, traffic

NET = ZOO["alexnet"]
CONVOLUTIONS = 2_334_080
"""Parameters of NET's convolutions."""
DEVICE = Device(images_per_second=8)


def predict(scheme: Scheme, processes: int = 2, bandwidth: float = 1e6, **options: str) -> StepTime:
    plan, link = plan_for(NET, scheme, processes), Link(bandwidth=bandwidth)
    return predict_step(plan, 8 * processes, DEVICE, link, **options)  # type: ignore[arg-type]


def test_gradients_travel_during_the_backward_pass() -> None:
    slow, fast = predict("data"), predict("data", bandwidth=1e12)
    assert slow.compute_seconds == fast.compute_seconds == 1
    assert slow.send_seconds == pytest.approx(slow.sent_bytes / 1e6)
    assert slow.step_seconds == pytest.approx(1 / 3 + slow.send_seconds)
    assert fast.step_seconds == pytest.approx(1, abs=1e-3)
    assert fast.images_per_second == pytest.approx(16, rel=1e-3)
    assert fast.efficiency == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("scheme", ["columns", "hybrid"])
def test_activations_are_waited_for(scheme: Scheme) -> None:
    time = predict(scheme)
    assert time.sent_bytes == sent_bytes(traffic(plan_for(NET, scheme, 2), 16))
    assert time.step_seconds == pytest.approx(1 + time.sent_bytes / 1e6)


def test_rounds_hide_what_travels_while_fully_connected_layers_compute() -> None:
    at_once, rounds = predict("hybrid", 4), predict("hybrid", 4, exchange="rounds")
    macs = {info.layer.name: info.macs for info in NET.layer_infos()}
    connected = sum(macs[name] for name in ("fc6", "fc7", "fc8")) / sum(macs.values())
    saved = at_once.step_seconds - rounds.step_seconds
    assert saved == pytest.approx(3 / 4 * connected)  # on a slow link all of that work hides some
    fast = predict("hybrid", 4, 1e9, exchange="rounds")
    gathered = 4 * 9216 * (3 * 8 + 32 - 8) / 1e9
    assert fast.compute_seconds + fast.send_seconds - fast.step_seconds == pytest.approx(
        3 / 4 * gathered
    )


def test_every_message_has_the_latency_of_the_link() -> None:
    plan, device = plan_for(NET, "data", 4), Device(images_per_second=1)
    times = [
        predict_step(plan, 4, device, Link(bandwidth=1e15, latency=latency)).send_seconds
        for latency in (0.0, 1e-3)
    ]
    assert times[1] - times[0] == pytest.approx(6e-3)  # gradients in a ring


def test_a_hybrid_updates_only_its_own_weights() -> None:
    plan, link = plan_for(NET, "hybrid", 4), Link(bandwidth=1e15)
    device = Device(images_per_second=8, fixed_seconds=0.5)
    own = (parameters(plan, 0) - CONVOLUTIONS) / (60_965_224 - CONVOLUTIONS)
    time = predict_step(plan, 32, device, link)
    assert time.compute_seconds == pytest.approx(0.5 + 0.5 * own)
    device = replace(device, conv_fixed_seconds=0.3)  # of which every process has all
    time = predict_step(plan, 32, device, link)
    assert time.compute_seconds == pytest.approx(0.8 + 0.2 * own)


def test_every_round_reads_the_weights_again() -> None:
    plan, link = plan_for(NET, "hybrid", 4), Link(bandwidth=1e15)
    device = Device(images_per_second=8, fixed_seconds=0.5)
    at_once = predict_step(plan, 32, device, link)
    rounds = predict_step(plan, 32, device, link, exchange="rounds")
    connected = (parameters(plan, 0) - CONVOLUTIONS) / (60_965_224 - CONVOLUTIONS)
    more = rounds.compute_seconds - at_once.compute_seconds
    assert more == pytest.approx(3 * 2 / 3 * 0.5 * connected)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (read_bandwidth, "100Mbit", 12.5e6),
        (read_bandwidth, "1gbit", 125e6),
        (read_bandwidth, "10 Gbit/s", 1.25e9),
        (read_bandwidth, "400Gbps", 50e9),
        (read_bandwidth, "32GB", 32e9),
        (read_bandwidth, "1.5TB/s", 1.5e12),
        (read_latency, "50us", 5e-5),
        (read_latency, "0.2 ms", 2e-4),
        (read_latency, "1s", 1),
        (read_latency, "0", 0),
    ],
)
def test_values_with_units(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("read", "message", "texts"),
    [
        (
            read_bandwidth,
            "write bits as 100Mbit",
            ["", "1", "fast", "1gb", "0GB", "-1GB", "1e9B", "1.2.3GB", ".B", "nanB"],
        ),
        (read_latency, "write it as 50us", ["", "5", "fast", "-1us", "1h"]),
    ],
)
def test_no_values_with_units(read: Callable[[str], float], message: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(UsageError, match=message):
            read(text)
