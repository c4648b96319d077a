"""Group the arrays of a Keras file by layer, and convert them to torch's names and layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.interop.keras.config import LayerConfig

Variables = dict[str, np.ndarray]
"""A layer's arrays by Keras's names, or by their number if the file only numbers them."""
VARIABLES: dict[str, tuple[str, ...]] = {
    "conv2d": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "normalization": ("mean", "variance", "count"),
}
"""Names of a layer's arrays in the order in which Keras 3 numbers them, by type of layer."""
TORCH_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
AXES = {4: (3, 2, 0, 1), 2: (1, 0)}
"""Permutation of Keras's axes to torch's order, by the number of axes: HWIO to OIHW, and
(in, out) to (out, in)."""


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """The arrays of a layer of a weight file."""

    path: str
    """Path in the file: "layers/conv2d_1" in Keras 3, the layer's names as "block/conv2d" in 2."""
    variables: Variables

    @property
    def layer_type(self) -> str:
        """Keras's name of the layer's type, such as "conv2d"; "" for types not in `VARIABLES`."""
        if not self.is_numbered:
            found = (t for t, names in VARIABLES.items() if set(names) & set(self.variables))
            layer_type = next(found, "")
            is_dense = layer_type == "conv2d" and self.variables["kernel"].ndim == 2
            return "dense" if is_dense else layer_type
        name = self.path.rpartition("/")[2]
        stem, _, number = name.rpartition("_")
        layer_type = stem if stem and number.isdecimal() else name
        return layer_type if layer_type in VARIABLES else ""

    @property
    def is_numbered(self) -> bool:
        """Whether the file numbers the arrays, as Keras 3 does, instead of naming them."""
        return "0" in self.variables

    def named(self, names: Sequence[str]) -> Variables:
        """The arrays by Keras's names.

        Args:
            names: the arrays' names in Keras's order, which are used if the file numbers them.

        Raises:
            ValueError: the file has another number of arrays.
        """
        if not self.is_numbered:
            return self.variables
        if len(self.variables) != len(names):
            raise ValueError(
                f"{self.path} has {len(self.variables)} arrays, expected {len(names)}: "
                f"{', '.join(names)}"
            )
        return dict(zip(names, self.variables.values(), strict=True))


def stored_layers(arrays: dict[str, np.ndarray]) -> list[StoredLayer]:
    """Group the arrays of `keras_arrays` by layer, in the file's order."""
    layers: dict[str, Variables] = {}
    for key, array in arrays.items():
        path, _, name = key.rpartition("/")
        if path:  # not the texts
            layers.setdefault(path.removesuffix("/vars"), {})[name.removesuffix(":0")] = array
    return [StoredLayer(path, variables) for path, variables in layers.items()]


def find_stored(layers: Sequence[StoredLayer], config: LayerConfig) -> StoredLayer:
    """Find the arrays of a layer of a config; a `StoredLayer` without arrays if there are none."""
    for layer in layers:
        if layer.path == config.path if layer.is_numbered else _is_named(layer, config):
            return layer
    return StoredLayer(config.path, {})


def _is_named(layer: StoredLayer, config: LayerConfig) -> bool:
    """Whether a stored layer of Keras 2 has a config's name, below that of the nested model."""
    if config.top == config.name == layer.path:
        return True
    return layer.path.startswith(f"{config.top}/") and layer.path.endswith(f"/{config.name}")


def torch_arrays(variables: Variables) -> Variables:
    """A layer's arrays by torch's names and in torch's layout."""

    def renamed() -> Iterator[tuple[str, np.ndarray]]:
        for name, array in variables.items():
            axes = AXES.get(array.ndim)
            yield TORCH_NAMES.get(name, name), array.transpose(axes) if axes else array

    return dict(renamed())
