"""Classes of data and of a model, matched by wnid or name."""

from __future__ import annotations

import unicodedata
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from alexnet.data.datasets.imagenet_classes import imagenet_class_names, imagenet_words
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.evaluation.alignment import align_labels, match_classes
from alexnet.inference.classifier import Classifier

WNIDS = tuple(imagenet_words())
NAMES = tuple(imagenet_class_names().values())
FIRST_WORDS = tuple(words.split(", ")[0] for words in imagenet_words().values())
"""As in the lists of Keras and of torch hub: crane and maillot twice."""
TREES = ("ash", "birch", "cedar", "date", "elm", "fir")
MESSAGE = r"does not know the class 'oak' of trees; its 6 classes are ash, birch, cedar, date, elm "


def test_by_name() -> None:
    info = SimpleNamespace(class_names=("fir", "ash", "elm"), name="trees")
    store = cast(Store, SimpleNamespace(info=info, labels=np.array([0, 1, 2, 1])))
    classifier = cast(Classifier, SimpleNamespace(class_names=TREES))
    assert align_labels(classifier, store).tolist() == [5, 0, 4, 0]
    with pytest.raises(DataError, match=MESSAGE):
        match_classes(TREES, ("ash", "oak"), "trees")


def test_composed_and_decomposed_names_are_equal() -> None:
    names = ("caf\u00e9", "th\u00e9")
    decomposed = tuple(unicodedata.normalize("NFD", name) for name in names)
    assert decomposed != names
    assert match_classes(names, decomposed[::-1], "drinks") == [1, 0]
    assert match_classes(decomposed, names[::-1], "drinks") == [1, 0]
    with pytest.raises(DataError, match="does not know the class 'CAF"):
        match_classes(names, ("CAF\u00c9", "th\u00e9"), "drinks")


@pytest.mark.parametrize(
    "model",
    [
        NAMES,
        FIRST_WORDS,
        tuple(imagenet_words().values()),
        tuple(name.replace(" ", "_") for name in FIRST_WORDS),
        tuple(name if i % 3 else f"other {i}" for i, name in enumerate(FIRST_WORDS)),
        WNIDS,
    ],
    ids=["ours", "first words", "all words", "underscores", "other names", "wnids"],
)
def test_by_wnid_whatever_the_names_are(model: tuple[str, ...]) -> None:
    cranes = ("n02012849", "crane (n03126707)", "maillot (n03710721)", "n01440764 tench")
    assert match_classes(model, cranes, "imagenet") == [134, 517, 639, 0]
    assert match_classes(model, NAMES[::-1], "imagenet") == list(range(999, -1, -1))
    background = ("background", *model)
    assert match_classes(background, cranes, "imagenet") == [135, 518, 640, 1]


def test_by_wnid_in_any_order_of_the_model() -> None:
    devkit_order = ("n02119789 kit fox", "n02100735 English setter", "n02012849 crane")
    assert match_classes(devkit_order, ("n02012849", "kit fox"), "few") == [2, 0]


def test_shared_names_are_refused() -> None:
    several = r"^the class 'crane' of birds could be 'crane \(n02012849\)' or 'crane \(n03126707\)'"
    with pytest.raises(DataError, match=several):
        match_classes(NAMES, ("tench", "crane"), "birds")
    with pytest.raises(DataError, match="in ImageNet 'crane' is n02012849 or n03126707"):
        match_classes(("tench", "crane (n02012849)"), ("tench", "crane"), "birds")
    torchvision = list(FIRST_WORDS)
    torchvision[134] = "crane bird"
    with pytest.raises(DataError, match="could be 'crane bird' or 'crane' of the model"):
        match_classes(torchvision, ("crane", "tench"), "birds")
    assert match_classes(torchvision, ("crane", "crane bird"), "birds") == [517, 134]
    assert match_classes(("crane", "gull"), ("crane",), "birds") == [0]


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="the model has 2 classes called 'ash', so that 'ash' of"):
        match_classes(("ash", "fir", "ash"), ("fir", "ash"), "trees")
    assert match_classes(("ash", "fir", "ash"), ("fir",), "trees") == [1]
    model = list(FIRST_WORDS)
    model[657], model[744] = "rocket thing", "missile"
    with pytest.raises(DataError, match="'missile' of x could be 'rocket thing' or 'missile'"):
        match_classes(model, ("missile",), "x")


def test_numbers_are_imagenets_if_all_are_there() -> None:
    numbers = tuple(sorted(map(str, range(1000))))
    assert match_classes(NAMES, numbers, "v2") == [int(number) for number in numbers]
    assert match_classes(("background", *NAMES), numbers, "v2")[1] == 2
    with pytest.raises(DataError, match=r"the class '0' of few; .* wnid in place of the number$"):
        match_classes(NAMES, ("0", "1"), "few")
    assert match_classes(("1", "0"), ("0", "1"), "digits") == [1, 0]


def test_a_model_without_names() -> None:
    with pytest.raises(DataError, match="class 0, class 1; import it again with --class-names"):
        match_classes(("class 0", "class 1"), ("n01440764",), "few")
