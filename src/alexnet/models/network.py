"""The torch network of a table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alexnet.errors import ArchitectureError, UnknownNameError
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv, FullyConnected
from alexnet.models.modules import init_weights, module
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import architecture


class Network(nn.Module):
    """A table as a torch module; parameters are called `conv1.weight` .. `fc8.bias` after its rows.

    Weights begin as the table says, drawn from torch's global generator.
    """

    def __init__(self, table: Architecture) -> None:
        super().__init__()
        self.architecture = table
        for row in table.rows():
            if hasattr(self, row.layer.name):
                raise ArchitectureError(f"a layer cannot be called {row.layer.name!r}")
            self.add_module(row.layer.name, module(row))
        self.init_weights()

    def init_weights(self) -> None:
        """Draw every weight anew."""
        for layer in self.architecture.layers:
            if isinstance(layer, Conv | FullyConnected):
                weight = self.get_submodule(layer.name)
                assert isinstance(weight, nn.Conv2d | nn.Linear)
                init_weights(weight, layer.init)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes] of preprocessed images [B, C, H, W].

        Raises:
            ArchitectureError: the images have another shape than the table's input.
        """
        self._check(images)
        x = images
        for layer in self.children():
            x = layer(x)
        return x

    def intermediate_outputs(self, images: Tensor) -> dict[str, Tensor]:
        """What every named layer gives, in order, for images [B, C, H, W].

        Raises:
            ArchitectureError: the images have another shape than the table's input.
        """
        self._check(images)
        x, stages = images, {}
        for name, layer in self.named_children():
            stages[name] = x = layer(x)
        return stages

    def _check(self, images: Tensor) -> None:
        arch = self.architecture
        if images.shape[1:] != arch.input:
            raise ArchitectureError(
                f"{arch.name} takes images of {shape_text(arch.input)}, "
                f"not {shape_text(images.shape[1:])}"
            )

    def freeze_up_to(self, name: str) -> None:
        """Keep the weights and batch statistics of the layers up to and with `name`.

        Raises:
            UnknownNameError: the table has no such layer.
        """
        for parameter in self.parameters_up_to(name):
            parameter.requires_grad_(False)

    def parameters_up_to(self, name: str) -> list[nn.Parameter]:
        """The parameters of the layers up to and with `name`.

        Raises:
            UnknownNameError: the table has no such layer.
        """
        names = [layer.name for layer in self.architecture.layers]
        if name not in names:
            raise UnknownNameError(f"layer of {self.architecture.name}", name, names)
        layers = (self.get_submodule(layer) for layer in names[: names.index(name) + 1])
        return [parameter for layer in layers for parameter in layer.parameters()]

    def train(self, mode: bool = True) -> Network:
        """Training or evaluation mode; frozen layers stay in evaluation mode."""
        super().train(mode)
        for layer in self.children():
            parameters = list(layer.parameters())
            if mode and parameters and not any(p.requires_grad for p in parameters):
                layer.eval()
        return self


def channels_last(network: Network) -> Network:
    """The same network with its weights in channels-last memory, the fastest for convolutions."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def compile_network(network: Network, device: torch.device) -> None:
    """Compile a network in place, at its first call; on a GPU its passes become CUDA graphs."""
    network.compile(mode="reduce-overhead" if device.type == "cuda" else None)


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    input_size: int | None = None,
    device: str | torch.device = "cpu",
) -> Network:
    """A network of the zoo with fresh weights, in channels-last memory.

    Args:
        name: an architecture's name, such as "alexnet".
        num_classes: length of the output; None: as published.
        input_size: side of the input in pixels; None: as published.
        device: where the weights live; "meta" makes shapes only.

    Raises:
        UnknownNameError: no such network.
        ArchitectureError: the input is too small for the net.
    """
    table = variant(
        architecture(name), ModelOptions(input_size=input_size), num_classes=num_classes
    )
    with torch.device(device):
        return channels_last(Network(table))
