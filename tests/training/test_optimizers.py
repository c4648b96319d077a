"""Update rules against their formulas, what each group gets, and the schedules by hand."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args, get_type_hints

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from alexnet.config.recipe import OptimizerOptions
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, BatchNorm, Flatten, FullyConnected, Init
from alexnet.models.network import Network
from alexnet.training.optimizers import (
    SGD,
    Adam,
    AdamW,
    KerasAdam,
    PaperSGD,
    build_optimizer,
    parameter_groups,
)
from alexnet.training.schedule import set_lr

RULES = get_args(get_type_hints(OptimizerOptions)["optimizer"])
Rule = Literal["paper", "sgd", "adam", "adamw", "keras_adam"]
START = np.array([1.0, -2.0, 0.5])
RATES = [0.1] * 5 + [0.01] * 5
"""A drop of the rate after five steps."""


def gradient(step: int, w: np.ndarray) -> np.ndarray:
    """Any gradient that depends on the weights and the step."""
    return np.sin(3 * w + step) + w


def run(optimizer_class: Any, rates: list[float], **options: Any) -> list[np.ndarray]:
    """The weights after each step of an optimizer in float64."""
    w = nn.Parameter(torch.from_numpy(START.copy()))
    optimizer = optimizer_class([w], lr=rates[0], **options)
    weights = []
    for step, rate in enumerate(rates):
        optimizer.param_groups[0]["lr"] = rate
        w.grad = torch.from_numpy(gradient(step, w.detach().numpy()))
        optimizer.step()
        weights.append(w.detach().numpy().copy())
    return weights


def papers_rule(rates: list[float], momentum: float, decay: float) -> list[np.ndarray]:
    """FACTS.md, section 3, line for line: v <- .9 v - .0005 e w - e g; w <- w + v."""
    w, v, weights = START.copy(), np.zeros(3), []
    for step, e in enumerate(rates):
        g = gradient(step, w)
        v = momentum * v - decay * e * w - e * g
        w = w + v
        weights.append(w)
    return weights


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 5e-4), (0.5, 0.1), (0.0, 0.0)])
def test_paper_rule(momentum: float, decay: float) -> None:
    found = run(PaperSGD, RATES, momentum=momentum, weight_decay=decay)
    np.testing.assert_allclose(found, papers_rule(RATES, momentum, decay), rtol=1e-13)


def test_paper_defaults() -> None:
    np.testing.assert_allclose(run(PaperSGD, RATES), papers_rule(RATES, 0.9, 5e-4), rtol=1e-13)


def test_paper_by_hand() -> None:
    """w = 2, g = 3, e = .1: v = -.0001 - .3; then v = .9 v - .1 * (.0005 w + 3)."""
    w = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = PaperSGD([w], lr=0.1)
    for expected in (1.6999, 1.6999 - 0.9 * 0.3001 - 0.3 - 5e-5 * 1.6999):
        w.grad = torch.tensor([3.0], dtype=torch.float64)
        optimizer.step()
        assert w.item() == pytest.approx(expected, rel=1e-12)


def test_paper_equals_torchs_until_the_learning_rate_changes() -> None:
    ours = run(PaperSGD, RATES, momentum=0.9, weight_decay=5e-4)
    torchs = run(torch.optim.SGD, RATES, momentum=0.9, weight_decay=5e-4)
    np.testing.assert_allclose(ours[:5], torchs[:5], rtol=1e-12)
    assert np.abs(ours[5] - torchs[5]).min() > 0.01


@pytest.mark.parametrize("resting", [(0, [0, 1]), (1, [0, 1, 4]), (0, [3])])
def test_the_paper_rule_holds_for_weights_that_rest_in_some_steps(
    resting: tuple[int, list[int]],
) -> None:
    index, steps = resting
    weights = [nn.Parameter(torch.from_numpy(START.copy())) for _ in range(2)]
    optimizer = PaperSGD(weights, lr=0.1)
    active: list[list[float]] = [[], []]
    for step, rate in enumerate([0.1, 0.1, 0.05, 0.01, 0.01, 0.02]):
        optimizer.param_groups[0]["lr"] = rate
        for i, w in enumerate(weights):
            is_resting = i == index and step in steps
            past = len(active[i])
            w.grad = None if is_resting else torch.from_numpy(gradient(past, w.detach().numpy()))
            active[i] += [] if is_resting else [rate]
        optimizer.step()
    for w, rates in zip(weights, active, strict=True):
        np.testing.assert_allclose(w.detach(), papers_rule(rates, 0.9, 5e-4)[-1], rtol=1e-13)


def keras_formula(rates: list[float], b1: float, b2: float, epsilon: float) -> list[np.ndarray]:
    """Kingma and Ba, the end of section 2, as Keras computes it."""
    w, m, v, weights = START.copy(), np.zeros(3), np.zeros(3), []
    for t, rate in enumerate(rates, start=1):
        g = gradient(t - 1, w)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        alpha = rate * np.sqrt(1 - b2**t) / (1 - b1**t)
        w = w - alpha * m / (np.sqrt(v) + epsilon)
        weights.append(w)
    return weights


@pytest.mark.parametrize("epsilon", [1e-7, 1e-2])
def test_keras_adam(epsilon: float) -> None:
    found = run(KerasAdam, RATES, eps=epsilon)
    np.testing.assert_allclose(found, keras_formula(RATES, 0.9, 0.999, epsilon), rtol=1e-11)
    found = run(KerasAdam, RATES, eps=epsilon, betas=(0.5, 0.9))
    np.testing.assert_allclose(found, keras_formula(RATES, 0.5, 0.9, epsilon), rtol=1e-11)


def test_keras_adams_first_step_by_hand() -> None:
    """m = .1 g, v = .001 g^2, so the step is rate * g * sqrt(.001) / (sqrt(.001) |g| + epsilon)."""
    w = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    w.grad = torch.tensor([2.0], dtype=torch.float64)
    KerasAdam([w], lr=0.1, eps=0.01).step()
    expected = 1 - 0.1 * 2 * math.sqrt(0.001) / (math.sqrt(0.001) * 2 + 0.01)
    assert w.item() == pytest.approx(expected, rel=1e-12)


def test_keras_epsilon_is_not_torchs() -> None:
    keras, torchs = run(KerasAdam, RATES, eps=1e-2), run(torch.optim.Adam, RATES, eps=1e-2)
    assert np.abs(keras[0] - torchs[0]).min() > 1e-3
    keras, torchs = run(KerasAdam, RATES, eps=1e-14), run(torch.optim.Adam, RATES, eps=1e-14)
    np.testing.assert_allclose(keras, torchs, rtol=1e-9)


def test_keras_adam_decays_like_adam() -> None:
    ours = run(KerasAdam, RATES, eps=1e-14, weight_decay=0.1)
    torchs = run(torch.optim.Adam, RATES, eps=1e-14, weight_decay=0.1)
    np.testing.assert_allclose(ours, torchs, rtol=1e-9)


@pytest.mark.parametrize("optimizer_class", [PaperSGD, KerasAdam])
def test_closures_and_missing_gradients(optimizer_class: Any) -> None:
    moved, still = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = optimizer_class([moved, still], lr=0.1)

    def closure() -> float:
        assert torch.is_grad_enabled()
        moved.grad = torch.ones(2)
        return 1.5

    assert optimizer.step(closure) == 1.5
    assert optimizer.step() is None
    assert not torch.equal(moved, torch.ones(2))
    assert torch.equal(still, torch.ones(2))


@pytest.mark.parametrize("optimizer_class", [PaperSGD, KerasAdam])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_goes_through_a_state_dict(optimizer_class: Any, dtype: torch.dtype) -> None:
    """Two steps, saved, loaded into a new optimizer, four more: as six in one go, to the bit."""

    def step(optimizer: torch.optim.Optimizer, w: nn.Parameter, steps: range) -> None:
        for i in steps:
            w.grad = torch.from_numpy(gradient(i, w.detach().numpy())).to(dtype)
            optimizer.step()

    whole, part = (nn.Parameter(torch.from_numpy(START).to(dtype, copy=True)) for _ in range(2))
    uninterrupted = optimizer_class([whole], lr=0.013)  # not a number of float32
    step(uninterrupted, whole, range(6))
    first = optimizer_class([part], lr=0.013)
    step(first, part, range(2))
    second = optimizer_class([part], lr=0.1)
    second.load_state_dict(first.state_dict())
    step(second, part, range(2, 6))
    assert torch.equal(whole, part)
    for key, value in uninterrupted.state[whole].items():
        assert torch.equal(value, second.state[part][key])
        assert value.dtype == second.state[part][key].dtype


@pytest.mark.parametrize("optimizer_class", [PaperSGD, SGD, Adam, AdamW, KerasAdam])
def test_a_group_can_be_added_later(optimizer_class: Any) -> None:
    """Its parameters learn as if they were alone, at the learning rate that `set_lr` gives all."""

    def steps(optimizer: torch.optim.Optimizer, weights: list[nn.Parameter]) -> None:
        set_lr(optimizer, 0.1)
        for i in range(3):
            for w in weights:
                w.grad = torch.from_numpy(gradient(i, w.detach().numpy()))
            optimizer.step()

    first, later, alone = (nn.Parameter(torch.from_numpy(START.copy())) for _ in range(3))
    optimizer = optimizer_class([first], lr=0.5)
    steps(optimizer, [first])
    optimizer.add_param_group({"params": [later]})
    steps(optimizer, [first, later])
    steps(optimizer_class([alone], lr=0.5), [alone])
    assert torch.equal(later, alone)
    assert not torch.equal(later, first)


def toy() -> Network:
    """Two layers with a batch norm between, so that weights, biases and scales are all there."""
    torch.manual_seed(0)
    first = FullyConnected("fc1", 16, bias=False, init=Init("he_normal"))
    last = FullyConnected("fc2", 3, init=Init("he_normal"))
    layers = (Flatten("flatten"), first, BatchNorm("bn1"), Activation("relu1"), last)
    return Network(Architecture("toy", "", (1, 3, 3), layers))


def problem() -> tuple[Tensor, Tensor]:
    """Sixty points around three places."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    centres = torch.randn(3, 1, 3, 3, generator=generator)
    return centres[labels] + 0.3 * torch.randn(60, 1, 3, 3, generator=generator), labels


