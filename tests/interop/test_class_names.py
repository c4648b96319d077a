"""Lists of class names in the forms in which they are published and saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet.data.datasets.imagenet_classes import imagenet_class_names, imagenet_words
from alexnet.errors import ModelFileError
from alexnet.interop.class_names import (
    default_class_names,
    fit_to_outputs,
    is_imagenet,
    is_out_of_order,
    read_class_names,
)

NAMES = tuple(imagenet_class_names().values())
CRANES = ("tench", "crane (n02012849)", "crane (n03126707)")
INDEX = {"2": ["n03126707", "crane"], "0": ["n01440764", "tench"], "1": ["n02012849", "crane"]}
CONFIG = {
    "architectures": ["Net"],
    "id2label": {"1": "tulip", "0": "rose"},
    "label2id": {"rose": 0},
}
TWO = ("rose", "tulip")


def read(tmp_path: Path, content: str | bytes, name: str = "names.txt") -> tuple[str, ...]:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_class_names(path)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("\ufeffrose\r\n ox eye \r\n\r\n", ("rose", "ox eye")),
        ("rose\ntulip\n".encode("utf-16"), TWO),
        (
            "tench, Tinca tinca\ngoldfish, Carassius\n",
            ("tench, Tinca tinca", "goldfish, Carassius"),
        ),
        ("0\n1\n2\n", ("0", "1", "2")),
        ("[none]\nrose\n", ("[none]", "rose")),
        (f"{'9' * 5000},a\n1,b\n", (f"{'9' * 5000},a", "1,b")),
        (f"{'x' * 200_000},0\ny,1\n", (f"{'x' * 200_000},0", "y,1")),
        ("3 dogs\n7 cats\n", ("3 dogs", "7 cats")),
        ("0 rose\n1 tulip\n", TWO),
        ("2: tulip\n1: rose\n", TWO),
        ("0: 'rose',\n1: 'tulip',\n", TWO),
        ("names:\n  0: rose\n  1: tulip\n", TWO),
        ("0 tench, Tinca tinca\n1 goldfish\n", ("tench, Tinca tinca", "goldfish")),
        ('index,name\n0,rose\n1,"ox-eye, daisy"\n', ("rose", "ox-eye, daisy")),
        ("class;id\ntulip;1\nrose;0\n", TWO),
        ("rose\t0\ntulip\t1\n", TWO),
        ("id,group,name\n0,a,rose\n1,b,tulip\n", TWO),
        ("id,wnid,name\n0,n01440764,x\n1,n99999999,y\n", ("tench", "y (n99999999)")),
        ("['rose', 'tulip']", TWO),
        ("{0: 'rose',\n 1: 'tulip'}\n", TWO),
        ('["rose", "tulip"]', TWO),
        ('{"1": "tulip", "0": "rose"}', TWO),
        ('{"tulip": 1, "rose": 0}', TWO),
        ('{"names": ["rose", "tulip"], "nc": 2}', TWO),
        (json.dumps(CONFIG), TWO),
        (json.dumps(INDEX), CRANES),
        (json.dumps(list(INDEX.values())[1:]), CRANES[:2]),
        ('{"n01440764": "tench, Tinca tinca", "n02012849": "crane"}', CRANES[:2]),
        ('{"n02012849": 1, "n01440764": 0}', CRANES[:2]),
        ('{"n01440764": 1, "n02012849": 0}', CRANES[1::-1]),
        ("n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\n", CRANES),
        ("n01440764\nn02012849\n", CRANES[:2]),
        ("n01440764,tench\nn02012849,crane\n", CRANES[:2]),
        ("background\nn01440764 tench\n", ("background", "tench")),
        ("n00000001 entity, thing\nn01440764 x\n", ("entity (n00000001)", "tench")),
        ("n02012849 2 crane\nn01440764 1 tench\n", CRANES[:2]),
        ("crane bird\ncrane\n", ("crane bird", "crane")),
    ],
)
def test_forms(tmp_path: Path, content: str | bytes, names: tuple[str, ...]) -> None:
    assert read(tmp_path, content) == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no class names"),
        (b"[]", "has no class names"),
        (b"{}", "has no class names"),
        (b"\xff\xfe\x00", "is not UTF-8 text; save it"),
        ("caf\u00e9".encode("cp1252"), "is not UTF-8 text; save it"),
        (b"rose\ntulip\nrose\n", "has 2 classes called 'rose'; give every class a name"),
        (b"crane\ncrane\n", "has 2 classes called 'crane'"),
        (b'{"0": "rose", "2": "tulip"}', "numbers its 2 classes from 0 to 2 with gaps"),
        (b'{"rose": 0, "tulip": 0}', "numbers its 2 classes from 0 to 0 with gaps or twice"),
        (b'{"rose": "red", "tulip": "blue"}', "does not number its classes"),
        (b'{"n02012849": "crane", "n01440764": "tench"}', "does not number its classes"),
        (b'{"0": {"a": 1}}', "is no list of class names"),
        (b"[1, 2]", "is no list of class names"),
        (b'{"a": [1]}', "does not number its classes"),
        (b"[" * 100_000, "is neither JSON nor a Python literal"),
        (b"{1: " + b"-" * 100_000, "is neither JSON nor a Python literal"),
        (b"{'a': 0}" + b" " * (1 << 18) + b"#", "is neither JSON nor a Python literal"),
    ],
)
def test_files_that_are_no_lists(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        read(tmp_path, content, "names.json")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no file"):
        read_class_names(tmp_path / "none.txt")
    with pytest.raises(ModelFileError, match="cannot be read as class names"):
        read_class_names(tmp_path)


def test_the_published_lists_of_1000(tmp_path: Path) -> None:
    words = imagenet_words()
    synset_words = "\n".join(f"{wnid} {text}" for wnid, text in words.items())
    assert read(tmp_path, synset_words) == NAMES
    first = [text.split(", ")[0] for text in words.values()]
    keras = {str(i): [wnid, first[i].replace(" ", "_")] for i, wnid in enumerate(words)}
    assert read(tmp_path, json.dumps(keras)) == NAMES
    hub = read(tmp_path, "\n".join(first))
    assert hub[:2] == ("tench", "goldfish")
    assert (hub[134], hub[517]) == ("crane (n02012849)", "crane (n03126707)")
    with_background = read(tmp_path, "\n".join(["background", *first]))
    assert (with_background[0], with_background[135]) == ("background", "crane (n02012849)")
    indexed = str(dict(enumerate(words.values())))
    assert read(tmp_path, indexed)[:2] == ("tench, Tinca tinca", "goldfish, Carassius auratus")


def test_another_order_is_noticed() -> None:
    assert not is_out_of_order(NAMES)
    assert not is_out_of_order(TWO)
    assert not is_out_of_order([f"class {i}" for i in range(1000)])
    assert not is_out_of_order(("goldfish", "tench"))
    assert is_out_of_order(NAMES[::-1])
    assert is_out_of_order(NAMES[200:300] + NAMES[:100])


def test_background() -> None:
    assert fit_to_outputs(("background", *TWO), 2) == TWO
    assert fit_to_outputs(("rose", *TWO), 2) == ("rose", *TWO)
    assert fit_to_outputs(NAMES, 1001) == ("background", *NAMES)
    assert fit_to_outputs(TWO, 3) == TWO
    assert fit_to_outputs((), 2) == ()
    assert is_imagenet(("background", *NAMES[::-1]))
    assert not is_imagenet(("tulip", *NAMES))


def test_names_of_models_without_names() -> None:
    assert default_class_names(2) == ("class 0", "class 1")
    assert default_class_names(1000) == NAMES
    assert default_class_names(1001) == ("background", *NAMES)
