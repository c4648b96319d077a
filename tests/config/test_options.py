"""Options under the names of the flags: found in the groups, checked, explained."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import alexnet
from alexnet.api.python_words import python_text
from alexnet.api.training import TRAIN_KEYWORDS, train
from alexnet.cli.flag_list import flag_names
from alexnet.config.augmentation import Augmentation
from alexnet.config.options import flag_name, option_types, with_options
from alexnet.config.presets import FLOWERS17
from alexnet.config.recipe import LRSchedule, OptimizerOptions, Recipe
from alexnet.config.serialization import field_types
from alexnet.errors import ConfigError, UnknownNameError, UsageError
from alexnet.other_words import (
    ANSWERS,
    NOTES,
    OTHER_WORDS,
    SENTENCES,
    WORD_NOTES,
    explain,
    option_for,
)


def test_every_flag_of_a_recipe_is_an_option() -> None:
    flags = {flag for flag in flag_names(Recipe) if not flag.startswith("--no-")}
    assert {flag_name(name) for name in option_types(Recipe)} == flags


def test_options_change_the_recipe_and_its_groups_and_nothing_else() -> None:
    found = with_options(
        FLOWERS17,
        {"epochs": 5, "lr": 1, "milestones": (3, 7), "schedule": "step", "data": Path("x")},
    )
    assert found == replace(
        FLOWERS17,
        epochs=5,
        data="x",
        optimizer=replace(FLOWERS17.optimizer, lr=1.0),
        schedule=replace(FLOWERS17.schedule, schedule="step", milestones=(3, 7)),
    )
    assert type(found.optimizer.lr) is float
    assert with_options(FLOWERS17, {}) == FLOWERS17


def test_a_whole_group_is_an_option_and_single_ones_change_it() -> None:
    group = Augmentation(flip=False)
    assert with_options(FLOWERS17, {"augment": group}).augment == group
    found = with_options(FLOWERS17, {"schedule": LRSchedule(), "warmup_steps": 3})
    assert found.schedule == LRSchedule(warmup_steps=3)
    found = with_options(FLOWERS17, {"optimizer": OptimizerOptions(), "lr": 0.5})
    assert found.optimizer == OptimizerOptions(lr=0.5)


def test_numbers_of_numpy_are_numbers() -> None:
    found = with_options(FLOWERS17, {"epochs": np.int64(3), "lr": np.float32(0.5)})
    assert (found.epochs, found.optimizer.lr) == (3, 0.5)
    assert type(found.epochs) is int


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"learning_rate": 0.1},
            UsageError,
            "'learning_rate'; it is called lr here",
        ),
        ({"num_workers": 4}, UsageError, "images are decoded once"),
        ({"epoch": 3}, UnknownNameError, "did you mean epochs"),
        ({"augment": "yes"}, UsageError, "augment takes alexnet.config.augmentation.Augmentation"),
        ({"augment": False}, UsageError, "flip=False, color_std=0 is no augmentation$"),
        ({"lr": slice(1e-5, 1e-3)}, UsageError, "lr is one number, .* two learning rates: --lr, "),
        ({"balance": True}, UsageError, "too: class_weights, balanced_sampling$"),
        ({"model": "resnet"}, UsageError, "it is called arch here"),
        ({"epochs": "5"}, UsageError, "epochs must be int, not '5'"),
        ({"epochs": 2.5}, UsageError, "epochs must be int, not 2.5"),
        ({"epochs": True}, UsageError, "epochs must be int, not True"),
        ({"optimizer": "AdamW"}, UsageError, "optimizer is 'AdamW'; it can be paper, sgd, adam"),
        ({"precision": "bfloat16"}, UsageError, r"fp16; did you mean bf16\?"),
        ({"precision": "float16"}, UsageError, r"fp16; did you mean fp16\?"),
        ({"precision": "16-mixed"}, UsageError, r"fp16; did you mean fp16\?"),
        ({"precision": "bf16-mixed"}, UsageError, r"fp16; did you mean bf16\?"),
        ({"precision": torch.bfloat16}, UsageError, r"fp16; did you mean bf16\?"),
        ({"precision": 32}, UsageError, r"fp16; did you mean float32\?"),
        ({"device": 1}, UsageError, "device must be str, not 1; a GPU is --device cuda:1"),
        ({"gpu": 0}, UsageError, "it is called device here: a GPU is such as --device cuda:0"),
        ({"milestones": 5}, UsageError, "milestones must be a list, not 5"),
        ({"arch": None}, UsageError, "arch must be str or Architecture, not None"),
        ({"epochs": 0}, ConfigError, "--epochs 0 must be at least 1"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        with_options(FLOWERS17, options)


def test_words_of_other_programs_lead_to_options_and_hide_none() -> None:
    assert set(OTHER_WORDS) & set(OPTIONS) == {"pretrained", "init_from"}  # name each other
    assert set(WORD_NOTES) <= set(OTHER_WORDS)
    texts = " ".join([*ANSWERS.values(), *WORD_NOTES.values()])
    flags = {flag_name(name) for name in option_types(Recipe)} | {"--log", "--find-lr", "--help"}
    flags |= {"--dry-run", "--overfit-one-batch"}
    assert set(re.findall(r"--[a-z][\w-]*", texts)) <= flags


def test_no_word_stands_in_two_rows_of_sentences() -> None:
    for rows in (SENTENCES, NOTES):
        words = [word for words, _ in rows for word in words.split()]
        assert len(words) == len(set(words))


OPTIONS = [*option_types(Recipe), *TRAIN_KEYWORDS]


OF_MODELS = {"optimized", "exact"}


@pytest.mark.parametrize("word", sorted(ANSWERS.keys() - set(field_types(Recipe)) - OF_MODELS))
def test_every_sentence_reaches_the_user_of_train(word: str) -> None:
    called = option_for(word, OPTIONS)
    told = f"it is called {called} here" if called else ANSWERS[word]
    with pytest.raises(UsageError, match=re.escape(python_text(told))):
        train("nowhere/", **{word: 1})


@pytest.mark.parametrize(
    ("words", "callers", "others"),
    [
        ("optimized exact", "evaluate predict export", "train create_model"),
        ("watch", "train resume report", "predict evaluate"),
        ("dry_run find_lr shuffle", "train resume pretrain", "predict evaluate create_model"),
        ("num_workers pin_memory", "train evaluate load_splits", "predict create_model"),
        ("bn_momentum", "train create_model variant", "predict"),
    ],
)
def test_a_sentence_is_told_to_those_whom_it_fits(words: str, callers: str, others: str) -> None:
    start = {"resume": "nowhere", "pretrain": "rbm", "variant": "lenet5"}
    for word in words.split():
        for caller in (*callers.split(), *others.split()):
            function = getattr(alexnet, caller)
            with pytest.raises(UsageError) as error:
                function(start.get(caller, "nowhere/"), **{word: True})
            is_told = python_text(ANSWERS[word]) in str(error.value)
            assert is_told == (caller in callers.split()), (caller, word, str(error.value))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("evaluate('r', optimized=True)", "give alexnet.load(model).optimized() in place of the m"),
        ("predict('r', 'a.jpg', exact=True)", "a model is exact"),
        ("predict('r', paths='a.jpg')", "it is called images here"),
        ("predict('r', 'a.jpg', csv=True)", "the function returns the result"),
        ("train('d/', from_='r')", "it is called init_from here"),
        ("load_splits('d/', from_='r')", "it is called init_from here"),
        ("create_model('lenet5', init_from='r')", "it is called pretrained here"),
        ("report('r', watch=True)", "alexnet.reports.serving serves the page"),
    ],
)
def test_flags_that_are_no_keywords_are_answered(call: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        eval(f"alexnet.{call}", {"alexnet": alexnet})


def test_what_the_program_sets_is_no_option() -> None:
    assert "replanned" not in inspect.signature(train).parameters
    with pytest.raises(UnknownNameError) as told:
        with_options(FLOWERS17, {"sequence": 1})
    assert "replanned" not in str(told.value)
    for recipe in (FLOWERS17, FLOWERS17.schedule):
        with pytest.raises(UnknownNameError, match="unknown option 'replanned'"):
            with_options(recipe, {"replanned": ((1, 2),)})
    group = LRSchedule(replanned=((6, 5),))
    assert with_options(FLOWERS17, {"schedule": group, "warmup_steps": 3}).schedule.replanned


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("freeze_epochs unfreeze", r"it is called unfreeze_after_epoch here: .*--freeze-up-to"),
        ("color_jitter brightness hue", "--color-std is .* --contrast-std .* --rand-augment 2 9"),
        ("early_stopping early_stop_callback", "it is called patience here"),
        ("grad_clip max_grad_norm gradient_clip_val clipnorm", "it is called clip_norm here"),
        ("nesterov", "the momentum is the classical one"),
        ("head_lr layer_decay lr_mult", "two learning rates: --lr, and --low-lr"),
        ("backbone_lr", "it is called low_lr here: .* --unfreeze-after-epoch 0"),
        ("multilabel task", "an image has exactly one class"),
        ("monitor load_best_model_at_end", "the epoch with the lowest validation error"),
        ("find_lr lr_find", "alexnet.find_lr suggests"),
        ("checkpoint_path", "it is called init_from here"),
        ("ckpt_path resume_from_checkpoint", "it is called resume here"),
        ("decay", "weights is --weight-decay, and the learning rate falls by --schedule"),
        ("callbacks cbs", "reporter= takes .* StopTraining"),
        ("lrf min_lr", "--schedule cosine falls to 0"),
        ("data_seed", "^it is called seed here$"),
        ("clipnorm", "clip_norm here: of all gradients .* clipnorm is per tensor"),
        ("scratch from_scratch no_pretrained", "called init_from here: .* are --from scratch"),
        ("freeze_epochs", "first of the --epochs, on one schedule .* on top of the epochs"),
        ("gpus", "--device cuda:0, and two are --devices 2"),
    ],
)
def test_words_of_other_programs_are_told_with_their_meaning(words: str, told: str) -> None:
    for word in words.split():
        assert re.search(told, explain(word, OPTIONS)), word


def test_the_name_of_a_model_means_what_the_function_takes() -> None:
    assert explain("weights", ["model"]) == "it is called model here"
    assert explain("weights", ["arch", "pretrained"]).startswith("it is called pretrained here")


@pytest.mark.parametrize("word", ["milestone", "wieght_decay", "batchsizes", "seeed", "schedul"])
def test_a_misspelt_option_is_suggested(word: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown option '{word}'; did you mean"):
        with_options(FLOWERS17, {word: 1})


@pytest.mark.parametrize("word", ["power", "start", "zoom_out", "sequence", "saturated"])
def test_an_option_that_is_not_like_any_is_not_guessed(word: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown option '{word}'; known: accumulate, "):
        with_options(FLOWERS17, {word: 1})
