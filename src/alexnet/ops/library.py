"""The operations of `kernels*.c`, where there is a C compiler.

Without one, layers compute in torch alone: the same results within the tolerance that tests state,
later. Products of bytes are then left out.
"""

from __future__ import annotations

import ctypes
import functools
import os
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from alexnet.errors import UsageError
from alexnet.ops.build import library

SUFFIX = {torch.float32: "f32", torch.bfloat16: "bf16"}
TILE = 6
"""Side of the tiles of Winograd's convolution, in pixels."""
BLOCK = 64
"""Inputs that share a scale in weights of one byte."""
READ_PADDING = 3
"""Bytes behind images of bytes that may be read, and do not count."""
LARGEST_ROW = 1024
"""Maps or window that a kernel's rows on the stack are made for."""
LARGEST_SIDE = 4096
"""Of pictures and views, in pixels, that a kernel's lines on the stack are made for."""


@dataclass(frozen=True)
class Kernels:
    """The built library."""

    library: ctypes.CDLL
    compiler: str
    """Its first line about itself."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        """Layers can be copied and pickled: elsewhere they find the kernels of that place."""
        return load_compatible_kernels, (self.output_block,)

    def takes(self, x: Tensor, size: int) -> bool:
        """Whether the response norm of `x` can be computed here."""
        is_small = max(x.shape[1] if x.ndim > 1 else 0, size) <= LARGEST_ROW
        return x.device.type == "cpu" and x.dtype in SUFFIX and is_small

    def response_norm(
        self, x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
    ) -> Tensor:
        """Response norm [N, C, H, W] of maps in channels-last memory."""
        y = torch.empty_like(x)
        function = getattr(self.library, f"response_norm_{SUFFIX[x.dtype]}")
        function(_pointer(x), _pointer(y), *_constants(x, size, alpha, beta, k, groups))
        return y

    def response_norm_backward(
        self, x: Tensor, g: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
    ) -> Tensor:
        """The gradient by x [N, C, H, W], where `g` is that by the norm; both channels last."""
        dx = torch.empty_like(x)
        function = getattr(self.library, f"response_norm_{SUFFIX[x.dtype]}_backward")
        constants = _constants(x, size, alpha, beta, k, groups)
        function(_pointer(x), _pointer(g), _pointer(dx), *constants)
        return dx

    def relu_norm_pool(
        self, x: Tensor, norm: tuple[int, float, float, float, int] | None, pool: tuple[int, int]
    ) -> Tensor:
        """Max pooling of the response norm of max(x, 0), in one pass.

        Args:
            x: maps [N, C, H, W] in channels-last memory, float32 or bf16.
            norm: size, alpha, beta, k and groups, as `response_norm` takes them; None for no norm.
            pool: side and stride of the windows, which lie inside the maps.
        """
        n, c, h, w = x.shape
        size, alpha, beta, k, groups = norm or (0, 0.0, 1.0, 1.0, 1)
        if min(h, w) < pool[0]:
            raise ValueError(f"maps of {h} x {w} are smaller than the window, {pool[0]}")
        rows, columns = ((side - pool[0]) // pool[1] + 1 for side in (h, w))
        y = x.new_empty(n, rows, columns, c).permute(0, 3, 1, 2)
        function = getattr(self.library, f"rectify_norm_pool_{SUFFIX[x.dtype]}")
        has_failed = function(
            *(_pointer(x), _pointer(y), *_longs((n, h, w, groups, c // groups, size))),
            *(ctypes.c_float(value) for value in (alpha, beta, k)),
            *(*_longs((*pool, rows, columns)), _threads()),
        )
        if has_failed:
            raise MemoryError(f"no room for the lines of maps {c} x {h} x {w}")
        return y

    def winograd_input(self, x: Tensor, v: Tensor, tiling: Tiling) -> None:
        """Fill v [36 * groups, tiles, C / groups] from x [N, C, H, W], channels last, float32."""
        n, c, h, w = x.shape
        sizes = n, h, w, tiling.groups, c // tiling.groups, tiling.padding, *tiling.tiles(h, w)
        self.library.winograd_input(_pointer(x), _pointer(v), *_longs(sizes), _threads())

    def winograd_output(self, m: Tensor, bias: Tensor, y: Tensor, tiling: Tiling) -> None:
        """Fill y [N, C, H, W], channels last, from m [36 * groups, tiles, C / groups]."""
        _check_float32(m, bias, y)
        n, c, h, w = y.shape
        border = tiling.kernel - 1 - 2 * tiling.padding
        sizes = n, h, w, tiling.groups, c // tiling.groups, *tiling.tiles(h + border, w + border)
        self.library.winograd_output(
            _pointer(m), _pointer(bias), _pointer(y), *_longs(sizes), _threads()
        )

    def int8_weight_only_linear(
        self, x: Tensor, weights: Tensor, scales: Tensor, bias: Tensor, least: float
    ) -> Tensor:
        """X [B, n] float32 times int8 [m, n], scaled per output and 64 inputs [m, n / 64].

        What is less than `least` becomes that.
        """
        _check_float32(x, scales, bias)
        y = x.new_empty(len(x), len(weights))
        pointers = map(_pointer, (x, weights, scales, bias, y))
        sizes = _longs((*x.shape, len(weights)))
        self.library.int8_weight_only_linear(*pointers, *sizes, ctypes.c_float(least), _threads())
        return y

    @functools.cached_property
    def output_block(self) -> int:
        """Of weights that are multiplied as bytes; 0 where the processor does not do that."""
        return int(self.library.output_block())

    def to_bytes(self, x: Tensor, border: tuple[int, int] = (0, 0)) -> Bytes:
        """Images as bytes, each with a scale and a zero of its own.

        An image's least and largest numbers, or 0 where that is less or more, become 0 and 255.
        An image that is not finite has NaN for its scale.

        Args:
            x: [N, C, H, W] in channels-last memory, or [N, C].
            border: rows and columns of zeros before an image, and behind it.
        """
        x = x if x.dtype in SUFFIX else x.float()
        n, c, h, w = x.shape if x.ndim == 4 else (*x.shape, 1, 1)
        before, behind = border
        tall, wide = h + before + behind, w + before + behind
        memory = x.new_empty(n * tall * wide * c + READ_PADDING, dtype=torch.uint8)
        scales = x.new_empty(n, dtype=torch.float32)
        zeros = x.new_empty(n, dtype=torch.int32)
        function = getattr(self.library, f"to_bytes_{SUFFIX[x.dtype]}")
        frame = _struct((n, h, w, c, before, tall, wide))
        function(*map(_pointer, (x, memory, scales, zeros)), frame, _threads())
        return Bytes(memory[: n * tall * wide * c].view(n, tall, wide, c), scales, zeros)

    def int8_conv2d(
        self, x: Bytes, weights: PackedWeights, y: Tensor, window: Window, least: float
    ) -> None:
        """Fill y [N, maps, H, W], float32 or bf16 in channels-last memory.

        What is less than `least` becomes that.
        """
        _, maps, rows, columns = y.shape
        sizes = *x.numbers.shape, rows, columns, maps, window.groups
        _check_float32(weights.scales, weights.bias)
        convolution = _struct((*sizes, *window.kernel, *window.stride))
        function = getattr(self.library, f"conv_bytes_{SUFFIX[y.dtype]}")
        pointers = map(_pointer, (*x, *weights, y))
        function(*pointers, convolution, ctypes.c_float(least), _threads())

    def int8_linear(self, x: Bytes, weights: PackedWeights, least: float) -> Tensor:
        """Outputs float32 [N, outputs] of images [N, 1, 1, inputs].

        What is less than `least` becomes that.
        """
        _check_float32(weights.scales, weights.bias)
        y = x.scales.new_empty(len(x.numbers), len(weights.bias))
        sizes = _longs((len(y), x.numbers.shape[-1], y.shape[1]))
        pointers = map(_pointer, (*x, *weights, y))
        self.library.int8_linear(*pointers, *sizes, ctypes.c_float(least), _threads())
        return y

    def views(
        self,
        pixels: Tensor,
        places: Tensor,
        shifts: Tensor,
        mean: Tensor,
        divisor: Tensor,
        side: int,
    ) -> Tensor:
        """Views float32 [B, 3, side, side], channels last, of pictures uint8 [B, S, S, 3].

        Args:
            pixels: contiguous.
            places: float32 [B, 4], as `augment.py` has them.
            shifts: float32 [B, 3], added to every pixel of a view.
            mean: float32 [3], or [side, side, 3]; subtracted.
            divisor: float32 [3].
            side: of the views, in pixels.
        """
        views = pixels.new_empty((len(pixels), side, side, 3), dtype=torch.float32)
        pointers = map(_pointer, (pixels, places, shifts, mean, divisor, views))
        sizes = _longs((len(pixels), pixels.shape[1], side))
        self.library.views(*pointers, *sizes, ctypes.c_int(mean.ndim == 3), _threads())
        return views.permute(0, 3, 1, 2)


class Bytes(NamedTuple):
    """Images as bytes: number = (byte - zero) * scale."""

    numbers: Tensor
    """uint8 [N, H, W, C], with `READ_PADDING` bytes behind it."""
    scales: Tensor
    """float32 [N]."""
    zeros: Tensor
    """int32 [N]."""


class PackedWeights(NamedTuple):
    """A layer's weights as bytes, in the order in which they are read."""

    blocks: Tensor
    """int8 [blocks, rows, runs, words, outputs of a block, 4]."""
    scales: Tensor
    """float32 [outputs]."""
    sums: Tensor
    """int32 [outputs]: of an output's bytes."""
    bias: Tensor
    """float32 [outputs]."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a map of a convolution sees, in pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    groups: int

    def places(self, height: int, width: int) -> tuple[int, int]:
        """How often it fits into a map with its border, down and across.

        Raises:
            ValueError: not once.
        """
        (tall, wide), (down, across) = self.kernel, self.stride
        if height < tall or width < wide:
            raise ValueError(f"maps of {height} x {width} are smaller than the kernel")
        return (height - tall) // down + 1, (width - wide) // across + 1


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a convolution of stride 1 is cut into tiles of 6 x 6 pixels."""

    kernel: int
    """3 or 5."""
    padding: int
    groups: int

    @property
    def outputs(self) -> int:
        """Side of a tile's outputs."""
        return TILE + 1 - self.kernel

    def tiles(self, height: int, width: int) -> tuple[int, int, int]:
        """Outputs a tile, and the rows and columns of tiles for maps of this size."""
        border = 2 * self.padding - self.kernel + 1
        rows, columns = (-(-(side + border) // self.outputs) for side in (height, width))
        return self.outputs, rows, columns


def _struct(sizes: tuple[int, ...]) -> ctypes.Array[ctypes.c_long]:
    return (ctypes.c_long * len(sizes))(*sizes)


def _longs(sizes: tuple[int, ...]) -> tuple[ctypes.c_long, ...]:
    return tuple(ctypes.c_long(size) for size in sizes)


def _threads() -> ctypes.c_int:
    return ctypes.c_int(torch.get_num_threads())


def _pointer(x: Tensor) -> ctypes.c_void_p:
    if x.device.type != "cpu":
        raise ValueError(f"kernels compute on a processor, not on {x.device}")
    return ctypes.c_void_p(x.data_ptr())


def _check_float32(*tensors: Tensor) -> None:
    """C can't see types, and a prepared network can be converted like any other."""
    for x in tensors:
        if x.dtype != torch.float32:
            raise ValueError(f"a prepared layer computes with float32, not {x.dtype}")


def _constants(
    x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int
) -> tuple[object, ...]:
    maps = x.shape[1] // groups
    return (
        *_longs((x.numel() // maps, maps, size)),
        *(ctypes.c_float(value) for value in (alpha, beta, k)),
        _threads(),
    )


@functools.cache
def kernels() -> Kernels | None:
    """The kernels of this machine, built now if they are not in the cache; None without them.

    `ALEXNET_KERNELS=0` leaves them out.
    """
    found = None if os.environ.get("ALEXNET_KERNELS") == "0" else library()
    return found and Kernels(*found)


def load_compatible_kernels(output_block: int) -> Kernels:
    """The kernels of this machine, for layers that another one may have prepared.

    Raises:
        UsageError: the kernels here read weights in another order than those layers have.
    """
    found = kernels()
    if found is None or found.output_block != output_block:
        raise UsageError(
            "this network was prepared on another kind of processor: "
            "load its run here, and call optimized() again"
        )
    return found


def describe_kernels() -> str:
    """What computes the kernels' operations here: a compiler's name, or "torch"."""
    found = kernels()
    return "torch" if found is None else found.compiler
