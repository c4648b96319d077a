"""The RBM against sums over all its states, and its probabilities by hand.

The tiny RBM has nine binary visible units (3 x 3) and eight hidden ones (two channels of 2 x 2), so
2^17 states, which are enumerated here; their energies are computed from the definition alone.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.models.layers import Conv
from alexnet.pretraining.rbm import (
    Rbm,
    block_log_partition,
    block_softmax,
    contrastive_divergence,
    gibbs,
    merge_blocks,
    pooling_probs,
    sample_blocks,
    sparsity_loss,
    split_blocks,
)
from support.pretraining import noise

CONV = Conv("conv1", 2, 2)
SIZE = (3, 3)


def tiny_rbm(block: int, gaussian: bool = False, std: float = 0.8) -> Rbm:
    """The tiny RBM with large weights, in float64."""
    rbm = Rbm(CONV, 1, gaussian=gaussian, block=block).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in rbm.parameters():
        parameter.data.normal_(0, std, generator=generator)
    return rbm


def binary_states(count: int) -> Tensor:
    """All 2^count rows of zeros and ones."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=count)), dtype=torch.float64)


def hidden_states(block: int) -> Tensor:
    """Hidden units [states, 2, 2, 2] that the blocks allow: at most one unit of a block is on."""
    states = binary_states(8)
    if block == 2:
        states = states[(states.view(-1, 2, 4).sum(2) <= 1).all(1)]
    return states.view(-1, 2, 2, 2)


def energies(rbm: Rbm, v: Tensor, h: Tensor) -> Tensor:
    """E(v, h) of every pair by loops over the definition: [V, H]."""
    x = torch.zeros(len(v), 2, 2, 2, dtype=v.dtype)
    for k, i, j, a, b in itertools.product(range(2), repeat=5):
        x[:, k, i, j] += rbm.weight[k, 0, a, b] * v[:, 0, i + a, j + b]
    x += rbm.hidden_bias[None, :, None, None]
    c = rbm.visible_bias
    visible = 0.5 * (v - c).square().sum((1, 2, 3)) if rbm.is_gaussian else -c * v.sum((1, 2, 3))
    return visible[:, None] - x.flatten(1) @ h.flatten(1).T


VISIBLE = binary_states(9).view(-1, 1, 3, 3)


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("gaussian", [False, True])
def test_hidden_probabilities_are_those_of_all_states(block: int, gaussian: bool) -> None:
    rbm, h = tiny_rbm(block, gaussian), hidden_states(block)
    assert len(h) == {1: 256, 2: 25}[block]
    v = torch.randn(7, 1, 3, 3, dtype=torch.float64) if gaussian else VISIBLE[::50]
    p = (-energies(rbm, v, h)).softmax(1)
    expected = (p @ h.flatten(1)).view(-1, 2, 2, 2)
    torch.testing.assert_close(rbm.hidden_probs(v), expected)


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("gaussian", [False, True])
def test_free_energy_sums_the_hidden_units_out(block: int, gaussian: bool) -> None:
    rbm = tiny_rbm(block, gaussian)
    v = torch.randn(7, 1, 3, 3, dtype=torch.float64) if gaussian else VISIBLE[::50]
    expected = -(-energies(rbm, v, hidden_states(block))).logsumexp(1)
    torch.testing.assert_close(rbm.free_energy(v), expected)


def test_visible_probabilities_are_those_of_all_states() -> None:
    rbm, h = tiny_rbm(1), hidden_states(1)[::25]
    p = (-energies(rbm, VISIBLE, h)).softmax(0)
    expected = (p.T @ VISIBLE.flatten(1)).view(-1, 1, 3, 3)
    torch.testing.assert_close(rbm.visible_mean(h, SIZE), expected)


