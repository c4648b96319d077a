"""`alexnet summary`: layers, shapes and costs of an architecture by arithmetic, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from alexnet.checkpoints.file_header import read_architecture
from alexnet.cli.console import print_json
from alexnet.cli.flags import parse
from alexnet.cli.outputs.summary import SummaryOutput
from alexnet.config.architecture_file import named_or_own
from alexnet.errors import UsageError
from alexnet.io.run_paths import find_run
from alexnet.io.tables import FORMATS, Table
from alexnet.io.text import printable, shape_text
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.comparison import (
    align_layers,
    compare_networks,
    comparison_table,
    totals_table,
)
from alexnet.models.drawing import save_drawing
from alexnet.models.summary import (
    batch_norm_statistics,
    layer_table,
    network_table,
    summarize_network,
    totals,
)
from alexnet.models.tutorial_table import summarize_as_tutorial, tutorial_table
from alexnet.models.variants import AS_PUBLISHED, ModelOptions, variant
from alexnet.models.zoo import ABLATIONS, ZOO, architecture
from alexnet.parallel.prediction import Device, Link, read_bandwidth, read_latency
from alexnet.parallel.summary import (
    ParallelSummary,
    exchange_table,
    scheme_table,
    summarize_parallel,
    time_table,
)


@dataclass(frozen=True, kw_only=True)
class SummaryFlags:
    """Layers, shapes, costs and neurons of a network, or what differs between two."""

    nets: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NET [NET]]")
    ] = ()
    """An architecture's name, its table in a file (mynets.py:table or net.json), a run or a model
    file; two to compare; none to list all names."""
    num_classes: int | None = None
    """Number of classes; None: as published. This and the model options change the last network."""
    model: ModelOptions = field(default_factory=ModelOptions)
    format: Literal["text", "tutorial", "markdown", "html", "latex", "csv"] = "text"
    """tutorial: the tutorial's seven columns, with its formulas; html: a <table>; latex: a tabular;
    csv: plain numbers without the totals."""
    devices: int | None = None
    """Also tell what each of so many processes has and sends in a step if they train the network
    together, by the schemes of alexnet train --parallel."""
    parallel: Literal["data", "columns", "hybrid"] | None = None
    """With --devices: the exchanges of one scheme."""
    batch_size: int = 128
    """With --devices: images per step, of all processes together."""
    images_per_second: float | None = None
    """With --devices and --bandwidth: predict the time of a step; images that one device alone
    trains in a second at its part of the batch (alexnet benchmark train)."""
    bandwidth: str = ""
    """With --images-per-second: bandwidth of each link, such as 10Gbit or 32GB a second."""
    latency: str = "0"
    """With --bandwidth: latency of the link, such as 50us."""
    draw: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """Draw the network to scale, as in the paper's figure 2, into FILE.svg, .png, .pdf or .jpg."""
    json: bool = False
    """Print JSON."""


ALL = (*ZOO.values(), *ABLATIONS.values())
"""The published networks, and those of the paper's comparisons."""
TEXT_COLUMNS = {
    "layer": "layer",
    "type": "type",
    "output": "output",
    "kernel": "kernel",
    "stride": "stride",
    "padding": "padding",
    "groups": "groups",
    "parameters": "parameters",
    "MACs": "MACs",
    "share of MACs": "share",
}
FIELD_COLUMNS = ("layer", "type", "output", "neurons", "receptive field", "input stride")
"""Columns of a second table, so that a line of text has fewer than 100 characters."""


def run(arguments: Sequence[str]) -> int:
    """Print one network, a comparison of two, or the list of all; or draw one."""
    flags = parse(SummaryFlags, arguments, "summary")
    _check(flags)
    nets = _networks(flags)
    if flags.devices:
        _print_parallel(flags, nets[0], flags.devices)
    elif flags.draw:
        save_drawing(nets[0], Path(flags.draw))
        print(printable(flags.draw))
    elif flags.json:
        print_json(_output(flags, nets))
    else:
        print(_text(flags, nets))
    return 0


