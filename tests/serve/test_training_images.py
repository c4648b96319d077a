"""Images of the training data: shown where the owner says so, by their numbers, and small."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from alexnet.inference.classifier import load
from alexnet.serve.models import Models, ModelSource
from alexnet.serve.training_images import SIDE, open_training_images
from alexnet.training.run_folder import RunFolder
from support.serving import PNG, MadeModel, image_file, made_models, post

NEIGHBORS: dict[str, Any] = {"url": "/v1/neighbors?top=3", "headers": PNG}
PATHS = ("/v1/examples?count=2", "/v1/images/0", "/v1/patches?layer=conv1")


def test_training_images_are_found_and_shown_by_their_numbers(
    trained: RunFolder, flowers: Path
) -> None:
    models = Models(
        [ModelSource("tiny", str(trained.path))], "cpu", exact=True, training_images=True
    )
    models.load(max_batch=1)
    assert models.all[0].card.hidden_images == ""
    own = sorted(flowers.glob("train/*/*"))[0]
    near, examples, last = post(
        models,
        {**NEIGHBORS, "content": own.read_bytes()},
        *({"method": "GET", "url": path} for path in (PATHS[0], "/v1/images/2147483647")),
    )
    first, second, _ = near.json()["neighbors"]
    assert (first["is_same"], first["distance"], first["label"]) == (True, 0, own.parent.name)
    assert (second["is_same"], second["distance"] > 0) == (False, True)
    classes = examples.json()["classes"]
    assert [one["label"] for one in classes] == list(models.all[0].card.class_names)
    assert {(one["num_images"], len(one["indices"])) for one in classes} == {(3, 2)}
    assert first["index"] in classes[0]["indices"]
    (thumbnail,) = post(models, {"method": "GET", "url": f"/v1/images/{first['index']}"})
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(thumbnail.content)).size) <= SIDE
    assert (last.status_code, last.json()["detail"]) == (
        404,
        "there is no training image 2147483647",
    )


def test_images_of_other_splits_are_not_shown(trained: RunFolder) -> None:
    images = open_training_images(load(trained.path, "cpu"))
    searched = images.nearest.searched
    shown = [i for i in range(len(searched.store)) if images.thumbnail(i)]
    assert shown == searched.rows.tolist()
    assert {searched.store.info.splits[i] for i in shown} == {"train"}


@pytest.mark.parametrize("is_allowed", [False, True])
def test_without_leave_or_data_none_is_shown_and_the_reason_is_told(is_allowed: bool) -> None:
    models = made_models("lenet5")
    if is_allowed:
        source = MadeModel("lenet5", "lenet5")
        models = Models([source], "cpu", exact=True, training_images=True)
        models.load(max_batch=1)
    reason = "names no data set" if is_allowed else "alexnet serve --training-images does"
    requests = ({"method": "GET", "url": path} for path in PATHS)
    for answer in post(models, {**NEIGHBORS, "content": image_file()}, *requests):
        assert answer.status_code == 403
        assert reason in answer.json()["detail"]
    assert reason in models.all[0].card.hidden_images


@pytest.mark.slow
def test_the_best_patches_are_the_figure_in_the_run(own: RunFolder) -> None:
    models = Models([ModelSource("own", str(own.path))], "cpu", exact=True, training_images=True)
    models.load(max_batch=1)
    request = {"method": "GET", "url": "/v1/patches?layer=conv2"}
    (missing,) = post(models, dict(request))
    assert missing.status_code == 404
    assert "alexnet explain RUN --filters conv2 makes them" in missing.json()["detail"]
    (own.path / "explain").mkdir()
    (own.path / "explain" / "filters-conv2.png").write_bytes(image_file())
    found, other = post(models, dict(request), {**request, "url": "/v1/patches?layer=../x"})
    assert (found.content, found.headers["content-type"]) == (image_file(), "image/png")
    assert other.status_code == 422
