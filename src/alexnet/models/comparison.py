"""Two architectures side by side: layers aligned, what differs, totals with their ratios."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

from alexnet.io.tables import Cell, Table
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import Layer
from alexnet.models.summary import LayerSummary, NetworkTotals, summarize_layer, totals, type_text

SAME, CHANGED, ONLY_A, ONLY_B = " ", "*", "-", "+"

SETTING_WORDS = {
    "init.kind": "initial weights",
    "init.std": "initial std",
    "init.bias": "initial bias",
    "p": "dropout",
    "ceil": "rounded up",
    "reduce": "pooling",
    "size": "window",
}
"""Names of layer settings as they are shown; any other setting is shown by its own name."""
INIT_WORDS = {"glorot_uniform": "glorot", "he_normal": "he", "torch": "as torch's"}
"""Names of initializations as they are shown: the words of --init where it has them."""


class Difference(NamedTuple):
    """A setting that has another value in the second layer."""

    name: str
    a: object
    b: object

    def __str__(self) -> str:
        name = SETTING_WORDS.get(self.name, self.name.replace("_", " "))
        return f"{name} {_value_text(self.a)} -> {_value_text(self.b)}"


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else INIT_WORDS.get(str(value), str(value))


@dataclass(frozen=True, slots=True)
class LayerPair:
    """A layer of the first network and the corresponding one of the second, or None for either."""

    a: LayerInfo | None
    b: LayerInfo | None

    @property
    def name(self) -> str:
        """The name of the first network's layer, or of both if they differ."""
        names = dict.fromkeys(info.layer.name for info in (self.a, self.b) if info)
        return " / ".join(names)

    @property
    def kind(self) -> str:
        """The type of the layers, or both types if they differ."""
        kinds = dict.fromkeys(type_text(info.layer) for info in (self.a, self.b) if info)
        return " / ".join(kinds)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The settings that differ, without names and shapes; empty if one layer is None."""
        if not (self.a and self.b):
            return ()
        return tuple(_differences(self.a.layer, self.b.layer))

    @property
    def mark(self) -> str:
        """SAME, CHANGED (settings, output shape, parameters or MACs differ), ONLY_A or ONLY_B."""
        if not (self.a and self.b):
            return ONLY_A if self.a else ONLY_B
        numbers = [(info.output, info.parameters, info.macs) for info in (self.a, self.b)]
        return CHANGED if self.differences or numbers[0] != numbers[1] else SAME


def _differences(a: object, b: object) -> Iterator[Difference]:
    for field in fields(a):  # type: ignore[arg-type]
        pair = getattr(a, field.name), getattr(b, field.name)
        if field.name == "name" and isinstance(a, Layer):
            continue
        if is_dataclass(pair[0]):
            for inner in _differences(*pair):
                yield Difference(f"{field.name}.{inner.name}", inner.a, inner.b)
        elif pair[0] != pair[1]:
            yield Difference(field.name, *pair)


def align_layers(a: Architecture, b: Architecture) -> list[LayerPair]:
    """The layers of both networks in order; corresponding layers are one pair.

    Only layers of one type form a pair, and those of which the other network has one of the same
    name only with that; the last layers, the classifiers, also with each other. Of all such
    alignments it is one with the most pairs, where a pair of the same name counts three times, and
    the classifiers twice.
    """
    first, second = a.layer_infos(), b.layer_infos()
    gains = _gains(a.layers, b.layers)
    best = _scores(gains)
    pairs: list[LayerPair] = []
    i = j = 0
    while i < len(first) or j < len(second):
        gain = gains[i][j] if i < len(first) and j < len(second) else 0
        if gain and best[i][j] == best[i + 1][j + 1] + gain:
            pairs.append(LayerPair(first[i], second[j]))
            i, j = i + 1, j + 1
        elif j == len(second) or (i < len(first) and best[i][j] == best[i + 1][j]):
            pairs.append(LayerPair(first[i], None))
            i += 1
        else:
            pairs.append(LayerPair(None, second[j]))
            j += 1
    return pairs


def _scores(gains: Sequence[Sequence[int]]) -> list[list[int]]:
    """The best score of aligning the layers from a[i] on with those from b[j] on, at [i][j]."""
    rows, columns = len(gains), len(gains[0])
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            paired = best[i + 1][j + 1] + gains[i][j]
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    return best


def _gains(a: Sequence[Layer], b: Sequence[Layer]) -> list[list[int]]:
    """What pairing a[i] with b[j] adds to the score, at [i][j]; 0 if they cannot be paired."""
    in_a, in_b = ({(layer.kind, layer.name) for layer in layers} for layers in (a, b))
    in_both = in_a & in_b

    def gain(one: Layer, other: Layer) -> int:
        keys = (one.kind, one.name), (other.kind, other.name)
        if one.kind != other.kind:
            return 0
        if keys[0] == keys[1]:
            return 3
        if one is a[-1] and other is b[-1]:
            return 2
        return 0 if in_both.intersection(keys) else 1

    return [[gain(one, other) for other in b] for one in a]


def comparison_table(a: Architecture, b: Architecture) -> Table:
    """One row per pair of layers, with a mark, outputs, parameters and what differs; the totals."""
    header = (
        "mark", "layer", "type", "differences", f"output {a.name}", f"output {b.name}",
        f"parameters {a.name}", f"parameters {b.name}", "ratio",
    )  # fmt: skip
    rows = [_input_row(a, b), *(_pair_row(pair) for pair in align_layers(a, b))]
    sums = [totals(net.layer_infos()).parameters for net in (a, b)]
    footer: list[Cell] = [None, "total", *[None] * 4, *sums, ratio_text(*sums)]
    return Table(header, rows, left=4, footer=footer)


def _input_row(a: Architecture, b: Architecture) -> list[Cell]:
    mark = SAME if a.input == b.input else CHANGED
    shapes = shape_text(a.input), shape_text(b.input)
    return [mark, "input", None, None, *shapes, None, None, None]


def _pair_row(pair: LayerPair) -> list[Cell]:
    infos = (pair.a, pair.b)
    counts = [info.parameters if info else 0 for info in infos]
    return [
        pair.mark,
        pair.name,
        pair.kind,
        "; ".join(map(str, pair.differences)),
        *(shape_text(info.output) if info else None for info in infos),
        *(count or None for count in counts),
        ratio_text(*counts) if all(counts) else None,
    ]


def totals_table(a: Architecture, b: Architecture) -> Table:
    """The totals of both networks and their ratios."""
    sums = [totals(net.layer_infos()) for net in (a, b)]
    names = {"parameters": "parameters", "macs": "MACs", "neurons": "neurons"}
    rows: list[list[Cell]] = [
        [text, *(counts := [getattr(one, name) for one in sums]), ratio_text(*counts)]
        for name, text in names.items()
    ]
    return Table(("total", a.name, b.name, "ratio"), rows)


def ratio_text(a: int, b: int) -> str:
    """The second number as a multiple of the first, to two decimals or three digits; "" if a is 0.

    A network that is a thousand times smaller has the ratio 0.00101, not 0.00.
    """
    if not a:
        return ""
    return f"{b / a:.2f}" if b / a >= 0.1 else f"{b / a:.3g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingDifference:
    """A setting of a layer that differs."""

    name: str
    values: tuple[Any, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairSummary:
    """A layer of the first network and the corresponding one of the second."""

    differs: bool
    """Whether the layers differ, if only in output shape, parameters or MACs, or one is missing."""
    layers: tuple[LayerSummary | None, LayerSummary | None]
    """The layer in each network; null where a network has no corresponding one."""
    differences: tuple[SettingDifference, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkComparison:
    """A comparison of two networks, layer by layer."""

    names: tuple[str, str]
    inputs: tuple[tuple[int, ...], tuple[int, ...]]
    """Channels, height and width of each network's input."""
    layers: tuple[PairSummary, ...]
    totals: tuple[NetworkTotals, NetworkTotals]
    ratios: dict[str, float | None]
    """Each total of the second network divided by the first one's; null where that is 0."""


def compare_networks(a: Architecture, b: Architecture) -> NetworkComparison:
    """Compare two networks, as a value that can be written as JSON."""
    sums = totals(a.layer_infos()), totals(b.layer_infos())
    values = {f.name: (getattr(sums[0], f.name), getattr(sums[1], f.name)) for f in fields(sums[0])}
    return NetworkComparison(
        names=(a.name, b.name),
        inputs=(a.input, b.input),
        layers=tuple(map(_summarize_pair, align_layers(a, b))),
        totals=sums,
        ratios={
            name: second / first if first else None for name, (first, second) in values.items()
        },
    )


def _summarize_pair(pair: LayerPair) -> PairSummary:
    return PairSummary(
        differs=pair.mark != SAME,
        layers=(_summarize(pair.a), _summarize(pair.b)),
        differences=tuple(
            SettingDifference(name=one.name, values=(one.a, one.b)) for one in pair.differences
        ),
    )


def _summarize(info: LayerInfo | None) -> LayerSummary | None:
    return summarize_layer(info) if info else None
