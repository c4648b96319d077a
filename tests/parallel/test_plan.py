"""What each process has and sends, by arithmetic."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path

import pytest

from alexnet.errors import ConfigError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import BatchNorm, Conv, Flatten, FullyConnected
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ABLATIONS, ZOO
from alexnet.parallel.plan import (
    Scheme,
    activations,
    needed_part,
    overlap,
    parameters,
    part,
    plan_for,
    shared_parameters,
)
from alexnet.parallel.summary import exchange_table, scheme_table, summarize_parallel
from alexnet.parallel.traffic import BF16_BYTES, exchanges, sent_bytes, traffic

CONV_PARAMETERS = 34_944 + 614_656 + 885_120 + 1_327_488 + 884_992
"""Of the paper's convolutions without groups: 3.7 million."""


@pytest.mark.parametrize(("length", "processes"), [(8, 4), (7, 3), (1000, 7), (2, 4)])
def test_every_position_belongs_to_one_process(length: int, processes: int) -> None:
    parts = [part(length, processes, rank) for rank in range(processes)]
    assert [position for one in parts for position in one] == list(range(length))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_neighbors_reach_as_far_as_there_are_channels() -> None:
    assert needed_part(8, 2, 0, (2, 2)) == range(6)
    assert needed_part(8, 2, 1, (2, 2)) == range(2, 8)
    assert needed_part(6, 3, 1, (4, 1)) == range(5)
    assert overlap(range(3), range(2, 5)) == range(2, 3)
    assert not overlap(range(2), range(4, 6))


def test_data_parallel_sends_62_million_gradients_and_hybrid_3_7() -> None:
    net = ZOO["alexnet_table"]
    assert shared_parameters(plan_for(net, "data", 8)) == 62_378_344
    hybrid = plan_for(net, "hybrid", 8)
    assert shared_parameters(hybrid) == CONV_PARAMETERS + 1000  # and the bias of fc8
    connected = 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000
    assert parameters(hybrid, 0) == CONV_PARAMETERS + 1000 + connected // 8


@pytest.mark.parametrize(("processes", "batch_size"), [(2, 128), (4, 128), (8, 1024)])
def test_bytes_of_the_papers_net(processes: int, batch_size: int) -> None:
    net, others = ZOO["alexnet"], processes - 1
    data = plan_for(net, "data", processes)
    assert sent_bytes(traffic(data, batch_size)) == 8 * others * 60_965_224 // processes
    compressed = traffic(data, batch_size, gradient_bytes=BF16_BYTES)
    assert sent_bytes(compressed) == 4 * others * 60_965_224 // processes
    hybrid = traffic(plan_for(net, "hybrid", processes), batch_size)
    per_process = 4 * batch_size // processes * others
    assert [(step.layer, step.forward, step.backward) for step in hybrid[:3]] == [
        ("fc6", 9216 * per_process, 9216 * per_process),
        ("fc7", 4096 * per_process, 4096 * per_process),
        ("fc8", 1000 * per_process, 1000 * per_process),
    ]
    assert [(step.layer, step.numbers) for step in hybrid[3:]] == [("", 2_334_080 + 1000)]


def test_activations_of_a_process() -> None:
    """A hybrid gathers the inputs of fc6, has a part of its outputs, and sums of the others."""
    net = ZOO["alexnet"]
    outputs = [prod(info.output) for info in net.layer_infos()]
    data = plan_for(net, "data", 4)
    assert activations(data, 9, 0) == 3 * sum(outputs)
    assert activations(data, 9, 3) == 2 * sum(outputs)
    names = [layer.name for layer in net.layers]
    connected = sum(outputs[names.index("fc6") :])
    sums = 4096 + 1000  # of fc7 and fc8
    own = 9216 + sums + (connected - sums) // 4
    expected = 2 * (sum(outputs) - connected) + 8 * own
    assert activations(plan_for(net, "hybrid", 4), 8, 0) == expected


def test_columns_exchange_where_the_paper_says() -> None:
    columns = plan_for(ZOO["alexnet_2012"], "columns", 2)
    assert [(name, one.move) for name, one in exchanges(columns)] == [
        ("conv3", "gather channels"),
        ("flatten", "gather channels"),
        ("fc7", "gather channels"),
        ("fc8", "gather channels"),
        ("fc8", "gather logits"),
    ]
    assert parameters(columns, 0) == parameters(columns, 1) == 60_965_224 // 2
    assert shared_parameters(columns) == 0
    with_norm = traffic(plan_for(ZOO["alexnet"], "columns", 2), 128)
    assert with_norm[0].exchange == "neighbors"
    assert with_norm[0].forward == with_norm[0].backward == 128 * 2 * 55 * 55 * 4
    apart = plan_for(ABLATIONS["alexnet_2012_no_communication"], "columns", 2)
    assert [name for name, _ in exchanges(apart)] == ["flatten", "fc7", "fc8", "fc8"]


