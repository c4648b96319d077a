"""The published weights of torchvision's `alexnet`: found in the data folders, or downloaded."""

from __future__ import annotations

from pathlib import Path

from alexnet.io.downloads import download
from alexnet.io.http import RetryPolicy
from alexnet.io.paths import cache_folder, find
from alexnet.io.text import shape_text
from alexnet.models.architecture import Architecture
from alexnet.models.layers import Conv
from alexnet.models.zoo import ALEXNET_OWT
from alexnet.reporter import ProgressCallback, ignore_progress

URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
SHA256_PREFIX = "7be5be79"
"""torchvision puts the first digits of a file's SHA-256 into its name."""
FILE = URL.rpartition("/")[2]
FEATURES_FILE = "alexnet_owt/features.pth"
"""File in a data folder with the convolutions, without the fully connected layers."""
IMPATIENT = RetryPolicy(timeout_seconds=5.0, max_tries=5)
"""Retry policy for a download that a run can do without."""


def torchvision_weights(
    data_root: str = "",
    *,
    policy: RetryPolicy | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Path:
    """The path of the file of all layers, found in the data folders or else downloaded.

    Args:
        data_root: the folder that is searched first.
        policy: retry policy of the download.
        on_progress: called with the bytes received and the bytes in all.

    Raises:
        MissingDataError: the file is not found, and its download failed; the message says where to
            put it.
    """
    return find(data_root, (FILE,)) or download(
        URL,
        cache_folder() / "data" / FILE,
        sha256_prefix=SHA256_PREFIX,
        policy=policy,
        on_progress=on_progress,
    )


def torchvision_convolutions(
    data_root: str = "",
    *,
    policy: RetryPolicy | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Path:
    """The path of a file with the convolutions: that of `torchvision_weights`, or theirs alone.

    Raises:
        MissingDataError: neither file is found, and the download failed.
    """
    found = find(data_root, (FILE,)) or find(data_root, (FEATURES_FILE,))
    return found or torchvision_weights(data_root, policy=policy, on_progress=on_progress)


def is_torchvision_file(path: str) -> bool:
    """Whether a path has the name of one of the two files of torchvision's weights."""
    return Path(path).as_posix().endswith((f"/{FILE}", f"/{FEATURES_FILE}"))


def unfit_convolution(arch: Architecture) -> str:
    """Why torchvision's convolutions do not fit an architecture; "" if all do.

    Returns:
        For example "its conv1.weight has shape 96x3x11x11, torchvision's 64x3x11x11".
    """
    ours = _shapes(arch)
    for name, published in _shapes(ALEXNET_OWT).items():
        if name not in ours:
            return f"it has no {name}"
        if ours[name] != published:
            found, wanted = shape_text(ours[name]), shape_text(published)
            return f"its {name} has shape {found}, torchvision's {wanted}"
    return ""


def fits_a_convolution(arch: Architecture) -> bool:
    """Whether torchvision's weights fit at least one convolution of an architecture."""
    published = _shapes(ALEXNET_OWT)
    shapes = _shapes(arch).items()
    return any(published.get(name) == shape for name, shape in shapes if len(shape) == 4)


def _shapes(arch: Architecture) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights and biases of convolutions, by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for info in arch.layer_infos():
        conv = info.layer
        if isinstance(conv, Conv):
            kernel = (conv.channels, info.input[0] // conv.groups, conv.kernel, conv.kernel)
            shapes[f"{conv.name}.weight"] = kernel
            shapes |= {f"{conv.name}.bias": (conv.channels,)} if conv.bias else {}
    return shapes
