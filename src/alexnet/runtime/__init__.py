"""The process and the machine it runs on.

- `device`: choosing a device, and the data type of its matrix products.
- `environment`: versions and hardware, for records.
- `signals`: stopping by a signal without losing work.
- `workers`: tasks in several processes at once.
- `malloc`, `openmp`: settings of the C library and of OpenMP that make training faster.
- `extras`: messages for optional packages that are not installed.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.runtime.device import autocast, choose_device
    from alexnet.runtime.environment import describe_environment
    from alexnet.runtime.signals import StopRequest

__all__ = ["StopRequest", "autocast", "choose_device", "describe_environment"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "StopRequest": "signals",
        "autocast": "device",
        "choose_device": "device",
        "describe_environment": "environment",
    },
)