def test_a_gaussian_visible_unit_is_normal_around_its_mean() -> None:
    """E is quadratic in v with second derivative 1: p(v|h) is normal, its mean is at dE/dv = 0."""
    rbm, h = tiny_rbm(1, gaussian=True), hidden_states(1)[77:78]
    mean = rbm.visible_mean(h, SIZE).detach().requires_grad_()
    energies(rbm, mean, h).sum().backward()
    assert mean.grad is not None
    torch.testing.assert_close(mean.grad, torch.zeros_like(mean))
    many = h.expand(20_000, -1, -1, -1)
    samples = rbm.sample_visible(many, SIZE, noise(20_000))
    torch.testing.assert_close(samples.mean(0, keepdim=True), mean.detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(samples.std(0), torch.ones(1, 3, 3).double(), atol=0.03, rtol=0)


def test_hidden_probabilities_by_hand() -> None:
    """sigmoid(ln 3) = 3/4; a block with inputs 0, ln 2, ln 3, 0 sums to 1 + 1 + 2 + 3 + 1 = 8."""
    x = torch.tensor([[0.0, math.log(2)], [math.log(3), 0.0]])[None, None]
    units = torch.tensor([[1 / 2, 2 / 3], [3 / 4, 1 / 2]])[None, None]
    torch.testing.assert_close(block_softmax(x, 1), units)
    block = torch.tensor([[1 / 8, 2 / 8], [3 / 8, 1 / 8]])[None, None]
    torch.testing.assert_close(block_softmax(x, 2), block)
    torch.testing.assert_close(pooling_probs(block, 2), torch.tensor([[[[7 / 8]]]]))
    torch.testing.assert_close(block_log_partition(x, 2), torch.tensor([[[[math.log(8)]]]]))


def test_blocks_that_extend_past_the_edge_hold_fewer_units() -> None:
    """3 x 3 units: blocks of 4, 2, 2 and 1; the last one is an ordinary unit."""
    x = torch.arange(18.0).view(1, 2, 3, 3)
    assert split_blocks(x, 2, -1.0)[0, 0].tolist() == [
        [[0, 1, 3, 4], [2, -1, 5, -1]], [[6, 7, -1, -1], [8, -1, -1, -1]],
    ]  # fmt: skip
    assert torch.equal(merge_blocks(split_blocks(x, 2, 0.0), 2, (3, 3)), x)
    p = block_softmax(x - 9, 2)
    assert p[0, 0, 2, 2] == pytest.approx(torch.tensor(-1.0).sigmoid().item())
    assert torch.isfinite(p).all()


def test_samples_have_at_most_one_unit_per_block_and_the_right_frequencies() -> None:
    p = torch.tensor([[0.1, 0.2, 0.7], [0.3, 0.15, 0.0], [0.0, 1.0, 0.5]])
    samples = sample_blocks(p.expand(20_000, 1, 3, 3), 2, noise(20_000, 1))
    assert set(samples.unique().tolist()) == {0.0, 1.0}
    assert split_blocks(samples, 2, 0.0).sum(-1).max() == 1
    torch.testing.assert_close(samples.mean(0)[0], p, atol=0.012, rtol=0)


def log_likelihood(rbm: Rbm, data: Tensor) -> Tensor:
    """Mean log p of the data, by summing over all states."""
    h = hidden_states(rbm.block)
    log_z = (-energies(rbm, VISIBLE, h)).flatten().logsumexp(0)
    return (-energies(rbm, data, h)).logsumexp(1).mean() - log_z


def exact_gradient(rbm: Rbm, data: Tensor) -> list[Tensor]:
    """Of -mean log p(data), divided by the four positions of a hidden channel."""
    return list(torch.autograd.grad(-log_likelihood(rbm, data) / 4, list(rbm.parameters())))


def cd_gradient(rbm: Rbm, data: Tensor, chain: Tensor) -> Tensor:
    loss = contrastive_divergence(rbm, data, chain)
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(rbm.parameters()))])


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 2])
def test_contrastive_divergence_converges_to_the_likelihood_gradient(block: int) -> None:
    """The error falls with the length of the chain, down to the noise of 8,000 chains."""
    rbm, random = tiny_rbm(block, std=2.0), noise(8_000, 5)
    data = VISIBLE[[0, 7, 73, 511]]
    exact = torch.cat([g.flatten() for g in exact_gradient(rbm, data)])
    many, errors = data.repeat(2000, 1, 1, 1), {}
    for steps in (1, 20):
        with torch.no_grad():
            p = rbm.hidden_probs(many)
        chain = gibbs(rbm, p, SIZE, random, steps=steps, sample_visible=True)
        errors[steps] = ((cd_gradient(rbm, data, chain) - exact).norm() / exact.norm()).item()
    assert errors[1] > 0.15
    assert errors[20] < 0.03


