"""Damaged and lying files of other people: each ends in one sentence, or is read whole.

Every case damages a whole file of one kind and has the program read it, in a process that may take
so much memory and time and no more, and that notes what no file may make a program do. A file with
a checksum must be refused or give what the whole one gives. A file without one may give something
else: a changed byte of a weight is a weight.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from alexnet.errors import AlexNetError
from torture.file_kinds import Kind, file_kinds
from torture.mutators import GENERAL, Mutator
from torture.structured import edits_for
from torture.tally import Tally
from torture.workers import Cases, Ending, run_cases

SECONDS = 30.0
MEMORY_BYTES = 2 << 30
LONGEST_SENTENCE = 1500


def torture(count: int, seed: int, folder: Path) -> Tally:
    """Try `count` mutated files."""
    return run_cases(
        "mutated files", "torture.files", count, seed, folder,
        seconds=SECONDS, memory_bytes=MEMORY_BYTES,
    )  # fmt: skip


def cases(seed: int, folder: Path) -> Cases:
    """Make the whole files; the cases damage them one after the other."""
    warnings.simplefilter("ignore")  # of the libraries that read what is damaged
    kinds = file_kinds(seed, folder)
    whole = [kind.read(_written(kind, kind.content, folder)) for kind in kinds]

    def try_one(index: int) -> Ending:
        rng = np.random.default_rng([seed, index])
        place = index % len(kinds)
        kind, other = kinds[place], kinds[int(rng.integers(len(kinds)))]
        edits = edits_for(kind.suffix)
        mutators: tuple[Mutator, ...] = (*GENERAL, *edits, *edits)
        mutator = mutators[int(rng.integers(len(mutators)))]
        content = mutator(kind.content, other.content, rng)
        return judged(kind, mutator.__name__, _written(kind, content, folder), whole[place])

    return try_one


def _written(kind: Kind, content: bytes, folder: Path) -> Path:
    path = folder / f"file{kind.suffix}"
    path.write_bytes(content)
    return path


def judged(kind: Kind, how: str, path: Path, whole: bytes) -> Ending:
    """Read a file, and say how that ended."""
    where = f"{kind.name}, {how}"
    try:
        found = kind.read(path)
    except AlexNetError as error:
        text = str(error)
        is_line = "\n" not in text and 0 < len(text) <= LONGEST_SENTENCE
        fault = "" if is_line else f"{where}: no sentence: {text[:300]!r}"
        return Ending("refused in one sentence", fault)
    except BaseException as error:
        return Ending("raised", f"{where}: {type(error).__name__}: {str(error)[:300]}")
    if found == whole:
        return Ending("read, with the same content")
    if kind.is_summed and not how.startswith("forge"):
        return Ending("read", f"{where}: read with other content, and it has a checksum")
    return Ending("read, with the content that it has now")
