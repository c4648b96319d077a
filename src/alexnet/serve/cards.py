"""What is known about a served model, from its file and from the folder of its run."""

from __future__ import annotations

from pathlib import Path

from alexnet.evaluation.intervals import ConfidenceInterval
from alexnet.evaluation.summary import EvaluationSummary
from alexnet.inference.classifier import Classifier
from alexnet.reports.stored_run import StoredRun
from alexnet.serve.schemas import EvaluationCard, Interval, ModelCard
from alexnet.sharing.card import model_limits
from alexnet.training.results import ValidationSummary


def model_card(
    name: str,
    classifier: Classifier,
    run: StoredRun | None,
    *,
    is_joined: bool,
    hidden_images: str,
) -> ModelCard:
    """The card of a model.

    Args:
        name: under which it is served.
        classifier: the model.
        run: that it is of; None if that is not here.
        is_joined: whether images are computed together with others.
        hidden_images: why images of its training data are not shown; "" if they are.
    """
    info = classifier.info
    return ModelCard(
        name=name,
        architecture=info.architecture.name,
        class_names=info.class_names,
        data=Path(info.recipe.data).name,
        val_top1_error=info.scores.val_top1_error,
        test_top1_error=info.scores.test_top1_error,
        test_top5_error=info.scores.test_top5_error,
        num_images=dict(run.result.data.num_images) if run and run.result else {},
        evaluation=_evaluation(run, info.class_names) if run else None,
        hidden_images=hidden_images,
        limits=model_limits(len(info.class_names), run),
        input_size=info.preprocessing.input_side,
        is_joined=is_joined,
    )


def _evaluation(run: StoredRun, class_names: tuple[str, ...]) -> EvaluationCard | None:
    """The errors on the test split, or else on the validation split; None if neither is known."""
    if run.evaluation and run.evaluation.class_names == class_names:
        return _of_images(run.evaluation)
    validation = run.result.validation if run.result else None
    return _of_validation(validation) if validation else None


def _of_images(found: EvaluationSummary) -> EvaluationCard:
    return EvaluationCard(
        split=found.split,
        num_images=found.num_images,
        top1_error=found.top1_error,
        top1_interval=_interval(found.top1_error_interval),
        top5_error=found.top5_error,
        top5_interval=_interval(found.top5_error_interval),
    )


def _of_validation(found: ValidationSummary) -> EvaluationCard:
    return EvaluationCard(
        split="val",
        num_images=found.num_images,
        top1_error=found.top1_error,
        top1_interval=_interval(found.top1_error_interval),
        top5_error=None,
        top5_interval=None,
    )


def _interval(found: ConfidenceInterval) -> Interval:
    return Interval(low=found.low, high=found.high)
