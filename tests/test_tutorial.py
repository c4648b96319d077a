"""The tutorial: the notebook is that of its text, small, and runs from top to bottom."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from alexnet.data.datasets.toyflowers import dataset as toyflowers
from support.site import DOCS, import_page_writers

TEXT = (DOCS / "tutorial.py").read_text(encoding="utf-8")
NOTEBOOK = DOCS / "tutorial.ipynb"


def cells_of_the_text() -> list[str]:
    """The source of every cell; of Markdown without its comment signs."""
    kinds_and_sources = re.findall(r"^# %%([^\n]*)\n(.*?)(?=^# %%|\Z)", TEXT, re.M | re.S)
    return [
        re.sub(r"^# ?", "", source, flags=re.M).strip() if "markdown" in kind else source.strip()
        for kind, source in kinds_and_sources
    ]


def notebook() -> Any:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def outputs() -> list[Any]:
    return [one for cell in notebook()["cells"] for one in cell.get("outputs", [])]


def test_the_notebook_is_that_of_the_text() -> None:
    assert ["".join(c["source"]).strip() for c in notebook()["cells"]] == cells_of_the_text()


def test_the_notebook_is_small_and_says_nothing_of_the_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 2_000_000
    assert re.findall(r"/root/|/home/|/tmp/|C:\\\\", text) == []
    assert [one for one in outputs() if one["output_type"] == "error"] == []
    assert sum("image/png" in one.get("data", {}) for one in outputs()) >= 8


def test_every_measured_claim_stands_in_the_tutorial() -> None:
    named = set(re.findall(r'kept_result\("([\w-]+)"\)', TEXT))
    assert len(named) >= 9
    shown = [
        html for one in outputs() if (html := "".join(one.get("data", {}).get("text/html", "")))
    ]
    for name in named:
        assert any(f">{name}: " in html for html in shown), name


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_text_runs_from_top_to_bottom(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few of the flowers to train on: painting all of them takes half a minute."""
    toyflowers.write(cache / "data" / "toyflowers-1", train_per_class=12, val_per_class=2)
    monkeypatch.setenv("ALEXNET_TUTORIAL", "quick")
    monkeypatch.delenv("ALEXNET_DATA", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # its runs are kept in a new folder there
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    import_page_writers()
    program = import_module("render_tutorial")
    run = program.execute(program.read_text(), timeout=500)
    assert all("outputs" not in cell or cell.execution_count for cell in run.cells)
