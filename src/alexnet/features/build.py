"""Build a feature index from a model and a data set: every image once through the network.

An interrupted build resumes where it stopped, with the same bits (`io/resumable.py`): the partial
index has the features at full size, and a state and a checksum for every chunk of images. One
process builds an index at a time; a second one waits and then uses it.

The processes of a world share the chunks; one of them for each cache writes those of all.
"""

from __future__ import annotations

import hashlib
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import torch

from alexnet.config.serialization import to_json
from alexnet.data.store.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.features.index import (
    INDEX_FILES,
    INDEX_FORMAT,
    FeatureIndex,
    IndexInfo,
    open_index,
)
from alexnet.inference.classifier import Classifier
from alexnet.inference.optimize import unoptimized_weights
from alexnet.io.arrays import open_or_allocate
from alexnet.io.files import write_text
from alexnet.io.paths import cache_folder
from alexnet.io.resumable import ResumableFolder
from alexnet.io.text import folder_name
from alexnet.parallel.world import current_world
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.runtime.device import compute_dtype

CHUNK = 128
"""Images that are computed at once, always from a multiple of this on, so that the bits of a
feature do not depend on where a build was interrupted."""


@dataclass(frozen=True, kw_only=True)
class _BuildSpec:
    """What is built, and where."""

    classifier: Classifier
    store: Store
    info: IndexInfo
    target: ResumableFolder
    partial_folder: Path
    """Where the index is built."""
    on_progress: ProgressCallback

    @property
    def num_chunks(self) -> int:
        """Number of chunks of images."""
        return -(-len(self.store) // CHUNK)

    def rows(self, chunk: int) -> slice:
        """The images of a chunk."""
        return slice(chunk * CHUNK, min((chunk + 1) * CHUNK, len(self.store)))


def build_index(
    classifier: Classifier,
    store: Store,
    layer: str = "",
    *,
    cache: Path | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> FeatureIndex:
    """The index of a data set; its features are computed now unless they have been before.

    Args:
        classifier: gives the features; not one that is optimized for inference.
        store: the images, resized as the classifier's preprocessing says.
        layer: the layer whose inputs are the features; "": the last one with weights.
        cache: folder that holds indices; the user's cache unless given.
        on_progress: called with (images done, images in all).

    Raises:
        UsageError: the classifier is optimized, or that of another process would compute other
            features.
        UnknownNameError: there is no such layer.
        DataError: the features are not finite, or the index cannot be written.
    """
    arch = classifier.info.architecture
    layer = layer or arch.output_layer
    info = IndexInfo(
        data=store.info.name,
        fingerprint=store.info.fingerprint,
        model=model_digest(classifier),
        layer=layer,
        num_images=len(store),
        num_features=prod(arch.input_shape(layer)),
    )
    name = f"{folder_name(store.info.name)}-{info.fingerprint}-{_key(info)}-v{INDEX_FORMAT}"
    if len(set(current_world().gather_objects(name))) > 1:
        raise UsageError(
            "the processes would compute different features of this data set, as their devices "
            "compute in different types; use --device cpu"
        )
    folder = (cache or cache_folder()) / "features" / name
    target = ResumableFolder(what="feature index", folder=folder, files=INDEX_FILES)
    if current_world().any_rank(not target.is_finished):
        spec = _BuildSpec(
            classifier=classifier,
            store=store,
            info=info,
            target=target,
            partial_folder=target.partial_folder,
            on_progress=on_progress,
        )
        _build(spec)
    return open_index(folder)


def model_digest(classifier: Classifier) -> str:
    """Sixteen hex digits that change when the features of an image would.

    Raises:
        UsageError: the classifier is optimized for inference, a weight is not finite, or a layer is
            not as in its architecture or has a hook on its forward pass.
    """
    info = classifier.info
    arch, done = info.architecture, "used for a feature index"
    weights = unoptimized_weights(classifier.network, arch, done, allow_hooks=False)
    digest = hashlib.blake2b(digest_size=8)
    dtype = compute_dtype(classifier.device, classifier.precision)
    for part in (info.architecture, info.preprocessing):
        digest.update(to_json(part).encode("utf-8", "surrogateescape") + b"\0")
    digest.update(f"{classifier.device.type} {dtype}".encode())
    tensors = [*sorted(weights.items()), ("mean image", classifier.mean_image)]
    for name, tensor in tensors:
        digest.update(f"\0{name}\0".encode())
        if tensor is not None:
            digest.update(
                tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
            )
    return digest.hexdigest()


def _key(info: IndexInfo) -> str:
    """Sixteen hex digits for the model and the layer."""
    text = f"{info.model} {info.layer}".encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _build(spec: _BuildSpec) -> None:
    """Compute and write the index together; a process that writes none computes for the others."""
    world = current_world()
    filled: list[bool] = []

    def fill(folder: Path) -> None:
        _fill(replace(spec, partial_folder=folder))
        filled.append(True)

    if _is_writer(spec.target.folder) and not spec.target.is_finished:
        spec.target.build(fill, lambda: _report_other(spec))
    if not filled:
        for _ in _compute_missing(spec, np.zeros(spec.num_chunks, np.bool_)):
            pass
    world.barrier()


def _is_writer(folder: Path) -> bool:
    """Whether this process is the first of those that see the same cache; all call it together.

    Two that wrote there would wait for each other: one for the lock, one for the features.
    """
    world = current_world()
    if world.size == 1:
        return True
    word = world.broadcast_object(uuid.uuid4().hex)
    marks = [folder.with_name(f"{folder.name}-writer-{word}-{i}") for i in range(world.size)]
    with suppress(OSError):  # which is told where the index is written
        folder.parent.mkdir(parents=True, exist_ok=True)
        marks[world.rank].touch()
    world.barrier()
    seen = [rank for rank, mark in enumerate(marks) if mark.exists()]
    world.barrier()
    with suppress(OSError):
        marks[world.rank].unlink()
    return seen[:1] in ([], [world.rank])


def _report_other(spec: _BuildSpec) -> None:
    """Report the progress of the process that builds this index."""
    with suppress(OSError, ValueError):
        done = int(np.load(spec.partial_folder / "done.npy").sum())
        spec.on_progress(min(done * CHUNK, len(spec.store)), len(spec.store))


def _fill(spec: _BuildSpec) -> None:
    """Write all files of the index into the partial folder."""
    _compute_all(spec)
    write_text(spec.partial_folder / "index.json", to_json(spec.info))


def _compute_all(spec: _BuildSpec) -> None:
    """Compute the chunks that are not done, and the norms of all.

    A chunk is marked as done after its features have been written, so that a killed build loses at
    most one. After a power cut a part of a marked chunk may be lost; its checksum tells.
    """
    folder, count = spec.partial_folder, len(spec.store)
    folder.mkdir(parents=True, exist_ok=True)
    features = open_or_allocate(
        folder / "features.npy", (count, spec.info.num_features), np.float32
    )
    done = open_or_allocate(folder / "done.npy", (spec.num_chunks,), np.bool_)
    checksums = open_or_allocate(folder / "checksums.npy", (spec.num_chunks,), np.uint32)
    norms = np.zeros(count)
    missing, num_done = ~done, 0
    for chunk in np.flatnonzero(done).tolist():
        rows = spec.rows(chunk)
        missing[chunk] = zlib.crc32(features[rows].data) != checksums[chunk]
        norms[rows] = squared_norms(features[rows])
        num_done += 0 if missing[chunk] else CHUNK
        spec.on_progress(min(num_done, count), count)
    for chunk, values in _compute_missing(spec, missing):
        if not missing[chunk]:
            continue
        rows = spec.rows(chunk)
        done[chunk] = False
        features[rows] = values
        checksums[chunk] = zlib.crc32(features[rows].data)
        done[chunk] = True
        norms[rows] = squared_norms(features[rows])
        num_done += CHUNK
        spec.on_progress(min(num_done, count), count)
    features.flush()  # type: ignore[attr-defined]
    np.save(folder / "squared_norms.npy", norms)


def squared_norms(features: np.ndarray) -> np.ndarray:
    """The squared norms of the rows of float32 [n, D]: float64 [n]."""
    norms: np.ndarray = np.einsum("nd,nd->n", features, features, dtype=np.float64)
    return norms


def _compute_missing(spec: _BuildSpec, missing: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The chunks that any process of the world misses, with their features float32 [n, D].

    In each round every process computes one chunk, and gets the features of all chunks.

    Args:
        spec: the same in all processes.
        missing: bool [num_chunks], what this process will write.
    """
    world = current_world()
    wanted = np.flatnonzero(world.max_over_ranks(*missing.astype(int).tolist()))
    for start in range(0, len(wanted), world.size):
        chunks = wanted[start : start + world.size].tolist()
        own = np.zeros((0, spec.info.num_features), np.float32)
        if world.rank < len(chunks):
            own = _compute(spec, spec.rows(chunks[world.rank]))
        features, end = world.all_gather_rows(own), 0
        for chunk in chunks:
            rows = spec.rows(chunk)
            begin, end = end, end + rows.stop - rows.start
            yield chunk, features[begin:end]


def _compute(spec: _BuildSpec, part: slice) -> np.ndarray:
    """The features of a chunk: float32 [n, D]."""
    pixels = spec.store.images(range(part.start, part.stop))
    features = spec.classifier.layer_inputs(pixels, spec.info.layer, CHUNK)
    if not np.isfinite(features).all():
        raise DataError(
            f"the activations of the network for {spec.store.info.name} are not finite; "
            "the model has diverged or is damaged"
        )
    return features
