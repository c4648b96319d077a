"""One training step: what it computes, what it updates, and when it updates nothing."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexnet.config.augmentation import Augmentation
from alexnet.config.recipe import BalanceOptions, Recipe
from alexnet.errors import ConfigError, TrainingError
from alexnet.reporter import NullReporter
from alexnet.training.build import balanced_class_weights
from alexnet.training.setup import set_up_training
from alexnet.training.step import derive_seed, mean_loss, train_step
from support.steps import first_batch

pytestmark = pytest.mark.usefixtures("prepared_flowers")


def test_the_first_loss_is_at_chance_level(tiny: Recipe) -> None:
    setup = set_up_training(tiny, NullReporter())
    loss, logits, _ = train_step(setup, *first_batch(setup), 0, 0.0)
    assert logits.shape == (8, 12)
    assert loss.item() == pytest.approx(math.log(12), abs=0.15)


def test_every_parameter_gets_a_gradient_and_moves(tiny: Recipe) -> None:
    setup = set_up_training(tiny, NullReporter())
    before = {name: p.detach().clone() for name, p in setup.network.named_parameters()}
    train_step(setup, *first_batch(setup), 0, 1e-3)
    for name, parameter in setup.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert not torch.equal(parameter, before[name]), name


def test_a_step_is_one_update(tiny: Recipe) -> None:
    setup, updates = set_up_training(tiny, NullReporter()), []
    setup.optimizer.register_step_post_hook(lambda *arguments: updates.append(1))
    train_step(setup, *first_batch(setup), 0, 1e-3)
    assert len(updates) == 1


def test_label_smoothing_is_the_mixture_of_both_losses(tiny: Recipe) -> None:
    setup = set_up_training(replace(tiny, label_smoothing=0.3), NullReporter())
    pixels, labels = first_batch(setup)
    loss, logits, _ = train_step(setup, pixels, labels, 0, 0.0)
    log_p = F.log_softmax(logits, 1)
    right = -log_p[torch.arange(8), labels].mean()
    even = -log_p.mean()
    assert loss.item() == pytest.approx((0.7 * right + 0.3 * even).item(), rel=1e-5)


def test_augmentation_and_dropout_depend_only_on_seed_and_step(tiny: Recipe) -> None:
    losses = []
    for step in (0, 0, 1):
        setup = set_up_training(tiny, NullReporter())
        torch.manual_seed(time.monotonic_ns())
        losses.append(train_step(setup, *first_batch(setup), step, 0.0)[0].item())
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_a_loss_that_is_not_finite_updates_no_weight(tiny: Recipe) -> None:
    setup = set_up_training(tiny, NullReporter())
    train_step(setup, *first_batch(setup), 0, 1e-3)
    with torch.no_grad():
        setup.network.get_parameter("fc8.bias")[0] = math.inf
    before = {name: p.detach().clone() for name, p in setup.network.named_parameters()}
    memory = {id(p): s["exp_avg"].clone() for p, s in setup.optimizer.state.items()}
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step 2;"):
        train_step(setup, *first_batch(setup), 1, 1e-3)
    for name, parameter in setup.network.named_parameters():
        assert torch.equal(parameter, before[name]), name
    for parameter, state in setup.optimizer.state.items():
        assert torch.equal(state["exp_avg"], memory[id(parameter)])


def test_a_gradient_that_is_not_finite_updates_no_weight(tiny: Recipe) -> None:
    setup = set_up_training(tiny, NullReporter())
    train_step(setup, *first_batch(setup), 0, 1e-3)
    before = {name: p.detach().clone() for name, p in setup.network.named_parameters()}
    weight = setup.network.get_parameter("conv1.weight")
    weight.register_hook(lambda gradient: torch.full_like(gradient, math.inf))
    with pytest.raises(TrainingError, match=r"gradient of conv1\.weight is not finite at step 2;"):
        train_step(setup, *first_batch(setup), 1, 1e-3)
    for name, parameter in setup.network.named_parameters():
        assert torch.equal(parameter, before[name]), name


def test_seeds_by_hand() -> None:
    """Recorded: with another hash, no run could be repeated."""
    assert derive_seed(0, "views", 0) == 3760297251571348358
    assert derive_seed(7, "dropout", 12) == 6158432060737882356


# options of the update


@pytest.mark.parametrize("limit", [0.01, 1e6])
def test_the_norm_of_all_gradients_is_clipped(tiny: Recipe, limit: float) -> None:
    norms = []
    for clip_norm in (None, limit):
        optimizer = replace(tiny.optimizer, clip_norm=clip_norm)
        setup = set_up_training(replace(tiny, optimizer=optimizer), NullReporter())
        train_step(setup, *first_batch(setup), 0, 0.0)
        gradients = [p.grad for p in setup.network.parameters() if p.grad is not None]
        norms.append(torch.cat([g.flatten() for g in gradients]).norm().item())
    assert norms[0] > 0.01
    assert norms[1] == pytest.approx(min(limit, norms[0]), rel=1e-3)


def test_balanced_class_weights_by_hand(tiny: Recipe) -> None:
    """scikit-learn's n / (k * m); the loss is divided by the number of images."""
    weights = balanced_class_weights(np.array([0, 0, 0, 1, 2, 2]))
    assert weights.tolist() == pytest.approx([6 / 9, 6 / 3, 6 / 6])
    balance = BalanceOptions(class_weights="balanced")
    setup = set_up_training(replace(tiny, balance=balance), NullReporter())
    assert setup.class_weights is not None
    assert setup.class_weights.tolist() == [1.0] * 12, "each has three images"
    setup = replace(setup, class_weights=torch.arange(12.0))
    pixels, labels = first_batch(setup)
    loss, logits, _ = train_step(setup, pixels, labels, 0, 0.0)
    each = -F.log_softmax(logits, 1)[torch.arange(8), labels]
    assert loss.item() == pytest.approx((labels * each).mean().item(), rel=1e-5)


