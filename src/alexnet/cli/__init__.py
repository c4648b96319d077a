"""The command line: verbs, one module each. The only place that parses, prints or exits.

stdout carries the result, stderr the progress. Exit 0: done; 1: a check failed; 2: the user's
mistake, in one sentence; 130: interrupted; 143: a run that SIGTERM has stopped.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

from alexnet import __version__
from alexnet.errors import AlexNetError, UnknownNameError
from alexnet.io.text import printable
from alexnet.runtime.malloc import disable_malloc_trim
from alexnet.runtime.openmp import limit_openmp_spinning
from alexnet.runtime.signals import TrainingInterrupted

VERBS = {
    "train": "train on a data set or on a folder of your pictures",
    "pretrain": "let conv layers learn from pictures without labels",
    "evaluate": "errors, confusion and worst pictures of a model",
    "predict": "name what is on pictures",
    "summary": "layers, parameters and multiply-adds of a network",
    "data": "prepare, check, split or show a data set",
    "import": "take over a network from torchvision, Keras or ONNX",
    "export": "write a model for ONNX or torch.export, compared with itself",
    "benchmark": "images per second, beside what the machine could do",
    "experiment": "claims of the paper, each as runs with a verdict",
    "doctor": "versions, device and folders of this machine",
}


def help_text() -> str:
    """What `alexnet --help` prints."""
    rows = "\n".join(f"  {verb:<10} {text}" for verb, text in VERBS.items())
    return (
        "usage: alexnet VERB ...\n\nEvery AlexNet, exact, and a trainer for your own pictures.\n\n"
        f"{rows}\n\n"
        "  alexnet train                          "
        "learn to tell drawn flowers apart, in a few minutes\n"
        "  alexnet train --data photos/           learn your own classes: one folder each\n"
        "  alexnet predict runs/NAME-001 a.jpg    ask a trained model\n\n"
        "alexnet VERB --help tells more; alexnet --version prints the version."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and give its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _accept_any_name()
    try:
        code = _dispatch(words)
        _flush()
        return code
    except AlexNetError as error:
        print(f"alexnet: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except TrainingInterrupted as stopped:
        print(f"alexnet: {stopped}", file=sys.stderr)
        return 128 + stopped.number
    except KeyboardInterrupt:
        print("alexnet: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _leave_stdout()
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        print(f"alexnet: {_one_line(str(error.filename))}: {error.strerror}", file=sys.stderr)
        return 2


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if words[0] == "--version":
        print(f"alexnet {__version__}")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        raise UnknownNameError("verb", verb, VERBS)
    module = f"{verb}_" if iskeyword(verb) else verb
    disable_malloc_trim()
    limit_openmp_spinning()
    code: int = import_module(f"alexnet.cli.{module}").run(rest)
    return code


def _flush() -> None:
    """Write what stdout still keeps while an error can be told; at exit it could not."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _leave_stdout()
        raise OSError(error.errno, error.strerror, "standard output") from error


def _leave_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _accept_any_name() -> None:
    """Let stdout take names that its encoding cannot say: their bytes as they are, or escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")


def _one_line(message: str) -> str:
    return printable(" ".join(message.split()))


if __name__ == "__main__":
    sys.exit(main())
