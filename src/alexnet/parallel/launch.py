"""Start the processes of a world on this machine, as torchrun does."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence

from alexnet.errors import UsageError
from alexnet.ops.cores import num_cores

ERROR_CODE = 2


def launch(arguments: Sequence[str], size: int) -> int:
    """Run `python -m alexnet ARGUMENTS` in `size` processes, which share this one's threads.

    Returns:
        The exit code: that of the processes if they ended by themselves, 128 and a signal's number
        if it ended them.

    Raises:
        UsageError: this machine has no cores for so many.
    """
    import torch
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    check_size(size)
    os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // size))
    logging.disable(logging.CRITICAL)  # the processes tell of their errors themselves
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=size,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "alexnet", *arguments)
    except ChildFailedError as error:
        return exit_code([failure.exitcode for failure in error.failures.values()])
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def check_size(size: int) -> None:
    """Reject far more processes than cores, which is most likely a mistake.

    Raises:
        UsageError: says how many there are.
    """
    cores = num_cores()
    if size > 8 * cores:
        raise UsageError(f"--devices {size} is too many for {cores} cores")


def exit_code(codes: Sequence[int]) -> int:
    """The exit code for failed processes: that of an interruption if there is one, else 2."""
    interrupted = [code for code in codes if code in (128 + signal.SIGINT, 128 + signal.SIGTERM)]
    return interrupted[0] if interrupted else ERROR_CODE