def _check(flags: SummaryFlags) -> None:
    count, is_changed = len(flags.nets), flags.model != AS_PUBLISHED or flags.num_classes
    if count > 2:
        raise UsageError(f"summary compares two networks, not {count}: {', '.join(flags.nets)}")
    if flags.format == "tutorial" and count != 1:
        raise UsageError("--format tutorial shows one network: alexnet summary NET ...")
    if flags.draw and (count != 1 or flags.json or flags.format != "text"):
        raise UsageError("--draw draws one network: alexnet summary NET --draw FILE")
    _check_parallel(flags)
    if flags.json and flags.format not in ("text", "tutorial"):
        raise UsageError(f"choose one of --json and --format {flags.format}")
    if is_changed and not count:
        raise UsageError("name the network that these flags change: alexnet summary NET ...")


def _check_parallel(flags: SummaryFlags) -> None:
    if flags.devices is None:
        needy = {
            f"--parallel {flags.parallel}": flags.parallel,
            "--images-per-second": flags.images_per_second is not None,
            "--bandwidth": flags.bandwidth,
        }
        for words in (words for words, is_given in needy.items() if is_given):
            raise UsageError(f"{words} needs --devices, such as --devices 2")
        return
    for flag, number, least in (("devices", flags.devices, 2), ("batch-size", flags.batch_size, 1)):
        if number < least:
            raise UsageError(f"--{flag} {number} must be at least {least}")
    if len(flags.nets) != 1 or flags.draw or flags.format == "tutorial":
        raise UsageError("--devices is about one network: alexnet summary NET --devices N")
    if flags.images_per_second is not None and flags.images_per_second <= 0:
        raise UsageError(f"--images-per-second {flags.images_per_second:g} must be above 0")
    if (flags.images_per_second is None) != (not flags.bandwidth):
        raise UsageError(
            "the time of a step is predicted with both --images-per-second S and --bandwidth B"
        )


def _print_parallel(flags: SummaryFlags, net: Architecture, devices: int) -> None:
    """Print the parameters and bytes of processes: of all schemes, of one; or the step times."""
    device = Device(images_per_second=rate) if (rate := flags.images_per_second) else None
    latency = read_latency(flags.latency)
    link = Link(bandwidth=read_bandwidth(flags.bandwidth), latency=latency) if device else None
    summary = summarize_parallel(net, devices, flags.batch_size, device, link)
    chosen = [one for one in summary.schemes if one.scheme == flags.parallel]
    if flags.parallel and not chosen:
        problems = {one.scheme: one.problem for one in summary.unfit}
        raise UsageError(problems[flags.parallel])
    table = exchange_table(chosen[0]) if chosen else scheme_table(summary)
    if device:
        table = time_table([t for t in summary.times if flags.parallel in (None, t.scheme)])
    if flags.json:
        print_json(summary)
    elif flags.format != "text":
        print(_render(table, flags))
    else:
        print(parallel_text(summary, table))


def parallel_text(summary: ParallelSummary, table: Table) -> str:
    """A table of schemes, exchanges or times as text, and what its numbers mean."""
    unfit = [f"{one.scheme}: {one.problem}" for one in summary.unfit]
    title = f"{summary.name} on {summary.devices} processes, {summary.batch_size:,} images a step"
    is_scheme = table.header[0] == "scheme"
    about = "parameters and bytes are those of one process, the first, in a training step"
    if summary.bandwidth:
        about = (
            f"predicted: one device alone trains {summary.images_per_second:,.0f} images/s at its "
            f"part of the batch; links of {summary.bandwidth / 1e6:,.6g} MB/s, "
            f"{1e6 * (summary.latency or 0):,.6g} us"
        )
    return "\n".join(
        [
            title,
            "",
            table.as_text(),
            "",
            about,
            *(unfit if is_scheme else []),
        ]
    )


def _networks(flags: SummaryFlags) -> list[Architecture]:
    """The named networks, the last one changed by the flags; equal names are made distinct."""
    nets = [_network(word) for word in flags.nets]
    if nets:
        nets[-1] = variant(nets[-1], flags.model, num_classes=flags.num_classes)
    if len({net.name for net in nets}) < len(nets):
        first, second = flags.nets
        names = (first, second if second != first else f"{second} (2)")
        nets = [replace(net, name=name) for net, name in zip(nets, names, strict=True)]
    return nets


