"""The initial weights of arms that do not start from random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from alexnet.config.recipe import SCRATCH
from alexnet.experiments.experiment import Arm
from alexnet.experiments.plan import Plan
from alexnet.interop.torchvision import FEATURES_FILE, torchvision_weights
from alexnet.io.files import remove_folder
from alexnet.io.paths import find
from alexnet.pretraining.pretrainer import pretrain, resume_pretraining
from alexnet.pretraining.recipe import KINDS, PretrainRecipe
from alexnet.training.run_folder import RunFolder


def check_initial_weights(plan: Plan) -> None:
    """Find the weights that arms start from, before anything is trained.

    Raises:
        MissingDataError: torchvision's weights are not here and cannot be downloaded.
    """
    if "alexnet_owt" in {arm.init_from for arm in plan.arms}:
        torchvision_features(plan.data_root)


def torchvision_features(data_root: str) -> Path:
    """The file of torchvision's weights, or of its convolutions alone, which are all that is used.

    Raises:
        MissingDataError: neither is here, and they cannot be downloaded.
    """
    return find(data_root, (FEATURES_FILE,)) or torchvision_weights(data_root)


def pretrained_model(recipe: PretrainRecipe, folder: Path) -> Path:
    """The model file of a pretraining, which is started, resumed or reused as `folder` says."""
    run = RunFolder(folder)
    if run.result.exists():
        return run.model
    if run.config.exists():
        resume_pretraining(folder)
        return run.model
    remove_folder(folder)
    pretrain(recipe, out=folder)
    return run.model


def initial_weights(
    plan: Plan,
    arm: Arm,
    out: Path,
    seed: int,
    pretrained: Callable[[PretrainRecipe, Path], Path] = pretrained_model,
) -> str:
    """The weights that an arm starts from: a path, pretrained now if need be, or "scratch".

    Args:
        plan: the experiment.
        arm: one of its arms.
        out: the experiment's folder; pretrained weights are kept there.
        seed: seed of the pretraining, which serves all runs of this seed.
        pretrained: function that returns the model file of a pretraining in a folder.
    """
    match arm.init_from:
        case "random":
            return SCRATCH
        case "alexnet_owt":
            return str(torchvision_features(plan.data_root))
        case "autoencoder" | "rbm":
            recipe = plan.recipe(replace(arm, changes={}), plan.protocol.lr_grid[0], seed)
            options = replace(recipe.data_options, train_per_class=None)
            pretraining = KINDS[arm.init_from].from_recipe(replace(recipe, data_options=options))
            return str(pretrained(pretraining, out / f"{arm.init_from}-s{seed}"))