def learn(rule: Rule, rate: float, steps: int = 40, **options: Any) -> tuple[Network, list[float]]:
    network = toy()
    optimizer = build_optimizer(network, OptimizerOptions(optimizer=rule, lr=rate, **options))
    x, labels = problem()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return network, losses


@pytest.mark.parametrize("rule", RULES)
def test_every_optimizer_makes_the_loss_fall(rule: Rule) -> None:
    _, losses = learn(rule, 0.02)
    assert losses[0] > 0.8
    assert losses[-1] < 0.1


@pytest.mark.parametrize("rule", RULES)
def test_lr_zero_changes_nothing(rule: Rule) -> None:
    """As at the first step of a warmup; a recipe with a rate of 0 is refused."""
    network = toy()
    optimizer = build_optimizer(network, OptimizerOptions(optimizer=rule))
    set_lr(optimizer, 0.0)
    x, labels = problem()
    for _ in range(3):
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()
    for name, parameter in toy().named_parameters():
        assert torch.equal(network.get_parameter(name), parameter), name


def test_build_optimizer_hands_over_every_option() -> None:
    options = {
        "lr": 0.3,
        "momentum": 0.7,
        "beta2": 0.8,
        "eps": 0.05,
        "weight_decay": 0.2,
    }

    def built(rule: Rule) -> tuple[type, dict[str, Any]]:
        recipe = OptimizerOptions(optimizer=rule, **options)  # type: ignore[arg-type]
        optimizer = build_optimizer(toy(), recipe)
        return type(optimizer), optimizer.param_groups[0]

    for rule, expected in {"paper": PaperSGD, "sgd": SGD}.items():
        kind, group = built(rule)  # type: ignore[arg-type]
        assert kind is expected
        assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.3, 0.7, 0.2)
    adams = {"adam": Adam, "adamw": AdamW, "keras_adam": KerasAdam}
    for rule, expected in adams.items():
        kind, group = built(rule)  # type: ignore[arg-type]
        assert kind is expected
        assert (group["lr"], group["betas"], group["eps"]) == (0.3, (0.7, 0.8), 0.05)
        assert group["weight_decay"] == 0.2


