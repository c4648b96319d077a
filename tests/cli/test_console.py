"""Tables and numbers."""

from __future__ import annotations

import shlex

import pytest

from alexnet.cli.console import note_next, percent, size_text, table


def test_a_table_aligns_its_columns() -> None:
    assert table(("name", "count"), [("a", "1"), ("longer", "12,345")]) == (
        "name     count\n------  ------\na            1\nlonger  12,345"
    )
    assert table(("a", "b"), [("1", "x\ny")], left=2).splitlines()[-1].startswith("1  x")
    assert table(("a", "b"), [("1", "x\ny")]).count("\n") == 2
    assert percent(0.0625) == "6.25 %"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_949, "999.9 kB"),
     (999_950, "1.0 MB"), (262_000_000_000, "262.0 GB"), (10**16, "10000.0 TB")],
)  # fmt: skip
def test_a_number_of_bytes_has_its_unit(size: int, text: str) -> None:
    assert size_text(size) == text


def test_next_commands_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    note_next(["alexnet", "predict", "runs/my photos-001", "IMAGE"], ["alexnet", "doctor"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "next      alexnet predict 'runs/my photos-001' IMAGE\n          alexnet doctor\n"
    )
    words = shlex.split(captured.err.splitlines()[0])
    assert words[3] == "runs/my photos-001"
