"""README and docs: commands parse, Python blocks run, named files and numbers are there."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
import tomllib
from collections import Counter
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

import alexnet
from alexnet.api.recipes import read_call
from alexnet.cli import VERBS
from alexnet.cli.benchmark import BENCHMARKS, AgreementFlags, DataFlags, NetworkFlags
from alexnet.cli.benchmark import TrainFlags as BenchmarkTrainFlags
from alexnet.cli.cache import ACTIONS as CACHE_ACTIONS
from alexnet.cli.cache import CleanFlags as CacheCleanFlags
from alexnet.cli.cache import ListFlags as CacheListFlags
from alexnet.cli.compare import CompareFlags
from alexnet.cli.completion import CompletionFlags
from alexnet.cli.data import ACTIONS, CheckFlags, PrepareFlags, ShowFlags, SplitFlags
from alexnet.cli.doctor import DoctorFlags
from alexnet.cli.evaluate import EvaluateFlags
from alexnet.cli.experiment import ACTIONS as EXPERIMENT_ACTIONS
from alexnet.cli.experiment import ListFlags, ReportFlags
from alexnet.cli.experiment_plan import PlanFlags
from alexnet.cli.experiment_run import RunFlags, plan_of
from alexnet.cli.explain import flags_class
from alexnet.cli.explain_filters import with_layer
from alexnet.cli.export import ExportFlags
from alexnet.cli.flags import parse
from alexnet.cli.help import HELP_WORDS
from alexnet.cli.help_pages import PAGES as HELP_PAGES
from alexnet.cli.import_ import ImportFlags
from alexnet.cli.info import InfoFlags
from alexnet.cli.log import LogFlags
from alexnet.cli.mistakes import MistakesFlags
from alexnet.cli.outputs import OUTPUTS
from alexnet.cli.predict import PredictFlags
from alexnet.cli.pretrain import CHANGEABLE as PRETRAIN_CHANGEABLE
from alexnet.cli.pretrain import parse_flags
from alexnet.cli.push import PushFlags
from alexnet.cli.report import ReportFlags as RunReportFlags
from alexnet.cli.run_options import DEFAULT_OPTIONS, DEFAULT_TRAIN_OPTIONS, read_run_options
from alexnet.cli.runs import CleanFlags, RemoveFlags, RunsFlags
from alexnet.cli.serve import ServeFlags
from alexnet.cli.summary import SummaryFlags
from alexnet.cli.train import CHANGEABLE, TrainFlags
from alexnet.cli.tune import TuneFlags
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_dict
from alexnet.experiments.kept_results import kept_results
from alexnet.models.summary import totals
from alexnet.models.zoo import ZOO
from alexnet.pretraining.recipe import KINDS
from support.json_outputs import validator
from support.places import ROOT
from support.site import site_pages
from support.slow import as_slow

PACKAGE = ROOT / "src" / "alexnet"
PAGES = [ROOT / "README.md", *site_pages()]
ALL_PAGES = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
FLAGS = {
    "evaluate": EvaluateFlags,
    "predict": PredictFlags,
    "serve": ServeFlags,
    "summary": SummaryFlags,
    "import": ImportFlags,
    "export": ExportFlags,
    "completion": CompletionFlags,
    "doctor": DoctorFlags,
    "compare": CompareFlags,
    "report": RunReportFlags,
    "info": InfoFlags,
    "log": LogFlags,
    "push": PushFlags,
    "cache list": CacheListFlags,
    "cache clean": CacheCleanFlags,
    "runs": RunsFlags,
    "runs clean": CleanFlags,
    "runs remove": RemoveFlags,
    "data prepare": PrepareFlags,
    "data check": CheckFlags,
    "data split": SplitFlags,
    "data show": ShowFlags,
    "data mistakes": MistakesFlags,
    "benchmark train": BenchmarkTrainFlags,
    "benchmark infer": NetworkFlags,
    "benchmark data": DataFlags,
    "benchmark agreement": AgreementFlags,
    "experiment list": ListFlags,
    "experiment plan": PlanFlags,
    "experiment run": RunFlags,
    "experiment report": ReportFlags,
}

ACTIONS_OF = {
    "cache": CACHE_ACTIONS,
    "data": ACTIONS,
    "experiment": EXPERIMENT_ACTIONS,
    "benchmark": BENCHMARKS,
}


def blocks(language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```"
    return [b for page in PAGES for b in re.findall(pattern, page.read_text(), re.S | re.M)]


def commands() -> list[str]:
    fenced = [line for block in blocks("sh") for line in block.splitlines()]
    quoted = [c for page in PAGES for c in re.findall(r"`(alexnet [^`\n]*)`", page.read_text())]
    examples = [f"alexnet {words}" for page in HELP_PAGES.values() for words, _ in page.examples]
    found = [line.partition("#")[0].strip() for line in [*fenced, *quoted, *examples]]
    # What begins otherwise, as with `sudo` or `torchrun .. -m`, has a command of ours, too.
    found = [re.sub(r"^(sudo|torchrun) .*?\b(alexnet [a-z]+ )", r"\2", c) for c in found]
    return sorted({c for c in found if c.startswith("alexnet ") and not set("[]") & set(c)})


def kind_of(command: str) -> tuple[str, ...]:
    """The verb, its action and the flags of a command, without their values."""
    _, verb, *words = shlex.split(command)
    is_action = bool(words) and (verb in ACTIONS_OF or f"{verb} {words[0]}" in FLAGS)
    flags = {word.partition("=")[0] for word in words if word.startswith("-")}
    return (verb, words[0] if is_action else "", *sorted(flags))


def first_of_their_kind_fast() -> list[Any]:
    """The commands; one of a kind that has been there already is for the slow tests."""
    first = {kind_of(command): command for command in reversed(commands())}
    return [one if first[kind_of(one)] == one else as_slow(one) for one in commands()]


def json_examples() -> dict[str, str]:
    """Of docs/json.md, by the command."""
    page = (ROOT / "docs" / "json.md").read_text()
    return dict(
        re.findall(r"^## ([^\n]*)\n\n`alexnet [^\n]*\n\n```json\n(.*?)^```", page, re.S | re.M)
    )


def with_recipes(facts: Any) -> Any:
    """An example with the recipes that are left out."""
    if isinstance(facts, list):
        return [with_recipes(item) for item in facts]
    if not isinstance(facts, dict):
        return facts
    left_out = {key: to_dict(Recipe()) for key in facts if key == "recipe" and not facts[key]}
    return {key: with_recipes(value) for key, value in facts.items()} | left_out


@pytest.mark.parametrize("command", json_examples())
def test_json_example_is_valid(command: str) -> None:
    validator(command).validate(with_recipes(json.loads(json_examples()[command])))


def test_every_command_with_json_has_an_example() -> None:
    page = (ROOT / "docs" / "json.md").read_text()
    assert re.findall(r"^## (.*)$", page, re.M) == list(OUTPUTS)
    same = re.findall(r"^## (.*)\n\nAs `(.*)`\.$", page, re.M)
    assert {a for a, _ in same} == OUTPUTS.keys() - json_examples().keys()
    assert all(OUTPUTS[a] == OUTPUTS[b] for a, b in same)


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8


def _with_optional_action(verb: str, words: list[str]) -> tuple[str, list[str]]:
    """A verb with its action, if the first word is one."""
    action = f"{verb} {words[0]}" if words else ""
    return (action, words[1:]) if action in FLAGS else (verb, words)


def _parse_train(words: list[str]) -> None:
    name, options, words = read_run_options("train", words, DEFAULT_TRAIN_OPTIONS, CHANGEABLE)
    start = read_call(name).recipe()
    parse(TrainFlags, words, "train", TrainFlags(run=options, recipe=start))


def _parse_tune(words: list[str]) -> None:
    name = words.pop(0) if words and not words[0].startswith("-") else ""
    parse(TuneFlags, words, "tune", TuneFlags(recipe=read_call(name).recipe()))


@pytest.mark.parametrize("command", first_of_their_kind_fast())
def test_command_parses(command: str) -> None:
    _, verb, *words = shlex.split(command)
    if verb in ("--help", "help") or not HELP_WORDS.isdisjoint(words):
        return
    assert verb in VERBS
    if verb == "schema":
        assert " ".join(words) in ("", "COMMAND", *OUTPUTS)
        return
    if verb in ("train", "tune"):
        (_parse_train if verb == "train" else _parse_tune)(words)
        return
    if verb == "pretrain":
        kinds, *words = words
        assert set(kinds.split("|")) <= set(KINDS)
        name, _, words = read_run_options(verb, words, DEFAULT_OPTIONS, PRETRAIN_CHANGEABLE)
        for kind in kinds.split("|"):
            parse_flags(kind, words, KINDS[kind].from_recipe(read_call(name).recipe()))
        return
    if verb in ACTIONS_OF:
        action, *words = words
        known = ACTIONS_OF[verb]
        assert all(one in known for one in action.split("|"))
        if "|" in action:
            return
        verb = f"{verb} {action}"
    verb, words = _with_optional_action(verb, words)
    if words or verb in ("summary", "doctor"):
        cls = flags_class(words) if verb == "explain" else FLAGS[verb]
        flags = parse(cls, with_layer(words) if verb == "explain" else words, verb)
        if isinstance(flags, RunFlags) and flags.name and not flags.name.isupper():
            plan_of(flags, flags.name)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_block_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files of the pages are left in a folder of this test's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    exec(compile(block, "README.md", "exec"), {})


def test_contributing_names_every_make_target() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert [t for t in phony.split() if t != "setup" and f"| `make {t}` |" not in text] == []


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub and the site write them into an address."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text()):
            if "generated/" in link:  # `make docs` writes these pages, and checks the links
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_zoo_table_of_the_readme_is_the_arithmetic() -> None:
    text = (ROOT / "README.md").read_text()
    for names, parameters, macs in re.findall(
        r"^\| (`.*?) \| .*? \| ([\d,]+) \| ([\d,]+) \|$", text, re.M
    ):
        for name in re.findall(r"`(\w+)`", names):
            sums = totals(ZOO[name].layer_infos())
            assert (f"{sums.parameters:,}", f"{sums.macs:,}") == (parameters, macs), name
    assert all(f"`{name}`" in text for name in ZOO)


def test_every_preset_and_public_name_is_in_the_docs() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert all(f"{name}" in text for name in PRESETS)
    assert [name for name in alexnet.__all__ if name not in text] == []


def test_every_field_of_a_recipe_has_its_words() -> None:
    """The string under a field is the flag's help."""
    modules = [
        ROOT / "src/alexnet/config" / f"{name}.py"
        for name in ("recipe", "augmentation", "distributed")
    ]
    source = "".join(module.read_text() for module in modules)
    documented = set(re.findall(r"^    (\w+): .*?\n    \"\"\"", source, re.M))
    groups = {f.name for f in fields(Recipe) if is_dataclass(f.default)}
    assert set(Recipe.__dataclass_fields__) - groups <= documented
    for group in groups - {"model"}:  # its options are in another file
        assert set(getattr(Recipe(), group).__dataclass_fields__) <= documented, group
    source = (ROOT / "src/alexnet/pretraining/recipe.py").read_text()
    documented |= set(re.findall(r"^    (\w+): .*?\n    \"\"\"", source, re.M))
    of_kinds = {field for kind in KINDS.values() for field in kind.__dataclass_fields__}
    assert of_kinds - groups - {"kind"} <= documented


