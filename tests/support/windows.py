"""What differs on Windows, emulated: `python -m support.windows` runs commands there.

The package's modules see another `os`, `sys`, `signal`, `ctypes` and `platform`, and no `resource`
or `fcntl`; other packages see the real ones. The file system refuses, for all of them, what Windows
refuses: handles of folders, flushing what was opened for reading, moving or removing what is open
or mapped, names that Windows reserves, and two names that differ only in case. Text files get
`\\r\\n`; a text file that is opened without an encoding is an error.

Not emulated: file permissions, drive letters, path lengths, the console, the memory of the process,
and torch itself.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import io
import json
import os
import platform
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

POSIX_ONLY = {
    "os": (
        "fchmod", "fork", "getpgid", "getuid", "killpg", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW",
        "O_NONBLOCK", "posix_fallocate", "pread", "preadv", "sched_getaffinity", "statvfs", "uname",
    ),
    "signal": ("SIGALRM", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "setitimer"),
}  # fmt: skip
MISSING_MODULES = ("fcntl", "grp", "pwd", "resource", "termios")
RESERVED = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{port}{i}" for port in ("COM", "LPT") for i in "123456789"),
}
REFUSED_CHARACTERS = set('<>:"|?*\\') | {chr(code) for code in range(32)}


class WindowsModule(ModuleType):
    """A module with some names changed and those that only POSIX has left out."""

    def __init__(self, module: ModuleType, **changed: object) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(_module=module, **changed)

    def __getattr__(self, name: str) -> Any:
        if name in POSIX_ONLY.get(self.__name__, ()):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self._module, name)


class WindowsLibrary(ctypes.CDLL):
    """A library by its name; Windows cannot open the process itself."""

    def __init__(self, name: str | None, *arguments: Any, **options: Any) -> None:
        if name is None:
            raise TypeError("bad argument type for built-in operation")
        super().__init__(name, *arguments, **options)


MODULES = {
    "os": WindowsModule(os, name="nt", sep="\\", altsep="/"),
    "sys": WindowsModule(sys, platform="win32"),
    "signal": WindowsModule(signal, SIGBREAK=signal.Signals(21)),
    "ctypes": WindowsModule(ctypes, CDLL=WindowsLibrary),
    "platform": WindowsModule(
        platform, system=lambda: "Windows", machine=lambda: "AMD64", platform=lambda: "Windows-11"
    ),
}


def windows_import(name: str, *arguments: Any, **options: Any) -> ModuleType:
    """`__import__` as the package's modules see it."""
    if name in MISSING_MODULES:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return MODULES.get(name) or builtins.__import__(name, *arguments, **options)


class WindowsLoader(SourceFileLoader):
    """Executes a module of the package with `windows_import`."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": windows_import}
        super().exec_module(module)


class WindowsFinder(PathFinder):
    """Finds the modules of the package."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> Any:
        spec = super().find_spec(name, path, target) if name.split(".")[0] == "alexnet" else None
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = WindowsLoader(spec.loader.name, spec.loader.path)
        return spec


def refused(number: int, path: object) -> OSError:
    """The error of a call that Windows refuses."""
    return OSError(number, f"{os.strerror(number)} (as on Windows)", str(path))


def asked_by_filelock() -> bool:
    """Whether filelock asks, which sees the real system and has other code for Windows."""
    return sys._getframe(2).f_globals["__name__"].startswith("filelock")


def open_paths() -> set[str]:
    """The files that this process has open or mapped into its memory."""
    handles = Path("/proc/self/fd")
    opened = {str(entry.readlink()) for entry in handles.iterdir() if entry.is_symlink()}
    with open("/proc/self/maps", encoding="utf-8") as maps:  # noqa: PTH123
        mapped = {line.split(maxsplit=5)[5].strip() for line in maps if line.count("/") > 0}
    return opened | mapped


def check_not_open(path: Any) -> None:
    """Refuse to move or remove what is open, or a folder with something open in it."""
    if asked_by_filelock():
        return
    real = os.path.realpath(path)
    below = [p for p in open_paths() if p == real or p.startswith(f"{real}/")]
    if below:
        raise refused(errno.EACCES, f"{path}, of which {below} is open")


def check_name(path: Any) -> None:
    """Refuse names that Windows has no file for, and a second name that differs in case only."""
    if isinstance(path, int):
        return
    folder, name = Path(os.fsdecode(path)).absolute().parent, Path(os.fsdecode(path)).name
    is_reserved = name.split(".")[0].rstrip().upper() in RESERVED
    if is_reserved or set(name) & REFUSED_CHARACTERS or name != name.rstrip(". "):
        raise refused(errno.EINVAL, path)
    siblings = real_listdir(folder) if folder.is_dir() else []
    same = [other for other in siblings if other.casefold() == name.casefold() and other != name]
    if same:
        raise AssertionError(f"{path} and {same[0]} are one file on Windows")


