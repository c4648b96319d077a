"""Update rules and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, overload

import torch
from torch import Tensor

from alexnet.config.recipe import Optimizer, Schedule
from alexnet.models.network import Network


class PaperSGD(torch.optim.Optimizer):
    """v <- momentum * v - decay * rate * w - rate * g;  w <- w + v.

    The rate sits inside the velocity, so a drop of the rate leaves the old velocity as fast as it
    was; torch's SGD slows it at once. Equal until the rate changes.

    It runs torch's fused SGD, one pass over memory, whose buffer b stands for v = -rate * b: where
    the rate changes, that step's momentum is multiplied by old rate / new rate.

    Source: Paper, section 5.
    """

    def __init__(
        self, params: Any, lr: float, momentum: float = 0.9, weight_decay: float = 5e-4
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            if weights := [w for w in group["params"] if w.grad is not None]:
                self._update(weights, group)
        return loss

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        states = [self._state(weight) for weight in weights]
        buffers = [state["buffer"] for state in states]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        momentum, rate, last_rate = group["momentum"], group["lr"], float(states[0]["rate"])
        if rate == 0:  # the velocity alone
            torch._foreach_mul_(buffers, momentum)
            torch._foreach_add_(weights, buffers, alpha=-last_rate)
            return
        torch._fused_sgd_(
            weights,
            gradients,
            buffers if momentum else [],
            weight_decay=group["weight_decay"],
            momentum=momentum * (last_rate or rate) / rate,  # the first buffer is 0
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
        for state in states:
            state["rate"].fill_(rate)

    def _state(self, weight: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[weight]
        if not state:
            state["buffer"] = torch.zeros_like(weight)
            state["rate"] = torch.zeros((), dtype=torch.float64)  # of the last step
        return state


class KerasAdam(torch.optim.Adam):
    """Adam with epsilon outside the bias correction, as Keras computes it.

    w <- w - rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)

    torch divides v by its correction before adding epsilon, which makes Keras's epsilon larger
    early in training: this is torch's Adam, fused, with epsilon / sqrt(1 - b2^t) at step t.

    Source: Kingma and Ba 2015, the last paragraph of section 2; Keras's `Adam.update_step`.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-7,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, fused=True)
        for group in self.param_groups:
            group["keras_eps"] = eps

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            steps = (self.state[w]["step"] for w in group["params"] if w in self.state)
            t = 1 + max(map(float, steps), default=0.0)
            group["eps"] = group["keras_eps"] / math.sqrt(1 - group["betas"][1] ** t)
        super().step()
        return loss


def parameter_groups(network: Network, options: Optimizer) -> list[dict[str, Any]]:
    """Weights, biases and batch-norm vectors that may learn, each with rate factor and decay."""
    learning = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    vector_decay = options.weight_decay if options.decay_biases else 0.0
    weights = [p for _, p in learning if p.ndim > 1]
    biases = [p for name, p in learning if p.ndim == 1 and name.endswith("bias")]
    scales = [p for name, p in learning if p.ndim == 1 and not name.endswith("bias")]
    groups = (
        {"params": weights, "weight_decay": options.weight_decay, "rate_factor": 1.0},
        {"params": biases, "weight_decay": vector_decay, "rate_factor": options.bias_rate_factor},
        {"params": scales, "weight_decay": vector_decay, "rate_factor": 1.0},
    )
    return [group for group in groups if group["params"]]


def split_slowed(groups: list[dict[str, Any]], slowed: Collection[Tensor]) -> list[dict[str, Any]]:
    """The same groups, with the parameters that will be slowed in groups of their own."""
    ids = {id(parameter) for parameter in slowed}
    parts = (
        {
            **group,
            "params": [p for p in group["params"] if (id(p) in ids) == is_slowed],
            "is_slowed": is_slowed,
        }
        for group in groups
        for is_slowed in (False, True)
    )
    return [part for part in parts if part["params"]]


def build_optimizer(
    network: Network, options: Optimizer, slowed: Collection[Tensor] = ()
) -> torch.optim.Optimizer:
    """The optimizer of a recipe over the parameters that may learn."""
    groups = split_slowed(parameter_groups(network, options), slowed)
    rate, betas = options.rate, (options.momentum, options.second_momentum)
    match options.rule:
        case "paper":
            return PaperSGD(groups, rate, options.momentum)
        case "sgd":
            return torch.optim.SGD(groups, rate, options.momentum, fused=True)
        case "adam":
            return torch.optim.Adam(groups, rate, betas, options.epsilon, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, rate, betas, options.epsilon, fused=True)
        case "keras_adam":
            return KerasAdam(groups, rate, betas, options.epsilon)


def set_rate(optimizer: torch.optim.Optimizer, rate: float, slow_rate: float | None = None) -> None:
    """Give every group its multiple of `rate`, and slowed groups that of `slow_rate` if given."""
    for group in optimizer.param_groups:
        is_slow = slow_rate is not None and group["is_slowed"]
        group["lr"] = (slow_rate if is_slow else rate) * group["rate_factor"]


def rate_at(
    schedule: Schedule,
    base: float,
    step: int,
    steps_per_epoch: int,
    total_steps: int,
    errors: Sequence[float] = (),
) -> float:
    """The learning rate of a step.

    Args:
        schedule: how it moves.
        base: the rate at its highest.
        step: counted from 0 over the whole run.
        steps_per_epoch: batches in an epoch.
        total_steps: batches in the run.
        errors: validation error after each finished epoch, for `plateau`.

    A warm-up of n steps gives step i the share (i + 1) / n. Cosine falls from the warm-up's end to
    0 after the last step; without a warm-up its first step has the full rate.
    """
    warmup = schedule.warmup_steps + round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return base * (step + 1) / warmup
    match schedule.schedule:
        case "constant":
            return base
        case "steps":
            epoch = step // steps_per_epoch
            return base * schedule.drop_factor ** sum(
                epoch >= drop for drop in schedule.drop_after_epochs
            )
        case "plateau":
            return base * schedule.drop_factor ** plateau_drops(
                errors, schedule.patience_epochs, schedule.max_drops
            )
        case "cosine":
            angle = math.pi * (step - warmup) / max(1, total_steps - warmup)
            return base * 0.5 * (1 + math.cos(angle))


def plateau_drops(errors: Iterable[float], patience: int, limit: int) -> int:
    """How often the rate has dropped: once per `patience` epochs without a new lowest error.

    Source: Paper, section 5, done there by hand, three times.
    """
    lowest, waited, drops = math.inf, 0, 0
    for error in errors:
        waited = 0 if error < lowest else waited + 1
        lowest = min(lowest, error)
        if waited == patience and drops < limit:
            waited, drops = 0, drops + 1
    return drops
