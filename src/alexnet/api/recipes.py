"""Make the recipe of a run from the arguments of a call in Python or of a command."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from alexnet.config.architecture_file import PYTHON_FILE, named_or_own
from alexnet.config.model_recipe import model_note, recipe_of_model
from alexnet.config.options import option_types, with_options
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.presets import FINETUNE, PRESETS
from alexnet.config.published_inputs import with_architecture, with_network
from alexnet.config.recipe import SCRATCH, WEIGHT_WORDS, BaseRecipe, Recipe
from alexnet.config.recipe_changes import arch_note, from_model_note
from alexnet.config.serialization import from_dict
from alexnet.data.datasets.archive import is_archive_name
from alexnet.data.datasets.catalogue import DATASETS, open_source
from alexnet.data.datasets.image_lists.source import is_list_name
from alexnet.errors import UnknownNameError, UsageError
from alexnet.io import hub
from alexnet.io.paths import FilePath, path_text, similar_path, table_hint
from alexnet.models.architecture import Architecture
from alexnet.models.zoo import ABLATIONS, ZOO
from alexnet.reporter import Reporter, progress_callback

R = TypeVar("R", bound=BaseRecipe)
F = TypeVar("F", bound=Callable[..., Any])
Start: TypeAlias = "Recipe | FilePath"
"""A recipe, the name of a preset, or data: a path, or the name of a data set."""

DEFAULT_PRESET = "quickstart"
NOTHING: Mapping[str, Any] = MappingProxyType({})


CHOOSING = ("data", "arch", "init_from")
"""The options that choose a starting recipe, which all given options then change."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """The arguments of a call or a command that choose its starting recipe."""

    start: Start = ""
    """A recipe, the name of a preset, or data; "" for the default preset."""
    in_file: Any = None
    """The values of a config file, which override those of `start`; None: there is none."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """The call's options that are in CHOOSING, by name."""

    def recipe(self, **given: Any) -> Recipe:
        """The starting recipe, which the options of the call then change.

        Images of one's own are fine-tuned from torchvision's weights unless a source is given. An
        architecture brings its own input. A `Recipe` is taken as it is.

        Args:
            given: values of options in CHOOSING that override those of the call.

        Raises:
            UnknownNameError: `start` is neither a preset nor data.
            UsageError: `start` is an architecture, or a value of another type.
            ModelFileError: the source of weights is a folder without a model.
        """
        in_file = choosing(self.in_file) if isinstance(self.in_file, Mapping) else {}
        if _names_data(self.start):
            in_file.pop("data", None)
        start = _recipe_of(self.start, {**in_file, **self.given, **given})
        if self.in_file is None:
            return start
        from alexnet.training.run_folder import merged_recipe

        recipe = merged_recipe(self.in_file, start)
        return replace(recipe, data=start.data) if _names_data(self.start) else recipe


def read_call(
    start: Start = "", config: FilePath = "", options: Mapping[str, Any] = NOTHING
) -> Call:
    """Read the arguments that choose a recipe, and the config file.

    Args:
        start: a recipe, the name of a preset, or data, as in `Call.start`.
        config: JSON, TOML or YAML file of a recipe; "" for none.
        options: all options of the call.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: it is not JSON, TOML or YAML.
    """
    if not config:
        return Call(start=start, given=choosing(options))
    from alexnet.training.run_folder import read_options

    return Call(
        start=start,
        in_file=read_options(Path(path_text(config, "config"))),
        given=choosing(options),
    )


def choose_weights(
    recipe: Recipe, again: Callable[..., Recipe], reporter: Reporter
) -> tuple[Recipe, tuple[str, ...]]:
    """Decide the source of weights of a recipe where it is "auto".

    Args:
        recipe: one with "auto" is fine-tuned if torchvision's weights can be had, else trained
            from scratch.
        again: makes the recipe of the same call once more, with the values that it is given, as
            `Call.recipe` does.
        reporter: receives the progress of a download.

    Returns:
        The recipe, and sentences for the user: why torchvision's weights are not used, and which
        options the architecture or the model has changed.

    Raises:
        AlexNetError: the data do not exist, so nothing is downloaded; or a model of the hub
            cannot be had.
    """
    recipe = with_hub_model(recipe, again, reporter)
    if recipe.init_from != "auto":
        return recipe, _notes(network_note(recipe), from_note(recipe))
    _check_data_exist(recipe)
    from alexnet.training.initial_weights import find_pretrained, from_scratch_text

    file, reason = find_pretrained(recipe, progress_callback(reporter, "on_download"))
    if file:
        return replace(recipe, init_from=str(file)), ()
    scratch = replace(again(init_from=SCRATCH), init_from=SCRATCH)
    return scratch, _notes(from_scratch_text(reason), arch_note(scratch))


