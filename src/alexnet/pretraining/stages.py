"""The stages of an architecture: each conv layer with the layers that follow it, up to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alexnet.errors import ArchitectureError, UnknownNameError
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import Activation, BatchNorm, Conv, Pool, ResponseNorm, WithinChannelLRN

STAGE_LAYERS = (Activation, ResponseNorm, WithinChannelLRN, BatchNorm, Pool)
"""What may follow the conv layer in its stage; any other layer ends the stage."""


@dataclass(frozen=True)
class Stage:
    """A conv layer with its activation, its norms and at most one pooling."""

    layers: tuple[LayerInfo, ...]
    """In the architecture's order, the conv layer first."""

    @property
    def conv(self) -> Conv:
        """The conv layer."""
        layer = self.layers[0].layer
        assert isinstance(layer, Conv)
        return layer

    @property
    def name(self) -> str:
        """The conv layer's name."""
        return self.conv.name

    @property
    def last(self) -> str:
        """The last layer's name."""
        return self.layers[-1].layer.name

    @property
    def in_channels(self) -> int:
        """Channels of the input."""
        return self.layers[0].input[0]

    @property
    def pool(self) -> Pool | None:
        """The pooling layer, if any."""
        return next((info.layer for info in self.layers if isinstance(info.layer, Pool)), None)

    @property
    def activation(self) -> str:
        """The activation function's name; "" without one."""
        functions = (i.layer.function for i in self.layers if isinstance(i.layer, Activation))
        return next(functions, "")

    @property
    def conv_norm(self) -> BatchNorm | None:
        """The batch norm directly after the convolution, if any."""
        layer = self.layers[1].layer if len(self.layers) > 1 else None
        return layer if isinstance(layer, BatchNorm) else None


def find_stages(arch: Architecture, up_to: str) -> tuple[Stage, ...]:
    """The stages up to and including the conv layer `up_to`; all of them where it is "".

    Raises:
        UnknownNameError: `up_to` is no conv layer of the architecture.
        ArchitectureError: the first layer is not a conv layer, or a stage has two poolings.
    """
    infos, stages = arch.layer_infos(), list[Stage]()
    if not isinstance(infos[0].layer, Conv):
        raise ArchitectureError(
            f"{arch.name} begins with {infos[0].layer.name}; "
            "pretraining needs a conv layer as the first layer"
        )
    for i, info in enumerate(infos):
        if isinstance(info.layer, Conv):
            stages.append(Stage((info, *_rest_of_stage(infos[i + 1 :]))))
    names = [stage.name for stage in stages]
    if up_to and up_to not in names:
        raise UnknownNameError(f"conv layer of {arch.name}", up_to, names)
    chosen = stages[: names.index(up_to) + 1] if up_to else stages
    for stage in chosen:
        _check_poolings(arch, stage)
    return tuple(chosen)


def _rest_of_stage(infos: tuple[LayerInfo, ...]) -> tuple[LayerInfo, ...]:
    """The layers before the first one that does not belong to the preceding conv layer's stage."""
    ends = (i for i, info in enumerate(infos) if not isinstance(info.layer, STAGE_LAYERS))
    return infos[: next(ends, len(infos))]


def _check_poolings(arch: Architecture, stage: Stage) -> None:
    pools = [info.layer.name for info in stage.layers if isinstance(info.layer, Pool)]
    if len(pools) > 1:
        raise ArchitectureError(
            f"{arch.name} has {' and '.join(pools)} after {stage.name}; pretraining can invert "
            "only one pooling per conv layer; end before it with --up-to"
        )


def check_hidden_biases(arch: Architecture, stages: tuple[Stage, ...]) -> None:
    """Reject an architecture that cannot store the hidden biases of RBMs.

    Raises:
        ArchitectureError: a conv layer has neither a bias nor a batch norm directly after it.
    """
    for stage in stages:
        if not stage.conv.bias and not stage.conv_norm:
            raise ArchitectureError(
                f"{stage.name} of {arch.name} has neither a bias nor a batch norm directly after "
                "it, which would hold the RBM's hidden biases; use an autoencoder"
            )


def truncate(arch: Architecture, stages: tuple[Stage, ...]) -> Architecture:
    """The architecture up to the end of the last stage."""
    names = [layer.name for layer in arch.layers]
    return replace(arch, layers=arch.layers[: names.index(stages[-1].last) + 1])
