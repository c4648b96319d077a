"""Completion in shells: bash runs its script, of the other shells the words are checked."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from alexnet.cli import VERBS
from alexnet.cli.completion import COMMANDS, SCRIPTS
from support.commands import Command

SHELL = shutil.which("bash")


def complete(script: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    typed = " ".join(f"'{word}'" for word in ("alexnet", *words))
    code = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words)}; _alexnet\n"
    code += 'printf "%s\\n" "${COMPREPLY[@]}"'
    told = subprocess.run([str(SHELL), "-c", code], capture_output=True, text=True, check=True)
    assert told.stderr == ""
    return told.stdout.split()


@pytest.mark.skipif(SHELL is None, reason="needs bash")
def test_bash_completes_verbs_actions_and_flags(command: Command) -> None:
    script = command("completion", "bash").out
    assert set(VERBS) <= set(complete(script, ""))
    assert complete(script, "ev") == ["evaluate"]
    assert complete(script, "help", "doc") == ["doctor"]
    assert set(complete(script, "data", "")) == {
        *("prepare", "check", "split", "show", "mistakes"),
    }
    assert complete(script, "data", "check", "--lab") == ["--label-from"]
    assert complete(script, "train", "--optim") == ["--optimizer"]
    assert complete(script, "train", "a b", "--epochs", "3", "--weight-d") == ["--weight-decay"]
    assert complete(script, "pretrain", "rbm", "--cd") == ["--cd-steps"]
    assert complete(script, "pretrain", "autoencoder", "--mask") == ["--masking-fraction"]
    assert complete(script, "explain", "runs/a", "--fil") == ["--filters"]
    assert complete(script, "explain", "runs/a", "--neigh") == ["--neighbors"]
    assert complete(script, "runs", "cl") == ["clean"]
    assert complete(script, "runs", "--so") == ["--sort"]
    assert complete(script, "predict", "photos/a") == []
    assert complete(script, "completion", "f") == ["fish"]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_script_has_every_verb_action_and_flag(command: Command, shell: str) -> None:
    result = command("completion", shell)
    assert (result.code, result.err) == (0, "")
    for typed in COMMANDS:
        assert f"'{typed} " in result.out
    for word in (*VERBS, "--weight-decay", "--masking-fraction", "--older-than", "--help-all"):
        assert word in result.out
    for pair in ("()", "{}", "[]"):
        assert shell in ("bash", "zsh") or result.out.count(pair[0]) == result.out.count(pair[1])


def test_the_commands_are_all_verbs() -> None:
    assert {command.split()[0] for command in COMMANDS} == set(VERBS) - {"completion", "schema"}
