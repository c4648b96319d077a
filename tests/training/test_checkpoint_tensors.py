"""Where the tensors of a checkpoint are, and in which memory layout."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import torch
from torch import nn

from alexnet.training.checkpoint_tensors import load_training_tensors
from alexnet.training.optimizers import PaperSGD
from alexnet.training.setup import TrainingSetup


def test_the_optimizers_lr_stays_on_the_cpu_and_the_rest_is_with_the_weights() -> None:
    """A GPU may have no float64, and to read from it the CPU would have to wait in every step."""
    network = nn.Linear(3, 2, device="meta")
    setup = SimpleNamespace(
        network=network, part=None, learner=network, average=None, scatter=lambda: None,
        optimizer=PaperSGD(network.parameters(), 1),
    )  # fmt: skip
    tensors = {
        "network.weight": torch.ones(2, 3, device="meta"),
        "network.bias": torch.ones(2, device="meta"),
        "optimizer.weight.buffer": torch.ones(2, 3),
        "optimizer.weight.lr": torch.tensor(0.1, dtype=torch.float64),
    }
    load_training_tensors(cast(TrainingSetup, setup), tensors)
    state = setup.optimizer.state[network.weight]
    assert state["buffer"].is_meta
    assert torch.equal(state["lr"], tensors["optimizer.weight.lr"])
