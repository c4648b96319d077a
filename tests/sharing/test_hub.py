"""Models through a hub on this machine: uploaded, cut off, downloaded, put together."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch

import alexnet
from alexnet.checkpoints.model_file import load_model, save_model
from alexnet.errors import MissingDataError, ModelFileError, UsageError
from alexnet.io.paths import cache_folder
from alexnet.sharing.upload import upload_folder
from alexnet.sharing.weights import assemble, save_head
from alexnet.training.run_folder import RunFolder
from support.commands import Command
from support.hub_server import Hub, serve_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in ("ALEXNET_OFFLINE", "HF_TOKEN", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        if constants := sys.modules.get("huggingface_hub.constants"):  # read when it was imported
            monkeypatch.setattr(constants, "ENDPOINT", running.url)
            monkeypatch.setattr(
                constants, "HF_URL_HOSTS", frozenset({urlsplit(running.url).hostname})
            )
        yield running


def forget_downloads() -> None:
    for name in ("hub", "heads"):
        shutil.rmtree(cache_folder() / name, ignore_errors=True)


@pytest.mark.slow
def test_load_by_address_and_a_wrong_revision(trained: RunFolder, hub: Hub) -> None:
    hub.files["model.safetensors"] = trained.model.read_bytes()
    classifier = alexnet.load("hf:me/toy")
    assert classifier.class_names == alexnet.load(trained.path).class_names
    assert str(alexnet.load("hf:me/toy@main")) == str(classifier)
    with pytest.raises(MissingDataError, match="me/toy has no revision v9; name a branch"):
        alexnet.load("hf:me/toy@v9")
    hub.files["model.safetensors"] = b"\x80\x04cos\nsystem\n"
    forget_downloads()
    with pytest.raises(ModelFileError, match=r"no model of this program|incomplete or damaged"):
        alexnet.load("hf:me/toy")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the hub's client
def test_push_is_repeated_after_a_cut_and_predicts(
    own: RunFolder, hub: Hub, command: Command, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    alexnet.evaluate(own.path, reporter=None)  # decodes the images
    words = ("push", own.path, "me/toy", "--license", "mit", "--private", "--examples", "3")
    hub.cut_commits = 100
    cut = command(*words)
    assert cut.code == 2
    assert "the upload to me/toy failed" in cut.err
    assert "the same command tries again" in cut.err
    assert hub.files == {}
    hub.cut_commits = 0
    done = command(*words)
    assert done.code == 0, done.err
    assert f"uploaded  {hub.url}/me/toy/commit/" in done.out
    assert "private" in str(hub.created[-1])
    assert {"README.md", "config.json", "model.safetensors", "examples/01.png"} <= hub.files.keys()
    image = next(flowers.glob("test/*/*"))
    predicted = command("predict", "hf:me/toy", image, "--json")
    assert predicted.code == 0
    assert predicted.out == command("predict", own.path, image, "--json").out
    hub.refuse = 401
    assert "401): log in by hf auth login" in command(*words).err


@pytest.mark.slow
def test_a_training_from_the_hub_is_one_from_the_same_file(
    trained: RunFolder, hub: Hub, flowers: Path, tmp_path: Path, command: Command
) -> None:
    hub.files["model.safetensors"] = trained.model.read_bytes()
    words = ("--epochs", "1", "--device", "cpu", "--json", "--out")
    from_hub = command("train", flowers, "--from", "hf:me/toy", *words, tmp_path / "hub")
    assert from_hub.code == 0, from_hub.err
    from_file = command("train", flowers, "--from", trained.model, *words, tmp_path / "file")
    one, other = (json.loads(result.out)["test"] for result in (from_hub, from_file))
    assert one == other
    network = alexnet.load(tmp_path / "hub").network.architecture
    assert network.input == alexnet.load(trained.path).network.architecture.input


@pytest.mark.filterwarnings("ignore")  # those of the hub's client
def test_a_push_removes_what_an_earlier_one_left_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    theirs = ("examples/mine.png", "plots/mine.png", "NOTES.md", "old/model.safetensors")
    left = ("model.safetensors", "examples/01.png", "plots/filters.png")
    hub.files = dict.fromkeys((*theirs, *left, "README.md"), b"old")
    (tmp_path / "plots").mkdir()
    new = ("head.safetensors", "plots/confusion.png", "README.md")
    for name in new:
        (tmp_path / name).write_bytes(b"new")
    upload_folder(tmp_path, "me/toy")
    assert hub.files == dict.fromkeys(theirs, b"old") | dict.fromkeys(new, b"new")
    assert hub.commits == 1


@pytest.mark.filterwarnings("ignore")  # those of the hub's client
def test_a_private_push_never_goes_to_a_public_repository(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    hub.is_private = False
    with pytest.raises(UsageError, match="is there already, and public: nothing is uploaded"):
        upload_folder(tmp_path, "me/toy", private=True)
    assert hub.files == {}
    hub.is_private = True
    upload_folder(tmp_path, "me/toy", private=True)
    assert hub.files == {"README.md": b"mine"}
    upload_folder(tmp_path, "me/toy")
    private, again, plain = hub.created
    assert private["visibility"] == again["visibility"] == "private"
    assert plain.keys().isdisjoint({"private", "visibility"}), "as its owner's settings say"


@pytest.mark.filterwarnings("ignore")  # those of the hub's client
def test_a_push_makes_the_branch(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    upload_folder(tmp_path, "me/toy", revision="v2")
    assert hub.branches == ["main", "v2"]
    assert hub.commits == 1


@pytest.mark.slow
def test_a_head_is_put_together_with_its_trunk(
    trained: RunFolder, hub: Hub, tmp_path: Path
) -> None:
    weights, info, mean_image = load_model(trained.model)
    name = next(n for n in weights if n.startswith("fc") and n.endswith("weight"))
    hub.files["model.safetensors"] = trained.model.read_bytes()
    mine = {**weights, name: weights[name] + 1}
    head = tmp_path / "shared" / "head.safetensors"
    head.parent.mkdir()
    assert save_head(head, mine, info, mean_image, "hf:you/trunk") == len(weights) - 1
    assert head.stat().st_size < trained.model.stat().st_size
    found = alexnet.load(head.parent).network.state_dict()
    assert all(torch.equal(found[n].cpu(), t) for n, t in mine.items())
    changed = tmp_path / "changed.safetensors"
    save_model(changed, {n: t.clone() + 2 for n, t in weights.items()}, info, mean_image)
    hub.files["model.safetensors"] = changed.read_bytes()
    forget_downloads()
    with pytest.raises(ModelFileError, match="does not belong to the hf:you/trunk"):
        assemble(head)
