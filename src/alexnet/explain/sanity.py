"""Tests of attribution maps: whether they depend on the weights and find the pixels that matter."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.errors import UsageError
from alexnet.explain.attribution import exactly
from alexnet.explain.explainer import attribution_map, check_explainable, gray_input
from alexnet.explain.explanation import METHODS
from alexnet.explain.feature_layers import map_layer
from alexnet.inference.classifier import Classifier

DELETED_FRACTION = 0.2
"""Fraction of the pixels that the deletion test covers."""
BLOCKS_PER_SIDE = 14
"""Blocks in a side of the input; the deletion test covers whole blocks."""


def randomized(classifier: Classifier, seed: int = 0) -> Classifier:
    """A copy of the classifier with every weight of its network initialized at random.

    Biases and the statistics of batch norms are kept.

    Source: Adebayo et al. 2018, section 3 (all layers randomized).
    """
    network = copy.deepcopy(classifier.network)
    generator = torch.Generator().manual_seed(seed)
    for layer in network.layer_modules().values():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            values = torch.randn(layer.weight.shape, generator=generator)
            layer.weight.data = (values * layer.weight.detach().std().cpu()).to(layer.weight.device)
    return replace(classifier, network=network)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of the absolute values of two maps, -1 to 1; 0 if one is constant.

    1 means that both maps order the pixels alike. Equal values get their mean rank.
    """
    ranks = [_mean_ranks(np.abs(one).ravel()) for one in (a, b)]
    deviations = [one - one.mean() for one in ranks]
    norms = [float(np.linalg.norm(one)) for one in deviations]
    return float(deviations[0] @ deviations[1] / (norms[0] * norms[1])) if all(norms) else 0.0


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    """The rank of every value, float64 [n]; equal values get the mean of their ranks."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    means: np.ndarray = (ends - (sizes + 1) / 2)[group]
    return means


def randomization_test(
    classifier: Classifier, inputs: Tensor, methods: tuple[str, ...] = METHODS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Compare the maps of a network with those of the same network with random weights.

    Args:
        classifier: the classifier that is explained.
        inputs: preprocessed images [N, C, H, W]; the class of each is the most probable one.
        methods: some of METHODS.
        seed: seed of the random weights.

    Returns:
        Rank correlations float64 [N] by method, near 0 if the method depends on the weights.

    Raises:
        UsageError: `inputs` have another shape, a method is unknown, the classifier is optimized,
            or captum is not installed.

    Source: Adebayo et al. 2018, section 3.
    """
    _check(classifier, inputs, methods)
    other = randomized(classifier, seed)
    layer = map_layer(classifier.info.architecture)
    found: dict[str, list[float]] = {method: [] for method in methods}
    for x in inputs.unsqueeze(1):
        target = _most_probable(classifier, x)
        for method in methods:
            maps = [attribution_map(one, x, target, layer, method) for one in (classifier, other)]
            found[method].append(rank_correlation(*maps))
    return {method: np.array(values) for method, values in found.items()}


def deletion_test(
    classifier: Classifier, inputs: Tensor, methods: tuple[str, ...] = METHODS, seed: int = 0
) -> dict[str, np.ndarray]:
    """By how much a class's probability falls if the parts that a map calls important are gray.

    A fifth of the image, in blocks of a 14th of its side, becomes gray: the blocks in which the map
    has the highest mean, or random ones.

    Args:
        classifier: the classifier that is explained.
        inputs: preprocessed images [N, C, H, W]; the class of each is the most probable one.
        methods: some of METHODS.
        seed: seed of the random blocks.

    Returns:
        Drops of the probability float64 [N] by method, and for random blocks as "random".

    Raises:
        UsageError: as for `randomization_test`.

    Source: Samek et al. 2017, section III (region perturbation), in one step.
    """
    _check(classifier, inputs, methods)
    generator = np.random.default_rng(seed)
    layer = map_layer(classifier.info.architecture)
    found: dict[str, list[float]] = {method: [] for method in (*methods, "random")}
    for x in inputs.unsqueeze(1):
        target = _most_probable(classifier, x)
        for method in methods:
            values = attribution_map(classifier, x, target, layer, method)
            found[method].append(probability_drop(classifier, x, target, block_means(values)))
        scores = generator.random((BLOCKS_PER_SIDE, BLOCKS_PER_SIDE))
        found["random"].append(probability_drop(classifier, x, target, scores))
    return {method: np.array(values) for method, values in found.items()}


def _check(classifier: Classifier, inputs: Tensor, methods: tuple[str, ...]) -> None:
    check_explainable(classifier, "", "", methods)
    wanted, shape = classifier.info.architecture.input, inputs.shape
    if inputs.ndim != 4 or shape[1:] != wanted:
        raise UsageError(f"the images are [N, {str(list(wanted))[1:]}, not {list(shape)}")


def block_means(values: np.ndarray) -> np.ndarray:
    """The mean of a map [H, W] in every block: [BLOCKS_PER_SIDE, BLOCKS_PER_SIDE]."""
    rows, columns = (_block_of_pixel(length) for length in values.shape)
    block = rows[:, None] * BLOCKS_PER_SIDE + columns
    count = BLOCKS_PER_SIDE**2
    sums = np.bincount(block.ravel(), values.ravel().astype(np.float64), count)
    sizes = np.maximum(np.bincount(block.ravel(), minlength=count), 1)
    means: np.ndarray = (sums / sizes).reshape(BLOCKS_PER_SIDE, BLOCKS_PER_SIDE)
    return means


def _block_of_pixel(length: int) -> np.ndarray:
    return np.arange(length) * BLOCKS_PER_SIDE // length


def probability_drop(classifier: Classifier, x: Tensor, target: int, scores: np.ndarray) -> float:
    """By how much the probability falls, -1 to 1, if the highest-scored blocks are gray."""
    count = round(DELETED_FRACTION * scores.size)
    chosen = np.zeros(scores.size, bool)
    chosen[np.argsort(-scores.ravel(), kind="stable")[:count]] = True
    rows, columns = (_block_of_pixel(length) for length in x.shape[2:])
    is_gray = torch.from_numpy(chosen.reshape(scores.shape)[np.ix_(rows, columns)]).to(x.device)
    covered = torch.where(is_gray, gray_input(classifier), x)
    before, after = _probabilities(classifier, torch.cat([x, covered]))[:, target].tolist()
    return float(before - after)


def _probabilities(classifier: Classifier, x: Tensor) -> Tensor:
    with exactly(classifier.network), torch.no_grad():
        logits: Tensor = classifier.network(x)
    return (logits / classifier.info.temperature).softmax(1)


def _most_probable(classifier: Classifier, x: Tensor) -> int:
    return int(_probabilities(classifier, x)[0].argmax())
