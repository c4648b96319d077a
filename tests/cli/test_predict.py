"""`predict` end to end: files, folders and patterns; text, JSON and CSV."""

from __future__ import annotations

import base64
import csv
import gc
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest

import alexnet
from alexnet.cli import main
from alexnet.cli.predict import _shared_batches
from alexnet.cli.predict_rows import text_widths
from alexnet.config.serialization import to_dict
from alexnet.inference import decoding
from alexnet.inference.answering import load_answering
from alexnet.inference.classifier import Classifier
from alexnet.inference.inputs import Input
from alexnet.inference.predictions import Prediction
from alexnet.training.run_folder import RunFolder
from support.commands import Command
from support.noise_stores import noise
from support.processes import Processes


def test_predict_files_folders_and_patterns(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    rose, test = flowers / "test" / "rose" / "0000.jpg", flowers / "test"
    result = command("predict", trained.path, rose, test / "lily", f"{test}/t*/*.jpg", "--top", 2)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [
        str(rose), str(test / "lily" / "0000.jpg"), str(test / "tulip" / "0000.jpg"),
    ]  # fmt: skip
    assert all(line.count("%") == 2 for line in lines[2:])


def test_predict_json_and_csv_agree(command: Command, trained: RunFolder, flowers: Path) -> None:
    result = json.loads(
        command("predict", trained.path, flowers / "test", "--top", 3, "--json").out
    )["predictions"]
    rows = list(csv.DictReader(io.StringIO(
        command("predict", trained.path, flowers / "test", "--top", 3, "--csv").out
    )))  # fmt: skip
    assert len(result) == 12
    assert list(rows[0]) == ["image", "rank", "label", "probability"]
    assert [(r["image"], int(r["rank"]), r["label"]) for r in rows] == [
        (p["image"], rank, c["label"]) for p in result for rank, c in enumerate(p["top_classes"], 1)
    ]
    for prediction in result:
        assert set(prediction) == {"image", "label", "is_unsure", "top_classes", "error"}
        assert prediction["label"] == prediction["top_classes"][0]["label"]
        probabilities = [c["probability"] for c in prediction["top_classes"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0 < sum(probabilities) <= 1
    probabilities = [c["probability"] for p in result for c in p["top_classes"]]
    for row, probability in zip(rows, probabilities, strict=True):
        assert float(row["probability"]) == pytest.approx(probability, abs=1e-6)


def test_predict_names_an_unreadable_image_and_continues(
    command: Command, trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    good, bad = flowers / "test" / "rose" / "0000.jpg", tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    result = command("predict", trained.path, bad, good, "--json")
    assert result.code == 1
    predictions = json.loads(result.out)["predictions"]
    assert [bool(p["top_classes"]) for p in predictions] == [False, True]
    assert predictions[0]["error"]
    assert predictions[1]["error"] is None
    assert len(result.err.splitlines()) == 1
    assert str(bad) in result.err


def test_predict_names_a_missing_image_and_predicts_the_others(
    command: Command, trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    good, gone, none = flowers / "test" / "rose" / "0000.jpg", tmp_path / "no.jpg", tmp_path / "*.x"
    words = ("predict", trained.path, good, gone, none, "--top", 1)
    told = command(*words)
    assert (told.code, len(told.err.splitlines())) == (1, 3)
    assert f"cannot read {gone}: No such file" in told.err
    assert f"cannot read {none}: there is no image at" in told.err
    found = json.loads(command(*words, "--json").out)["predictions"]
    assert [bool(one["error"]) for one in found] == [False, True, True]
    rows = command(*words, "--csv").out.splitlines()[1:]
    assert rows[1:] == [f"{gone},,,", f"{none},,,"]
    in_python = alexnet.load(trained.path).predict([good, str(none), gone])
    assert [bool(one.error) for one in in_python] == [False, True, True]
    for missing in ((gone,), (none, gone)):
        told = command("predict", trained.path, *missing)
        assert (told.code, told.out) == (2, "")
        assert f"there is no image at {missing[0]}" in told.err


def test_predict_agrees_with_the_library(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    path = flowers / "test" / "daisy" / "0000.jpg"
    told = command("predict", trained.path, path, "--crops", 10, "--json")
    result = json.loads(told.out)["predictions"]
    (expected,) = alexnet.load(trained.path).predict([path], crops=10)
    assert [g["label"] for g in result[0]["top_classes"]] == [g.label for g in expected.top_classes]
    assert result[0]["top_classes"][0]["probability"] == expected.top_classes[0].probability


def test_predict_reports_its_progress_on_stderr(
    command: Command,
    trained: RunFolder,
    flowers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alexnet.progress.SECONDS_PER_COUNT", -1.0)
    for number in range(70):
        (tmp_path / f"{number}.jpg").symlink_to(flowers / "test" / "rose" / "0000.jpg")
    result = command("predict", trained.path, tmp_path, "--csv", "--top", 1)
    assert result.err == "classified 64 of 70 images\n"
    assert len(result.out.splitlines()) == 71


def test_predict_reads_an_image_from_stdin(
    command: Command, trained: RunFolder, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rose = flowers / "test" / "rose" / "0000.jpg"
    with rose.open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.read())))
    result = json.loads(command("predict", trained.path, "-", "--json").out)["predictions"]
    expected = json.loads(command("predict", trained.path, rose, "--json").out)["predictions"]
    assert result[0]["top_classes"] == expected[0]["top_classes"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    nothing = command("predict", trained.path, "-")
    assert (nothing.code, "the file is empty" in nothing.err) == (1, True)


def test_a_long_data_address_is_an_image_and_no_path(
    command: Command, trained: RunFolder, tmp_path: Path
) -> None:
    noise(tmp_path / "a.png", 1, (64, 64))
    content = (tmp_path / "a.png").read_bytes()
    address = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    assert len(address) > 4096
    found = command("predict", trained.path, address, "--json")
    assert (found.code, found.err) == (0, "")
    assert json.loads(found.out)["predictions"][0]["top_classes"]
    assert command("explain", trained.path, address, "--out", tmp_path / "sheets").code == 0
    assert text_widths([address, "https://a.png"], ["rose"]) == (13, 4)


@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_a_long_word_is_shortened_where_it_is_no_image(
    verb: str, command: Command, trained: RunFolder
) -> None:
    found = command(verb, trained.path, "x" * 6000)
    assert (found.code, found.out) == (2, "")
    assert "there is no image at xxx" in found.err
    assert len(found.err) < 300


def test_predict_names_what_it_skips(
    command: Command, trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").symlink_to(flowers / "test" / "rose" / "0000.jpg")
    (tmp_path / "notes.txt").write_text("none")
    result = command("predict", trained.path, tmp_path, "--csv", "--top", 1)
    assert (result.code, result.err) == (0, "files skipped: .txt 1\n")


@pytest.mark.parametrize("word", ["http://127.0.0.1/a.jpg", "ftp://x/a.jpg", "file:///a.jpg"])
def test_predict_reads_no_address_but_https(
    command: Command, trained: RunFolder, word: str
) -> None:
    result = command("predict", trained.path, word)
    assert result.code == 2
    assert "only addresses that begin with https:// are" in result.err


def test_predict_reads_no_address_offline(
    command: Command, trained: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    result = command("predict", trained.path, "https://example.invalid/a.jpg")
    assert result.code == 2
    assert "since $ALEXNET_OFFLINE is set" in result.err


def test_the_model_comes_first(
    command: Command, trained: RunFolder, flowers: Path, tmp_path: Path
) -> None:
    rose = flowers / "test" / "rose" / "0000.jpg"
    (tmp_path / "photo").write_bytes(rose.read_bytes())
    swapped = [
        (rose, trained.path, "0000.jpg is a JPEG image, not a model"),
        (tmp_path / "photo", rose, "photo is a JPEG image, not a model"),
        (rose.parent, trained.path, f"{trained.path} is a model, not an image"),
        (trained.path, trained.path, f"{trained.path} is a model, not an image"),
        (trained.path, trained.model, "model.safetensors is a model, not an image"),
    ]
    for first, second, words in swapped:
        result = command("predict", first, second)
        assert result.code == 2
        assert words in result.err
        assert "the model comes first: alexnet predict MODEL IMAGE ..." in result.err


def test_predict_answers_unsure_below_the_probability_that_is_asked_for(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    folder = flowers / "test"
    sure = json.loads(command("predict", trained.path, folder, "--json").out)["predictions"]
    highest = sorted(one["top_classes"][0]["probability"] for one in sure)
    limit = (highest[5] + highest[6]) / 2
    words = ("predict", trained.path, folder, "--top", 2, "--min-probability", limit)
    facts = json.loads(command(*words, "--json").out)["predictions"]
    assert [one["is_unsure"] for one in facts] == [
        one["top_classes"][0]["probability"] < limit for one in sure
    ]
    assert all((one["label"] is None) == one["is_unsure"] for one in facts)
    assert all(len(one["top_classes"]) == 2 for one in facts)
    rows = list(csv.DictReader(io.StringIO(command(*words, "--csv").out)))
    assert [row["rank"] for row in rows if row["label"] == "unsure"] == ["1"] * 6
    assert len(rows) == 6 + 2 * 6
    lines = command(*words).out.splitlines()[2:]
    assert [line.split()[1] == "unsure" for line in lines] == [one["is_unsure"] for one in facts]
    assert all(line.count("%") == 2 for line in lines), "an unsure image names all its classes"


@pytest.mark.parametrize("limit", [-0.1, 1.1, "nan"])
def test_predict_refuses_a_probability_that_is_none(
    command: Command, trained: RunFolder, flowers: Path, limit: object
) -> None:
    result = command("predict", trained.path, flowers / "test", "--min-probability", limit)
    assert result.code == 2
    assert "must be from 0 to 1" in result.err


@pytest.fixture
def before_batches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, str]]:
    """What was printed and noted before each batch of two images was computed."""
    monkeypatch.setattr(decoding, "DECODE_BATCH", 2)
    predict, printed = Classifier._predict, list[tuple[str, str]]()

    def record(self: Classifier, *arguments: Any) -> list[Prediction]:
        printed.append(capsys.readouterr())
        return predict(self, *arguments)

    monkeypatch.setattr(Classifier, "_predict", record)
    return printed


@pytest.mark.parametrize(
    ("form", "lines"),
    [((), [0, 2 + 2, 2]), (("--csv",), [0, 1 + 2, 2]), (("--json",), [0, 8 + 1, 2])],
)
def test_rows_are_written_as_they_come(
    trained: RunFolder,
    flowers: Path,
    before_batches: list[tuple[str, str]],
    form: tuple[str, ...],
    lines: list[int],
) -> None:
    """Those of a batch before the next one is computed, so that an interrupt loses none."""
    paths = 5 * [str(flowers / "test" / "rose" / "0000.jpg")]
    assert main(["predict", str(trained.path), *paths, *form, "--top=1"]) == 0
    assert [out.count("\n") for out, _ in before_batches] == lines


def test_errors_are_told_as_they_come(
    command: Command,
    trained: RunFolder,
    flowers: Path,
    tmp_path: Path,
    before_batches: list[tuple[str, str]],
) -> None:
    good, bad = flowers / "test" / "rose" / "0000.jpg", tmp_path / "bad.jpg"
    bad.touch()
    result = command("predict", trained.path, bad, good, good, bad, good)
    assert [err.count("cannot read") for _, err in before_batches] == [0, 1, 1]
    assert (result.code, result.err) == (1, "2 of 5 images could not be read\n")


@pytest.mark.parametrize("form", ["--top=2", "--csv", "--json"])
def test_only_a_batch_of_predictions_is_in_memory(
    command: Command,
    trained: RunFolder,
    flowers: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    monkeypatch.setattr(decoding, "DECODE_BATCH", 2)
    predict, alive = Classifier._predict, list[int]()

    def count(self: Classifier, *arguments: Any) -> list[Prediction]:
        alive.append(sum(isinstance(one, Prediction | Input) for one in gc.get_objects()))
        return predict(self, *arguments)

    monkeypatch.setattr(Classifier, "_predict", count)
    command("predict", trained.path, *20 * [flowers / "test" / "rose" / "0000.jpg"], form)
    assert len(alive) == 10
    assert max(alive) <= alive[0] + 2 * 2


def test_rows_of_later_batches_are_aligned_with_the_first(
    command: Command,
    trained: RunFolder,
    flowers: Path,
    tmp_path: Path,
    before_batches: list[tuple[str, str]],
) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg", "a longer name.jpg"):
        (tmp_path / name).symlink_to(flowers / "test" / "rose" / "0000.jpg")
    images = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg", "a longer name.jpg")]
    last = command("predict", trained.path, *images).out
    lines = "".join([*(out for out, _ in before_batches), last]).splitlines()
    assert len(lines) == 2 + 4
    assert len({line.index(" %") for line in lines[2:]}) == 1
    assert lines[0].index("prediction") == len(str(images[-1])) + 2


def shared_predictions(count: int) -> list[list[str]]:
    """What each round of processes has of images that are predicted by their names alone."""

    def predict(images: Iterator[Any]) -> Iterator[list[Prediction]]:
        while batch := [Prediction(name) for name in islice(images, decoding.DECODE_BATCH)]:
            yield batch

    names = [str(number) for number in range(count)]
    return [[one.image for one in batch] for batch in _shared_batches(predict, names)]


@pytest.mark.parametrize(("count", "sizes"), [(129, [128, 1]), (200, [128, 72])])
def test_processes_share_every_batch(pair: Processes, count: int, sizes: list[int]) -> None:
    for batches in pair.run(shared_predictions, count):
        assert [len(batch) for batch in batches] == sizes
        assert list(chain(*batches)) == [str(number) for number in range(count)]


def test_predict_answers_with_the_optimized_network_or_exactly(
    command: Command, auto: Path, flowers: Path
) -> None:
    plain, folder = alexnet.load(auto), flowers / "test"
    expected = {
        (): plain.optimized(),
        ("--exact",): replace(plain, precision="float32"),
    }
    for words, classifier in expected.items():
        told = json.loads(command("predict", auto, folder, "--top", 1, "--json", *words).out)
        assert told["network"] == to_dict(classifier.answering_network)
        assert told["network"]["is_optimized"] is not bool(words)
        found = [one["top_classes"][0]["probability"] for one in told["predictions"]]
        assert found == [p.top_classes[0].probability for p in classifier.predict(folder)]
    assert told["network"]["number_type"] == "float32"


def test_a_run_trained_in_float32_answers_in_float32(
    command: Command, trained: RunFolder, flowers: Path
) -> None:
    rose = flowers / "test" / "rose" / "0000.jpg"
    told = json.loads(command("predict", trained.path, rose, "--json").out)["network"]
    assert told == {"is_optimized": False, "number_type": "float32", "depends_on_batch": True}


def test_in_int8_an_answer_depends_neither_on_the_batch_nor_on_the_order(
    auto: Path, flowers: Path
) -> None:
    classifier = load_answering(auto, "cpu", exact=False)
    if classifier.answering_network.depends_on_batch:
        pytest.skip("not every layer is in int8 here")
    together = {p.image: p.top_classes for p in classifier.predict(flowers / "test")}
    for path in reversed(list(together)):
        assert classifier.predict(path)[0].top_classes == together[path]
