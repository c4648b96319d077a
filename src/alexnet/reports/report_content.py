"""The variables of the template of a run's page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import flag_text, nearest_preset, recipe_changes
from alexnet.config.serialization import to_json
from alexnet.evaluation.intervals import ConfidenceInterval
from alexnet.io.text import count_text, printable, shell_command
from alexnet.pages.page import percent
from alexnet.reports.augmented import augmented_rows
from alexnet.reports.class_sizes import class_size_chart
from alexnet.reports.confusion import class_rows, confusion_of
from alexnet.reports.curves import SPLIT_NAMES, run_charts, update_chart
from alexnet.reports.data_facts import describe_data
from alexnet.reports.feature_map import stored_map
from alexnet.reports.network_rows import network_table
from alexnet.reports.page_images import choose_images
from alexnet.reports.reliability import reliability_diagrams
from alexnet.reports.shown_paths import short_path
from alexnet.reports.stored_images import RunData, open_run_data, with_classes_of
from alexnet.reports.stored_run import StoredRun

ENVIRONMENT_NAMES = {
    "device_name": "processor", "device": "device", "cores": "cores", "threads": "threads",
    "system": "system", "alexnet": "alexnet", "python": "Python", "torch": "torch",
    "numpy": "NumPy", "pillow": "Pillow", "kernels": "C kernels", "has_bf16": "bfloat16",
    "auto_precision": "precision auto",
}  # fmt: skip
MIN_CALIBRATION_IMAGES = 200
"""Minimum number of images for a calibration error beside the headline, since few give a large
error by chance; the section on calibration names that."""
STATES = {
    "finished": "", "running": "This run is being trained.", "damaged": "This run is damaged.",
    "unfinished": "This run has not finished.", "diverged": "This run diverged.",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The error at the top of the page."""

    what: str
    """The name of the error, such as "test error"."""
    error: float | None
    interval: ConfidenceInterval | None
    num_images: int | None
    note: str = ""


def report_content(run: StoredRun) -> dict[str, Any]:
    """All variables of `run_report.html`, for a page that does not refresh itself."""
    data = open_run_data(run)
    run = with_classes_of(run, data)
    return live_content(run) | image_content(run, data) | {"version": ""}


def live_content(run: StoredRun) -> dict[str, Any]:
    """The variables that change with every epoch; computing them takes milliseconds."""
    evaluation = run.evaluation
    return {
        "run": run,
        "headline": headline(run),
        "state": STATES[run.summary.state],
        "facts": _facts(run),
        "advice": _advice(run),
        "epoch_charts": run_charts(run.history, run.times, _best_epoch(run)) if run.history else [],
        "updates": update_chart(run.history),
        "recipe": _recipe_rows(run.recipe),
        "environment": _environment_rows(run),
        **_again(run),
        "problems": [f"{what}: {why}" for what, why in run.problems.items()],
        "network": network_table(run.architecture) if run.architecture else None,
        "split": SPLIT_NAMES.get(evaluation.split, evaluation.split) if evaluation else "",
    }


def image_content(run: StoredRun, data: RunData) -> dict[str, Any]:
    """The variables that need the run's evaluation and data, which change only at the run's end."""
    evaluation = run.evaluation
    facts = describe_data(run, data)
    augmented, augmented_problem = augmented_rows(run.recipe, data)
    feature_map, map_problem = stored_map(run)
    images = choose_images(run.predictions, data, run.evaluate_command)
    class_names = [printable(name) for name in evaluation.class_names] if evaluation else []
    return {
        "evaluation": evaluation,
        "class_names": class_names,
        "confusion": confusion_of(evaluation) if evaluation else None,
        "class_rows": class_rows(evaluation, facts.classes if facts else []) if evaluation else [],
        "images": images,
        "image_data": {"classes": class_names, "rows": images.rows},
        "diagrams": reliability_diagrams(evaluation.calibration) if evaluation else [],
        "map": feature_map,
        "map_problem": map_problem,
        "data": facts,
        "size_chart": class_size_chart(facts),
        "augmented": augmented,
        "augmented_problem": augmented_problem,
    }


def _advice(run: StoredRun) -> list[str]:
    """Sentences on what is uncertain about the run and its evaluation."""
    lines = [*(run.result.advice if run.result else ())]
    return list(dict.fromkeys([*lines, *(run.evaluation.advice if run.evaluation else ())]))


