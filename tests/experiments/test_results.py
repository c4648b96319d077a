"""The result of an experiment as values and as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet.config.serialization import from_dict, to_dict, to_json
from alexnet.errors import ModelFileError
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.results import FORMAT, ExperimentResult, read_result
from alexnet.experiments.tuning import LRTrial
from support.experiments import Finished, made_up_result


def test_a_result_can_be_read_again(finished: Finished) -> None:
    result = read_result(finished.out)
    assert from_dict(ExperimentResult, to_dict(result)) == result
    text = (finished.out / "result.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert result.environment.torch
    assert result.seeds == (0, 1, 2)
    assert result.arm("none").differs == ("--dropout 0",)


def test_primary_comparisons_alone_decide_the_verdict(experiment: Experiment) -> None:
    """Ten crops hurt, which is secondary."""
    numbers = {"dropout": (1, 1, 1), "dropout-ten": (9, 9, 9), "none": (8, 8, 8)}
    result = made_up_result(experiment, numbers)
    assert [one.verdict for one in result.comparisons] == ["reproduced", "not reproduced"]
    assert result.verdict == "reproduced"


def test_mean_and_std_by_hand(experiment: Experiment) -> None:
    numbers = {"dropout": (3, 6, 9), "dropout-ten": (1, 1, 1), "none": (6, 6, 6)}
    arm = made_up_result(experiment, numbers).arm("dropout")
    assert arm.values == (0.25, 0.5, 0.75)
    assert (arm.mean, arm.std) == pytest.approx((0.5, 0.25))


def test_a_rate_at_an_edge_is_told_for_its_seed_and_for_the_arms_that_share_it(
    experiment: Experiment,
) -> None:
    numbers = {"dropout": (3, 6, 9), "dropout-ten": (1, 1, 1), "none": (6, 6, 6)}
    inside, edge = (
        tuple(LRTrial(lr=lr, value=abs(lr - best), loss=0.0) for lr in (1.0, 2.0, 3.0))
        for best in (2, 3)
    )
    result = made_up_result(experiment, numbers, {"dropout": (inside, edge, inside)})
    for name in ("dropout", "dropout-ten"):
        assert result.arm(name).at_edge == (False, True, False)
        assert result.arm(name).is_at_edge
    assert not result.arm("none").is_at_edge


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    for text in ('{"format": 2', "[]", f'{{"format": {FORMAT}}}'):
        (tmp_path / "result.json").write_text(text)
        with pytest.raises(ModelFileError, match=r"result\.json cannot be read"):
            read_result(tmp_path)


def test_a_result_of_another_format_is_rejected(
    tiny_result: ExperimentResult, tmp_path: Path
) -> None:
    plain = json.loads(to_json(tiny_result))
    (tmp_path / "result.json").write_text(json.dumps({**plain, "format": 1}))
    with pytest.raises(ModelFileError, match=f"has format 1 .* reads format {FORMAT}"):
        read_result(tmp_path)


def test_a_folder_without_a_result_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="holds no finished experiment"):
        read_result(tmp_path)
