"""`alexnet serve`: what it refuses before it begins, and whom it lets in."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from alexnet.cli.serve import ServeFlags, allowed_hosts, check_values, is_loopback
from alexnet.errors import UsageError
from alexnet.serve.models import model_sources
from alexnet.serve.server import address, bind
from support.commands import Command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name at least one model: alexnet serve MODEL ..."),
        (["runs/a", "other/a"], "two models are called a; name one of them: NEW-NAME=MODEL"),
        (["runs/a", "--port", "70000"], "--port 70000 must be from 0 to 65535"),
        (["runs/a", "--token", "short"], "the token needs at least 16"),
        (["runs/a", "--max-queue", "0"], "--max-queue 0 is too small"),
        (["runs/a", "--max-body-mb", "inf"], "--max-body-mb inf is not a finite number"),
        (["runs/a", "--decode-seconds", "nan"], "--decode-seconds nan is not a finite number"),
        (["runs/a", "--host", "no such host"], "there is no address no such host: "),
        (["runs/a", "--port", "0"], "there is no file runs/a"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    command: Command, words: list[str], message: str
) -> None:
    result = command("serve", *words)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[-1].startswith("alexnet: ")
    assert message in result.err


def test_a_port_in_use_is_named(command: Command) -> None:
    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        assert address(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(UsageError, match=r"cannot listen on 127\.0\.0\.1 port \d+: Address"):
            bind("127.0.0.1", listener.getsockname()[1])


def test_names_of_models_are_those_of_their_runs(tmp_path: Path) -> None:
    run = tmp_path / "photos-001"
    run.mkdir()
    file = run / "model.safetensors"
    file.touch()
    words = [str(run), f"b={file}", "hf:owner/name", f"c={run}"]
    assert [source.name for source in model_sources(words)] == ["photos-001", "b", "name", "c"]
    assert model_sources([str(file)])[0].name == "photos-001"


def test_only_files_lose_the_end_of_their_name(tmp_path: Path) -> None:
    for version in ("v1.5", "v1.6"):
        (tmp_path / version).mkdir()
    words = [
        str(tmp_path / "v1.5"), str(tmp_path / "v1.6"), str(tmp_path / "small.safetensors"),
        "hf:me/net-1.5", "hf:me/net-1.6@main", "hf:me/net/old/tiny.safetensors",
    ]  # fmt: skip
    names = ["v1.5", "v1.6", "small", "net-1.5", "net-1.6", "tiny"]
    assert [source.name for source in model_sources(words)] == names


def test_only_a_server_of_this_machine_alone_checks_its_name() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "a.b")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert "localhost" in allowed_hosts("127.0.0.1", [])
    assert "a.example" in allowed_hosts("127.0.0.1", ["A.example"])
    assert allowed_hosts("0.0.0.0", []) == ()
    assert socket.gethostname() not in allowed_hosts("0.0.0.0", ["a"])


def test_who_may_see_training_images_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    check_values(ServeFlags(host="0.0.0.0", training_images=True), token="")
    assert "can use the server and see training images; $ALEXNET_TOKEN" in capsys.readouterr().err
