"""The page of all claims."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.serialization import to_json
from alexnet.errors import UsageError
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.results import ExperimentResult
from alexnet.experiments.summary_page import NOT_RUN, page_text, write_page
from support.places import ROOT


@pytest.fixture
def folder(tiny_result: ExperimentResult, tmp_path: Path) -> Path:
    """The folder of a finished experiment, as far as the page reads it."""
    path = tmp_path / "finished"
    path.mkdir()
    (path / "result.json").write_text(to_json(tiny_result))
    (path / "plot.png").write_bytes(b"a plot")
    return path


@pytest.mark.usefixtures("listed")
def test_the_page_shows_results_and_names_what_was_not_run(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "docs" / "claims.md"
    assert [one.experiment for one in write_page([folder], page)] == ["tiny"]
    text = page.read_text()
    assert "**Measured (quick): reproduced.**" in text
    assert text.count(f"**Measured:** {NOT_RUN}.") == len(EXPERIMENTS) - 1
    plot = page.parent / "images" / "claims" / "tiny-quick.png"
    assert plot.read_bytes() == b"a plot"
    assert "(images/claims/tiny-quick.png)" in text


@pytest.mark.usefixtures("listed")
def test_an_experiment_is_shown_once(folder: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(folder, tmp_path / "again"))
    with pytest.raises(UsageError, match=r"both hold tiny \(quick\); leave one out"):
        write_page([folder, again], tmp_path / "claims.md")


def test_an_unknown_experiment_is_rejected(
    folder: Path, tiny_result: ExperimentResult, tmp_path: Path
) -> None:
    (folder / "result.json").write_text(to_json(replace(tiny_result, experiment="huge")))
    with pytest.raises(UsageError, match=r"holds huge \(quick\), an experiment that"):
        write_page([folder], tmp_path / "claims.md")


def test_the_page_in_the_documents_is_the_one_that_the_program_writes() -> None:
    """Measurements change it; the claims must be those of the catalogue."""
    page = (ROOT / "docs" / "claims.md").read_text()
    blank = page_text(())
    assert page.startswith(blank.partition("## Verdicts")[0])
    for experiment in EXPERIMENTS.values():
        pattern = rf"^## {experiment.name}\n\n(.*?)\*\*Measured(.*?)(?=^## |\Z)"
        section, own = re.search(pattern, page, re.M | re.S), re.search(pattern, blank, re.M | re.S)
        assert section is not None
        assert own is not None
        assert section.group(1) == own.group(1)
        for arm in re.findall(r"^\| ([\w-]+) \| [\d.]+", section.group(2), re.M):
            assert experiment.arm(arm)
        for plot in re.findall(r"\]\((images/\S+)\)", section.group(2)):
            assert (ROOT / "docs" / plot).is_file()
