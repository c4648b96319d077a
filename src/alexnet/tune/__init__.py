"""Hyperparameter tuning: trainings with other values of some options, chosen by validation error.

Optuna proposes the values (TPE) and ends trials that fall behind (Hyperband). Every trial is a run
folder. Test images are not read before a winner is chosen.

- `space`: the options that are varied; `plan`: how the trials train; both without Optuna
- `folder`: the files of a tuning, and which process runs which trial
- `study`: Optuna's study, in a journal or a database
- `tasks`: what a process runs: a trial, or a training that confirms the winner
- `tuner`: `run_trials`, one by one or several at once, until the time or the trials are used up
- `trials`: the state of every trial, the winner, and `importances`
- `confirmation`: the winner against the recipe on new seeds; `results`: what is written at the end
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.tune.plan import Tuning, plan_tuning
    from alexnet.tune.results import TuneResult
    from alexnet.tune.space import Parameter, default_space, read_space

__all__ = ["Parameter", "TuneResult", "Tuning", "default_space", "plan_tuning", "read_space"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Parameter": "space",
        "TuneResult": "results",
        "Tuning": "plan",
        "default_space": "space",
        "plan_tuning": "plan",
        "read_space": "space",
    },
    called="the shell has it: alexnet tune DATA",
)
