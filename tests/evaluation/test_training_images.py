"""Images that a model was trained on are found in other data, too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.store.store import store_ending
from alexnet.errors import DataError
from alexnet.evaluation.evaluator import evaluate, open_evaluation_data
from alexnet.evaluation.paired import compare_models
from alexnet.evaluation.training_images import training_images
from alexnet.inference.classifier import Classifier, load
from alexnet.reporter import NullReporter
from alexnet.training.run_folder import RunFolder
from support.runs import Witness


@pytest.fixture
def classifier(trained: RunFolder) -> Classifier:
    """The trained one, with the store of its training."""
    found = load(trained.path, "cpu")
    open_evaluation_data(found, "", "", NullReporter())
    return found


@pytest.fixture
def mixed(flowers: Path, tmp_path: Path) -> Path:
    """The twelve test images, and two training images among them under other names."""
    folder = tmp_path / "new"
    for image in flowers.glob("test/*/*"):
        (folder / image.parent.name).mkdir(parents=True)
        shutil.copy(image, folder / image.parent.name / "a.png")
    for image in sorted(flowers.glob("train/*/*"))[:6:3]:
        shutil.copy(image, folder / image.parent.name / "b.png")
    return folder


def trained_on(data: str, classifier: Classifier) -> Classifier:
    """The classifier with other training data in its header."""
    info = classifier.info
    return replace(classifier, info=replace(info, recipe=replace(info.recipe, data=data)))


def test_in_the_models_own_data_they_are_the_training_split(classifier: Classifier) -> None:
    store = open_evaluation_data(classifier, "", "", NullReporter())
    found = training_images(classifier, store, np.arange(len(store)))
    assert found is not None
    assert np.array_equal(found, np.array(store.info.splits) == "train")


def copy_photos(images: Iterable[Path], folder: Path) -> Path:
    """The folder, with a folder of each class and no split."""
    for i, image in enumerate(images):
        (folder / image.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(image, folder / image.parent.name / f"{i:02}.png")
    return folder


def test_they_are_found_in_the_models_own_data_after_a_damaged_image_is_repaired(
    classifier: Classifier, flowers: Path, tmp_path: Path, witness: Witness
) -> None:
    """A random split is over the images that can be used: one more, and it is another one."""
    folder = copy_photos(sorted(flowers.glob("*/*/*")), tmp_path / "photos")
    photo = next(folder.glob("*/30.png"))
    whole = photo.read_bytes()
    photo.write_bytes(whole[:200])
    own = trained_on(str(folder), classifier)
    before = open_evaluation_data(own, "", "", NullReporter())
    own = replace(own, info=replace(own.info, manifest_hash=before.manifest_hash()))
    assert evaluate(own, reporter=witness).num_trained_on == 0
    assert not any("has changed" in note for note in witness.notes)
    photo.write_bytes(whole)
    result = evaluate(own, reporter=witness)
    assert any("has changed since the training" in note for note in witness.notes)
    assert 0 < result.num_trained_on < result.num_images
    compared = compare_models({"a": own, "b": own})
    assert compared.num_images == result.num_images - result.num_trained_on
    shutil.rmtree(before.folder)
    assert evaluate(own).num_trained_on == 0, "unknown"


def test_with_a_split_by_hash_none_are_among_the_test_images_after_a_change(
    classifier: Classifier, flowers: Path, tmp_path: Path, witness: Witness
) -> None:
    images = sorted(flowers.glob("*/*/*"))
    folder = copy_photos(images[:-12], tmp_path / "photos")
    recipe = classifier.info.recipe
    options = replace(recipe.data_options, split="hash")
    info = replace(classifier.info, recipe=replace(recipe, data_options=options))
    own = trained_on(str(folder), replace(classifier, info=info))
    before = open_evaluation_data(own, "", "", NullReporter())
    own = replace(own, info=replace(own.info, manifest_hash=before.manifest_hash("hash")))
    first = evaluate(own)
    for i, image in enumerate(images[-12:]):
        shutil.copy(image, folder / image.parent.name / f"0-{i:02}.png")
    result = evaluate(own, reporter=witness)
    assert any(
        "same images as then, and some of the new ones, which" in note for note in witness.notes
    )
    assert (result.num_trained_on, result.num_images >= first.num_images) == (0, True)


def test_with_a_split_by_hash_they_are_found_after_their_files_were_edited(
    classifier: Classifier, flowers: Path, tmp_path: Path, witness: Witness
) -> None:
    """Every hash is another one then, and so the split."""
    folder = copy_photos(sorted(flowers.glob("*/*/*")), tmp_path / "photos")
    recipe = classifier.info.recipe
    options = replace(recipe.data_options, split="hash", test_fraction=0.4)
    info = replace(classifier.info, recipe=replace(recipe, data=str(folder), data_options=options))
    own = replace(classifier, info=info)
    before = open_evaluation_data(own, "", "", NullReporter())
    own = replace(own, info=replace(info, manifest_hash=before.manifest_hash("hash")))
    assert evaluate(own, reporter=witness).num_trained_on == 0
    assert not any("changed" in note for note in witness.notes)
    for image in folder.glob("*/*"):
        image.write_bytes(image.read_bytes() + b"a comment")
    result = evaluate(own, reporter=witness)
    assert 0 < result.num_trained_on <= result.num_images
    assert any(note.endswith("test split may contain training images") for note in witness.notes)
    assert not any("it is unknown" in note for note in witness.notes)
    compared = compare_models({"a": own, "b": own})
    assert compared.num_images == result.num_images - result.num_trained_on
    shutil.rmtree(before.folder)
    assert evaluate(own, reporter=witness).num_trained_on == 0
    assert any("it is unknown" in note for note in witness.notes)


def test_an_evaluation_on_other_data_counts_them(classifier: Classifier, mixed: Path) -> None:
    result = evaluate(classifier, str(mixed))
    assert (result.num_images, result.num_trained_on) == (14, 2)
    assert evaluate(trained_on("", classifier), str(mixed)).num_trained_on == 0, "imported"


def test_a_comparison_leaves_them_out(
    classifier: Classifier, mixed: Path, witness: Witness
) -> None:
    models = {"a": classifier, "b": classifier}
    found = compare_models(models, str(mixed), reporter=witness)
    assert found.num_images == 12
    assert [note for note in witness.notes if "left out" in note] == [
        f"{name} was trained on 2 of the 14 images, which are left out" for name in "ab"
    ]
    assert compare_models(models, str(mixed), split="all").num_images == 14
    for folder in mixed.iterdir():
        (folder / "a.png").unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    with pytest.raises(DataError, match="every image was used to train one of the models"):
        compare_models(models, str(mixed))


def test_without_the_store_of_the_training_it_is_unknown(
    classifier: Classifier, mixed: Path, witness: Witness, tmp_path: Path
) -> None:
    info = replace(classifier.info, manifest_hash="0" * 16)
    gone = trained_on(str(tmp_path / "gone"), replace(classifier, info=info))
    assert compare_models({"a": gone, "b": gone}, str(mixed), reporter=witness)
    assert any("a was trained on" in note and "it is unknown" in note for note in witness.notes)


@pytest.mark.parametrize("data", ["moved/elsewhere", "toyflowers", "flowers17"])
def test_the_training_data_is_not_opened_to_compare_images(
    data: str, classifier: Classifier, mixed: Path, cache: Path
) -> None:
    """Neither painted nor downloaded: the store of the training is enough, wherever it is from."""
    assert evaluate(trained_on(data, classifier), str(mixed)).num_trained_on == 2
    assert not (cache / "data").exists()


def test_of_two_stores_of_the_same_names_the_one_used_last_counts(
    classifier: Classifier, flowers: Path, mixed: Path, tmp_path: Path, cache: Path
) -> None:
    """Images that were changed under the same names."""
    shutil.copytree(flowers, tmp_path / "changed")
    for image in (tmp_path / "changed" / "train").glob("*/*"):
        Image.new("RGB", (40, 40)).save(image)
    other = open_evaluation_data(classifier, str(tmp_path / "changed"), "", NullReporter())
    assert other.manifest_hash() == classifier.info.manifest_hash
    moved = trained_on("moved/elsewhere", classifier)
    for is_changed_last, seen in ((False, 2), (True, 0)):
        for store in filter(Path.is_dir, (cache / "stores").iterdir()):
            seconds = 1000 + ((store == other.folder) == is_changed_last)
            os.utime(store, (seconds, seconds))
        assert evaluate(moved, str(mixed)).num_trained_on == seen


def test_a_damaged_store_of_that_size_is_passed_over(
    classifier: Classifier, mixed: Path, cache: Path
) -> None:
    options = classifier.info.recipe.data_options
    ending = store_ending(options.stored_form)
    for name, text in (("broken", "{"), ("older", '{"format": 1}')):
        folder = cache / "stores" / f"{name}-0{ending}"
        folder.mkdir()
        (folder / "store.json").write_text(text)
    (cache / "stores" / f"a file{ending}").write_text("")
    (cache / "stores" / f"removed meanwhile{ending}").symlink_to(cache / "nowhere")
    assert evaluate(classifier, str(mixed)).num_trained_on == 2