def _network(word: str) -> Architecture:
    """The architecture of that name, or in a Python or JSON file, a run, or a model file."""
    net = named_or_own(word)
    if not isinstance(net, str):
        return net
    path = Path(net if net in ZOO else find_run(net))
    is_path = net not in ZOO and (path.suffix != "" or path.exists())
    return read_architecture(path) if is_path else architecture(net)


def _output(flags: SummaryFlags, nets: Sequence[Architecture]) -> object:
    match nets:
        case [a, b]:
            return compare_networks(a, b)
        case [net] if flags.format == "tutorial":
            return summarize_as_tutorial(net)
        case [net]:
            return summarize_network(net)
    return SummaryOutput(networks=tuple(map(summarize_network, ALL)))


def _text(flags: SummaryFlags, nets: Sequence[Architecture]) -> str:
    is_text = flags.format == "text"
    match nets:
        case [a, b]:
            return comparison_text(a, b) if is_text else _render(comparison_table(a, b), flags)
        case [net] if flags.format == "tutorial":
            return tutorial_text(net)
        case [net]:
            return summary_text(net) if is_text else _render(layer_table(net), flags)
    return zoo_text() if is_text else _render(network_table(ALL), flags)


def _render(table: Table, flags: SummaryFlags) -> str:
    return FORMATS[flags.format](table)


def zoo_text() -> str:
    """All architectures as text: name, input, totals, source."""
    numbers = {name: name for name in ("name", "input", "parameters", "MACs")}
    sources = "\n".join(f"{net.name}: {net.source}" for net in ALL)
    return f"{network_table(ALL).select(numbers).as_text()}\n\n{sources}"


def summary_text(net: Architecture) -> str:
    """Layers and totals of a network as text."""
    layers, infos = layer_table(net), net.layer_infos()
    sums = totals(infos)
    fields = replace(layers.select({name: name for name in FIELD_COLUMNS}), footer=())
    rows = [row for row, info in zip(fields.rows, infos, strict=True) if _changes_field(info)]
    lines = [
        f"{net.name}: {net.source}",
        f"input {shape_text(net.input)}",
        "",
        layers.select(TEXT_COLUMNS).as_text(),
        "",
        replace(fields, rows=rows).as_text(),
        "",
        "receptive field and input stride are in pixels of the input",
        f"neurons: {sums.neurons:,}",
        f"parameters without the biases of fc layers: {sums.parameters_without_fc_bias:,}",
    ]
    if statistics := batch_norm_statistics(infos):
        lines.append(f"batch-norm statistics among the parameters: {statistics:,}")
    return "\n".join(lines)


def _changes_field(info: LayerInfo) -> bool:
    """Whether a layer has neurons or widens the receptive field."""
    return bool(info.neurons) or info.layer.receptive_window(info.input) != (1, 1)


def tutorial_text(net: Architecture) -> str:
    """The tutorial's table as text, and a note on the parameters that it leaves out."""
    sums = totals(net.layer_infos())
    return (
        f"{tutorial_table(net).as_text()}\n\n"
        "As in the tutorial, biases are counted in convolutions and not in fully connected layers"
        f"; with all, the network has {sums.parameters:,} parameters."
    )


def comparison_text(a: Architecture, b: Architecture) -> str:
    """Compare two networks as text: layers side by side, the differences, and the totals."""
    sums = totals_table(a, b)
    differences = [
        f"{pair.name}: {'; '.join(map(str, pair.differences))}"
        for pair in align_layers(a, b)
        if pair.differences
    ]
    return "\n".join(
        [
            f"A  {a.name}: {a.source}",
            f"B  {b.name}: {b.source}",
            "",
            _side_by_side(a, b).as_text(),
            "",
            "* differs   - only in A   + only in B   ratio: B / A",
            *(["", *differences] if differences else []),
            "",
            replace(sums, header=("total", "A", "B", "ratio")).as_text(),
        ]
    )


def _side_by_side(a: Architecture, b: Architecture) -> Table:
    """The comparison without footer and column of differences, and with short headers."""
    table = comparison_table(a, b)
    names = [name for name in table.header if name != "differences"]
    headers = ("", "layer", "type", "output A", "output B", "parameters A", "parameters B", "ratio")
    return replace(table.select(dict(zip(names, headers, strict=True))), footer=())
