"""The tests of maps: which methods pass them, and their arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from alexnet.errors import UsageError
from alexnet.explain import deletion_test, randomization_test
from alexnet.explain.sanity import (
    BLOCKS_PER_SIDE,
    block_means,
    probability_drop,
    randomized,
    rank_correlation,
)
from support.narrow_nets import narrow_classifier


def test_rank_correlation() -> None:
    """Spearman's, of absolute values: 1 - 6 * (1 + 1) / (4 * 15) for one swapped pair of four."""
    a = np.array([[1.0, -2.0], [3.0, 4.0]])
    assert rank_correlation(a, 10 * a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(1)
    assert rank_correlation(a, 5 - np.abs(a)) == pytest.approx(-1)
    assert rank_correlation(a, np.array([[2.0, 1.0], [3.0, 4.0]])) == pytest.approx(0.8)
    assert rank_correlation(a, np.ones((2, 2))) == 0
    assert rank_correlation(np.array([[1.0, 1, 2]]), np.array([[1.0, 1, 3]])) == pytest.approx(1)


def test_blocks() -> None:
    values = np.arange(28.0)[:, None] + np.zeros(30)
    means = block_means(values)
    assert means.shape == (BLOCKS_PER_SIDE, BLOCKS_PER_SIDE)
    np.testing.assert_allclose(means[:, 0], 2 * np.arange(14) + 0.5)


def test_what_is_covered_is_what_the_scores_say() -> None:
    """A fifth of the blocks: the drop is that of the image with these blocks gray."""
    classifier = narrow_classifier("lenet5")
    x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    std = classifier.info.preprocessing.std[0]
    assert not any(classifier.info.preprocessing.mean), "so middle gray covers"
    scores = np.zeros((14, 14))
    scores[:2] = 2
    scores[2, :11] = 1  # 39 of 196 blocks
    covered, gray = x.clone(), 127.5
    rows = np.arange(32) * 14 // 32
    covered[:, :, rows < 2] = gray / std
    covered[:, :, rows == 2, : (rows < 11).sum()] = gray / std
    logits = classifier.network(torch.cat([x, covered])) / classifier.info.temperature
    before, after = logits.softmax(1)[:, 3].tolist()
    assert probability_drop(classifier, x, 3, scores) == pytest.approx(before - after, abs=1e-6)


def test_random_weights_have_the_scale_of_the_others() -> None:
    classifier = narrow_classifier("alexnet")
    other = randomized(classifier)
    weight, drawn = (one.network.get_parameter("conv2.weight") for one in (classifier, other))
    assert not torch.equal(weight, drawn)
    assert drawn.std().item() == pytest.approx(weight.std().item(), rel=0.1)
    assert torch.equal(
        classifier.network.get_parameter("conv2.bias"), other.network.get_parameter("conv2.bias")
    )


@pytest.mark.slow
def test_every_method_has_a_result_for_every_image() -> None:
    classifier = narrow_classifier("lenet5")
    inputs = torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    same = randomization_test(classifier, inputs)
    drops = deletion_test(classifier, inputs)
    assert set(drops) == {*same, "random"}
    assert {len(values) for values in (*same.values(), *drops.values())} == {3}
    assert all(np.abs(values).max() <= 1 for values in (*same.values(), *drops.values()))
    assert same["occlusion"].mean() < 0.9


@pytest.mark.parametrize("test", [deletion_test, randomization_test])
def test_what_cannot_be_tested_is_told(test: Callable[..., object]) -> None:
    pytest.importorskip("captum")
    classifier = narrow_classifier("lenet5")
    x = torch.zeros(1, 1, 32, 32)
    for wrong in (x[0], x[..., :28], x.expand(1, 3, 32, 32)):
        with pytest.raises(UsageError, match=r"the images are \[N, 1, 32, 32\], not "):
            test(classifier, wrong)
    with pytest.raises(UsageError, match="method 'grad_can'; did you mean grad_cam"):
        test(classifier, x, ("grad_can",))
    with pytest.raises(UsageError, match="optimized classifier cannot be explained"):
        test(classifier.optimized(), x)
