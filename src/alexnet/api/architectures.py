"""Change an architecture, and list the architectures, data sets and presets."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

from alexnet.api.python_words import in_python
from alexnet.config.architecture_file import find_architecture
from alexnet.config.presets import PRESETS
from alexnet.data.datasets.catalogue import DATASETS
from alexnet.errors import UsageError, require
from alexnet.io.text import short_repr
from alexnet.keywords import check_keywords, check_options
from alexnet.models import variants
from alexnet.models.architecture import Architecture
from alexnet.models.variants import AS_PUBLISHED, ModelOptions
from alexnet.models.zoo import ABLATIONS, ZOO


@in_python
@check_options(ModelOptions)
def variant(
    arch: str | Architecture,
    changes: ModelOptions = AS_PUBLISHED,
    *,
    num_classes: int | None = None,
    **options: Any,
) -> Architecture:
    """Return a changed architecture: `variant("alexnet", activation="tanh", num_classes=17)`.

    Args:
        arch: an `Architecture`, the name of one, or a file with one: "nets.py:table".
        changes: what to change.
        num_classes: length of the output; None leaves it unchanged.
        options: fields of `ModelOptions` as keywords, which override `changes`.

    Raises:
        UnknownNameError: there is no such architecture or option.
        UsageError: `arch` or `changes` is of another type.
        ConfigError: an option is out of range, or the output is not that of the last layer with
            weights, so that it cannot have `num_classes` values.
        ArchitectureError: the input is too small for the layers, or the groups do not divide the
            channels.
    """
    require(
        isinstance(changes, ModelOptions),
        f"the second argument is a ModelOptions, not {short_repr(changes)}; its fields are "
        "keywords, too: activation='tanh'",
        UsageError,
    )
    table = find_architecture(arch)
    return variants.variant(table, replace(changes, **options), num_classes=num_classes)


@check_keywords
def list_models(pattern: str = "*") -> list[str]:
    """The names of the architectures that match a pattern such as "alexnet_*".

    `alexnet.create_model(name)` makes a network of one, `alexnet.architecture(name)` is its table.

    Raises:
        UsageError: the pattern is no text.
    """
    require(
        isinstance(pattern, str), f"pattern must be a text, not {short_repr(pattern)}", UsageError
    )
    return [name for name in (*ZOO, *ABLATIONS) if fnmatch(name, pattern)]


@check_keywords
def list_datasets() -> list[str]:
    """The names of the data sets that `data=` takes, besides paths of your own images."""
    return list(DATASETS)


@check_keywords
def list_presets() -> list[str]:
    """The names of the presets, each of which can be the first argument of `alexnet.train`."""
    return list(PRESETS)
