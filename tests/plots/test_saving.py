"""How a figure is saved."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from alexnet import plots
from alexnet.errors import UsageError


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_may_be_a_text(
    kind: Callable[[str], str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook; "~" is the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    plots.save(Figure(), kind(os.path.join("~", "a.svg")))  # noqa: PTH118
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize("path", ["a.bmp", "a", 3, None])
def test_what_is_no_path_of_a_figure_is_an_error(path: object) -> None:
    with pytest.raises(UsageError):
        plots.save(Figure(), path)  # type: ignore[arg-type]
