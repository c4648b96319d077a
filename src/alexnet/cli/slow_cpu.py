"""A note for users whose CPU could compute faster."""

from __future__ import annotations

from alexnet.cli.console import note


def note_slow_cpu(device: str) -> None:
    """Say why computing on the CPU is slower than it could be, if it is.

    Args:
        device: as `choose_device` takes it.

    Raises:
        UsageError: there is no such device.
    """
    from alexnet.ops.library import kernels_note
    from alexnet.runtime.device import choose_device

    if choose_device(device).type == "cpu" and (text := kernels_note()):
        note(text)
