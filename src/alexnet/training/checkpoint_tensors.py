"""The tensors of a checkpoint: weights, their average, and the optimizer's state.

They are those of the whole network however it is spread over processes, so that a run can be
resumed by another number of them, in another scheme.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.parallel.parts import gather_whole, own_part
from alexnet.training.setup import TrainingSetup


def training_tensors(setup: TrainingSetup) -> dict[str, Tensor]:
    """All tensors that a checkpoint keeps of network and optimizer; complete only in rank 0.

    All processes call it together.
    """
    setup.gather()
    tensors = {f"network.{name}": t for name, t in setup.network.state_dict().items()}
    if setup.average:
        averages = setup.average.network.state_dict()
        tensors |= {f"average.{name}": tensor for name, tensor in averages.items()}
    state = setup.optimizer.state
    for name, parameter in setup.learner.named_parameters():
        for key, value in state.get(parameter, {}).items():
            whole = _whole(setup, name, torch.as_tensor(value))
            if setup.world.is_main:  # the others need no memory for it
                tensors[f"optimizer.{name}.{key}"] = whole
    return tensors


def load_training_tensors(setup: TrainingSetup, tensors: dict[str, Tensor]) -> None:
    """Load what `training_tensors` gave, in each process its part.

    Raises:
        RuntimeError: they belong to another network.
    """
    setup.network.load_state_dict(_with_prefix(tensors, "network."))
    if setup.average:
        setup.average.network.load_state_dict(_with_prefix(tensors, "average."))
    setup.scatter()
    for name, parameter in setup.learner.named_parameters():
        if values := _with_prefix(tensors, f"optimizer.{name}."):
            own = {key: _own(setup, name, value) for key, value in values.items()}
            setup.optimizer.state[parameter] = {k: _like(k, t, parameter) for k, t in own.items()}


def _whole(setup: TrainingSetup, name: str, value: Tensor) -> Tensor:
    return gather_whole(setup.part.plan, name, value) if setup.part else value


def _own(setup: TrainingSetup, name: str, value: Tensor) -> Tensor:
    return own_part(setup.part.plan, name, value, setup.world.rank) if setup.part else value


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by the rest of the name."""
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _like(key: str, value: Tensor, parameter: Tensor) -> Tensor:
    """A tensor of optimizer state, on the device and in the memory layout of its parameter.

    PaperSGD reads "lr", a float64, in every step: it stays on the CPU.
    """
    if key == "lr":
        return value.to("cpu", copy=True)
    return (
        torch.empty_like(parameter).copy_(value)
        if value.shape == parameter.shape
        else value.to(parameter.device, copy=True)
    )
