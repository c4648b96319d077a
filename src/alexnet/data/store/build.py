"""Build a store from a source: decode every image once, on all CPU cores.

An interrupted build resumes where it stopped (`io/resumable.py`): the partial store has the
images so far, `status.npy` with one byte per image and `checksums.npy` with the checksum of each.
One process builds a store at a time; a second one waits and then uses it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alexnet.config.preprocessing import StoredForm
from alexnet.data.images.decode import color_moments, decode
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.data.source import Source
from alexnet.data.store.formats import PlannedImages
from alexnet.data.store.image_hashes import with_image_hashes
from alexnet.data.store.partial import (
    PENDING,
    REJECTED,
    REJECTED_LOG,
    STORED,
    Partial,
    open_partial,
    read_reasons,
    reason_line,
)
from alexnet.data.store.plan import (
    StorePlan,
    find_planned,
    open_planned,
    plan_store,
    size_note,
)
from alexnet.data.store.store import Rejected, Store, store_text
from alexnet.data.threads import map_bounded
from alexnet.errors import DataError
from alexnet.io.files import remove_folder, write_text
from alexnet.ops.cores import num_cores
from alexnet.reporter import NoteCallback, ProgressCallback, ignore_note, ignore_progress

CHUNK = 32
"""Images a thread decodes between two calls of `on_progress`."""
CHUNKS_PER_CORE = 4
"""Smallest number of chunks per core; with fewer one core would end long before another."""


@dataclass(frozen=True, kw_only=True)
class _BuildSpec:
    """How a store is built."""

    plan: StorePlan
    partial_folder: Path
    """Where the store is built."""
    on_progress: ProgressCallback
    chunk: int

    @property
    def source(self) -> Source:
        """The data set that is decoded."""
        return self.plan.source


def prepare(
    source: Source,
    form: StoredForm,
    *,
    cache: Path | None = None,
    on_progress: ProgressCallback = ignore_progress,
    on_note: NoteCallback = ignore_note,
    chunk: int = CHUNK,
    hash_images: bool = False,
    on_hash: ProgressCallback = ignore_progress,
) -> Store:
    """The store of a source; its images are decoded now unless they have been before.

    They are decoded again if some were rejected for want of a decoder that is here now.

    Args:
        source: what to decode.
        form: form of the stored images.
        cache: folder that holds stores; the user's cache unless given.
        on_progress: called with (images done, images in all).
        on_note: called with the size of a large store before it is built, and if another process
            builds it.
        chunk: images, at most, that a thread decodes between two calls of `on_progress`.
        hash_images: also compute `Store.image_hashes`, which a split by hash needs.
        on_hash: called with (images hashed, images in all) while they are hashed.

    Raises:
        DataError: no image can be used, the images change meanwhile, or the store cannot be
            written.
    """
    plan, store = find_planned(plan_store(source, form, cache))
    if store is None:
        if note := size_note(plan):
            on_note(note)
        target = plan.target
        spec = _BuildSpec(
            plan=plan, partial_folder=target.partial_folder, on_progress=on_progress, chunk=chunk
        )
        target.build(
            lambda folder: _fill(replace(spec, partial_folder=folder)),
            lambda: _report_other(spec),
            on_note,
        )
        store = open_planned(plan)
    if hash_images:
        store = with_image_hashes(store, source.images, on_hash, on_note)
    return store


def planned_store(
    source: Source,
    form: StoredForm,
    *,
    hash_images: bool = False,
    on_hash: ProgressCallback = ignore_progress,
    on_note: NoteCallback = ignore_note,
) -> tuple[Store, bool]:
    """The store of a source if it has been built, else what it would be, with gray images.

    Args:
        source: what would be decoded.
        form: form of the stored images.
        hash_images: also compute `Store.image_hashes`; this reads the images.
        on_hash: as for `prepare`.
        on_note: called with a sentence if another process hashes them.

    Returns:
        The store, and whether it is there. A planned one takes no memory and no disk space.
    """
    plan, found = find_planned(plan_store(source, form))
    store = found or _planned(plan)
    if hash_images:
        store = with_image_hashes(store, source.images, on_hash, on_note)
    return store, found is not None


def _planned(plan: StorePlan) -> Store:
    source, form = plan.source, plan.form
    images = PlannedImages(len(source), form.resize_size, form.store_format)
    moments = np.broadcast_to(color_moments(images.read([0])[0]), (len(source), 9))
    info = plan.info(rejected=())
    folder, labels = plan.target.folder, source.labels
    return Store(folder, info, images, labels, moments, source.notes, is_planned=True)


def _report_other(spec: _BuildSpec) -> None:
    """Report the progress of the process that builds this store."""
    with suppress(OSError, ValueError):
        status = np.load(spec.partial_folder / "status.npy")
        spec.on_progress(int((status != PENDING).sum()), len(spec.source))


def _fill(spec: _BuildSpec) -> None:
    """Write all files of the store into the partial folder."""
    source, folder = spec.source, spec.partial_folder
    rejected = _decode_all(spec)
    _check_unchanged(spec)
    if len(rejected) == len(source):
        remove_folder(folder)
        raise DataError(
            f"{source.name}: none of the {len(source)} images can be used; "
            f"first: {rejected[0].reason}"
        )
    np.save(folder / "labels.npy", source.labels.astype(np.int64))
    write_text(folder / "store.json", store_text(spec.plan.info(rejected)))


def _decode_all(spec: _BuildSpec) -> tuple[Rejected, ...]:
    """Decode what is pending; return the images that cannot be used. Leaves no array mapped."""
    form, count = spec.plan.form, len(spec.source)
    partial = open_partial(spec.partial_folder, form.store_format, count, form.resize_size)
    _decode_pending(spec, partial)
    partial.flush()
    return _read_rejected(partial, spec.source)


def chunk_size(count: int, largest: int) -> int:
    """Images that a thread decodes at a time, so that every core gets several such chunks."""
    num_chunks = CHUNKS_PER_CORE * num_cores()
    return max(1, min(largest, count // num_chunks))


def _decode_pending(spec: _BuildSpec, partial: Partial) -> None:
    """Decode the pending images.

    The status of an image is set after its pixels have been written, so that a killed build loses
    at most what was being decoded.
    """
    pending = np.flatnonzero(partial.status == PENDING).tolist()
    total, done = len(spec.source), len(spec.source) - len(pending)
    chunk = chunk_size(len(pending), spec.chunk)
    chunks = [pending[i : i + chunk] for i in range(0, len(pending), chunk)]
    with (
        (partial.folder / REJECTED_LOG).open("a", buffering=1, encoding="utf-8") as log,
        ThreadPoolExecutor(num_cores()) as pool,
    ):
        log.write("\n")  # a kill may have cut the last line short
        for results in map_bounded(pool, lambda chunk: _decode_chunk(spec, partial, chunk), chunks):
            log.writelines(reason_line(one.index, one.reason) for one in results if one.reason)
            for one in results:
                if not one.reason:
                    partial.writer.append(one.index, one.content)
                partial.status[one.index] = REJECTED if one.reason else STORED
            done += len(results)
            spec.on_progress(done, total)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """An image that has been decoded, or cannot be."""

    index: int
    reason: str
    """Why it cannot be used, else ""."""
    content: bytes
    """What is still to be written, see `ImageWriter.append`."""


def _decode_chunk(spec: _BuildSpec, partial: Partial, chunk: list[int]) -> list[_Decoded]:
    return [_decode_image(spec, partial, index) for index in chunk]


def _decode_image(spec: _BuildSpec, partial: Partial, index: int) -> _Decoded:
    """Decode one image into the partial store."""
    source, form = spec.source, spec.plan.form
    try:
        with source.images.open(index, form.resize_size) as image:
            decoded = decode(image, form.resize, form.resize_size)
    except IMAGE_ERRORS as error:
        return _Decoded(index, rejection_reason(error, source.names[index]), b"")
    pixels, content = partial.writer.encode(index, decoded)
    partial.color_moments[index] = color_moments(pixels)
    partial.checksums[index] = partial.checksum(index, content)
    return _Decoded(index, "", content)


def _check_unchanged(spec: _BuildSpec) -> None:
    """Reject a store some of whose images were read before a change, and some after it.

    Raises:
        DataError: an image has changed or gone since the build began.
    """
    try:
        is_same = spec.source.fingerprint() == spec.plan.source_fingerprint
    except OSError:
        is_same = False
    if not is_same:
        remove_folder(spec.partial_folder)
        raise DataError(
            f"the images of {spec.source.name} changed while they were prepared; "
            "wait until nobody writes there, and run the same again"
        )


def _read_rejected(partial: Partial, source: Source) -> tuple[Rejected, ...]:
    reasons = read_reasons(partial)
    indices = np.flatnonzero(partial.status == REJECTED).tolist()
    return tuple(Rejected(index=i, name=source.names[i], reason=reasons[i]) for i in indices)
