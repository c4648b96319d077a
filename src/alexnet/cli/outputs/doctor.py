"""What `doctor` prints."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.data.datasets.catalogue import DATASETS
from alexnet.io.paths import cache_folder, data_roots
from alexnet.ops.library import KernelSearch
from alexnet.parallel.device import ProcessesSupport
from alexnet.runtime.environment import Environment, installed_version

PACKAGES = ("safetensors", "matplotlib", "tyro", "rich", "scipy")
"""Packages whose versions are printed beside those of the environment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DoctorOutput:
    """Versions and devices that results depend on, and the folders of data and cache."""

    environment: Environment
    processes: ProcessesSupport
    """Support for --devices and torchrun."""
    gpu_problem: str
    """Why torch cannot compute on the GPU that it sees; "" if it can, or sees none."""
    search: KernelSearch
    """The search for the C kernels."""
    packages: dict[str, str]
    """Versions of more packages, or "not installed"."""
    cache: str
    """The cache folder."""
    data_roots: tuple[str, ...]
    """Folders in which data sets are searched for."""
    data_sets: tuple[str, ...]
    """Names of the data sets that were found."""


def doctor_output(
    environment: Environment, processes: ProcessesSupport, gpu_problem: str, search: KernelSearch
) -> DoctorOutput:
    """Make the output of this machine."""
    return DoctorOutput(
        environment=environment,
        processes=processes,
        gpu_problem=gpu_problem,
        search=search,
        packages={package: installed_version(package) for package in PACKAGES},
        cache=str(cache_folder()),
        data_roots=tuple(str(root) for root in data_roots()),
        data_sets=tuple(DATASETS),
    )
