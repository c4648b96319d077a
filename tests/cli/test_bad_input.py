"""Bad input: one sentence that names it, exit 2, and nothing is created."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from alexnet import cli
from alexnet.cli import main
from alexnet.training.run_folder import RunFolder
from support.commands import Command, CommandResult
from support.slow import every_nth_fast

PROGRESS = re.compile(r"prepared |images: |\d+ class(es)?: |\d+ classes have fewer than ")
"""How the lines begin that describe the data before an error."""


@pytest.fixture(scope="module")
def work_folder(flowers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with bad inputs of every kind; no test may change it."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(flowers / "val", folder / "empty class")
    (folder / "empty class" / "rose" / "0000.jpg").unlink()
    shutil.copytree(flowers / "val" / "rose", folder / "one class" / "rose")
    for name in ("cat", "dog"):
        shutil.copytree(flowers / "val" / "rose", folder / "animals" / name)
    for path in (folder / "animals").rglob("*.jpg"):
        shutil.copytree(path.parent, folder / "unreadable" / path.parent.name)
    for path in (folder / "unreadable").rglob("*.jpg"):
        path.write_bytes(b"nothing")
    (folder / "taken").mkdir()
    (folder / "text.txt").write_text("text")
    (folder / "cut.json").write_text('{"epochs": 3')
    (folder / "key.json").write_text('{"model": {"widht": 1}}')
    (folder / "type.json").write_text('{"epochs": "three"}')
    (folder / "range.json").write_text('{"epochs": 0}')
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    every_nth_fast([
        ("trian", "did you mean train"),
        ("train quikstart", "did you mean quickstart"),
        ("train --epoch 3", "did you mean --epochs"),
        ("train --epochs three", "--epochs: 'three' is not a whole number"),
        ("train --epochs 0", "--epochs 0 must be at least 1"),
        ("train --lr -1", "--lr -1 must be above 0"),
        ("train --lr 0", "--lr 0 must be above 0"),
        ("train --label-smoothing 1", "--label-smoothing 1.0 must be from 0 to below 1"),
        ("train --norm bach", "did you mean batch"),
        ("train --arch alexnt", "did you mean alexnet"),
        ("train --data toyflower", "did you mean toyflowers"),
        ("train --data missing/", "'missing/'"),
        ("train --data text.txt", "text.txt"),
        ("train --data one\\ class", "training needs at least two"),
        ("train --data empty\\ class", "rose"),
        ("train --data unreadable", "none of the 2 images"),
        ("train --data animals --out taken", "taken exists; choose another --out"),
        ("train --data animals --out MODEL", "or resume it with --resume"),
        ("train --resume taken", "taken is not a run folder"),
        ("train --data animals --out text.txt/run", "text.txt/run"),
        ("train --data animals --input-size 20", "smallest input"),
        ("train --data animals --device gpu7", "gpu7"),
        ("train --data animals --from nothing.pth", "nothing.pth"),
        ("train --epochs 3 animals", "'animals'; the one data set or preset comes first: alexnet"),
        ("train animals one\\ class", "one data set or preset, not animals and one class;"),
        ("tune animals quickstart", "one data set or preset, not animals and quickstart;"),
        ("pretrain rbm quickstart mnist", "one data set or preset, not quickstart and mnist;"),
        ("train animals --epochs 3 taken", "one data set or preset, not animals and taken;"),
        ("predict", "needs MODEL, a model file or a run folder: alexnet predict MODEL IMAGE ...;"),
        ("train --resume", "--resume needs a value: --resume RUN;"),
        ("train animals --rand-augment", "--rand-augment needs a value: --rand-augment N M;"),
        ("completion xsh", "unknown shell 'xsh'; did you mean zsh?"),
        ("train --data animals --from text.txt", "text.txt"),
        ("train --data ''", "data"),
        ("train --config missing.json", "missing.json"),
        ("train --config cut.json", "cut.json"),
        ("train --config key.json", "did you mean 'width'"),
        ("train --config type.json", "epochs"),
        ("train --config range.json", "epochs 0 must be at least 1"),
        ("train --resume animals", "animals is not a run folder"),
        ("train --resume missing", "missing"),
        ("train --resume MODEL", "has finished already"),
        ("train --resume MODEL --epochs 1", "has finished"),
        ("train --json --resume=MODEL --lr=3", "--resume cannot change"),
        ("train flowers17 --resume MODEL", "--resume cannot change"),
        ("pretrain rmb", "did you mean rbm"),
        ("pretrain rbm quikstart", "did you mean quickstart"),
        ("pretrain rbm --up-to conv9", "unknown conv layer of alexnet_bn 'conv9'"),
        ("pretrain rbm --noise 0.1", "--noise"),
        ("pretrain rbm --sparsity-target 0", "--sparsity-target 0.0 must be between 0 and 1"),
        ("pretrain rbm --cd-steps 0", "--cd-steps 0 must be at least 1"),
        ("pretrain autoencoder --masking-fraction 1", "--masking-fraction 1.0 must be from 0"),
        ("pretrain autoencoder --cutmix 0.5", "--cutmix 0.5 mixes labels"),
        ("pretrain autoencoder --input-size 20", "smallest input"),
        ("pretrain autoencoder --resize-size 60", "set --resize-size to at least 140"),
        ("pretrain autoencoder --data missing/", "'missing/'"),
        ("pretrain autoencoder --data taken", "has no images"),
        ("pretrain autoencoder --data unreadable", "none of the 2 images"),
        ("pretrain autoencoder --data animals --out taken", "taken exists"),
        ("pretrain rbm --config missing.json", "missing.json"),
        ("pretrain rbm --config cut.json", "cut.json is not JSON"),
        ("pretrain rbm --config range.json", "not the recipe of a pretraining: its kind is None"),
        ("pretrain rbm --resume missing", "missing"),
        ("pretrain rbm --resume MODEL", "is not the recipe of a pretraining"),
        ("pretrain rbm --resume MODEL --epochs 3", "cannot change '--epochs'"),
        ("evaluate", "model"),
        ("evaluate missing", "missing"),
        ("evaluate text.txt", "text.txt"),
        ("evaluate MODEL --crops 3", "known: 1, 10"),
        ("evaluate MODEL --split tset", "did you mean test"),
        ("evaluate MODEL --data animals", "'cat'"),
        ("evaluate MODEL --data missing/", "'missing/'"),
        ("predict MODEL", "at least one image"),
        ("predict MODEL missing.jpg", "missing.jpg"),
        ("predict MODEL 'taken/*.jpg'", "taken/*.jpg"),
        ("predict MODEL taken", "taken"),
        ("predict MODEL ''", "at least one image"),
        ("predict MODEL animals --top 0", "--top 0"),
        ("predict MODEL animals --crops 3", "known: 1, 10"),
        ("predict text.txt animals", "text.txt"),
        ("summary alexnt", "did you mean alexnet"),
        ("summary alexnet --input-size 20", "67x67"),
        ("summary alexnet --groups 7", "7"),
        ("summary alexnet --width nan", "width"),
        ("data chek animals", "did you mean check"),
        ("data check", "data"),
        ("data check missing/", "'missing/'"),
        ("data prepare animals --resize-size 0", "--resize-size 0"),
        ("data prepare unreadable", "none of the 2"),
        ("data split animals taken", "taken exists"),
        ("data split animals text.txt/x.csv", "text.txt"),
        ("data show animals --preset nope", "nope"),
        ("data show animals --num-classes 0", "--num-classes 0"),
        ("data show animals --out text.txt/x.png", "text.txt"),
        ("doctor --device gpu7", "gpu7"),
    ], n=2),
)  # fmt: skip
def test_bad_input_is_one_sentence_and_leaves_nothing(
    command: Command,
    trained: RunFolder,
    work_folder: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    message: str,
) -> None:
    monkeypatch.chdir(work_folder)
    before = sorted(work_folder.rglob("*"))
    arguments = [str(trained.path) if w == "MODEL" else w for w in shlex.split(words)]
    arguments = [w.replace("=MODEL", f"={trained.path}") for w in arguments]
    result = command(*arguments)
    lines = [line for line in result.err.splitlines() if not PROGRESS.match(line)]
    assert result.code == 2
    assert result.out == ""
    assert [line.startswith("alexnet: ") for line in lines].index(True) == len(lines) - 1
    assert message in lines[-1]
    assert sorted(work_folder.rglob("*")) == before
    assert not list(cache.rglob("*.partial"))


def test_a_damaged_model_is_named(command: Command, own: RunFolder, flowers: Path) -> None:
    whole = own.model.read_bytes()
    renamed = whole.replace(b"conv1.weight", b"conv9.weight", 1)
    for damaged in (b"", whole[:100], whole[:-10], b"\xff" * 1000, renamed):
        own.model.write_bytes(damaged)
        result = command("predict", own.path, flowers / "test" / "rose")
        assert (result.code, result.out) == (2, "")
        assert len(result.err.splitlines()) == 1
        assert "model.safetensors" in result.err


def test_a_foreign_model_is_rejected(command: Command, flowers: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"conv1.weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    result = command("predict", tmp_path / "foreign.safetensors", flowers / "test" / "rose")
    assert result.code == 2
    assert "another program" in result.err


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="needs /proc")
def test_a_cache_that_cannot_be_written_is_named(
    command: Command, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", "/proc/nothing")
    result = command("data", "prepare", flowers)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert "ALEXNET_CACHE" in result.err


def test_a_long_path_in_an_error_of_the_system_is_shortened(command: Command) -> None:
    found = command("runs", "x" * 6000)
    assert found.code == 2
    assert found.err.endswith(f"...{'x' * 20}: File name too long\n"), found.err[-200:]
    assert len(found.err) < 300


def test_an_interrupt_ends_with_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("alexnet.cli.summary.run", interrupted)
    assert command("summary") == CommandResult(130, "", "alexnet: interrupted\n")


def test_a_place_that_takes_no_file_is_told_with_the_flag_for_another(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unread = tmp_path / "unreadable.jpg"
    unread.touch()
    monkeypatch.setattr("os.access", lambda path, mode: path != str(unread))

    def told(verb: str, path: Path, *words: str) -> str:
        def fail(arguments: object) -> int:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(f"alexnet.cli.{verb}.run", fail)
        result = command(verb, "runs/a", *words)
        assert result.code == 2
        return result.err

    page = tmp_path / "report.html"
    hint = "; --out names another place to write to\n"
    for verb in ("report", "explain", "evaluate"):
        assert told(verb, page) == f"alexnet: {page}: Permission denied{hint}"
    assert "--out" not in told("report", page, "--out", "b.html"), "it was given"
    assert "--out" not in told("explain", unread), "it is read"
    assert "--out" not in told("predict", page), "it has no such flag"


def test_more_memory_than_any_machine_has(command: Command) -> None:
    told = command("benchmark", "infer", "lenet5", "--batch-size", 10**12)
    assert (told.code, told.out) == (2, "")
    assert told.err.endswith("alexnet: out of memory; a smaller --batch-size needs less\n")


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (
            ["train"],
            torch.OutOfMemoryError("CUDA out of memory"),
            "or parts of the batch with --acc",
        ),
        (["train", "--resume", "run"], MemoryError(), "alexnet: out of memory\n"),
        (
            ["train", "--resume", "run"],
            torch.OutOfMemoryError("CUDA out of memory"),
            "alexnet: out of memory; ALEXNET_PRELOAD=0 keeps the training images out of a GPU's",
        ),
        (["evaluate"], MemoryError(), "alexnet: out of memory\n"),
    ],
)
def test_out_of_memory_is_one_sentence(
    words: list[str],
    error: Exception,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert main(words) == 2
    assert told in capsys.readouterr().err
