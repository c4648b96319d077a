"""`alexnet doctor`: versions, device and folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.cli.flags import parse
from alexnet.config.serialization import json_text, to_dict
from alexnet.data.datasets.catalogue import DATASETS
from alexnet.io.paths import cache_folder, data_roots


@dataclass(frozen=True, kw_only=True)
class DoctorFlags:
    """Versions, device, bf16 support and folders of this machine."""

    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Print the versions and devices that results depend on, and the folders."""
    flags = parse(DoctorFlags, arguments, "doctor")
    from alexnet.ops.library import describe_search
    from alexnet.runtime.device import choose_device
    from alexnet.runtime.environment import describe_environment, installed_version

    facts = to_dict(describe_environment(choose_device(flags.device)))
    facts |= describe_search()
    facts |= {
        package: installed_version(package)
        for package in ("safetensors", "matplotlib", "tyro", "rich", "scipy")
    }
    facts["cache"] = str(cache_folder())
    facts["data_roots"] = [str(root) for root in data_roots()]
    facts["data_sets"] = list(DATASETS)
    if flags.json:
        print(json_text(facts))
        return 0
    for name, value in facts.items():
        print(f"{name:<16} {', '.join(value) if isinstance(value, list) else value}")
    return 0
