"""From a source to a store: decode every picture once, on all cores.

A stopped run is taken up where it left off: the store is built in `<store>.partial`, the arrays at
full size and `done.npy` with one byte a picture, and takes its name by one rename when all is done.
One process prepares a store at a time; a second one waits and finds it ready.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from alexnet.data.decode import decode, pixel_moments
from alexnet.data.files import flush, remove_folder, write_text
from alexnet.data.picture_file import why_refused
from alexnet.data.places import cache_folder
from alexnet.data.source import Source
from alexnet.data.store import Ignored, Refusal, Store, StoreInfo, open_store, store_text
from alexnet.errors import DataError
from alexnet.preprocessing import Resize

TODO, KEPT, REFUSED = 0, 1, 2
CHUNK = 32
"""Pictures a thread decodes between two reports."""

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
        DataError: not one picture can be used, or the store cannot be written.
    """
    place = (cache or cache_folder()) / "stores"
    folder = place / f"{_file_name(source.name)}-{source.fingerprint()}-{resize}-{side}"
    if (folder / "store.json").exists():
        return open_store(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / f"{folder.name}.lock"):
            if not (folder / "store.json").exists():
                _build(source, resize, side, folder, progress or (lambda done, total: None))
    except OSError as error:
        raise DataError(
            f"cannot write the store {folder}: {error.strerror or error}; "
            "free some space there or set ALEXNET_CACHE to another folder"
        ) from error
    return open_store(folder)


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:40] or "pictures"


@dataclass(frozen=True)
class _Partial:
    """The arrays of a store that is being built."""

    folder: Path
    images: np.ndarray
    moments: np.ndarray
    done: np.ndarray


def _build(source: Source, resize: Resize, side: int, folder: Path, progress: Progress) -> None:
    partial = _open_partial(folder.with_name(folder.name + ".partial"), len(source), side)
    with (partial.folder / "refused.jsonl").open("a", buffering=1, encoding="utf-8") as log:
        _decode_all(source, resize, side, partial, log.write, progress)
    refused = _read_refusals(partial, source)
    if len(refused) == len(source):
        remove_folder(partial.folder)
        raise DataError(
            f"{source.name}: none of the {len(source)} pictures can be used; "
            f"first: {refused[0].reason}"
        )
    info = StoreInfo(
        name=source.name,
        fingerprint=source.fingerprint(),
        resize=resize,
        side=side,
        test_share=source.test_share,
        classes=source.classes,
        refused=refused,
        names=source.names,
        splits=source.splits,
        ignored=tuple(Ignored(reason=reason, files=n) for reason, n in source.ignored.items()),
    )
    _finish(partial, info, source.labels, folder)


def _open_partial(folder: Path, count: int, side: int) -> _Partial:
    """The arrays as the last run left them, or new ones of full size."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {
        "images": ((count, side, side, 3), np.uint8),
        "moments": ((count, 9), np.float64),
        "done": ((count,), np.uint8),
    }
    arrays = {name: _open_array(folder / f"{name}.npy", *shape) for name, shape in shapes.items()}
    return _Partial(folder, **arrays)


def _open_array(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """A memory-mapped array; its room is taken at once, so that a full disk is no crash later."""
    if not path.exists():
        needed = math.prod(shape) * np.dtype(dtype).itemsize
        free = shutil.disk_usage(path.parent).free
        if needed > free:
            raise OSError(
                errno.ENOSPC, f"it needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free"
            )
        aside = path.with_suffix(".new")
        try:
            _allocate(aside, shape, dtype)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    return np.lib.format.open_memmap(path, mode="r+")


def _allocate(path: Path, shape: tuple[int, ...], dtype: type) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _decode_all(
    source: Source,
    resize: Resize,
    side: int,
    partial: _Partial,
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


def _decode_row(source: Source, resize: Resize, side: int, partial: _Partial, row: int) -> str:
    """Fill one row; the reason when the picture cannot be used, else ""."""
    try:
        with source.pictures.open(row) as image:
            pixels = decode(image, resize, side)
    except Exception as error:  # Pillow raises many kinds for damaged files
        return why_refused(error, source.names[row])
    partial.images[row] = pixels
    partial.moments[row] = pixel_moments(pixels)
    return ""


def _read_refusals(partial: _Partial, source: Source) -> tuple[Refusal, ...]:
    lines = (partial.folder / "refused.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = dict(_reason(line) for line in lines)
    rows = [int(row) for row in np.flatnonzero(partial.done == REFUSED)]
    return tuple(
        Refusal(row=row, name=source.names[row], reason=reasons.get(row, "unknown")) for row in rows
    )


def _reason(line: str) -> tuple[int, str]:
    """Row and reason of a line of the log; -1 for one that a kill has torn."""
    try:
        entry = json.loads(line)
        return entry["row"], entry["reason"]
    except (ValueError, TypeError, KeyError):
        return -1, ""


def _finish(partial: _Partial, info: StoreInfo, labels: np.ndarray, folder: Path) -> None:
    """Flush everything, then give the store its name."""
    for array in (partial.images, partial.moments):
        array.flush()  # type: ignore[attr-defined]
    np.save(partial.folder / "labels.npy", labels.astype(np.int64))
    write_text(partial.folder / "store.json", store_text(info))
    for name in ("done.npy", "refused.jsonl"):
        (partial.folder / name).unlink()
    for path in partial.folder.iterdir():
        flush(path)
    remove_folder(folder)
    partial.folder.replace(folder)
    flush(folder.parent)
