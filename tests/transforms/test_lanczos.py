"""The resize in torch operations against Pillow's, which `decode` uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.config.preprocessing import Resize
from alexnet.data.images.decode import decode
from alexnet.transforms.lanczos import lanczos_matrix, lanczos_resize

SIZES = [(70, 95), (95, 70), (95, 30), (60, 20), (16, 16), (5, 40), (9, 1), (1, 30), (1, 1)]


@pytest.mark.parametrize("resize", ["shortest_edge", "stretch"])
def test_it_is_pillows(resize: Resize) -> None:
    """Wide, narrow, smaller, larger, and of one pixel; a value may be rounded to its neighbor."""
    differences = []
    for seed, (h, w) in enumerate(SIZES):
        image = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
        expected = decode(Image.fromarray(image), resize, 16)
        found = lanczos_resize(torch.from_numpy(image), resize, 16)
        assert (found.shape, found.dtype) == ((16, 16, 3), torch.float32)
        differences.append(np.abs(found.numpy() - expected))
    assert np.max(differences) <= 1
    assert np.mean(differences) < 1e-3


def test_an_image_of_the_size_stays() -> None:
    image = torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8)
    assert torch.equal(lanczos_resize(image, "shortest_edge", 16), image.float())


def test_weights_by_hand() -> None:
    """Enlarged twice: the first pixel sees -0.25 and 0.75, 1.75, 2.75 pixels to the right."""
    matrix = lanczos_matrix(9, torch.tensor(9), 18)
    offsets = np.array([0.25, 1.25, 2.25])
    weights = np.sinc(offsets) * np.sinc(offsets / 3)
    np.testing.assert_allclose(matrix[0, :3], weights / weights.sum(), atol=1e-6)
    assert not matrix[0, 3:].any()
    assert torch.allclose(matrix.sum(1), torch.ones(18), atol=1e-5)
