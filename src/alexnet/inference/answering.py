"""The classifier that `alexnet predict` uses: optimized, or in float32.

The first prediction of a model keeps its optimized network in the cache; the next ones read it
from there, without torch.
"""

from __future__ import annotations

import hashlib
import platform
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from alexnet.checkpoints.model_file import find_model_file, load_model
from alexnet.inference.frozen import read_frozen
from alexnet.inference.predictor import Predictor
from alexnet.io.files import remove_file
from alexnet.io.in_use import mark_used
from alexnet.io.paths import cache_folder
from alexnet.ops.library import load_kernels
from alexnet.runtime.cpu import may_have_gpu

if TYPE_CHECKING:
    from alexnet.inference.classifier import Classifier

CACHE = "optimized"
"""Folder of the cache with the files of `freeze`."""
MAX_KEPT = 8
"""Optimized networks in the cache at most; AlexNet's have 60 MB each."""
MADE_BY = ("freeze.py", "frozen.py", "int8.py", "int8_kernels.py", "optimize.py", "quantization.py")
"""The modules on which the content of such a file depends."""


def load_answering(path: str | Path, device: str, *, exact: bool) -> Predictor:
    """Load the classifier of a model file or a run folder as `alexnet predict` uses it.

    It is optimized, without a copy of the float32 weights in memory. It computes in float32 if
    `exact` is true, or the model was trained with `--precision float32`.

    Raises:
        ModelFileError: the file is missing, damaged, or not a model of this program.
        UsageError: there is no such device.
    """
    file = find_model_file(path)
    kept = None if exact else kept_path(file, device)
    if kept and (kernels := load_kernels()) and (frozen := read_frozen(kept, kernels)):
        mark_used(kept)
        return frozen
    from alexnet.inference.classifier import build_classifier

    weights, info, mean_image = load_model(file)
    exact = exact or info.recipe.precision == "float32"
    classifier = build_classifier(weights, info, mean_image, device, copy=exact)
    if exact:
        return replace(classifier, precision="float32")
    classifier = prepared_to_answer(classifier)
    if kept and kept == kept_path(file, device):  # the file is the one that was read
        keep(classifier, kept)
    return classifier


def prepared_to_answer(classifier: Classifier) -> Classifier:
    """The classifier with its network optimized, unless it was trained in float32 on purpose."""
    return classifier if classifier.precision == "float32" else classifier.optimized()


def keep(classifier: Classifier, path: Path) -> None:
    """Write an optimized classifier to the cache, unless its network or the disk prevents it."""
    from alexnet.inference.freeze import freeze

    with suppress(OSError, SafetensorError):
        if not freeze(classifier, path):
            return
        others = sorted(path.parent.glob("*.safetensors"), key=lambda file: -file.stat().st_mtime)
        for old in others[MAX_KEPT:]:
            remove_file(old)


def kept_path(file: Path, device: str) -> Path | None:
    """The path in the cache of a model file's optimized network; None if it cannot be cached.

    It cannot without the C kernels, or where a GPU may be used. The name is a hash of the model
    file's path, size and times, the CPU's kernels, and the code that optimizes.
    """
    kernels = load_kernels()
    if kernels is None or device not in ("auto", "cpu") or (device == "auto" and may_have_gpu()):
        return None
    try:
        status = file.stat()
    except OSError:  # loading it says why
        return None
    code = b"".join((Path(__file__).parent / name).read_bytes() for name in MADE_BY)
    identity = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    facts = (str(file.resolve()), identity, kernels.instruction_set, platform.machine())
    digest = hashlib.blake2b(repr(facts).encode() + code, digest_size=12)
    return cache_folder() / CACHE / f"{digest.hexdigest()}.safetensors"
