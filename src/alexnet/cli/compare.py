"""`alexnet compare`: recipes, learning curves and errors of runs or models, on the same images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note, print_json, table
from alexnet.cli.flags import parse
from alexnet.cli.models import local_path, with_place
from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import RecipeChange, flag_text, recipe_changes
from alexnet.config.serialization import json_document
from alexnet.errors import AlexNetError, UsageError, require
from alexnet.evaluation.intervals import ConfidenceInterval, percent_with_interval
from alexnet.io.files import write_text
from alexnet.io.hub import PREFIX, short_name
from alexnet.io.text import count_text, printable
from alexnet.progress import ProgressReporter
from alexnet.records import EpochRecord

if TYPE_CHECKING:
    from alexnet.cli.outputs.compare import CompareOutput
    from alexnet.evaluation.paired import Comparison, PairedTest
    from alexnet.evaluation.seed_groups import SeedGroup

ABOUT_IMAGES = (
    "p: McNemar's exact test{adjusted}; difference: Tango's interval for pairs. Both are about the "
    "images:\nwith other seeds the models would be others."
)
ABOUT_SEEDS = "groups of runs that differ only in --seed: Student's intervals, over the seeds"
METHODS = {"paired": "pairs of the same seed", "welch": "Welch, other seeds"}


@dataclass(frozen=True, kw_only=True)
class CompareFlags:
    """Recipes, learning curves and errors of runs or models, tested on the same images."""

    models: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL ..")] = ()
    """Run folders or model files; the others are compared with the first."""
    data: str = ""
    """A data set, folder or list of images; unless given, the one the models were trained on."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """As for alexnet evaluate."""
    split: Literal["auto", "test", "val", "train", "all"] = "auto"
    """As for alexnet evaluate."""
    crops: Literal["1", "10"] = "1"
    """10 averages the center and the corners, each also flipped (paper, section 4.1)."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = ""
    """Folder for comparison.json and learning_curves.png; compare-A-B beside the first model unless
    given."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Compare, write the plot, print the tables."""
    flags = with_place(parse(CompareFlags, arguments, "compare"), "models")
    paths = named_paths(flags.models)
    from alexnet.cli.outputs.compare import compare_output
    from alexnet.evaluation.paired import compare_models
    from alexnet.evaluation.seed_groups import group_by_seed
    from alexnet.inference.classifier import load

    classifiers = {n: load(local_path(path), flags.device) for n, path in paths.items()}
    with ProgressReporter() as reporter:
        comparison = compare_models(
            classifiers,
            flags.data,
            data_root=flags.data_root,
            label_from=flags.label_from,
            split=flags.split,
            crops=10 if flags.crops == "10" else 1,
            reporter=reporter,
            on_progress=reporter.on_evaluate,
        )
    recipes = {name: c.info.recipe for name, c in classifiers.items() if c.info.recipe.data}
    groups = group_by_seed(recipes, {m.name: m.top1_error for m in comparison.models})
    facts = compare_output(comparison, recipes, groups)
    out = Path(flags.out) if flags.out else _default_folder(paths)
    try:
        _write(facts, paths, out)
    finally:  # also where nothing can be written
        if flags.json:
            print_json(facts)
        else:
            print(_text(comparison, recipes, groups))
    note(f"written   {out}")
    return 0


def named_paths(models: Sequence[str]) -> dict[str, str]:
    """The paths and addresses by their short names, or by themselves if two short names are equal.

    Raises:
        UsageError: there are fewer than two models, or one is named twice.
    """
    require(len(models) > 1, "name two runs or model files or more", UsageError)
    names = [short_name(model) for model in models]
    if len(set(names)) < len(names) or not all(names):
        names = [os.path.normpath(model) for model in models]
    require(
        len(set(names)) == len(names), f"a model is named twice: {' '.join(models)}", UsageError
    )
    return dict(zip(names, models, strict=True))


def _text(
    comparison: Comparison, recipes: Mapping[str, Recipe], groups: Sequence[SeedGroup]
) -> str:
    """Recipes, errors and tests as text."""
    changes = recipe_changes(list(recipes.values())) if recipes else []
    parts = [_recipe_text(changes, list(recipes))] if len(recipes) > 1 else []
    imported = [model.name for model in comparison.models if model.name not in recipes]
    parts += [printable(f"{name} was imported and has no recipe") for name in imported]
    rows = [
        (m.name, f"{m.num_wrong:,}", percent_with_interval(m.top1_error, comparison.num_images))
        for m in comparison.models
    ]
    crops = "" if comparison.crops == 1 else f", {comparison.crops} crops"
    where = f"{printable(comparison.data)}, {comparison.split}: "
    parts.append(f"{where}{count_text(comparison.num_images, 'image')}{crops}")
    parts.append(table(("model", "wrong", "top-1 error (95 % interval)"), rows))
    parts.append(_test_text(comparison))
    adjusted = ", adjusted by Holm" if len(comparison.tests) > 1 else ""
    parts.append(ABOUT_IMAGES.format(adjusted=adjusted))
    return "\n\n".join([*parts, *([seeds_text(groups)] if groups else [])])


