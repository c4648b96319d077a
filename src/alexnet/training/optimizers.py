"""Optimizers: the paper's SGD, Keras's Adam, and the parameter groups of a recipe."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection
from itertools import chain
from typing import Any, overload

import torch
from torch import Tensor

from alexnet.config.recipe import OptimizerOptions
from alexnet.models.modules import allow_bf16_gradients
from alexnet.models.network import Network
from alexnet.ops import bf16_gradients
from alexnet.parallel.world import current_world


class EagerOptimizer(torch.optim.Optimizer):
    """Methods of torch's optimizers without the decorators that are for a compiled step.

    At the first call these import `torch._dynamo`, a third of the time until the first step.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own."""
        inspect.unwrap(super().add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients to None, or to 0."""
        inspect.unwrap(super().zero_grad)(self, set_to_none)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; return the loss if `closure` computes one."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        self.update()
        return loss

    def update(self) -> None:
        """Update the parameters, as `step` without a closure."""
        inspect.unwrap(super().step)(self)


class PaperSGD(EagerOptimizer):
    """SGD as the paper writes it: v <- momentum * v - decay * lr * w - lr * g;  w <- w + v.

    The learning rate is inside the velocity v, so a drop of the learning rate does not scale the
    velocity that has built up; in torch's SGD it does. The two are equal until it changes.

    It runs torch's fused SGD (one pass over memory), or `sgd_step` where a gradient is bf16, whose
    buffer b is v = -lr * b. In a step in which the learning rate changes, the momentum is
    multiplied by old lr / new lr.

    Source: Paper, section 5.
    """

    def __init__(
        self, params: Any, lr: float, momentum: float = 0.9, weight_decay: float = 5e-4
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a `state_dict`; the optimizer then continues with the same bits.

        Raises:
            ValueError: it is of other parameter groups.
        """
        super().load_state_dict(state_dict)
        saved = state_dict["state"]
        groups = state_dict["param_groups"], self.param_groups
        pairs = (chain.from_iterable(group["params"] for group in part) for part in groups)
        for index, weight in zip(*pairs, strict=True):
            if index in saved:  # torch has rounded it to the type of the weight
                self.state[weight]["lr"] = saved[index]["lr"].to("cpu", copy=True)

    def update(self) -> None:
        """Update the parameters, as `step` without a closure."""
        for group in self.param_groups:
            for last_lr, weights in self._by_last_lr(group["params"]).items():
                self._update(weights, last_lr, group)

    def _by_last_lr(self, weights: list[Tensor]) -> dict[float, list[Tensor]]:
        """The weights with a gradient, by the learning rate of their last step; 0 before one."""
        found: dict[float, list[Tensor]] = {}
        for weight in weights:
            if weight.grad is not None:
                found.setdefault(float(self._state(weight)["lr"]), []).append(weight)
        return found

    def _update(self, weights: list[Tensor], last_lr: float, group: dict[str, Any]) -> None:
        states = [self._state(weight) for weight in weights]
        buffers = [state["buffer"] for state in states]
        momentum, lr = group["momentum"], group["lr"]
        found_inf: Tensor | None = getattr(self, "found_inf", None)
        if lr == 0:  # only the velocity moves the weights
            if found_inf is not None and found_inf:  # as torch's fused SGD looks at it
                return
            torch._foreach_mul_(buffers, momentum)
            torch._foreach_add_(weights, buffers, alpha=-last_lr)
            return
        options = {
            "lr": lr,
            "momentum": momentum * (last_lr or lr) / lr,  # the first buffer is 0
            "weight_decay": group["weight_decay"],
        }
        pairs = list(zip(weights, buffers, strict=True))
        for weight, buffer in pairs:
            if has_bf16_gradient(weight):
                bf16_gradients.sgd_step(weight, buffer, **options)
        if others := [pair for pair in pairs if not has_bf16_gradient(pair[0])]:
            torch._fused_sgd_(
                [weight for weight, _ in others],
                [weight.grad for weight, _ in others if weight.grad is not None],
                [buffer for _, buffer in others] if momentum else [],
                **options,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=False,
                found_inf=found_inf,
            )
        for state in states:
            state["lr"].fill_(lr)

    def _state(self, weight: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[weight]
        if not state:
            state["buffer"] = torch.zeros_like(weight)
            state["lr"] = torch.zeros((), dtype=torch.float64, device="cpu")  # of the last step
        return state


class SGD(EagerOptimizer, torch.optim.SGD):
    """torch's fused SGD; some of its weights may start to be trained later than others."""

    def update(self) -> None:
        """Update the parameters, as `step` without a closure."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            late = [weight for weight in weights if "momentum_buffer" not in self.state[weight]]
            for weight in late if len(late) < len(weights) else ():  # torch needs all or none
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        super().update()


class Adam(EagerOptimizer, torch.optim.Adam):
    """torch's Adam, fused; some of its gradients may be bf16."""

    def update(self) -> None:
        """Update the parameters, as `step` without a closure."""
        gradients = {}
        for group in self.param_groups:
            for weight in filter(has_bf16_gradient, group["params"]):
                self._step_bf16(weight, group)
                gradients[weight], weight.grad = weight.grad, None
        super().update()
        for weight, gradient in gradients.items():
            weight.grad = gradient

    def _step_bf16(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:  # as torch's
            state["step"] = torch.zeros((), dtype=torch.float32, device="cpu")
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        state["step"] += 1
        options = {name: group[name] for name in ("lr", "betas", "eps", "weight_decay")}
        bf16_gradients.adam_step(
            weight,
            state["exp_avg"],
            state["exp_avg_sq"],
            int(state["step"]),
            **options,
            is_decoupled=group["decoupled_weight_decay"],
        )


class AdamW(Adam, torch.optim.AdamW):
    """torch's AdamW, fused; some of its gradients may be bf16."""


class KerasAdam(Adam):
    """Adam with epsilon outside the bias correction, as Keras computes it.

    w <- w - lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)

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

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group.setdefault("keras_eps", group["eps"])  # `update` changes the latter

    def update(self) -> None:
        """Update the parameters, as `step` without a closure."""
        for group in self.param_groups:
            steps = [self.state[w]["step"] for w in group["params"] if w in self.state]
            t = 1 + (float(torch.stack(steps).max()) if steps else 0.0)  # one read of a GPU
            group["eps"] = group["keras_eps"] / math.sqrt(1 - group["betas"][1] ** t)
        super().update()


def has_bf16_gradient(weight: Tensor) -> bool:
    """Whether a weight has a bf16 gradient and is not bf16 itself."""
    return weight.grad is not None and weight.grad.dtype == torch.bfloat16 != weight.dtype


def parameter_groups(network: Network, options: OptimizerOptions) -> list[dict[str, Any]]:
    """Weights, biases and batch-norm scales that are not frozen, each group with its options.

    `lr_multiplier` is for `schedule.set_lr`, `weight_decay` for the optimizer.
    """
    learning = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    decay = options.weight_decay if options.decay_biases else 0.0
    weights = [p for _, p in learning if p.ndim > 1]
    biases = [p for name, p in learning if p.ndim == 1 and name.endswith("bias")]
    scales = [p for name, p in learning if p.ndim == 1 and not name.endswith("bias")]
    bias_multiplier = options.bias_lr_multiplier
    groups = (
        {"params": weights, "weight_decay": options.weight_decay, "lr_multiplier": 1.0},
        {"params": biases, "weight_decay": decay, "lr_multiplier": bias_multiplier},
        {"params": scales, "weight_decay": decay, "lr_multiplier": 1.0},
    )
    return [group for group in groups if group["params"]]


def split_low_lr(groups: list[dict[str, Any]], low_lr: Collection[Tensor]) -> list[dict[str, Any]]:
    """The same groups, with the parameters in `low_lr` in groups of their own, marked `low_lr`."""
    ids = {id(parameter) for parameter in low_lr}
    parts = (
        {
            **group,
            "params": [p for p in group["params"] if (id(p) in ids) == is_low],
            "low_lr": is_low,
        }
        for group in groups
        for is_low in (False, True)
    )
    return [part for part in parts if part["params"]]


def build_optimizer(
    network: Network, options: OptimizerOptions, low_lr: Collection[Tensor] = ()
) -> torch.optim.Optimizer:
    """The optimizer over the parameters that are not frozen.

    All but torch's SGD take bf16 gradients where nothing is added up or scaled before the update.
    The network then gives such gradients, of fully connected layers trained in bf16 on a CPU, until
    another optimizer is built here or `allow_bf16_gradients(network, allowed=False)` is called:
    before it is trained by an optimizer of torch's.

    Args:
        network: gives the parameters.
        options: which optimizer, and its hyperparameters.
        low_lr: parameters that later learn at the recipe's `low_lr`.
    """
    is_whole = options.accumulate == 1 and current_world().size == 1
    is_read_alone = is_whole and options.clip_norm is None and options.optimizer != "sgd"
    allow_bf16_gradients(network, allowed=is_read_alone)
    groups = split_low_lr(parameter_groups(network, options), low_lr)
    lr, betas = options.lr, (options.momentum, options.beta2)
    match options.optimizer:
        case "paper":
            return PaperSGD(groups, lr, options.momentum)
        case "sgd":
            return SGD(groups, lr, options.momentum, fused=True)
        case "adam":
            return Adam(groups, lr, betas, options.eps, fused=True)
        case "adamw":
            return AdamW(groups, lr, betas, options.eps, fused=True)
        case "keras_adam":
            return KerasAdam(groups, lr, betas, options.eps)
