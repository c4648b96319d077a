"""Checks of the parts that a classifier is made of."""

from __future__ import annotations

from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.checkpoints.validation import check_preprocessing
from alexnet.errors import ConfigError, UsageError
from alexnet.io.text import short_repr
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network, known_outputs


def check_parts(network: Network, info: ModelInfo, mean_image: Tensor | None) -> None:
    """Check that the parts of a classifier have the right types and fit each other.

    Where the layers do not tell the number of outputs, it is checked with the first result.

    Raises:
        UsageError: a part is of another type, the preprocessing gives another input than the
            architecture's, or the network has another number of outputs than there are class names.
    """
    if not isinstance(getattr(network, "architecture", None), Architecture):
        raise UsageError(
            "a Classifier needs a network of alexnet.create_model, not one of "
            f"{type(network).__name__}"
        )
    if not isinstance(info, ModelInfo):
        raise UsageError(
            f"a Classifier needs the ModelInfo of its network, not {short_repr(info)}: "
            "alexnet.checkpoints.ModelInfo(architecture=network.architecture, class_names=.., "
            "preprocessing=.., recipe=..)"
        )
    try:
        check_preprocessing(info.architecture, info.preprocessing, mean_image)
    except ConfigError as error:
        raise UsageError(f"the classifier's ModelInfo cannot be used: {error}") from error
    count = known_outputs(network)
    if count is not None:
        check_outputs(count, info)


def check_outputs(count: int, info: ModelInfo) -> None:
    """Check the number of a network's outputs.

    Raises:
        UsageError: it is not the number of class names.
    """
    names = len(info.class_names)
    if count != names:
        raise UsageError(f"the network has {count:,} outputs and the model {names:,} class names")
