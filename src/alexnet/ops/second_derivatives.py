"""Gradients that are differentiated again, as in gradient penalties and Hessian-vector products.

A kernel's backward pass is unknown to autograd. `torch.is_grad_enabled()` is true within it only
under `create_graph=True`; then plain torch operations compute the gradients from the same inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from alexnet.ops.tracing import no_autocast


def differentiable_gradients(
    plain: Callable[..., Tensor], inputs: Sequence[Tensor | None], grad_output: Tensor
) -> list[Tensor | None]:
    """The differentiable gradients of `plain` w.r.t. its inputs; call it in a backward pass.

    Args:
        plain: the forward pass in torch's own operations.
        inputs: its arguments, as they were given to the forward pass that is differentiated: with
            their own graphs, not as copies made without gradients.
        grad_output: of the shape and dtype of the output.

    Returns:
        One for each input; None for those that need no gradient.
    """
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad(), no_autocast(grad_output.device.type):
        # Views of their own: one input may be computed from another.
        views = [None if x is None else x.view_as(x) for x in inputs]
        needed = [x for x in views if x is not None and x.requires_grad]
        found = torch.autograd.grad(plain(*views), needed, grad_output, create_graph=create_graph)
    gradients = iter(found)
    return [next(gradients) if x is not None and x.requires_grad else None for x in views]
