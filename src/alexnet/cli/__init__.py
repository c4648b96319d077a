"""The command line: `main` runs one verb. Only here are arguments parsed and text printed.

    flags        the fields of a dataclass as flags; actions by name; every mistake is one sentence
    flag_list    every flag of a dataclass, with its text, value and default
    help         --help and --help-all
    help_pages   the basic flags and the examples of every verb
    other_flags  flags of other programs are answered with ours
    processes    several processes of one command: they print once
    run_options  PRESET, --config, --out, --resume and --json, which are not part of a recipe
    console      tables, JSON, notes
    stdout       distinguishes errors of standard output from other errors
    outputs      what every command prints with --json, as dataclasses

Each verb is the module of its name (`import_` for import) with `run(arguments) -> exit code`. It is
imported when it runs, so that `--help` imports nothing that takes time.

Results go to stdout, progress to stderr. Exit codes are 0: done; 1: a check failed; 2: an error,
reported in one sentence; 130: interrupted; 143: training stopped by SIGTERM.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

from alexnet import __version__
from alexnet.cli.processes import one_voice
from alexnet.cli.stdout import StdoutError, named_stdout
from alexnet.errors import AlexNetError, UnknownNameError, UsageError, with_short_words
from alexnet.io.paths import path_text
from alexnet.io.text import printable
from alexnet.other_names import OTHER_NAMES
from alexnet.runtime.malloc import disable_malloc_trim
from alexnet.runtime.openmp import limit_openmp_spinning, limit_openmp_threads
from alexnet.runtime.signals import TrainingInterrupted

VERBS = {
    "train": "train a network on a data set or on a folder of your images",
    "tune": "search for better learning rates and other options of a recipe",
    "pretrain": "pretrain conv layers on images without labels",
    "evaluate": "errors, confusion and top losses of a model",
    "predict": "the most probable classes of images",
    "explain": "what a prediction depends on: heat maps and strongest channels",
    "serve": "trained models on a page and behind an HTTP API",
    "compare": "recipes, curves and errors of models, tested on the same images",
    "report": "one page of HTML about a run, or about several, compared",
    "info": "what a run, a model file or a checkpoint is",
    "cache": "list and clean the folder of image stores and downloads",
    "log": "write the log of a run for TensorBoard, MLflow, Weights & Biases",
    "runs": "list the runs in a folder, clean up after them",
    "summary": "layers, parameters and MACs of a network",
    "data": "prepare, check, split or show a data set, find wrong labels",
    "import": "import a network of torch, Keras, ONNX or Caffe",
    "export": "export a model to ONNX, torch.export, Keras or torchvision",
    "push": "share a run on Hugging Face's hub, with a model card",
    "benchmark": "images per second, compared with the machine's peak",
    "experiment": "reproduce the papers' claims: train, compare, verdict",
    "schema": "the JSON Schema of what a command prints with --json",
    "completion": "a script that completes verbs and flags in a shell",
    "doctor": "versions, device and folders of this machine",
}

VERBS_WITH_OUT = ("train", "pretrain", "evaluate", "explain", "report", "compare")
"""Verbs with a default output folder, which --out replaces."""
HOME_PATH = re.compile(r"(?P<flag>(--[\w-]+=)?)(?P<path>~([/\\].*)?)", re.DOTALL)
TOLD_ALONE = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)
"""Errors of the system whose message is clear without the name of a file."""


def help_text() -> str:
    """The text of `alexnet --help`."""
    verbs = "\n".join(f"  {verb:<10} {text}" for verb, text in VERBS.items())
    return (
        "usage: alexnet VERB ...\n\n"
        "The published versions of AlexNet, exact, with training on your own images.\n\n"
        f"{verbs}\n\n"
        "  alexnet train                          "
        "train on generated images of flowers, in minutes\n"
        "  alexnet train photos/                  "
        "fine-tune on your own images, a folder per class\n"
        "  alexnet predict runs/NAME-001 a.jpg    classify an image\n\n"
        "alexnet help VERB shows the flags and examples; -V or --version, the version."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with named_stdout():
        try:
            return _run(words)
        except AlexNetError as error:
            print(f"alexnet: {_one_line(str(error))}", file=sys.stderr)
            return 2
        except TrainingInterrupted as stopped:
            print(f"alexnet: {stopped}", file=sys.stderr)
            return _exit_code(stopped)
        except KeyboardInterrupt as interrupt:
            print("alexnet: interrupted", file=sys.stderr)
            return _exit_code(interrupt)
        except OSError as error:
            if isinstance(error, StdoutError) and error.is_closed_pipe:
                return 0
            if error.filename is None and error.errno not in TOLD_ALONE:
                raise
            place = "" if error.filename is None else f"{_one_line(str(error.filename))}: "
            print(f"alexnet: {place}{error.strerror}{_elsewhere(error, words)}", file=sys.stderr)
            return 2
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            print(f"alexnet: out of memory{_less_memory(words, error)}", file=sys.stderr)
            return 2


def _is_out_of_memory(error: BaseException) -> bool:
    from alexnet.runtime.device import is_out_of_memory

    return is_out_of_memory(error)


def _is_gpu_out_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "ALLOC_FAILED" in str(error)


def _less_memory(words: Sequence[str], error: BaseException) -> str:
    """Advice on how the command needs less memory, after a semicolon; "" if there is none."""
    less = {
        "train": "a smaller --batch-size, or parts of the batch with --accumulate, need less",
        "tune": "a smaller --batch-size, or --jobs 1, needs less",
        "pretrain": "a smaller --batch-size needs less",
        "benchmark": "a smaller --batch-size needs less",
        "experiment": "--jobs 1 needs less",
    }
    is_fixed = words[:2] == ["benchmark", "data"] or any(
        word.partition("=")[0] == "--resume" for word in words
    )
    advice = [less[words[0]]] if words[0] in less and not is_fixed else []
    if words[0] == "train" and _is_gpu_out_of_memory(error):
        advice.append("ALEXNET_PRELOAD=0 keeps the training images out of a GPU's memory")
    return "".join(f"; {text}" for text in advice)


def _run(words: list[str]) -> int:
    """Run one verb and flush what it prints."""
    try:
        code = _dispatch(words)
    except SystemExit:  # after --help
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return code


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not words or words[0] in ("-h", "--help", "--help-all"):
        print(help_text())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"alexnet {__version__}")
        return 0
    verb, *rest = map(_with_home, words)
    if verb not in VERBS:
        raise _unknown_verb(verb)
    module = f"{verb}_" if iskeyword(verb) else verb
    disable_malloc_trim()
    limit_openmp_spinning()
    limit_openmp_threads()
    with one_voice(words, _exit_code):
        code: int = import_module(f"alexnet.cli.{module}").run(rest)
    return code


def _with_home(word: str) -> str:
    """The word with a leading "~" expanded, which shells leave alone in --out=~/x."""
    if found := HOME_PATH.fullmatch(word):
        return found["flag"] + path_text(found["path"])
    return word


def _exit_code(error: BaseException) -> int:
    """The exit code after an exception."""
    if isinstance(error, TrainingInterrupted):
        return 128 + error.signal_number
    return 130 if isinstance(error, KeyboardInterrupt) else 2


def _unknown_verb(word: str) -> UsageError:
    """The error for an unknown verb, which names a similar one or ours for another program's."""
    ours = OTHER_NAMES.get(word)
    if ours in VERBS:
        return UsageError(f"{word} is not a verb here; use alexnet {ours}")
    from alexnet.cli.completion import COMMANDS

    if word and (
        actions := [f"alexnet {one}" for one in COMMANDS if one.partition(" ")[2] == word]
    ):
        return UsageError(f"{word} is not a verb here; use {' or '.join(actions)}")
    return UnknownNameError("verb", word, VERBS)


def _elsewhere(error: OSError, words: list[str]) -> str:
    """Advice to use --out, after a semicolon, if the default output folder is not writable."""
    is_denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    path = str(error.filename or "")
    is_read = os.path.lexists(path) and not os.access(path, os.R_OK)
    is_chosen = any(word.partition("=")[0] == "--out" for word in words)
    if is_read or is_chosen or not is_denied or words[0] not in VERBS_WITH_OUT:
        return ""
    return "; --out names another place to write to"


def _one_line(message: str) -> str:
    return printable(with_short_words(" ".join(message.split())))


if __name__ == "__main__":
    sys.exit(main())
