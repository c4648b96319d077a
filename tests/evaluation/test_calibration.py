"""Calibration error by hand, and the temperature that makes it small."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.evaluation.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    ReliabilityBin,
    calibration,
    chance_calibration_error,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    with_temperature,
)
from alexnet.evaluation.reliability_plot import reliability_diagram


def softmax(logits: np.ndarray) -> np.ndarray:
    """Of float64 logits [N, num_classes]."""
    exponentials = np.exp(logits)
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True))


def loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The mean of -ln p(label)."""
    return float(-np.log(softmax(logits / temperature)[np.arange(len(labels)), labels]).mean())


def noisy_model(num_images: int = 400, num_classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose probabilities are right, and labels drawn with them."""
    random = np.random.default_rng(7)
    logits = random.normal(0, 2, (num_images, num_classes))
    labels = np.array([random.choice(num_classes, p=row) for row in softmax(logits)])
    return logits, labels


def test_calibration_error_by_hand() -> None:
    """Three images at 0.9, two of them right; one at 0.6 that is right:
    (3 |2/3 - 0.9| + 1 |1 - 0.6|) / 4 = 0.275."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.4, 0.6]])
    bins = reliability_bins(probabilities, np.array([0, 0, 0, 1]))
    assert [(part.num_images, part.num_correct) for part in bins] == [(1, 1), (3, 2)]
    assert [part.confidence for part in bins] == pytest.approx([0.6, 0.9])
    assert (bins[1].low, bins[1].high) == pytest.approx((13 / 15, 14 / 15))
    assert expected_calibration_error(bins) == pytest.approx(0.275)


def test_what_a_calibrated_network_gets_of_few_images() -> None:
    """|K - 4 / 2| of K = 0 .. 4, with 1, 4, 6, 4 and 1 of 16: (2 + 4 + 0 + 4 + 2) / 16 images."""
    one = ReliabilityBin(low=0.4, high=0.6, num_images=4, num_correct=1, confidence=0.5)
    sure = ReliabilityBin(low=0.8, high=1.0, num_images=2, num_correct=2, confidence=1.0)
    assert chance_calibration_error([one]) == pytest.approx(12 / 16 / 4)
    assert chance_calibration_error([one, sure]) == pytest.approx(12 / 16 / 6)


def test_a_probability_of_one_is_in_the_last_bin() -> None:
    (only,) = reliability_bins(np.array([[0.0, 1.0]], np.float32), np.array([1]))
    assert (only.high, only.num_correct) == (1.0, 1)


def test_the_temperature_of_two_classes_by_hand() -> None:
    """One logit, +-4, right three times of four: the best p is 3/4, so 4 / T = ln 3."""
    logits = np.array([[4.0, 0.0]] * 4)
    temperature = fit_temperature(logits, np.array([0, 0, 0, 1]))
    assert temperature == pytest.approx(4 / math.log(3), rel=1e-9)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_is_the_factor_that_was_put_in(factor: float) -> None:
    logits, labels = noisy_model()
    one, other = fit_temperature(logits, labels), fit_temperature(factor * logits, labels)
    assert one is not None
    assert one == pytest.approx(1, abs=0.15)
    assert other == pytest.approx(factor * one, rel=1e-9)


def test_no_other_temperature_has_a_lower_loss() -> None:
    logits, labels = noisy_model()
    best = fit_temperature(3 * logits, labels)
    assert best is not None
    lowest = loss(3 * logits, labels, best)
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert loss(3 * logits, labels, factor * best) > lowest


def test_without_mistakes_there_is_no_temperature() -> None:
    assert fit_temperature(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([0, 1])) is None


def test_temperatures_have_ends() -> None:
    """A model that is always wrong, and one that is nearly always right but hardly says so."""
    assert fit_temperature(np.array([[9.0, 0.0]]), np.array([1])) == pytest.approx(MAX_TEMPERATURE)
    timid = np.array([[1e-4, 0.0]] * 9 + [[1e-4, 0.0]])
    labels = np.array([0] * 9 + [1])
    assert fit_temperature(timid, labels) == pytest.approx(MIN_TEMPERATURE)


@given(st.floats(0.05, 20), st.integers(0, 1000))
def test_a_temperature_and_its_inverse_cancel_and_change_no_ranking(
    temperature: float, seed: int
) -> None:
    probabilities = softmax(np.random.default_rng(seed).normal(0, 1, (8, 4)))
    scaled = with_temperature(probabilities, temperature)
    assert (scaled.argmax(1) == probabilities.argmax(1)).all()
    if temperature > 1:
        assert with_temperature(scaled, 1 / temperature) == pytest.approx(probabilities, abs=1e-4)


def test_the_temperature_lowers_the_calibration_error_of_an_overconfident_model() -> None:
    logits, labels = noisy_model()
    temperature = fit_temperature(4 * logits, labels)
    assert temperature is not None
    result = calibration(softmax(4 * logits / temperature), labels, temperature, is_average=False)
    assert result.error_before is not None
    assert result.error_before > 0.2
    assert result.error < 0.08
    before = reliability_bins(softmax(4 * logits), labels)
    assert result.error_before == pytest.approx(expected_calibration_error(before), abs=1e-4)
    assert sum(part.num_images for part in result.bins_before) == len(labels)


def test_an_average_of_crops_has_no_before_and_neither_has_temperature_one() -> None:
    logits, labels = noisy_model(20)
    averaged = calibration(softmax(logits), labels, 2.0, is_average=True)
    assert (averaged.error_before, averaged.bins_before) == (None, ())
    assert calibration(softmax(logits), labels, 1.0, is_average=False).error_before is None


def test_the_diagram_has_a_point_for_every_bin_before_and_after() -> None:
    logits, labels = noisy_model()
    result = calibration(softmax(2 * logits / 2.5), labels, 2.5, is_average=False)
    figure = reliability_diagram(result)
    accuracy, images = figure.axes
    shown = {text.get_text() for text in accuracy.get_legend().get_texts()}  # type: ignore[union-attr]
    assert f"temperature 2.5: calibration error {100 * result.error:.1f} %" in shown
    assert len(shown) == 3
    after = accuracy.containers[1].lines[0]  # type: ignore[attr-defined]
    assert after.get_xdata() == pytest.approx([part.confidence for part in result.bins])
    assert images.patches[1].get_data().values.sum() == len(labels)  # type: ignore[attr-defined]


def test_the_diagram_without_a_temperature_has_one_set_of_points() -> None:
    logits, labels = noisy_model(50)
    figure = reliability_diagram(calibration(softmax(logits), labels, 1.0, is_average=False))
    assert len(figure.axes[0].containers) == 1
