"""Where an arm's first weights come from, when they are not drawn."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from alexnet.data.files import remove_folder
from alexnet.data.places import find
from alexnet.errors import UsageError
from alexnet.experiments.experiment import Arm
from alexnet.experiments.planning import Plan
from alexnet.interop.state_dicts import torchvision_weights
from alexnet.recipe import Recipe
from alexnet.runs import RunFolder

CONVOLUTIONS = "alexnet_owt/features.pth"
"""torchvision's convolutions alone, where a data folder has them."""


def check_first_weights(plan: Plan) -> None:
    """Find what the arms begin from before anything is trained.

    Raises:
        MissingDataError: torchvision's weights are not here and cannot be downloaded.
        UsageError: this program has no pretraining.
    """
    kinds = {arm.begins_from for arm in plan.arms}
    if "alexnet_owt" in kinds:
        torchvisions_features(plan.data_root)
    if "pretraining" in kinds and find_spec("alexnet.pretraining") is None:
        names = sorted({a.series or a.name for a in plan.arms if a.begins_from == "pretraining"})
        raise UsageError(
            "this alexnet has no pretraining without labels, which the arms "
            f"{' and '.join(names)} need; leave them out with --without {' '.join(names)}"
        )


def first_weights(plan: Plan, arm: Arm, folder: Path) -> str:
    """The file that an arm begins from, made now where it is to be learnt; "" for drawn weights.

    Args:
        plan: the experiment.
        arm: one of its arms.
        folder: what is learnt without labels is kept here, for all runs.
    """
    match arm.begins_from:
        case "nothing":
            return ""
        case "alexnet_owt":
            return str(torchvisions_features(plan.data_root))
        case "pretraining":
            return str(pretrained(plan.recipe(replace(arm, changes={}), 0.0, 0), folder))


def torchvisions_features(data_root: str) -> Path:
    """The weights of torchvision, or its convolutions alone, which is all that is kept frozen.

    Raises:
        MissingDataError: neither is here, and they cannot be downloaded.
    """
    return find(data_root, (CONVOLUTIONS,)) or torchvision_weights(data_root)


def pretrained(recipe: Recipe, folder: Path) -> Path:
    """Convolutions learnt without labels from all training pictures of a recipe: a model file.

    The test pictures are never seen. A pretraining that was stopped goes on.
    """
    run = RunFolder(folder)
    flow = import_module("alexnet.pretraining.flow")
    if run.result.exists():
        return run.model
    if run.config.exists():
        flow.resume_pretraining(folder)
        return run.model
    remove_folder(folder)
    options = replace(recipe.pictures, train_per_class=0)
    kind = import_module("alexnet.pretraining.recipe").AutoencoderRecipe
    flow.pretrain(kind.before(replace(recipe, pictures=options)), out=folder)
    return run.model
