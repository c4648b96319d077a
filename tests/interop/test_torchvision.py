"""Torchvision's published weights: where they are found, and which architectures they fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.errors import MissingDataError
from alexnet.interop import torchvision
from alexnet.interop.torchvision import torchvision_weights


def test_torchvisions_file_is_found_or_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    with pytest.raises(MissingDataError) as caught:
        torchvision_weights()
    assert "\n" not in str(caught.value)
    assert "fetch https://download.pytorch.org/models/alexnet-owt-7be5be79.pth" in str(caught.value)
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"x")
    assert torchvision_weights(str(tmp_path)) == tmp_path / "alexnet-owt-7be5be79.pth"


def test_torchvisions_file_is_checked_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def download(url: str, target: Path, **checks: object) -> Path:
        asked.update(checks, url=url)
        return target

    monkeypatch.setattr(torchvision, "download", download)
    target = torchvision_weights()
    assert asked["sha256_prefix"] == "7be5be79"
    assert str(asked["url"]).endswith(f"/{target.name}")
