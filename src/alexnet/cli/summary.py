"""`alexnet summary`: layers, shapes and costs of an architecture by arithmetic, without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from alexnet.cli.console import table
from alexnet.cli.flags import parse
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO, architecture


@dataclass(frozen=True, kw_only=True)
class SummaryFlags:
    """Layers, shapes, parameters, MACs (multiply-accumulates) and neurons of a network."""

    arch: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[ARCH]")] = ""
    """The architecture's name; unless given, all architectures are listed."""
    num_classes: int | None = None
    """Number of classes; None: as published."""
    model: ModelOptions = field(default_factory=ModelOptions)
    format: Literal["table", "tutorial"] = "table"
    """tutorial: parameters and forward computation, counted as in the tutorial's table."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Print one network, or the list of all."""
    flags = parse(SummaryFlags, arguments, "summary")
    if not flags.arch:
        nets = [summary(net) for net in ZOO.values()]
        print(json.dumps(nets, indent=2) if flags.json else zoo_text())
        return 0
    net = variant(architecture(flags.arch), flags.model, num_classes=flags.num_classes)
    if flags.format == "tutorial":
        rows = tutorial_rows(net)
        print(json.dumps(rows, indent=2) if flags.json else tutorial_text(rows))
    else:
        print(json.dumps(summary(net), indent=2) if flags.json else summary_text(net))
    return 0


def summary(net: Architecture) -> dict[str, object]:
    """Layers and totals of a network as JSON."""
    infos = net.layer_infos()
    layers = [
        {
            "name": info.layer.name,
            "kind": info.layer.kind,
            "output": list(info.output),
            "parameters": info.parameters,
            "macs": info.macs,
            "neurons": info.neurons,
        }
        for info in infos
    ]
    return {"name": net.name, "input": list(net.input), "layers": layers, "totals": totals(infos)}


def totals(infos: Sequence[LayerInfo]) -> dict[str, int]:
    """Sums over all layers; batch-norm statistics count as parameters, as in Keras."""
    fc_biases = sum(info.layer.bias_parameters() for info in infos if info.layer.kind == "fc")
    parameters = sum(info.parameters for info in infos)
    return {
        "parameters": parameters,
        "parameters_without_fc_bias": parameters - fc_biases,
        "macs": sum(info.macs for info in infos),
        "neurons": sum(info.neurons for info in infos),
    }


def tutorial_rows(net: Architecture) -> list[dict[str, str | int]]:
    """Layers with weights, counted as in the tutorial's table, then its sums.

    Convolutions count the bias, in the parameters and once per output in the forward computation;
    fully connected layers count it in neither.

    Source: Tutorial, the table of AlexNet's layers.
    """
    layers: list[dict[str, str | int]] = []
    sums = {"conv": [0, 0], "fc": [0, 0]}
    for info in net.layer_infos():
        kind = info.layer.kind
        if kind not in sums:
            continue
        counts = (info.parameters, info.macs + info.neurons)
        if kind == "fc":
            counts = (info.parameters - info.layer.bias_parameters(), info.macs)
        layers.append(
            {"name": info.layer.name, "parameters": counts[0], "forward_computation": counts[1]}
        )
        sums[kind] = [total + count for total, count in zip(sums[kind], counts, strict=True)]
    named = {
        "overall": [sum(pair) for pair in zip(*sums.values(), strict=True)],
        "conv layers": sums["conv"],
        "fc layers": sums["fc"],
    }
    return layers + [
        {"name": name, "parameters": parameters, "forward_computation": forward}
        for name, (parameters, forward) in named.items()
    ]


def tutorial_text(rows: list[dict[str, str | int]]) -> str:
    """The tutorial's table as text, with fractions of the total."""
    keys = ("parameters", "forward_computation")
    total = next(row for row in rows if row["name"] == "overall")
    body = [
        (
            str(row["name"]),
            *(f"{row[key]:,} ({int(row[key]) / int(total[key]):.0%})" for key in keys),
        )
        for row in rows
    ]
    return table(("layer", "parameters", "forward computation"), body)


def zoo_text() -> str:
    """All architectures as text: name, input, totals, source."""
    rows = []
    for net in ZOO.values():
        sums = totals(net.layer_infos())
        rows.append((net.name, shape_text(net.input), *(f"{sums[n]:,}" for n in ZOO_TOTALS)))
    sources = "\n".join(f"{net.name}: {net.source}" for net in ZOO.values())
    return f"{table(('name', 'input', 'parameters', 'MACs'), rows)}\n\n{sources}"


ZOO_TOTALS = ("parameters", "macs")
HEADER = (
    "layer", "type", "output", "parameters", "MACs", "of all MACs", "neurons", "receptive field",
    "stride",
)  # fmt: skip
"""Column heads; receptive field and stride are in input pixels."""


def summary_text(net: Architecture) -> str:
    """Layers and totals of a network as text."""
    infos, sums = net.layer_infos(), totals(net.layer_infos())
    body = [_cells(info, sums["macs"]) for info in infos]
    parameters, macs, neurons = (_count(sums[n]) for n in ("parameters", "macs", "neurons"))
    body.append(("total", "", "", parameters, macs, "", neurons, "", ""))
    lines = [
        f"{net.name}: {net.source}",
        f"input {shape_text(net.input)}",
        "",
        table(HEADER, body, left=2),
        "",
        f"parameters without the biases of fc layers: {sums['parameters_without_fc_bias']:,}",
    ]
    statistics = sum(info.parameters // 2 for info in infos if info.layer.kind == "batch_norm")
    if statistics:
        lines.append(f"batch-norm statistics among the parameters: {statistics:,}")
    return "\n".join(lines)


def _cells(info: LayerInfo, total_macs: int) -> tuple[str, ...]:
    return (
        info.layer.name,
        info.layer.kind,
        shape_text(info.output),
        _count(info.parameters),
        _count(info.macs),
        f"{info.macs / total_macs:.1%}" if info.macs else "",
        _count(info.neurons),
        str(info.receptive_field),
        str(info.input_stride),
    )


def _count(number: int) -> str:
    return f"{number:,}" if number else ""
