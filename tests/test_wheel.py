"""A wheel brings the C kernels for several instruction sets to where there is no compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from support.kernels import built_kernels, needs_kernels

ROOT = Path(__file__).parents[1]


def build_wheel(folder: Path, **environment: str) -> Path:
    """The wheel that hatchling builds."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def prebuilt(wheel: Path) -> set[str]:
    """The instruction sets that a wheel has kernels for."""
    with zipfile.ZipFile(wheel) as archive:
        paths = [Path(name) for name in archive.namelist()]
    return {path.stem for path in paths if path.parent.name == "prebuilt"}


def run_alexnet(places: dict[str, object], *words: object) -> str:
    """What a command prints, with other environment variables."""
    environment = os.environ | {name: str(value) for name, value in places.items()}
    command = [sys.executable, "-m", "alexnet", *map(str, words)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout


@needs_kernels
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_computes_the_same_without_a_compiler(flowers: Path, tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path)
    assert {"avx2", "avx512_vnni", "baseline"} <= prebuilt(wheel) or "-any" not in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    arch = ("--arch", "lenet5", "--norm", "response", "--batch-size", "8", "--epochs", "1")
    train = ("train", "--data", flowers, *arch, "--resize-size", "32", "--crop-size", "32")
    for name, package, path, origin in (
        ("wheel", tmp_path / "site", "", "the package"),
        ("source", ROOT / "src", os.environ["PATH"], "compiled on this machine"),
    ):
        places = {"PYTHONPATH": package, "PATH": path, "ALEXNET_CACHE": tmp_path / name}
        facts = json.loads(run_alexnet(places, "doctor", "--json"))
        assert facts["search"]["kernels_from"] == origin
        assert facts["environment"]["kernels"].endswith(built_kernels().instruction_set)
        run_alexnet(places, *train, "--out", tmp_path / f"{name}-run")
    models = [tmp_path / f"{name}-run" / "model.safetensors" for name in ("wheel", "source")]
    assert models[0].read_bytes() == models[1].read_bytes()
    assert not (tmp_path / "wheel" / "kernels").exists(), "nothing was compiled"


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"CC": "no-such-compiler"}, {"ALEXNET_KERNELS": "0"}])
def test_without_kernels_it_suits_every_system(environment: dict[str, str], tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, **environment)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert prebuilt(wheel) == set()
    with zipfile.ZipFile(wheel) as archive:
        assert {"page/index.html", "page/page.css", "page/page.js"} <= {
            name.removeprefix("alexnet/serve/") for name in archive.namelist()
        }


def test_an_editable_install_compiles_nothing() -> None:
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    data: dict[str, Any] = {"force_include": {}, "pure_python": True}
    hook = object.__new__(module.KernelsHook)
    hook.initialize("editable", data)
    assert data == {"force_include": {}, "pure_python": True}
    hook.finalize("editable", data, "")
    assert module.platform_tag().startswith(("linux_", "macosx_", "win"))
