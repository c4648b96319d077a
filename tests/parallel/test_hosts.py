"""Training on several hosts, which are network namespaces of this machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.network_namespaces import start_hosts

SERVE = "import socket; s = socket.create_server(('', 4000)); print('up', flush=True); s.accept()"
CALL = "import socket; socket.create_connection(('host-1', 4000), 5); print(socket.gethostname())"


@pytest.mark.slow
def test_hosts_reach_each_other_by_name_and_leave_nothing() -> None:
    with start_hosts(2) as (one, two):
        words = two.command([sys.executable, "-c", SERVE])
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            assert server.stdout.readline() == "up\n"
            call = one.command([sys.executable, "-c", CALL])
            assert subprocess.check_output(call, text=True) == "host-0\n"
    namespaces = subprocess.check_output(["ip", "netns", "list"], text=True)
    assert one.namespace not in namespaces
    assert two.namespace not in namespaces
