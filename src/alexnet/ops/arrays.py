"""A check of arrays and tensors before a C kernel gets their memory; it needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def check_array(name: str, array: Tensor | np.ndarray, dtype: str, shape: tuple[int, ...]) -> None:
    """Reject an array whose memory a C kernel would misread, or leave.

    Args:
        name: what the message calls it.
        array: an array of numpy or a tensor of torch.
        dtype: such as "float32".
        shape: that it must have; in memory it must be contiguous.

    Raises:
        ValueError: it has another type or shape, or is not contiguous.
    """
    is_dense = array.flags.c_contiguous if isinstance(array, np.ndarray) else array.is_contiguous()
    found = str(array.dtype).removeprefix("torch.")
    if found == dtype and tuple(array.shape) == shape and is_dense:
        return
    order = "" if is_dense else " that is not contiguous"
    raise ValueError(
        f"{name} must be {dtype} {list(shape)}, not {found} {list(array.shape)}{order}"
    )
