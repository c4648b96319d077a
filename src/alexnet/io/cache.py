"""List the entries of the cache folder, and remove those not used for some time.

An entry is what this package has made there, recognized by its folder and name; it can be made or
downloaded again. Other files, links, and what links lead to are never touched, so that a cache
folder that holds something else too ($ALEXNET_CACHE) loses nothing.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from alexnet.io.files import remove_file, remove_folder, rename, size_bytes
from alexnet.io.in_use import is_in_use
from alexnet.io.locks import take_lock
from alexnet.io.text import error_text

KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    "stores": (
        (r".+-[0-9a-f]{16}-(shortest_edge|stretch)-\d+(-jpeg)?(-v\d+)?", "image store"),
        (
            r".+-[0-9a-f]{16}-(shortest_edge|stretch)-\d+(-jpeg)?(-v\d+)?\.partial",
            "unfinished store",
        ),
    ),
    "features": (
        (r".+-[0-9a-f]{16}-[0-9a-f]{16}-v\d+", "feature index"),
        (r".+-[0-9a-f]{16}-[0-9a-f]{16}-v\d+\.partial", "unfinished index"),
    ),
    "unpacked": ((r"[^.].*-[0-9a-f]{16}", "unpacked archive"),),
    "shards": ((r"[0-9a-f]{16}\.json", "index of a shard"),),
    "hub": ((r"(?!(models|datasets|spaces)--)[\w.-]+--[\w.-]+", "download"),),  # those are HF's
    "heads": ((r"[0-9a-f]{64}", "assembled model"),),
    "kernels": ((r"[0-9a-f]{24}\.so", "compiled kernels"),),
    "optimized": ((r"[0-9a-f]{24}\.safetensors", "optimized network"),),
    "speeds": ((r"[0-9a-f]{16}\.json", "measured speeds"),),
    "data": (
        (r"toyflowers-\d+|cifar-10", "data set"),
        (r"17flowers\.tgz|cifar-10-binary\.tar\.gz", "download"),
        (r"alexnet-owt-[0-9a-f]{8}\.pth", "download"),
    ),
    "data/17flowers": ((r"jpg", "data set"),),
    "data/mnist": ((r"(train|t10k)-(images|labels)-idx[13]-ubyte\.gz", "download"),),
    "data/fashion_mnist": ((r"(train|t10k)-(images|labels)-idx[13]-ubyte\.gz", "download"),),
}
"""By folder, patterns of names and the kind of entry that has such a name."""
IN_USE = "a process is using it"
"""Why an entry was kept that could be removed later."""
IN_USE_FILES = ("store.json", "index.json")
"""Files in an entry that a process locks while it uses the entry."""
LOCKED_BESIDE = ("stores", "features")
"""Folders whose entries are locked by NAME.lock, and not by .NAME.lock."""
UNFINISHED = re.compile(r"\.(?P<name>.+?)(\.part|-[0-9a-f]{8}|\.\d+\.(tmp|removed))")
"""Names of what a killed process leaves beside the entry that it was making or removing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """A file or folder of the cache."""

    path: str
    kind: str
    size_bytes: int
    used_at: float
    """Time of the last use, the latest reading or writing, in seconds since 1970."""


def cache_entries(cache: Path) -> list[CacheEntry]:
    """The entries of a cache folder, most recently used first."""
    found = [entry for folder in KINDS for entry in _entries_of(cache, folder)]
    return sorted(found, key=lambda entry: (-entry.used_at, entry.path))


def is_in_entry(path: Path, cache: Path) -> bool:
    """Whether a path is, or lies in, an entry of a cache folder."""
    try:
        parts = path.resolve().relative_to(cache.resolve()).parts
    except ValueError:
        return False
    return any(_kind(name, "/".join(parts[:i])) for i, name in enumerate(parts))


def remove_entry(entry: CacheEntry) -> str:
    """Remove an entry atomically; return why it was kept, or "" if it was removed."""
    path = Path(entry.path)
    try:
        with _locked(path) as is_free:
            if not is_free or any(is_in_use(path / name) for name in IN_USE_FILES):
                return IN_USE
            if path.is_symlink() or not path.exists():
                return "" if not os.path.lexists(path) else "it has become a link"
            return _remove(path)
    except OSError as error:
        return error_text(error)


def _entries_of(cache: Path, folder: str) -> Iterator[CacheEntry]:
    """Yield the entries in one folder of the cache; none if the folder is a link."""
    place = cache
    for part in folder.split("/"):
        place = place / part
        if place.is_symlink():
            return
    try:
        children = list(os.scandir(place))
    except OSError:
        return
    for child in children:
        kind = _kind(child.name, folder)
        if kind and not child.is_symlink():
            path = Path(child.path)
            size, used_at = size_bytes(path), _used_at(path)
            yield CacheEntry(path=child.path, kind=kind, size_bytes=size, used_at=used_at)


def _kind(name: str, folder: str) -> str:
    """The kind of an entry of this name; "" if it is no entry."""
    unfinished = UNFINISHED.fullmatch(name)
    if unfinished:
        return "left unfinished" if _kind(unfinished["name"], folder) else ""
    return next((kind for form, kind in KINDS.get(folder, ()) if re.fullmatch(form, name)), "")


def _used_at(path: Path) -> float:
    """The latest time of reading or writing a file, or a folder and the files directly in it.

    The access time of a folder is ignored, since listing the cache reads every folder.
    """
    times = []
    try:
        status = path.lstat()
        times.append(status.st_mtime)
        files = list(os.scandir(path)) if path.is_dir() else []
        times += [] if path.is_dir() else [status.st_atime]
        for file in files:
            status = file.stat(follow_symlinks=False)
            times += [status.st_mtime] + ([] if file.is_dir() else [status.st_atime])
    except OSError:  # another process has removed it, or it may not be read
        pass
    return min(max(times, default=0.0), time.time())


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Keep other processes from making an entry; gives False if one is making it now."""
    name = unfinished["name"] if (unfinished := UNFINISHED.fullmatch(path.name)) else path.name
    name = name.removesuffix(".partial")
    dot = "" if path.parent.name in LOCKED_BESIDE else "."
    lock_path = path.with_name(f"{dot}{name}.lock")
    if not lock_path.exists():  # nobody is making it
        yield True
        return
    try:
        lock = take_lock(lock_path)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _remove(path: Path) -> str:
    """Rename an entry before its content is removed, so that nothing incomplete has its name."""
    unfinished = UNFINISHED.fullmatch(path.name)
    name = unfinished["name"] if unfinished else path.name
    aside = path.with_name(f".{name}.{os.getpid()}.removed")
    rename(path, aside)
    if aside.is_dir():
        remove_folder(aside)
    else:
        remove_file(aside)
    return f"{aside.name} cannot be removed" if os.path.lexists(aside) else ""
