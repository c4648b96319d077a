"""Experiments by name."""

from __future__ import annotations

import pytest

from alexnet import experiments
from alexnet.errors import UnknownNameError
from alexnet.experiments.catalogue import EXPERIMENTS, experiment


def test_a_misspelt_name_suggests_the_nearest() -> None:
    assert experiment("dropout") is EXPERIMENTS["dropout"]
    with pytest.raises(UnknownNameError, match="did you mean dropout"):
        experiment("dropuot")


def test_every_experiment_has_a_primary_comparison_a_source_and_limits() -> None:
    for name, one in EXPERIMENTS.items():
        assert one.name == name
        assert any(comparison.is_primary for comparison in one.comparisons)
        assert one.source
        assert one.limits


def test_public_names_of_the_package() -> None:
    assert experiments.EXPERIMENTS is EXPERIMENTS
    assert all(getattr(experiments, name) for name in experiments.__all__)
