"""`load`, `predict`, `evaluate`, `export` and `import_model` by paths and objects."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import alexnet
from alexnet.api import models, runs
from alexnet.cli import main
from alexnet.errors import AlexNetError, ModelFileError, UsageError
from alexnet.inference.classifier import Classifier
from alexnet.training.run_folder import RunFolder, read_metrics
from support.runs import Witness


@pytest.fixture
def run(trained: RunFolder) -> alexnet.Run:
    """The trained run as `alexnet.train` returned it, as far as these tests need it."""
    return alexnet.Run(trained, tuple(read_metrics(trained)), (), None)


@pytest.fixture
def image(flowers: Path) -> Path:
    return sorted(flowers.glob("test/*/*"))[0]


@pytest.fixture
def classifier(trained: RunFolder) -> Classifier:
    return alexnet.load(trained.path, "cpu")


def test_a_model_is_a_folder_a_file_a_run_or_a_classifier(
    run: alexnet.Run, classifier: Classifier, image: Path
) -> None:
    expected = classifier.predict(image)
    for model in (run, str(run.folder.path), run.folder.model, classifier):
        assert alexnet.load(model, "cpu").predict(image) == expected
        assert alexnet.predict(model, image, device="cpu", reporter=None) == expected
    assert classifier(image) == expected
    assert classifier(image, top=2) == classifier.predict(image, top=2)


@pytest.mark.usefixtures("no_plots")
def test_evaluate_by_paths(run: alexnet.Run, flowers: Path, tmp_path: Path) -> None:
    expected = alexnet.evaluate(alexnet.load(run), reporter=None)
    files = sorted(run.folder.path.rglob("*"))
    for model in (run, run.folder.path):
        found = alexnet.evaluate(model, flowers, split="test", reporter=None)
        assert (found.loss, found.num_images) == (expected.loss, expected.num_images)
    assert sorted(run.folder.path.rglob("*")) == files
    out = tmp_path / "out"
    alexnet.evaluate(run, out=out, reporter=None)
    assert (out / "evaluation.json").exists()


def test_a_reporter_is_told_of_evaluated_and_predicted_images(
    run: alexnet.Run, image: Path
) -> None:
    class Counts(Witness):
        def __init__(self) -> None:
            super().__init__()
            self.done: list[tuple[int, int]] = []

        def on_evaluate(self, done: int, total: int) -> None:
            self.done.append((done, total))

        on_predict = on_evaluate

    counts = Counts()
    alexnet.evaluate(run, reporter=counts)
    alexnet.predict(run, [image, image], reporter=counts)
    assert counts.done == [(12, 12), (2, 2)]


@pytest.mark.slow
def test_export_by_the_ending_and_import_back(
    run: alexnet.Run, classifier: Classifier, image: Path, tmp_path: Path
) -> None:
    pytest.importorskip("h5py")
    file = tmp_path / "net.keras"
    report = alexnet.export(run, file)
    assert report.format == "keras"
    assert report.is_close
    back = alexnet.import_model(file, "alexnet_bn", out=tmp_path / "net.safetensors", reporter=None)
    assert isinstance(back, Classifier)
    assert back.class_names == classifier.class_names
    assert back.predict(image)[0].top_classes[0].label == classifier(image)[0].top_classes[0].label
    assert alexnet.load(tmp_path / "net.safetensors", "cpu").info == back.info


def test_a_file_that_computes_other_logits_is_an_error(
    run: alexnet.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("h5py")
    real = models.export_model

    def unlike(*args: Any, **kwargs: Any) -> Any:
        return replace(real(*args, **kwargs), is_close=False)

    monkeypatch.setattr(models, "export_model", unlike)
    with pytest.raises(ModelFileError, match="would compute something else"):
        alexnet.export(run, tmp_path / "net.keras")


def test_save_writes_what_load_reads_and_never_over_a_file(
    classifier: Classifier, trained: RunFolder, tmp_path: Path
) -> None:
    file = tmp_path / "copy.safetensors"
    classifier.save(file)
    back = alexnet.load(file, "cpu")
    assert back.info == classifier.info
    own, loaded = classifier.network.state_dict(), back.network.state_dict()
    assert all(torch.equal(own[key], loaded[key]) for key in own)
    with pytest.raises(AlexNetError, match="exists already"):
        classifier.save(file)
    with pytest.raises(AlexNetError, match="an optimized classifier cannot be saved"):
        classifier.optimized().save(tmp_path / "fast.safetensors")
    next(back.network.parameters()).data.fill_(math.nan)
    with pytest.raises(AlexNetError, match=r"cannot be saved: .* values that are not finite"):
        back.save(tmp_path / "nan.safetensors")


def test_an_edited_network_is_not_saved_as_the_one_before(
    trained: RunFolder, tmp_path: Path
) -> None:
    edited = alexnet.load(trained.path, "cpu")
    name = next(n for n, m in edited.network.named_children() if isinstance(m, nn.ReLU))
    setattr(edited.network, name, nn.Tanh())
    edited.network.register_forward_hook(lambda *_: None)
    file = tmp_path / "edited.safetensors"
    with pytest.raises(UsageError, match=f"cannot be saved: .* {name} is torch's Tanh.*torch.save"):
        edited.save(file)
    assert not file.exists()
    setattr(edited.network, name, nn.ReLU())
    edited.save(file)  # a hook is no part of a model


def test_lists() -> None:
    assert {"alexnet", "lenet5", "alexnet_2012_half"} <= set(alexnet.list_models())
    assert alexnet.list_models("lenet*") == ["lenet5"]
    assert "flowers17" in alexnet.list_datasets()
    assert alexnet.list_presets()[0] == "quickstart"


def test_the_page_of_runs(
    run: alexnet.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    page = tmp_path / "a.html"
    monkeypatch.setattr("alexnet.api.runs.write_run_report", lambda *a: written.append(a) or page)
    monkeypatch.setattr("alexnet.api.runs.write_comparison", lambda *a: written.append(a) or page)
    monkeypatch.setattr("webbrowser.open", written.append)
    folder = run.folder.path
    assert alexnet.report(run, page, open=True) == alexnet.report([str(folder)]) == page
    assert alexnet.report([run, folder]) == page
    assert written == [(folder, page), page.as_uri(), (folder, None), ([folder, folder], None)]


@pytest.mark.usefixtures("no_plots")
def test_a_path_begins_at_home(
    run: alexnet.Run, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir()
    monkeypatch.chdir(here)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    (home / image.name).write_bytes(image.read_bytes())
    classifier = alexnet.load(run, "cpu")
    classifier.save("~/m.safetensors")
    (best,) = alexnet.predict("~/m.safetensors", f"~/{image.name}", reporter=None)
    assert best.top_classes == classifier(image)[0].top_classes
    alexnet.evaluate(run, out="~/evaluation", reporter=None)
    assert runs.report(run, "~/page.html") == home / "page.html"
    with pytest.raises(ModelFileError, match=re.escape(f"there is no file {home}")):
        alexnet.export("~/none.safetensors", "~/m.pt2", reporter=None)
    names = {path.name for path in home.iterdir()}
    assert names == {image.name, "m.safetensors", "evaluation", "page.html"}
    assert main(["info", "--json", "~/m.safetensors", "--filters=~/filters.png"]) == 0
    assert (home / "filters.png").exists()
    assert not list(here.iterdir())
