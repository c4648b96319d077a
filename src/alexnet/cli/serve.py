"""`alexnet serve`: trained models on a page and behind an HTTP API."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated

import tyro

from alexnet.cli.console import name_list, note, print_json
from alexnet.cli.flags import parse
from alexnet.cli.outputs.serve import ServeOutput
from alexnet.errors import UsageError
from alexnet.progress import ProgressReporter
from alexnet.runtime.extras import require_extra
from alexnet.serve.limits import Limits

TOKEN_VARIABLE = "ALEXNET_TOKEN"
MIN_TOKEN = 16
"""Minimum number of characters of a token; shorter ones can be guessed."""


@dataclass(frozen=True, kw_only=True)
class ServeFlags:
    """Trained models on a page in the browser, and behind an HTTP API."""

    models: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL ...")
    ] = ()
    """Run folders, model files or hf:OWNER/NAME; NAME=MODEL names one."""
    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 lets other machines connect."""
    port: int = 8000
    """The port to listen on; 0: any free one."""
    token: str = ""
    """What clients must send as Authorization: Bearer TOKEN; better in $ALEXNET_TOKEN, which other
    users of the machine cannot see."""
    allow_host: tuple[str, ...] = ()
    """More names under which clients reach the server, such as that of a reverse proxy."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    exact: bool = True
    """Give an image the same answer, to the last bit, whatever other requests there are; on
    hardware without int8 products, every image is computed alone for this."""
    training_images: bool = False
    """Let clients see the images that the models were trained on, small: the nearest ones to an
    image, and some of every class. Their features are computed once and kept in the cache."""
    limits: Limits = field(default_factory=Limits)
    json: bool = False
    """Print JSON, also the log."""


def run(arguments: Sequence[str]) -> int:
    """Serve until the process is asked to end."""
    flags = parse(ServeFlags, arguments, "serve")
    token = flags.token or os.environ.get(TOKEN_VARIABLE, "")
    check_values(flags, token)
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        require_extra(package, "serve", "serve")
    from alexnet.serve.guard import Access
    from alexnet.serve.logs import set_up_logs
    from alexnet.serve.models import Models, model_sources
    from alexnet.serve.server import address, bind, run_server
    from alexnet.serve.service import Service

    models = Models(
        model_sources(flags.models), flags.device, exact=flags.exact,
        training_images=flags.training_images,
    )  # fmt: skip
    with bind(flags.host, flags.port) as listener:
        with ProgressReporter() as reporter:
            models.load(flags.limits.max_batch, reporter)
        set_up_logs(as_json=flags.json)
        names = tuple(model.name for model in models.all)
        access = Access(token=token, hosts=allowed_hosts(flags.host, flags.allow_host))

        def on_ready() -> None:
            if flags.json:
                print_json(ServeOutput(url=address(listener), models=names))
            else:
                print(f"{name_list(names)} on {address(listener)}; Ctrl-C ends it")
            sys.stdout.flush()

        run_server(Service(models, flags.limits), access, listener, on_ready)
    return 0


def check_values(flags: ServeFlags, token: str) -> None:
    """Check the flags' values, and print a note if anybody can use the server.

    Raises:
        UsageError: a value cannot be used.
    """
    if not 0 <= flags.port < 1 << 16:
        raise UsageError(f"--port {flags.port} must be from 0 to 65535")
    if token and (len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable()):
        raise UsageError(f"the token needs at least {MIN_TOKEN} letters, digits or signs of ASCII")
    if not token and not is_loopback(flags.host):
        sees = " and see training images" if flags.training_images else ""
        who = f"anybody who reaches this machine can use the server{sees}"
        note(f"{who}; ${TOKEN_VARIABLE} limits that")


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_hosts(host: str, more: Sequence[str]) -> tuple[str, ...]:
    """The Host names that the server accepts; empty if any."""
    from alexnet.serve.guard import LOCAL_HOSTS

    if is_loopback(host):
        return (*LOCAL_HOSTS, host, *map(str.lower, more))
    return (*LOCAL_HOSTS, host, *map(str.lower, more)) if more else ()
