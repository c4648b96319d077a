"""Tables and numbers."""

from __future__ import annotations

from alexnet.cli.console import percent, table


def test_a_table_aligns_its_columns() -> None:
    assert table(("name", "count"), [("a", "1"), ("longer", "12,345")]) == (
        "name     count\n------  ------\na            1\nlonger  12,345"
    )
    assert table(("a", "b"), [("1", "x\ny")], left=2).splitlines()[-1].startswith("1  x")
    assert table(("a", "b"), [("1", "x\ny")]).count("\n") == 2
    assert percent(0.0625) == "6.25 %"
