"""How far an update moves the weights, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from alexnet.training.update_stats import describe_updates, rms


def test_rms() -> None:
    found = rms({"w": torch.tensor([[3.0, -4.0]]), "b": torch.zeros(2)})
    assert found == {"w": pytest.approx(math.sqrt(12.5)), "b": 0.0}


def test_describe_updates() -> None:
    before = {"w": torch.tensor([3.0, 4.0]), "b": torch.tensor([0.5])}
    after = {"w": torch.tensor([6.0, 8.0]), "b": torch.tensor([0.0])}
    found = describe_updates(before, after)
    half, whole = math.sqrt(12.5), math.sqrt(50)
    assert found["w"] == pytest.approx({"weight": whole, "update": half, "ratio": 0.5})
    assert found["b"] == {"weight": 0.0, "update": 0.5, "ratio": 0.0}
