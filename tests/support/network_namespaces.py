"""Hosts for tests: network namespaces of this machine, joined by a bridge.

They share memory, cores and files, and nothing else: a host has its own name, address, loopback and
process numbers. Nothing of this machine's own network is touched, and the end removes all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PREFIX = "alexnet-test"
LINK = "eth0"
"""Of every host; the other end is in the namespace of the bridge."""
NETWORK = "10.77.0"
PROGRAMS = ("ip", "unshare", "mount", "hostname")
ENTER = 'hostname "$0" && mount --bind "$1" /etc/hosts && shift && exec "$@"'


@dataclass(frozen=True)
class Host:
    """One of the hosts."""

    name: str
    namespace: str
    address: str
    names: Path
    """Its /etc/hosts."""

    def command(self, words: Sequence[Any]) -> list[str]:
        """What runs a command on this host; when it is killed, all that it started end too."""
        own = ["unshare", "--uts", "--pid", "--mount-proc", "--fork", "--kill-child"]
        enter = ["sh", "-c", ENTER, self.name, str(self.names)]
        return ["ip", "netns", "exec", self.namespace, *own, *enter, *map(str, words)]

    def cut_link(self) -> None:
        """Cut its cable: what is sent from now on is lost, and nobody is told."""
        self.run("ip", "link", "set", LINK, "down")

    def run(self, *words: Any) -> str:
        """Run a command in the network of this host, such as `tc qdisc add dev eth0 ..`.

        Returns:
            What it prints.
        """
        return _run("ip", "netns", "exec", self.namespace, *words)


@contextmanager
def start_hosts(count: int) -> Iterator[list[Host]]:
    """A context with `count` hosts, host-0, host-1, .., which reach each other by name.

    Skips the test, with a reason, where this process may not make namespaces.
    """
    if reason := why_impossible():
        pytest.skip(reason)
    stem = f"{PREFIX}-{os.getpid()}"
    switch = f"{stem}-switch"
    _remove_left_over()
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "hosts"
        hosts = [
            Host(f"host-{i}", f"{stem}-{i}", f"{NETWORK}.{i + 1}", names) for i in range(count)
        ]
        names.write_text(
            "".join(f"{h.address} {h.name}\n" for h in hosts) + "127.0.0.1 localhost\n"
        )
        try:
            _make(switch)
            _run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
            _run("ip", "-n", switch, "link", "set", "bridge", "up")
            for number, host in enumerate(hosts):
                _make(host.namespace)
                _connect(host, switch, f"host{number}")
            yield hosts
        finally:
            for namespace in (*(host.namespace for host in hosts), switch):
                _remove(namespace)


def why_impossible() -> str:
    """Why there can be no hosts here; "" if there can."""
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        return f"needs the program {missing[0]}"
    probe = f"{PREFIX}-{os.getpid()}-probe"
    try:
        _make(probe)
        _run("ip", "-n", probe, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", probe, "link", "add", LINK, "type", "veth", "peer", "name", "other")
    except subprocess.CalledProcessError as error:
        return f"this process may not make network namespaces: {error.stderr.strip()}"
    finally:
        _remove(probe)
    return ""


def _make(namespace: str) -> None:
    _run("ip", "netns", "add", namespace)
    _run("ip", "-n", namespace, "link", "set", "lo", "up")


def _connect(host: Host, switch: str, port: str) -> None:
    """Lay a cable from a host to the bridge."""
    inside = ("ip", "-n", host.namespace)
    _run(*inside, "link", "add", LINK, "type", "veth", "peer", "name", port, "netns", switch)
    _run("ip", "-n", switch, "link", "set", port, "master", "bridge", "up")
    _run(*inside, "address", "add", f"{host.address}/24", "dev", LINK)
    _run(*inside, "link", "set", LINK, "up")


def _remove(namespace: str) -> None:
    """Remove a namespace, and its processes, which would keep it alive; none is no error."""
    with suppress(subprocess.CalledProcessError, FileNotFoundError):
        for pid in _run("ip", "netns", "pids", namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        _run("ip", "netns", "delete", namespace)


def _remove_left_over() -> None:
    """Remove the namespaces of tests that were killed."""
    for line in _run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        pid = name.removeprefix(f"{PREFIX}-").partition("-")[0]
        if name.startswith(PREFIX) and not Path("/proc", pid).exists():
            _remove(name)


def _run(*words: Any) -> str:
    command = [str(word) for word in words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
