"""The report of an experiment: its texts, tables and order of writing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.experiments.design import digest
from alexnet.experiments.report import effects_table, markdown_table, report_text, write_report
from alexnet.experiments.results import ExperimentResult
from support.experiments import Finished, history


def test_the_report_has_the_verdict_and_every_number(tiny_result: ExperimentResult) -> None:
    text = report_text(tiny_result)
    assert text.startswith("# tiny: reproduced\n")
    assert "| ten crops help (secondary) |" in text
    for arm in tiny_result.arms:
        assert f"| {arm.name} | 0.001 |" in text
        assert f"{100 * arm.mean:.2f} %" in text
    assert "1.5 min of training" in text
    assert "\n- `none`: --dropout 0\n" in text
    assert f"the protocol, `{digest(tiny_result.design)}`." in text
    assert "Excluded" not in text
    assert "lower bound" not in text


def test_the_report_of_finished_runs_is_beside_its_plot(finished: Finished) -> None:
    assert (finished.out / "plot.png").exists()
    assert "](plot.png)" in (finished.out / "report.md").read_text()


def test_censored_and_diverged_runs_and_excluded_arms_are_named(
    tiny_result: ExperimentResult,
) -> None:
    arm = replace(tiny_result.arms[0], censored=(False, True, False), diverged=(False, False, True))
    result = replace(
        tiny_result, arms=(arm, *tiny_result.arms[1:]), excluded=("none",), measure="test_error"
    )
    text = report_text(result)
    assert " Excluded: none.\n" in text
    assert "| > 11.11 % |" in text
    assert "8.33 %, > 16.67 %, 8.33 % (diverged) |" in text
    assert "A run marked > ended before it reached the target" in text


def test_a_missing_end_is_a_dash(tiny_result: ExperimentResult) -> None:
    one = tiny_result.comparisons[0]
    interval = replace(one.interval, estimate=0.4, low=0.3, is_unbounded_above=True)
    table = effects_table([replace(one, interval=interval, expected=None)], 3)
    assert "|  | +1.00 points | at least +40.00 points (+30.00 to -) |" in table


@pytest.mark.slow
def test_the_result_is_written_last(tiny_result: ExperimentResult, tmp_path: Path) -> None:
    """A folder with `result.json` is finished, so nothing may be missing beside it."""
    (tmp_path / "report.md").mkdir()
    with pytest.raises(OSError, match=r"report\.md"):
        write_report(tiny_result, {"dropout": [history(0.5)]}, tmp_path)
    assert (tmp_path / "plot.png").exists()
    assert not (tmp_path / "result.json").exists()


def test_a_bar_in_a_cell_does_not_break_a_table() -> None:
    assert markdown_table(("a", "b"), [("1|2", "3")]) == "| a | b |\n| --- | --- |\n| 1/2 | 3 |"


def test_a_published_effect_is_shown(tiny_result: ExperimentResult) -> None:
    one = replace(tiny_result.comparisons[0], expected=0.015)
    assert "| +1.50 points | +1.00 points |" in effects_table([one], 3)
