"""Flags of other programs (torchvision, timm, ultralytics) are answered with ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alexnet.cli.flag_list import Flag
from alexnet.errors import UsageError
from alexnet.other_words import ANSWERS, OTHER_WORDS

WORDS = {
    "b": ("batch_size",),
    "o": ("out",),
    "j": ("jobs",),
    "classes": ("num_classes",),
    "nc": ("num_classes",),
    "weights": ("model", "init_from"),
    "checkpoint": ("model", "resume", "init_from"),
    "ckpt": ("model", "resume", "init_from"),
    "pretrained": ("init_from",),
    "finetune": ("init_from",),
    "fine_tune": ("init_from",),
    "from_scratch": ("init_from",),
    "scratch": ("init_from",),
    "no_pretrained": ("init_from",),
    "run": ("model", "resume", "path"),
    "file": ("path", "paths"),
    "source": ("paths", "data"),
    "image": ("paths",),
    "images": ("paths", "data"),
    "input": ("paths", "file"),
    "batchsize": ("batch_size",),
    "bsz": ("batch_size",),
    "input_shape": ("input_size",),
    "resolution": ("input_size",),
    "optimizer_type": ("optimizer",),
    "lrf": ("schedule",),
    "warmup": ("warmup_epochs",),
    "early_stopping": ("patience",),
    "early_stopping_patience": ("patience",),
    "ema_decay": ("ema",),
    "model_ema": ("ema",),
    "grad_accum": ("accumulate",),
    "gradient_accumulation_steps": ("accumulate",),
    "clip_grad": ("clip_norm",),
    "clip_grad_norm": ("clip_norm",),
    "half": ("precision",),
    "augment": ("crops",),
    "conf": ("min_probability",),
    "threshold": ("min_probability",),
    "exp_name": ("name",),
    "experiment": ("name",),
    "onnx": ("format",),
    "include": ("format",),
}
"""From a word of another program to fields, of which the first that the verb has is named."""

FLAG_ANSWERS = {
    **{word: ANSWERS[word] for word in ("workers", "num_workers", "shuffle", "classes", "seeds")},
    "j": ANSWERS["workers"],
    "num_classes": ANSWERS["classes"],
    "nc": ANSWERS["classes"],
    "loss": "the loss is cross-entropy; see --label-smoothing",
    "criterion": "the loss is cross-entropy; see --label-smoothing",
    "metrics": ANSWERS["metrics"],
    "watch": "a running training is watched by: alexnet report RUN --watch",
    "verbose": "progress goes to stderr, the result to stdout",
    "quiet": "progress goes to stderr, the result to stdout; 2> FILE takes the progress",
}
"""What to say where no flag has the same use."""


DEFAULT_WEIGHTS = "; images of your own are fine-tuned from torchvision's weights without it"
MORE = dict.fromkeys(("pretrained", "finetune", "fine_tune"), DEFAULT_WEIGHTS)
"""What else to say than the flag to use."""


def check_other_flags(words: Sequence[str], flags: Sequence[Flag], verb: str) -> None:
    """Check that no word is a flag of another program.

    Raises:
        UsageError: one is; the message has ours.
    """
    names = {name for flag in flags for name in flag.names}
    for word in (word.partition("=")[0] for word in words if word.startswith("-")):
        answer = explain_flag(word, flags, verb)
        if answer and word.replace("_", "-") not in names:
            raise UsageError(answer)


def explain_flag(word: str, flags: Sequence[Flag], verb: str) -> str:
    """What to type in place of an unknown flag; "" if it is not one of another program.

    Args:
        word: as typed, without its value.
        flags: those of the verb.
        verb: with its action, as typed.
    """
    by_field = {flag.field: flag for flag in flags}
    name = word.lstrip("-").replace("-", "_").lower()
    ours = next((by_field[field] for field in _fields(name) if field in by_field), None)
    if ours and ours.is_positional:
        words = " ".join(flag.metavar for flag in flags if flag.is_positional)
        return f"{word} is not a flag here; it is a word alone: alexnet {verb} {words}"
    answer = f"use {ours.names[0]}{MORE.get(name, '')}" if ours else FLAG_ANSWERS.get(name, "")
    if not ours and OTHER_WORDS.get(name, name) in ("o", "out"):
        answer = f"the result goes to stdout; {'--csv > FILE' if 'csv' in by_field else '> FILE'}"
    return f"{word} is not a flag here; {answer}" if answer else ""


def _fields(name: str) -> Iterator[str]:
    yield name
    yield from WORDS.get(name, ())
    yield OTHER_WORDS.get(name, "")
