"""`alexnet doctor`: versions, device and folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alexnet.cli.console import print_json
from alexnet.cli.flags import parse
from alexnet.config.serialization import to_dict


@dataclass(frozen=True, kw_only=True)
class DoctorFlags:
    """Versions, device, what --precision auto is on it, and folders of this machine."""

    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Print the versions and devices that results depend on, and the folders."""
    flags = parse(DoctorFlags, arguments, "doctor")
    from alexnet.cli.outputs.doctor import doctor_output
    from alexnet.ops.library import describe_search
    from alexnet.parallel.device import describe_support
    from alexnet.runtime.device import choose_device, gpu_problem
    from alexnet.runtime.environment import describe_environment

    device = choose_device(flags.device)
    environment, support = describe_environment(device), describe_support()
    facts = doctor_output(environment, support, gpu_problem(), describe_search())
    if flags.json:
        print_json(facts)
        return 0
    for name, value in _flat(to_dict(facts)):
        print(f"{name:<16} {', '.join(value) if isinstance(value, list) else value}")
    return 0


def _flat(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of nested facts as one list."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            yield name, value
