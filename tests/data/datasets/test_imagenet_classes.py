"""The 1,000 classes and the spellings of their names."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from alexnet.data.datasets.imagenet_classes import (
    WNID,
    class_name,
    imagenet_class_names,
    imagenet_words,
    match_wnids,
)
from alexnet.io.text import is_file_name

BIRD, MACHINE = "n02012849", "n03126707"
FIRST_WORDS = tuple(words.split(", ")[0] for words in imagenet_words().values())


def test_the_list() -> None:
    words = imagenet_words()
    assert len(words) == 1000
    assert list(words) == sorted(words)
    assert all(WNID.fullmatch(wnid) for wnid in words)
    assert next(iter(words)) == "n01440764"
    assert words["n01440764"] == "tench, Tinca tinca"
    assert words["n02119789"] == "kit fox, Vulpes macrotis"
    assert all(text == text.strip() and text.isascii() for text in words.values())
    place = {wnid: index for index, wnid in enumerate(words)}
    assert [place[wnid] for wnid in (BIRD, MACHINE, "n03710637", "n03710721")] == [
        134,
        517,
        638,
        639,
    ]


def test_no_name_occurs_twice() -> None:
    names = imagenet_class_names()
    assert len(set(names.values())) == 1000
    assert all(map(is_file_name, names.values()))  # of class folders that are written
    assert names[BIRD] == "crane (n02012849)"
    assert names["n03710637"] == "maillot (n03710637)"
    assert (names["n04356056"], names["n04355933"]) == ("sunglasses", "sunglass")
    assert sum("(" in name for name in names.values()) == 4


def test_names_of_other_synsets() -> None:
    assert class_name("n01440764", "ignored") == "tench"
    assert class_name("n00000001", "entity, thing") == "entity (n00000001)"
    assert class_name("n00000001") == "n00000001"


@pytest.mark.parametrize(
    ("name", "wnid"),
    [
        ("n01440764", "n01440764"),
        ("n99999999", "n99999999"),
        ("n02085620-Chihuahua", "n02085620"),
        ("n01440764 tench, Tinca tinca", "n01440764"),
        ("crane (n03126707)", MACHINE),
        ("tench", "n01440764"),
        ("tench, Tinca tinca", "n01440764"),
        ("great_white_shark", "n01484850"),
        ("great white shark", "n01484850"),
        ("crane bird", BIRD),
        ("crane", ""),
        ("Tinca tinca", ""),
        ("Tench", ""),
        ("rose", ""),
        ("n014407645", ""),
    ],
)
def test_spellings(name: str, wnid: str) -> None:
    assert match_wnids([name]) == (wnid,)


def test_a_shared_name_is_the_one_that_is_left() -> None:
    assert match_wnids(["crane", "crane bird"]) == (MACHINE, BIRD)
    assert match_wnids(["crane", "tench"]) == ("", "n01440764")
    assert match_wnids(["crane", "crane"]) == ("", "")


def test_in_sorted_order_the_place_decides() -> None:
    assert match_wnids(FIRST_WORDS) == tuple(imagenet_words())
    others = [name if index % 3 else f"mine {index}" for index, name in enumerate(FIRST_WORDS)]
    assert match_wnids(others) == tuple(imagenet_words())
    assert match_wnids(["background", *FIRST_WORDS]) == ("", *imagenet_words())
    assert match_wnids(["tulip", *FIRST_WORDS])[1] == "n01440764"


def test_in_another_order_the_names_decide() -> None:
    names = list(imagenet_class_names().values())
    random.Random(0).shuffle(names)
    assert [imagenet_class_names()[wnid] for wnid in match_wnids(names)] == names
    shifted = [*FIRST_WORDS[:600], *FIRST_WORDS[601:], "tulip"]
    assert match_wnids(shifted)[600] == list(imagenet_words())[601]
    assert match_wnids(shifted)[999] == ""
    assert match_wnids([f"class {i}" for i in range(1000)]) == ("",) * 1000


def test_the_list_is_read_when_it_is_needed() -> None:
    code = (
        "import alexnet.data.datasets.catalogue, sys;"
        "from alexnet.data.datasets import imagenet_classes as m;"
        "assert 'torch' not in sys.modules;"
        "assert m.imagenet_words.cache_info().currsize == 0"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
