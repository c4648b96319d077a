"""Which architectures a file of another program can be."""

from __future__ import annotations

from pathlib import Path

from alexnet.errors import AlexNetError
from alexnet.interop.importer import read_network
from alexnet.models.zoo import ZOO


def fitting_architectures(path: Path) -> list[str]:
    """The names of the architectures as which a file can be read, by its layers and their widths.

    Args:
        path: as for `import_model`; none fits a file that is missing or damaged.
    """
    return [name for name in ZOO if path.is_file() and _fits(path, name)]


def _fits(path: Path, name: str) -> bool:
    try:
        read_network(path, ZOO[name])
    except AlexNetError:
        return False
    return True
