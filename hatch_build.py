"""Compiles the C kernels into the wheel, so that a machine without a C compiler has them, too.

Where this machine has none, or with `ALEXNET_KERNELS=0`, the wheel has none either and suits every
system. An editable install compiles nothing: there the kernels are compiled when they are first
used.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags


class KernelsHook(BuildHookInterface[Any]):
    """Adds `alexnet/ops/prebuilt/NAME.so` to a wheel, one library per instruction set."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a temporary folder, and tell hatchling to include what is there."""
        if version == "editable" or os.environ.get("ALEXNET_KERNELS") == "0":
            return
        sys.path.insert(0, str(Path(self.root) / "src"))
        from alexnet.ops.compile import compile_all

        self.folder = tempfile.TemporaryDirectory()
        libraries = compile_all(Path(self.folder.name))
        if not libraries:
            self.app.display_warning("no C compiler here, so the wheel has no compiled kernels")
            return
        for library in libraries:
            build_data["force_include"][str(library)] = f"alexnet/ops/prebuilt/{library.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary folder."""
        if hasattr(self, "folder"):
            self.folder.cleanup()


def platform_tag() -> str:
    """The tag of this system alone; the kernels may need its libc."""
    tags = (tag.platform for tag in sys_tags())
    return next(tag for tag in tags if not tag.startswith(("manylinux", "musllinux")))
