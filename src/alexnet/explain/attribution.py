"""Which input pixels a class's logit or probability depends on: four methods, computed by captum.

Every function takes one preprocessed image float32 [1, C, H, W] and gives a map float32 [H, W].
They compute in float32 with the network in evaluation mode, in which nothing is random.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from alexnet.explain.feature_layers import on_input
from alexnet.models.network import Network, evaluation_mode
from alexnet.runtime.device import exact_float32, float32_default
from alexnet.runtime.extras import require_extra

IG_STEPS = 64
"""Points on the path of integrated gradients."""
IG_BATCH = 8
"""Points of that path that are computed at a time."""
WINDOWS_PER_SIDE = 7
"""Side of the input in sides of the occluding square; the square's stride is half its side."""
OCCLUSION_BATCH = 16
"""Occluded images that are computed at a time."""


def require_captum() -> None:
    """Check that captum is installed.

    Raises:
        UsageError: it is not; the message has the command that installs it.
    """
    require_extra("captum", "explain", "explain")


@contextmanager
def exactly(network: Network) -> Iterator[None]:
    """A context with float32 without TF32, evaluation mode and gradients; it restores the mode."""
    with (
        evaluation_mode(network),
        exact_float32(next(network.parameters()).device),
        torch.inference_mode(False),
        torch.enable_grad(),
        float32_default(),
    ):
        yield


def grad_cam(network: Network, x: Tensor, target: int, layer: str) -> np.ndarray:
    """Grad-CAM: the ReLU of a layer's channels, summed with the logit's mean gradients as weights.

    The map is interpolated between the centers of the layer's receptive fields.

    Args:
        network: what is explained.
        x: a preprocessed image [1, C, H, W].
        target: index of the class.
        layer: a layer whose output is a map [1, channels, h, w].

    Source: Selvaraju et al. 2017, section 3.
    """
    from captum.attr import LayerGradCam

    with exactly(network):
        method = LayerGradCam(network, network.get_submodule(layer))
        values = method.attribute(x, target, relu_attributions=True)
    return on_input(_array(values)[0, 0], network.architecture, layer)


def integrated_gradients(
    network: Network, x: Tensor, target: int, baseline: Tensor, steps: int = IG_STEPS
) -> tuple[np.ndarray, float]:
    """Integrated gradients of the logit, summed over the colors, and their completeness gap.

    The map's sum should be the image's logit minus the baseline's. The gap is by how much it is
    larger, since the integral is approximated at `steps` points.

    Args:
        network: what is explained.
        x: a preprocessed image [1, C, H, W].
        target: index of the class.
        baseline: the input that stands for no image, [1, C, H, W].
        steps: points on the straight path from the baseline to the image.

    Source: Sundararajan et al. 2017, section 3.
    """
    from captum.attr import IntegratedGradients

    with exactly(network):
        values, delta = IntegratedGradients(network).attribute(
            x,
            baseline,
            target,
            n_steps=steps,
            internal_batch_size=IG_BATCH,
            return_convergence_delta=True,
        )
    return _array(values)[0].sum(0), float(delta)


def occlusion(
    network: Network,
    x: Tensor,
    target: int,
    baseline: Tensor,
    *,
    window: int = 0,
    temperature: float = 1.0,
) -> np.ndarray:
    """By how much the class's probability drops if a square covers a pixel, for every pixel.

    It is the mean over all positions of the square, half its side apart, that cover the pixel; -1
    to 1.

    Args:
        network: what is explained.
        x: a preprocessed image [1, C, H, W].
        target: index of the class.
        baseline: what the square shows, [1, C, H, W].
        window: side of the square in pixels; 0: `occlusion_window`.
        temperature: logits are divided by it before the softmax.

    Source: Zeiler and Fergus 2014, section 4.2.
    """
    from captum.attr import Occlusion

    side = window or occlusion_window(x.shape[-1])
    stride = max(1, side // 2)

    def probability(images: Tensor) -> Tensor:
        logits: Tensor = network(images)
        return (logits / temperature).softmax(1)[:, target]

    with exactly(network):
        values = Occlusion(probability).attribute(
            x,
            (x.shape[1], side, side),
            (x.shape[1], stride, stride),
            baseline,
            perturbations_per_eval=OCCLUSION_BATCH,
        )
    drops: np.ndarray = _array(values)[0, 0]
    return drops


def occlusion_window(side: int) -> int:
    """Side of the occluding square for an input of this side, in pixels."""
    return max(1, round(side / WINDOWS_PER_SIDE))


def guided_backprop(network: Network, x: Tensor, target: int) -> np.ndarray:
    """The gradient of the logit, where every ReLU passes back positive gradients only.

    The map has the largest absolute value over the colors. It hardly depends on the class or on
    the weights of the last layers (Adebayo et al. 2018). In a network without a ReLU it is the
    plain gradient.

    Source: Springenberg et al. 2015, section 3.4.
    """
    from captum.attr import GuidedBackprop

    with exactly(network), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks")
        values = GuidedBackprop(network).attribute(x.clone().requires_grad_(), target)
    largest: np.ndarray = np.abs(_array(values)[0]).max(0)
    return largest


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().to("cpu", torch.float32).numpy()
    return array
