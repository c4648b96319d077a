"""The C kernels come from the package, else from the cache, else from the machine's compiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch

from alexnet.ops import build, compile, library
from alexnet.ops.build import BuiltLibrary, KernelsMissingError, find_library
from alexnet.ops.compile import (
    FLAGS,
    KERNELS,
    LIBRARIES,
    LibrarySource,
    compile_all,
    find_compiler,
    openmp_flags,
)
from alexnet.ops.instruction_sets import INSTRUCTION_SETS, InstructionSet
from alexnet.ops.library import KernelLibrary, kernels_note
from support.kernels import built_kernels, needs_kernels

BASELINE = INSTRUCTION_SETS[-1]
PICKY = """#!/bin/sh
for word in "$@"; do
  case "$word" in {refused}) echo "cc: error: unrecognized option '$word'" >&2; exit 1;; esac
done
exec {compiler} "$@"
"""
"""A compiler that does not know some options."""


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without kernels, and flags with which they are compiled sooner."""
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compile, "FLAGS", ("-O0", "-std=c11", "-fPIC"))
    return tmp_path / "cache"


def picky_compiler(folder: Path, refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the compiler is one that does not know some options."""
    script = folder / "picky-cc"
    script.write_text(PICKY.format(refused=refused, compiler=shutil.which(find_compiler()[0])))
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))


def kernels_of(built: BuiltLibrary) -> KernelLibrary:
    return KernelLibrary(built.library, built.instruction_set, built.is_prebuilt)


@needs_kernels
def test_compiled_once_and_cached(empty_cache: Path) -> None:
    first = find_library(KERNELS, (BASELINE,))
    assert (first.instruction_set, first.is_prebuilt) == ("baseline", False)
    (file,) = (empty_cache / "kernels").iterdir()
    built = file.stat().st_ino
    find_library(KERNELS, (BASELINE,))
    assert [p.stat().st_ino for p in (empty_cache / "kernels").iterdir()] == [built]


@pytest.fixture
def one(tmp_path: Path) -> LibrarySource:
    """A library of one function, compiled in no time."""
    (tmp_path / "one.c").write_text("int one(void) { return 1; }")
    return LibrarySource("one-", (str(tmp_path / "one.c"),), (BASELINE.name,), has_openmp=False)


@needs_kernels
@pytest.mark.parametrize("content", [b"", bytes(5000)])
def test_what_a_power_failure_has_left_is_compiled_again(
    content: bytes, one: LibrarySource, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_library(one, (BASELINE,))
    (file,) = (empty_cache / "kernels").iterdir()
    other = empty_cache.with_name("other")  # the system would not open the same file again
    (other / "kernels").mkdir(parents=True)
    (other / "kernels" / file.name).write_bytes(content)
    monkeypatch.setenv("ALEXNET_CACHE", str(other))
    assert find_library(one, (BASELINE,)).library.one() == 1


@needs_kernels
def test_the_options_of_the_compiler_have_libraries_of_their_own(
    one: LibrarySource, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = find_compiler()[0]
    for options in ("", " -g", " -g -O1", " -g"):
        monkeypatch.setenv("CC", f"{compiler}{options}")
        find_library(one, (BASELINE,))
    assert len(list((empty_cache / "kernels").iterdir())) == 3


@pytest.mark.slow
@needs_kernels
def test_a_compiler_without_openmp_gives_one_thread_and_one_note(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Apple's clang, which refuses -fopenmp."""
    picky_compiler(tmp_path, "-fopenmp", monkeypatch)
    kernels = kernels_of(find_library(KERNELS, (BASELINE,)))
    assert not kernels.has_openmp
    monkeypatch.setattr(library, "_search", lambda: (kernels, ""))
    assert kernels_note().startswith(
        f"the C kernels use one thread, as {kernels.compiler} compiled"
    )
    assert library.describe_kernels() == f"{kernels.compiler}, baseline, one thread"
    x, y = torch.ones(1, 8, 1, 1), torch.empty(1, 8, 1, 1)
    kernels.call("response_norm_f32", x, y, 1, 8, 5, 1.0, 0.75, 1.0)
    expected = torch.tensor([4.0, 5, 6, 6, 6, 6, 5, 4]) ** -0.75
    assert torch.allclose(y.flatten(), expected)


@pytest.mark.slow
@needs_kernels
def test_an_older_compiler_gets_the_next_instruction_set(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picky_compiler(tmp_path, "-mavxvnni", monkeypatch)
    newest = InstructionSet("newest", ("avx_vnni",))
    assert find_library(KERNELS, (newest, BASELINE)).instruction_set == "baseline"


@needs_kernels
def test_those_of_the_package_need_no_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = built_kernels()
    shutil.copy(made.library._name, tmp_path / f"{made.instruction_set}.so")
    monkeypatch.setattr(build, "PREBUILT", tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    sets = [isa for isa in INSTRUCTION_SETS if isa.name == made.instruction_set]
    kernels = kernels_of(find_library(KERNELS, sets))
    assert kernels.is_prebuilt
    assert (kernels.compiler, kernels.has_openmp) == (made.compiler, made.has_openmp)
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(build, "PREBUILT", tmp_path / "broken")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{made.instruction_set}.so").write_bytes(b"not a library")
    with pytest.raises(KernelsMissingError, match="there is no C compiler"):
        find_library(KERNELS, sets)


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        ("no-such-compiler", r"^there is no C compiler \(no-such-compiler\); install one"),
        ("false", "^the C compiler false cannot compile them: exit code 1"),
    ],
)
def test_without_a_compiler_there_are_none(
    compiler: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", compiler)
    with pytest.raises(KernelsMissingError, match=reason):
        find_library(KERNELS, (BASELINE,))
    assert not (tmp_path / "kernels").exists()


@needs_kernels
def test_without_a_cache_folder_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "file"))
    with pytest.raises(KernelsMissingError, match="Not a directory"):
        find_library(KERNELS, (BASELINE,))


