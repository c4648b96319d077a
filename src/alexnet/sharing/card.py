"""The model card: README.md with the metadata that Hugging Face's hub reads."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.recipe_values import flat_values
from alexnet.errors import UsageError
from alexnet.evaluation.intervals import ConfidenceInterval
from alexnet.evaluation.summary import EvaluationSummary
from alexnet.io.text import count_text, printable
from alexnet.reports.stored_run import StoredRun
from alexnet.runtime.environment import installed_version
from alexnet.sharing.examples import Example

LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
"""Pattern of license identifiers such as mit or cc-by-4.0."""
MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
MAX_CLASS_ROWS, MAX_CONFUSED, MAX_CLASS_NAMES = 100, 5, 30
SETTINGS = (
    "init_from", "freeze_up_to", "epochs", "batch_size", "optimizer.optimizer", "optimizer.lr",
    "optimizer.weight_decay", "schedule.schedule", "precision", "seed",
)  # fmt: skip
"""Values of the recipe that the card shows."""


@dataclass(frozen=True, kw_only=True)
class CardContent:
    """The content of a model card."""

    run: StoredRun
    info: ModelInfo
    """Header of the model, without paths on this machine."""
    repository: str
    """Name of the repository, "OWNER/NAME"."""
    license: str
    plots: Sequence[str]
    """Names of the plots in the folder."""
    examples: Sequence[Example]
    half: bool
    trunk: str
    """Address of the trunk, which has the other weights; "" for a whole model."""
    head_file: str


def check_license(text: str) -> None:
    """Check that a text is a license identifier.

    Raises:
        UsageError: it is empty or no identifier.
    """
    if not LICENSE.fullmatch(text):
        given = f"{text!r} is no licence identifier" if text else "a model needs a licence"
        raise UsageError(
            f"{given}: --license mit, apache-2.0, cc-by-4.0, cc-by-nc-4.0, .. or other; mind the "
            "licence of the training images"
        )


def card_text(content: CardContent) -> str:
    """The text of README.md.

    Raises:
        UsageError: the license is no identifier.
    """
    check_license(content.license)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(md=markdown_text, percent=_percent)
    text = environment.get_template("model_card.md").render(_variables(content))
    return f"---\n{card_metadata(content).to_yaml()}\n---\n\n{_without_gaps(text)}"


def markdown_text(text: object) -> str:
    """Escape a text for Markdown, also in a table: no markup, no HTML, one line."""
    return MARKDOWN.sub(r"\\\1", html.escape(printable(str(text)), quote=False))


def card_metadata(content: CardContent) -> Any:
    """The card's metadata as `huggingface_hub.ModelCardData`."""
    from huggingface_hub import ModelCardData

    name = content.repository.partition("/")[2]
    return ModelCardData(
        license=content.license,
        library_name="alexnet",
        pipeline_tag="image-classification",
        tags=["alexnet", "image-classification", content.info.architecture.name],
        model_name=name,
        eval_results=_eval_results(content.run.evaluation, data_name(content.run)) or None,
    )


def _eval_results(evaluation: EvaluationSummary | None, data: str) -> list[Any]:
    from huggingface_hub import EvalResult

    if not evaluation:
        return []
    found = [("top-1 accuracy", evaluation.top1_error, evaluation.top1_error_interval)]
    if len(evaluation.class_names) > 5:
        found.append(("top-5 accuracy", evaluation.top5_error, evaluation.top5_error_interval))
    return [
        EvalResult(
            task_type="image-classification",
            dataset_type=re.sub(r"[^a-z0-9_-]+", "-", data.lower()).strip("-") or "images",
            dataset_name=printable(data),
            dataset_split=evaluation.split,
            metric_type="accuracy",
            metric_name=name,
            metric_value=round(1 - error, 6),
            metric_args={
                "num_images": evaluation.num_images,
                "interval_95": [round(1 - interval.high, 6), round(1 - interval.low, 6)],
            },
        )
        for name, error, interval in found
    ]


def model_limits(num_classes: int, run: StoredRun | None) -> tuple[str, ...]:
    """Sentences on the limits and the uncertainties of a model."""
    return (
        f"It always names one of its {num_classes:,} classes, also for an image of something else.",
        "The accuracy is that of images like those of the training data. Other cameras, places and "
        "groups of people may give another one.",
        "Later networks than AlexNet and LeNet make fewer errors.",
        *(run.result.advice if run and run.result else ()),
    )


def data_name(run: StoredRun) -> str:
    """What the training data is called: a data set's name, or the last name of its path."""
    data = run.recipe.data if run.recipe else ""
    return Path(data).name or "images"


def _variables(content: CardContent) -> dict[str, Any]:
    """The variables of the template."""
    run, info = content.run, content.info
    evaluation, num_more = run.evaluation, max(0, len(info.class_names) - MAX_CLASS_ROWS)
    height, channels = info.preprocessing.input_side, info.preprocessing.channels
    shown: dict[str, Any] = {
        "title": content.repository.partition("/")[2],
        "address": f"hf:{content.repository}",
        "version": installed_version("alexnet"),
        "arch": info.architecture.name,
        "class_names": info.class_names,
        "classes_text": _names_text(info.class_names),
        "data_name": data_name(run),
        "data_text": _data_text(run),
        "input_text": f"{channels} x {height} x {height}, made of an image of any size",
        "settings": _settings(info),
        "epochs_text": f"{count_text(len(run.history), 'epoch')}, {_minutes(run)}",
        "limits": model_limits(len(info.class_names), run),
        "evaluation": evaluation,
        "num_more_classes": num_more,
        "plots": content.plots,
        "examples": content.examples,
        "half": content.half,
        "trunk": content.trunk,
        "head_file": content.head_file,
    }
    return shown | (_scores(evaluation) if evaluation else {"split_text": ""})


def _scores(evaluation: EvaluationSummary) -> dict[str, Any]:
    has_top5 = len(evaluation.class_names) > 5
    return {
        "accuracy": _percent(1 - evaluation.top1_error),
        "interval": _interval(evaluation.top1_error_interval),
        "top5": _percent(1 - evaluation.top5_error) if has_top5 else "",
        "top5_interval": _interval(evaluation.top5_error_interval),
        "split_text": {"val": "validation split"}.get(
            evaluation.split, f"{evaluation.split} split"
        ),
        "is_validation": evaluation.split == "val",
        "per_class": evaluation.per_class[:MAX_CLASS_ROWS],
        "most_confused": evaluation.most_confused[:MAX_CONFUSED],
    }


def _settings(info: ModelInfo) -> list[tuple[str, object]]:
    values = flat_values(info.recipe)
    return [(name, values[name]) for name in SETTINGS if values.get(name) not in (None, "")]


def _data_text(run: StoredRun) -> str:
    counts = run.result.data.num_images if run.result else {}
    return ", ".join(f"{count:,} {split} images" for split, count in counts.items()) or "unknown"


def _names_text(names: Sequence[str]) -> str:
    more = len(names) - MAX_CLASS_NAMES
    return ", ".join(names[:MAX_CLASS_NAMES]) + (f" and {more} more" if more > 0 else "")


def _minutes(run: StoredRun) -> str:
    seconds = run.result.training_seconds if run.result else 0.0
    device = run.environment.get("device_name", "")
    return f"{seconds / 60:.1f} minutes" + (f" on {markdown_text(device)}" if device else "")


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f} %"


def _interval(error: ConfidenceInterval) -> str:
    """The accuracy's confidence interval in percent, from the error's."""
    return f"{100 * (1 - error.high):.1f} to {100 * (1 - error.low):.1f} %"


def _without_gaps(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"
