"""Experiments as text of 80 columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.cli.experiment_text import (
    describe_experiment,
    plan_text,
    result_text,
    verdicts_text,
)
from alexnet.cli.outputs.experiment_plan import plan_output
from alexnet.cli.outputs.verdicts import report_output
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.plan import Plan
from alexnet.experiments.results import ExperimentResult
from alexnet.experiments.speeds import known_speeds


def longest(text: str) -> int:
    return max(map(len, text.splitlines()))


def test_every_experiment_and_plan_fits_80_columns() -> None:
    for one in EXPERIMENTS.values():
        assert longest(describe_experiment(one, known_speeds("cpu"))) <= 80
        assert longest(plan_text(plan_output(Plan(experiment=one), "runs/x", 2, 12.0))) <= 80


@pytest.mark.usefixtures("listed")
def test_a_result_of_an_earlier_protocol_is_marked(tiny_result: ExperimentResult) -> None:
    now = verdicts_text(report_output([tiny_result], "page"))
    assert "*" not in now
    assert now.splitlines()[-1].split() == ["tiny", "quick", "3", "reproduced"]
    settings = {**tiny_result.design.settings, "tuning epochs": "7"}
    earlier = replace(tiny_result, design=replace(tiny_result.design, settings=settings))
    old = verdicts_text(report_output([earlier], "page"))
    assert "quick *" in old
    assert "an earlier protocol" in old


def test_a_series_tells_once_what_its_sizes_share() -> None:
    plan = Plan(experiment=EXPERIMENTS["small-data"], protocol_name="full")
    text = plan_text(plan_output(plan, "runs/x", 1, None)).partition("differs in")[2]
    assert text.count("--input-size 160 instead of 67") == 1
    assert "--train-per-class" not in text


def test_a_result_has_its_effects_and_verdict(tiny_result: ExperimentResult) -> None:
    first, second = tiny_result.comparisons
    longer = replace(second, name="ten crops of every image have a lower error " * 2)
    text = result_text(replace(tiny_result, comparisons=(first, longer)))
    assert longest(text) <= 80
    assert "95 % interval: reproduced" in text
    assert "(secondary)" in text
    assert text.endswith("tiny: reproduced")