def test_a_compiler_with_options_and_the_first_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`CC="ccache gcc"` is usual, and some systems have gcc or clang and no cc."""
    monkeypatch.setenv("CC", f"{sys.executable} -c")
    assert find_compiler() == (sys.executable, "-c")
    monkeypatch.setenv("CC", "")
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "clang" else None)
    assert find_compiler() == ("clang",)


@pytest.mark.parametrize(
    ("system", "version", "flags"),
    [
        ("Linux", "gcc (Debian 12.2.0) 12.2.0", ("-fopenmp",)),
        ("Linux", "Debian clang version 14.0.6", ()),
        ("Darwin", "Apple clang version 16.0.0", ("-Xpreprocessor", "-fopenmp")),
        ("Darwin", "gcc-14 (Homebrew GCC 14.2.0) 14.2.0", ()),
    ],
)
def test_only_the_compiler_of_torchs_openmp_uses_it(
    system: str, version: str, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    assert openmp_flags(version) == flags


@pytest.mark.slow
@needs_kernels
@pytest.mark.parametrize(
    ("isa", "source"),
    [
        pytest.param(isa, source, id=f"{source.prefix}{isa.name}")
        for source, isa in product(LIBRARIES, INSTRUCTION_SETS)
        if isa.name in source.instruction_sets
    ],
)
def test_every_file_compiles_without_a_warning(isa: InstructionSet, source: LibrarySource) -> None:
    """For CPUs of all kinds: where one does not, a slower library would be used in its place."""
    check = (*find_compiler(), *isa.compiler_flags, *FLAGS[1:], "-fopenmp", "-fsyntax-only", "-xc")
    if subprocess.run((*check, "/dev/null"), capture_output=True).returncode:
        pytest.skip("the compiler does not know this instruction set")
    command = (*check, "-Wall", "-Wextra", "-Werror", *map(str, source.paths))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@needs_kernels
def test_a_wheel_gets_what_the_compiler_knows(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picky_compiler(tmp_path, "-mavx512*|-mavx2|-mavxvnni", monkeypatch)
    assert compile_all(tmp_path) == [tmp_path / "baseline.so"]
    monkeypatch.setenv("CC", "no-such-compiler")
    assert compile_all(tmp_path) == []


def test_the_build_needs_nothing_but_python() -> None:
    """`hatch_build.py` imports it where no dependency is installed."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import alexnet.ops.compile"
    source = Path(build.__file__).parents[2]
    subprocess.run([sys.executable, "-I", "-S", "-c", code, source], check=True)
