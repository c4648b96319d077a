"""Damaged input files: each is rejected with one sentence, or read completely.

Every case damages a valid file of one kind and has the program read it, in a process with limits of
memory and time, which also records forbidden actions. A file with a checksum must be rejected or
give the same content as the valid file. A file without one may give other content: a changed byte
of a weight is still a weight.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from alexnet.errors import AlexNetError
from stress.file_kinds import Kind, file_kinds
from stress.mutators import GENERAL, Mutator
from stress.structured import structured_mutators
from stress.tally import Tally
from stress.workers import Cases, Ending, run_cases

SECONDS = 30.0
MEMORY_BYTES = 2 << 30
MAX_MESSAGE_LENGTH = 1500


def stress(count: int, seed: int, folder: Path) -> Tally:
    """Try `count` mutated files."""
    return run_cases(
        "mutated files", "stress.files", count, seed, folder,
        seconds=SECONDS, memory_bytes=MEMORY_BYTES,
    )  # fmt: skip


def cases(seed: int, folder: Path) -> Cases:
    """Make the valid files; each case damages one of them."""
    warnings.simplefilter("ignore")  # the libraries warn about damaged files
    kinds = file_kinds(seed, folder)
    whole = [kind.read(_written(kind, kind.content, folder)) for kind in kinds]

    def try_one(index: int) -> Ending:
        rng = np.random.default_rng([seed, index])
        place = index % len(kinds)
        kind, other = kinds[place], kinds[int(rng.integers(len(kinds)))]
        edits = structured_mutators(kind.suffix)
        mutators: tuple[Mutator, ...] = (*GENERAL, *edits, *edits)
        mutator = mutators[int(rng.integers(len(mutators)))]
        content = mutator(kind.content, other.content, rng)
        return check_reading(kind, mutator.__name__, _written(kind, content, folder), whole[place])

    return try_one


def _written(kind: Kind, content: bytes, folder: Path) -> Path:
    path = folder / f"file{kind.suffix}"
    path.write_bytes(content)
    return path


def check_reading(kind: Kind, how: str, path: Path, whole: bytes) -> Ending:
    """Read a file and return how that ended."""
    where = f"{kind.name}, {how}"
    try:
        found = kind.read(path)
    except AlexNetError as error:
        text = str(error)
        is_line = "\n" not in text and 0 < len(text) <= MAX_MESSAGE_LENGTH
        fault = "" if is_line else f"{where}: not one sentence: {text[:300]!r}"
        return Ending("rejected in one sentence", fault)
    except BaseException as error:
        return Ending("raised", f"{where}: {type(error).__name__}: {str(error)[:300]}")
    if found == whole:
        return Ending("read, with the same content")
    if kind.has_checksum and not how.startswith("forge"):
        return Ending("read", f"{where}: read with other content in spite of its checksum")
    return Ending("read, with changed content")
