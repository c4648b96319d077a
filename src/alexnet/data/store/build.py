"""From a source to a store: decode every image once, on all CPU cores.

An interrupted build resumes where it stopped (`io/resumable.py`): the partial store has the arrays
at full size, `status.npy` with one byte per image and `checksums.npy` with the checksum of each.
One process builds a store at a time; a second one waits and then uses it.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alexnet.config.preprocessing import Resize
from alexnet.data.images.decode import color_moments, decode
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.data.source import Source
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
from alexnet.data.store.store import (
    STORE_FILES,
    STORE_FORMAT,
    Rejected,
    Skipped,
    Store,
    StoreInfo,
    open_store,
    store_text,
)
from alexnet.data.threads import map_bounded
from alexnet.errors import DataError
from alexnet.io.files import remove_folder, write_text
from alexnet.io.paths import cache_folder, existing_parent
from alexnet.io.resumable import ResumableFolder
from alexnet.io.text import folder_name
from alexnet.reporter import NoteCallback, ProgressCallback, ignore_note, ignore_progress

CHUNK = 32
"""Images a thread decodes between two calls of `on_progress`."""
LARGE_STORE_BYTES = 1e9
"""From which size on a store is announced before it is built."""


@dataclass(frozen=True, kw_only=True)
class _BuildSpec:
    """What is built, and where."""

    source: Source
    fingerprint: str
    """Of the source when the build began."""
    resize: Resize
    side: int
    target: ResumableFolder
    on_progress: ProgressCallback
    chunk: int


def prepare(
    source: Source,
    *,
    resize: Resize,
    side: int,
    cache: Path | None = None,
    on_progress: ProgressCallback = ignore_progress,
    on_note: NoteCallback = ignore_note,
    chunk: int = CHUNK,
) -> Store:
    """The store of a source; its images are decoded now unless they have been before.

    Args:
        source: what to decode.
        resize: how an image becomes square.
        side: of the stored images, in pixels.
        cache: folder that holds stores; the user's cache unless given.
        on_progress: called with (images done, images in all).
        on_note: called with the size of a large store before it is built.
        chunk: images a thread decodes between two calls of `on_progress`.

    Raises:
        DataError: no image can be used, the images change meanwhile, or the store cannot be
            written.
    """
    fingerprint = source.fingerprint()
    target = _target(source, fingerprint, resize, side, cache)
    if not target.is_finished:
        spec = _BuildSpec(
            source=source,
            fingerprint=fingerprint,
            resize=resize,
            side=side,
            target=target,
            on_progress=on_progress,
            chunk=chunk,
        )
        if size_note := _size_note(spec):
            on_note(size_note)
        target.build(lambda: _fill(spec), lambda: _report_other(spec))
    return replace(open_store(target.folder), notes=source.notes)


def _size_note(spec: _BuildSpec) -> str:
    """How much space a large store takes, and how much there is; "" for a small one."""
    size_bytes = len(spec.source) * spec.side**2 * 3
    if size_bytes < LARGE_STORE_BYTES:
        return ""
    folder = spec.target.folder
    return (
        f"the {len(spec.source):,} images of {spec.source.name} take {size_bytes / 1e9:.1f} GB in "
        f"{folder.parent}, where {_free_bytes(folder) / 1e9:.1f} GB are free; "
        "$ALEXNET_CACHE is another place"
    )


def planned_store(source: Source, *, resize: Resize, side: int) -> tuple[Store, bool]:
    """The store of a source if it is there, else one as it would be, with gray images.

    Args:
        source: what would be decoded.
        resize: how an image becomes square.
        side: of the stored images, in pixels.

    Returns:
        The store, and whether it is there. A planned one takes no memory and no disk space.
    """
    fingerprint = source.fingerprint()
    target = _target(source, fingerprint, resize, side)
    if target.is_finished:
        return replace(open_store(target.folder), notes=source.notes), True
    info = _store_info(source, fingerprint, resize, side, rejected=())
    images = np.broadcast_to(np.uint8(128), (len(source), side, side, 3))
    moments = np.broadcast_to(color_moments(images[0]), (len(source), 9))
    return Store(target.folder, info, images, source.labels, moments, source.notes), False


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(existing_parent(folder)).free


def _target(
    source: Source, fingerprint: str, resize: Resize, side: int, cache: Path | None = None
) -> ResumableFolder:
    name = f"{folder_name(source.name)}-{fingerprint}-{resize}-{side}-v{STORE_FORMAT}"
    folder = (cache or cache_folder()) / "stores" / name
    return ResumableFolder(what="store", folder=folder, files=STORE_FILES)


def _store_info(
    source: Source, fingerprint: str, resize: Resize, side: int, rejected: tuple[Rejected, ...]
) -> StoreInfo:
    return StoreInfo(
        name=source.name,
        fingerprint=fingerprint,
        resize=resize,
        side=side,
        test_fraction=source.test_fraction,
        class_names=source.class_names,
        rejected=rejected,
        names=source.names,
        splits=source.splits,
        skipped=tuple(Skipped(reason=reason, files=n) for reason, n in source.skipped.items()),
    )


def _report_other(spec: _BuildSpec) -> None:
    """Report the progress of the process that builds this store."""
    with suppress(OSError, ValueError):
        status = np.load(spec.target.partial_folder / "status.npy")
        spec.on_progress(int((status != PENDING).sum()), len(spec.source))


def _fill(spec: _BuildSpec) -> None:
    """Write all files of the store into the partial folder."""
    source, folder = spec.source, spec.target.partial_folder
    rejected = _decode_all(spec)
    _check_unchanged(spec)
    if len(rejected) == len(source):
        remove_folder(folder)
        raise DataError(
            f"{source.name}: none of the {len(source)} images can be used; "
            f"first: {rejected[0].reason}"
        )
    info = _store_info(source, spec.fingerprint, spec.resize, spec.side, rejected)
    np.save(folder / "labels.npy", source.labels.astype(np.int64))
    write_text(folder / "store.json", store_text(info))


def _decode_all(spec: _BuildSpec) -> tuple[Rejected, ...]:
    """Decode what is pending; the images that cannot be used. Leaves no array mapped."""
    partial = open_partial(spec.target.partial_folder, len(spec.source), spec.side)
    _decode_pending(spec, partial)
    for array in (partial.images, partial.color_moments):
        array.flush()  # type: ignore[attr-defined]
    return _read_rejected(partial, spec.source)


def _decode_pending(spec: _BuildSpec, partial: Partial) -> None:
    """Decode the pending images.

    The status of an image is set after its pixels have been written, so that a killed build loses
    at most what was being decoded.
    """
    pending = np.flatnonzero(partial.status == PENDING).tolist()
    total, done = len(spec.source), len(spec.source) - len(pending)
    chunks = [pending[i : i + spec.chunk] for i in range(0, len(pending), spec.chunk)]
    with (
        (partial.folder / REJECTED_LOG).open("a", buffering=1, encoding="utf-8") as log,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        log.write("\n")  # a kill may have cut the last line short
        for results in map_bounded(pool, lambda chunk: _decode_chunk(spec, partial, chunk), chunks):
            rejected = [(index, reason) for index, reason in results if reason]
            log.writelines(reason_line(index, reason) for index, reason in rejected)
            for index, reason in results:
                partial.status[index] = REJECTED if reason else STORED
            done += len(results)
            spec.on_progress(done, total)


def _decode_chunk(spec: _BuildSpec, partial: Partial, chunk: list[int]) -> list[tuple[int, str]]:
    return [(index, _decode_image(spec, partial, index)) for index in chunk]


def _decode_image(spec: _BuildSpec, partial: Partial, index: int) -> str:
    """Decode one image into the arrays; the reason when it cannot be used, else ""."""
    try:
        with spec.source.images.open(index) as image:
            pixels = decode(image, spec.resize, spec.side)
    except IMAGE_ERRORS as error:
        return rejection_reason(error, spec.source.names[index])
    partial.images[index] = pixels
    partial.color_moments[index] = color_moments(pixels)
    partial.checksums[index] = partial.checksum(index)
    return ""


def _check_unchanged(spec: _BuildSpec) -> None:
    """Reject a store some of whose images were read before a change, and some after it.

    Raises:
        DataError: an image has changed or gone since the build began.
    """
    try:
        is_same = spec.source.fingerprint() == spec.fingerprint
    except OSError:
        is_same = False
    if not is_same:
        remove_folder(spec.target.partial_folder)
        raise DataError(
            f"the images of {spec.source.name} changed while they were prepared; "
            "wait until nobody writes there, and run the same again"
        )


def _read_rejected(partial: Partial, source: Source) -> tuple[Rejected, ...]:
    reasons = read_reasons(partial)
    indices = np.flatnonzero(partial.status == REJECTED).tolist()
    return tuple(Rejected(index=i, name=source.names[i], reason=reasons[i]) for i in indices)
