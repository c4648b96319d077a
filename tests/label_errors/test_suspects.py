"""Planted label errors are found, copies are joined in, and the page decides on them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.cli import mistakes
from alexnet.config.preprocessing import StoredForm
from alexnet.data.datasets.folder import folder_source
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Store
from alexnet.label_errors.decisions import read_decisions
from alexnet.label_errors.heads import fold_of_images, out_of_fold, reduced_features
from alexnet.label_errors.page import mistakes_page
from alexnet.label_errors.suspects import LabelErrors, label_errors
from alexnet.training.run_folder import RunFolder
from support.browser import chromium, open_page
from support.commands import Command
from support.places import REAL_DATA

HOSTILE = "<img src=x onerror=alert(1)>\"'&.jpg"


@pytest.fixture
def store(flowers: Path, tmp_path: Path) -> Store:
    shutil.copytree(flowers / "train", tmp_path / "flowers")
    (tmp_path / "flowers" / "rose" / "0000.jpg").rename(tmp_path / "flowers" / "rose" / HOSTILE)
    return prepare(
        folder_source(tmp_path / "flowers"), StoredForm(resize="stretch", resize_size=32)
    )


def planted(store: Store) -> LabelErrors:
    """Features of the true class with noise, and every ninth label wrong."""
    random = np.random.default_rng(0)
    true = store.labels
    features = np.eye(12, 40, dtype=np.float32)[true] * 4
    features += random.normal(scale=0.2, size=features.shape).astype(np.float32)
    labels = np.where(np.arange(36) % 9 == 4, (true + 5) % 12, true)
    rows, folds = np.arange(36), fold_of_images(labels, 3, 0)
    probabilities = out_of_fold(reduced_features(features, rows), labels, folds, 12)
    return label_errors(replace(store, labels=labels), rows, probabilities, features="noise")


def test_planted_errors_come_first_with_their_true_class(store: Store) -> None:
    found = planted(store)
    first = found.suspects[:4]
    assert {one.index for one in first} == {4, 13, 22, 31}
    assert [one.rank for one in first] == [1, 2, 3, 4]
    for one in first:
        assert one.suggested == store.info.class_names[store.labels[one.index]]
        assert one.label != one.suggested
        assert one.label_probability < (one.suggested_probability or 0)
    assert 3 <= found.num_errors <= 6
    assert sum(count for *_, count in found.pairs) == found.num_errors
    why = f"the {found.num_errors} label errors that confident learning counts"
    assert f"{found.num_errors} of them are likely wrong: {why}" in found.summary
    assert found.summary in mistakes_page(found, "flowers")


def test_copies_in_other_classes_and_splits_are_joined_in(store: Store) -> None:
    probabilities = np.eye(12, dtype=np.float32)[store.labels]
    splits = tuple("test" if i == 7 else "train" for i in range(36))
    store = replace(store, info=replace(store.info, splits=splits))
    groups = [np.array([0, 35]), np.array([6, 7])]
    found = label_errors(store, np.arange(36), probabilities, groups)
    names, classes = store.info.names, store.info.class_names
    assert [(one.reason, one.image, one.duplicate_of) for one in found.suspects] == [
        ("duplicate", names[0], names[35]),
        ("duplicate", names[35], names[0]),
        ("duplicate_across_splits", names[7], names[6]),
    ]
    assert [one.suggested for one in found.suspects] == ["", "", ""], "both are as they should be"
    likely = "2 of them are likely wrong: 2 that are in two classes at once"
    assert found.summary == f"3 images are suspicious; {likely}"
    probabilities[35] = probabilities[0]
    found = label_errors(store, np.arange(36), probabilities, groups)
    told = {one.image: one.suggested for one in found.suspects}
    assert (told[names[0]], told[names[35]]) == ("", classes[store.labels[0]])
    assert [one.is_likely for one in found.suspects] == [True, True, False]


def test_the_csv_can_be_filled_in(store: Store, tmp_path: Path) -> None:
    found = planted(store)
    rows = list(csv.DictReader(io.StringIO(found.as_csv())))
    assert len(rows) == len(found.suspects)
    (tmp_path / "x.csv").write_text(found.as_csv().replace(",,", ",relabel,", 1))
    (decision,) = read_decisions(tmp_path / "x.csv")
    assert (decision.choice, decision.new_label) == ("relabel", found.suspects[0].suggested)


def test_the_page_escapes_every_name(store: Store) -> None:
    names = (f"a/</script><script>alert(1)</script>{HOSTILE}", *store.info.names[1:])
    classes = ("<b>rose</b>", *store.info.class_names[1:])
    info = replace(store.info, names=names, class_names=classes)
    found = planted(replace(store, info=info))
    page = mistakes_page(found, "my data")
    assert "<b>rose" not in page
    assert "<script>alert" not in page
    assert "onerror=alert(1)>" not in page
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert [one["image"] for one in json.loads(data)["suspects"]] == [
        one.image for one in found.suspects
    ]
    assert "alexnet data mistakes &#39;my data&#39; --apply flowers-decisions.csv" in page


def test_the_command_of_the_page_opens_the_same_data(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mistakes, "_label_errors", lambda _: planted(store))
    words = ["pets", "--data-root", "/data", "--label-from", r"^(\w)\."]
    assert mistakes.mistakes_action([*words, "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    flags = "--data-root /data --label-from &#39;^(\\w)\\.&#39;"
    assert f"alexnet data mistakes pets {flags} --apply flowers-decisions.csv --out NEW" in page


@pytest.mark.slow
def test_the_page_is_worked_by_keys_and_saves_a_csv(store: Store, tmp_path: Path) -> None:
    found = planted(store)
    assert len(found.suspects) >= 4
    (tmp_path / "page.html").write_text(mistakes_page(found, "photos"), encoding="utf-8")
    with chromium() as browser, open_page(browser, tmp_path / "page.html") as page:
        for key in ("ArrowRight", "k", "r", "d", "ArrowLeft", "u", "d"):
            page.keyboard.press(key)
        assert page.locator("#count").inner_text() == f"3 of {len(found.suspects)} decided"
        page.select_option("#filter", "decided")
        assert page.locator(".suspect:visible").count() == 3
        with page.expect_download() as download:
            page.click("#save")
        download.value.save_as(tmp_path / download.value.suggested_filename)
        page.reload()
        assert page.locator("#count").inner_text().startswith("3 of")
    decisions = read_decisions(tmp_path / "flowers-decisions.csv")
    assert [(one.image, one.choice) for one in decisions] == [
        (one.image, choice)
        for one, choice in zip(found.suspects, ("keep", "relabel", "drop"), strict=False)
    ]
    assert decisions[1].new_label == found.suspects[1].suggested


@pytest.mark.slow
def test_the_command_finds_and_applies(
    command: Command, trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    page = tmp_path / "found.html"
    words = ("data", "mistakes", flowers, "--model", trained.path, "--out", page)
    result = command(*words, "--json")
    facts = json.loads(result.out)
    assert (result.code, facts["num_images"], facts["num_folds"]) == (0, 60, 5)
    assert "trained on these labels" in result.err
    first = facts["suspects"][0]
    csv_path = Path(facts["csv"])
    text = csv_path.read_text().replace(",,", ",drop,", 1)
    csv_path.write_text(text)
    again = command(*words)
    assert (again.code, "1 decision" in again.err) == (2, True)
    assert csv_path.read_text() == text
    result = command(
        "data", "mistakes", flowers, "--apply", csv_path, "--out", tmp_path / "new.csv", "--json"
    )
    assert json.loads(result.out)["num_images"] == 59
    left = (tmp_path / "new.csv").read_text()
    assert f"{first['image']},{first['label']}," not in left
    assert left.count("\n") == 60


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--folds", "1"), "--folds 1 must be at least 2"),
        (("--top", "0"), "--top 0"),
        (("--out", "x.txt"), "must end in .html"),
        (("--apply", "x.csv"), "--apply needs --out"),
        ((), "--model MODEL"),
    ],
)
def test_what_the_command_refuses(
    command: Command, flowers: Path, words: tuple[str, ...], message: str
) -> None:
    result = command("data", "mistakes", flowers, *words)
    assert result.code == 2
    assert message in result.err


@pytest.mark.slow
def test_planted_errors_in_real_flowers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from alexnet.data.load import load_dataset
    from alexnet.errors import AlexNetError
    from alexnet.features.build import build_index
    from alexnet.label_errors.frozen import FIRST_DENSE, torchvision_features

    monkeypatch.setenv("ALEXNET_DATA", str(REAL_DATA))
    try:
        classifier = torchvision_features()
        store = load_dataset("flowers17")
    except AlexNetError as error:
        pytest.skip(f"needs flowers17 and torchvision's convolutions: {error}")
    index = build_index(classifier, store, FIRST_DENSE)
    random = np.random.default_rng([0, 77])
    wrong = random.choice(1360, 68, replace=False)
    labels = store.labels.copy()
    labels[wrong] = (labels[wrong] + random.integers(1, 17, 68)) % 17
    rows = np.arange(1360)
    features = reduced_features(index.features, rows)
    probabilities = out_of_fold(features, labels, fold_of_images(labels, 5, 0), 17)
    found = label_errors(replace(store, labels=labels), rows, probabilities)
    hits = {one.index for one in found.suspects[:68]} & set(wrong.tolist())
    assert len(hits) >= 0.8 * 68
