"""The 1,000 classes of ImageNet (ILSVRC-2012): their wnids, words and names.

`imagenet_classes.tsv` has one line per class, sorted by wnid: the wnid (the offset of a noun in
WordNet 3.0), a tab, and the WordNet synset's words. This is the order of the outputs of published
weights (torchvision, Caffe, Keras, timm).

Source: Princeton University, WordNet 3.0, https://wordnet.princeton.edu/license-and-commercial-use
(the notice is in `docs/architecture.md`); the selection is that of
https://image-net.org/challenges/LSVRC/2012/.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

WNID = re.compile(r"n[0-9]{8}")
LABELLED = re.compile(r"(n[0-9]{8})(?:[ _-].*)?|.*\((n[0-9]{8})\)", re.DOTALL)
"""A name with a wnid: "n01440764 tench", "n02085620-Chihuahua", "crane (n02012849)"."""
TORCHVISION_NAMES = {"crane bird": "n02012849", "maillot tank suit": "n03710721"}
"""Torchvision's names that are not the first of a class's words, with the wnids."""
BACKGROUND = ("background", "dummy", "__background__")
"""Names of the class before the 1,000 that TensorFlow's models have."""
MAX_OUT_OF_PLACE = 20
"""A list of 1,000 names is not in sorted order if more of them belong to another place."""


@cache
def imagenet_words() -> dict[str, str]:
    """The words of every class by its wnid, sorted: {"n01440764": "tench, Tinca tinca", ...}."""
    lines = Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


@cache
def imagenet_class_names() -> dict[str, str]:
    """The name of every class by its wnid, sorted; no name occurs twice.

    The name is the first of the words ("tench"); where two classes share it (crane, maillot), each
    has its wnid added: "crane (n02012849)".
    """
    first = {wnid: words.split(", ")[0] for wnid, words in imagenet_words().items()}
    names = list(first.values())
    return {w: name if names.count(name) == 1 else f"{name} ({w})" for w, name in first.items()}


def class_name(wnid: str, words: str = "") -> str:
    """The name of a class.

    Args:
        wnid: wnid of any synset, also of one that is not among the 1,000.
        words: words of such a synset, separated by commas; its name is the first with the wnid.
    """
    other = f"{words.split(',')[0].strip()} ({wnid})" if words.strip() else wnid
    return imagenet_class_names().get(wnid, other)


def match_wnids(names: Sequence[str]) -> tuple[str, ...]:
    """The wnid of every class name, "" where a name has none or could have several.

    A name is the wnid, has it at its start or in parentheses at its end, or is a published
    spelling of one of the 1,000 classes. A name of two classes (crane) is the one that no other
    name stands for. In a list of all 1,000 in sorted order, whose names may be anybody's, the
    place decides; a class `background` before them has no wnid.
    """
    possible = [possible_wnids(name) for name in names]
    num_before = 1 if names and names[0].lower() in BACKGROUND else 0
    if _is_in_sorted_order(possible[num_before:]):
        return ("",) * num_before + tuple(imagenet_words())
    taken = {wnid for wnids in possible if len(wnids) == 1 for wnid in wnids}
    left = [wnids if len(wnids) == 1 else wnids - taken for wnids in possible]
    return tuple(min(wnids) if len(wnids) == 1 else "" for wnids in left)


def possible_wnids(name: str) -> frozenset[str]:
    """The wnids that a class name can stand for; two for crane, none for other words."""
    name = unicodedata.normalize("NFC", name)
    if match := LABELLED.fullmatch(name):
        return frozenset({match[1] or match[2]})
    return _spellings().get(name, frozenset())


def _is_in_sorted_order(possible: Sequence[frozenset[str]]) -> bool:
    """Whether most of 1,000 names stand for the class of their place, and few for another."""
    if len(possible) != len(imagenet_words()):
        return False
    pairs = list(zip(imagenet_words(), possible, strict=True))
    in_place = sum(wnid in wnids for wnid, wnids in pairs)
    out_of_place = sum(bool(wnids) and wnid not in wnids for wnid, wnids in pairs)
    return 2 * in_place > len(pairs) and out_of_place <= MAX_OUT_OF_PLACE


@cache
def _spellings() -> dict[str, frozenset[str]]:
    """The wnids of every published spelling: all words, the first, the first with underscores."""
    found = defaultdict(set)
    for wnid, words in imagenet_words().items():
        first = words.split(", ")[0]
        for spelling in (words, first, first.replace(" ", "_")):
            found[spelling].add(wnid)
    for name, wnid in TORCHVISION_NAMES.items():
        found[name].add(wnid)
    return {spelling: frozenset(wnids) for spelling, wnids in found.items()}