def grouped(
    options: OptimizerOptions, network: Network | None = None
) -> dict[str, tuple[float, float]]:
    """(rate factor, decay) of every parameter by name."""
    network = network or toy()
    names = {id(p): name for name, p in network.named_parameters()}
    return {
        names[id(p)]: (group["lr_multiplier"], group["weight_decay"])
        for group in parameter_groups(network, options)
        for p in group["params"]
    }


def test_groups() -> None:
    names = ("fc1.weight", "fc2.weight", "bn1.weight", "bn1.bias", "fc2.bias")
    assert grouped(OptimizerOptions(weight_decay=0.1)) == dict.fromkeys(names, (1, 0.1))


def test_groups_of_the_2012_code() -> None:
    found = grouped(OptimizerOptions(weight_decay=0.1, bias_lr_multiplier=2.0, decay_biases=False))
    weights = dict.fromkeys(("fc1.weight", "fc2.weight"), (1, 0.1))
    assert found == {**weights, "bn1.weight": (1, 0), "bn1.bias": (2, 0), "fc2.bias": (2, 0)}


def test_frozen_parameters_are_in_no_group() -> None:
    network = toy()
    network.freeze_up_to("bn1")
    assert set(grouped(OptimizerOptions(), network)) == {"fc2.weight", "fc2.bias"}
    network.freeze_up_to("fc2")
    assert parameter_groups(network, OptimizerOptions()) == []


