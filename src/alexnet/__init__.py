"""Every AlexNet that was ever published, exact, with a trainer for your own pictures.

The names below are the whole public interface; each is imported when it is first used, so that
`import alexnet` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alexnet.architectures import Architecture
    from alexnet.classifier import Classifier, load
    from alexnet.errors import AlexNetError
    from alexnet.evaluation import Evaluation
    from alexnet.judging import evaluate
    from alexnet.network import Network, create_model
    from alexnet.presets import preset
    from alexnet.pretraining.flow import Pretrained, pretrain, resume_pretraining
    from alexnet.pretraining.recipe import AutoencoderRecipe, RbmRecipe
    from alexnet.recipe import Recipe
    from alexnet.training import Run, resume, train
    from alexnet.variants import variant
    from alexnet.zoo import architecture

__version__ = "0.1.0"

_HOMES = {
    "AlexNetError": "errors",
    "Architecture": "architectures",
    "AutoencoderRecipe": "pretraining.recipe",
    "Classifier": "classifier",
    "Evaluation": "evaluation",
    "Network": "network",
    "Pretrained": "pretraining.flow",
    "RbmRecipe": "pretraining.recipe",
    "Recipe": "recipe",
    "Run": "training",
    "architecture": "zoo",
    "create_model": "network",
    "evaluate": "judging",
    "load": "classifier",
    "preset": "presets",
    "pretrain": "pretraining.flow",
    "resume": "training",
    "resume_pretraining": "pretraining.flow",
    "train": "training",
    "variant": "variants",
}

__all__ = [
    "AlexNetError",
    "Architecture",
    "AutoencoderRecipe",
    "Classifier",
    "Evaluation",
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
    return getattr(import_module(f"alexnet.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
