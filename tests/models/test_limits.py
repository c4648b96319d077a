"""What an architecture may have at most."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.errors import ArchitectureError
from alexnet.models import limits
from alexnet.models.limits import check_limits
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import ZOO
from support.commands import Command


@pytest.mark.parametrize("name", ZOO)
def test_every_published_network_is_within(name: str) -> None:
    check_limits(ZOO[name])
    check_limits(variant(ZOO[name], ModelOptions(width=2)))


def test_every_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, figure in (
        ("MAX_PARAMETERS", r"[\d,]+ parameters"),
        ("MAX_ACTIVATIONS", r"[\d,]+ outputs of one layer"),
        ("MAX_MACS", r"[\d,]+ multiply-accumulates per image"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(limits, name, 5)
            with pytest.raises(
                ArchitectureError, match=f"lenet5 has {figure}, more than the limit of"
            ):
                check_limits(ZOO["lenet5"])


def test_an_oversized_network_is_an_error_of_one_sentence(command: Command, flowers: Path) -> None:
    for words in (("--width", "500"), ("--width", "1e300"), ("--input-size", "4000000")):
        result = command("train", "--data", flowers, "--resize-size", "300", *words)
        assert result.code == 2, words
        assert len(result.err.splitlines()) == 1
