"""Archives of folders of images, unpacked once into the cache."""

from __future__ import annotations

import hashlib
from glob import escape
from pathlib import Path

from alexnet.errors import DataError
from alexnet.io.downloads import atomic_folder
from alexnet.io.files import remove_folder
from alexnet.io.in_use import mark_used
from alexnet.io.locks import waiting_lock
from alexnet.io.paths import cache_folder
from alexnet.io.text import error_text
from alexnet.io.unpack import unpack
from alexnet.reporter import ProgressCallback, ignore_progress

ARCHIVE_SUFFIXES = (
    ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz",
)  # fmt: skip
OTHER_ARCHIVE_SUFFIXES = (".7z", ".rar", ".zst", ".lz4", ".lzma", ".iso")


def is_archive_name(path: Path) -> bool:
    """Whether a file's name has the ending of a supported archive."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def archive_stem(path: Path) -> str:
    """The name of an archive without its ending: "photos" of "photos.tar.gz"."""
    suffixes = [suffix for suffix in ARCHIVE_SUFFIXES if path.name.lower().endswith(suffix)]
    return path.name[: -len(max(suffixes, key=len))] if suffixes else path.name


def unpacked_folder(archive: Path, on_unpack: ProgressCallback = ignore_progress) -> Path:
    """The folder with an archive's files, in the cache; unpacked if it is not there yet.

    An archive whose path, size or modification time changed is unpacked again. What an interrupted
    unpacking leaves is not used, and the next unpacking removes it.

    Raises:
        DataError: the archive cannot be read or is refused (see `unpack`), or the cache cannot be
            written.
    """
    try:
        status = archive.stat()
        identity = f"{archive.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
        digest = hashlib.blake2b(identity.encode("utf-8", "surrogateescape"), digest_size=8)
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in archive_stem(archive))[:40]
        target = cache_folder() / "unpacked" / f"{name}-{digest.hexdigest()}"
        if not target.exists():
            _unpack_locked(archive, target, on_unpack)
        mark_used(target)
    except OSError as error:
        raise DataError(f"{archive} cannot be unpacked: {error_text(error)}") from error
    return target


def _unpack_locked(archive: Path, target: Path, on_unpack: ProgressCallback) -> None:
    """Unpack, unless another process does so first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with waiting_lock(target.with_name(f".{target.name}.lock"), lambda: None) as lock:
        leftovers = target.parent.glob(f".{escape(target.name)}-*")
        for leftover in leftovers if lock.is_locked else ():  # else others may be at it
            remove_folder(leftover)
        if not target.exists():
            with atomic_folder(target) as folder:
                unpack(archive, folder, on_unpack)