def test_set_lr() -> None:
    optimizer = build_optimizer(toy(), OptimizerOptions(bias_lr_multiplier=2.0))
    set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.5, 0.25]


def test_set_lr_of_an_optimizer_of_torchs() -> None:
    optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.ones(1))], "low_lr": True}], lr=1.0)
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    set_lr(optimizer, 0.25, low_lr=0.01)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.25]


@pytest.mark.parametrize("rule", RULES)
def test_biases_have_their_own_learning_rate(rule: Rule) -> None:
    """One step with twice the rate moves the biases twice as far and the weights as before."""

    def moved(factor: float) -> dict[str, Tensor]:
        network = toy()
        before = {n: p.detach().clone() for n, p in network.named_parameters()}
        options = OptimizerOptions(
            optimizer=rule, lr=0.01, bias_lr_multiplier=factor, weight_decay=0.0
        )
        optimizer = build_optimizer(network, options)
        set_lr(optimizer, 0.01)
        x, labels = problem()
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()
        return {n: p.detach() - before[n] for n, p in network.named_parameters()}

    once, twice = moved(1.0), moved(2.0)
    for name in once:
        factor = 2 if name.endswith("bias") else 1
        assert bool(once[name].any()), name
        assert torch.allclose(twice[name], factor * once[name], rtol=1e-4, atol=1e-6), name


def test_keras_adam_reads_its_step_once_in_a_step() -> None:
    """On a GPU each read waits for all that it has to do."""
    weights = [nn.Parameter(torch.ones(2)) for _ in range(3)]
    optimizer = KerasAdam(weights, lr=0.1)
    for w in weights:
        w.grad = torch.ones(2)
    optimizer.step()
    with CountReads() as reads:
        optimizer.step()
    assert reads.count == 1


class CountReads(TorchDispatchMode):
    """Counts the numbers that are read out of tensors."""

    count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def test_sgd_takes_weights_that_begin_to_learn_later() -> None:
    """As each of them alone: torch's fused SGD takes momenta of all weights, or of none."""
    weights = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))]
    alone = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))]
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "fused": True}
    optimizers = [SGD(weights, **options), *(torch.optim.SGD([w], **options) for w in alone)]
    for learning in ((0,), (0, 1), (0, 1)):
        for i in learning:
            weights[i].grad = alone[i].grad = torch.full((3,), 2.0)
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(w, one) for w, one in zip(weights, alone, strict=True))
