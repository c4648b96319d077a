"""The public names: what they are, that all resolve, that importing the package costs nothing."""

from __future__ import annotations

import inspect
import os
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import alexnet
from alexnet.cli import VERBS
from alexnet.cli.completion import COMMANDS
from alexnet.other_names import SHELL_COMMANDS

PUBLIC = {
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
}
FOLDERS = {
    *("checkpoints", "config", "data", "evaluation", "experiments", "explain"),
    *("features",),
    *("inference", "interop", "label_errors"),
    *("models", "ops", "plots", "pretraining", "reports", "serve", "training", "transforms"),
}
"""Public folders, which need no import of their own."""
TORCHLESS = (
    "alexnet",
    "alexnet.config",
    "alexnet.io",
    "alexnet.models",
    "alexnet.runtime",
    "alexnet.models.architecture",
    "alexnet.models.zoo",
    "alexnet.models.variants",
    "alexnet.config.recipe",
    "alexnet.config.presets",
    "alexnet.config.preprocessing",
    "alexnet.config.serialization",
    "alexnet.config.options",
    "alexnet.api",
    "alexnet.records",
    "alexnet.pretraining.recipe",
    "alexnet.pretraining.records",
    "alexnet.errors",
)


def test_all_is_the_public_list() -> None:
    assert set(alexnet.__all__) == PUBLIC
    assert len(alexnet.__all__) == len(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_name_resolves(name: str) -> None:
    value = getattr(alexnet, name)
    assert value.__name__ == name
    assert value.__module__.startswith("alexnet.")
    assert inspect.getdoc(value)


def test_dir_lists_the_names() -> None:
    assert set(dir(alexnet)) == PUBLIC | FOLDERS | {"__version__"}
    assert all(getattr(alexnet, name).__name__ == f"alexnet.{name}" for name in FOLDERS)


@pytest.mark.parametrize("name", ["serve", "tune", "explain", "features", "label_errors"])
def test_a_package_that_refuses_calls_is_a_module(name: str) -> None:
    package = import_module(f"alexnet.{name}")
    assert inspect.ismodule(package)
    assert package.__all__
    with pytest.raises(alexnet.AlexNetError, match=f"alexnet.{name} is a module; "):
        package("runs/x")


def test_every_command_without_a_function_is_one() -> None:
    for name, command in SHELL_COMMANDS.items():
        assert name not in {*PUBLIC, *FOLDERS}
        _, verb, *rest = command.split()
        assert verb in VERBS
        assert verb not in ("data", "cache") or f"{verb} {rest[0]}" in COMMANDS


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'alexnet' has no attribute 'alexnetwork'"):
        _ = alexnet.alexnetwork


FACES = sorted(
    module.name
    for module in pkgutil.walk_packages(alexnet.__path__, "alexnet.")
    if module.ispkg and hasattr(import_module(module.name), "__all__")
)
"""The folders that re-export public names."""


@pytest.mark.parametrize("folder", FACES)
def test_a_folder_re_exports_its_public_names(folder: str) -> None:
    package = import_module(folder)
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert dir(package) == sorted(package.__all__)
    assert not modules & set(package.__all__), "a module hides the name"
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__module__.startswith(folder)
    with pytest.raises(AttributeError, match=f"module '{folder}' has no attribute 'nothing'"):
        _ = package.nothing


def test_version_is_three_numbers() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", alexnet.__version__)


def test_importing_needs_no_torch() -> None:
    heavy = "[m for m in ('torch', 'PIL', 'tyro') if m in sys.modules]"
    code = f"import sys, {', '.join(TORCHLESS)}; print({heavy})"
    source = str(Path(alexnet.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
