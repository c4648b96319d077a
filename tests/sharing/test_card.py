"""The model card of a shared run: metadata that the hub accepts, and text that is only text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict
from alexnet.inference import load
from alexnet.sharing.card import check_license, markdown_text
from alexnet.training.run_folder import RunFolder
from support.commands import Command


def test_texts_are_only_text() -> None:
    shown = markdown_text("<script>a|b</script> [x](y)\n# `c` \x1b[31m")
    assert "<" not in shown
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert r"a\|b" in shown
    assert r"\[x\]\(y\)" in shown


@pytest.mark.parametrize("text", ["", "MIT", "my licence", "../x"])
def test_a_licence_is_an_identifier(text: str) -> None:
    with pytest.raises(Exception, match="--license mit"):
        check_license(text)
    check_license("cc-by-nc-4.0")


def test_a_dry_run_writes_a_folder_that_is_a_model(own: RunFolder, command: Command) -> None:
    from huggingface_hub import ModelCard

    words = ("push", own.path, "me/toy", "--license", "mit", "--dry-run", "--half")
    assert "README.md" in command(*words).out
    folder = own.path / "share"
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.library_name) == ("mit", "alexnet")
    assert card.data.pipeline_tag == "image-classification"
    result = json.loads((own.path / "result.json").read_text())["test"]
    top1, top5 = card.data.eval_results
    assert top1.metric_value == pytest.approx(1 - result["top1_error"], abs=1e-6)
    assert top1.metric_args["num_images"] == result["num_images"]
    assert top5.metric_name == "top-5 accuracy"
    for part in ("## Use", "alexnet.load(", "--format onnx", "### Per class", "## Limits"):
        assert part in card.text
    assert str(own.path.parent) not in card.text + (folder / "config.json").read_text()
    from_dict(Recipe, json.loads((folder / "config.json").read_text()))
    assert not (folder / "examples").exists(), "images are private unless asked for"
    whole, half = load(own.path), load(folder)
    assert (folder / "model.safetensors").stat().st_size < 0.7 * own.model.stat().st_size
    for name, weight in whole.network.state_dict().items():
        assert half.network.state_dict()[name].dtype == weight.dtype
        assert half.network.state_dict()[name].allclose(weight, atol=1e-3)
    assert str(own.path.parent) not in str(half.info.recipe)


def test_what_cannot_be_shared_is_refused(own: RunFolder, command: Command, tmp_path: Path) -> None:
    def refusal(*words: object) -> str:
        result = command("push", own.path, *words)
        assert result.code == 2
        return result.err

    assert "a model needs a licence" in refusal("me/toy", "--dry-run")
    assert "not of the form OWNER/NAME" in refusal("toy", "--license", "mit")
    assert "$ALEXNET_OFFLINE is set; --dry-run" in refusal("me/toy", "--license", "mit")
    (tmp_path / "there").mkdir()
    there = ("me/toy", "--license", "mit", "--dry-run", "--out", tmp_path / "there")
    assert "exists already" in refusal(*there)
    trunk = ("me/toy", "--license", "mit", "--dry-run", "--head-only", "other.pth")
    assert "must be what others can have" in refusal(*trunk)
    assert "push to another" in refusal(*trunk[:-1], "hf:me/toy@v1")
    own.result.unlink()
    assert "has not finished; resume it" in refusal("me/toy", "--license", "mit", "--dry-run")
    assert not (own.path / "share").exists()
    assert not list(own.path.glob(".share*"))
