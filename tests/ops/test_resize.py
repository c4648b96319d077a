"""The resizing kernel gives the bits of Pillow, and is not needed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from alexnet.data.images import resize
from alexnet.data.images.resize import MAX_KERNEL_PIXELS, resize_to_square
from alexnet.ops.build import KernelsMissingError, find_library
from alexnet.ops.compile import RESIZE
from alexnet.ops.instruction_sets import supported
from alexnet.ops.resize import MIN_SIDE, Box, Resizer, load_resizer, sets_to_try


@pytest.fixture
def resizer() -> Resizer:
    """The kernel, where this CPU and its compiler have it."""
    found = load_resizer()
    if found is None:
        pytest.skip("no resizing kernel here")
    return found


@pytest.fixture(params=RESIZE.instruction_sets)
def every_resizer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Resizer:
    """The kernel for each of its instruction sets, in the place of the fastest."""
    sets = [isa for isa in supported() if isa.name == request.param]
    try:
        found = Resizer(find_library(RESIZE, sets).library)
    except KernelsMissingError:
        pytest.skip(f"no resizing kernel for {request.param} here")
    monkeypatch.setattr(resize, "load_resizer", lambda: found)
    return found


def noise(width: int, height: int, seed: int) -> Image.Image:
    """An image of any values, or of the extremes, which are rounded and cut most."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values if seed % 2 else (values >> 7) * np.uint8(255))


def by_pillow(image: Image.Image, side: int, box: Box) -> np.ndarray:
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS, box))


def random_box(width: int, height: int, rng: np.random.Generator) -> Box:
    left, right = sorted(rng.uniform(0, width, 2))
    upper, lower = sorted(rng.uniform(0, height, 2))
    return left, upper, right, lower


def test_the_kernel_has_the_bits_of_pillow(every_resizer: Resizer) -> None:
    """Larger and smaller, wide, tall enough that Pillow begins with the columns, parts of it."""
    rng = np.random.default_rng(0)
    sizes = [(60, 40), (7, 9), (8, 150), (150, 4), (90, 300), (31, 31), (40, 33)]
    for seed, (width, height) in enumerate(sizes):
        image = noise(width, height, seed)
        for side in (8, 9, 30, 67):
            for box in ((0, 0, width, height), random_box(width, height, rng)):
                found = resize_to_square(image, side, box)
                assert np.array_equal(found, by_pillow(image, side, box)), (image.size, side, box)
                assert found.flags.c_contiguous


@pytest.mark.parametrize(("width", "height", "side"), [(3, 40, 20), (40, 40, 3), (1, 1, 8)])
def test_what_is_too_small_for_it_is_resized_by_pillow(width: int, height: int, side: int) -> None:
    image, box = noise(width, height, 1), (0, 0, width, height)
    assert np.array_equal(resize_to_square(image, side, box), by_pillow(image, side, box))


def test_without_the_kernel_pillow_gives_the_same(
    resizer: Resizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, box = noise(50, 70, 0), (1.5, 0, 50, 60.25)
    with_kernel = resize_to_square(image, 24, box)
    monkeypatch.setattr(Resizer, "resize", None)
    monkeypatch.setattr(resize, "MAX_KERNEL_PIXELS", image.width * image.height - 1)
    assert np.array_equal(resize_to_square(image, 24, box), with_kernel), "its copy would be large"
    monkeypatch.setattr(resize, "MAX_KERNEL_PIXELS", MAX_KERNEL_PIXELS)
    monkeypatch.setenv("ALEXNET_KERNELS", "0")
    assert load_resizer() is None
    assert np.array_equal(resize_to_square(image, 24, box), with_kernel)


def test_a_wrong_size_is_rejected(resizer: Resizer) -> None:
    for size, side in (((8, 9), 8), ((8, 8), MIN_SIDE - 1), ((2, 32), 8)):
        with pytest.raises(ValueError, match=r"256 bytes of \d+ x \d+ pixels"):
            resizer.resize(
                np.zeros(4 * 64, np.uint8), size, side, (0, 0, *size), columns_first=False
            )


def test_it_needs_no_torch() -> None:
    code = "import sys, alexnet.data.images.decode as d; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_older_instruction_set_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that it is not compiled for leaves those below it."""
    names = [isa.name for isa in supported()]
    for at, name in enumerate(names):
        monkeypatch.setenv("ALEXNET_ISA", name)
        expected = [n for n in names[at:] if n in RESIZE.instruction_sets]
        assert [isa.name for isa in sets_to_try()] == expected
