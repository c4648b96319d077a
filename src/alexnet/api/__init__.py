"""The package's public functions: the command line's verbs, with its flags as keyword arguments.

- `recipes`: makes the recipe from the arguments of a call.
- `python_words`: makes messages name keywords instead of flags.
- `training`: `train`, `find_lr`, `resume`, `pretrain`, `resume_pretraining`.
- `networks`: `create_model`.
- `models`: `load`, `predict`, `evaluate`, `export`, `import_model`.
- `runs`: `report`.
- `data`: `load_splits`.
- `architectures`: `variant`, `list_models`, `list_datasets`, `list_presets`.
- `reporting`: shows progress in the shell, passes it to the caller's reporter, or is silent.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.api.architectures import list_datasets, list_models, list_presets, variant
    from alexnet.api.data import load_splits
    from alexnet.api.models import evaluate, export, import_model, load, predict
    from alexnet.api.networks import create_model
    from alexnet.api.runs import report
    from alexnet.api.training import find_lr, pretrain, resume, resume_pretraining, train

__all__ = [
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
    "pretrain",
    "report",
    "resume",
    "resume_pretraining",
    "train",
    "variant",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "create_model": "networks",
        "evaluate": "models",
        "export": "models",
        "find_lr": "training",
        "import_model": "models",
        "list_datasets": "architectures",
        "list_models": "architectures",
        "list_presets": "architectures",
        "load": "models",
        "load_splits": "data",
        "predict": "models",
        "pretrain": "training",
        "report": "runs",
        "resume": "training",
        "resume_pretraining": "training",
        "train": "training",
        "variant": "architectures",
    },
)
