"""The design of an experiment: what changes it, and how a change is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict, to_dict
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.design import Design, design_differences, design_of, digest
from alexnet.experiments.experiment import Arm, Comparison, Experiment
from alexnet.experiments.plan import Plan
from alexnet.pretraining.recipe import KINDS, RbmRecipe

DROPOUT = EXPERIMENTS["dropout"]


def design(experiment: Experiment = DROPOUT, **choices: object) -> Design:
    return design_of(Plan(experiment=experiment, **choices))  # type: ignore[arg-type]


def test_a_text_changes_no_design_and_neither_does_a_place() -> None:
    other = replace(DROPOUT, claim="c", source="s", expected="e", limits="l")
    comparison = replace(other.comparisons[0], name="other words", expected=0.3)
    other = replace(other, comparisons=(comparison,))
    assert design(other, device="cpu", data_root="data") == design()
    assert digest(design(other)) == digest(design())


def with_protocol(**changes: object) -> Experiment:
    quick = replace(DROPOUT.protocols["quick"], **changes)  # type: ignore[arg-type]
    return replace(DROPOUT, protocols={"quick": quick})


def test_whatever_a_result_depends_on_is_told_with_both_values() -> None:
    quick = DROPOUT.protocols["quick"]
    less = replace(DROPOUT.comparisons[0], min_effect=0.004)
    fewer = replace(DROPOUT.arms[1], changes={"model.dropout": 0.25})
    third = Arm(name="third", crops=10)
    cases = {
        "--epochs: 16, now 5": design(with_protocol(base=replace(quick.base, epochs=5))),
        "seeds: 3, now 4": design(num_seeds=4),
        "tuning epochs: 8, now 7": design(with_protocol(tuning_epochs=7)),
        "lr grid: 0.01 0.003 0.03, now 0.1 1": design(with_protocol(lr_grid=(0.1, 1.0))),
        "arm lr grids: none, now dropout 0.1 0.3, no-dropout 0.02": design(
            with_protocol(arm_lr_grids={"no-dropout": (0.02,), "dropout": (0.1, 0.3)})
        ),
        "arm seeds: none, now dropout 3": design(with_protocol(arm_seeds={"dropout": 3})),
        "measure: test_error, now train_error": design(replace(DROPOUT, measure="train_error")),
        "arm third: none, now 10 crops": design(replace(DROPOUT, arms=(*DROPOUT.arms, third))),
        "arm no-dropout: --dropout 0, now --dropout 0.25": design(
            replace(DROPOUT, arms=(DROPOUT.arms[0], fewer))
        ),
        "comparison 1: difference of dropout against no-dropout; minimum effect 0.005, "
        "now difference of dropout against no-dropout; minimum effect 0.004": design(
            replace(DROPOUT, comparisons=(less,))
        ),
    }
    for told, changed in cases.items():
        assert design_differences(design(), changed) == (told,)
        assert digest(changed) != digest(design())


def test_values_of_mappings_are_told_and_change_the_digest() -> None:
    few, many = (design(with_protocol(arm_seeds={"dropout": n})) for n in (3, 4))
    assert design_differences(few, many) == ("arm seeds: dropout 3, now dropout 4",)
    assert digest(few) != digest(many)


def test_every_option_of_a_pretraining_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, kw_only=True)
    class OtherRbm(RbmRecipe):
        sparsity_cost: float = 1.0

    experiment = EXPERIMENTS["small-data"]
    before = design(experiment, protocol_name="full")
    monkeypatch.setitem(KINDS, "rbm", OtherRbm)
    (told,) = design_differences(before, design(experiment, protocol_name="full"))
    assert "sparsity_cost 5" in told.split(", now ")[0]
    assert "sparsity_cost 1" in told.split(", now ")[1]
    assert not any("pretraining" in name for name in design().settings)


def test_epochs_of_one_arm_and_secondary_comparisons_are_part_of_it() -> None:
    longer = design(with_protocol(arm_epochs={"dropout": 20}))
    assert design_differences(design(), longer) == ("arm dropout: -, now --epochs 20",)
    beside = Comparison(
        name="x", better=("dropout",), worse=("no-dropout",), min_effect=0.1, is_primary=False
    )
    more = design(replace(DROPOUT, comparisons=(*DROPOUT.comparisons, beside)))
    assert len(design_differences(design(), more)) == 1


def test_a_design_survives_json_and_takes_new_fields_at_their_default() -> None:
    plain = json.loads(json.dumps(to_dict(design())))
    assert from_dict(Design, plain) == design()
    del plain["recipe"]["label_smoothing"]
    assert digest(from_dict(Design, plain)) == digest(design())


def test_an_option_that_is_added_changes_no_digest_until_it_is_used() -> None:
    @dataclass(frozen=True, kw_only=True)
    class LaterRecipe(Recipe):
        added: int = 0

    def later(**changes: int) -> Design:
        options = {name: getattr(design().recipe, name) for name in Recipe.__dataclass_fields__}
        return replace(design(), recipe=LaterRecipe(**options, **changes))

    assert digest(later()) == digest(design())
    assert digest(later(added=1)) != digest(design())
