"""What the labels of a list may be in place of classes: quantities, several at once, missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations

from alexnet.io.text import short_repr

NO_MULTI_LABEL = (
    "a classifier here gives an image one label (multi-label data is not supported): keep one "
    "label per image"
)
MISSING = ("nan", "null", "n/a", "<na>", "?")
"""How programs write a value that is not there; each may be a class as well."""
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?", re.IGNORECASE)
WHOLE = re.compile(r"[+-]?[0-9]+")
MIN_NUMBERS = 5
"""Labels that are fewer different numbers than this are not taken for a quantity."""
MANY_NUMBERS, FEW_IMAGES = 10, 5
"""Whole numbers may be a quantity if there are more different ones than the digits, and fewer
images of each."""
DECIMAL = re.compile(r"[+-]?[0-9]+(?:,[0-9]+)?")
"""Matches a number with the comma that most of Europe writes for the decimal point."""
BARS, COMMAS, SPACES = r"\s*[|;]\s*", r"\s*,\s*", r"\s+"
SEPARATORS = (BARS, COMMAS, SPACES)
"""Separators of several labels in one cell."""
PHRASE_WORDS = frozenset(("a", "and", "at", "for", "in", "of", "on", "or", "the", "to", "with"))
"""Words that join others to the name of one class: "ace of spades"."""
MIN_COMBINATIONS = 4
MIN_RECURRING = 0.8
"""Fraction of the parts of labels that must be in more than one label to be labels themselves."""
MANY_LABELS = 10_000
"""Different labels above which those of few images are not looked at as combinations."""
MIN_FREE = 0.2
"""Fraction of the parts between spaces that must be at several positions in labels."""


def quantity_error(counts: Counter[str]) -> str:
    """Why labels cannot be classes: numbers with fractions, over half as many as images; else "".

    Args:
        counts: number of images of each label.
    """
    fractions = _fractions(counts)
    if not fractions or 2 * len(counts) <= counts.total():
        return ""
    return (
        f"its {counts.total():,} images have {len(counts):,} different numbers as labels, such as "
        f"{fractions[0]}: this looks like regression, which is not supported; for a classifier "
        'put the numbers into ranges, such as "20-30", and use these as labels'
    )


def quantity_note(counts: Counter[str], *, is_named: bool) -> str:
    """A sentence on labels that are numbers and may be a quantity; "" if they are not.

    Args:
        counts: number of images of each label.
        is_named: whether the column has the name of a column of labels.
    """
    numbers = _numbers(counts)
    is_many = len(numbers) > MANY_NUMBERS and (
        not is_named or counts.total() < FEW_IMAGES * len(numbers)
    )
    if not _fractions(counts) and not is_many:
        return ""
    low, high = (function(numbers, key=float) for function in (min, max))
    return (
        f"the labels are {len(numbers):,} numbers from {low} to {high}, each of which is a class, "
        "without their order; if they are a quantity, such as an age, put them into ranges"
    )


def _numbers(counts: Counter[str]) -> list[str]:
    """The labels without those for missing values; none unless all of them are numbers."""
    labels = [label for label in counts if label.casefold() not in MISSING]
    return labels if all(map(NUMBER.fullmatch, labels)) else []


def _fractions(counts: Counter[str]) -> list[str]:
    """The labels that are no whole numbers, if all are numbers and at least `MIN_NUMBERS`."""
    numbers = _numbers(counts)
    if len(numbers) < MIN_NUMBERS:
        return []
    return [label for label in numbers if not WHOLE.fullmatch(label)]


def combination_note(counts: Counter[str], *, is_plural: bool) -> str:
    """A sentence if labels look like several labels of one image; else "".

    They do if most are combinations of the same parts. Some are enough with bars or semicolons,
    which names lack; and where parts are at several places, with commas, or with spaces in a
    column such as "tags".

    "white king" and "black king" are more likely the names of classes; "clear", "haze road" and
    "road clear" are more likely combinations of labels.

    Numbers with a decimal comma are none, unless the column is one of tags.

    Args:
        counts: number of images of each label.
        is_plural: whether the column has a name such as "tags".
    """
    if len(counts) > MANY_LABELS and counts.total() < FEW_IMAGES * len(counts):
        return ""  # each image has a text of its own, and to compare a million takes long
    are_decimals = not is_plural and all(map(DECIMAL.fullmatch, counts))
    for separator in SEPARATORS:
        if separator == COMMAS and are_decimals:
            continue
        split = {label: re.split(separator, label) for label in counts}
        is_sure = separator != SPACES or is_plural
        if (parts := _shared_parts(split)) and (is_sure or _are_free(split.values())):
            found = (
                f"most labels are combinations of the same {len(parts)} parts, such as "
                f"{short_repr(_joined(split)[0])}, and each combination is a class"
            )
        elif is_sure and (joined := _joined(split)) and (separator == BARS or _is_loose(split)):
            found = (
                f"combinations such as {short_repr(joined[0])} ({len(joined):,} of "
                f"{len(split):,} labels) are classes of their own"
            )
        else:
            continue
        return f"{found}; if the parts are labels, {NO_MULTI_LABEL}"
    return ""


def _shared_parts(split: Mapping[str, list[str]]) -> set[str]:
    """The parts of which most labels are combinations; empty if they are not.

    Args:
        split: the parts of each label.
    """
    joined = _joined(split)
    if len(joined) < MIN_COMBINATIONS or 2 * len(joined) <= len(split):
        return set()
    uses = Counter(part for parts in split.values() for part in set(parts))
    parts = {part for label in joined for part in split[label]}
    num_recurring = sum(uses[part] > 1 for part in parts)
    are_shared = len(parts) <= len(split) and num_recurring >= MIN_RECURRING * len(parts)
    return parts if are_shared else set()


def _is_loose(split: Mapping[str, list[str]]) -> bool:
    """Whether half of the joined labels have a part that is at another place in other labels."""
    places, joined = _places(split.values()), _joined(split)
    loose = [label for label in joined if any(len(places[part]) > 1 for part in split[label])]
    return 2 * len(loose) >= len(joined)


def _joined(split: Mapping[str, list[str]]) -> list[str]:
    """The labels that may be several."""
    return [label for label, parts in split.items() if _is_joined(parts)]


def _is_joined(parts: list[str]) -> bool:
    """Whether the parts of a label may be several labels."""
    return len(set(parts)) > 1 and "" not in parts and not PHRASE_WORDS.intersection(parts)


def _are_free(labels: Collection[list[str]]) -> bool:
    """Whether parts between spaces are labels in any order, and not the words of one name.

    Then many of them are at several positions, counted from the end, as adjectives are not.
    """
    places = _places(labels)
    num_free = sum(len(found) > 1 for found in places.values())
    return num_free >= MIN_FREE * len(places) and _are_sets(labels)


def _places(labels: Collection[list[str]]) -> dict[str, set[int]]:
    """The positions of each part in labels, counted from the end; one in each label."""
    places: dict[str, set[int]] = {}
    for parts in labels:
        for place, part in enumerate(dict.fromkeys(reversed(parts))):
            places.setdefault(part, set()).add(place)
    return places


def _are_sets(labels: Collection[list[str]]) -> bool:
    """Whether parts are always in the same order, or the same parts also come in another order.

    This holds for the labels of an image, which a program writes sorted or unsorted; it does not
    for names such as "turn left" and "no left turn".
    """
    pairs = {pair for parts in labels for pair in combinations(parts, 2)}
    if not any(a != b and (b, a) in pairs for a, b in pairs):
        return True
    return len({frozenset(parts) for parts in labels}) < len(labels)


def case_notes(counts: Counter[str]) -> Iterator[str]:
    """A sentence on each label that differs from another one in case alone."""
    forms: dict[str, str] = {}
    for label in sorted(counts):
        if (known := forms.setdefault(label.casefold(), label)) != label:
            yield (
                f"the classes {known!r} and {label!r} differ in upper and lower case alone; "
                "if they are one class, write it in one way"
            )


def missing_value_notes(counts: Counter[str]) -> Iterator[str]:
    """A sentence on each label that may stand for a missing one."""
    for label in [label for label in counts if label.casefold() in MISSING]:
        images = "1 image has" if counts[label] == 1 else f"{counts[label]:,} images have"
        yield (
            f"{images} the label {label!r}, which is taken as a class; if the label is missing, "
            "remove the image or complete the list"
        )
