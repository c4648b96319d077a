"""The command line end to end on drawn pictures: exit codes, stdout, stderr and files."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import alexnet
from alexnet.cli import VERBS, main
from alexnet.recipe import Recipe
from alexnet.runs import RunFolder, read_metrics, read_recipe
from alexnet.values import to_json
from alexnet.zoo import ZOO
from conftest import Alexnet

TINY_FLAGS = (
    "--arch", "alexnet_bn", "--width", "0.05", "--input-size", "67", "--store-pixels", "72",
    "--crop-pixels", "0", "--epochs", "2", "--batch-size", "12",
)  # fmt: skip


class Told(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str


Command = Callable[..., Told]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs one command in this process, as a terminal of 200 columns would."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> Told:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Told(code, captured.out, captured.err)

    return run


@pytest.fixture
def own(trained: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the trained run, to write into."""
    return RunFolder(Path(shutil.copytree(trained.path, tmp_path / "own")))


def names_in(folder: Path) -> set[str]:
    """What is in a folder."""
    return {path.name for path in folder.iterdir()}


# help and version


def test_help_names_every_verb(command: Command) -> None:
    for words in ((), ("--help",), ("-h",), ("help",)):
        told = command(*words)
        assert told.code == 0
        assert told.err == ""
        for verb in VERBS:
            assert f"\n  {verb} " in told.out


def test_version(command: Command) -> None:
    assert command("--version") == Told(0, f"alexnet {alexnet.__version__}\n", "")


ACTIONS = [("data", action) for action in ("prepare", "check", "split", "show")]


@pytest.mark.parametrize("words", [*[(verb,) for verb in VERBS], *ACTIONS], ids=" ".join)
def test_every_help_goes_to_stdout(command: Command, words: tuple[str, ...]) -> None:
    told = command(*words, "--help")
    assert told.code == 0
    assert told.err == ""
    assert f"alexnet {' '.join(words)}" in told.out
    assert len(told.out.splitlines()) > 5


def test_help_of_a_preset_shows_its_values(command: Command) -> None:
    told = command("train", "mnist_lenet", "--help")
    assert "lenet5" in told.out
    assert "--warmup-steps" in told.out


HELP_SCRIPT = """
import contextlib, io, sys
from alexnet.cli import main
for words in (
    ["--help"], ["--version"], ["summary"], ["summary", "alexnet"], ["summary", "--json"],
    ["summary", "--help"], ["data", "--help"], ["data", "check", "--help"],
    ["data", "prepare", "--help"], ["data", "split", "--help"], ["data", "show", "--help"],
    ["train", "--help"], ["evaluate", "--help"], ["predict", "--help"], ["doctor", "--help"],
):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main(words)
        except SystemExit as stop:
            assert not stop.code, words
    assert out.getvalue(), words
    for module in ("torch", "matplotlib"):
        if module in sys.modules:
            print(" ".join(words), "imports", module)
            sys.modules.pop(module)
"""


def test_help_and_summary_import_neither_torch_nor_matplotlib() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HELP_SCRIPT], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


# summary


@pytest.mark.parametrize("name", ZOO)
def test_summary_json_is_the_arithmetic(command: Command, name: str) -> None:
    told = command("summary", name, "--json")
    net, facts = alexnet.architecture(name), json.loads(told.out)
    rows = net.rows()
    assert list(facts) == ["name", "input", "layers", "totals"]
    assert (facts["name"], facts["input"]) == (name, list(net.input))
    assert [tuple(layer) for layer in facts["layers"]] == [
        ("name", "kind", "output", "parameters", "macs", "neurons")
    ] * len(rows)
    assert [layer["name"] for layer in facts["layers"]] == [row.layer.name for row in rows]
    for key in ("parameters", "macs", "neurons"):
        assert facts["totals"][key] == sum(layer[key] for layer in facts["layers"])
        assert facts["totals"][key] == sum(getattr(row, key) for row in rows)
    text = command("summary", name).out
    assert f"{facts['totals']['parameters']:,}" in text
    assert f"{facts['totals']['parameters_without_fc_bias']:,}" in text


