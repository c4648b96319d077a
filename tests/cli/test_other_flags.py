"""Words of other programs are answered with the flag that does the same here."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import get_args

import pytest

import alexnet.cli
from alexnet.cli.flag_list import flag_names, list_flags
from alexnet.cli.other_flags import SHELL_ANSWERS
from alexnet.cli.train import TrainFlags
from alexnet.config.recipe import Precision
from alexnet.other_words import ANSWERS, WORDS_FOR
from support.commands import Command


@pytest.mark.parametrize("word", ["amp", "fp16", "half", "to_fp16", "mixed_precision"])
def test_words_for_half_precision_are_answered_with_all_precisions(
    word: str, command: Command
) -> None:
    told = command("train", f"--{word}").err
    assert all(precision in told.partition("--precision")[2] for precision in get_args(Precision))


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("train --imgsz 224", "--imgsz is not a flag here; use --input-size"),
        ("train --img-size=224", "--img-size is not a flag here; use --input-size"),
        ("train --model alexnet", "--model is not a flag here; use --arch"),
        ("train --weights a.pth", "--weights is not a flag here; use --from"),
        ("train --init-from a.pth", "--init-from is not a flag here; use --from"),
        ("train --pretrained", "--pretrained is not a flag here; use --from"),
        ("train --batch 4", "--batch is not a flag here; use --batch-size"),
        ("train -b 4", "-b is not a flag here; use --batch-size"),
        ("train --wd 0", "--wd is not a flag here; use --weight-decay"),
        ("train --lr0 0.1", "--lr0 is not a flag here; use --lr"),
        ("train --optimizer-type sgd", "--optimizer-type is not a flag here; use --optimizer"),
        ("train --opt sgd", "--opt is not a flag here; use --optimizer"),
        ("train --reprob 0.25", "--reprob is not a flag here; use --random-erasing"),
        ("train --aa rand-m9", "--aa is not a flag here; use --rand-augment"),
        ("train --workers 4", "--workers is not a flag here; images are decoded once, by all CPU"),
        ("train -j 4", "-j is not a flag here; images are decoded once, by all CPU"),
        ("train --num_classes 4", "--num_classes is not a flag here; the data has the classes"),
        (
            "train --seeds 0 1 2",
            "--seeds is not a flag here; a run has one seed; train one for each",
        ),
        ("train --freeze-epochs 3", "use --unfreeze-after-epoch: the layers up to --freeze-up-to"),
        (
            "train --color-jitter 0.4",
            "--color-jitter is not a flag here; --color-std is the paper's",
        ),
        ("train --early-stopping 3", "use --patience"),
        ("train --layer-decay 0.7", "two learning rates: --lr, and --low-lr"),
        ("train --callbacks a", "in Python, reporter= of alexnet.train is called after"),
        ("train --lr-find", "--lr-find is not a flag here; use --find-lr"),
        ("tune --lr-find", "alexnet train DATA --find-lr suggests"),
        ("evaluate m --dry-run", "alexnet train has --dry-run and --overfit-one-batch"),
        ("train --optimized", "and alexnet evaluate is exact unless --optimized is"),
        ("train --auto-batch 1", "the memory of a --batch-size is estimated by alexnet train --dr"),
        ("predict m a.jpg --workers 4", "unknown flag '--workers'; see alexnet predict --help"),
        ("serve m --shuffle", "unknown flag '--shuffle'; see alexnet serve --help"),
        ("train --replanned 2", "unknown flag '--replanned'; see alexnet train --help"),
        ("train --replanned", "unknown flag '--replanned'; see alexnet train --help"),
        ("tune cifar10 --replanned 2", "unknown flag '--replanned'; see alexnet tune --help"),
        ("train --power 2", "unknown flag '--power'; see alexnet train --help"),
        ("summary alexnet --imgsz 64", "--imgsz is not a flag here; use --input-size"),
        ("predict --weights m --source a.jpg", "alone: alexnet predict MODEL IMAGE ..."),
        ("predict m a.jpg --model m", "it is a word alone: alexnet predict MODEL IMAGE ..."),
        ("predict m a.jpg --conf 0.5", "--conf is not a flag here; use --min-probability"),
        ("predict m a.jpg --topk 3", "--topk is not a flag here; use --top"),
        ("evaluate --checkpoint m", "it is a word alone: alexnet evaluate MODEL"),
        ("data check --path photos", "it is a word alone: alexnet data check DATA"),
        ("benchmark train --bs 4", "--bs is not a flag here; use --batch-size"),
        ("pretrain rbm --n-epochs 4", "--n-epochs is not a flag here; use --epochs"),
        ("train . --pretrained", "your own are fine-tuned from torchvision's weights without it"),
        ("train . --arch resnet50", "no architecture 'resnet50', only AlexNets and their like"),
        ("predict m . -o x.csv", "-o is not a flag here; the result goes to stdout; --csv > FILE"),
        ("predict m . --output x", "--output is not a flag here; the result goes to stdout"),
        ("info m --out x", "--out is not a flag here; the result goes to stdout; > FILE"),
        ("predict m . --csv x.csv", "'x.csv'; --csv prints, and > x.csv writes that to the file"),
        ("info m --json x.json", "--json prints, and > x.json writes that to the file"),
        ("evaluate m new", "unknown word 'new'; other images: --data new"),
        ("tune cifar10 -j 4", "-j is not a flag here; use --jobs"),
        ("experiment run dropout -j 4", "-j is not a flag here; use --jobs"),
        ("summary alexnet --classes 10", "--classes is not a flag here; use --num-classes"),
        ("summary alexnet --nc 10", "--nc is not a flag here; use --num-classes"),
        ("check photos", "check is not a verb here; use alexnet data check"),
        ("clean", "clean is not a verb here; use alexnet runs clean or alexnet cache clean"),
        ("'' photos", "unknown verb ''"),
        ("explain m --filters --map", "--filters and --map exclude each other; choose one"),
        ("train --epoch 4", "unknown flag '--epoch'; did you mean --epochs?"),
        ("predict m a.jpg --imgsz 4", "unknown flag '--imgsz'; see alexnet predict --help"),
        ("test runs/a", "test is not a verb here; use alexnet evaluate"),
        ("fit photos", "fit is not a verb here; use alexnet train"),
    ],
)
def test_a_word_of_another_program_is_answered(command: Command, words: str, answer: str) -> None:
    result = command(*shlex.split(words))
    assert (result.code, result.out) == (2, "")
    assert answer in result.err


def test_every_sentence_reaches_the_user_of_train(command: Command) -> None:
    ours = set(flag_names(TrainFlags))
    for word, answer in {**ANSWERS, **SHELL_ANSWERS}.items():
        flag = f"--{word.replace('_', '-')}"
        told = command("train", flag, "1").err
        if answer and flag not in ours:
            assert answer in told or f"{flag} is not a flag here; use --" in told, flag


def test_our_flags_may_have_underscores(command: Command) -> None:
    assert "--batch_size 0 must" in command("train", "--batch_size", "0").err.replace("-s", "_s")


def test_the_words_lead_to_fields_that_some_verb_has_and_are_no_flag_there() -> None:
    modules = [import_module(f"alexnet.cli.{m.name}") for m in iter_modules(alexnet.cli.__path__)]
    classes = [v for m in modules for k, v in vars(m).items() if re.fullmatch(r"\w+Flags", k)]
    classes = [cls for cls in classes if fields(cls) and "__parameters__" not in vars(cls)]
    known = {flag.field for cls in classes for flag in list_flags(cls)}
    of_python = {"class_name", "pretrained", "recipe", "images"}
    assert set(WORDS_FOR) - of_python <= known
    taken = {name for cls in classes for name in flag_names(cls)}
    assert {"imgsz", "wd"}.isdisjoint(taken)


@pytest.mark.parametrize("words", ["data check {}", "train {}", "train --data {}"])
def test_a_misspelt_folder_of_images_is_suggested(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    for typed in ("phtos", "./photo"):
        assert "did you mean photos?" in command(*words.format(typed).split()).err
