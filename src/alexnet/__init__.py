"""The published versions of AlexNet, exact, with training on your own images.

The names below are the whole public interface; each is imported when it is first used, so that
`import alexnet` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.api.architectures import list_datasets, list_models, list_presets, variant
    from alexnet.api.data import load_splits
    from alexnet.api.models import evaluate, export, import_model, load, predict
    from alexnet.api.networks import create_model
    from alexnet.api.runs import report
    from alexnet.api.training import find_lr, pretrain, resume, resume_pretraining, train
    from alexnet.config.presets import preset
    from alexnet.config.recipe import Recipe
    from alexnet.errors import AlexNetError
    from alexnet.evaluation.results import Evaluation
    from alexnet.inference.classifier import Classifier
    from alexnet.inference.predictions import Prediction
    from alexnet.models.architecture import Architecture
    from alexnet.models.network import Network
    from alexnet.models.variants import ModelOptions
    from alexnet.models.zoo import architecture
    from alexnet.pretraining.pretrainer import Pretrained
    from alexnet.pretraining.recipe import AutoencoderRecipe, RbmRecipe
    from alexnet.reporter import Reporter, StopTraining
    from alexnet.serve.client import Client
    from alexnet.training.lr_finder import LRRangeTest
    from alexnet.training.trainer import Run

__version__ = "0.1.0"

__all__ = [
    "AlexNetError",
    "Architecture",
    "AutoencoderRecipe",
    "Classifier",
    "Client",
    "Evaluation",
    "LRRangeTest",
    "ModelOptions",
    "Network",
    "Prediction",
    "Pretrained",
    "RbmRecipe",
    "Recipe",
    "Reporter",
    "Run",
    "StopTraining",
    "architecture",
    "create_model",
    "evaluate",
    "export",
    "find_lr",
    "import_model",
    "list_datasets",
    "list_models",
    "list_presets",
    "load",
    "load_splits",
    "predict",
    "preset",
    "pretrain",
    "report",
    "resume",
    "resume_pretraining",
    "train",
    "variant",
]

_MODULES = {
    "AlexNetError": "errors",
    "Architecture": "models.architecture",
    "AutoencoderRecipe": "pretraining.recipe",
    "Classifier": "inference.classifier",
    "Client": "serve.client",
    "Evaluation": "evaluation.results",
    "LRRangeTest": "training.lr_finder",
    "ModelOptions": "models.variants",
    "Network": "models.network",
    "Prediction": "inference.predictions",
    "Pretrained": "pretraining.pretrainer",
    "RbmRecipe": "pretraining.recipe",
    "Recipe": "config.recipe",
    "Reporter": "reporter",
    "Run": "training.trainer",
    "StopTraining": "reporter",
    "architecture": "models.zoo",
    "create_model": "api.networks",
    "evaluate": "api.models",
    "export": "api.models",
    "find_lr": "api.training",
    "import_model": "api.models",
    "list_datasets": "api.architectures",
    "list_models": "api.architectures",
    "list_presets": "api.architectures",
    "load": "api.models",
    "load_splits": "api.data",
    "predict": "api.models",
    "preset": "config.presets",
    "pretrain": "api.training",
    "report": "api.runs",
    "resume": "api.training",
    "resume_pretraining": "api.training",
    "train": "api.training",
    "variant": "api.architectures",
}

_PACKAGES = (
    "checkpoints",
    "config",
    "data",
    "evaluation",
    "experiments",
    "explain",
    "features",
    "inference",
    "interop",
    "label_errors",
    "models",
    "ops",
    "plots",
    "pretraining",
    "reports",
    "serve",
    "training",
    "transforms",
)
"""The subpackages with public names of their own."""

__getattr__, _public_names = attach(__name__, _MODULES, _PACKAGES)


def __dir__() -> list[str]:
    return [*_public_names(), "__version__"]
