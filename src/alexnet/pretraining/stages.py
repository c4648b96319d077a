"""The stages of a table: each conv layer with what follows it, up to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alexnet.errors import ArchitectureError, UnknownNameError
from alexnet.models.architecture import Architecture, LayerInfo
from alexnet.models.layers import Activation, BatchNorm, Conv, Pool, ResponseNorm, WithinChannelLRN

FOLLOWERS = (Activation, ResponseNorm, WithinChannelLRN, BatchNorm, Pool)
"""What belongs to the conv layer before it; anything else ends its stage."""


@dataclass(frozen=True)
class Stage:
    """A conv layer and what the table has after it: activation, norms, at most one pooling."""

    rows: tuple[LayerInfo, ...]
    """The conv layer's first."""

    @property
    def conv(self) -> Conv:
        """The conv layer."""
        layer = self.rows[0].layer
        assert isinstance(layer, Conv)
        return layer

    @property
    def name(self) -> str:
        """That of the conv layer."""
        return self.conv.name

    @property
    def in_channels(self) -> int:
        """Maps below."""
        return self.rows[0].input[0]

    @property
    def pool(self) -> Pool | None:
        """The pooling, where there is one."""
        return next((row.layer for row in self.rows if isinstance(row.layer, Pool)), None)

    @property
    def activation(self) -> str:
        """The nonlinearity's name; "" where there is none."""
        functions = (r.layer.function for r in self.rows if isinstance(r.layer, Activation))
        return next(functions, "")

    @property
    def inner_norm(self) -> BatchNorm | None:
        """The batch norm right after the convolution, where there is one."""
        layer = self.rows[1].layer if len(self.rows) > 1 else None
        return layer if isinstance(layer, BatchNorm) else None


def find_stages(table: Architecture, up_to: str) -> tuple[Stage, ...]:
    """The stages up to and with the conv layer `up_to`; all where it is "".

    Raises:
        UnknownNameError: `up_to` is no conv layer of the table.
        ArchitectureError: the table does not begin with a conv layer, or has two poolings after
            one.
    """
    rows, stages = table.rows(), list[Stage]()
    if not isinstance(rows[0].layer, Conv):
        raise ArchitectureError(
            f"{table.name} begins with {rows[0].layer.name}; "
            "pretraining needs a conv layer at the beginning"
        )
    for i, row in enumerate(rows):
        if isinstance(row.layer, Conv):
            stages.append(Stage((row, *_followers(rows[i + 1 :]))))
    names = [stage.name for stage in stages]
    if up_to and up_to not in names:
        raise UnknownNameError(f"conv layer of {table.name}", up_to, names)
    chosen = stages[: names.index(up_to) + 1] if up_to else stages
    for stage in chosen:
        _check(table, stage)
    return tuple(chosen)


def _followers(rows: tuple[LayerInfo, ...]) -> tuple[LayerInfo, ...]:
    end = next((i for i, r in enumerate(rows) if not isinstance(r.layer, FOLLOWERS)), len(rows))
    return rows[:end]


def _check(table: Architecture, stage: Stage) -> None:
    pools = [row.layer.name for row in stage.rows if isinstance(row.layer, Pool)]
    if len(pools) > 1:
        raise ArchitectureError(
            f"{table.name} has {' and '.join(pools)} after {stage.name}; "
            "pretraining can undo one pooling; use --up-to with a layer before it"
        )


def check_hidden_biases(table: Architecture, stages: tuple[Stage, ...]) -> None:
    """Refuse a table that has no place for the biases of an RBM's hidden units.

    Raises:
        ArchitectureError: a conv layer has no bias, nor a batch norm right after it.
    """
    for stage in stages:
        if not stage.conv.bias and not stage.inner_norm:
            raise ArchitectureError(
                f"{stage.name} of {table.name} has neither a bias nor a batch norm after it, so "
                "the biases of an RBM's hidden units have no place; use an autoencoder"
            )


def truncated(table: Architecture, stages: tuple[Stage, ...]) -> Architecture:
    """The table up to the end of the last stage."""
    last = stages[-1].rows[-1].layer.name
    names = [layer.name for layer in table.layers]
    return replace(table, layers=table.layers[: names.index(last) + 1])
