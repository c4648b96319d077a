"""What is wrong with a data set before anyone trains on it."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from alexnet.data.images.decode import decode
from alexnet.data.images.find import describe_skipped, list_images
from alexnet.data.images.formats import FORMAT_SUFFIXES, SUFFIXES
from alexnet.data.images.open import REMARKS
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.data.near_duplicates import joined, near_duplicates, thumbnail
from alexnet.data.source import ImageFiles, Source
from alexnet.data.summary import summarize_source
from alexnet.data.threads import map_bounded
from alexnet.io.text import count_text
from alexnet.ops.cores import num_cores
from alexnet.reporter import ProgressCallback, ignore_progress

MAX_SKIPPED_FRACTION = 0.05
"""A class with a higher fraction of skipped files is a fault."""
SIDECARS = frozenset({
    ".txt", ".json", ".jsonl", ".xml", ".csv", ".tsv", ".md", ".yaml", ".yml", ".html", ".htm",
    ".xmp", ".aae", ".ini", ".log", ".db", ".nfo",
})  # fmt: skip
"""Endings of files beside images, such as annotations: no images are lost with them."""
SMALL_PIXELS = 64
"""A shorter side below this is reported, unless the median image is that small."""
SHOWN_COPIES = 3
"""Number of copies in a group that a finding names."""
FAULTS = frozenset({
    "unreadable", "skipped", "duplicate_across_splits", "duplicate_across_classes",
    "empty_class", "no_train_images",
})  # fmt: skip
"""Issues that make results wrong, not just worse."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One issue of one image, of a group of copies or of one class."""

    issue: str
    """unreadable, skipped, format, remark, small, imbalance, empty_class, no_train_images (also
    val, test), few_images, class_case, duplicate or near_duplicate (also _across_splits,
    _across_classes)."""
    name: str
    """Name of the image, of the first copy or of the class."""
    detail: str
    images: tuple[str, ...] = ()
    """The names of all images of a group of copies, `name` first."""

    @property
    def is_fault(self) -> bool:
        """Whether it makes results wrong, not just worse."""
        return self.issue in FAULTS


@dataclass(frozen=True, slots=True)
class _ImageFacts:
    """What is found in an image: its shorter side in pixels, a hash of its pixels, or an error."""

    format: str = ""
    side: int = 0
    digest: bytes = b""
    thumbnail: np.ndarray | None = None
    """See `near_duplicates.thumbnail`."""
    remarks: tuple[str, ...] = ()
    """Sentences on what is unusual about an image that can still be read."""
    error: str = ""


def check(source: Source, on_progress: ProgressCallback = ignore_progress) -> list[Finding]:
    """Every finding about a source, faults first; decodes each image once, on all cores.

    Duplicates are images that are equal to the last bit at 32 x 32 pixels; `near_duplicates` says
    what nearly equal ones are.
    """
    facts = _all_facts(source, on_progress)
    findings = [Finding("empty_class", name, text) for name, text in source.empty_classes.items()]
    findings += [*_unreadable(source, facts), *_skipped(source), *_duplicates(source, facts)]
    findings += _near_duplicates(source, facts)
    findings += [*_formats(source, facts), *_remarks(source, facts)]
    findings += [*_small(source, facts), *_imbalance(source), *_classes(source)]
    return sorted(findings, key=lambda finding: not finding.is_fault)


def equal_groups(
    source: Source, on_progress: ProgressCallback = ignore_progress
) -> list[np.ndarray]:
    """Groups of two or more images that `check` calls duplicates: int64 indices, ascending."""
    return [np.array(group) for group in _equal(_all_facts(source, on_progress))]


def _all_facts(source: Source, on_progress: ProgressCallback) -> list[_ImageFacts]:
    facts: list[_ImageFacts] = []
    with ThreadPoolExecutor(num_cores()) as pool:
        for image in map_bounded(pool, lambda index: _facts(source, index), range(len(source))):
            facts.append(image)
            on_progress(len(facts), len(source))
    return facts


def _facts(source: Source, index: int) -> _ImageFacts:
    try:
        with source.images.open(index) as image:
            file_format, side = image.format or "", min(image.size)
            remarks = tuple(image.info.get(REMARKS, ()))
            pixels = decode(image, "stretch", 32)
    except IMAGE_ERRORS as error:
        return _ImageFacts(error=rejection_reason(error, source.names[index]))
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
    return _ImageFacts(file_format, side, digest, thumbnail(pixels), remarks)


def _unreadable(source: Source, facts: list[_ImageFacts]) -> list[Finding]:
    return [
        Finding("unreadable", name, image.error)
        for name, image in zip(source.names, facts, strict=True)
        if image.error
    ]


def _skipped(source: Source) -> list[Finding]:
    """Class folders of which too many files were skipped; annotations beside images do not count.

    Only folders on the disk have such files: archives and lists name their images.
    """
    findings = []
    for label, folders in _class_folders(source).items():
        skipped: Counter[str] = Counter()
        num_images = sum(len(list_images(folder, skipped)) for folder in folders)
        lost = Counter({k: n for k, n in skipped.items() if k not in ("hidden", *SIDECARS)})
        if lost.total() > MAX_SKIPPED_FRACTION * (num_images + lost.total()):
            findings.append(
                Finding(
                    "skipped",
                    label,
                    f"{lost.total():,} of {num_images + lost.total():,} files are skipped: "
                    f"{describe_skipped(lost)}; convert or remove them",
                )
            )
    return findings


