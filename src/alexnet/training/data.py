"""The data of a training run, and what it must have: two classes, each with training images."""

from __future__ import annotations

import numpy as np

from alexnet.config.recipe import DataOptions, Recipe
from alexnet.data.advice import many_held_out, split_advice, unused_fractions
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.datasets.published import PUBLISHED, published_source
from alexnet.data.duplicates import check_command, duplicate_advice
from alexnet.data.load import prepare_dataset, report_rejected
from alexnet.data.source import Source
from alexnet.data.splits import Splits, require_training_images, split_indices
from alexnet.data.store.build import planned_store
from alexnet.data.store.store import Store
from alexnet.data.summary import missing_classes, summarize, summary_notes
from alexnet.errors import DataError, MissingDataError
from alexnet.io.text import short_repr
from alexnet.reporter import NullReporter, Reporter, progress_callback


def prepare_data(recipe: Recipe, reporter: Reporter | None = None) -> tuple[Store, Splits]:
    """The image store of the recipe's data, built if it is not there yet, and its splits.

    Notes the classes, the number of images in each split, and classes that a split lacks.

    Raises:
        DataError: the data is missing, too much of it cannot be read, there are fewer than two
            classes, or a class has no training images.
    """
    reporter = reporter or NullReporter()
    options = recipe.data_options
    store = prepare_dataset(
        recipe.data,
        recipe.data_root,
        options.stored_form,
        label_from=options.label_from,
        hash_images=options.split == "hash",
        reporter=reporter,
    )
    splits = split_for_training(recipe, store, reporter)
    for sentence in duplicates_in(recipe, store, splits):
        reporter.note(sentence)
    return store, splits


def plan_data(recipe: Recipe, reporter: Reporter) -> tuple[Store, Splits, bool]:
    """As `prepare_data`, but a missing store is not built: its images are gray instead.

    A data set that is not here and has a published size gets that many images.

    Returns:
        The store, its splits, and whether the store is there.

    Raises:
        DataError: as `prepare_data`.
    """
    options = recipe.data_options
    source = _source_or_published(recipe, reporter)
    store, is_there = planned_store(
        source,
        options.stored_form,
        hash_images=options.split == "hash",
        on_hash=progress_callback(reporter, "on_hash"),
        on_note=reporter.note,
    )
    splits = split_for_training(recipe, store, reporter)
    for sentence in duplicates_in(recipe, store, splits) if is_there else []:
        reporter.note(sentence)
    return store, splits, is_there


def _source_or_published(recipe: Recipe, reporter: Reporter) -> Source:
    """The source of the recipe's data; if it is missing, one of the published size, with a note."""
    try:
        return open_source(
            recipe.data,
            recipe.data_root,
            label_from=recipe.data_options.label_from,
            reporter=reporter,
        )
    except MissingDataError as error:
        if recipe.data not in PUBLISHED:
            raise
        reporter.note(f"{error}; the plan is for the published number of images")
        return published_source(recipe.data)


def split_for_training(recipe: Recipe, store: Store, reporter: Reporter) -> Splits:
    """Split a store, with notes on what was rejected and on what the splits contain.

    Raises:
        DataError: as `prepare_data`.
    """
    options = recipe.data_options
    report_rejected(store, options.max_rejected_fraction, reporter)
    splits = split_indices(store, options, recipe.seed)
    for note in summary_notes(summarize(store.info.class_names, store.labels, splits.by_name)):
        reporter.note(note)
    check_classes(store, splits, is_by_hash=options.split == "hash")
    for sentence in unused_fractions(options, set(store.info.splits)):
        reporter.note(sentence)
    if text := held_out_advice(options, store, splits):
        reporter.note(text)
    for sentence in data_advice(recipe, store, splits):
        reporter.note(sentence)
    return splits


def held_out_advice(options: DataOptions, store: Store, splits: Splits) -> str:
    """The note on far more validation images than --val-fraction suggests; "" if there are not."""
    if options.train_per_class is None or "val" in store.info.splits:
        return ""
    return many_held_out(len(splits.train), len(splits.val), options.val_fraction)


def data_advice(recipe: Recipe, store: Store, splits: Splits) -> list[str]:
    """Sentences on what small numbers of images make uncertain, and what to try."""
    balance = recipe.balance
    return split_advice(
        store.info.class_names,
        store.labels,
        splits.by_name,
        own_splits=set(store.info.splits),
        is_balanced=balance.class_weights != "none" or balance.balanced_sampling,
    )


def duplicates_in(recipe: Recipe, store: Store, splits: Splits) -> list[str]:
    """Sentences on images of a finished store that are in two splits or in two classes."""
    command = check_command(recipe.data, recipe.data_root, recipe.data_options.label_from)
    return duplicate_advice(store, splits.by_name, command)


def check_classes(store: Store, splits: Splits, *, is_by_hash: bool = False) -> None:
    """Reject data that cannot train a classifier.

    Args:
        store: the images.
        splits: of them.
        is_by_hash: where the data has none of its own, another seed may hold out fewer of a class.

    Raises:
        DataError: there is one class, no training image, or a class without training images; names
            it, and why its first image was rejected if that is the cause.
    """
    names, name = store.info.class_names, store.info.name
    if len(names) < 2:
        raise DataError(
            f"{name} has 1 class, {short_repr(names[0])}; training needs at least two, "
            "each in a folder of its own or with a label of its own"
        )
    require_training_images(name, splits)
    if missing := missing_classes(names, store.labels[splits.train]):
        raise DataError(_missing_class_text(store, missing[0], is_by_hash=is_by_hash))


def _missing_class_text(store: Store, name: str, *, is_by_hash: bool) -> str:
    """Why a class has no training image."""
    label = store.info.class_names.index(name)
    rejected = [image for image in store.info.rejected if store.labels[image.index] == label]
    cause = f"; {rejected[0].name} was rejected ({rejected[0].reason})" if rejected else ""
    usable = np.flatnonzero(store.usable & (store.labels == label))
    is_held_out = not any(store.info.splits) or "train" in {store.info.splits[i] for i in usable}
    advice = "lower --test-fraction" if is_held_out else "remove the class from the other splits"
    if is_held_out and is_by_hash:
        advice += " or try another --split-seed"
    return (
        f"class {short_repr(name)} has no usable training image{cause}; "
        f"repair or add images, or {advice}"
    )