def test_every_test_that_the_docs_name_exists() -> None:
    named = {n for page in PAGES for n in re.findall(r"`(test_\w+)`", page.read_text())}
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    assert len(named) > 30
    assert named - defined == set()


def test_every_source_file_that_the_docs_name_exists() -> None:
    files = [str(file) for folder in ("src", "tests", "benchmarks") for file in _files(folder)]
    for page in ALL_PAGES:
        for name in re.findall(r"`([\w./-]+\.(?:py|c|h))`", page.read_text()):
            is_relative = (page.parent / name).exists() or (ROOT / name).exists()
            assert is_relative or any(f.endswith(f"/{name}") for f in files), f"{page.name}: {name}"


def _files(folder: str) -> list[Path]:
    return [file for file in (ROOT / folder).rglob("*") if file.suffix in (".py", ".c", ".h")]


def test_tree_of_the_readme_is_the_package() -> None:
    (tree,) = re.findall(r"^src/alexnet/\n((?:  .*\n)+)", (ROOT / "README.md").read_text(), re.M)
    folders = sorted(file.parent.name for file in PACKAGE.glob("*/__init__.py"))
    assert sorted(re.findall(r"^  (\w+)/ ", tree, re.M)) == folders


def test_order_of_the_folders_is_the_one_that_is_checked() -> None:
    (block,) = re.findall(r"^```\n(cli .*?)^```", ARCHITECTURE, re.S | re.M)
    entries = dict(re.findall(r"^([\w.]+) +(\S.*(?:\n .*)*)", block, re.M))
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    rank = {name: i for i, layer in enumerate(layers) for name in layer.split(" | ")}
    order = [rank[name.removesuffix(".py")] for name in entries]
    assert order == sorted(order)
    assert {*entries, "__main__", "_lazy"} == {
        name if (PACKAGE / name).is_dir() or name.startswith("_") else f"{name}.py" for name in rank
    }
    for folder, text in entries.items():
        names = {file.name for file in (PACKAGE / folder).rglob("*.py")} | {folder}
        assert set(re.findall(r"\w+\.py", text)) <= names, folder


