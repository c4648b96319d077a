"""Weights of other layouts: TensorFlow's order of axes, and networks of BGR images."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from alexnet.errors import ModelFileError
from alexnet.interop.match import MatchedModel
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv, Flatten, FullyConnected


def channels_first(weights: dict[str, Tensor], arch: Architecture) -> dict[str, Tensor]:
    """Convert weights to torch's layout: kernels [out, in, h, w] and matrices [out, in].

    TensorFlow's are [h, w, in, out] and [in, out], and the first matrix takes the values of a
    feature map in the order height, width, channels. The shape of the first convolution shows
    which layout a file has. `bvlc_alexnet.npy` has a network of Caffe in TensorFlow's layout.
    """
    convs = [layer for layer in arch.layers if isinstance(layer, Conv)]
    first = weights.get(f"{convs[0].name}.weight")
    if first is None or first.ndim != 4 or first.shape[0] != convs[0].kernel:
        return weights
    if first.shape[2:] == (convs[0].kernel, convs[0].kernel):
        return weights
    turned = {
        name: _turned(tensor) if name.endswith(".weight") else tensor
        for name, tensor in weights.items()
    }
    matrix = next(f"{x.name}.weight" for x in arch.layers if isinstance(x, FullyConnected))
    channels = len(turned.get(f"{convs[-1].name}.weight", ()))
    if _flattens_channels_first(arch) and channels and matrix in turned:
        turned[matrix] = _reordered(turned[matrix], channels)
    return turned


def _turned(weight: Tensor) -> Tensor:
    if weight.ndim == 4:
        return weight.permute(3, 2, 0, 1).contiguous()
    return weight.t().contiguous() if weight.ndim == 2 else weight


def _flattens_channels_first(arch: Architecture) -> bool:
    return any(isinstance(layer, Flatten) and layer.order == "chw" for layer in arch.layers)


def _reordered(matrix: Tensor, channels: int) -> Tensor:
    """Reorder a matrix [out, positions x channels] to [out, channels x positions]."""
    if matrix.ndim != 2 or matrix.shape[1] % channels:
        return matrix
    return matrix.reshape(len(matrix), -1, channels).transpose(1, 2).reshape(len(matrix), -1)


def flip_colors(file: str, model: MatchedModel) -> MatchedModel:
    """Convert a model of BGR images to one of RGB images.

    Raises:
        ModelFileError: the model does not take three colors.
    """
    channels = model.architecture.input[0]
    if channels != 3:
        raise ModelFileError(f"{file} takes {channels} channels, so it cannot take BGR")
    first = next(layer for layer in model.architecture.layers if isinstance(layer, Conv))
    name = f"{first.name}.weight"
    weights = {**model.weights, name: model.weights[name].flip(1).contiguous()}
    return replace(model, weights=weights)
