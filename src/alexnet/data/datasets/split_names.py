"""Which split a name means: "Training", "seg_train", "dev" and "hold-out" are split names.

Words alone do not make a split: a class may be called "test tube". So `folder_layout.py` also asks
how the folders are nested.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from alexnet.errors import DataError

SPLIT_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "development", "eval", "evaluation"),
    "test": ("test", "tests", "testing", "holdout", "heldout"),
}
GENERIC_WORDS = frozenset(
    {
        *("data", "dataset", "datasets", "examples", "files", "folder", "part", "raw", "samples"),
        *("image", "images", "img", "imgs", "jpeg", "jpg", "photos", "pics", "pictures", "png"),
        *("set", "sets", "split", "subset"),
    }
)
"""Words that say nothing about what images show, in the names of splits and of folders."""
_SPLIT_OF_WORD = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_COMPOUND = re.compile(
    f"({'|'.join(sorted(_SPLIT_OF_WORD, key=len, reverse=True))})({'|'.join(GENERIC_WORDS)})"
)
_HOLD_OUT = re.compile(r"\bh[eo]ld[\W_]*out")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\W\d_]+")


class SplitName(NamedTuple):
    """A name with exactly one split in it."""

    split: str
    """"train", "val" or "test"."""
    rest: str
    """The other words: "seg" of "seg_train"; "" of "train", "Training Set" and "test_images2"."""


def parse_split_name(name: str) -> SplitName | None:
    """The split that a name means and the other words in it; None without a split, or with two.

    Case, separators, digits, and words such as "set" and "images" do not count.
    """
    words = _words(name)
    splits = {_SPLIT_OF_WORD[word] for word in words if word in _SPLIT_OF_WORD}
    if len(splits) != 1:
        return None
    rest = [word for word in words if word not in _SPLIT_OF_WORD and word not in GENERIC_WORDS]
    return SplitName(splits.pop(), " ".join(rest))


def split_of(name: str) -> str:
    """The split that a name means if it has no other words; else ""."""
    parsed = parse_split_name(name)
    return parsed.split if parsed and not parsed.rest else ""


def splits_of_files(names: Sequence[str], shown: Sequence[object]) -> list[str]:
    """The splits of the files of a data set, all "" where their names mean none.

    A split is in the name before the first - ("train-00000-of-00002.parquet"), in the whole name,
    beside other words that all files share ("imagenet-val-000003.tar"), or that of a folder.

    Args:
        names: paths relative to the data set, with slashes.
        shown: what messages call the files.

    Raises:
        DataError: some names mean a split, and others none.
    """
    splits = [_split_of_file(name) for name in names]
    if not any(splits):
        parsed = [parse_split_name(name.rpartition("/")[2].partition(".")[0]) for name in names]
        if all(parsed) and len({one.rest for one in parsed if one}) == 1:
            splits = [one.split for one in parsed if one]
    if any(splits) and not all(splits):
        raise DataError(
            f"the name of {shown[splits.index('')]} means no split, and that of others does"
        )
    return splits


def _split_of_file(name: str) -> str:
    *folders, last = name.rpartition(".")[0].split("/")
    splits = (split_of(word) for word in (last, last.partition("-")[0], *reversed(folders)))
    return next(filter(None, splits), "")


def is_generic(name: str) -> bool:
    """Whether a folder's name says nothing about its images, as "images" or "JPG data" do."""
    words = _words(name)
    return bool(words) and all(word in GENERIC_WORDS for word in words)


def _words(name: str) -> list[str]:
    """The words of a name in lower case; "trainset" is two."""
    text = _HOLD_OUT.sub("holdout", _CAMEL.sub(" ", name).lower())
    words = [word for word in _SEPARATORS.split(text) if word]
    return [part for word in words for part in _parts(word)]


def _parts(word: str) -> tuple[str, ...]:
    found = _COMPOUND.fullmatch(word)
    return (found[1], found[2]) if found else (word,)
