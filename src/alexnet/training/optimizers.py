"""Update rules and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, overload

import torch
from torch import Tensor

from alexnet.config.recipe import OptimizerOptions
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


def parameter_groups(network: Network, options: OptimizerOptions) -> list[dict[str, Any]]:
    """Weights, biases and batch-norm vectors that may learn, each with rate factor and decay."""
    learning = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    vector_decay = options.weight_decay if options.decay_biases else 0.0
    weights = [p for _, p in learning if p.ndim > 1]
    biases = [p for name, p in learning if p.ndim == 1 and name.endswith("bias")]
    scales = [p for name, p in learning if p.ndim == 1 and not name.endswith("bias")]
    groups = (
        {"params": weights, "weight_decay": options.weight_decay, "rate_factor": 1.0},
        {"params": biases, "weight_decay": vector_decay, "rate_factor": options.bias_lr_multiplier},
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
    network: Network, options: OptimizerOptions, slowed: Collection[Tensor] = ()
) -> torch.optim.Optimizer:
    """The optimizer of a recipe over the parameters that may learn."""
    groups = split_slowed(parameter_groups(network, options), slowed)
    rate, betas = options.lr, (options.momentum, options.beta2)
    match options.optimizer:
        case "paper":
            return PaperSGD(groups, rate, options.momentum)
        case "sgd":
            return torch.optim.SGD(groups, rate, options.momentum, fused=True)
        case "adam":
            return torch.optim.Adam(groups, rate, betas, options.eps, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, rate, betas, options.eps, fused=True)
        case "keras_adam":
            return KerasAdam(groups, rate, betas, options.eps)
