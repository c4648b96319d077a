"""The served models: loaded, named, and replaced by newer files without a pause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from torch import nn

from alexnet.errors import AlexNetError, UsageError
from alexnet.inference.answering import prepared_to_answer
from alexnet.inference.classifier import Classifier, load
from alexnet.inference.int8 import WeightOnlyInt8Linear
from alexnet.inference.predictor import Crops
from alexnet.inference.winograd import WinogradConv2d
from alexnet.io.hub import MODEL_FILE, PREFIX, short_name
from alexnet.io.run_paths import find_run, is_run
from alexnet.io.text import error_text
from alexnet.models.network import Network
from alexnet.reporter import Reporter
from alexnet.reports.stored_run import StoredRun, read_run
from alexnet.serve.cards import model_card
from alexnet.serve.problems import ProblemError
from alexnet.serve.schemas import ModelCard
from alexnet.serve.training_images import NOT_ASKED_FOR, TrainingImages, open_training_images
from alexnet.sharing.fetch import find_model

OpenImages: TypeAlias = Callable[[Classifier], TrainingImages]

DEPEND_ON_COMPANY = (nn.Conv2d, nn.Linear, WinogradConv2d, WeightOnlyInt8Linear)
"""Layers whose result for an image may depend on the size of its batch, since their library may add
in another order. Layers of int8 weights and activations add integers, and scale every image by its
own range."""


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A loaded model, with all that the server needs to answer about it."""

    name: str
    classifier: Classifier
    """The classifier as it was loaded, for explanations."""
    answering: Classifier
    """The classifier that computes predictions."""
    is_joined: bool
    """Whether images of several requests are computed together."""
    card: ModelCard
    """What the API tells about the model."""
    images: TrainingImages | None = None
    """The images that the model was trained on; None unless they may be shown and are here."""
    run_folder: Path | None = None
    """The run folder of the training that made the model; None if that is not here."""

    def probabilities(self, pixels: np.ndarray, crops: Crops) -> np.ndarray:
        """Class probabilities float32 [N, num_classes] of resized images uint8 [N, S, S, 3]."""
        return self.answering.probabilities(pixels, crops)

    def warm_up(self, max_batch: int) -> None:
        """Run the network once for each size, so that the first requests need not wait."""
        side = self.classifier.info.preprocessing.resize_size
        for size in (1, max_batch if self.is_joined else 1):
            self.probabilities(np.zeros((size, side, side, 3), np.uint8), 1)


def is_independent_of_company(network: Network) -> bool:
    """Whether an image's result is the same, bit for bit, whatever else is in its batch."""
    return not any(isinstance(layer, DEPEND_ON_COMPANY) for layer in network.modules())


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The name of a served model, and where it is stored."""

    name: str
    place: str
    """A run folder, a model file, a head file or its folder, or `hf:OWNER/NAME`."""

    def load(
        self, device: str, *, exact: bool, open_images: OpenImages | None = None
    ) -> ServedModel:
        """Load the model as it is stored now.

        Args:
            device: where it computes.
            exact: whether an image gets the same bits in any company.
            open_images: opens its training images, if these may be shown.

        Raises:
            AlexNetError: it cannot be loaded.
        """
        classifier = self.read(device)
        answering = prepared_to_answer(classifier)
        is_joined = not exact or is_independent_of_company(answering.network)
        images, reason = _training_images(classifier, open_images)
        card = model_card(
            self.name, classifier, self.run(), is_joined=is_joined, hidden_images=reason
        )
        return ServedModel(
            self.name, classifier, answering, is_joined, card, images, self.run_folder
        )

    @property
    def run_folder(self) -> Path | None:
        """The folder of the model's run; None if the model is not in one."""
        path = Path(self.place)
        folder = path.parent if path.name == MODEL_FILE else path
        return folder if not self.place.startswith(PREFIX) and is_run(folder) else None

    def run(self) -> StoredRun | None:
        """The contents of the model's run folder; None if there is none."""
        try:
            return read_run(self.run_folder) if self.run_folder else None
        except UsageError:  # of a pretraining
            return None

    def read(self, device: str) -> Classifier:
        """Load the classifier from the model's file, which is downloaded if it is on a hub.

        Raises:
            AlexNetError: as `load`.
        """
        return load(find_model(self.place), device)


def _training_images(
    classifier: Classifier, open_images: OpenImages | None
) -> tuple[TrainingImages | None, str]:
    """The training images of a model, or None and the reason why they are not shown."""
    if not open_images:
        return None, NOT_ASKED_FOR
    try:
        return open_images(classifier), ""
    except (AlexNetError, OSError) as error:
        return None, error_text(error)


def model_sources(words: Sequence[str]) -> list[ModelSource]:
    """The models named on the command line, each as PLACE or NAME=PLACE.

    Raises:
        UsageError: there is none, two have the same name, or an address has another form.
    """
    sources = [_model_source(word) for word in words]
    names = [source.name for source in sources]
    if not sources:
        raise UsageError("name at least one model: alexnet serve MODEL ...")
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UsageError(f"two models are called {twice}; name one of them: NEW-NAME=MODEL")
    return sources


def _model_source(word: str) -> ModelSource:
    name, is_named, place = word.partition("=")
    if not is_named or Path(word).exists():
        name, place = "", word
    place = place if place.startswith(PREFIX) else find_run(place)
    return ModelSource(name or short_name(place), place)


class Models:
    """The served models by name."""

    def __init__(
        self,
        sources: Sequence[ModelSource],
        device: str,
        *,
        exact: bool,
        training_images: bool = False,
    ) -> None:
        self.sources, self.device, self.exact = sources, device, exact
        self.training_images = training_images
        self._by_name: dict[str, ServedModel] = {}

    def load(self, max_batch: int, reporter: Reporter | None = None) -> None:
        """Load, or reload, all models; if one cannot be loaded, those already loaded stay.

        Args:
            max_batch: images that will be computed at once.
            reporter: receives the progress of preparing training images.

        Raises:
            AlexNetError: one cannot be loaded.
        """
        open_images = partial(open_training_images, reporter=reporter)
        shown = open_images if self.training_images else None
        loaded = [
            source.load(self.device, exact=self.exact, open_images=shown) for source in self.sources
        ]
        for model in loaded:
            model.warm_up(max_batch)
        self._by_name = {model.name: model for model in loaded}

    @property
    def all(self) -> tuple[ServedModel, ...]:
        """All models, in the order of the command line."""
        return tuple(self._by_name.values())

    def get(self, name: str) -> ServedModel:
        """The model with a name; "" is the first one.

        Raises:
            ProblemError: there is none of this name.
        """
        model = self._by_name.get(name) if name else self.all[0]
        if model is None:
            raise ProblemError(
                422, f"there is no model {name!r}; there are {', '.join(self._by_name)}"
            )
        return model
