"""The drawing of an architecture: valid SVG, to scale, complete, and without overlaps."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.models.architecture import Architecture
from alexnet.models.drawing import Drawing, draw_network
from alexnet.models.drawing.blocks import MAX_NAME, place_stages, scales_of
from alexnet.models.drawing.figure import figure_of
from alexnet.models.drawing.legend import round_count
from alexnet.models.drawing.shapes import Group, Polygon, Text, shortened, text_width
from alexnet.models.drawing.stages import stages_of
from alexnet.models.layers import (
    Activation,
    AdaptivePool,
    BatchNorm,
    Conv,
    Flatten,
    FullyConnected,
    Layer,
    Pool,
)
from alexnet.models.zoo import ABLATIONS, ZOO

SVG = "{http://www.w3.org/2000/svg}"
NETS = {**ZOO, **ABLATIONS}


class Box(NamedTuple):
    """Sides of a block as drawn: channels to the right, height, how far the width goes right."""

    x: float
    y: float
    thickness: float
    height: float
    slant: float


def points(element: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in element.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def boxes(net: Architecture) -> dict[str, list[Box]]:
    """The blocks of every stage, read from the SVG."""
    root = ElementTree.fromstring(draw_network(net).svg())
    found: dict[str, list[Box]] = {}
    for group in root.iter(f"{SVG}g"):
        shapes = list(group.iter(f"{SVG}polygon"))
        for front, side in zip(shapes[::3], shapes[2::3], strict=True):
            assert front.attrib["class"].endswith("front")
            (x, y), (right, _), (_, bottom), _ = points(front)
            slant = points(side)[1][0] - right
            box = Box(x, y, right - x, bottom - y, slant)
            found.setdefault(group.attrib["data-layer"], []).append(box)
    return found


@pytest.mark.parametrize("name", NETS)
def test_every_layer_is_there(name: str) -> None:
    root = ElementTree.fromstring(draw_network(NETS[name]).svg())
    named = {e.attrib["data-layer"] for e in root.iter(f"{SVG}text") if "data-layer" in e.attrib}
    assert named == {"input", *(layer.name for layer in NETS[name].layers)}


@pytest.mark.parametrize("name", NETS)
def test_blocks_are_to_scale(name: str) -> None:
    net, found = NETS[name], boxes(NETS[name])
    shapes = {"input": net.input} | {info.layer.name: info.output for info in net.layer_infos()}
    pixel = found["input"][0].height / net.input[1]
    slant = found["input"][0].slant / net.input[2]
    last = max((n for n in found if len(shapes[n]) == 3), key=lambda n: shapes[n][0])
    channel = sum(box.thickness for box in found[last]) / shapes[last][0]
    columns = {n: found[n][0].height / shapes[n][0] for n in found if len(shapes[n]) == 1}
    for layer, blocks in found.items():
        if layer in columns:
            assert columns[layer] == pytest.approx(max(columns.values()), abs=0.02)
            continue
        channels, height, width = shapes[layer]
        assert [b.height for b in blocks] == pytest.approx([height * pixel] * len(blocks), abs=0.03)
        assert [b.slant for b in blocks] == pytest.approx([width * slant] * len(blocks), abs=0.03)
        total = sum(box.thickness for box in blocks)
        assert total == pytest.approx(channels * channel, abs=0.05)


def test_the_papers_towers() -> None:
    towers = {name: len(found) for name, found in boxes(ZOO["alexnet"]).items()}
    maps = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
    assert towers == dict.fromkeys(maps, 2) | {"input": 1, "fc6": 1, "fc7": 1, "fc8": 1}
    assert {len(found) for found in boxes(ZOO["alexnet_owt"]).values()} == {1}


def windows(net: Architecture) -> list[Box]:
    """The fronts of the kernels and pooling windows, with the slants of their sides."""
    root = ElementTree.fromstring(draw_network(net).svg())
    shapes = [e for e in root.iter(f"{SVG}polygon") if e.attrib.get("class") == "window"]
    found = []
    for front, side in zip(shapes[::3], shapes[2::3], strict=True):
        (x, y), (right, _), (_, bottom), _ = points(front)
        found.append(Box(x, y, right - x, bottom - y, points(side)[1][0] - right))
    return found


def is_inside(inner: Box, outer: Box) -> bool:
    """Whether a front is in another one, within rounding."""
    return all(
        low - 0.02 <= start <= start + size <= low + whole + 0.02
        for start, size, low, whole in (
            (inner.x, inner.thickness, outer.x, outer.thickness),
            (inner.y, inner.height, outer.y, outer.height),
        )
    )


def test_kernels_are_to_scale_and_in_the_block_that_they_read() -> None:
    net = ZOO["alexnet"]
    found = boxes(net)
    pixel = found["input"][0].height / 227
    channel = found["conv3"][0].thickness / 192
    expected = [("input", 11, 3)]
    for source, kernel, depth in (
        ("conv1", 3, 1), ("pool1", 5, 48), ("conv2", 3, 1), ("pool2", 3, 128), ("conv3", 3, 192),
        ("conv4", 3, 192), ("conv5", 3, 1),
    ):  # fmt: skip
        expected += [(source, kernel, depth)] * 2
    drawn = windows(net)
    assert len(drawn) == len(expected)
    for window, (source, kernel, depth) in zip(drawn, expected, strict=True):
        assert window.height == pytest.approx(kernel * pixel, abs=0.03)
        assert window.thickness == pytest.approx(depth * channel, abs=0.03)
        assert any(
            box.y - 0.02 <= window.y <= window.y + window.height <= box.y + box.height + 0.02
            and box.x - 0.02
            <= window.x
            <= window.x + window.thickness
            <= box.x + box.thickness + 0.02
            for box in found[source]
        )


def test_conv3_reads_both_towers() -> None:
    """Four corners of each of two kernels, each to both towers; the others stay in theirs."""
    root = ElementTree.fromstring(draw_network(ZOO["alexnet"]).svg())
    tips = [points(e)[1] for e in root.iter(f"{SVG}polyline") if e.attrib.get("class") == "cone"]
    found = boxes(ZOO["alexnet"])
    assert sum(tip[0] == found["conv3"][0].x for tip in tips) == 4 * 2 * 2
    assert sum(tip[0] == found["conv4"][0].x for tip in tips) == 4 * 2


def test_two_groups_of_one_block_are_read_apart() -> None:
    net = Architecture("own", "here", (4, 9, 9), (Conv("conv", 6, 3, groups=2),))
    (left, right), (block,) = windows(net), boxes(net)["input"]
    assert left.x == block.x
    assert right.x == pytest.approx(block.x + block.thickness / 2, abs=0.02)


def rectangle(text: Text) -> tuple[float, float, float, float]:
    left = text.x - (text.width / 2 if text.anchor == "middle" else 0)
    return left, text.y - 0.75 * text.size, left + text.width, text.y + 0.2 * text.size


def check_layout(net: Architecture) -> Drawing:
    """No two texts or stages overlap, and all is on the page."""
    drawing = draw_network(net)
    texts = [rectangle(item) for item in drawing.items if isinstance(item, Text)]
    for one, other in combinations(texts, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)
    for left, top, right, bottom in texts:
        assert left >= 0
        assert top >= 0
        assert right <= drawing.width
        assert bottom <= drawing.height
    places = place_stages(stages_of(net), scales_of(stages_of(net)), 0)
    for before, place in pairwise(places):
        assert before.end < min(block.x for block in place.blocks)
    corners = [p for item in drawing.flat() if isinstance(item, Polygon) for p in item.points]
    assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in corners)
    return drawing


@pytest.mark.parametrize("name", NETS)
def test_nothing_overlaps(name: str) -> None:
    check_layout(NETS[name])


ODD = {
    "wide": ((1, 40, 400), (Conv("stem", 32, 3, stride=2), Conv("deep", 32, 3, groups=32))),
    "tall": ((4, 900, 20), (Conv("c1", 8, 5, groups=2), Pool("p"), Conv("c2", 8, 3))),
    "one pixel": ((1, 1, 1), (Conv("c1", 1, 1),)),
    "padded": ((3, 5, 5), (Conv("größe_" * 9, 16, 9, padding=4), Activation("s", "sigmoid"))),
    "norm first": ((3, 8, 8), (BatchNorm("bn"), AdaptivePool("gap", 1), Flatten("flatten"))),
    "no convolution": ((1, 28, 28), (Flatten("f"), FullyConnected("a", 3), FullyConnected("b", 1))),
    "many": ((3, 64, 64), tuple(Conv(f"conv{i}", 8 * (i + 1), 3, padding=1) for i in range(40))),
    "huge": ((3, 9000, 9000), (Conv("c", 4096, 1, stride=4), Pool("p"), AdaptivePool("g", 7))),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tables(name: str) -> None:
    shape, layers = ODD[name]
    net = Architecture("o" * 300, "<&> " * 99, shape, layers)
    root = ElementTree.fromstring(check_layout(net).svg())
    assert {"input", *(layer.name for layer in layers)} == {
        e.attrib["data-layer"] for e in root.iter(f"{SVG}text") if "data-layer" in e.attrib
    }


@st.composite
def networks(draw: st.DrawFn) -> Architecture:
    """Networks of convolutions with groups, poolings and fully connected layers."""
    layers: list[Layer] = []
    for i in range(draw(st.integers(1, 5))):
        groups = draw(st.sampled_from([1, 2, 4]))
        channels = 4 * draw(st.integers(1, 200))
        layers.append(Conv(f"c{i}", channels, draw(st.integers(1, 5)), padding=2, groups=groups))
        if draw(st.booleans()):
            layers.append(Pool(f"p{i}", 2, draw(st.integers(1, 2)), ceil=True))
    layers.append(Flatten("flatten"))
    layers += [FullyConnected(f"f{i}", draw(st.integers(1, 5000))) for i in range(2)]
    side = draw(st.integers(40, 300))
    return Architecture("own", "here", (4, side, draw(st.integers(40, 300))), tuple(layers))


@settings(max_examples=25, deadline=None)
@given(networks())
def test_any_table_is_drawn_without_overlaps(net: Architecture) -> None:
    check_layout(net)


def test_a_figure_has_the_same_texts() -> None:
    drawing = draw_network(ZOO["lenet5"])
    (axes,) = figure_of(drawing).axes
    texts = [item.text for item in drawing.flat() if isinstance(item, Text)]
    assert [text.get_text() for text in axes.texts] == texts
    filled = [item for item in drawing.flat() if isinstance(item, Polygon) and item.fill]
    assert len(axes.patches) == len(filled)


def test_names_of_people_are_escaped() -> None:
    net = Architecture("<b>&", 'a "quoted" source\n\x00', (1, 3, 3), (Conv("c", 1, 1),))
    root = ElementTree.fromstring(draw_network(net).svg())
    assert root[0].text == '<b>&: a "quoted" source\\n\\x00'


def test_tooltips_have_the_whole_name() -> None:
    name = "a" * (MAX_NAME + 5)
    net = Architecture("own", "here", (1, 3, 3), (Conv(name, 1, 1), Activation("act")))
    (group,) = [
        one for one in draw_network(net).items if isinstance(one, Group) and one.layer == name
    ]
    assert group.title == f"{name}: 3 × 3 × 1, 1 × 1 × 1 kernels, ReLU"


@pytest.mark.parametrize(
    ("limit", "count"), [(0.3, 1), (1, 1), (4.9, 2), (5, 5), (99, 50), (250, 200), (1e4, 10_000)]
)
def test_bars_have_round_counts(limit: float, count: int) -> None:
    assert round_count(limit) == count


def test_long_text_is_cut_to_its_width() -> None:
    cut = shortened("words, " * 50, 11, 200)
    assert cut.endswith("words, word…")
    assert 150 < text_width(cut, 11) <= 200
    assert shortened("short", 11, 200) == "short"
