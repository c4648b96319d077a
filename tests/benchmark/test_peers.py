"""`benchmarks/peers.py`: what it asks for before it measures."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("suite", ["prepare", "folder"])
@pytest.mark.parametrize("images", [[], ["--images", "."]])
def test_a_folder_without_photos_is_an_error(
    suite: str,
    images: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without `--images` it would measure whatever lies below the current folder."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.chdir(BENCHMARKS.parent if not images else tmp_path)
    monkeypatch.setattr(sys, "argv", ["peers.py", suite, *images])
    with pytest.raises(SystemExit):
        import_module("peers").main()
    assert f"{suite} needs --images and a folder with .jpg files" in capsys.readouterr().err
