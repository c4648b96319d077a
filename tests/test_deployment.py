"""The files of deploy/: they call what there is, and their limits are those of the server."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess

import pytest

from alexnet.cli.flags import parse
from alexnet.cli.serve import ServeFlags
from alexnet.serve.limits import Limits
from alexnet.serve.server import MAX_STOP_SECONDS
from support.places import ROOT

CONTAINER = (ROOT / "deploy" / "Containerfile").read_text()
NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
UNIT_FILE = ROOT / "deploy" / "alexnet.service"
UNIT = UNIT_FILE.read_text()


def only(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text, re.M)
    return str(found)


def test_the_container_runs_targets_of_make_with_files_that_there_are() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert re.findall(r"^RUN (.*)", CONTAINER, re.M) == ["make install PREFIX=/opt/alexnet"]
    assert "install" in targets
    copied = {
        word
        for line in re.findall(r"^COPY ([^-].*)", CONTAINER, re.M)
        for word in line.split()[:-1]
    }
    assert all((ROOT / name).exists() for name in copied)
    project = (ROOT / "pyproject.toml").read_text()
    needed = {
        only(r'^readme = "(.*)"', project),
        "hatch_build.py",
        "pyproject.toml",
        "constraints.txt",
    }
    assert needed | {"Makefile", "src", "LICENSE"} == copied


@pytest.mark.parametrize("words", [
    shlex.split(only(r"^ExecStart=(.*)", UNIT)),
    [*json.loads(only(r"^ENTRYPOINT (.*)", CONTAINER)), "/models/photos"],
])  # fmt: skip
def test_the_server_is_started_with_flags_that_it_has(words: list[str]) -> None:
    program, verb, *rest = words
    assert (program, verb) == ("/opt/alexnet/bin/alexnet", "serve")
    assert len(parse(ServeFlags, rest, "serve").models) == 1


def test_limits_in_front_are_those_of_the_server() -> None:
    limits = Limits()
    assert float(only(r"client_max_body_size (\d+)m;", NGINX)) == limits.max_body_mb
    assert f"may have {limits.max_body_mb:g} MB together" in NGINX
    assert float(only(r"client_body_timeout +(\d+)s;", NGINX)) == limits.receive_seconds
    assert int(only(r"^TimeoutStopSec=(\d+)", UNIT)) > MAX_STOP_SECONDS
    assert int(only(r"^LimitNOFILE=(\d+)", UNIT)) > limits.max_connections
    flags = parse(ServeFlags, shlex.split(only(r"^ExecStart=(.*)", UNIT))[2:], "serve")
    assert flags.allow_host == (only(r"server_name (.*);", NGINX),)
    assert only(r"server (127.*);", NGINX) == f"{flags.host}:{flags.port}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_but_what_is_not_installed() -> None:
    words = ["systemd-analyze", "verify", "--man=no", str(UNIT_FILE)]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stderr
    assert all("/opt/alexnet/bin/alexnet is not executable" in line for line in said.splitlines())
