"""What the shards of a data set hold, read once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from alexnet.data.data_files import MAX_REQUESTS, DataFile, LocalFile, signatures
from alexnet.data.datasets.shards.samples import Sample, read_samples
from alexnet.data.threads import map_bounded
from alexnet.io.files import write_text
from alexnet.io.in_use import mark_used
from alexnet.io.paths import cache_folder
from alexnet.reporter import ProgressCallback, ignore_progress

FORMAT = 1
FIELDS = ("key", "kind", "start", "size", "label")


def read_indices(
    files: Sequence[DataFile], on_progress: ProgressCallback = ignore_progress
) -> list[list[Sample]]:
    """The samples of every shard, from the cache where it has them.

    Args:
        files: the shards.
        on_progress: called with (shards read, shards in all).

    Raises:
        DataError: as `read_samples`.
    """
    pairs = list(zip(files, signatures(files), strict=True))
    found = []
    with ThreadPoolExecutor(MAX_REQUESTS) as pool:
        for samples in map_bounded(pool, lambda pair: _read_index(*pair), pairs):
            found.append(samples)
            on_progress(len(found), len(files))
    return found


def _read_index(file: DataFile, signature: bytes) -> list[Sample]:
    path = _index_path(file, signature)
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        content = json.loads(path.read_text("utf-8"))
        mark_used(path)
        return [Sample(**dict(zip(FIELDS, row, strict=True))) for row in content["samples"]]
    samples = read_samples(file)
    rows = [[getattr(sample, name) for name in FIELDS] for sample in samples]
    with suppress(OSError):  # it is only read again then
        write_text(path, json.dumps({"shard": str(file), "samples": rows}))
    return samples


def _index_path(file: DataFile, signature: bytes) -> Path:
    place = str(file.path.resolve()) if isinstance(file, LocalFile) else str(file)
    text = f"{FORMAT}\0{place}\0".encode("utf-8", "surrogateescape") + signature
    return cache_folder() / "shards" / f"{hashlib.blake2b(text, digest_size=8).hexdigest()}.json"
