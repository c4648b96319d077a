"""Images that a channel responds to strongly, made by gradient ascent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from alexnet.errors import UsageError
from alexnet.explain.attribution import exactly
from alexnet.explain.blur import gaussian_blur
from alexnet.explain.feature_layers import num_channels
from alexnet.explain.patches import check_layer, cut, field_on_image
from alexnet.inference.classifier import Classifier
from alexnet.models.receptive_fields import receptive_box
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.transforms.crops import normalize, to_uint8_images

STEPS = 128
STEP_SIZE = 5.0
"""Standard deviation of the change of an image in one step, on the 0-255 scale."""
MAX_JITTER = 8
"""Pixels by which an image is shifted at most before every step; at most an eighth of a field."""
FIRST_BLUR, LAST_BLUR = 4.0, 0.8
"""Standard deviation in pixels of the blur of the gradient, in the first and the last step; at most
a 16th of a field."""
DECAY = 0.98
"""Factor by which the contrast decays in every step."""
MIDDLE_GRAY = 127.5
BATCH = 8
"""Channels whose images are made at a time."""


def synthesize(
    classifier: Classifier,
    layer: str,
    channels: Sequence[int],
    *,
    steps: int = STEPS,
    seed: int = 0,
    on_progress: ProgressCallback = ignore_progress,
) -> list[np.ndarray]:
    """Synthesize images that maximize the output of channels at the middle of their map.

    The method is gradient ascent on pixels of 0 to 255, from gray noise. To get shapes and not
    noise, the gradient is blurred, at first strongly, the image is shifted at random before every
    step, and its contrast decays. The output is taken before the activation function, so that a
    channel that is off has a gradient, too.

    Args:
        classifier: the classifier with the network.
        layer: a convolution or fully connected layer.
        channels: indices of its channels.
        steps: number of steps of gradient ascent.
        seed: seed of the noise and the shifts; the same seed gives the same images.
        on_progress: called with (channels done, channels in all).

    Returns:
        The images, of the size of the output's receptive field: uint8 [side, side, 3], or [side,
        side] for a network of gray images.

    Raises:
        UnknownNameError: there is no such layer.
        UsageError: the layer has no such channel, or the classifier is optimized.

    Source: Erhan et al. 2009; the regularizers are those of Yosinski et al. 2015 and Olah et al.
    2017.
    """
    check_layer(classifier, layer)
    count = num_channels(classifier.info.architecture, layer)
    for channel in channels:
        if not 0 <= channel < count:
            raise UsageError(f"{layer} has channels 0 to {count - 1}, and no channel {channel}")
    images: list[np.ndarray] = []
    for start in range(0, len(channels), BATCH):
        images += _batch(classifier, layer, channels[start : start + BATCH], steps, seed)
        on_progress(len(images), len(channels))
    return images


def _batch(
    classifier: Classifier, layer: str, channels: Sequence[int], steps: int, seed: int
) -> list[np.ndarray]:
    arch = classifier.info.architecture
    box = field_on_image(classifier, receptive_box(arch, layer, *_middle(classifier, layer)))
    field = box.bottom - box.top
    jitter = min(MAX_JITTER, field // 8)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, *arch.input, generator=generator).expand(len(channels), -1, -1, -1)
    pixels = (MIDDLE_GRAY + 8 * gaussian_blur(noise, 1.0)).to(classifier.device)
    with exactly(classifier.network):
        for step in range(steps):
            std = min(FIRST_BLUR + (LAST_BLUR - FIRST_BLUR) * step / steps, field / 16)
            shift = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
            gradient = gaussian_blur(_gradient(classifier, layer, channels, pixels, shift), std)
            size = gradient.std((1, 2, 3), keepdim=True).clamp(min=1e-12)
            pixels = MIDDLE_GRAY + DECAY * (pixels - MIDDLE_GRAY) + STEP_SIZE * gradient / size
            pixels = pixels.clamp(0, 255)
    return [cut(image, box) for image in to_uint8_images(pixels)]


def _gradient(
    classifier: Classifier,
    layer: str,
    channels: Sequence[int],
    pixels: Tensor,
    shift: Sequence[int],
) -> Tensor:
    """The gradient of the channels' outputs for shifted images w.r.t. the pixels, [B, C, H, W]."""
    pixels = pixels.detach().requires_grad_()
    shifted = pixels.roll(tuple(shift), (2, 3)).clone()
    x = normalize(shifted, classifier.info.preprocessing, classifier.mean_image)
    network = classifier.network
    outputs = network.get_submodule(layer)(network.input_of(layer, x))
    if outputs.ndim == 4:
        row, column = _middle(classifier, layer)
        outputs = outputs[:, :, row, column]
    chosen = outputs[torch.arange(len(channels)), torch.tensor(channels)]
    (gradient,) = torch.autograd.grad(chosen.sum(), pixels)
    return gradient


def _middle(classifier: Classifier, layer: str) -> tuple[int, int]:
    """Row and column of the middle of a layer's map; 0, 0 if the layer has no map."""
    shapes = {one.layer.name: one.output for one in classifier.info.architecture.layer_infos()}
    shape = shapes[layer]
    return (shape[1] // 2, shape[2] // 2) if len(shape) == 3 else (0, 0)