def test_summary_prints_the_papers_numbers(command: Command) -> None:
    totals = json.loads(command("summary", "alexnet", "--json").out)["totals"]
    assert totals == {
        "parameters": 60_965_224,
        "parameters_without_fc_bias": 60_965_224 - 4096 - 4096 - 1000,
        "macs": 724_406_816,
        "neurons": 659_272,
    }


def test_summary_lists_the_zoo(command: Command) -> None:
    told = command("summary")
    nets = json.loads(command("summary", "--json").out)
    assert len(nets) == 10
    for net in nets:
        assert net["name"] in told.out
        assert f"{net['totals']['parameters']:,}" in told.out


def test_summary_of_a_variant(command: Command) -> None:
    words = ("--classes", "17", "--groups", "1", "--norm", "none", "--input-size", "128", "--json")
    facts = json.loads(command("summary", "alexnet", *words).out)
    table = alexnet.variant(
        alexnet.architecture("alexnet"), classes=17, groups=1, norm="none", input_size=128
    )
    assert facts["input"] == [3, 128, 128]
    assert facts["totals"]["parameters"] == sum(row.parameters for row in table.rows())


# train


def test_train_prints_the_result_alone_and_says_the_rest_on_stderr(
    command: Command, flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(flowers.parent)
    told = command(
        "train", "--data", "flowers", *TINY_FLAGS, "--out", tmp_path / "run", "--seed", 3
    )
    run = RunFolder(tmp_path / "run")
    assert told.code == 0
    assert "trained 2 epochs" in told.out
    assert "test error" in told.out
    assert str(run.model) in told.out
    for progress in ("prepared 60 of 60", "epoch   1", "epoch   2"):
        assert progress in told.err
        assert progress not in told.out
    recipe = read_recipe(run.config)
    assert (recipe.seed, recipe.epochs, recipe.net.width) == (3, 2, 0.05)
    assert recipe.data == str(flowers), "the config must work from any folder"
    assert len(read_metrics(run)) == 2


@pytest.mark.usefixtures("no_plots")
def test_train_json_is_the_result_file(command: Command, flowers: Path, tmp_path: Path) -> None:
    told = command("train", "--data", flowers, *TINY_FLAGS, "--out", tmp_path / "run", "--json")
    facts = json.loads(told.out)
    assert facts == json.loads((tmp_path / "run" / "result.json").read_text())
    assert {"epochs", "training_seconds", "waiting_share", "refused", "test"} <= set(facts)
    assert facts["test"]["pictures"] == 12
    assert sum(map(sum, facts["test"]["confusion"])) == 12


@pytest.mark.usefixtures("no_plots")
def test_train_numbers_its_run_folders(
    command: Command, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.json").write_text(to_json(tiny))
    for number in (1, 2):
        assert command("train", "--config", "mine.json", "--epochs", 1).code == 0
        assert Path(f"runs/tiny-00{number}/model.safetensors").is_file()


@pytest.mark.usefixtures("no_plots")
def test_a_flag_wins_over_the_config_and_the_config_over_the_preset(
    command: Command, flowers: Path, tmp_path: Path
) -> None:
    part = {"epochs": 9, "seed": 5, "data": str(flowers), "net": {"width": 0.05, "input_size": 67}}
    (tmp_path / "part.json").write_text(json.dumps(part))
    told = command(
        "train", "flowers17", "--config", tmp_path / "part.json", "--epochs", 1,
        "--store-pixels", 72, "--crop-pixels", 0, "--out", tmp_path / "run",
    )  # fmt: skip
    assert told.code == 0, told.err
    recipe = read_recipe(tmp_path / "run" / "config.json")
    preset = alexnet.preset("flowers17")
    assert (recipe.epochs, recipe.seed) == (1, 5)
    assert (recipe.batch_size, recipe.schedule) == (preset.batch_size, preset.schedule)


@pytest.mark.usefixtures("no_plots")
def test_a_config_gives_the_same_bytes(
    command: Command, trained: RunFolder, tmp_path: Path
) -> None:
    told = command("train", "--config", trained.config, "--out", tmp_path / "again")
    assert told.code == 0
    assert "trained 3 epochs" in told.out
    again = RunFolder(tmp_path / "again")
    assert again.model.read_bytes() == trained.model.read_bytes()
    assert again.config.read_bytes() == trained.config.read_bytes()


# evaluate


EVALUATION_KEYS = {
    "data", "split", "pictures", "views", "top1_error", "top5_error", "accuracy", "loss", "classes",
    "per_class", "confusion", "most_confused", "worst",
}  # fmt: skip


def test_evaluate(command: Command, own: RunFolder) -> None:
    told = command("evaluate", own.path, "--json")
    facts = json.loads(told.out)
    assert told.code == 0
    assert set(facts) == EVALUATION_KEYS
    assert (facts["split"], facts["pictures"], facts["views"]) == ("test", 12, 1)
    assert facts["accuracy"] == pytest.approx(1 - facts["top1_error"])
    wrong = 12 - sum(row[i] for i, row in enumerate(facts["confusion"]))
    assert facts["top1_error"] == pytest.approx(wrong / 12, abs=1e-12)
    assert len(facts["worst"]) == wrong
    saved = json.loads((own.path / "evaluation" / "evaluation.json").read_text())
    assert {key: facts[key] for key in saved} == saved
    assert names_in(own.path / "evaluation") == {"evaluation.json", "confusion.png", "worst.png"}
    assert str(own.path / "evaluation") in told.err
    assert facts["confusion"] == json.loads(own.result.read_text())["test"]["confusion"]


@pytest.mark.usefixtures("no_plots")
def test_evaluate_ten_views_as_text(command: Command, own: RunFolder) -> None:
    one, ten = (
        json.loads(command("evaluate", own.path, "--views", views, "--json").out)
        for views in (1, 10)
    )
    assert ten["views"] == 10
    assert ten["loss"] != one["loss"]
    text = command("evaluate", own.path, "--views", 10)
    assert "10 views" in text.out
    assert f"top-1 error {100 * ten['top1_error']:.2f} %" in text.out
    assert f"loss {ten['loss']:.4f}" in text.out
    assert all(name in text.out for name in ten["classes"])


@pytest.mark.usefixtures("no_plots")
def test_evaluate_other_splits_and_other_folders(
    command: Command, own: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    def pictures(*words: object) -> tuple[str, int]:
        told = command("evaluate", own.path, "--json", "--out", tmp_path / "e", *words)
        facts = json.loads(told.out)
        return facts["split"], facts["pictures"]

    assert pictures("--split", "train") == ("train", 36)
    assert pictures("--split", "val") == ("val", 12)
    assert pictures("--split", "all") == ("all", 60)
    shutil.copytree(flowers / "val", tmp_path / "others")
    assert pictures("--data", tmp_path / "others") == ("all", 12)


def test_evaluate_tells_the_figures_before_it_fails_to_write(
    command: Command, trained: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    told = command("evaluate", trained.path, "--out", tmp_path / "file")
    assert told.code == 2
    assert "top-1 error" in told.out
    assert len(told.err.splitlines()[-1:]) == 1
    assert str(tmp_path / "file") in told.err
    assert "Traceback" not in told.err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.usefixtures("no_plots")
def test_evaluate_matches_classes_by_name(
    command: Command, own: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    """Two of twelve classes, whose own numbers would be 0 and 1."""
    for name in ("sunflower", "tulip"):
        shutil.copytree(flowers / "test" / name, tmp_path / "two" / name)
    facts = json.loads(command("evaluate", own.path, "--data", tmp_path / "two", "--json").out)
    assert facts["pictures"] == 2
    assert [sum(row) for row in facts["confusion"]] == [0] * 10 + [1, 1]
    assert len(facts["classes"]) == 12


# predict


def test_predict_files_folders_and_patterns(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    rose, test = flowers / "test" / "rose" / "0000.jpg", flowers / "test"
    told = command("predict", trained.path, rose, test / "lily", f"{test}/t*/*.jpg", "--top", 2)
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [
        str(rose), str(test / "lily" / "0000.jpg"), str(test / "tulip" / "0000.jpg"),
    ]  # fmt: skip
    assert all(line.count("%") == 2 for line in lines[2:])


def test_predict_json_and_csv_say_the_same(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    told = json.loads(command("predict", trained.path, flowers / "test", "--top", 3, "--json").out)
    rows = list(csv.DictReader(io.StringIO(
        command("predict", trained.path, flowers / "test", "--top", 3, "--csv").out
    )))  # fmt: skip
    assert len(told) == 12
    assert list(rows[0]) == ["picture", "rank", "label", "probability"]
    assert [(r["picture"], int(r["rank"]), r["label"]) for r in rows] == [
        (p["picture"], rank, guess["label"])
        for p in told
        for rank, guess in enumerate(p["guesses"], 1)
    ]
    for prediction in told:
        assert set(prediction) == {"picture", "guesses", "problem"}
        shares = [guess["probability"] for guess in prediction["guesses"]]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1
    shares = [guess["probability"] for p in told for guess in p["guesses"]]
    for row, share in zip(rows, shares, strict=True):
        assert float(row["probability"]) == pytest.approx(share, abs=1e-6)


def test_predict_names_the_picture_it_cannot_read_and_goes_on(
    command: Command, trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    good, bad = flowers / "test" / "rose" / "0000.jpg", tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    told = command("predict", trained.path, bad, good, "--json")
    assert told.code == 1
    predictions = json.loads(told.out)
    assert [bool(p["guesses"]) for p in predictions] == [False, True]
    assert predictions[0]["problem"]
    assert len(told.err.splitlines()) == 1
    assert str(bad) in told.err


def test_predict_agrees_with_the_library(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    path = flowers / "test" / "daisy" / "0000.jpg"
    told = json.loads(command("predict", trained.path, path, "--views", 10, "--json").out)
    (expected,) = alexnet.load(trained.path).predict([path], views=10)
    assert [g["label"] for g in told[0]["guesses"]] == [g.label for g in expected.guesses]
    assert told[0]["guesses"][0]["probability"] == expected.guesses[0].probability


# data


def test_data_prepare(command: Command, flowers: Path, cache: Path) -> None:
    told = command("data", "prepare", flowers, "--store-pixels", 32)
    assert told.code == 0
    assert "60 pictures of 12 classes (12 test, 36 train, 12 val)" in told.out
    assert str(cache / "stores") in told.out
    assert "prepared 60 of 60" in told.err
    again = command("data", "prepare", flowers, "--store-pixels", 32, "--json")
    facts = json.loads(again.out)
    assert again.err == ""
    assert {"store", "pictures", "classes", "splits", "refused", "ignored"} <= set(facts)
    assert (Path(facts["store"]) / "images.npy").is_file()
    assert facts["splits"] == {"train": 36, "val": 12, "test": 12}


def test_data_check_exits_1_for_a_fault(command: Command, flowers: Path, tmp_path: Path) -> None:
    clean = command("data", "check", flowers)
    assert clean.code == 0
    assert "60 pictures, 12 classes" in clean.out
    broken = Path(shutil.copytree(flowers, tmp_path / "broken"))
    (broken / "train" / "rose" / "0001.jpg").write_bytes(b"?")
    shutil.copy(broken / "train" / "lily" / "0000.jpg", broken / "test" / "lily" / "twin.jpg")
    (broken / "train" / ".hidden").touch()
    told = command("data", "check", broken, "--json")
    facts = json.loads(told.out)
    assert told.code == 1
    assert facts["ignored"] == {"hidden": 1}
    assert {(f["kind"], f["is_fault"]) for f in facts["findings"]} >= {
        ("unreadable", True), ("duplicate_across_splits", True),
    }  # fmt: skip
    text = command("data", "check", broken)
    assert text.code == 1
    assert "train/rose/0001.jpg" in text.out


def test_data_split_writes_what_train_reads(
    command: Command, flowers: Path, tmp_path: Path
) -> None:
    words = ("--test-share", 0.34, "--val-share", 0.5, "--seed", 4)
    folder = command("data", "split", flowers / "train", tmp_path / "parts", *words)
    table = command("data", "split", flowers / "train", tmp_path / "parts.csv", *words)
    assert (folder.code, table.code) == (0, 0)
    assert "12 train, 12 val, 12 test" in folder.out
    for data in ("parts", "parts.csv"):
        told = command("data", "prepare", tmp_path / data, "--store-pixels", 8, "--json")
        facts = json.loads(told.out)
        assert facts["splits"] == {"train": 12, "val": 12, "test": 12}


def test_data_show_draws_a_sheet(command: Command, flowers: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    told = command("data", "show", flowers, "--classes", 2, "--views", 2, "--out", sheet)
    assert (told.code, told.out) == (0, f"{sheet}\n")
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50


def test_doctor(command: Command, cache: Path) -> None:
    facts = json.loads(command("doctor", "--json").out)
    assert facts["cache"] == str(cache)
    for key in ("torch", "python", "numpy", "pillow", "device", "has_bf16", "cores", "threads"):
        assert key in facts
    assert "toyflowers" in facts["data_sets"]
    assert str(cache) in command("doctor").out


def test_a_reader_that_leaves_early_is_no_error(alexnet_process: Alexnet) -> None:
    process = alexnet_process("summary", "alexnet")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 0


# bad input: one sentence, exit 2, nothing created


@pytest.fixture
def pictures(flowers: Path, tmp_path: Path) -> Path:
    """A working folder with what goes wrong in it."""
    folder = tmp_path / "work"
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
    (folder / "key.json").write_text('{"net": {"widht": 1}}')
    (folder / "type.json").write_text('{"epochs": "three"}')
    (folder / "range.json").write_text('{"epochs": 0}')
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trian", "did you mean train"),
        ("train quikstart", "did you mean quickstart"),
        ("train --epoch 3", "did you mean --epochs"),
        ("train --epochs three", "--epochs"),
        ("train --epochs 0", "--epochs 0 must be at least 1"),
        ("train --rate -1", "--rate"),
        ("train --label-smoothing 1", "--label-smoothing 1.0 must be"),
        ("train --norm bach", "'batch'"),
        ("train --arch alexnt", "did you mean alexnet"),
        ("train --data toyflower", "did you mean toyflowers"),
        ("train --data missing/", "'missing/'"),
        ("train --data text.txt", "text.txt"),
        ("train --data one\\ class", "two class"),
        ("train --data empty\\ class", "rose"),
        ("train --data unreadable", "none of the 2 pictures"),
        ("train --data animals --out taken", "taken exists"),
        ("train --data animals --out text.txt/run", "text.txt/run"),
        ("train --data animals --input-size 20", "smallest input"),
        ("train --data animals --device gpu7", "gpu7"),
        ("train --data animals --init-from nothing.pth", "nothing.pth"),
        ("train --data animals --init-from text.txt", "text.txt"),
        ("train --data ''", "data"),
        ("train --config missing.json", "missing.json"),
        ("train --config cut.json", "cut.json"),
        ("train --config key.json", "did you mean 'width'"),
        ("train --config type.json", "epochs"),
        ("train --config range.json", "epochs 0 must be at least 1"),
        ("train --resume animals", "animals is not a run folder"),
        ("train --resume missing", "missing"),
        ("train --resume MODEL", "has ended already"),
        ("train --resume MODEL --epochs 3", "other words"),
        ("train --json --resume=MODEL --epochs=3", "other words"),
        ("train flowers17 --resume MODEL", "other words"),
        ("evaluate", "model"),
        ("evaluate missing", "missing"),
        ("evaluate text.txt", "text.txt"),
        ("evaluate MODEL --views 3", "'10'"),
        ("evaluate MODEL --split tset", "'test'"),
        ("evaluate MODEL --data animals", "'cat'"),
        ("evaluate MODEL --data missing/", "'missing/'"),
        ("predict MODEL", "picture"),
        ("predict MODEL missing.jpg", "missing.jpg"),
        ("predict MODEL 'taken/*.jpg'", "taken/*.jpg"),
        ("predict MODEL taken", "taken"),
        ("predict MODEL ''", "picture"),
        ("predict MODEL animals --top 0", "--top 0"),
        ("predict MODEL animals --views 3", "'10'"),
        ("predict text.txt animals", "text.txt"),
        ("summary alexnt", "did you mean alexnet"),
        ("summary alexnet --input-size 20", "67x67"),
        ("summary alexnet --groups 7", "7"),
        ("summary alexnet --width nan", "width"),
        ("data chek animals", "did you mean check"),
        ("data check", "data"),
        ("data check missing/", "'missing/'"),
        ("data prepare animals --store-pixels 0", "--store-pixels 0"),
        ("data prepare unreadable", "none of the 2"),
        ("data split animals taken", "taken exists"),
        ("data split animals text.txt/x.csv", "text.txt"),
        ("data show animals --preset nope", "nope"),
        ("data show animals --classes 0", "--classes 0"),
        ("data show animals --out text.txt/x.png", "text.txt"),
        ("doctor --device gpu7", "gpu7"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_leaves_nothing(
    command: Command,
    trained: RunFolder,
    pictures: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    said: str,
) -> None:
    monkeypatch.chdir(pictures)
    before = sorted(pictures.rglob("*"))
    arguments = [str(trained.path) if w == "MODEL" else w for w in shlex.split(words)]
    arguments = [w.replace("=MODEL", f"={trained.path}") for w in arguments]
    told = command(*arguments)
    lines = [line for line in told.err.splitlines() if not line.startswith("prepared ")]
    assert told.code == 2
    assert told.out == ""
    assert len(lines) == 1, told.err
    assert lines[0].startswith("alexnet: ")
    assert said in lines[0]
    assert sorted(pictures.rglob("*")) == before
    assert not list(cache.rglob("*.partial"))


def test_a_damaged_model_is_named(command: Command, own: RunFolder, flowers: Path) -> None:
    whole = own.model.read_bytes()
    renamed = whole.replace(b"conv1.weight", b"conv9.weight", 1)
    for damaged in (b"", whole[:100], whole[:-10], b"\xff" * 1000, renamed):
        own.model.write_bytes(damaged)
        told = command("predict", own.path, flowers / "test" / "rose")
        assert (told.code, told.out) == (2, "")
        assert len(told.err.splitlines()) == 1
        assert "model.safetensors" in told.err


def test_a_foreign_model_is_refused(command: Command, flowers: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"conv1.weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    told = command("predict", tmp_path / "foreign.safetensors", flowers / "test" / "rose")
    assert told.code == 2
    assert "another program" in told.err


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="needs /proc")
def test_a_cache_that_cannot_be_written_is_named(
    command: Command, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", "/proc/nothing")
    told = command("data", "prepare", flowers)
    assert told.code == 2
    assert len(told.err.splitlines()) == 1
    assert "ALEXNET_CACHE" in told.err


def test_an_interrupt_ends_with_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("alexnet.cli.summary.run", interrupted)
    assert command("summary") == Told(130, "", "alexnet: interrupted\n")
