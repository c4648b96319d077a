"""From a source to a store: decode every picture once, on all cores.

A stopped run is taken up where it left off: the store is built in `<store>.partial`, the arrays at
full size, `done.npy` with one byte a picture and `checks.npy` with the checksum of its row, and
takes its name by one rename when all is done. One process prepares a store at a time; a second one
waits and finds it ready.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from alexnet.config.preprocessing import Resize
from alexnet.data.images.decode import decode, pixel_moments
from alexnet.data.images.open import rejection_reason
from alexnet.data.source import Source
from alexnet.data.store.partial import KEPT, LOG, REFUSED, TODO, Partial, open_partial, read_reasons
from alexnet.data.store.store import (
    STORE_FILES,
    Rejected,
    Skipped,
    Store,
    StoreInfo,
    open_store,
    store_text,
)
from alexnet.errors import DataError
from alexnet.io.files import fsync, remove_folder, write_text
from alexnet.io.paths import cache_folder

CHUNK = 32
"""Pictures a thread decodes between two reports."""
WAIT_SECONDS = 1.0
"""Between two looks at how far another process is."""

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


def prepare(
    source: Source,
    *,
    resize: Resize,
    side: int,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Store:
    """The store of a source, decoded now unless it is there already.

    Args:
        source: what to decode.
        resize: how a picture becomes square.
        side: of the stored pictures, in pixels.
        cache: folder that holds stores; the user's cache unless given.
        progress: told how far it is.

    Raises:
        DataError: not one picture can be used, the pictures change meanwhile, or the store cannot
            be written.
    """
    place = (cache or cache_folder()) / "stores"
    fingerprint = source.fingerprint()
    folder = place / f"{_file_name(source.name)}-{fingerprint}-{resize}-{side}"
    progress = progress or (lambda done, total: None)
    if (folder / "store.json").exists():
        return open_store(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with _store_lock(folder, len(source), progress):
            if not (folder / "store.json").exists():
                _build(source, fingerprint, resize, side, folder, progress)
    except (OSError, NotImplementedError) as error:
        raise DataError(
            f"cannot write the store {folder}: {getattr(error, 'strerror', None) or error}; "
            "free some space there or set ALEXNET_CACHE to another folder"
        ) from error
    return open_store(folder)


@contextmanager
def _store_lock(folder: Path, total: int, progress: Progress) -> Iterator[None]:
    """Within, no other process builds this store; until then, tells how far the other one is."""
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=WAIT_SECONDS)
        except Timeout:
            with suppress(OSError, ValueError):
                done = np.load(_partial_folder(folder) / "done.npy")
                progress(int((done != TODO).sum()), total)
    try:
        yield
    finally:
        lock.release()


def _partial_folder(folder: Path) -> Path:
    return folder.with_name(folder.name + ".partial")


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:40] or "pictures"


def _build(
    source: Source,
    fingerprint: str,
    resize: Resize,
    side: int,
    folder: Path,
    progress: Progress,
) -> None:
    partial = open_partial(_partial_folder(folder), len(source), side)
    with (partial.folder / LOG).open("a", buffering=1, encoding="utf-8") as log:
        log.write("\n")  # a kill may have torn the last line
        _decode_all(source, resize, side, partial, log.write, progress)
    _check_unchanged(source, fingerprint, partial)
    refused = _read_refusals(partial, source)
    if len(refused) == len(source):
        remove_folder(partial.folder)
        raise DataError(
            f"{source.name}: none of the {len(source)} pictures can be used; "
            f"first: {refused[0].reason}"
        )
    info = StoreInfo(
        name=source.name,
        fingerprint=fingerprint,
        resize=resize,
        side=side,
        test_fraction=source.test_fraction,
        class_names=source.class_names,
        rejected=refused,
        names=source.names,
        splits=source.splits,
        skipped=tuple(Skipped(reason=reason, files=n) for reason, n in source.skipped.items()),
    )
    _finish(partial, info, source.labels, folder)


def _check_unchanged(source: Source, fingerprint: str, partial: Partial) -> None:
    """Refuse a store some of whose pictures were read before, and some after a change.

    Raises:
        DataError: a picture has changed or gone since the preparation began.
    """
    try:
        is_same = source.fingerprint() == fingerprint
    except OSError:
        is_same = False
    if not is_same:
        remove_folder(partial.folder)
        raise DataError(
            f"the pictures of {source.name} changed while they were prepared; "
            "wait until nobody writes there, and run the same again"
        )


def _decode_all(
    source: Source,
    resize: Resize,
    side: int,
    partial: Partial,
    log: Callable[[str], int],
    progress: Progress,
) -> None:
    """Decode what is not done yet.

    A row's byte in `done` is set after its pixels are on their way to the disk.
    """
    todo = np.flatnonzero(partial.done == TODO)
    finished = len(source) - len(todo)
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def work(rows: np.ndarray) -> list[tuple[int, str]]:
            return [
                (int(row), _decode_row(source, resize, side, partial, int(row))) for row in rows
            ]

        for results in _bounded_map(
            pool, work, [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
        ):
            for row, reason in results:
                if reason:
                    log(json.dumps({"row": row, "reason": reason}) + "\n")
                partial.done[row] = REFUSED if reason else KEPT
            finished += len(results)
            progress(finished, len(source))


def _bounded_map(
    pool: ThreadPoolExecutor,
    work: Callable[[np.ndarray], list[tuple[int, str]]],
    chunks: list[np.ndarray],
) -> Iterator[list[tuple[int, str]]]:
    """`pool.map` with a short queue, so that an interrupt ends at once."""
    waiting = []
    for chunk in chunks:
        waiting.append(pool.submit(work, chunk))
        if len(waiting) > 2 * (os.cpu_count() or 1):
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def _decode_row(source: Source, resize: Resize, side: int, partial: Partial, row: int) -> str:
    """Fill one row; the reason when the picture cannot be used, else ""."""
    try:
        with source.images.open(row) as image:
            pixels = decode(image, resize, side)
    except Exception as error:  # Pillow raises many kinds for damaged files
        return rejection_reason(error, source.names[row])
    partial.images[row] = pixels
    partial.moments[row] = pixel_moments(pixels)
    partial.checks[row] = partial.check(row)
    return ""


def _read_refusals(partial: Partial, source: Source) -> tuple[Rejected, ...]:
    reasons = read_reasons(partial)
    rows = [int(row) for row in np.flatnonzero(partial.done == REFUSED)]
    return tuple(Rejected(index=row, name=source.names[row], reason=reasons[row]) for row in rows)


def _finish(partial: Partial, info: StoreInfo, labels: np.ndarray, folder: Path) -> None:
    """Flush everything, then give the store its name."""
    for array in (partial.images, partial.moments):
        array.flush()  # type: ignore[attr-defined]
    np.save(partial.folder / "labels.npy", labels.astype(np.int64))
    write_text(partial.folder / "store.json", store_text(info))
    for path in list(partial.folder.iterdir()):
        if path.name in STORE_FILES:
            fsync(path)
        else:  # of the preparation, or what a killed one was writing aside
            path.unlink()
    fsync(partial.folder)
    remove_folder(folder)
    partial.folder.replace(folder)
    fsync(folder.parent)
