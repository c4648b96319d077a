"""What is wrong with a data set before anyone trains on it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from alexnet.data.datasets.folder import SUFFIXES
from alexnet.data.images.decode import decode
from alexnet.data.images.open import rejection_reason
from alexnet.data.source import Source

TINY_PIXELS = 64
"""A shorter side below this is called tiny, unless the whole set is of small pictures."""
BLOCK = 512
"""Pictures in the queue of the threads."""
FORMAT_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one picture, or one class."""

    kind: str
    """unreadable, format, tiny, imbalance, or duplicate (also _across_splits, _across_classes)."""
    name: str
    text: str

    @property
    def is_fault(self) -> bool:
        """Whether it makes a result wrong, and not only worse."""
        return self.kind in ("unreadable", "duplicate_across_splits", "duplicate_across_classes")


@dataclass(frozen=True, slots=True)
class _ImageFacts:
    """One decoded picture: its format, shorter side and digest, or why it cannot be read."""

    format: str = ""
    side: int = 0
    digest: bytes = b""
    problem: str = ""


def check(
    source: Source, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Finding]:
    """Every finding about a source, faults first; decodes each picture once, on all cores.

    Duplicates are pictures that look the same at 32 x 32 pixels to the last bit.
    """
    looks: list[_ImageFacts] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while len(looks) < len(source):  # a bounded queue, so that an interrupt ends soon
            rows = range(len(looks), min(len(looks) + BLOCK, len(source)))
            for look in pool.map(lambda row: _look(source, row), rows):
                looks.append(look)
                progress(len(looks), len(source))
    findings = [*_unreadable(source, looks), *_duplicates(source, looks), *_formats(source, looks)]
    findings += [*_tiny(source, looks), *_imbalance(source)]
    return sorted(findings, key=lambda finding: not finding.is_fault)


def _look(source: Source, row: int) -> _ImageFacts:
    try:
        with source.images.open(row) as image:
            kind, side = image.format or "", min(image.size)
            pixels = decode(image, "stretch", 32)
    except Exception as error:  # Pillow raises many kinds for damaged files
        return _ImageFacts(problem=rejection_reason(error, source.names[row]))
    return _ImageFacts(kind, side, hashlib.blake2b(pixels.tobytes(), digest_size=16).digest())


def _unreadable(source: Source, looks: list[_ImageFacts]) -> list[Finding]:
    return [
        Finding("unreadable", name, look.problem)
        for name, look in zip(source.names, looks, strict=True)
        if look.problem
    ]


def _formats(source: Source, looks: list[_ImageFacts]) -> list[Finding]:
    """Files whose content is of another format than their name says; they are read all the same."""
    findings = []
    for name, look in zip(source.names, looks, strict=True):
        suffix = PurePath(name).suffix.lower()
        if (
            suffix in SUFFIXES
            and look.format
            and suffix not in FORMAT_SUFFIXES.get(look.format, (suffix,))
        ):
            findings.append(Finding("format", name, f"is a {look.format} file"))
    return findings


def _tiny(source: Source, looks: list[_ImageFacts]) -> list[Finding]:
    sides = [look.side for look in looks if look.side]
    if not sides or np.median(sides) < TINY_PIXELS:
        return []
    return [
        Finding("tiny", name, f"its shorter side has {look.side} pixels")
        for name, look in zip(source.names, looks, strict=True)
        if 0 < look.side < TINY_PIXELS
    ]


def _duplicates(source: Source, looks: list[_ImageFacts]) -> list[Finding]:
    groups = defaultdict(list)
    for row, look in enumerate(looks):
        if look.digest:
            groups[look.digest].append(row)
    findings = []
    for first, *others in groups.values():
        for row in others:
            kind = "duplicate"
            if source.labels[row] != source.labels[first]:
                kind = "duplicate_across_classes"
            elif source.splits[row] != source.splits[first]:
                kind = "duplicate_across_splits"
            text = f"looks exactly like {source.names[first]}"
            if kind == "duplicate" and not source.splits[row]:
                text += "; a drawn split may put one into training and one into the test"
            findings.append(Finding(kind, source.names[row], text))
    return findings


def _imbalance(source: Source) -> list[Finding]:
    """Classes with less than a quarter of the pictures that the middle class has."""
    counts = Counter(source.labels.tolist())
    middle = float(np.median(list(counts.values())))
    return [
        Finding(
            "imbalance",
            source.class_names[label],
            f"{count} pictures; the middle class has {middle:.0f}",
        )
        for label, count in sorted(counts.items())
        if count < middle / 4
    ]
