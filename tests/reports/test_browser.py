"""The page in Chromium: a thousand classes with hostile names, pointer, keyboard, phone, print."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.data.splits import Splits
from alexnet.data.store.store import Store, StoreInfo
from alexnet.evaluation.results import compute_metrics
from alexnet.evaluation.summary import summarize_evaluation
from alexnet.pages.page import render_page
from alexnet.reports import report_content
from alexnet.reports.confusion import MAX_PRINTED
from alexnet.reports.predictions import ImagePrediction
from alexnet.reports.run_report import TEMPLATES
from alexnet.reports.stored_images import RunData
from alexnet.reports.stored_run import read_run
from alexnet.training.run_folder import RunFolder
from support.browser import chromium, open_page

NUM_CLASSES, NUM_IMAGES, SIDE = 1000, 4000, 128
HOSTILE = (
    "<script>window.hacked = 1</script>", '"><img src=x onerror="window.hacked=1">', "'\"&{{7*7}}",
    "\u202egnp.exe", "שושנה", "🌷" * 40, "x" * 300, "</script><b>", "a\nb", "\udcff",
)  # fmt: skip
CSV_NAMES = [name.replace('"', '""') for name in HOSTILE if name.isprintable()]


def many_classes(own: RunFolder, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page of a run with a thousand classes, whose names and images are made here."""
    rng = np.random.default_rng(0)
    names = (*HOSTILE, *(f"class {i}" for i in range(NUM_CLASSES - len(HOSTILE))))
    labels = np.arange(NUM_IMAGES) % NUM_CLASSES
    probabilities = rng.random((NUM_IMAGES, NUM_CLASSES)).astype(np.float32) * 0.1
    probabilities[np.arange(NUM_IMAGES), labels] += rng.random(NUM_IMAGES) * 0.3
    probabilities /= probabilities.sum(1, keepdims=True)
    evaluation = compute_metrics(probabilities, labels, names, data="made", split="test")
    files = tuple(f"{HOSTILE[i % len(HOSTILE)]}/{i}.jpg" for i in range(NUM_IMAGES))
    own_probability, predicted = (
        probabilities[np.arange(NUM_IMAGES), labels],
        probabilities.argmax(1),
    )
    predictions = tuple(
        ImagePrediction(
            i, files[i], int(labels[i]), int(predicted[i]), float(own_probability[i]),
            float(probabilities[i, predicted[i]]),
        )
        for i in np.argsort(own_probability)
    )  # fmt: skip
    info = StoreInfo(
        name="made", fingerprint="", resize="stretch", side=SIDE, test_fraction=0.5,
        class_names=names, rejected=(), skipped=(), names=files, splits=("",) * NUM_IMAGES,
    )  # fmt: skip
    noise = rng.integers(0, 256, (64, SIDE, SIDE, 3), np.uint8)
    images = noise[np.arange(NUM_IMAGES) % 64]
    moments = rng.random((NUM_IMAGES, 9))
    store = Store(own.path, info, images, labels, moments)
    splits = Splits(np.arange(0, NUM_IMAGES, 2), np.arange(0), np.arange(1, NUM_IMAGES, 2))
    data = RunData(store=store, splits=splits, has_pixels=True)
    monkeypatch.setattr(report_content, "open_run_data", lambda run: data)
    summary = summarize_evaluation(evaluation)
    rows = "".join(f'"{name}.jpg",{i},0,{i % 2},{i},{i * i}\n' for i, name in enumerate(CSV_NAMES))
    (own.path / "explain").mkdir()
    (own.path / "explain" / "map-pca.csv").write_text(f"image,label,predicted,right,x,y\n{rows}")
    run = replace(read_run(own.path), evaluation=summary, predictions=predictions)
    content = report_content.report_content(run)
    return render_page(TEMPLATES, "run_report", content, shared="charts")


