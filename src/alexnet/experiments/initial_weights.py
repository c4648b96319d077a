"""Where an arm's first weights come from, when they are not drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.experiments.experiment import Arm
from alexnet.experiments.plan import Plan
from alexnet.interop.state_dict import torchvision_weights
from alexnet.io.files import remove_folder
from alexnet.io.paths import find
from alexnet.pretraining.pretrainer import pretrain, resume_pretraining
from alexnet.pretraining.recipe import KINDS, PretrainRecipe
from alexnet.training.run_folder import RunFolder

CONVOLUTIONS = "alexnet_owt/features.pth"
"""torchvision's convolutions alone, where a data folder has them."""


def check_first_weights(plan: Plan) -> None:
    """Find what the arms begin from before anything is trained.

    Raises:
        MissingDataError: torchvision's weights are not here and cannot be downloaded.
    """
    if "alexnet_owt" in {arm.begins_from for arm in plan.arms}:
        torchvisions_features(plan.data_root)


def first_weights(plan: Plan, arm: Arm, out: Path) -> str:
    """The file that an arm begins from, made now where it is to be learnt; "" for drawn weights.

    Args:
        plan: the experiment.
        arm: one of its arms.
        out: the experiment's folder; what is learnt without labels is kept there, for all runs.
    """
    match arm.begins_from:
        case "nothing":
            return ""
        case "alexnet_owt":
            return str(torchvisions_features(plan.data_root))
        case "autoencoder" | "rbm":
            recipe = plan.recipe(replace(arm, changes={}), 0.0, 0)
            return str(pretrained(KINDS[arm.begins_from], recipe, out / arm.begins_from))


def torchvisions_features(data_root: str) -> Path:
    """The weights of torchvision, or its convolutions alone, which is all that is kept frozen.

    Raises:
        MissingDataError: neither is here, and they cannot be downloaded.
    """
    return find(data_root, (CONVOLUTIONS,)) or torchvision_weights(data_root)


def pretrained(kind: type[PretrainRecipe], recipe: Recipe, folder: Path) -> Path:
    """Convolutions learnt without labels from all training pictures of a recipe: a model file.

    The test pictures are never seen. A pretraining that was stopped goes on.
    """
    run = RunFolder(folder)
    if run.result.exists():
        return run.model
    if run.config.exists():
        resume_pretraining(folder)
        return run.model
    remove_folder(folder)
    options = replace(recipe.data_options, train_per_class=None)
    pretrain(kind.before(replace(recipe, data_options=options)), out=folder)
    return run.model
