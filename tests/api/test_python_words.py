"""Messages about flags, told to users of Python."""

from __future__ import annotations

import signal

import pytest

from alexnet.api.python_words import in_python, python_text
from alexnet.errors import UnknownNameError
from alexnet.runtime.signals import TrainingInterrupted


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("--activation 'Tanh' must be relu", "activation='Tanh' must be relu"),
        ("--batch-size -1 must be, or --lr 1e-3.", "batch_size=-1 must be, or lr=1e-3."),
        (
            "add --rand-augment 2 9, --milestones (5, 3)",
            "add rand_augment=(2, 9), milestones=(5, 3)",
        ),
        ("--half and --int8 exclude", "half= and int8= exclude"),
        ("add --from torchvision or --from FILE", "add init_from='torchvision' or init_from=FILE"),
        ("--schedule step needs it", "schedule='step' needs it"),
        ("with --arch own/nets.py:table", "with arch='own/nets.py:table'"),
        ("or pass --data-root", "or pass data_root="),
        ("alexnet train --from a.pt; or --norm none", "alexnet train --from a.pt; or norm='none'"),
        (
            "resume it: alexnet train --resume runs/a; or: alexnet train --resume 'a b' --lr 0.1",
            "resume it: alexnet.resume('runs/a'); or: alexnet.resume('a b', lr=0.1)",
        ),
        ("alexnet pretrain rbm --resume r-1", "alexnet.resume_pretraining('r-1')"),
        ("alexnet train --resume r --from a.pt", "alexnet train --resume r --from a.pt"),
        (
            "take --devices 2, or torchrun --nproc-per-node 2 -m alexnet train",
            "take devices=2, or torchrun --nproc-per-node 2 -m alexnet train",
        ),
        (
            "(on macOS xcode-select --install) or --compile",
            "(on macOS xcode-select --install) or compile=",
        ),
        ("torchrun starts them by --devices 2", "torchrun starts them by devices=2"),
        ("a log, such as --log csv", "a log, such as log='csv'"),
        ("try --device cuda", "try device='cuda'"),
        ("by --padding (shifts of pixels)", "by padding= (shifts of pixels)"),
        ("there is no file a--b/--c", "there is no file a--b/--c"),
    ],
)
def test_flags_become_keywords(message: str, told: str) -> None:
    assert python_text(message) == told


def test_an_error_keeps_its_type_and_its_traceback() -> None:
    def fail() -> None:
        raise UnknownNameError("--arch", "x", ["y"])

    with pytest.raises(UnknownNameError, match="unknown arch='x'; known: y") as caught:
        in_python(fail)()
    assert caught.traceback[-1].name == "fail"


def test_how_to_resume_after_a_signal_is_told_in_python() -> None:
    def stop() -> None:
        raise TrainingInterrupted("resume with: alexnet train --resume runs/a", signal.SIGINT)

    with pytest.raises(TrainingInterrupted, match=r"^resume with: alexnet\.resume\('runs/a'\)$"):
        in_python(stop)()