def with_hub_model(recipe: Recipe, again: Callable[..., Recipe], reporter: Reporter) -> Recipe:
    """Download the hub's model that a recipe starts from; the recipe gets its network and input.

    Any other recipe is returned unchanged.

    Args:
        recipe: the recipe as it was made before the model was downloaded.
        again: as for `choose_weights`.
        reporter: receives the progress of the download.

    Raises:
        AlexNetError: the data do not exist, so nothing is downloaded; or the model cannot be had.
    """
    if not recipe.init_from.startswith(hub.PREFIX):
        return recipe
    _check_data_exist(recipe)
    from alexnet.training.initial_weights import find_source

    find_source(recipe.init_from, recipe.data_root, progress_callback(reporter, "on_download"))
    return again()


def _check_data_exist(recipe: Recipe) -> None:
    if recipe.data not in DATASETS and not Path(path_text(recipe.data)).exists():
        open_source(recipe.data, recipe.data_root)  # raises


def _notes(*sentences: str) -> tuple[str, ...]:
    """The sentences that are not empty."""
    return tuple(filter(None, sentences))


def _recipe_of(start: object, given: Mapping[str, Any]) -> Recipe:
    if isinstance(start, Recipe):
        return start
    recipe = _recipe_for_data(start, given) or PRESETS[str(start)]
    arch = given.get("arch", recipe.arch)
    arch = named_or_own(arch) if isinstance(arch, str) else arch
    return with_architecture(recipe, arch) if isinstance(arch, str | Architecture) else recipe


def _recipe_for_data(start: object, given: Mapping[str, Any]) -> Recipe | None:
    """The default recipe for data and the given source of weights; None for a preset's name."""
    if not isinstance(start, str | os.PathLike):
        raise UsageError(
            f"the first argument is a Recipe, the name of a preset, or the path of data; "
            f"not a {type(start).__name__}{table_hint(start)}{_pairs_hint(start)}"
        )
    text = os.fspath(start)
    if PYTHON_FILE.fullmatch(text) and not Path(text).is_dir():
        raise UsageError(f"{text} is a table of layers, not data; name it with --arch {text}")
    if isinstance(start, str) and text in PRESETS:
        return None
    if text and not _names_data(start):
        if text in {**ZOO, **ABLATIONS}:
            raise UsageError(f"{text!r} is an architecture; name it with --arch {text}")
        similar = similar_path(Path(text))
        raise UnknownNameError("preset (nor is it data)", text, [*PRESETS, *DATASETS, similar])
    data = str(given.get("data", text)) or PRESETS[DEFAULT_PRESET].data
    source = given.get("init_from") or (SCRATCH if data in DATASETS else "auto")
    recipe = _recipe_from(str(source))
    return name_after_data(replace(recipe, data=data), recipe)


def _pairs_hint(start: object) -> str:
    """A hint for a caller who gives images and labels; "" for any other value."""
    if not isinstance(start, list | tuple | Mapping):
        return ""
    return "; write images and their labels to a CSV file of path,label, and give its path"


def _recipe_from(source: str) -> Recipe:
    """The default recipe for a source of weights; it has the network and the input of a model file.

    A model of the hub that was not downloaded yet is treated as a file of another program.
    """
    if source == SCRATCH:
        return PRESETS[DEFAULT_PRESET]
    start = replace(FINETUNE, init_from=source)
    header = _header(source)
    if "pretrained" in header:  # layers that were pretrained without labels
        return replace(PRESETS[DEFAULT_PRESET], init_from=source)
    return with_network(start, _model_recipe(header)) if "recipe" in header else start