def _class_folders(source: Source) -> dict[str, list[Path]]:
    """The folders named like a class, such as "train/rose", by class."""
    if not isinstance(source.images, ImageFiles):
        return {}
    pairs = set()
    for name, label in zip(source.names, source.labels.tolist(), strict=True):
        *parents, _ = PurePath(name).parts
        named = [unicodedata.normalize("NFC", parent) for parent in parents]
        if source.class_names[label] in named:
            depth = named.index(source.class_names[label]) + 1
            pairs.add((source.class_names[label], Path(*parents[:depth])))
    folders: dict[str, list[Path]] = {}
    for label, folder in sorted(pairs):
        folders.setdefault(label, []).append(source.images.folder / folder)
    return folders


def _remarks(source: Source, facts: list[_ImageFacts]) -> list[Finding]:
    return [
        Finding("remark", name, remark)
        for name, image in zip(source.names, facts, strict=True)
        for remark in image.remarks
    ]


def _formats(source: Source, facts: list[_ImageFacts]) -> list[Finding]:
    """Files whose content has another format than their name says; they are read anyway."""
    findings = []
    for name, image in zip(source.names, facts, strict=True):
        suffix = PurePath(name).suffix.lower()
        expected = FORMAT_SUFFIXES.get(image.format, (suffix,))
        if suffix in SUFFIXES and image.format and suffix not in expected:
            article = "an" if image.format[0] in "AM" else "a"
            findings.append(Finding("format", name, f"is {article} {image.format} file"))
    return findings


def _small(source: Source, facts: list[_ImageFacts]) -> list[Finding]:
    sides = [image.side for image in facts if image.side]
    if not sides or np.median(sides) < SMALL_PIXELS:
        return []
    return [
        Finding("small", name, f"its shorter side has {image.side} pixels")
        for name, image in zip(source.names, facts, strict=True)
        if 0 < image.side < SMALL_PIXELS
    ]


def _duplicates(source: Source, facts: list[_ImageFacts]) -> list[Finding]:
    """A finding on each group of equal images."""
    return [_group(source, "duplicate", group, "exactly like ") for group in _equal(facts)]


def _equal(facts: list[_ImageFacts]) -> list[list[int]]:
    groups = defaultdict(list)
    for index, image in enumerate(facts):
        if image.digest:
            groups[image.digest].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _near_duplicates(source: Source, facts: list[_ImageFacts]) -> list[Finding]:
    """A finding on each group of nearly equal images; of equal images the first is compared."""
    firsts = {image.digest: i for i, image in reversed(list(enumerate(facts))) if image.digest}
    indices = sorted(firsts.values())
    thumbnails = [one for i in indices if (one := facts[i].thumbnail) is not None]
    if len(thumbnails) < 2:
        return []
    findings = []
    for group in joined(near_duplicates(np.stack(thumbnails))):
        members = [indices[group[0].first], *(indices[one.copy] for one in group)]
        ways = {"mirrored" if one.is_mirrored else "resized or compressed again" for one in group}
        how = f", {' or '.join(sorted(ways, reverse=True))}"
        findings.append(_group(source, "near_duplicate", members, "like ", how))
    return findings


def _group(source: Source, issue: str, members: list[int], alike: str, how: str = "") -> Finding:
    """A finding on a group of copies; its issue says if they are in different classes or splits.

    Args:
        source: the data set with the images.
        issue: "duplicate" or "near_duplicate".
        members: indices of the images, the first copy first.
        alike: how similar they are, such as "exactly like ".
        how: how the copies differ.
    """
    if len({source.labels[index] for index in members}) > 1:
        issue += "_across_classes"
    elif len({source.splits[index] for index in members}) > 1:
        issue += "_across_splits"
    elif how and not source.splits[members[0]]:
        how += "; a random split may part them"
    name, *copies = (source.names[index] for index in members)
    shown = ", ".join(copies[:SHOWN_COPIES])
    if len(copies) == 1:
        detail = f"looks {alike}{shown}{how}"
    else:
        more = f" and {len(copies) - SHOWN_COPIES:,} more" if len(copies) > SHOWN_COPIES else ""
        detail = f"{len(copies):,} others look {alike}it: {shown}{more}{how}"
    return Finding(issue, name, detail, (name, *copies))


def _imbalance(source: Source) -> list[Finding]:
    """Classes with less than a quarter of the images that the median class has."""
    counts = Counter(source.labels.tolist())
    median = float(np.median(list(counts.values())))
    return [
        Finding(
            "imbalance",
            source.class_names[label],
            f"{count_text(count, 'image')}; the median class has {median:.0f}",
        )
        for label, count in sorted(counts.items())
        if count < median / 4
    ]


def _classes(source: Source) -> list[Finding]:
    """Classes that a split lacks, or would lack by chance, and names that differ in case alone."""
    summary = summarize_source(source)
    findings = [
        Finding(f"no_{split}_images", name, f"no images of this class in the {split} split")
        for split, names in summary.classes_without_images.items()
        for name in names
    ]
    for name, *others in summary.names_differing_in_case:
        findings.append(Finding("class_case", name, f"differs from {others[0]} in case alone"))
    return findings + ([] if any(source.splits) else _too_few_for_a_test(source))


def _too_few_for_a_test(source: Source) -> list[Finding]:
    """Classes so small that the default random split holds out none of their images."""
    return [
        Finding(
            "few_images",
            source.class_names[label],
            f"{count_text(count, 'image')}; a random split leaves none for the test",
        )
        for label, count in sorted(Counter(source.labels.tolist()).items())
        if source.is_labelled and not round(count * source.test_fraction)
    ]
