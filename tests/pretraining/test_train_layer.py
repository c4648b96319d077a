"""One layer's training: learning rate, weighted means, and errors that are not finite."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from alexnet.errors import TrainingError
from alexnet.pretraining import train_layer
from alexnet.pretraining.train_layer import cosine_lr, mean_over_batches, train_step
from support import no_float64
from support.no_float64 import LimitedDevice, LimitedTensor
from support.pretraining import RBM, first_autoencoder, first_rbm, noise, smooth_images, tiny_arch


def test_the_learning_rate_falls_along_a_cosine() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    rates = []
    for progress in (0, 1 / 3, 1 / 2, 1):
        cosine_lr(optimizer, 0.4, progress)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.4, 0.3, 0.2, 0])


def test_batches_are_weighted_by_their_size() -> None:
    batches = [torch.zeros(3, 1), torch.ones(1, 1)]
    assert mean_over_batches(batches, torch.mean) == 0.25


def test_an_error_that_is_not_finite_names_the_flag_and_changes_nothing() -> None:
    arch = tiny_arch("lenet5")
    x = smooth_images(arch, 2)
    recipe = replace(RBM, gaussian_lr=1e30)
    for layer, flag in (
        (first_rbm(arch, x, recipe), r"--gaussian-lr than 1e\+30"),
        (first_autoencoder(arch, x), r"--lr than 0\.003"),
    ):
        before = [p.clone() for p in layer.parameters()]
        with pytest.raises(TrainingError, match=f"of conv1 is nan at step 8; try a lower {flag}"):
            train_step(layer, layer.build_optimizer(), x * math.nan, noise(2), 7)
        assert all(map(torch.equal, before, layer.parameters()))


def test_a_mean_on_a_device_without_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_layer, "has_float64", lambda where: where != no_float64.DEVICE)
    with LimitedDevice():
        batches = [LimitedTensor(torch.tensor(x)) for x in ([1.0, 2.0], [6.0])]
        assert mean_over_batches(batches, lambda x: x.mean()) == 3