@pytest.mark.parametrize("steps", [1, 2])
def test_a_gibbs_chain_has_the_exact_transition_probabilities(steps: int) -> None:
    """p(v -> v') = sum over h of p(h|v) p(v'|h), here as a matrix of 512 x 512."""
    rbm, h = tiny_rbm(2), hidden_states(2)
    energy = -energies(rbm, VISIBLE, h)
    transition = energy.softmax(1) @ energy.softmax(0).T
    start = VISIBLE[300:301]
    expected = torch.linalg.matrix_power(transition, steps)[300] @ VISIBLE.flatten(1)
    with torch.no_grad():
        p = rbm.hidden_probs(start.expand(20_000, -1, -1, -1))
    chain = gibbs(rbm, p, SIZE, noise(20_000, 2), steps=steps, sample_visible=True)
    torch.testing.assert_close(chain.mean(0).flatten(), expected, atol=0.015, rtol=0)


def test_the_gradient_is_the_difference_of_the_statistics() -> None:
    """Positive minus negative statistics: p(h|v) v over the data minus that over the chain."""
    rbm = tiny_rbm(1)
    data, chain = VISIBLE[[100, 200]], VISIBLE[[300, 400]]
    statistics = []
    for v in (data, chain):
        p, weight = rbm.hidden_probs(v), torch.zeros_like(rbm.weight)
        for k, a, b in itertools.product(range(2), repeat=3):
            weight[k, 0, a, b] = (p[:, k] * v[:, 0, a : a + 2, b : b + 2]).sum((1, 2)).mean()
        statistics.append((weight, p.sum((2, 3)).mean(0), v.sum((2, 3)).mean(0)))
    expected = [-(x - y).flatten() / 4 for x, y in zip(*statistics, strict=True)]
    torch.testing.assert_close(cd_gradient(rbm, data, chain), torch.cat(expected))


def test_visible_units_are_expected_values_unless_sampled() -> None:
    rbm = tiny_rbm(1)
    p = torch.ones(1, 2, 2, 2).double()  # every hidden unit is on with probability 1
    chain = gibbs(rbm, p, SIZE, noise(1))
    torch.testing.assert_close(chain, rbm.visible_mean(p, SIZE))
    assert not chain.requires_grad


def test_the_sparsity_loss_moves_only_the_hidden_biases() -> None:
    """Its gradient is q - target, that of the cross-entropy with respect to a unit's input."""
    rbm, x = tiny_rbm(1), torch.tensor(0.4, requires_grad=True)
    q, target = x.sigmoid(), 0.05
    (-target * q.log() - (1 - target) * (1 - q).log()).backward()
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(q.item() - target)
    p = torch.full((3, 2, 2, 2), 0.25).double()
    p[:, 1, 0] = 0.75
    sparsity_loss(rbm, p, target).backward()
    assert rbm.hidden_bias.grad is not None
    assert rbm.hidden_bias.grad.tolist() == pytest.approx([0.25 - 0.05, 0.5 - 0.05])
    assert rbm.weight.grad is None
    assert rbm.visible_bias.grad is None


def test_learning_raises_the_likelihood() -> None:
    rbm, random = tiny_rbm(2), noise(64, 3)
    data = VISIBLE[[0, 7, 73, 511]]
    optimizer, before = torch.optim.SGD(rbm.parameters(), 0.5), log_likelihood(rbm, data)
    for _ in range(60):
        with torch.no_grad():
            p = rbm.hidden_probs(many := data.repeat(16, 1, 1, 1))
        chain = gibbs(rbm, p, SIZE, random, sample_visible=True)
        optimizer.zero_grad()
        contrastive_divergence(rbm, many, chain).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert log_likelihood(rbm, data) > before + 0.4


def test_stride_padding_and_groups_of_alexnet_are_used() -> None:
    """dF/dW is -p(h|v) times the input under the weight, in the layers of the published nets."""
    torch.manual_seed(0)
    for conv in (
        Conv("conv1", 4, 11, stride=4, extra_padding=3),
        Conv("conv2", 4, 5, padding=2, groups=2),
    ):
        rbm = Rbm(conv, 4, gaussian=True, block=2).double()
        rbm.weight.data.normal_(0, 0.1)
        v = torch.randn(2, 4, 20, 20).double()
        padded = F.pad(v, (conv.padding, conv.padding + conv.extra_padding) * 2)
        rbm.free_energy(v).sum().backward()  # type: ignore[no-untyped-call]
        p, s = rbm.hidden_probs(v), conv.stride
        window = padded[:, 2, 3 : 3 + s * p.shape[2] : s, 1 : 1 + s * p.shape[3] : s]
        assert rbm.weight.grad is not None
        channel = 0 if conv.groups == 2 else 2  # input channel 2 is the first of the second group
        gradient = rbm.weight.grad[3, channel, 3, 1]
        torch.testing.assert_close(gradient, -(p[:, 3] * window).sum())