def headline(run: StoredRun) -> Headline:
    """The test error, else the validation error, else the last epoch's error; with its interval."""
    result = run.result
    if result and (test := result.test):
        return Headline(
            what="test error",
            error=test.top1_error,
            interval=test.top1_error_interval,
            num_images=test.num_images,
        )
    if result and (best := result.validation):
        return Headline(
            what="validation error",
            error=best.top1_error,
            interval=best.top1_error_interval,
            num_images=best.num_images,
            note=f"the lowest of {count_text(result.epochs, 'epoch')}, so a little too low",
        )
    return _unfinished_headline(run)


def _unfinished_headline(run: StoredRun) -> Headline:
    """The headline of an unfinished run: the last epoch's error, without number of images."""
    if not run.history:
        return Headline(what="no finished epoch yet", error=None, interval=None, num_images=None)
    last = run.history[-1]
    split = SPLIT_NAMES.get(last.eval_split or "")
    error = last.eval_top1_error if split else last.train_top1_error
    return Headline(
        what=f"{split or 'training'} error after epoch {last.epoch}",
        error=error,
        interval=None,
        num_images=None,
    )


def _best_epoch(run: StoredRun) -> int | None:
    """The epoch with the lowest validation error; None without validation errors."""
    errors = {r.epoch: r.val_top1_error for r in run.history if r.val_top1_error is not None}
    return min(errors, key=lambda epoch: errors[epoch]) if errors else None


def _facts(run: StoredRun) -> list[tuple[str, str]]:
    """Names and values of the figures beside the headline."""
    return [*_evaluation_facts(run), *_training_facts(run)]


def _evaluation_facts(run: StoredRun) -> list[tuple[str, str]]:
    if run.evaluation is None:
        return []
    found = run.evaluation
    top5 = ("top-5 error", percent(found.top5_error))
    gap = ("calibration error", percent(found.calibration.error))
    return [
        *([top5] if len(found.class_names) > 5 else []),
        ("loss", f"{found.loss:.3f}"),
        *([gap] if found.num_images >= MIN_CALIBRATION_IMAGES else []),
    ]


def _training_facts(run: StoredRun) -> list[tuple[str, str]]:
    done, planned = len(run.history), run.recipe.epochs if run.recipe else None
    found = [("epochs", f"{done:,}" if planned in (None, done) else f"{done:,} of {planned:,}")]
    if times := run.times:
        minutes = sum(t.elapsed_seconds for t in times) / 60
        text = f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
        speed = sum(t.images_per_second for t in times) / len(times)
        found += [("training", text), ("speed", f"{speed:,.0f} images/s")]
    if run.architecture:
        total = sum(info.parameters for info in run.architecture.layer_infos())
        found.append(("parameters", f"{total / 1e6:.1f} M" if total > 1e6 else f"{total:,}"))
    return found


def _again(run: StoredRun) -> dict[str, Any]:
    """The command that trains a run again, and whether it must be run in the run's folder.

    It contains no absolute path, since the page may be read on another machine.
    """
    path = run.path
    is_inside = path.is_absolute() and not path.is_relative_to(Path.cwd())
    config = "config.json" if is_inside else str(Path(short_path(path), "config.json"))
    command = shell_command(["alexnet", "train", "--config", config])
    return {"command": command, "is_inside": is_inside}


def _recipe_rows(recipe: Recipe | None) -> dict[str, Any] | None:
    """The preset that a recipe comes from, the changes to it, and the whole recipe as JSON."""
    if recipe is None:
        return None
    preset = nearest_preset(recipe)
    changes = recipe_changes((preset, recipe))
    rows = [(change.flag, *map(flag_text, change.values)) for change in changes]
    return {"preset": preset.name, "rows": rows, "text": to_json(recipe), "options": recipe}


def _environment_rows(run: StoredRun) -> list[tuple[str, str]]:
    known = [(name, run.environment.get(key)) for key, name in ENVIRONMENT_NAMES.items()]
    texts = {True: "yes", False: "no"}
    return [
        (name, texts.get(value, str(value)) if isinstance(value, bool) else str(value))
        for name, value in known
        if value is not None
    ]
