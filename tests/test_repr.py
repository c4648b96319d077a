"""What a shell shows of a result: one line, without pixels, weights or lists of names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.data.image_dataset import ImageDataset
from alexnet.data.source import ImageArray, Source
from alexnet.data.store.store import Store, StoreInfo
from alexnet.evaluation.results import Evaluation, TopLoss, compute_metrics
from alexnet.inference.classifier import Classifier
from alexnet.interop.importer import ImportedModel
from alexnet.models.network import Network
from alexnet.models.zoo import architecture
from alexnet.pretraining.pretrainer import Pretrained
from alexnet.training.preview import AugmentationPreview
from alexnet.training.results import ValidationResult
from alexnet.training.run_folder import RunFolder
from alexnet.training.trainer import Run

NAMES = tuple(f"class {i}" for i in range(10))
PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
RUN = RunFolder(Path("a-001"))


def an_evaluation() -> Evaluation:
    probabilities = np.full((4, 10), 0.1, np.float32)
    loss = TopLoss(0, "a.jpg", NAMES[1], NAMES[0], 0.1, 0.1, False, PIXELS)
    labels, losses = np.array([0, 0, 0, 1]), (loss,) * 100
    return compute_metrics(
        probabilities, labels, NAMES, data="pets", split="test", top_losses=losses
    )


def a_store() -> Store:
    info = StoreInfo(
        name="pets", fingerprint="", resize="stretch", side=2, test_fraction=0.2,
        class_names=NAMES, rejected=(), skipped=(), names=NAMES, splits=("",) * 10,
    )  # fmt: skip
    return Store(Path("pets"), info, np.stack([PIXELS] * 10), np.arange(10), np.zeros((10, 9)))


def a_source() -> Source:
    images = ImageArray(a_store().images(range(10)))
    return Source(
        name="pets", class_names=NAMES, names=NAMES, labels=np.arange(10), splits=("",) * 10,
        images=images,
    )  # fmt: skip


def a_run(**facts: bool | ValidationResult) -> Run:
    return Run(RUN, (), (), None, **facts)  # type: ignore[arg-type]


def a_model() -> tuple[Network, ModelInfo]:
    arch = architecture("lenet5")
    preprocessing = Preprocessing(crop_size=32, channels=1)
    info = ModelInfo(
        architecture=arch, class_names=NAMES, preprocessing=preprocessing, recipe=Recipe()
    )
    return Network(arch), info


VALIDATION = ValidationResult(epoch=1, num_images=8, top1_error=0.5, temperature=0.9)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (an_evaluation(), "Evaluation('pets', test error 25.00 % (n = 4), 10 classes)"),
        (Run(RUN, (), (), an_evaluation()), "Run('a-001', 0 epochs, test error 25.00 % (n = 4))"),
        (a_run(validation=VALIDATION), "Run('a-001', 0 epochs, validation error 50.00 % (n = 8))"),
        (a_run(), "Run('a-001', 0 epochs, no test images)"),
        (a_run(is_finished=False), "Run('a-001', 0 epochs, unfinished, not tested)"),
        (Pretrained(RUN, ()), "Pretrained('a-001', 0 layers)"),
        (a_store(), "Store('pets', 10 images of 2x2x3, 10 classes)"),
        (a_source(), "Source('pets', 10 images, 10 classes)"),
        (ImageDataset(a_store()), "ImageDataset(10 images of Store('pets', 10 images of 2x2x3, "),
        (Classifier(*a_model()), "Classifier('lenet5', 10 classes, device='cpu')"),
        (ImportedModel(a_model()[1], {}, None), "ImportedModel('lenet5', 10 classes, 0 tensors)"),
        (AugmentationPreview("pets", [[PIXELS]], ["a"], [["b"]]), "AugmentationPreview(data='pe"),
        (an_evaluation().top_losses[0], "TopLoss(index=0, name='a.jpg', "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_is_one_line(value: object, text: str) -> None:
    assert repr(value).startswith(text)
    assert "\n" not in repr(value)
    assert "array" not in repr(value)
    assert len(repr(value)) < 160
