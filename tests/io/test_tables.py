"""Tables in every format: goldens of a tiny table, and hostile cells."""

from __future__ import annotations

import csv
from xml.etree import ElementTree

import pytest

from alexnet.io.tables import FORMATS, Table

TINY = Table(
    ("layer", "output", "parameters", "share"),
    [["conv1", "96x55x55", 34_944, 0.146], ["relu_1", "96x55x55", None, None]],
    footer=["total", None, 34_944, None],
)

GOLDENS = {
    "text": """\
layer     output  parameters  share
------  --------  ----------  -----
conv1   96x55x55      34,944  14.6%
relu_1  96x55x55
total                 34,944""",
    "markdown": """\
| layer  |   output | parameters | share |
| ------ | -------: | ---------: | ----: |
| conv1  | 96x55x55 |     34,944 | 14.6% |
| relu_1 | 96x55x55 |            |       |
| total  |          |     34,944 |       |""",
    "html": """\
<table>
<thead>
<tr><th style="text-align: left">layer</th><th style="text-align: right">output</th>\
<th style="text-align: right">parameters</th><th style="text-align: right">share</th></tr>
</thead>
<tbody>
<tr><td style="text-align: left">conv1</td><td style="text-align: right">96x55x55</td>\
<td style="text-align: right">34,944</td><td style="text-align: right">14.6%</td></tr>
<tr><td style="text-align: left">relu_1</td><td style="text-align: right">96x55x55</td>\
<td style="text-align: right"></td><td style="text-align: right"></td></tr>
<tr><td style="text-align: left">total</td><td style="text-align: right"></td>\
<td style="text-align: right">34,944</td><td style="text-align: right"></td></tr>
</tbody>
</table>""",
    "latex": r"""\begin{tabular}{lrrr}
\hline
layer & output & parameters & share \\
\hline
conv1 & 96x55x55 & 34,944 & 14.6\% \\
relu\_1 & 96x55x55 &  &  \\
\hline
total &  & 34,944 &  \\
\hline
\end{tabular}""",
    "csv": """\
layer,output,parameters,share
conv1,96x55x55,34944,0.146
relu_1,96x55x55,,""",
}

HOSTILE = Table(("a|b", "<script>"), [['x & "y"', "*_a_*"], ["1,5\n2", "\\$%#{}~^"]])


@pytest.mark.parametrize("name", FORMATS)
def test_a_tiny_table(name: str) -> None:
    assert FORMATS[name](TINY) == GOLDENS[name]


def test_html_is_well_formed_and_escaped() -> None:
    text = HOSTILE.as_html()
    cells = [cell.text for cell in ElementTree.fromstring(text).iter() if cell.tag in ("th", "td")]
    assert cells == ["a|b", "<script>", 'x & "y"', "*_a_*", "1,5\\n2", "\\$%#{}~^"]
    assert "<script>" not in text


def test_csv_reads_back() -> None:
    rows = list(csv.reader(HOSTILE.as_csv().splitlines(keepends=True)))
    assert rows == [["a|b", "<script>"], ['x & "y"', "*_a_*"], ["1,5\n2", "\\$%#{}~^"]]


def test_markdown_keeps_the_cells_apart() -> None:
    head, _, first, second = HOSTILE.as_markdown().splitlines()
    assert [line.replace("\\|", "").count("|") for line in (head, first, second)] == [3, 3, 3]
    assert r"\*\_a\_\*" in first
    assert r"a\|b" in head
    assert r"\<script>" in head


def test_latex_escapes_what_tex_reads() -> None:
    text = HOSTILE.as_latex()
    assert r"x \& " in text
    assert r"\textbackslash{}\$\%\#\{\}\textasciitilde{}\textasciicircum{}" in text
    assert r"\textless{}script\textgreater{}" in text


def test_columns_are_selected_and_renamed() -> None:
    table = TINY.select({"share": "s", "layer": "l"})
    assert (table.header, table.left) == (("s", "l"), 1)
    assert table.rows == [[0.146, "conv1"], [None, "relu_1"]]
    assert table.footer == [None, "total"]
