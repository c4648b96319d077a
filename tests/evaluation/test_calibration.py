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
    scaled = logits / temperature
    own = scaled[np.arange(len(labels)), labels]
    return float((np.logaddexp.reduce(scaled, axis=1) - own).mean())


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


def penalized(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The sum of -ln p(label), and the prior's (ln T)^2 / (2 * 0.5^2)."""
    return len(labels) * loss(logits, labels, temperature) + 2 * math.log(temperature) ** 2


def test_the_temperature_of_two_classes_by_hand() -> None:
    """One logit, +-4, right three times of four: the best p is 3/4, so 4 / T = ln 3."""
    logits = np.array([[4.0, 0.0]] * 40_000)
    temperature = fit_temperature(logits, np.array([0, 0, 0, 1] * 10_000))
    assert temperature == pytest.approx(4 / math.log(3), rel=1e-3)


def test_the_temperature_of_one_image_by_hand() -> None:
    """The logit u T of a right image: ln T / 0.5^2 = -u / (1 + e^u), which is -0.2384 for u = 2."""
    temperature = math.exp(-0.25 * 2 / (1 + math.exp(2)))
    found = fit_temperature(np.array([[2 * temperature, 0.0]]), np.array([0]))
    assert found == pytest.approx(temperature, rel=1e-9)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_is_the_factor_that_was_put_in(factor: float) -> None:
    logits, labels = noisy_model(4000)
    one, other = fit_temperature(logits, labels), fit_temperature(factor * logits, labels)
    assert one == pytest.approx(1, abs=0.05)
    assert other == pytest.approx(factor * one, rel=0.01)


@pytest.mark.parametrize(
    ("std", "num_images"),
    [
        (1e-4, 8),
        (1e-4, 800),
        (0.001, 500),
        (0.005, 150),
        (0.01, 300),
        (0.1, 30),
        (3, 1),
        (3, 12),
        (100, 60),
    ],
)
@pytest.mark.parametrize("accuracy", [0.0, 0.9, 1.0])
def test_no_other_temperature_has_a_lower_sum(std: float, num_images: int, accuracy: float) -> None:
    """Also for logits near 0, whose sum has two minima, and without mistakes."""
    random = np.random.default_rng(3)
    logits = std * random.normal(0, 1, (num_images, 4))
    chosen = random.integers(0, 4, num_images)
    labels = np.where(random.random(num_images) < accuracy, logits.argmax(1), chosen)
    found = fit_temperature(logits, labels)
    lowest = min(penalized(logits, labels, 10**power) for power in np.linspace(-2, 2, 401))
    assert MIN_TEMPERATURE <= found <= MAX_TEMPERATURE
    assert penalized(logits, labels, found) <= lowest + 1e-9 * num_images


@pytest.mark.parametrize("num_images", [1, 10, 100])
def test_without_mistakes_probabilities_are_raised_the_more_images_there_are(
    num_images: int,
) -> None:
    logits, labels = np.array([[2.0, 1.0]] * num_images), np.zeros(num_images, np.int64)
    one, more = (fit_temperature(logits[:n], labels[:n]) for n in (num_images, num_images // 2))
    assert 0.1 < one < more <= 1 + 1e-9


def test_few_images_change_probabilities_less_than_many() -> None:
    """A hesitant model, right for 14 of 15 images: the best p is 14/15, so 0.2 / T = ln 14."""
    logits, labels = np.array([[0.2, 0.0]] * 1500), np.array(([0] * 14 + [1]) * 100)
    few, many = fit_temperature(logits[:15], labels[:15]), fit_temperature(logits, labels)
    assert many == pytest.approx(0.2 / math.log(14), rel=0.02)
    assert few > 0.5


def test_temperatures_have_ends() -> None:
    """A model that is always wrong, and one that is nearly always right but hardly says so."""
    wrong = np.array([[9.0, 0.0]] * 1000)
    assert fit_temperature(wrong, np.ones(1000, np.int64)) == pytest.approx(MAX_TEMPERATURE)
    timid, labels = np.array([[0.01, 0.0]] * 2000), np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1] * 200)
    assert fit_temperature(timid, labels) == pytest.approx(MIN_TEMPERATURE)


def test_no_images_and_equal_logits_leave_it_at_one() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == pytest.approx(1)
    assert fit_temperature(np.zeros((9, 3)), np.zeros(9, np.int64)) == pytest.approx(1)


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