def is_defined(name: str, source: str) -> bool:
    """Whether a file defines a function, a class, a field, or Class.method."""
    *owner, last = name.split(".")
    pattern = rf"^ *(?:def {last}\(|class {last}\b|{last}: )"
    has_owner = all(re.search(rf"^class {one}\b", source, re.M) for one in owner)
    return has_owner and re.search(pattern, source, re.M) is not None


@pytest.mark.parametrize("title", ["A training batch", "A predicted image"])
def test_every_function_of_a_journey_is_in_the_file_named_after_it(title: str) -> None:
    (section,) = re.findall(rf"^## {title}.*?\n(.*?)^## ", ARCHITECTURE, re.S | re.M)
    sources = {f: (PACKAGE / f).read_text() for f in re.findall(r"`([\w/]+\.py)`", section)}
    assert len(sources) > 6
    for item in re.split(r"\n(?=\d+\. )", section):
        names: list[str] = []
        for word in re.findall(r"`([\w/]+(?:\.\w+)?)`", item):
            if word in sources:
                assert [name for name in names if not is_defined(name, sources[word])] == []
                names = []
            elif not word.endswith((".npy", ".jsonl")):
                names.append(word)
        for name in names:
            assert any(is_defined(name, source) for source in sources.values()), name


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
README_CLAIM = re.compile(
    r"^\| ([^|]+) \| full, ([\d and]+) \| (-?\d*\.?\d+) (?:points|times) "
    r"\((-?\d*\.?\d+) to (-?\d*\.?\d+)\)[^|]* \| \**([\w ]+?)\** \|$",
    re.M,
)
"""A row of README: claim, seeds, effect with its interval, verdict."""


def test_claims_of_the_readme_are_those_of_the_results() -> None:
    """Seeds, effects and verdicts of its table, and how many claims have which verdict."""
    readme = (ROOT / "README.md").read_text()
    primary = [(one, c) for one in kept_results() for c in one.comparisons if c.is_primary]
    for one, found in primary:
        scale = 100 if found.scale == "difference" else 1
        ends = (found.interval.estimate, found.interval.low, found.interval.high)
        seeds = {f"{len(one.seeds)}", f"{len(one.seeds)} and {len(found.effects)}"}
        rows = [
            row
            for row in README_CLAIM.findall(readme)
            if row[1] in seeds
            and all(abs(float(a) - scale * b) < 0.0501 for a, b in zip(row[2:5], ends, strict=True))
        ]
        assert [row[-1] for row in rows] == [found.verdict], f"{one.experiment}: {found.name}"
    assert len(README_CLAIM.findall(readme)) == len(primary)
    verdicts = Counter(one.verdict for one in kept_results())
    reproduced, refuted, undecided = (
        NUMBERS[verdicts[one]] for one in ("reproduced", "not reproduced", "undecided")
    )
    told = f"{reproduced} are reproduced, {refuted} are not, {undecided} are undecided"
    assert told in " ".join(readme.split())
