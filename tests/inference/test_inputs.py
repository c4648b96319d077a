"""What `predict` takes: one image or many, in every form; all else is a mistake of the caller."""

from __future__ import annotations

import base64
import gc
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import torch
from PIL import Image

import alexnet
import alexnet.inference.decoding
from alexnet.errors import UsageError
from alexnet.inference.inputs import Input, read_inputs
from alexnet.training.run_folder import RunFolder

RNG = np.random.default_rng(8)
RED = np.clip(RNG.normal((200, 40, 40), 25, (20, 30, 3)), 0, 255).astype(np.uint8)
GRAY = RED[..., 1]


@pytest.fixture(scope="module")
def classifier(trained_once: RunFolder) -> alexnet.Classifier:
    """The tiny run's model."""
    return alexnet.load(trained_once.path, "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images and a text file."""
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(RED).save(folder / "a.png")
    Image.fromarray(RED[:, ::-1]).save(folder / "b.png")
    (folder / "notes.txt").write_text("none")
    return folder


def png(pixels: np.ndarray = RED) -> bytes:
    """A PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def at_its_end() -> io.BytesIO:
    """A file to which an image has just been written."""
    file = io.BytesIO()
    Image.fromarray(RED).save(file, "PNG")
    return file


def spooled() -> object:
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115
    file.write(png())
    return file


class Stream:
    """A source of bytes that cannot seek, as a pipe or a response of a server."""

    def __init__(self) -> None:
        self._file = io.BytesIO(png())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


def chw(pixels: np.ndarray = RED) -> torch.Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


RGBA = np.dstack([RED, np.full(RED.shape[:2], 255, np.uint8)])

ONE_IMAGE: dict[str, Callable[[], object]] = {
    "array": lambda: RED,
    "RGBA array": lambda: RGBA,
    "reversed rows": lambda: RED[::-1][::-1],
    "bytes": png,
    "bytearray": lambda: bytearray(png()),
    "memoryview": lambda: memoryview(png()),
    "BytesIO": lambda: io.BytesIO(png()),
    "BytesIO at its end": at_its_end,
    "spooled file": spooled,
    "stream": Stream,
    "Pillow": lambda: Image.fromarray(RED),
    "lazy Pillow": lambda: Image.open(io.BytesIO(png())),
    "tensor": chw,
    "transposed tensor": lambda: torch.from_numpy(RED).permute(2, 0, 1),
    "RGBA tensor": lambda: chw(RGBA),
    "tensor, channels last": lambda: torch.from_numpy(RED),
    "tensor batch, channels last": lambda: torch.from_numpy(RED)[None],
    "batch of one": lambda: RED[None],
    "tensor batch of one": lambda: chw()[None],
    "list": lambda: [RED],
    "tuple": lambda: (png(),),
    "generator": lambda: iter([chw()]),
}


@pytest.mark.parametrize("make", ONE_IMAGE.values(), ids=ONE_IMAGE)
def test_one_image_in_any_form_is_one_prediction(
    classifier: alexnet.Classifier, folder: Path, make: Callable[[], object]
) -> None:
    (expected,) = classifier.predict([folder / "a.png"])
    value = make()
    (prediction,) = classifier.predict(value)  # type: ignore[arg-type]
    if isinstance(value, tempfile.SpooledTemporaryFile):
        value.close()
    assert prediction.error == ""
    assert prediction.top_classes == expected.top_classes
    assert prediction.image == "image 0"


def test_paths_folders_and_patterns(
    classifier: alexnet.Classifier, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = str(folder / "a.png"), str(folder / "b.png")
    for one in (a, Path(a), np.str_(a)):
        assert [p.image for p in classifier.predict(one)] == [a]
    for many in (str(folder), folder, f"{folder}/*.png", np.array([a, b]), iter([a, b])):
        assert [p.image for p in classifier.predict(many)] == [a, b]
    monkeypatch.chdir(folder)
    assert [p.image for p in classifier.predict("./a.png")] == ["./a.png"]
    with (folder / "a.png").open("rb") as file:
        (prediction,) = classifier.predict(file)
        assert prediction.image == a
        assert not file.closed


def test_a_file_whose_name_looks_like_a_pattern_or_an_address(
    classifier: alexnet.Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photo [1].png", "a*.png", "data:x.png"):
        (tmp_path / name).write_bytes(png())
        (prediction,) = classifier.predict(name)
        assert (prediction.image, prediction.error) == (name, "")


def test_kinds_may_be_mixed_and_are_counted_over_all(
    classifier: alexnet.Classifier, folder: Path
) -> None:
    mixed = [png(), folder, np.stack([GRAY] * 5), chw(), folder / "nothing.png"]
    predictions = classifier.predict(mixed)
    names = [Path(p.image).name for p in predictions]
    images = [f"image {i}" for i in range(3, 9)]
    assert names == ["image 0", "a.png", "b.png", *images, "nothing.png"]
    assert [bool(p.error) for p in predictions] == [False] * 9 + [True]


def test_gray_images(classifier: alexnet.Classifier) -> None:
    (expected,) = classifier.predict(np.stack([GRAY] * 3, -1))
    forms = [
        GRAY, GRAY[..., None], np.dstack([GRAY, np.full_like(GRAY, 255)]), GRAY[None],
        torch.from_numpy(GRAY.copy()), torch.from_numpy(GRAY.copy())[None],
    ]  # fmt: skip
    for form in forms:
        (prediction,) = classifier.predict(form)
        assert prediction.top_classes == expected.top_classes
    assert len(classifier.predict(np.stack([GRAY] * 7))) == 7


def test_an_array_without_images_and_an_empty_list(classifier: alexnet.Classifier) -> None:
    assert classifier.predict(np.zeros((0, 8, 8, 3), np.uint8)) == []
    assert classifier.predict(()) == []


@pytest.mark.parametrize(
    "array",
    [
        RED.astype(np.float32) / 255, RED.astype(np.uint16), RED > 9, RED.transpose(2, 0, 1),
        np.stack([RED.transpose(2, 0, 1)] * 2), np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 0, 4, 3), np.uint8), np.zeros(4, np.uint8),
        np.zeros((1, 1, 4, 4, 3), np.uint8),
        np.array([b"a.png"]), np.array(3),
        chw() / 255, torch.from_numpy(RGBA), torch.zeros(2, 5, 8, 8, dtype=torch.uint8),
        torch.zeros(3, 0, 8, dtype=torch.uint8), torch.zeros(3, 8, 8, dtype=torch.int64),
        torch.zeros(3, 8, 8, dtype=torch.uint8, device="meta"), chw().to_sparse(),
    ],
    ids=lambda a: f"{type(a).__name__} {a.dtype} {tuple(a.shape)}",
)  # fmt: skip
@pytest.mark.parametrize("listed", [False, True])
def test_arrays_that_are_no_image(
    classifier: alexnet.Classifier, array: np.ndarray | torch.Tensor, listed: bool
) -> None:
    with pytest.raises(UsageError, match=r"uint8|transpose|an image is a path.*not list"):
        classifier.predict([array] if listed else array)


@pytest.mark.parametrize(
    ("array", "remedy"),
    [
        (RED.transpose(2, 0, 1), r"array.transpose\(1, 2, 0\) for one image, list\(array\)"),
        (np.stack([RED.transpose(2, 0, 1)]), r"array.transpose\(0, 2, 3, 1\)"),
        (torch.from_numpy(RGBA), r"; tensor.permute\(2, 0, 1\) changes"),
        (torch.from_numpy(RGBA)[None], r"; tensor.permute\(0, 3, 1, 2\) changes"),
        (torch.from_numpy(RED / 255), "wants the values 0 to 255 as uint8"),
        (
            chw()[..., :3],
            r"first or last: use tensor.permute\(1, 2, 0\).numpy\(\) if .* first, ten",
        ),
        (chw()[None, ..., :3], r"first or last: use tensor.permute\(0, 2, 3, 1\).numpy\(\) if"),
        (chw() / 255, "wants the values 0 to 255 as uint8"),
        (RED / 255, "wants the values 0 to 255 as uint8"),
    ],
)
def test_the_way_out_of_a_wrong_array(
    classifier: alexnet.Classifier, array: np.ndarray | torch.Tensor, remedy: str
) -> None:
    with pytest.raises(UsageError, match=remedy):
        classifier.predict(array)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"), (3, "int"), ({"a.png": 1}, "dict"), ([None], "None"), ([3.5], "float"),
        ([["a.png"]], "list"), ([("a.png", 1)], "tuple"), ("", "the text ''"),
        (["a.png", object()], "object"), ("a\0.png", "the text"), (zipfile.ZipFile, "type"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else repr(value),
)  # fmt: skip
def test_what_is_no_image_is_a_mistake_of_the_caller(
    classifier: alexnet.Classifier, value: object, words: str
) -> None:
    with pytest.raises(UsageError, match=r"a path, a folder, .* or a list of these; not ") as error:
        classifier.predict(value)  # type: ignore[arg-type]
    assert words in str(error.value).rpartition("not ")[2] + str(value)


def closed_file() -> io.BytesIO:
    file = io.BytesIO(png())
    file.close()
    return file


def closed_image() -> Image.Image:
    with Image.open(io.BytesIO(png())) as image:
        pass
    image.close()
    return image


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (io.StringIO("text"), "gives str, not bytes; open it with 'rb'"),
        (closed_file(), "BytesIO is closed"),
        (closed_image(), "Pillow image is closed"),
        ("http://example.org/a.jpg", "only addresses that begin with https://"),
        ("file:///a.png", "only addresses that begin with https://"),
        ("data:text/html,<p>", "of data: addresses, those that begin with data:image/"),
        (f"data:,{'x' * 6000}", r"'data:,x+\.\.\.x+' is not read"),
        (base64.b64encode(png()).decode(), r"looks like base64; give base64\.b64decode of it"),
        (base64.b64encode(png()), r"looks like base64; give base64\.b64decode of it"),
        ("nothing*.png", r"there is no image at nothing\*.png"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else type(value).__name__,
)  # fmt: skip
def test_files_and_addresses_that_cannot_be_used(
    classifier: alexnet.Classifier, value: object, words: str
) -> None:
    for given in (value, [value]):
        with pytest.raises(UsageError, match=words):
            classifier.predict(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [4, 60], ids=["short", "longer than a path"])
def test_an_image_in_a_data_address(classifier: alexnet.Classifier, side: int) -> None:
    pixels = RNG.integers(0, 256, (side, side, 3), dtype=np.uint8)
    text = base64.b64encode(png(pixels)).decode()
    (expected,) = classifier.predict(pixels)
    for address in (f"data:image/png;base64,{text}", f"DATA:image/png;name=a;base64,{quote(text)}"):
        assert classifier.predict(["missing.png", address])[1].label == expected.label
        assert classifier.predict(address) == [expected], "it has no name"


def test_data_addresses_that_are_damaged(
    classifier: alexnet.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    (prediction,) = classifier.predict("data:image/png;base64,A*")
    assert "base64 of the data: address is damaged" in prediction.error
    (prediction,) = classifier.predict("data:image/png;base64,AAAA")
    assert "not a whole image" in prediction.error
    for limit in (30, 80):
        monkeypatch.setattr("alexnet.inference.inputs.MAX_IMAGE_BYTES", limit)
        (prediction,) = classifier.predict(f"data:image/png;base64,{'A' * 120}")
        assert prediction.error == f"the data: address is longer than {limit} bytes"


def test_texts_that_are_longer_than_paths_can_be(
    classifier: alexnet.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    with pytest.raises(UsageError, match=r"https://a\.b/x+\.\.\.x+ is not read, since") as error:
        classifier.predict(f"https://a.b/{'x' * 5000}")
    assert len(str(error.value)) < 300
    bad, good = classifier.predict(["x" * 5000, RED])
    assert "too long" in bad.error
    assert good.label


class Table:
    """What pandas.DataFrame has in common with this: its items are the names of its columns."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns
        self.iloc = object()

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


@pytest.mark.parametrize(
    ("columns", "advice"),
    [(("label", "Image"), r"df\['Image'\]"), (("a", "b"), r"df\['path'\]")],
)
def test_a_table_is_told_to_give_its_column(
    classifier: alexnet.Classifier, columns: tuple[str, ...], advice: str
) -> None:
    for value in (Table(*columns), [Table(*columns)]):
        for call in (classifier.predict, classifier.features, classifier.explain):
            with pytest.raises(UsageError, match=f"a Table .columns .*give the column .*{advice}"):
                call(value)  # type: ignore[operator]


@pytest.mark.parametrize("mode", ["I", "I;16"])
def test_values_of_8_bits_in_an_image_of_more(classifier: alexnet.Classifier, mode: str) -> None:
    values = GRAY.astype(np.int32 if mode == "I" else np.uint16)
    assert Image.fromarray(values).mode == mode
    bad, gray, deep = classifier.predict(
        [
            Image.fromarray(values),
            Image.fromarray(values).convert("I").convert("L"),
            Image.fromarray(values << 8),
        ]
    )
    assert f"of mode {mode} with values up to {GRAY.max()} is black" in bad.error
    assert gray.top_classes == deep.top_classes
    (black,) = classifier.predict(Image.fromarray(0 * values))
    assert black.label


def test_a_folder_without_images(classifier: alexnet.Classifier, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(UsageError, match=f"there is no image at {tmp_path}"):
        classifier.predict(tmp_path)


def test_no_address_is_read_offline(
    classifier: alexnet.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    with pytest.raises(UsageError, match=r"a.jpg is not read, since \$ALEXNET_OFFLINE is set"):
        classifier.predict("https://example.invalid/a.jpg")


@pytest.mark.parametrize("content", [png()[:-40], b"nothing", b""])
def test_damaged_content_is_an_error_of_that_image(
    classifier: alexnet.Classifier, content: bytes
) -> None:
    for form in (content, io.BytesIO(content)):
        bad, good = classifier.predict([form, RED])
        assert bad.error
        assert good.top_classes
    if content.startswith(b"\x89PNG"):
        (lazy,) = classifier.predict(Image.open(io.BytesIO(content)))
        assert lazy.error


def test_a_mistake_of_the_program_is_raised(
    classifier: alexnet.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*arguments: object) -> np.ndarray:
        raise TypeError("unsupported operand")

    monkeypatch.setattr(alexnet.inference.decoding, "decode", mistaken)
    for value in (RED, [RED, png()], iter([RED])):
        with pytest.raises(TypeError, match="unsupported operand"):
            classifier.predict(value)


def frames() -> Iterator[np.ndarray]:
    """As from a camera: the same array, filled again."""
    frame = np.empty_like(RED)
    for shift in range(3):
        frame[:] = np.roll(RED, 70 * shift)
        yield frame


def opened(folder: Path) -> Iterator[Image.Image]:
    """Images that are closed when the next one is asked for."""
    for name in ("a.png", "b.png"):
        with Image.open(folder / name) as image:
            yield image


def files(folder: Path) -> Iterator[io.BufferedReader]:
    for name in ("a.png", "b.png"):
        with (folder / name).open("rb") as file:
            yield file


def test_what_an_iterator_gives_is_read_before_the_next_is_asked_for(
    classifier: alexnet.Classifier, folder: Path
) -> None:
    expected = classifier.predict([frame.copy() for frame in frames()])
    assert classifier.predict(frames()) == expected
    assert len({p.top_classes for p in expected}) == 3
    paths = [p.top_classes for p in classifier.predict(folder)]
    assert [p.top_classes for p in classifier.predict(opened(folder))] == paths
    assert [p.top_classes for p in classifier.predict(files(folder))] == paths


def test_an_endless_iterator_is_not_read_ahead(
    classifier: alexnet.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alexnet.inference.decoding, "DECODE_BATCH", 2)
    given = 0

    def endless() -> Iterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield png()

    def stop(done: int, total: int) -> None:
        assert done == total
        assert given <= done + 4
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classifier.predict(endless(), on_progress=stop)


def test_one_file_may_be_given_twice(classifier: alexnet.Classifier) -> None:
    file = io.BytesIO(png())
    assert len({p.top_classes for p in classifier.predict([file] * 20)}) == 1


@pytest.mark.parametrize("top", [0, -1, 1.5, None, "3", True])
def test_top_is_checked(classifier: alexnet.Classifier, top: object) -> None:
    with pytest.raises(UsageError, match=f"top must be a whole number of at least 1, not {top!r}"):
        classifier.predict(RED, top=top)  # type: ignore[arg-type]
    assert len(classifier.predict(RED, top=np.int64(2))[0].top_classes) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("crops", [0, 5, "10", None, 1.0, True])
def test_crops_are_checked(classifier: alexnet.Classifier, crops: object) -> None:
    with pytest.raises(UsageError, match=f"crops must be 1 or 10, not {crops!r}"):
        classifier.predict(RED, crops=crops)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"crops must be 1 or 10, not {crops!r}"):
        classifier.probabilities(RED[None], crops)  # type: ignore[arg-type]


def test_arrays_are_not_copied() -> None:
    """A batch of images costs no memory before its images are decoded."""
    batch = np.zeros((3, 4, 5, 3), np.uint8)
    inputs = read_inputs(batch)
    batch[:] = 7
    assert [np.asarray(one.open(0)).min() for one in inputs] == [7, 7, 7]  # type: ignore[call-overload]


def test_of_the_files_of_a_folder_only_the_names_are_kept(folder: Path) -> None:
    before = sum(isinstance(one, Input) for one in gc.get_objects())
    inputs = read_inputs(folder)
    assert isinstance(inputs, Sized)
    assert len(inputs) == 2
    assert sum(isinstance(one, Input) for one in gc.get_objects()) == before
    assert [one.name for one in inputs] == [str(folder / "a.png"), str(folder / "b.png")]


@pytest.mark.gpu
def test_tensors_on_a_gpu(classifier: alexnet.Classifier) -> None:
    assert classifier.predict(chw().cuda()) == classifier.predict(chw())
