"""The torch network of an architecture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from string import digits
from typing import Any

import torch
from torch import Tensor, fx, nn

from alexnet.errors import ArchitectureError, ConfigError, UnknownNameError, UsageError, require
from alexnet.io.text import shape_text
from alexnet.keywords import check_options
from alexnet.models.architecture import Architecture
from alexnet.models.forward import forward_layers
from alexnet.models.layers import Conv, FullyConnected
from alexnet.models.modules import Conv2d, Linear, build_module, init_weights
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import architecture

OTHER_NAMES = (
    "None of the names is one of this network. Files with the names of torchvision, timm and other "
    "programs are read by alexnet.create_model(ARCH, pretrained=FILE) and "
    "alexnet.import_model(FILE, ARCH)."
)


NAMES_ELSEWHERE = ("avgpool", "classifier", "fc", "features", "head", "heads", "last_linear")
"""What torchvision and timm call the parts of their networks."""


class Network(nn.Module):
    """An architecture as a torch module; its parameters are called `conv1.weight` .. `fc8.bias`.

    Logits are float32 also under autocast: the last layer with weights is not cast.
    Weights are initialized as the architecture says, with torch's global random generator.

    The forward pass runs the layers of the architecture by their names, in its order: another
    module may be put in a layer's place (`network.fc8 = nn.Linear(4096, 10)`), and a layer that is
    deleted is left out. A module of any other name that has no parameters, such as a loss, is kept,
    as `nn.Module` does, and not run. One with parameters is refused, and so is a name that could be
    meant as a layer's, unless the network has a forward pass of its own.

    Raises:
        ArchitectureError: a layer has the name of an attribute of `nn.Module` or of this class.
    """

    _num_classes: int | None = None

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.architecture = arch
        for info in arch.layer_infos():
            name = info.layer.name
            is_free = not hasattr(self, name)
            require(is_free, f"a layer cannot be called {name!r}", ArchitectureError)
            self.add_module(name, build_module(info))
        weighted = [
            layer for layer in self.layer_modules().values() if isinstance(layer, Conv2d | Linear)
        ]
        if weighted:
            weighted[-1].is_last = True
        self.float()  # whatever torch's default is
        self.init_weights()

    @property
    def num_classes(self) -> int:
        """Length of the output, also where the last layers were replaced or deleted.

        That of the last `nn.Linear`; the architecture's, if another layer with weights follows it.
        A subclass may assign it. Unless it does, the `nn.Linear` of a network with a forward pass
        of its own may be in any module.
        """
        if self._num_classes is not None:
            return self._num_classes
        own = self.layer_modules() if runs_its_layers(self) else dict(self.named_children())
        return _linear_outputs(own.values()) or self.architecture.num_classes

    @num_classes.setter
    def num_classes(self, count: int) -> None:
        if type(self) is Network:
            last = self.architecture.layers[-1].name
            raise UsageError(
                f"num_classes = {count} would not change the output of {self.architecture.name}; "
                f"network.{last} = nn.Linear(.., {count}) does"
            )
        self._num_classes = count

    def layer_modules(self) -> dict[str, nn.Module]:
        """The modules of the architecture's layers by name, in order, without deleted ones."""
        found = ((layer.name, self._modules.get(layer.name)) for layer in self.architecture.layers)
        return {name: module for name, module in found if module is not None}

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """As `nn.Module.add_module`; what would not be run and could be meant to be is refused.

        Raises:
            UsageError: there is no layer of that name, and the module has parameters, or the name
                is like that of a layer of this network or of another program's.
        """
        self._check_is_run(name, module)
        super().add_module(name, module)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, nn.Module):
            self._check_is_run(name, value)
        super().__setattr__(name, value)

    def _check_is_run(self, name: str, module: nn.Module | None) -> None:
        """Raise UsageError if a module of that name would not be run, and could be meant to be."""
        if not self._is_set_up or not runs_its_layers(self):
            return
        names = {layer.name for layer in self.architecture.layers}
        kinds = {layer.rstrip(digits).lower() for layer in names}
        is_like_a_layer = name.lower() in NAMES_ELSEWHERE or name.lower().rstrip(digits) in kinds
        has_parameters = module is not None and any(True for _ in module.parameters())
        if name in names or not (is_like_a_layer or has_parameters):
            return
        last = self.architecture.layers[-1].name
        raise UsageError(
            f"{self.architecture.name} has no layer {name!r}, so the module would not be run; its "
            f"last layer is {last}: network.{last} = .. replaces it, and nn.Sequential(network, ..)"
            " or a subclass with a forward of its own runs a module after it"
        )

    @property
    def _is_set_up(self) -> bool:
        """Whether there are layers; not while a subclass has yet to call `super().__init__`."""
        return self.__dict__.keys() >= {"_modules", "architecture"}

    def __getattr__(self, name: str) -> Any:
        if name in NAMES_ELSEWHERE and self._is_set_up and name not in self._modules:
            arch = self.architecture
            raise AttributeError(
                f"{arch.name} has no {name!r}; its last layer is network.{arch.layers[-1].name}, "
                "and network.intermediate_outputs(images) has the outputs of all layers"
            )
        return super().__getattr__(name)

    def init_weights(self) -> None:
        """Initialize all weights again."""
        for layer in self.architecture.layers:
            if isinstance(layer, Conv | FullyConnected):
                module = self.get_submodule(layer.name)
                assert isinstance(module, nn.Conv2d | nn.Linear)
                init_weights(module, layer.init)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, num_classes] of preprocessed images [B, C, H, W].

        Raises:
            ArchitectureError: the images do not have the architecture's input shape.
        """
        self._check(images)
        return forward_layers(list(self.layer_modules().values()), images)

    # fx keeps the annotations of `forward`, and can pickle a traced network only if they are types.
    forward.__annotations__.update({"images": Tensor, "return": Tensor})

    def intermediate_outputs(self, images: Tensor) -> dict[str, Tensor]:
        """The outputs of all layers by name, in order, for images [B, C, H, W].

        Raises:
            ArchitectureError: the images do not have the architecture's input shape.
        """
        self._check(images)
        x, outputs = images, {}
        for name, layer in self.layer_modules().items():
            outputs[name] = x = layer(x)
        return outputs

    def input_of(self, layer: str, images: Tensor) -> Tensor:
        """The input of a layer, [B, ...], for preprocessed images [B, C, H, W].

        Raises:
            UnknownNameError: there is no such layer.
            ArchitectureError: the images do not have the architecture's input shape.
        """
        self._check_layer(layer)
        self._check(images)
        x = images
        for name, module in self.layer_modules().items():
            if name == layer:
                break
            x = module(x)
        return x

    def output_from(self, layer: str, x: Tensor) -> Tensor:
        """Logits [B, num_classes] for the output of `input_of` for this layer.

        Raises:
            UnknownNameError: there is no such layer.
        """
        names = self._check_layer(layer)
        for name, module in self.layer_modules().items():
            if names.index(name) >= names.index(layer):
                x = module(x)
        return x

    def _check_layer(self, name: str) -> list[str]:
        """The names of all layers; raise UnknownNameError if `name` is not among them."""
        names = [layer.name for layer in self.architecture.layers]
        if name not in names:
            raise UnknownNameError(f"layer of {self.architecture.name}", name, names)
        return names

    def _check(self, images: Tensor) -> None:
        if isinstance(images, fx.Proxy):  # it has no shape yet
            return
        arch, found = self.architecture, images.shape
        if found[1:] == arch.input:
            return
        wanted = shape_text(arch.input)
        if found == arch.input:
            raise ArchitectureError(
                f"{arch.name} takes a batch of images of {wanted}, and this is one without the "
                "batch axis: images[None] has it"
            )
        problem = shape_text(found[1:]) if len(found) == 4 else f"a tensor of {shape_text(found)}"
        raise ArchitectureError(f"{arch.name} takes images of {wanted}, not {problem}")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As `nn.Module.load_state_dict`; the error says how other programs' names are read.

        Raises:
            RuntimeError: with `strict` a name is missing or unknown; or a shape differs.
        """
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            if state_dict.keys() & self.state_dict().keys():
                raise
            raise RuntimeError(f"{error}\n\t{OTHER_NAMES}") from error

    def freeze_up_to(self, name: str) -> None:
        """Freeze the parameters and batch-norm statistics of the layers up to `name`, inclusive.

        Raises:
            UnknownNameError: there is no such layer.
        """
        for parameter in self.parameters_up_to(name):
            parameter.requires_grad_(False)

    def parameters_up_to(self, name: str) -> list[nn.Parameter]:
        """The parameters of the layers up to `name`, inclusive.

        Raises:
            UnknownNameError: there is no such layer.
        """
        names = self._check_layer(name)
        modules = self.layer_modules()
        layers = (modules[layer] for layer in names[: names.index(name) + 1] if layer in modules)
        return [parameter for layer in layers for parameter in layer.parameters()]

    def train(self, mode: bool = True) -> Network:
        """Set training or evaluation mode; frozen layers stay in evaluation mode."""
        super().train(mode)
        for layer in self.children():
            parameters = list(layer.parameters())
            if mode and parameters and not any(p.requires_grad for p in parameters):
                layer.eval()
        return self


