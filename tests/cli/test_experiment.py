"""`alexnet experiment`: what it prints, its exit codes, and what it says of mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from alexnet.cli import experiment_run
from alexnet.errors import MissingDataError
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.cost import estimate_minutes
from alexnet.experiments.formatting import format_cost
from alexnet.experiments.outcome import write_outcome
from alexnet.experiments.plan import Plan
from alexnet.experiments.results import RESULT, ExperimentResult, read_result
from support.commands import Command
from support.experiments import outcome_with


@pytest.mark.slow
def test_list_shows_claim_source_limits_and_cost(command: Command) -> None:
    told = command("experiment", "list")
    assert told.code == 0
    assert "alexnet experiment list --measure-speed" in told.err
    text = " ".join(told.out.split())
    for experiment in EXPERIMENTS.values():
        for part in (experiment.name, experiment.claim, experiment.source, experiment.limits):
            assert " ".join(part.split()) in text
    num_plans = sum(len(experiment.protocols) for experiment in EXPERIMENTS.values())
    assert text.count("not measured here yet") == num_plans


def test_list_json_has_every_number(command: Command) -> None:
    facts = json.loads(command("experiment", "list", "--json").out)["experiments"]
    assert [fact["name"] for fact in facts] == list(EXPERIMENTS)
    first = facts[0]
    assert first["arms"] == ["relu", "tanh", "sigmoid", "relu-with-norm"]
    assert first["comparisons"][0]["expected"] == 6.0
    assert first["comparisons"][1]["expected"] is None
    assert first["protocols"]["quick"]["num_runs"] == 3 * (2 * (5 + 1) + 1)
    assert first["protocols"]["quick"]["minutes"] is None
    one = json.loads(command("experiment", "list", "dropout", "--json").out)["experiments"]
    assert [fact["name"] for fact in one] == ["dropout"]
    assert one[0]["protocols"]["imagenet"]["minutes"] is None


@pytest.mark.usefixtures("constant_speed")
def test_costs_are_told_once_speeds_are_measured(command: Command) -> None:
    told = command("experiment", "list", "dropout", "--measure-speed")
    assert told.err == ""
    assert f"{Plan(experiment=EXPERIMENTS['dropout']).num_runs} runs, about" in told.out
    later = command("experiment", "list", "dropout", "--json")
    minutes = json.loads(later.out)["experiments"][0]["protocols"]["quick"]["minutes"]
    plan = Plan(experiment=EXPERIMENTS["dropout"])
    assert minutes == pytest.approx(estimate_minutes(plan, lambda _: 1000.0), abs=0.06)


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("num_wrong", "verdict", "code"),
    [
        ({"dropout": (1, 1, 1), "none": (8, 8, 8)}, "reproduced", 0),
        ({"dropout": (1, 5, 9), "none": (5, 5, 5)}, "undecided", 0),
        ({"dropout": (8, 8, 8), "none": (1, 1, 1)}, "not reproduced", 1),
    ],
)
def test_the_exit_code_is_1_only_where_a_claim_is_not_reproduced(
    num_wrong: Mapping[str, tuple[int, ...]],
    verdict: str,
    code: int,
    command: Command,
    own_out: Path,
) -> None:
    """The finished runs get other outcomes, and the experiment is run once more."""
    for name, numbers in num_wrong.items():
        lrs = read_result(own_out).arm(name).lrs
        for seed, (lr, number) in enumerate(zip(lrs, numbers, strict=True)):
            run = own_out / "runs" / f"{name}-r{lr:g}-s{seed}"
            write_outcome(run / "outcome-1.json", outcome_with(number))
    told = command("experiment", "run", "tiny", "--quick", "--out", own_out)
    assert told.code == code, told.err
    assert f"tiny: {verdict}\n" in told.out
    assert str(own_out / "report.md") in told.out
    head = told.out.splitlines()[0].split()
    assert head == ["arm", "lr", "mean", "std", "n"]


@pytest.mark.usefixtures("listed")
def test_an_interruption_names_the_command_that_resumes(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("alexnet.experiments.run.run_experiment", interrupted)
    told = command("experiment", "run", "tiny", "--quick", "--out", tmp_path / "my out")
    assert told.code == 130
    assert f"alexnet experiment run tiny --quick --out '{tmp_path / 'my out'}'" in told.err


@pytest.mark.usefixtures("listed")
def test_run_prints_the_result_file(command: Command, own_out: Path) -> None:
    told = command("experiment", "run", "tiny", "--quick", "--out", own_out, "--json")
    assert json.loads(told.out) == {"schema": 1, **json.loads((own_out / RESULT).read_text())}


@pytest.mark.slow
@pytest.mark.usefixtures("listed")
def test_more_seeds_are_announced_one_by_one(command: Command, own_out: Path) -> None:
    told = command("experiment", "run", "tiny", "--quick", "--seeds", "4", "--out", own_out)
    assert "of about 28: dropout, learning rate" in told.err
    assert "of about 28: none, learning rate" in told.err


@pytest.mark.usefixtures("listed")
def test_report_writes_the_page_and_prints_the_verdicts(
    command: Command, own_out: Path, tmp_path: Path
) -> None:
    page = tmp_path / "docs" / "claims.md"
    told = command("experiment", "report", own_out, "--out", page)
    assert told.code == 0, told.err
    verdict = read_result(own_out).verdict
    assert verdict in told.out
    assert f"**Measured (quick): {verdict}.**" in page.read_text()
    told = command("experiment", "report", own_out, "--out", page, "--json")
    facts = json.loads(told.out)
    assert facts["page"] == str(page)
    (one,) = facts["verdicts"]
    assert (one["experiment"], one["protocol"], one["verdict"]) == ("tiny", "quick", verdict)
    assert (one["num_seeds"], one["is_current"], len(one["protocol_digest"])) == (3, True, 12)


@pytest.mark.usefixtures("listed")
def test_report_keeps_results(command: Command, own_out: Path, tmp_path: Path) -> None:
    keep, page = tmp_path / "kept", tmp_path / "claims.md"
    told = command("experiment", "report", own_out, "--keep", keep, "--out", page)
    assert told.code == 0, told.err
    assert [path.name for path in keep.iterdir()] == ["tiny-quick.json"]
    text = page.read_text()
    assert command("experiment", "report", keep, "--out", page).code == 0
    assert page.read_text() == text


@pytest.mark.usefixtures("constant_speed")
def test_a_dry_run_says_what_differs_and_what_it_costs(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("experiment", "run", "dropout", "--quick", "--dry-run", "--jobs", "2")
    told = command(*words)
    assert (told.code, list(tmp_path.iterdir())) == (0, [])
    facts = json.loads(command(*words, "--json").out)
    plan = Plan(experiment=EXPERIMENTS["dropout"])
    cost = format_cost(facts["minutes"])
    assert f"about {plan.num_runs}, 2 at once, {cost}, into" in " ".join(told.out.split())
    assert (facts["num_runs"], facts["jobs"]) == (plan.num_runs, 2)
    alone = json.loads(command(*words[:-1], "1", "--json").out)
    assert facts["minutes"] == pytest.approx(alone["minutes"] / 2, abs=0.1), "at the same speed"
    first, second = facts["arms"]
    assert (first["differs"], second["differs"]) == ([], ["--dropout 0"])
    assert (first["num_train_images"], first["num_test_images"]) == (2000, 10_000)
    sums = [arm["num_tuning_runs"] + arm["num_measured_runs"] for arm in facts["arms"]]
    assert sum(sums) == plan.num_runs
    assert "no-dropout --dropout 0" in told.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run dropuot --dry-rnu", "did you mean dropout"),
        ("list dropuot --jsno", "did you mean dropout"),
        ("run dropout --dry-rnu", "did you mean --dry-run"),
        ("run relu-vs-tan --quick", "did you mean relu-vs-tanh"),
        ("rnu", "did you mean run"),
        ("run relu-vs-tanh --quick --data imagenet", "--quick is not for"),
        ("run relu-vs-tanh --data imagenet", "has no imagenet protocol"),
        ("run relu-vs-tanh --data cifar10", "cifar10"),
        ("run relu-vs-tanh --seeds 0", "--seeds 0 must be at least 1"),
        ("run relu-vs-tanh --jobs 0", "--jobs 0 must be at least 1"),
        ("run --quick", "or run all of them with --all"),
        ("run dropout --all", "--all is not for NAME"),
        ("run small-data --exclude dropuot", "did you mean dropout"),
        ("list dropuot", "did you mean dropout"),
        ("report nothing", "no finished experiment"),
        ("report", "name the folders of finished experiments"),
    ],
)
def test_mistakes_are_one_sentence(
    words: str, message: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = command("experiment", *words.split())
    assert told.code == 2
    assert message in told.err
    assert told.out == ""
    assert list(tmp_path.iterdir()) == []


def test_all_run_the_shortest_first_and_one_that_fails_stops_no_other(
    command: Command,
    tiny_result: ExperimentResult,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The third of four fails; it is told at the end."""
    begun: list[str] = []

    def run(plan: Plan, out: Path, *arguments: object) -> ExperimentResult:
        begun.append(plan.experiment.name)
        assert out == tmp_path / f"{plan.experiment.name}-quick"
        if plan.experiment.name == "weight-decay":
            raise MissingDataError("no cifar10 here")
        return tiny_result

    names = "relu-vs-tanh", "dropout", "weight-decay", "init"
    monkeypatch.setattr(experiment_run, "EXPERIMENTS", {name: EXPERIMENTS[name] for name in names})
    monkeypatch.setattr(experiment_run, "measure_speeds", lambda *_: None)
    costs = {"init": 1.0, "dropout": 2.0, "weight-decay": 3.0, "relu-vs-tanh": 4.0}
    monkeypatch.setattr(
        experiment_run, "estimate_minutes", lambda plan, *_: costs[plan.experiment.name]
    )
    monkeypatch.setattr("alexnet.experiments.run.run_experiment", run)
    told = command("experiment", "run", "--all", "--quick", "--out", tmp_path)
    assert begun == list(costs)
    assert told.code == 2
    assert "1 of 4 failed: weight-decay: no cifar10 here" in told.err
    assert [line.split()[0] for line in told.out.splitlines()[2:]] == [
        name for name in costs if name != "weight-decay"
    ]
