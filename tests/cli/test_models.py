"""Models that commands are given: an address on a hub stays what results are named after."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alexnet.cli.compare import CompareFlags, named_paths
from alexnet.cli.compare import _default_folder as comparison_folder
from alexnet.cli.export import ExportFlags, _out_path
from alexnet.cli.models import results_folder, with_place
from alexnet.training.run_folder import RunFolder
from support.commands import Command

ADDRESS = "hf:me/net-1.5@v2"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is one of a run, and has data of the repository's name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").touch()
    (tmp_path / "net-1.5").mkdir()
    return tmp_path


def test_results_of_an_address_are_in_the_current_folder(here: Path) -> None:
    assert results_folder(ADDRESS, "evaluation") == (Path("net-1.5-evaluation"), "net-1.5")
    export = ExportFlags(model=ADDRESS, format="onnx")
    assert _out_path(export, (".onnx",)) == Path("net-1.5.onnx")
    compare = with_place(CompareFlags(models=(ADDRESS, "hf:me/b")), "models")
    paths = named_paths(compare.models)
    assert list(paths) == ["net-1.5", "b"]
    assert comparison_folder(paths) == Path("compare-net-1.5-b")


def test_results_of_a_head_are_in_its_folder(here: Path) -> None:
    head = here / "shared" / "head.safetensors"
    head.parent.mkdir()
    head.touch()
    for place in (head, head.parent):
        folder, _ = results_folder(str(place), "explain")
        assert folder.is_relative_to(head.parent)
        assert (
            _out_path(ExportFlags(model=str(place), format="onnx"), (".onnx",)).parent
            == head.parent
        )


@pytest.mark.slow
def test_nothing_is_written_into_the_cache(
    command: Command, here: Path, trained: RunFolder, flowers: Path, cache: Path
) -> None:
    model = cache / "hub" / "me--photos" / "main" / "model.safetensors"
    model.parent.mkdir(parents=True)
    shutil.copyfile(trained.model, model)
    result = command("evaluate", "hf:me/photos", "--data", flowers, "--split", "val")
    assert result.code == 0, result.err
    assert (here / "photos-evaluation-val" / "evaluation.json").exists()
    assert [path.name for path in model.parent.iterdir()] == [model.name]
    assert "alexnet predict hf:me/photos IMAGE" in result.err
    assert str(cache) not in result.out + result.err