@pytest.mark.parametrize("mixed", [Augmentation(), Augmentation(mixup=0.4)], ids=["one", "mixup"])
def test_class_weights_multiply_the_smoothed_loss_of_an_image(
    tiny: Recipe, mixed: Augmentation
) -> None:
    """Every class's share of the target counts with its weight, the smoothing is not weighted."""
    recipe = replace(tiny, label_smoothing=0.3, augment=mixed)
    weights = torch.arange(12.0)
    setup = replace(set_up_training(recipe, NullReporter()), class_weights=weights)
    pixels, labels = first_batch(setup)
    loss, logits, targets = train_step(setup, pixels, labels, 0, 0.0)
    if targets is None:
        targets = F.one_hot(labels, 12).float()
    log_p = F.log_softmax(logits, 1)
    smoothed = -(0.7 * log_p + 0.3 * log_p.mean(1, keepdim=True))  # loss of each image and class
    assert loss.item() == pytest.approx((targets * weights * smoothed).sum(1).mean().item())


def test_the_best_smoothed_prediction_does_not_depend_on_the_class_weights() -> None:
    """300 images of a class and 10 of another: weights .52 and 15.5, 30 times as much."""
    weights = balanced_class_weights(np.repeat([0, 1], [300, 10]))
    logits = torch.zeros(2, 2, requires_grad=True)
    for _ in range(200):
        loss = mean_loss(logits, torch.eye(2), 0.1, weights)
        (gradient,) = torch.autograd.grad(loss, logits)
        with torch.no_grad():
            logits -= gradient / weights[:, None]
    best = torch.tensor([[0.95, 0.05], [0.05, 0.95]])
    torch.testing.assert_close(logits.softmax(1).detach(), best, rtol=0, atol=0.01)


def test_two_corrections_of_imbalance_are_refused() -> None:
    with pytest.raises(ConfigError, match="leave one out"):
        BalanceOptions(class_weights="balanced", balanced_sampling=True)
