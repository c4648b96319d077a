"""What a notebook shows: results as small HTML with every text escaped; progress as lines."""

from __future__ import annotations

import base64
import io
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import alexnet
from alexnet.errors import AlexNetError
from alexnet.evaluation.results import compute_metrics
from alexnet.experiments import kept_result
from alexnet.inference.predictions import ClassProbability, Prediction, Predictions
from alexnet.io.html import bar, facts, panel, picture
from alexnet.progress import is_notebook, shell_reporter
from alexnet.training.run_folder import RunFolder, read_metrics

HOSTILE = "<img src=x onerror=alert(1)>\"'&\n"


class Page(HTMLParser):
    """Collects the elements of a page and complains of those that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag != "img":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def images_of(page: Page) -> list[Image.Image]:
    """The images inside a page, which has no others."""
    found = [re.fullmatch(r"data:image/(?:png|jpeg);base64,(.*)", s) for s in page.sources]
    assert all(found)
    return [Image.open(io.BytesIO(base64.b64decode(one[1]))) for one in found if one]


def test_texts_are_escaped_everywhere() -> None:
    page = Page(panel(HOSTILE, [facts([(HOSTILE, HOSTILE)]), picture(b"", HOSTILE)]))
    assert page.tags.count("img") == 1
    assert page.text.count("<img src=x onerror=alert(1)>") == 3
    page = Page(Prediction(HOSTILE, (ClassProbability(HOSTILE, 0.5),), HOSTILE)._repr_html_())
    assert "img" not in page.tags
    table = replace(alexnet.architecture("lenet5"), name=HOSTILE, source=HOSTILE)
    assert "img" not in Page(table._repr_html_()).tags


@pytest.mark.parametrize(("fraction", "length"), [(0.25, 40), (-1.0, 0), (3.0, 160)])
def test_a_bar_is_as_long_as_its_fraction(fraction: float, length: int) -> None:
    assert f"width: {length}px; height" in bar(fraction)


def test_an_architecture_is_its_table() -> None:
    text = alexnet.architecture("alexnet")._repr_html_()
    page = Page(text)
    assert page.tags.count("tr") == 1 + len(alexnet.architecture("alexnet").layers) + 1
    assert "34,944" in page.text
    assert "60,965,224" in page.text
    assert len(text) < 20_000


def test_a_prediction_is_the_image_and_its_bars(flowers: Path) -> None:
    path = sorted(flowers.glob("test/*/*"))[0]
    classes = (ClassProbability("rose", 0.75), ClassProbability("lily", 0.125))
    text = Prediction(str(path), classes)._repr_html_()
    (image,) = images_of(Page(text))
    assert image.size == (96, 96)
    assert "75.0%" in text
    assert len(text) < 10_000
    assert "img" not in Page(Prediction("image 3", classes)._repr_html_()).tags
    assert "unsure" in Prediction("a", classes, is_unsure=True)._repr_html_()
    assert "no answer: damaged" in Prediction("a", error="damaged")._repr_html_()


def test_predictions_of_images_without_files_have_thumbnails(
    trained: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = alexnet.load(trained.path, "cpu")
    gray = [np.full((90, 120, 3), 10 * i, np.uint8) for i in range(22)]
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    plain = classifier.predict(gray)
    assert "img" not in Page(plain._repr_html_()).tags
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    found = classifier.predict([*gray, b"damaged"])
    images = images_of(Page(found._repr_html_()))
    assert [image.getpixel((9, 9)) for image in images] == [(10 * i,) * 3 for i in range(20)]
    assert found[:22] == plain, "a thumbnail is no part of a prediction"


def test_a_list_of_predictions_shows_the_first(trained: RunFolder, flowers: Path) -> None:
    found = alexnet.load(trained.path, "cpu")(sorted(flowers.glob("test/*/*"))[:2])
    assert len(images_of(Page(found._repr_html_()))) == 2
    many = Predictions([Prediction(f"image {i}") for i in range(23)])
    text = many._repr_html_()
    assert "image 19" in text
    assert "image 20" not in text
    assert "and 3 more" in text
    assert many == [Prediction(f"image {i}") for i in range(23)]


def test_an_evaluation_is_errors_and_the_confusion_matrix() -> None:
    names = tuple(f"class <{i}>" for i in range(6))
    labels = np.arange(12) % 6
    probabilities = np.full((12, 6), 0.1, np.float32)
    probabilities[np.arange(12), (labels + (np.arange(12) > 8)) % 6] = 0.5
    evaluation = compute_metrics(probabilities, labels, names, data="photos", split="test")
    text = evaluation._repr_html_()
    page = Page(text)
    assert "photos, test: 12 images" in page.text
    assert "25.0 % (" in page.text
    assert "1 x class <3> as class <4>" in page.text
    (image,) = images_of(page)
    assert 200 < image.width < 1000
    assert len(text) < 100_000


def test_a_run_is_its_errors_and_curves(trained: RunFolder) -> None:
    run = alexnet.Run(trained, tuple(read_metrics(trained)), (), None)
    text = run._repr_html_()
    page = Page(text)
    assert "trained3 epochs" in page.text
    assert len(images_of(page)) == 1
    assert len(text) < 150_000


def test_a_claim_is_its_effects_and_its_verdict() -> None:
    found = kept_result("small-data")
    page = Page(found._repr_html_())
    assert f"small-data: {found.verdict}" in page.text
    assert page.tags.count("tr") == 1 + sum(one.is_primary for one in found.comparisons)
    assert f"{found.protocol} protocol: {found.setting}" in page.text
    assert found.verdict in repr(found)
    assert len(repr(found)) < 100
    assert "img" not in Page(replace(found, claim=HOSTILE, setting=HOSTILE)._repr_html_()).tags
    with pytest.raises(AlexNetError, match="did you mean small-data"):
        kept_result("small-dat")


def test_progress_in_a_notebook_is_lines_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not is_notebook()
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert is_notebook()
    with shell_reporter() as reporter:
        reporter.on_prepare(1, 3)
        reporter.on_prepare(3, 3)
        reporter.note("a note")
    assert capsys.readouterr() == ("prepared 3 of 3 images\na note\n", "")
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not is_notebook()
