"""Whether the tensors and the preprocessing of a model file fit its architecture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from alexnet.checkpoints.validation import check_preprocessing, check_tensors
from alexnet.errors import ArchitectureError
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.models.network import Network
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO

ARCH = variant(ZOO["lenet5"], ModelOptions(width=0.5), num_classes=3)


def test_tensors_must_be_those_of_the_architecture() -> None:
    state = Network(ARCH).state_dict()
    check_tensors(ARCH, state)
    name = "conv1.weight"
    others: list[tuple[dict[str, torch.Tensor], str]] = [
        ({n: t for n, t in state.items() if n != name}, "it lacks conv1.weight"),
        ({**state, "more": torch.zeros(1)}, "it also has more"),
        (
            {**state, name: state[name][:1]},
            "conv1.weight is 1x1x5x5 float32, and should be 4x1x5x5",
        ),
        ({**state, name: state[name].double()}, "conv1.weight is 4x1x5x5 float64"),
        (
            {**state, name: state[name] * float("nan")},
            "conv1.weight has values that are not finite",
        ),
        ({**state, name: state[name] / 0}, "conv1.weight has values that are not finite"),
    ]
    for tensors, message in others:
        with pytest.raises(ArchitectureError, match=message):
            check_tensors(ARCH, tensors)


def test_preprocessing_must_give_the_input() -> None:
    preprocessing = published_preprocessing("published", ARCH)
    check_preprocessing(ARCH, preprocessing, None)
    image = torch.zeros(1, 32, 32)
    check_preprocessing(ARCH, replace(preprocessing, has_mean_image=True), image)
    with pytest.raises(ArchitectureError, match=r"preprocessing gives \(3, 32, 32\)"):
        check_preprocessing(ARCH, replace(preprocessing, channels=3), None)
    with pytest.raises(ArchitectureError, match="mean image"):
        check_preprocessing(ARCH, preprocessing, image)
    with pytest.raises(ArchitectureError, match="mean image is 1x32x31"):
        check_preprocessing(ARCH, replace(preprocessing, has_mean_image=True), image[..., :31])
