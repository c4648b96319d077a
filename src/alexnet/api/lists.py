"""What there is: architectures, data sets, presets."""

from __future__ import annotations

from fnmatch import fnmatch

from alexnet.config.presets import PRESETS
from alexnet.data.datasets.catalogue import DATASETS
from alexnet.keywords import check_keywords
from alexnet.models.zoo import ABLATIONS, ZOO


@check_keywords
def list_models(pattern: str = "*") -> list[str]:
    """The names of the architectures that match a pattern such as "alexnet_*".

    `alexnet.create_model(name)` makes a network of one, `alexnet.architecture(name)` is its table.
    """
    return [name for name in (*ZOO, *ABLATIONS) if fnmatch(name, pattern)]


@check_keywords
def list_datasets() -> list[str]:
    """The names of the data sets that `data=` takes, besides paths of your own images."""
    return list(DATASETS)


@check_keywords
def list_presets() -> list[str]:
    """The names of the recipes that ship: the first argument of `alexnet.train`."""
    return list(PRESETS)