@pytest.mark.parametrize("scheme", ["data", "columns", "hybrid"])
@pytest.mark.parametrize("net", ["alexnet", "alexnet_bn", "alexnet_owt", "cifar_quick", "lenet5"])
def test_the_parts_are_the_network_and_what_is_sent_is_received(net: str, scheme: Scheme) -> None:
    arch = variant(ZOO[net], ModelOptions(width=0.3 if "alexnet" in net else 1), num_classes=7)
    arch = arch if scheme != "columns" else variant(arch, ModelOptions(width=2))
    if scheme == "columns" and net not in ("alexnet", "alexnet_bn"):
        with pytest.raises(ConfigError, match=f"{net} has no columns.* use --parallel data"):
            plan_for(arch, scheme, 2)
        return
    for processes in (2,) if scheme == "columns" else (2, 3, 7):
        plan = plan_for(arch, scheme, processes)
        own = sum(parameters(plan, rank) for rank in range(processes))
        whole = sum(info.parameters for info in arch.layer_infos())
        shared = sum(
            one.info.parameters if one.split == "none" else one.info.layer.bias_parameters()
            for one in plan.layers
            if one.split in ("none", "inputs")
        )
        assert own == whole + (processes - 1) * shared


def own_net(*layers: object) -> Architecture:
    return Architecture("own", "", (4, 8, 8), layers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arch", "scheme", "processes", "message"),
    [
        (ZOO["alexnet"], "columns", 4, "alexnet has 2 columns.* use --devices 2"),
        (ZOO["alexnet"], "columns", 1, "alexnet has 2 columns.* use --devices 2"),
        (ZOO["alexnet_owt"], "columns", 2, "alexnet_owt has no columns"),
        (ZOO["alexnet"], "hybrid", 1, "needs at least 2 processes"),
        (ZOO["cifar_quick"], "hybrid", 12, "fc4 has 10 outputs, fewer than the 12 processes"),
        (own_net(Conv("conv1", 4, 3), Flatten("flatten")), "hybrid", 2, "no fully connected"),
        (
            own_net(BatchNorm("bn0"), Conv("conv1", 4, 3, groups=2)),
            "columns",
            2,
            "bn0 of own normalizes what all columns share",
        ),
        (
            variant(ZOO["alexnet"], ModelOptions(norm="none"), num_classes=1),
            "columns",
            2,
            "fc8 has 1 outputs, fewer than the 2 processes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    arch: Architecture, scheme: Scheme, processes: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_for(arch, scheme, processes)


def test_a_norm_in_more_groups_stays_within_its_column() -> None:
    layers = tuple(
        replace(layer, groups=4) if layer.name == "norm1" else layer
        for layer in ZOO["alexnet"].layers
    )
    arch = replace(ZOO["alexnet"], layers=layers)
    moves = [name for name, one in exchanges(plan_for(arch, "columns", 2))]
    assert "norm1" not in moves
    odd = tuple(replace(layer, groups=3) if layer.name == "norm1" else layer for layer in layers)
    with pytest.raises(ConfigError, match="norm1 of alexnet has 3 groups"):
        plan_for(replace(arch, layers=odd), "columns", 2)


def test_four_columns_and_a_last_layer_without_neurons() -> None:
    arch = own_net(
        Conv("conv1", 8, 3, groups=4), Flatten("flatten"), FullyConnected("fc2", 6, bias=False)
    )
    for processes in (2, 4):
        columns = plan_for(arch, "columns", processes)
        assert [one.move for _, one in exchanges(columns)] == ["gather channels", "gather logits"]


def test_tables() -> None:
    summary = summarize_parallel(ZOO["alexnet"], 2, 128)
    assert [row[0] for row in scheme_table(summary).rows] == ["data", "columns", "hybrid"]
    for one in summary.schemes:
        table = exchange_table(one)
        assert sum(int(cell or 0) for cell in table.footer[3:]) == one.sent_bytes
    unfit = summarize_parallel(ZOO["alexnet_owt"], 2, 128).unfit
    assert [one.scheme for one in unfit] == ["columns"]


def mega(number: int) -> str:
    return f"{number / 1e6:,.1f}"


@pytest.mark.parametrize("name", ["alexnet", "alexnet_table"])
def test_the_page_on_scaling_has_these_numbers(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
    for devices in (2, 4, 8):
        for batch_size in (128, 1024):
            summary = summarize_parallel(ZOO[name], devices, batch_size)
            found = {one.scheme: one for one in summary.schemes}
            data, hybrid, columns = found["data"], found["hybrid"], found.get("columns")
            cells = [
                *(str(devices), f"{batch_size:,}"),
                *(mega(data.sent_bytes), mega(data.sent_bytes_bf16)),
                mega(columns.sent_bytes) if columns else "",
                *(mega(hybrid.sent_bytes), mega(hybrid.sent_bytes_bf16)),
            ]
            assert cells in [
                [cell.strip() for cell in r.split("|")[1:-1]] for r in page.split("\n")
            ]
