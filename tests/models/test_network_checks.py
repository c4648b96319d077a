"""A network with other layers than its architecture is told, by the first one that differs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from alexnet.errors import ArchitectureError
from alexnet.inference.optimize import optimize_for_inference
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv, Flatten, FullyConnected
from alexnet.models.modules import ResponseNorm, allow_bf16_gradients
from alexnet.models.network import Network, channels_last, create_model
from alexnet.models.network_checks import check_layers, check_no_hooks
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ABLATIONS, ZOO

Edit = Callable[[Network], object]


def small(name: str = "alexnet") -> Network:
    return create_model(name, width=0.05, input_size=67, num_classes=7)


def put(**layers: nn.Module) -> Edit:
    """Replace or add layers."""
    return lambda network: [setattr(network, name, layer) for name, layer in layers.items()]


def change(layer: str, **settings: object) -> Edit:
    return lambda network: vars(network.get_submodule(layer)).update(settings)


class Clipped(nn.ReLU):
    """A layer of the user's own; the module's name is that of a package."""

    __module__ = "support"


def moved_to_the_end(network: Network) -> None:
    layer = network.relu3
    del network.relu3
    network.relu3 = layer


def forward_of_its_own(network: Network, layer: str = "") -> None:
    module = network.get_submodule(layer)
    module.forward = lambda x: x  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        (put(relu3=nn.Tanh()), "relu3 is torch's Tanh, and should be torch's ReLU"),
        (put(pool2=nn.AvgPool2d(3, 2)), "pool2 is torch's AvgPool2d, and should be torch's MaxPo"),
        (put(flatten=nn.Flatten()), "flatten is torch's Flatten, and should be alexnet's Flatten"),
        (put(pool2=nn.MaxPool2d(3, 2, ceil_mode=True)), "pool2.ceil_mode is True, and should be F"),
        (put(norm1=ResponseNorm(size=3)), "norm1.size is 3, and should be 5"),
        (put(norm2=ResponseNorm(alpha=1e-3)), "norm2.alpha is 0.001, and should be 0.0001"),
        (put(fc8=nn.Linear(204, 3)), "fc8.out_features is 3, and should be 7"),
        (put(softmax=nn.Softmax(1)), "it also has softmax"),
        (put(relu2=nn.Identity()), "relu2 is torch's Identity, and should be torch's ReLU"),
        (change("conv2", stride=(2, 2)), "conv2.stride is (2, 2), and should be (1, 1)"),
        (change("conv2", padding_mode="circular"), "conv2.padding_mode is circular, and should be"),
        (change("conv3", dilation=(2, 2)), "conv3.dilation is (2, 2), and should be (1, 1)"),
        (change("conv4", groups=1), "conv4.groups is 1, and should be 2"),
        (change("pool5", padding=1), "pool5.padding is 1, and should be 0"),
        (lambda network: delattr(network, "drop6"), "it lacks drop6"),
        (lambda network: weight_norm(network.fc7), "fc7 is torch's ParametrizedLinear, and shou"),
        (forward_of_its_own, "its Network has a forward pass of its own"),
        (lambda network: forward_of_its_own(network, "fc6"), "fc6 has a forward pass of its own"),
        (change("conv2", _conv_forward=print), "conv2 has a forward pass of its own"),
        (put(relu1=Clipped()), "relu1 is support's Clipped, and should be torch's ReLU"),
    ],
)
def test_the_first_layer_that_differs(edit: Edit, difference: str) -> None:
    network = small()
    edit(network)
    message = f"^it does not fit its own architecture: {re.escape(difference)}.*; write the change"
    with pytest.raises(ArchitectureError, match=message):
        check_layers(network, network.architecture)


def test_a_class_that_was_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small()
    monkeypatch.setattr(nn.ReLU, "forward", lambda _, x: x.clamp(0, 6))
    with pytest.raises(ArchitectureError, match="relu1 has a forward pass of its own"):
        check_layers(network, network.architecture)


def test_batch_norms_have_settings_too() -> None:
    network = small("alexnet_bn")
    network.bn1.eps = 0.1  # type: ignore[assignment]
    with pytest.raises(ArchitectureError, match=r"bn1\.eps is 0\.1, and should be "):
        check_layers(network, network.architecture)


def test_a_convolution_of_torch_has_no_extra_padding() -> None:
    layers = (Conv("conv1", 4, 3, extra_padding=1), Flatten("flatten"), FullyConnected("fc2", 2))
    network = Network(Architecture("mine", "a test", (3, 8, 8), layers))
    network.conv1 = nn.Conv2d(3, 4, 3)
    with pytest.raises(ArchitectureError, match=r"conv1\.extra_padding is 0, and should be 1"):
        check_layers(network, network.architecture)


@pytest.mark.parametrize("name", [*ZOO, *ABLATIONS])
def test_every_network_fits_its_architecture(name: str) -> None:
    network = create_model(name, device="meta")
    check_layers(network, network.architecture)
    check_no_hooks(network)


@pytest.mark.parametrize(
    "use",
    [
        lambda network: network.train(),
        lambda network: network.freeze_up_to("conv5"),
        lambda network: network.half(),
        lambda network: network.to(torch.bfloat16),
        lambda network: channels_last(network).requires_grad_(False),
        lambda network: network.load_state_dict(small().state_dict()),
        pytest.param(lambda network: network.compile(backend="eager"), marks=pytest.mark.slow),
        pytest.param(
            lambda network: put(relu1=torch.compile(network.relu1, backend="eager"))(network),
            marks=pytest.mark.slow,
        ),
        lambda network: allow_bf16_gradients(network, allowed=True),
        lambda network: network.conv1.register_full_backward_hook(lambda *_: None),
        moved_to_the_end,
        lambda network: setattr(network, "relu2", network.relu1),
        put(relu1=nn.ReLU(inplace=True), drop6=nn.Dropout(0.5), fc8=nn.Linear(204, 7)),
        change("conv1", note="mine"),
        change("drop6", p=0.2),
    ],
)
def test_ordinary_use_is_no_change(use: Edit) -> None:
    network = small()
    use(network)
    check_layers(network, network.architecture)
    check_no_hooks(network)


def test_a_variant_is_what_its_own_architecture_says() -> None:
    arch = variant(
        ZOO["alexnet"], ModelOptions(activation="tanh", pooling="non_overlapping"), num_classes=3
    )
    with torch.device("meta"):
        network = Network(arch)
    check_layers(network, arch)
    with pytest.raises(ArchitectureError, match="and should be"):
        check_layers(network, ZOO["alexnet"])


@pytest.mark.parametrize("layer", ["", "fc7"])
def test_hooks_on_the_forward_pass(layer: str) -> None:
    network, name = small(), layer or "the network"
    module = network.get_submodule(layer)
    before = module.register_forward_pre_hook(lambda *_: None)
    with pytest.raises(ArchitectureError, match=f"^{name} has a forward pre-hook, .*; remove it"):
        check_no_hooks(network)
    before.remove()
    after = module.register_forward_hook(lambda *_: None)
    with pytest.raises(ArchitectureError, match=f"^{name} has a forward hook"):
        check_no_hooks(network)
    check_layers(network, network.architecture)
    after.remove()
    check_no_hooks(network)


def test_an_optimized_network_is_another_one() -> None:
    network = small()
    with pytest.raises(ArchitectureError):
        check_layers(optimize_for_inference(network), network.architecture)
