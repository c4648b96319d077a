"""Optuna's study of a tuning: its storage, its sampler (TPE) and its pruner (Hyperband)."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import HyperbandPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from alexnet.errors import UsageError
from alexnet.io.text import error_text
from alexnet.tune.plan import REDUCTION_FACTOR, Tuning, check_identity
from alexnet.tune.space import Parameter, own_values

IDENTITY = "alexnet_tuning"
"""The study's attribute with `Tuning.identity`."""
RECIPE, OWNER = "is_recipe", "folder"
"""Attributes of a trial: whether it is the recipe itself, and the number of its tuning folder."""
NUM_RANDOM = 10
"""Number of random trials before TPE proposes values."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def open_study(address: str, tuning: Tuning) -> optuna.Study:
    """Open the study of a tuning, or create it with the recipe as its first trial.

    Args:
        address: a path, or a URL of SQLAlchemy with "://"; "" for a study in memory.
        tuning: the tuning.

    Raises:
        UsageError: the study cannot be opened, or belongs to another tuning.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = _connect(address, tuning)
    if IDENTITY not in study.user_attrs:
        study.set_user_attr(IDENTITY, tuning.identity())
    check_identity(study.user_attrs[IDENTITY], tuning, address)
    if not study.get_trials(deepcopy=False):
        own = own_values(tuning.recipe, tuning.space)
        values = {p.option: p.nearest(own[p.option]) for p in tuning.space}
        study.enqueue_trial(values, user_attrs={RECIPE: True})
    return study


def _connect(address: str, tuning: Tuning) -> optuna.Study:
    pruner = HyperbandPruner(
        min_resource=tuning.min_epochs,
        max_resource=tuning.max_epochs,
        reduction_factor=REDUCTION_FACTOR,
    )
    try:
        return optuna.create_study(
            study_name=f"alexnet {tuning.start.name}",
            storage=_storage(address),
            sampler=RandomSampler(),
            pruner=pruner,
            load_if_exists=True,
        )
    except OSError as error:
        raise UsageError(f"cannot open the study {address}: {error_text(error)}") from error
    except Exception as error:  # a damaged file, or anything that a database says
        raise UsageError(
            f"cannot open the study {address}: {error_text(error)}; choose another --study"
        ) from error


def _storage(address: str) -> BaseStorage:
    if not address:
        return InMemoryStorage()
    if "://" in address:
        return optuna.storages.get_storage(address)
    path = Path(address)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = JournalFileOpenLock(address)
    mend_journal(path, lock)
    return JournalStorage(JournalFileBackend(address, lock_obj=lock))


def mend_journal(path: Path, lock: JournalFileOpenLock) -> None:
    """Remove an incomplete last line of a journal, to which the next line would be appended.

    A killed process left it, since no process writes while this one holds the lock.
    """
    if not path.exists():
        return
    lock.acquire()
    try:
        with path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            keep = size
            while keep and not _ends_line(file, keep):
                keep -= 1
            if keep < size:
                file.truncate(keep)
    finally:
        lock.release()


def _ends_line(file: Any, size: int) -> bool:
    file.seek(size - 1)
    return bool(file.read(1) == b"\n")


def ask(study: optuna.Study, tuning: Tuning, folder: str, salt: str = "") -> FrozenTrial:
    """Begin a new trial, which belongs to a folder from then on.

    The sampler of each trial has its own seed, from the recipe's seed and the number of trials. So
    a tuning that runs one trial at a time is reproducible, also if it was interrupted.

    Args:
        study: the study of the tuning.
        tuning: the tuning.
        folder: the number of the folder.
        salt: a text that differs between folders that share a study.
    """
    study.sampler = _sampler(tuning, len(study.get_trials(deepcopy=False)), salt)
    return _begin(study.ask(), tuning, folder)


def take_over(
    study: optuna.Study, trial: FrozenTrial, tuning: Tuning, folder: str, salt: str = ""
) -> FrozenTrial:
    """Continue a trial that a process of this folder has begun, perhaps without all its values."""
    study.sampler = _sampler(tuning, trial.number, salt)
    return _begin(Trial(study, trial._trial_id), tuning, folder)


def _sampler(tuning: Tuning, number: int, salt: str) -> TPESampler:
    seed = zlib.crc32(f"{tuning.recipe.seed} {number} {salt}".encode())
    return TPESampler(n_startup_trials=NUM_RANDOM, multivariate=True, constant_liar=True, seed=seed)


def _begin(trial: Trial, tuning: Tuning, folder: str) -> FrozenTrial:
    """Assign a trial to a folder, and suggest a value for every option that has none."""
    trial.set_user_attr(OWNER, folder)
    for parameter in tuning.space:
        suggest(trial, parameter)
    return frozen(trial.study, trial.number)


def suggest(trial: Trial, parameter: Parameter) -> None:
    """Suggest a value of a trial for an option."""
    name, low, high = parameter.option, parameter.low, parameter.high
    if parameter.choices:
        trial.suggest_categorical(name, parameter.codes)
        return
    assert low is not None
    assert high is not None
    if parameter.is_whole:
        trial.suggest_int(name, int(low), int(high), log=parameter.log)
    else:
        trial.suggest_float(name, low, high, log=parameter.log)


def frozen(study: optuna.Study, number: int) -> FrozenTrial:
    """The stored state of a trial."""
    return study.get_trials(deepcopy=False)[number]


def handle(study: optuna.Study, number: int) -> Trial:
    """The `Trial` object of a trial that has begun, which reports to the study."""
    study.sampler = RandomSampler(seed=number)
    return Trial(study, frozen(study, number)._trial_id)


def trial_values(trial: FrozenTrial, tuning: Tuning) -> Mapping[str, Any]:
    """The values of the options in a trial; in the recipe's own trial those of the recipe."""
    if trial.user_attrs.get(RECIPE):
        return own_values(tuning.recipe, tuning.space)
    return {p.option: p.value(trial.params[p.option]) for p in tuning.space}