def runs_its_layers(network: nn.Module) -> bool:
    """Whether the forward pass is `Network`'s, not that of a subclass or set on the object."""
    return type(network).forward is Network.forward and "forward" not in vars(network)


def known_outputs(network: Network) -> int | None:
    """Length of the output, if the layers that are run tell it: if the last with weights is linear.

    None: only a result can tell.
    """
    is_known = runs_its_layers(network)
    return _linear_outputs(network.layer_modules().values()) if is_known else None


def _linear_outputs(layers: Iterable[nn.Module]) -> int | None:
    """The outputs of the last `nn.Linear`; None where a layer with other weights follows it."""
    for layer in reversed(list(layers)):
        linear = [module for module in layer.modules() if isinstance(module, nn.Linear)]
        if linear or layer.state_dict():
            return linear[-1].out_features if linear else None
    return None


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """A context in which the network is in evaluation mode; then each layer's mode is restored."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def channels_last(network: Network) -> Network:
    """The network itself in channels-last memory format, which is fastest for convolutions."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


@cache
def check_compiler(device: torch.device) -> None:
    """Compile a line of code with `torch.compile`: for GPUs it needs Triton, for CPUs C++.

    Raises:
        ConfigError: that fails.
    """
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2, device=device))
    except (RuntimeError, ImportError, OSError) as error:
        problem = str(error).partition("\n")[0]
        raise ConfigError(
            f"torch.compile does not work here; leave out --compile ({problem})"
        ) from error


def compile_network(network: Network, device: torch.device) -> None:
    """Compile a network in place with `torch.compile`; on a GPU it uses CUDA graphs.

    Raises:
        ConfigError: as `check_compiler`.
    """
    check_compiler(device)
    network.compile(mode="reduce-overhead" if device.type == "cuda" else None)


@check_options(ModelOptions)
def create_model(
    arch: str | Architecture,
    *,
    num_classes: int | None = None,
    device: str | torch.device = "cpu",
    **options: Any,
) -> Network:
    """A randomly initialized network, in channels-last memory format.

    Args:
        arch: the name of an architecture, such as "alexnet", or an `Architecture`.
        num_classes: length of the output; None: as published.
        device: where the weights are; "meta" creates shapes only.
        options: what differs from the architecture, by the names of `ModelOptions`:
            `input_size=128`, `dropout=0.2`, `norm="batch"`.

    Raises:
        UnknownNameError: there is no such architecture or option.
        ConfigError: an option is out of range.
        ArchitectureError: the input is too small for the architecture.
    """
    table = variant(architecture(arch), ModelOptions(**options), num_classes=num_classes)
    with torch.device(device):
        return channels_last(Network(table))