@pytest.fixture
def page_file(own: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "page.html"
    path.write_text(many_classes(own, monkeypatch), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_page_of_a_thousand_classes_in_a_browser(page_file: Path) -> None:
    assert page_file.stat().st_size < 3_000_000
    with chromium() as browser:
        with open_page(browser, page_file, width=1280) as page:
            assert page.evaluate("window.hacked") is None
            check_hover_and_keys(page)
            check_cells(page)
            check_map(page)
            check_filters(page)
            check_sorting(page)
            check_theme_and_print(page)
        with open_page(browser, page_file, width=375) as phone:
            assert phone.evaluate("document.documentElement.scrollWidth") <= 375


def check_hover_and_keys(page: Any) -> None:
    chart = page.locator("#curves figure").first
    chart.locator(":scope > svg").hover()
    assert "epoch" in chart.locator(".tip").inner_text()
    chart.locator(":scope > svg").focus()
    page.keyboard.press("Home")
    assert "epoch 1" in chart.locator(".tip").inner_text()
    page.keyboard.press("ArrowRight")
    assert "epoch 2" in chart.locator("[aria-live]").text_content()
    page.keyboard.press("Escape")
    assert chart.locator(".tip").is_hidden()


def check_cells(page: Any) -> None:
    cell = page.locator(".matrix td[data-count]").first
    cell.focus()
    page.keyboard.press("Enter")
    assert page.locator("#cell h3").count() == 1
    page.locator("[data-cells=share]").click()
    assert cell.inner_text() == cell.get_attribute("data-share")
    page.locator("button[data-class]").first.click()
    assert page.locator("#cell h3").inner_text() == HOSTILE[0]


def check_map(page: Any) -> None:
    texts = page.locator(".map title").evaluate_all("all => all.map(one => one.textContent)")
    assert f"{HOSTILE[0]}.jpg: 0, predicted 0" in texts
    assert page.locator(".map .ring").count() > 0


def check_filters(page: Any) -> None:
    page.locator("[data-show=wrong]").click()
    assert page.locator("#loss-images .right").count() == 0
    page.locator("#loss-class").select_option("1")
    labels = page.locator("#loss-images img").evaluate_all("all => all.map(one => one.alt)")
    assert labels
    assert all(f"label {HOSTILE[1]}" in label for label in labels)


def check_sorting(page: Any) -> None:
    heads = page.locator(".classes thead th").all_inner_texts()
    for name in ("recall", "interval"):
        values = sorted_column(page, heads.index(name), "parseFloat(cell.dataset.value)")
        assert values == sorted(values, reverse=True)
        assert len(values) == NUM_CLASSES
    images = heads.index("training images")
    last = page.locator(".classes tbody tr").last.locator("td").nth(images)
    last.evaluate("cell => { cell.textContent = '1,135'; }")
    assert sorted_column(page, images, "cell.textContent")[0] == "1,135"


def sorted_column(page: Any, column: int, value: str) -> list[Any]:
    """The values of a column, by a JavaScript expression, after a click on its head."""
    head = page.locator(".classes thead th").nth(column)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    cells = f"rows => rows.map(row => {{ const cell = row.cells[{column}]; return {value}; }})"
    return page.locator(".classes tbody tr").evaluate_all(cells)


def check_theme_and_print(page: Any) -> None:
    color = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(color)
    for _ in range(2):
        page.locator("#theme").click()
    assert page.evaluate(color) != light
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.locator("#theme").is_hidden()
    assert page.locator(".pairs").is_hidden(), "it is folded"
    shown = "rows => rows.filter(row => row.offsetHeight).length"
    assert page.locator(".classes tbody tr").evaluate_all(shown) == MAX_PRINTED
    assert f"Printed are the {MAX_PRINTED} classes" in page.locator("#classes .paper").inner_text()
    cut = "all => all.filter(one => getComputedStyle(one).overflowY !== 'visible').length"
    assert page.locator(".scroll, .tall").evaluate_all(cut) == 0
    page.emulate_media(media="screen")
    assert page.locator("#classes .paper").is_hidden()
