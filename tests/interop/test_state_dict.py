"""State dicts, strictly: every tensor fits, or the first that does not is named."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from alexnet.checkpoints.weights import TORCHVISION_NAMES
from alexnet.errors import MissingDataError, ModelFileError, UsageError
from alexnet.interop import state_dict as state_dicts
from alexnet.interop.importer import import_model, read_class_names
from alexnet.interop.state_dict import read_state_dict, torchvision_weights
from alexnet.models.zoo import ZOO
from support.narrow_nets import narrow


@pytest.fixture(autouse=True)
def narrow_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widths of a state dict are the table's, so the table is narrow here; 1000 classes stay."""
    from alexnet.models.variants import ModelOptions, variant

    monkeypatch.setitem(ZOO, "alexnet_owt", variant(ZOO["alexnet_owt"], ModelOptions(width=0.05)))


def theirs() -> dict[str, Tensor]:
    """Seven classes under torchvision's names."""
    names = {ours: foreign for foreign, ours in TORCHVISION_NAMES.items()}
    own = narrow("alexnet_owt").network.state_dict()
    return {f"{names[n.split('.')[0]]}.{n.split('.')[1]}": t for n, t in own.items()}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_net(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    save_file(theirs(), path) if suffix == ".safetensors" else torch.save(theirs(), path)
    imported = import_model(path, "alexnet_owt")
    assert imported.info.class_names == tuple(f"class {i}" for i in range(7))
    assert imported.parity is None
    own = narrow("alexnet_owt").network.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in imported.weights.items())
    assert set(own) == set(imported.weights)


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {n: t for n, t in state.items() if n != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "features.3.bias"), r"it lacks conv2\.bias \(8\)"),
        (lambda s: without(s, "classifier.6.weight"), r"it lacks fc8\.weight \(1000x204\)"),
        (lambda s: {**s, "features.0.weight": torch.zeros(4, 3, 7, 7)},
         r"conv1\.weight has shape 4x3x7x7, expected 4x3x11x11"),
        (lambda s: {**s, "norm1.scale": torch.zeros(4)}, r"it also has norm1\.scale \(4\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(tmp_path: Path, change: object, message: str) -> None:
    assert callable(change)
    torch.save(change(theirs()), tmp_path / "net.pth")
    with pytest.raises(ModelFileError, match=rf"^net\.pth is not alexnet_owt: {message}$"):
        import_model(tmp_path / "net.pth", "alexnet_owt")


def test_a_net_with_statistics_but_no_counters(tmp_path: Path) -> None:
    own = narrow("alexnet_bn").network.state_dict()
    plain = {name: t for name, t in own.items() if not name.endswith("tracked")}
    torch.save(plain, tmp_path / "bn.pth")
    from alexnet.models.variants import ModelOptions, variant

    table = variant(ZOO["alexnet_bn"], ModelOptions(width=0.05))
    fitted = read_state_dict(tmp_path / "bn.pth", table, 131)
    assert set(fitted.weights) == set(plain)
    assert fitted.table.num_classes == 7


def test_the_shared_features_lack_the_classifier(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    path = shared / "data" / "alexnet_owt" / "features.pth"
    message = r"^features\.pth is not alexnet_owt: it lacks fc6\.weight \(4096x9216\)$"
    with pytest.raises(ModelFileError, match=message):
        read_state_dict(path, ZOO["alexnet_owt"])


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_code_is_refused_and_not_run(tmp_path: Path, kind: str) -> None:
    trap = Trap(tmp_path / "sprung")
    path = tmp_path / "evil.pth"
    if kind == "torch":
        torch.save({**theirs(), "trap": trap}, path)
    else:
        path.write_bytes(pickle.dumps(trap))
    with pytest.raises(ModelFileError, match=r"evil\.pth cannot be read as weights"):
        import_model(path, "alexnet_owt")
    assert not (tmp_path / "sprung").exists()


def test_truncated(tmp_path: Path) -> None:
    torch.save(theirs(), tmp_path / "net.pth")
    whole = (tmp_path / "net.pth").read_bytes()
    (tmp_path / "net.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFileError, match=r"net\.pth cannot be read as weights"):
        import_model(tmp_path / "net.pth", "alexnet_owt")


def test_a_model_of_ours_is_sent_away(tmp_path: Path) -> None:
    torch.save(theirs(), tmp_path / "net.pth")
    import_model(tmp_path / "net.pth", "alexnet_owt").save(tmp_path / "ours.safetensors")
    with pytest.raises(UsageError, match="is a model of this program already"):
        import_model(tmp_path / "ours.safetensors", "alexnet_owt")


def test_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"net\.tflite has none of the endings \.onnx"):
        import_model(tmp_path / "net.tflite", "alexnet_owt")


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
    asked = {}

    def download(url: str, target: Path, **checks: object) -> Path:
        asked.update(checks, url=url)
        return target

    monkeypatch.setattr(state_dicts, "download", download)
    target = torchvision_weights()
    assert asked["sha256_prefix"] == "7be5be79"
    assert str(asked["url"]).endswith(f"/{target.name}")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "has no class names"), (b"\xff\xfe\x00", "is not UTF-8 text")],
)
def test_class_names_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        read_class_names(tmp_path / "names.txt")
    with pytest.raises(ModelFileError, match="there is no file"):
        read_class_names(tmp_path / "none.txt")


def test_class_names_as_people_save_them(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes("\ufeffrose\r\n ox eye \r\n\r\n".encode())
    assert read_class_names(tmp_path / "names.txt") == ("rose", "ox eye")
