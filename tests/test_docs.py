"""README and docs: commands parse, Python blocks run, named files and numbers are there."""

from __future__ import annotations

import re
import shlex

import pytest

import alexnet
from alexnet.cli import VERBS
from alexnet.cli.benchmark import BENCHMARKS, AgreementFlags, DataFlags, NetworkFlags
from alexnet.cli.data import ACTIONS, CheckFlags, PrepareFlags, ShowFlags, SplitFlags
from alexnet.cli.doctor import DoctorFlags
from alexnet.cli.evaluate import EvaluateFlags
from alexnet.cli.experiment import ACTIONS as EXPERIMENT_ACTIONS
from alexnet.cli.experiment import ListFlags, ReportFlags, RunFlags, plan_of
from alexnet.cli.export import ExportFlags
from alexnet.cli.flags import parse
from alexnet.cli.import_ import ImportFlags
from alexnet.cli.predict import PredictFlags
from alexnet.cli.pretrain import parse_flags
from alexnet.cli.run_options import read_run_options
from alexnet.cli.summary import SummaryFlags, totals
from alexnet.cli.train import DEFAULT_PRESET, TrainFlags
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import Recipe
from alexnet.models.zoo import ZOO
from alexnet.pretraining.recipe import KINDS
from support.places import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FLAGS = {
    "evaluate": EvaluateFlags,
    "predict": PredictFlags,
    "summary": SummaryFlags,
    "import": ImportFlags,
    "export": ExportFlags,
    "doctor": DoctorFlags,
    "data prepare": PrepareFlags,
    "data check": CheckFlags,
    "data split": SplitFlags,
    "data show": ShowFlags,
    "benchmark train": NetworkFlags,
    "benchmark infer": NetworkFlags,
    "benchmark data": DataFlags,
    "benchmark agreement": AgreementFlags,
    "experiment list": ListFlags,
    "experiment run": RunFlags,
    "experiment report": ReportFlags,
}

ACTIONS_OF = {"data": ACTIONS, "experiment": EXPERIMENT_ACTIONS, "benchmark": BENCHMARKS}


def blocks(language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```"
    return [b for page in PAGES for b in re.findall(pattern, page.read_text(), re.S | re.M)]


def commands() -> list[str]:
    fenced = [line for block in blocks("sh") for line in block.splitlines()]
    quoted = [c for page in PAGES for c in re.findall(r"`(alexnet [^`\n]*)`", page.read_text())]
    found = [line.partition("#")[0].strip() for line in [*fenced, *quoted]]
    return sorted({c for c in found if c.startswith("alexnet ") and not set("[]") & set(c)})


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize("command", commands())
def test_command_parses(command: str) -> None:
    _, verb, *words = shlex.split(command)
    if verb == "--help":
        return
    assert verb in VERBS
    if "--help" in words or verb.isupper():
        return
    if verb == "train":
        name, options, words = read_run_options(verb, words)
        start = PRESETS[name or DEFAULT_PRESET]
        parse(TrainFlags, words, verb, TrainFlags(run=options, recipe=start))
        return
    if verb == "pretrain":
        kinds, *words = words
        assert set(kinds.split("|")) <= set(KINDS)
        name, _, words = read_run_options(verb, words)
        for kind in kinds.split("|"):
            parse_flags(kind, words, KINDS[kind].from_recipe(PRESETS[name or DEFAULT_PRESET]))
        return
    if verb in ACTIONS_OF:
        action, *words = words
        known = ACTIONS_OF[verb]
        assert all(one in known for one in action.split("|"))
        if "|" in action:
            return
        verb = f"{verb} {action}"
    if words or verb in ("summary", "doctor"):
        flags = parse(FLAGS[verb], words, verb)
        if isinstance(flags, RunFlags) and not flags.name.isupper():
            plan_of(flags)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_block_runs(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {})


def test_contributing_names_every_make_target() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert [t for t in phony.split() if t != "setup" and f"| `make {t}` |" not in text] == []


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_zoo_table_of_the_readme_is_the_arithmetic() -> None:
    text = (ROOT / "README.md").read_text()
    for names, parameters, macs in re.findall(
        r"^\| (`.*?) \| .*? \| ([\d,]+) \| ([\d,]+) \|$", text, re.M
    ):
        for name in re.findall(r"`(\w+)`", names):
            sums = totals(ZOO[name].layer_infos())
            assert (f"{sums['parameters']:,}", f"{sums['macs']:,}") == (parameters, macs), name
    assert all(f"`{name}`" in text for name in ZOO)


def test_every_preset_and_public_name_is_in_the_docs() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert all(f"{name}" in text for name in PRESETS)
    assert [name for name in alexnet.__all__ if name not in text] == []


def test_every_field_of_a_recipe_has_its_words() -> None:
    """The string under a field is the flag's help."""
    source = (ROOT / "src/alexnet/config/recipe.py").read_text()
    documented = set(re.findall(r"^    (\w+): .*?\n    \"\"\"", source, re.M))
    groups = {"model", "data_options", "augment", "optimizer", "schedule"}
    assert set(Recipe.__dataclass_fields__) - groups <= documented
    source = (ROOT / "src/alexnet/pretraining/recipe.py").read_text()
    documented |= set(re.findall(r"^    (\w+): .*?\n    \"\"\"", source, re.M))
    fields = {field for kind in KINDS.values() for field in kind.__dataclass_fields__}
    assert fields - groups - {"kind"} <= documented


def test_every_test_that_the_docs_name_exists() -> None:
    named = {n for page in PAGES for n in re.findall(r"`(test_\w+)`", page.read_text())}
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    assert len(named) > 30
    assert named - defined == set()
