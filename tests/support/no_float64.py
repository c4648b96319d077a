"""Tensors of a device that has no float64, as Apple's GPUs; they say that they are on "meta"."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")


class LimitedTensor(Tensor):
    """A tensor on DEVICE with the values of one on the CPU."""

    values: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values: Tensor) -> LimitedTensor:
        made: LimitedTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, values.size(), strides=values.stride(), dtype=values.dtype, device=DEVICE
        )
        made.values = values
        return made

    def tolist(self) -> Any:
        """Its values."""
        return self.values.tolist()

    def new_tensor(self, data: Any, **options: Any) -> Tensor:  # type: ignore[override]
        """A tensor of the same type and device."""
        made: Tensor = _limited(self.values.new_tensor(data, **options))
        return made

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _call(function, args, kwargs or {})


class LimitedDevice(TorchDispatchMode):
    """A context in which tensors can be made on DEVICE."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _call(function, args, kwargs or {})


def _call(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    device = kwargs.get("device")
    if device is None:
        is_limited = any(isinstance(leaf, LimitedTensor) for leaf in tree_leaves((args, kwargs)))
    else:
        is_limited = torch.device(device) == DEVICE
        kwargs = {**kwargs, "device": torch.device("cpu")}
    args, kwargs = tree_map(_values, (args, kwargs))
    found = function(*args, **kwargs)
    return tree_map(_limited, found) if is_limited else found


def _values(leaf: Any) -> Any:
    return leaf.values if isinstance(leaf, LimitedTensor) else leaf


def _limited(leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    if leaf.dtype == torch.float64:
        raise TypeError("this device has no float64")
    return LimitedTensor(leaf)
