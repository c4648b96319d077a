"""How far two implementations are apart, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from alexnet.config.preprocessing import Preprocessing
from alexnet.interop.parity import Parity, compare, normalize_array, random_images, torch_runner
from support.narrow_nets import narrow_classifier


def test_the_largest_difference_of_all_batches() -> None:
    batches = [np.float32([[1, 2]]), np.float32([[3, -4], [0, 1]])]
    parity = compare(lambda x: x, lambda x: x + np.float32(0.5) * (x == 3), "a test", batches)
    assert parity == Parity(
        runtime="a test", batch_sizes=(1, 2), max_abs_difference=0.5, max_abs_logit=4
    )
    assert parity.relative_difference == 0.125
    assert not parity.is_close
    assert "largest difference from a test 0.5 on logits up to 4" in parity.summary()


@pytest.mark.parametrize("values", [(1, np.nan), (np.nan, 1)])
def test_nan_is_never_close(values: tuple[float, float]) -> None:
    images = np.float32([values])
    assert not compare(np.ones_like, lambda x: x, "a test", [images]).is_close
    assert not compare(lambda x: x, np.ones_like, "a test", [images, np.float32([[1]])]).is_close


def test_equal_logits_of_zero_are_close() -> None:
    assert compare(np.zeros_like, np.zeros_like, "a test", [np.float32([[1]])]).is_close


def test_random_images_fill_the_input() -> None:
    network = narrow_classifier("lenet5").network
    images = random_images(network, 3, seed=1)
    assert (images.shape, images.dtype) == ((3, *network.architecture.input), np.float32)
    assert 0 <= images.min() < 64 < 192 < images.max() <= 255
    assert np.array_equal(images, random_images(network, 3, seed=1))
    assert not np.array_equal(images, random_images(network, 3, seed=2))
    blocks = images.reshape(3, 1, 4, 8, 4, 8).mean((3, 5))
    assert blocks.std() > 30, "the mean of 8 x 8 pixels of mere noise has a std of 9"


def test_the_random_images_get_different_logits() -> None:
    network = narrow_classifier("alexnet_caffe").network
    one, other = torch_runner(network)(random_images(network, 2))
    assert np.abs(one - other).max() > 0.01 * np.abs(one).max()


def test_normalize_array() -> None:
    preprocessing = Preprocessing(mean=(10, 20, 30), std=(1, 2, 4))
    images = np.full((1, 3, 1, 2), 50, np.float32)
    expected = np.float32([40, 15, 5])[None, :, None, None].repeat(2, 3)
    np.testing.assert_array_equal(normalize_array(images, preprocessing), expected)
