"""The page of all claims, and the results that are kept for it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.serialization import to_json
from alexnet.errors import UsageError
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.kept_results import KEPT, keep_result, kept_results, results_at
from alexnet.experiments.results import ExperimentResult
from alexnet.experiments.summary_page import (
    is_current,
    page_text,
    plot_path,
    protocol_differences,
    verdict_table,
    write_page,
)
from alexnet.experiments.summary_page_text import NOT_RUN
from support.places import ROOT


@pytest.fixture
def folder(tiny_result: ExperimentResult, tmp_path: Path) -> Path:
    """The folder of a finished experiment, as far as the page reads it."""
    return finished_folder(tiny_result, tmp_path / "finished")


def finished_folder(result: ExperimentResult, path: Path) -> Path:
    path.mkdir()
    (path / "result.json").write_text(to_json(result))
    (path / "plot.png").write_bytes(b"a plot")
    return path


# the documents


def test_the_page_in_the_documents_is_made_of_the_kept_results() -> None:
    """If this fails: alexnet experiment report --keep src/alexnet/experiments/measured
    --out docs/claims.md"""
    results, docs = kept_results(), ROOT / "docs"
    plots = {path for path in map(plot_path, results) if (docs / path).is_file()}
    assert (docs / "claims.md").read_text() == page_text(results, plots)
    assert plots == {plot_path(one) for one in results}


def test_kept_files_are_small_and_named_for_what_they_hold() -> None:
    names = {f"{one.experiment}-{one.protocol}.json" for one in kept_results()}
    assert names == {path.name for path in KEPT.iterdir()}
    assert all(path.stat().st_size < 200_000 for path in KEPT.iterdir())


def test_kept_results_are_of_the_claims_that_the_code_has() -> None:
    """Whether they were measured by its protocols or by earlier ones, which the page says."""
    page = (ROOT / "docs" / "claims.md").read_text()
    for result in kept_results():
        experiment = EXPERIMENTS[result.experiment]
        if is_current(result):
            assert {arm.name for arm in result.arms} <= {arm.name for arm in experiment.arms}
        section = page.split(f"\n## {result.experiment}\n")[1].split("\n## ")[0]
        differences = protocol_differences(result)
        assert ("Measured with an earlier protocol" in section) == bool(differences)
        assert ("that of this version" in section) == (not differences)


# what it says


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
def test_an_earlier_protocol_is_told_with_both_values(
    tiny_result: ExperimentResult, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_current(tiny_result)
    quick = replace(experiment.protocols["quick"], num_seeds=4, tuning_epochs=7)
    changed = replace(experiment, limits="other words", protocols={"quick": quick})
    monkeypatch.setitem(EXPERIMENTS, "tiny", changed)
    assert protocol_differences(tiny_result) == ("seeds: 3, now 4", "tuning epochs: 1, now 7")
    text = page_text([tiny_result])
    assert re.search(r"an earlier protocol, `[0-9a-f]{12}`: seeds: 3, now 4; tuning", text)
    assert f"- **Limits:** {tiny_result.limits}\n" in text, "of the protocol that was run"
    assert r"| 3 | quick \* | 1.5 min | **reproduced** |" in text


@pytest.mark.usefixtures("listed")
def test_other_words_are_no_other_protocol(
    tiny_result: ExperimentResult, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXPERIMENTS, "tiny", replace(experiment, limits="other words"))
    assert is_current(tiny_result)
    assert "- **Limits:** other words\n" in page_text([tiny_result])


@pytest.mark.usefixtures("listed")
def test_more_seeds_than_the_protocol_has_are_no_earlier_protocol(
    tiny_result: ExperimentResult, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**tiny_result.design.settings, "seeds": "6"}
    more = replace(
        tiny_result,
        seeds=tuple(range(6)),
        design=replace(tiny_result.design, settings=settings),
    )
    assert is_current(more)
    monkeypatch.setitem(EXPERIMENTS, "tiny", replace(experiment, protocols={}))
    assert protocol_differences(more) == ("this version has no quick protocol",)


@pytest.mark.usefixtures("listed")
def test_a_claim_of_several_comparisons_has_a_row_for_each_and_wider_intervals(
    tiny_result: ExperimentResult,
) -> None:
    first, second = tiny_result.comparisons
    several = (first, replace(second, is_primary=True, verdict="undecided"))
    result = replace(tiny_result, comparisons=several, verdict="undecided")
    table = verdict_table([result]).splitlines()
    row = next(i for i, line in enumerate(table) if "tiny" in line)
    assert "all of 2 |  | 3 | quick | 1.5 min | **undecided** |" in table[row]
    assert table[row + 1].startswith(f"| - {first.name} | +")
    assert table[row + 2].endswith("| undecided |")
    text = page_text([result])
    assert "| 97.5 % interval |" in text
    assert "97.5 % interval" not in page_text([tiny_result])
    assert f"- *{second.name}*: " in text
    assert "What would decide it:" in text
    assert "What would decide it:" not in page_text([tiny_result])


@pytest.mark.usefixtures("listed")
def test_a_comparison_of_fewer_seeds_than_the_others_says_so(tiny_result: ExperimentResult) -> None:
    first, *others = tiny_result.comparisons
    fewer = replace(first, effects=first.effects[:2])
    assert "by the first 2 seeds" not in page_text([tiny_result])
    text = page_text([replace(tiny_result, comparisons=(fewer, *others))])
    assert f"| {first.name}, by the first 2 seeds | " in text


@pytest.mark.usefixtures("listed")
def test_what_differs_between_the_arms_is_told_with_the_recipes_value(
    tiny_result: ExperimentResult,
) -> None:
    text = page_text([tiny_result])
    assert "- `dropout`: nothing\n" in text
    assert "- `dropout-ten`: 10 crops\n" in text
    arms = tuple(
        replace(arm, series="s", differs=("--width 1 instead of 0.5", f"--epochs {i}"))
        for i, arm in enumerate(tiny_result.arms)
    )
    assert "- `s`: --width 1 instead of 0.5\n" in page_text([replace(tiny_result, arms=arms)])


# keeping


@pytest.mark.usefixtures("listed")
def test_a_kept_result_replaces_the_earlier_one_and_the_page_is_of_all(
    folder: Path, tiny_result: ExperimentResult, tmp_path: Path
) -> None:
    keep, page = tmp_path / "kept", tmp_path / "claims.md"
    old = replace(tiny_result, protocol="full", training_seconds=1.0)
    keep_result(old, keep)
    assert [one.protocol for one in write_page([folder], page, keep)] == ["full", "quick"]
    new = finished_folder(replace(tiny_result, protocol="full"), tmp_path / "new")
    assert all(one.training_seconds > 1 for one in write_page([new], page, keep))
    text = page.read_text()
    write_page([keep], page)
    assert page.read_text() == text
    write_page([], page, keep)
    assert page.read_text() == text


def test_kept_numbers_are_rounded_to_what_no_page_shows(
    tiny_result: ExperimentResult, tmp_path: Path
) -> None:
    third = replace(tiny_result.arms[0], mean=1 / 3)
    keep_result(replace(tiny_result, arms=(third,)), tmp_path)
    (kept,) = results_at(tmp_path)
    assert kept.arms[0].mean == 0.333333
    assert kept.design == tiny_result.design


@pytest.mark.usefixtures("listed")
def test_an_experiment_is_shown_once(
    folder: Path, tiny_result: ExperimentResult, tmp_path: Path
) -> None:
    again = finished_folder(tiny_result, tmp_path / "again")
    with pytest.raises(UsageError, match=r"both hold tiny \(quick\); leave one out"):
        write_page([folder, again], tmp_path / "claims.md")


def test_an_unknown_experiment_is_rejected(tiny_result: ExperimentResult, tmp_path: Path) -> None:
    folder = finished_folder(replace(tiny_result, experiment="huge"), tmp_path / "huge")
    with pytest.raises(UsageError, match=r"holds huge \(quick\), an experiment that"):
        write_page([folder], tmp_path / "claims.md", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
