"""The page of a run: what it says, and what it says of what is missing."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from alexnet.config.recipe import LRSchedule, Recipe
from alexnet.errors import UsageError
from alexnet.reporter import NullReporter
from alexnet.reports import page_of, save_page, write_comparison, write_run_report
from alexnet.reports.shown_paths import without_folders
from alexnet.reports.stored_run import read_run
from alexnet.training.run_folder import RunFolder
from support.commands import Command
from support.runs import PowerCutError, resume, train


class Reader(HTMLParser):
    """The text below each heading of a page, and the JSON in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.data = ""
        self._id, self._skips, self._is_data = "", "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self._id = (found.get("id") or "") if tag in ("main", "section") else self._id
        self._skips = tag if tag in ("style", "script") else self._skips
        self._is_data = found.get("type") == "application/json"

    def handle_endtag(self, tag: str) -> None:
        self._skips = "" if tag == self._skips else self._skips

    def handle_data(self, text: str) -> None:
        if self._is_data and self._skips:
            self.data += text
        elif not self._skips:
            before = self.sections.get(self._id, "").split()
            self.sections[self._id] = " ".join([*before, *text.split()])


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


def test_a_map_tells_its_data(own: RunFolder) -> None:
    """It may be of other data, and of classes of which nothing is right or wrong."""
    (own.path / "explain").mkdir()
    rows = "".join(f"{i}.jpg,class {i},rose,,{i},{i},birds,all\n" for i in range(25))
    head = "image,label,predicted,right,x,y,data,split\n"
    (own.path / "explain" / "map-pca.csv").write_text(head + rows)
    text = read(write_run_report(own.path)).sections["map"]
    assert "near to each other. birds , all: 25 images." in text
    assert "Blue is right" not in text


def test_the_page_of_a_run(own: RunFolder, cache: Path) -> None:
    """Without the image store of the run there are no pixels."""
    shutil.rmtree(cache / "stores")
    page = read(write_run_report(own.path))
    result = json.loads(own.result.read_text())["test"]
    assert f"{100 * result['top1_error']:.1f} % test error 95 % interval" in page.sections["main"]
    assert "n = 12" in page.sections["main"]
    assert "training" in page.sections["curves"]
    for name in result["class_names"]:
        assert name in page.sections["classes"]
    assert "Not shown: its images are not in the cache" in page.sections["losses"]
    assert "conv1" in page.sections["network"]
    assert "fc8" in page.sections["updates"]
    assert "--epochs" in page.sections["recipe"]
    again = "In the run’s folder, this command trains it again: alexnet train --config config.json"
    assert again in page.sections["machine"]
    assert str(own.path.parent) not in own.report.read_text()
    assert json.loads(page.data)["rows"] == []
    assert own.report.stat().st_size < 300_000


@pytest.mark.slow
def test_with_its_images(own: RunFolder) -> None:
    from alexnet.evaluation.evaluator import evaluate
    from alexnet.inference.classifier import load

    evaluate(load(own.path), split="test")  # builds the image store
    page = read(write_run_report(own.path))
    rows = json.loads(page.data)["rows"]
    assert len(rows) == 12
    assert all(row[0].startswith("data:image/jpeg;base64,") for row in rows)
    assert [row[4] for row in rows] == sorted(row[4] for row in rows), "highest loss first"
    wrong = sum(row[2] != row[3] for row in rows)
    assert wrong == round(12 * read_run(own.path).evaluation.top1_error)
    assert "at" in page.sections["augmentation"]
    assert "Every class has 5 images." in page.sections["data"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("removed", "section", "text"),
    [
        ("evaluation", "losses", "alexnet evaluate"),
        ("result.json", "confusion", "no image is evaluated yet"),
        ("metrics.jsonl", "curves", "no epoch has finished"),
        ("environment.json", "machine", "environment.json cannot be read"),
        ("config.json", "recipe", "config.json cannot be read"),
        ("model.safetensors", "network", "alexnet_bn"),
    ],
)
def test_what_is_missing_is_said(own: RunFolder, removed: str, section: str, text: str) -> None:
    path = own.path / removed
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert text in read(write_run_report(own.path)).sections[section]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl", "config.json", "times.jsonl"])
@pytest.mark.parametrize("content", ["", "{\n", "[1]\n", '{"epochs": "x"}\n', "\0\n"])
def test_damaged_files_are_named(own: RunFolder, name: str, content: str) -> None:
    (own.path / name).write_text(content)
    page = read(write_run_report(own.path)).sections["main"]
    assert "Not readable" in page or not content


@pytest.mark.slow
def test_predictions_of_another_model_are_not_used(own: RunFolder) -> None:
    table = own.evaluation / "top_losses.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    run = read_run(own.path)
    assert run.predictions == ()
    assert "has 11 images" in run.problems["the predictions"]


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a folder without a run"):
        write_run_report(tmp_path)
    assert save_page(tmp_path, None, NullReporter()) is None, "a training does not fail by its page"


