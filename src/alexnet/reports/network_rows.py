"""The page's table of layers, with bars for their parameters and MACs."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.summary import NetworkTotals, totals, type_text, window


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """A row of the table: a layer."""

    name: str
    kind: str
    output: str
    window: str
    """Kernel, stride, padding and groups; "" for layers without."""
    receptive_field: int
    parameters: int
    macs: int
    parameter_bar: float
    """The layer's parameters divided by those of the largest layer, 0 to 1."""
    mac_bar: float


@dataclass(frozen=True, kw_only=True)
class NetworkTable:
    """The contents of the section on the network."""

    name: str
    input: str
    totals: NetworkTotals
    layers: list[LayerRow]


def network_table(net: Architecture) -> NetworkTable:
    """The table of a network's layers, and the totals."""
    infos = net.layer_infos()
    most_parameters = max((info.parameters for info in infos), default=0) or 1
    most_macs = max((info.macs for info in infos), default=0) or 1
    rows = [
        LayerRow(
            name=info.layer.name,
            kind=type_text(info.layer).replace("_", " "),
            output=shape_text(info.output).replace("x", "×"),
            window=_window_text(info),
            receptive_field=info.receptive_field,
            parameters=info.parameters,
            macs=info.macs,
            parameter_bar=info.parameters / most_parameters,
            mac_bar=info.macs / most_macs,
        )
        for info in infos
    ]
    shape = shape_text(net.input).replace("x", "×")
    return NetworkTable(name=net.name, input=shape, totals=totals(infos), layers=rows)


def _window_text(info: LayerInfo) -> str:
    """Kernel, stride, padding and groups, as far as a layer has them."""
    kernel, stride, padding, extra, groups = window(info)
    parts = [f"{kernel}×{kernel}, stride {stride}"] if kernel else []
    if padding or extra:
        parts.append(f"pad {padding}+{extra}" if extra else f"pad {padding}")
    if groups and groups > 1:
        parts.append(f"{groups} groups")
    return ", ".join(parts)
