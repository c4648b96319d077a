"""The published versions of AlexNet, exact, with training on your own images.

The names below are the whole public interface; each is imported when it is first used, so that
`import alexnet` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.config.presets import preset
    from alexnet.config.recipe import Recipe
    from alexnet.errors import AlexNetError
    from alexnet.evaluation.evaluator import evaluate
    from alexnet.evaluation.results import Evaluation
    from alexnet.inference.classifier import Classifier, load
    from alexnet.models.architecture import Architecture
    from alexnet.models.network import Network, create_model
    from alexnet.models.variants import ModelOptions, variant
    from alexnet.models.zoo import architecture
    from alexnet.pretraining.pretrainer import Pretrained, pretrain, resume_pretraining
    from alexnet.pretraining.recipe import AutoencoderRecipe, RbmRecipe
    from alexnet.training.trainer import Run, resume, train

__version__ = "0.1.0"

__all__ = [
    "AlexNetError",
    "Architecture",
    "AutoencoderRecipe",
    "Classifier",
    "Evaluation",
    "ModelOptions",
    "Network",
    "Pretrained",
    "RbmRecipe",
    "Recipe",
    "Run",
    "architecture",
    "create_model",
    "evaluate",
    "load",
    "preset",
    "pretrain",
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
    "Evaluation": "evaluation.results",
    "ModelOptions": "models.variants",
    "Network": "models.network",
    "Pretrained": "pretraining.pretrainer",
    "RbmRecipe": "pretraining.recipe",
    "Recipe": "config.recipe",
    "Run": "training.trainer",
    "architecture": "models.zoo",
    "create_model": "models.network",
    "evaluate": "evaluation.evaluator",
    "load": "inference.classifier",
    "preset": "config.presets",
    "pretrain": "pretraining.pretrainer",
    "resume": "training.trainer",
    "resume_pretraining": "pretraining.pretrainer",
    "train": "training.trainer",
    "variant": "models.variants",
}

__getattr__, _public_names = attach(__name__, _MODULES)


def __dir__() -> list[str]:
    return [*_public_names(), "__version__"]
