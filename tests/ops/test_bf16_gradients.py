"""Weights with bf16 gradients: as torch's under autocast, without the casts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.models.modules import Linear, allow_bf16_gradients
from alexnet.models.network import Network, channels_last
from alexnet.ops.bf16_gradients import (
    COPY,
    bf16_copy,
    can_have_bf16_gradient,
    gradient_norm,
    sgd_step,
)
from alexnet.training.optimizers import Adam, AdamW, PaperSGD, build_optimizer
from alexnet.training.step import set_up_update, update
from support.kernels import needs_kernels, randn, torch_threads, without_kernels
from support.narrow_nets import narrow_classifier
from support.slow import first_fast

pytestmark = needs_kernels
PAPER = OptimizerOptions(optimizer="paper", lr=0.01, weight_decay=5e-4)


def layer(
    has_bf16_gradient: bool, bias: bool = True, features: tuple[int, int] = (70, 33)
) -> Linear:
    """A fully connected layer that is not a network's last one."""
    made = Linear(*features, bias=bias)
    with torch.no_grad():
        made.weight.copy_(randn(*made.weight.shape))
    allow_bf16_gradients(made, allowed=has_bf16_gradient)
    return made


def outcome(made: Linear, x: Tensor) -> tuple[Tensor | None, ...]:
    """Output, and gradients of the input, the weight and the bias under autocast."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = made(x)
    y.backward(randn(*y.shape, seed=5).to(y.dtype))
    return y, x.grad, made.weight.grad, None if made.bias is None else made.bias.grad


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_and_gradients_have_the_bits_of_autocast(bias: bool, dtype: torch.dtype) -> None:
    ours, other = layer(True, bias), layer(False, bias)
    other.load_state_dict(ours.state_dict())
    x = randn(6, 70, seed=1).to(dtype)
    found, expected = outcome(ours, x), outcome(other, x)
    assert ours.weight.grad is not None
    assert ours.weight.grad.dtype == torch.bfloat16
    assert other.weight.grad is not None
    assert other.weight.grad.dtype == torch.float32
    for one, same in zip(found, expected, strict=True):
        assert (one is None) == (same is None)
        if one is not None and same is not None:
            assert torch.equal(one.float(), same.float())


def test_gradients_of_whole_tiles_are_those_of_autocast() -> None:
    """By AMX's tiles where the CPU has them; the bias's is not rounded then."""
    ours, other = layer(True, features=(64, 48)), layer(False, features=(64, 48))
    other.load_state_dict(ours.state_dict())
    x = randn(40, 64, seed=1)
    for one, same in zip(outcome(ours, x), outcome(other, x), strict=True):
        assert one is not None
        assert same is not None
        torch.testing.assert_close(one.float(), same.float(), rtol=1e-2, atol=1e-2)


def test_the_norm_is_torchs_and_tells_what_is_not_finite() -> None:
    sizes = [(70000,), (3, 5), (1,), (300, 1000), (64, 7)]
    gradients = [randn(*size, seed=i) for i, size in enumerate(sizes)]
    mixed = [g.bfloat16() if i % 2 else g for i, g in enumerate(gradients)]
    expected = torch.cat([g.double().flatten() for g in mixed]).norm()
    for threads in (1, 3):
        with torch_threads(threads):
            torch.testing.assert_close(gradient_norm(mixed).double(), expected, rtol=1e-5, atol=0)
    for value in (torch.inf, torch.nan):
        for place in (0, 65535, 299_999):
            broken = mixed[3].clone()
            broken.view(-1)[place] = value
            assert not gradient_norm([*mixed, broken]).isfinite()
    assert gradient_norm([]) == 0


def test_a_step_is_that_of_torch_and_renews_the_copy() -> None:
    weights = [nn.Parameter(randn(50, 333)) for _ in range(2)]
    ours, other = weights
    ours.grad_dtype = None
    velocities = [torch.zeros_like(weight) for weight in weights]
    options = {"momentum": 0.9, "weight_decay": 0.1}
    for step in range(4):
        gradient = randn(50, 333, seed=step).bfloat16()
        ours.grad, other.grad = gradient, gradient.float()
        version, lr = ours._version, 0.1 / (step + 1)
        with torch.no_grad():
            sgd_step(ours, velocities[0], lr=lr, **options)
            torch._fused_sgd_(
                [other], [other.grad], [velocities[1]],
                lr=lr, **options, dampening=0.0, nesterov=False, maximize=False,
                is_first_step=False,
            )  # fmt: skip
        torch.testing.assert_close(ours, other, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(*velocities, rtol=1e-6, atol=1e-6)
        assert ours._version > version
        assert_copied(ours)


def assert_copied(weight: Tensor) -> None:
    """That the optimizer has also written the weight in bf16, so that nothing is left to copy."""
    kept = getattr(weight, COPY)[0]
    assert torch.equal(kept, weight.detach().bfloat16())
    version = kept._version
    assert bf16_copy(weight) is kept
    assert kept._version == version


def test_a_copy_with_nan_is_not_made_again() -> None:
    weight = nn.Parameter(randn(8, 8))
    with torch.no_grad():
        weight[2, 2] = torch.nan
    version = bf16_copy(weight)._version
    assert bf16_copy(weight)._version == version


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("ours", [Adam, AdamW])
def test_a_step_of_adam_is_that_of_torch(ours: type[Adam], decay: float) -> None:
    torchs = torch.optim.AdamW if ours is AdamW else torch.optim.Adam
    weights = [nn.Parameter(randn(50, 333)) for _ in range(2)]
    weights[0].grad_dtype = None
    options = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": decay, "fused": True}
    optimizers = ours(weights[:1], **options), torchs(weights[1:], **options)
    for step in range(5):
        gradient = randn(50, 333, seed=step).bfloat16()
        weights[0].grad, weights[1].grad = gradient, gradient.float()
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.step()
        assert weights[0].grad is gradient
        torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-5)
        assert_copied(weights[0])
    found, expected = (o.state_dict()["state"][0] for o in optimizers)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ours", [PaperSGD, Adam])
def test_a_state_of_another_shape_is_refused(ours: type[PaperSGD | Adam]) -> None:
    """torch loads that of another network without a look at its shapes."""
    weights = [nn.Parameter(randn(rows, 33)) for rows in (50, 5)]
    large, small = (ours([weight], lr=0.1) for weight in weights)
    for weight, optimizer in zip(weights, (large, small), strict=True):
        weight.grad_dtype = None
        weight.grad = torch.ones_like(weight, dtype=torch.bfloat16)
        optimizer.step()
    large.load_state_dict(small.state_dict())
    with pytest.raises(
        ValueError, match=r"state must be float32 \[50, 33\], not float32 \[5, 33\]"
    ):
        large.step()


@pytest.mark.parametrize("change", [Tensor.half, lambda t: t.mT.contiguous().mT])
def test_a_weight_of_another_type_or_order_is_refused(change: Any) -> None:
    weight = nn.Parameter(change(randn(50, 33)))
    weight.grad_dtype = None
    weight.grad = torch.ones_like(weight, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"must be float32 \[50, 33\], not float"):
        PaperSGD([weight], lr=0.1).step()


def test_inputs_of_more_axes_than_a_batch_has_are_left_to_torch() -> None:
    made = layer(has_bf16_gradient=True)
    with torch.autocast("cpu", torch.bfloat16):
        made(randn(2, 3, 70)).sum().backward()
    assert made.weight.grad is not None
    assert made.weight.grad.shape == made.weight.shape


def test_the_number_of_threads_changes_no_bit() -> None:
    results = []
    for threads in (1, 2, 5):
        weight, velocity = nn.Parameter(randn(7, 1001)), randn(7, 1001, seed=1)
        weight.grad_dtype = None
        weight.grad = randn(7, 1001, seed=2).bfloat16()
        with torch_threads(threads), torch.no_grad():
            sgd_step(weight, velocity, lr=0.1, momentum=0.9, weight_decay=0.1)
        results.append((weight.detach(), velocity))
    for found in results[1:]:
        assert torch.equal(found[0], results[0][0])
        assert torch.equal(found[1], results[0][1])


@pytest.mark.parametrize("change", ["in place", "loaded", "data", "in data", "assigned"])
def test_a_weight_that_somebody_changed_is_copied_again(change: str) -> None:
    made, new = layer(True), randn(33, 70, seed=9)
    bf16_copy(made.weight)
    with torch.no_grad():
        if change == "in place":
            made.weight.copy_(new)
        elif change == "loaded":
            made.load_state_dict({"weight": new, "bias": made.bias})
        elif change == "data":
            made.weight.data = new
        elif change == "in data":
            made.weight.data.copy_(new)
        else:
            made.load_state_dict({"weight": new, "bias": made.bias}, assign=True)
    assert torch.equal(bf16_copy(made.weight), new.bfloat16())


@pytest.mark.parametrize("rows", [3, 33, 50])
def test_a_change_of_all_of_a_row_through_data_is_noticed(rows: int) -> None:
    """torch does not count changes through `data`, such as limits of the norms of rows."""
    weight = nn.Parameter(randn(rows, 50))
    bf16_copy(weight)
    weight.data[2] *= 0.5
    assert torch.equal(bf16_copy(weight), weight.detach().bfloat16())
    weight.data[2, 5] = 7
    torch.autograd.graph.increment_version(weight)
    assert bf16_copy(weight)[2, 5] == 7


def test_a_backward_pass_after_the_step_of_another_is_an_error_as_in_torch() -> None:
    made, x = layer(True), randn(6, 70, seed=1).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        first, second = made(x).sum(), made(x).sum()
    first.backward()
    with torch.no_grad():
        sgd_step(made.weight, torch.zeros(33, 70), lr=0.1, momentum=0.9, weight_decay=0.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        second.backward()
    assert_copied(made.weight)


def trained(recipe: Recipe, steps: int = 6) -> tuple[Network, list[float]]:
    """A narrow AlexNet after some steps, and their losses."""
    torch.manual_seed(0)
    network = channels_last(narrow_classifier("alexnet").network).train()
    setup, losses = set_up_update(network, recipe), []
    labels = torch.arange(8) % network.architecture.num_classes
    for step in range(steps):
        images = randn(8, *network.architecture.input, seed=step)
        images = images.contiguous(memory_format=torch.channels_last)
        losses.append(float(update(setup, images, labels, step)[0]))
    return network, losses


def gradient_types(network: Network) -> set[torch.dtype]:
    return {p.grad.dtype for p in network.parameters() if p.grad is not None}


@pytest.mark.parametrize("rule", first_fast(["paper", "adam", "adamw", "keras_adam"], 2))
def test_training_follows_that_with_casts(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lr = 0.01 if rule == "paper" else 1e-3
    recipe = Recipe(precision="bf16", optimizer=replace(PAPER, optimizer=rule, lr=lr))
    network, losses = trained(recipe)
    assert network.get_parameter("fc6.weight").grad_dtype is None
    assert gradient_types(network) == {torch.bfloat16, torch.float32}
    monkeypatch.setattr("alexnet.models.modules.can_have_bf16_gradient", lambda weight: False)
    other, expected = trained(recipe)
    assert gradient_types(other) == {torch.float32}
    assert losses == pytest.approx(expected, rel=1e-4)
    for name, weight in other.named_parameters():
        torch.testing.assert_close(network.get_parameter(name), weight, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(precision="float32", optimizer=PAPER),
        Recipe(precision="bf16", optimizer=replace(PAPER, clip_norm=1.0)),
        Recipe(precision="bf16", optimizer=replace(PAPER, accumulate=2)),
        Recipe(precision="bf16", optimizer=replace(PAPER, optimizer="sgd")),
    ],
    ids=["float32", "clipped", "added up", "sgd"],
)
def test_where_gradients_are_more_than_read_they_are_float32(recipe: Recipe) -> None:
    assert gradient_types(trained(recipe, steps=2)[0]) == {torch.float32}


def test_another_optimizer_takes_the_gradients_back() -> None:
    network = narrow_classifier("alexnet").network
    build_optimizer(network, PAPER)
    assert network.get_submodule("fc6").allows_bf16_gradient
    build_optimizer(network, replace(PAPER, optimizer="sgd"))
    assert not network.get_submodule("fc6").allows_bf16_gradient


def test_an_optimizer_of_torchs_follows_where_bf16_gradients_are_no_longer_allowed() -> None:
    network = narrow_classifier("alexnet").network.train()
    images = randn(2, *network.architecture.input)

    def step(optimizer: torch.optim.Optimizer) -> set[torch.dtype]:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            network(images).logsumexp(1).sum().backward()
        optimizer.step()
        return gradient_types(network)

    assert torch.bfloat16 in step(build_optimizer(network, PAPER))
    allow_bf16_gradients(network, allowed=False)
    assert step(torch.optim.AdamW(network.parameters())) == {torch.float32}


def test_what_can_have_a_bf16_gradient() -> None:
    weight = nn.Parameter(randn(3, 4))
    assert can_have_bf16_gradient(weight)
    assert not can_have_bf16_gradient(weight.double())
    assert not can_have_bf16_gradient(weight.t())
    with without_kernels():
        assert not can_have_bf16_gradient(weight)


def test_without_autocast_the_layer_is_torchs() -> None:
    made, x = layer(True), randn(6, 70, seed=1)
    assert torch.equal(made(x), F.linear(x, made.weight, made.bias))
    made(x).sum().backward()
    assert made.weight.grad is not None
    assert made.weight.grad.dtype == torch.float32