real_listdir = os.listdir
real_open, real_os_open, real_fsync = io.open, os.open, os.fsync


def windows_open(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
    """The built-in `open`: text gets Windows' ends of lines."""
    if set(mode) & set("wax"):
        check_name(file)
        if "b" not in mode and len(arguments) < 4:
            options.setdefault("newline", "\r\n")
    return real_open(file, mode, *arguments, **options)


def windows_os_open(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
    """`os.open`: folders have no handles."""
    if asked_by_filelock():
        return real_os_open(path, flags, *arguments, **options)
    if Path(path).is_dir():
        raise refused(errno.EACCES, path)
    if flags & os.O_CREAT:
        check_name(path)
    return real_os_open(path, flags, *arguments, **options)


def windows_fsync(handle: Any) -> None:
    """`os.fsync`: only what is open for writing can be flushed."""
    import fcntl

    number = handle if isinstance(handle, int) else handle.fileno()
    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    real_fsync(number)


def moving(move: Callable[..., None], is_replacing: bool) -> Callable[..., None]:
    """`os.rename` or `os.replace`: neither end may be open, and the first try meets an indexer."""

    def moved(source: Any, target: Any, **options: Any) -> None:
        check_not_open(source)
        if os.path.lexists(target) and not is_replacing:
            raise refused(errno.EEXIST, target)
        if Path(target).is_dir():
            raise refused(errno.EACCES, target)
        check_not_open(target)
        check_name(target)
        if is_replacing and len(indexed) < 2:
            indexed.append(target)
            raise refused(errno.EACCES, target)
        move(source, target, **options)

    return moved


indexed: list[object] = []
"""Targets that a virus scanner or an indexer has had open."""


def removing(remove: Callable[..., None]) -> Callable[..., None]:
    """`os.unlink` or `os.rmdir`."""

    def removed(path: Any, **options: Any) -> None:
        check_not_open(path)
        remove(path, **options)

    return removed


def making(make: Callable[..., None]) -> Callable[..., None]:
    """`os.mkdir`."""

    def made(path: Any, *arguments: Any, **options: Any) -> None:
        check_name(path)
        make(path, *arguments, **options)

    return made


def emulate() -> None:
    """From now on this process is like one on Windows; before the package is imported."""
    assert "alexnet" not in sys.modules
    import torch  # noqa: F401  # asks for the real system while it is imported

    sys.meta_path.insert(0, WindowsFinder)
    warnings.filterwarnings("ignore", category=EncodingWarning)
    warnings.filterwarnings("error", category=EncodingWarning, module="alexnet")
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    builtins.open = io.open = windows_open
    os.open, os.fsync, os.mkdir = windows_os_open, windows_fsync, making(os.mkdir)  # type: ignore[assignment]
    os.rename, os.replace = moving(os.rename, False), moving(os.replace, True)
    os.unlink, os.remove, os.rmdir = map(removing, (os.unlink, os.remove, os.rmdir))


def interrupt_after(step: int) -> None:
    """Press Ctrl-C when a training has ended this step."""
    from alexnet.training.state import TrainState

    end_step = TrainState.end_step

    def ended(self: Any, *arguments: Any, **options: Any) -> None:
        end_step(self, *arguments, **options)
        if self.step == step:
            TrainState.end_step = end_step  # type: ignore[method-assign]
            signal.raise_signal(signal.SIGINT)

    TrainState.end_step = ended  # type: ignore[method-assign]


def skip_plots() -> None:
    """Write empty files in place of plots."""
    from alexnet import plots

    def save_nothing(draw: object, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    plots.save_plot = plots.save = save_nothing  # type: ignore[assignment]


ACTIONS: dict[str, Callable[..., None]] = {"CTRL-C": interrupt_after, "NO-PLOTS": skip_plots}
"""What may stand between the commands."""


def terminal(errors: str) -> io.TextIOWrapper:
    """What Windows gives a program whose output is redirected."""
    return io.TextIOWrapper(io.BytesIO(), encoding="cp1252", errors=errors, newline="\r\n")


def written(stream: io.TextIOWrapper) -> str:
    """All text that a stream got."""
    stream.flush()
    return stream.buffer.getvalue().decode("cp1252")  # type: ignore[attr-defined]


def main(commands: Sequence[Sequence[str]]) -> None:
    """Run commands in turn, each with its exit code and its output as a line of JSON."""
    emulate()
    from alexnet.cli import main as run

    for words in commands:
        if words[0] in ACTIONS:
            ACTIONS[words[0]](*map(int, words[1:]))
            continue
        out, err = terminal("strict"), terminal("backslashreplace")
        with redirect_stdout(out), redirect_stderr(err):
            code = run(words)
        print(json.dumps([code, written(out), written(err)]), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