def seeds_text(groups: Sequence[SeedGroup]) -> str:
    """A table of the groups of runs that differ only in the seed, each compared with the first."""
    first = groups[0].name
    rows = []
    for group in groups:
        low, high = (f"{100 * x:.1f}" for x in (group.interval.low, group.interval.high))
        error = f"{100 * group.mean_top1_error:.1f} % ({low} to {high} %)"
        row = [group.name, str(len(group.seeds)), error]
        if test := group.against_first:
            points = f"{100 * test.difference:+.1f} ({_points(test.interval)})"
            row += [points, METHODS[test.method]]
        rows.append((*row, *[""] * (5 - len(row))))
    header = ("group", "seeds", "mean error (95 %)", f"points to {first} (95 %)", "by")
    return f"{table(header, rows)}\n\n{ABOUT_SEEDS}"


def _recipe_text(changes: Sequence[RecipeChange], names: Sequence[str]) -> str:
    """A table of the options in which the recipes differ, with a column for each model."""
    if not changes:
        return "the recipes are the same"
    rows = [(change.flag, *map(flag_text, change.values)) for change in changes]
    return table(("option", *names), rows)


def _test_text(comparison: Comparison) -> str:
    """A table of the tests, and a sentence on the result of each."""
    first = comparison.models[0].name
    rows = [
        (
            test.name,
            f"{test.only_first_wrong:,}",
            f"{test.only_this_wrong:,}",
            f"{100 * test.difference:+.1f}",
            _points(test.interval),
            f"{test.adjusted_p_value:.2g}",
        )
        for test in comparison.tests
    ]
    header = (f"against {first}", "only that wrong", "only this wrong", "points", "95 %", "p")
    verdicts = [printable(_verdict(test, first)) for test in comparison.tests]
    return "\n".join([table(header, rows), "", *verdicts])


def _verdict(test: PairedTest, first: str) -> str:
    if test.adjusted_p_value >= 0.05:
        return (
            f"{test.name}: no difference from {first} is shown; "
            f"it lies between {_points(test.interval, 'and')} points"
        )
    kind = "fewer" if test.difference < 0 else "more"
    return f"{test.name} makes {kind} errors than {first}"


def _points(interval: ConfidenceInterval, between: str = "to") -> str:
    return f"{100 * interval.low:+.1f} {between} {100 * interval.high:+.1f}"


def _default_folder(paths: Mapping[str, str]) -> Path:
    """The folder compare-A-B beside the first run or model file, named after the first two models.

    It is in the current folder if the first model is an address.
    """
    word = next(iter(paths.values()))
    is_address, first = word.startswith(PREFIX), Path(word)
    place = Path() if is_address else first if first.is_dir() else first.parent
    is_run = not is_address and (place / "config.json").exists()
    names = [Path(name).name for name in paths][:2]
    more = f"-and-{len(paths) - 2}-more" if len(paths) > 2 else ""
    if is_run:
        place = place.parent if place.name not in ("", "..") else place.resolve().parent
    return place / f"compare-{'-'.join(names)}{more}"


def _write(facts: CompareOutput, paths: Mapping[str, str], out: Path) -> None:
    """Write comparison.json, and the learning curves of the models that are runs."""
    write_text(out / "comparison.json", json_document(facts) + "\n")
    histories = {name: _history(Path(path)) for name, path in paths.items()}
    histories = {name: history for name, history in histories.items() if history}
    if histories:
        from alexnet import plots
        from alexnet.plots.compared_runs import compared_curves

        title = plots.run_title("learning curves", [facts.data])
        plots.save(compared_curves(histories, title), out / "learning_curves.png")


def _history(path: Path) -> list[EpochRecord]:
    """The epochs of a run; empty for a model file alone, or if they are damaged."""
    from alexnet.training.run_folder import RunFolder, read_metrics

    run = RunFolder(path if path.is_dir() else path.parent)
    try:
        return read_metrics(run) if run.metrics.exists() else []
    except (AlexNetError, OSError) as error:
        note(f"no learning curve of {path}: {error}")
        return []