@pytest.mark.slow
def test_a_run_that_dies_at_its_page_gets_it_when_it_is_resumed(
    small: Recipe, tmp_path: Path
) -> None:
    """The page comes before result.json, so a run that has a result has a page."""

    def die(*_: object) -> None:
        raise PowerCutError

    short = replace(small, epochs=1, schedule=LRSchedule())
    with pytest.raises(PowerCutError):
        train(short, out=tmp_path / "run", save_page=die)
    folder = RunFolder(tmp_path / "run")
    assert not folder.result.exists()
    run = resume(folder.path, save_page=save_page)
    assert run.folder.result.exists()
    text = read(folder.report).sections["main"]
    assert re.search(r"% test error 95 % interval", text)
    assert "This run" not in text, "it is told as finished while its result is not written yet"
    assert page_of(run, NullReporter()) == folder.report


@pytest.mark.slow
def test_two_runs_on_one_page(own: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(own.path, other)
    config = json.loads((other / "config.json").read_text())
    config["optimizer"]["lr"] = 0.5
    (other / "config.json").write_text(json.dumps(config))
    page = read(write_comparison([own.path, other]))
    assert (tmp_path / "compare-own-other.html").exists()
    assert "+0.00" in page.sections["paired"]
    assert "12 test images" in page.sections["paired"]
    assert "--lr 0.002 0.5" in page.sections["recipes"]
    with pytest.raises(UsageError, match="named twice"):
        write_comparison([own.path, own.path])


@pytest.mark.slow
def test_runs_on_other_images_are_not_paired(own: RunFolder, tmp_path: Path) -> None:
    other = Path(shutil.copytree(own.path, tmp_path / "other"))
    for path in (other / "evaluation").iterdir():
        path.write_text(path.read_text().replace("test/", "elsewhere/"))
    page = read(write_comparison([own.path, other], tmp_path / "x.html"))
    assert "was evaluated on other images" in page.sections["paired"]


def test_the_command(own: RunFolder, command: Command, tmp_path: Path) -> None:
    done = command("report", own.path, "--out", tmp_path / "page.html", "--json")
    facts = json.loads(done.out)
    result = json.loads(own.result.read_text())
    assert facts["size_bytes"] == (tmp_path / "page.html").stat().st_size
    (run,) = facts["runs"]
    assert (run["run"], run["state"], run["epochs"]) == (str(own.path), "finished", 3)
    assert (run["error_of"], run["num_images"]) == ("test error", 12)
    for name in ("top1_error", "top1_error_interval", "loss"):
        assert run[name] == result["test"][name]


@pytest.mark.slow
def test_what_the_command_takes(own: RunFolder, command: Command, tmp_path: Path) -> None:
    done = command("report", str(own.path), "--out", str(tmp_path / "page.html"))
    assert (done.code, done.out) == (0, f"{tmp_path / 'page.html'}\n")
    other = Path(shutil.copytree(own.path, tmp_path / "other"))
    (other / "result.json").unlink()
    facts = json.loads(command("report", own.path, other, "--json").out)
    assert facts["page"] == str(tmp_path / "compare-own-other.html")
    assert [run["state"] for run in facts["runs"]] == ["finished", "unfinished"]
    assert facts["runs"][1]["num_images"] is None
    for words, text in (
        ([], "name a run folder"),
        ([str(own.path)] * 2, "named twice"),
        (["--watch", str(own.path), "--out", "x"], "leave out --out"),
        (["--watch", str(own.path), "--json"], "leave out --json"),
        ([str(tmp_path)], "without a run"),
    ):
        refused = command("report", *words)
        assert refused.code == 2
        assert re.search(text, refused.err)


def test_folders_of_this_machine_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "home/work"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setattr(Path, "home", lambda: home)
    recipe = Recipe(data=str(tmp_path / "my <photos>"), init_from=str(here / "old/run"))
    run = SimpleNamespace(recipe=recipe, path=home / "runs/a")
    shown = {
        f"on {tmp_path}/my &lt;photos&gt;": "on my &lt;photos&gt;",
        f"&#39;{tmp_path}/my &lt;photos&gt;/a.jpg&#39;": "&#39;my &lt;photos&gt;/a.jpg&#39;",
        f"from {here}/old/run.": "from old/run.",
        f"{here}/b, {here} and {home}x": f"b, . and {home}x",
        f"{home}/runs/a/config.json": "~/runs/a/config.json",
        f"data:image/jpeg;base64,AB{home}/c": f"data:image/jpeg;base64,AB{home}/c",
    }
    for text, expected in shown.items():
        assert without_folders(text, [run]) == expected
