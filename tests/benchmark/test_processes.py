"""The speed of several processes, and what they send."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from alexnet.benchmark import processes
from alexnet.benchmark.processes import benchmark_processes, make_shared_step
from alexnet.cli.benchmark import _processes_text
from alexnet.config.distributed import DistributedOptions
from alexnet.config.serialization import json_document
from alexnet.models.zoo import architecture
from alexnet.parallel.world import Value, World
from support.json_outputs import validator
from support.processes import Processes

WAYS: tuple[dict[str, Any], ...] = (
    {"gradient_compression": "bf16"},
    {},
    {"parallel": "hybrid", "exchange": "slices"},
    {"parallel": "hybrid", "gradient_compression": "bf16"},
)


def measure(way: dict[str, Any]) -> tuple[dict[str, Any], str, float]:
    options = DistributedOptions(devices=2, **way)
    cpu = torch.device("cpu")
    found = benchmark_processes(architecture("lenet5"), 5, 2, cpu, "float32", options)
    document: dict[str, Any] = json.loads(json_document(found))
    ratio = found.images_per_second.median / found.alone_images_per_second.median / 2
    return document, _processes_text(found), ratio


@pytest.mark.parametrize("way", WAYS)
def test_counted_bytes_are_those_of_the_arithmetic(pair: Processes, way: dict[str, Any]) -> None:
    first, second = pair.run(measure, way)
    for document, text, ratio in (first, second):
        assert document["sent_bytes"] == document["planned_bytes"] > 0
        assert f"{document['sent_bytes']:,} bytes by the first process, counted" in text
        assert document["efficiency"] == pytest.approx(ratio)
        assert document["step_seconds"]["n"] == 2
        validator("benchmark train --devices").validate(document)
    assert first[0]["alone_images_per_second"] == second[0]["alone_images_per_second"]


def test_labels_are_exchanged_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor of one GPU would come out on that GPU in every process."""
    sent = []

    class Recording(World):
        def broadcast_object(self, value: Value, source: int = 0) -> Value:
            sent.append(value)
            return value

    monkeypatch.setattr(processes, "current_world", Recording)
    make_shared_step("lenet5", 4, torch.device("meta"), "float32", DistributedOptions())
    assert [labels.device.type for labels in sent] == ["cpu"]