def _header(source: str) -> dict[str, Any]:
    """The header of the file that a source of weights names; empty without a header or a file.

    Raises:
        ModelFileError: it is a folder without a model.
    """
    path: Path | None = Path(path_text(source))
    if source.startswith(hub.PREFIX):
        path = hub.cached_file(source, hub.WEIGHT_FILES)
    if source in ("", *WEIGHT_WORDS) or path is None or not path.exists():  # told when it is read
        return {}
    from alexnet.checkpoints.file_header import read_header
    from alexnet.checkpoints.weights import weights_file

    return read_header(weights_file(path))


def _model_recipe(header: Mapping[str, Any]) -> Recipe:
    """The recipe in the header of a model file or a checkpoint; that of a model fits the model."""
    recipe = from_dict(Recipe, header["recipe"])
    if not {"architecture", "preprocessing"} <= header.keys():
        return recipe
    arch = from_dict(Architecture, header["architecture"])
    return recipe_of_model(recipe, arch, from_dict(Preprocessing, header["preprocessing"]))


def network_note(recipe: Recipe) -> str:
    """A sentence on the options that --arch, or the model of --from, has changed; "" if none."""
    header = _header(recipe.init_from)
    if "recipe" not in header or "pretrained" in header:
        return arch_note(recipe)
    return from_model_note(recipe, _model_recipe(header))


def from_note(recipe: Recipe) -> str:
    """A sentence on a normalization of the recipe's model that no recipe can express; or ""."""
    header = _header(recipe.init_from)
    if not {"recipe", "architecture", "preprocessing"} <= header.keys():
        return ""
    preprocessing = from_dict(Preprocessing, header["preprocessing"])
    return model_note(recipe.init_from, recipe, _model_recipe(header), preprocessing)


def _names_data(start: object) -> bool:
    """Whether the first argument of a call is data."""
    if isinstance(start, os.PathLike):
        return True
    return isinstance(start, str) and start not in ("", *PRESETS) and is_data(start)


def is_data(text: str) -> bool:
    """Whether a text names data: a data set, or a path that exists or looks like a path of data."""
    path = Path(path_text(text))
    looks_like_a_path = "/" in text or "\\" in text or text.startswith(("~", "."))
    return text in DATASETS or looks_like_a_path or path.exists() or _is_data_file(path)


def _is_data_file(path: Path) -> bool:
    return is_archive_name(path) or is_list_name(path)


def changed_recipe(start: R, options: Mapping[str, Any], others: tuple[str, ...]) -> R:
    """Change a recipe by options; new data without a new name also names the run folder.

    Args:
        start: the starting recipe.
        options: values by the names of the flags, with underscores.
        others: the call's other keywords, for messages.

    Raises:
        UsageError: there is no such option, or its value is of the wrong type.
        ConfigError: a value is out of range.
    """
    arch = options.get("arch")
    own = {"arch": named_or_own(arch)} if isinstance(arch, str) else {}
    return name_after_data(with_options(start, {**options, **own}, others), start)


def choosing(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are in CHOOSING, by name."""
    return {name: value for name, value in options.items() if name in CHOOSING}


def name_after_data(recipe: R, start: R) -> R:
    """Name the recipe after its data if `start` has other data and the same name."""
    if recipe.data == start.data or recipe.name != start.name:
        return recipe
    stem = Path(path_text(recipe.data)).resolve().stem
    return replace(recipe, name="".join(c if c.isalnum() or c in "-_" else "_" for c in stem))


def show_options(cls: type[BaseRecipe], names: Collection[str] | None = None) -> Callable[[F], F]:
    """Give a function with `**options` a signature with every option of a recipe, for editors.

    Args:
        cls: the recipe's class.
        names: the options that the function takes; None: all of them.
    """

    def show(function: F) -> F:
        own = inspect.signature(function).parameters
        shown = [p for p in own.values() if p.kind is not p.VAR_KEYWORD]
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=..., annotation=hint)
            for name, hint in option_types(cls).items()
            if name not in own and (names is None or name in names)
        ]
        function.__signature__ = inspect.Signature([*shown, *options])  # type: ignore[attr-defined]
        return function

    return show
