"""Experiments end to end on drawn pictures: tuned, run, stopped, gone on with, judged, reported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.recipe import LRSchedule, Recipe
from alexnet.config.serialization import from_dict, to_dict
from alexnet.errors import DivergedError, ModelFileError, UsageError
from alexnet.experiments import catalogue
from alexnet.experiments import measure as measuring
from alexnet.experiments import run as running
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol
from alexnet.experiments.outcome import Outcome, read_outcome
from alexnet.experiments.plan import TUNING_SEED, Plan
from alexnet.experiments.plots import draw
from alexnet.experiments.results import Findings, read_findings
from alexnet.experiments.run import run_experiment
from alexnet.experiments.summary_page import NOT_RUN, write_page
from alexnet.records import EpochRecord
from alexnet.reporter import NullReporter, Reporter, StepReport
from alexnet.training.run_folder import read_recipe
from support.commands import Command

RATES = (0.001, 0.01)


@pytest.fixture
def experiment(tiny: Recipe) -> Experiment:
    """Two arms that train and one that only looks ten times, on drawn flowers; eight runs."""
    base = replace(tiny, epochs=1, schedule=LRSchedule())
    return Experiment(
        name="tiny",
        claim="Dropout helps.",
        source="nobody",
        expected="nothing",
        limits="Nothing can be said.",
        measure="test_error",
        arms=(
            Arm(name="dropout"),
            Arm(name="dropout-ten", crops=10),
            Arm(name="none", changes={"model.dropout": 0.0}),
        ),
        comparisons=(
            Comparison(name="it helps", better=("dropout",), worse=("none",), at_least=0.01),
            Comparison(
                name="views help",
                better=("dropout-ten",),
                worse=("dropout",),
                at_least=0.01,
                is_claim=False,
            ),
        ),
        protocols={
            "quick": Protocol(base=base, rates=RATES, tuning_epochs=1, tuning_share=0.4),
            "full": Protocol(base=base, rates=(0.001,)),
        },
    )


class Announcements:
    """Remembers the headings, and may stop the process at a step of a run."""

    def __init__(self, stop_at_run: int = 0) -> None:
        self.headings: list[str] = []
        self.stop_at_run = stop_at_run

    def __call__(self, heading: str) -> Reporter:
        self.headings.append(heading)
        return Stopper() if len(self.headings) == self.stop_at_run else NullReporter()


class Stopper(NullReporter):
    def on_step(self, report: StepReport) -> None:
        if report.step == 3:
            raise KeyboardInterrupt


def files(out: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(out.rglob("result.json"))}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where the finished experiment is, once a test has run it."""
    return {"out": tmp_path_factory.mktemp("experiment") / "out"}


@pytest.fixture
def out(experiment: Experiment, begun: dict[str, Path], no_plots: None) -> Path:
    """The experiment, finished; look at it and do not change it."""
    if not begun["out"].exists():
        told = Announcements()
        run_experiment(Plan(experiment=experiment), begun["out"], told)
        begun["out"].with_name("headings.json").write_text(json.dumps(told.headings))
    return begun["out"]


@pytest.fixture
def own_out(out: Path, tmp_path: Path) -> Path:
    """A copy of the finished experiment, to write into."""
    return Path(shutil.copytree(out, tmp_path / "own"))


def test_every_arm_tries_the_grid_and_runs_every_seed(out: Path) -> None:
    headings = json.loads(out.with_name("headings.json").read_text())
    assert [heading.split(":")[0] for heading in headings] == [
        f"run {number} of 10" for number in range(1, 11)
    ]
    names = {path.name for path in (out / "runs").iterdir()}
    assert {f"{arm}-r{rate:g}-tuning" for arm in ("dropout", "none") for rate in RATES} < names
    assert len(names) == 10
    assert not any("ten" in name for name in names), "ten views need no training of their own"


def test_rates_are_tuned_by_pictures_out_of_the_training_and_never_by_the_test(out: Path) -> None:
    for path in (out / "runs").iterdir():
        recipe = read_recipe(path / "config.json")
        is_tuning = path.name.endswith("tuning")
        assert (recipe.seed == TUNING_SEED) == is_tuning
        assert recipe.data_options.val_fraction == (0.4 if is_tuning else 0.0)
        held = json.loads((path / "metrics.jsonl").read_text().splitlines()[0])["eval_split"]
        assert held == "val" if is_tuning else held


def test_the_rate_with_the_fewest_validation_errors_is_taken(out: Path) -> None:
    findings = read_findings(out)
    for arm in (findings.arm("dropout"), findings.arm("none")):
        assert [trial.rate for trial in arm.trials] == list(RATES)
        best = min(arm.trials, key=lambda trial: (trial.val_error, trial.val_loss))
        assert arm.recipe.optimizer.lr == best.rate
    assert findings.arm("dropout-ten").recipe == findings.arm("dropout").recipe


def test_values_are_the_outcomes_of_the_runs(out: Path) -> None:
    findings = read_findings(out)
    for name, views in (("dropout", 1), ("dropout-ten", 10), ("none", 1)):
        arm = findings.arm(name)
        rate = arm.recipe.optimizer.lr
        trained = name.removesuffix("-ten")
        runs = [out / "runs" / f"{trained}-r{rate:g}-s{seed}" for seed in range(3)]
        outcomes = [read_outcome(run / f"outcome-{views}.json") for run in runs]
        assert arm.values == tuple(outcome.value for outcome in outcomes)
        assert arm.mean == pytest.approx(sum(arm.values) / 3)
        for outcome, run in zip(outcomes, runs, strict=True):
            assert len(outcome.pictures) == 12
            assert outcome.value == len(outcome.wrong) / 12
            test = json.loads((run / "result.json").read_text())["test"]
            assert views == 10 or outcome.value == pytest.approx(test["top1_error"])


def test_the_result_can_be_read_again(out: Path) -> None:
    findings = read_findings(out)
    assert from_dict(Findings, to_dict(findings)) == findings
    text = (out / "result.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert findings.environment.torch
    assert findings.seeds == (0, 1, 2)
    assert findings.arm("none").recipe.model.dropout == 0


def test_the_report_has_the_verdict_and_every_number(out: Path) -> None:
    findings, text = read_findings(out), (out / "report.md").read_text()
    assert text.startswith(f"# tiny: {findings.verdict}\n")
    assert "beside the claim" in text
    for arm in findings.arms:
        assert f"| {arm.name} |" in text
        assert f"{100 * arm.mean:.2f} %" in text


def test_nothing_that_is_finished_is_run_again(experiment: Experiment, own_out: Path) -> None:
    before, told = files(own_out / "runs"), Announcements()
    findings = run_experiment(Plan(experiment=experiment), own_out, told)
    assert told.headings == []
    assert files(own_out / "runs") == before
    assert findings == read_findings(own_out)


def test_an_interrupted_experiment_ends_as_if_it_had_not_been(
    experiment: Experiment, out: Path, tmp_path: Path
) -> None:
    stopped, plan = tmp_path / "stopped", Plan(experiment=experiment)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(plan, stopped, Announcements(stop_at_run=6))
    assert not (stopped / "result.json").exists()
    before = files(stopped)
    assert len(before) == 5
    killed_early = next((out / "runs").glob("none-*-s2")).name
    (stopped / "runs" / killed_early).mkdir()
    told = Announcements()
    findings = run_experiment(plan, stopped, told)
    assert [heading.split(":")[0] for heading in told.headings] == [
        f"run {number} of 10" for number in range(6, 11)
    ]
    assert before.items() <= files(stopped).items()
    assert [arm.values for arm in findings.arms] == [a.values for a in read_findings(out).arms]


def test_more_seeds_are_added(experiment: Experiment, own_out: Path) -> None:
    told = Announcements()
    findings = run_experiment(Plan(experiment=experiment, num_seeds=4), own_out, told)
    assert len(told.headings) == 2
    assert all("seed 3" in heading for heading in told.headings)
    assert [len(arm.values) for arm in findings.arms] == [4, 4, 4]


def test_models_are_removed_once_they_are_judged(experiment: Experiment, own_out: Path) -> None:
    assert not list(own_out.rglob("model.safetensors"))
    lost = next(own_out.glob("runs/none-*-s1/outcome-1.json"))
    value = read_outcome(lost)
    lost.unlink()
    told = Announcements()
    run_experiment(Plan(experiment=experiment), own_out, told, keeps_models=True)
    assert len(told.headings) == 1
    assert "none" in told.headings[0]
    assert "seed 1" in told.headings[0]
    assert read_outcome(lost) == value
    assert [path.parent for path in own_out.rglob("model.safetensors")] == [lost.parent]


def test_folders_of_something_else_are_refused(
    experiment: Experiment, own_out: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="holds the experiment tiny quick"):
        run_experiment(Plan(experiment=experiment, protocol_name="full"), own_out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="holds no experiment"):
        run_experiment(Plan(experiment=experiment), tmp_path / "mine")
    longer = replace(experiment.protocols["quick"].base, epochs=2)
    changed = replace(experiment.protocols["quick"], base=longer)
    other = replace(experiment, protocols={"quick": changed})
    with pytest.raises(UsageError, match="another recipe"):
        run_experiment(Plan(experiment=other), own_out)


def diverge_at(monkeypatch: pytest.MonkeyPatch, rates: Mapping[str, tuple[float, ...]]) -> None:
    """Trainings of an arm at some rates end with a loss that is not finite."""
    train = running.train

    def diverging(recipe: Recipe, *, out: Path, reporter: Reporter) -> object:
        arm = recipe.name.removeprefix("tiny-")
        if recipe.optimizer.lr in rates.get(arm, ()):
            out.mkdir(parents=True)
            (out / "config.json").write_text(json.dumps(to_dict(recipe)))
            raise DivergedError("the loss is inf")
        return train(recipe, out=out, reporter=reporter)

    monkeypatch.setattr(running, "train", diverging)


@pytest.mark.usefixtures("no_plots")
def test_a_rate_that_diverges_is_not_taken_and_not_tried_again(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge_at(monkeypatch, {"dropout": (0.01,), "none": (0.001, 0.01)})
    told, plan = Announcements(), Plan(experiment=experiment)
    for _ in range(2):
        with pytest.raises(Exception, match=r"every rate .* diverges with none"):
            run_experiment(plan, tmp_path / "out", told)
    assert len(told.headings) == 4
    trials = running.tried(
        running.Session(plan, tmp_path / "out", told, keeps_models=False), plan.arms[0]
    )
    assert [trial.has_diverged for trial in trials] == [False, True]
    assert running.chosen_rate(plan, plan.arms[0], {"dropout": trials}) == 0.001


@pytest.mark.usefixtures("no_plots")
def test_a_measured_run_that_diverges_knows_nothing(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge_at(monkeypatch, {"none": (0.001,)})
    plan = Plan(experiment=experiment, protocol_name="full")
    findings = run_experiment(plan, tmp_path / "out")
    assert findings.arm("none").diverged == (True, True, True)
    assert findings.arm("none").values == (1.0, 1.0, 1.0)
    effect = findings.comparisons[0].interval
    assert effect.estimate == pytest.approx(1 - findings.arm("dropout").mean)


def test_a_left_out_arm_takes_its_comparisons_along(experiment: Experiment) -> None:
    plan = Plan(experiment=experiment, without=("dropout-ten",))
    assert [comparison.name for comparison in plan.comparisons] == ["it helps"]
    with pytest.raises(UsageError, match="did you mean none"):
        Plan(experiment=experiment, without=("non",))
    with pytest.raises(UsageError, match="nothing is left to compare"):
        Plan(experiment=experiment, without=("dropout",))


# what is measured


def history(*errors: float) -> list[EpochRecord]:
    """Epochs with these training errors."""
    return [
        EpochRecord(
            epoch=epoch,
            step=epoch,
            lr=0.1,
            train_loss=1.0,
            train_top1_error=error,
            train_top5_error=0.0,
            eval_split=None,
            eval_loss=None,
            eval_top1_error=None,
            eval_top5_error=None,
            layers=(),
        )
        for epoch, error in enumerate(errors, 1)
    ]


@pytest.mark.parametrize(
    ("errors", "value", "is_bound"),
    [
        ((0.6, 0.4, 0.2), 1.5 + (0.4 - 0.25) / (0.4 - 0.2), False),
        ((0.2,), 0.5 * (1 - 0.25) / (1 - 0.2), False),
        ((0.6, 0.25), 1.5, False),
        ((0.6, 0.5, 0.26), 2.5, True),
        ((0.6, 0.2, 0.7), 0.5 + (0.6 - 0.25) / (0.6 - 0.2), False),
    ],
)
def test_epochs_to_an_error_by_hand(
    errors: tuple[float, ...], value: float, is_bound: bool
) -> None:
    recipe = Recipe(target_train_error=0.25)
    outcome = measuring.epochs_to_error(history(*errors), recipe)
    assert outcome == Outcome(value=pytest.approx(value), is_bound=is_bound)  # type: ignore[arg-type]


def test_a_diverged_run_never_gets_to_its_goal() -> None:
    recipe = Recipe(epochs=12, target_train_error=0.25)
    outcome = measuring.measure_diverged(recipe, "epochs_to_error")
    assert (outcome.value, outcome.is_bound) == (11.5, True)


# the command


@pytest.fixture
def listed(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny experiment in the place of one that ships."""
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny", experiment)


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("said", "code"), [("reproduced", 0), ("undecided", 0), ("not reproduced", 1)]
)
def test_the_exit_code_is_1_only_where_a_claim_failed(
    said: str, code: int, command: Command, own_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.experiments.results.overall", lambda verdicts: said)
    told = command("experiment", "run", "tiny", "--quick", "--out", own_out)
    assert told.code == code, told.err
    assert f"tiny: {said}" in told.out
    assert str(own_out / "report.md") in told.out


@pytest.mark.usefixtures("listed")
def test_an_interruption_says_how_to_go_on(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run_experiment", stopped)
    told = command("experiment", "run", "tiny", "--quick", "--out", tmp_path / "my out")
    assert told.code == 130
    assert f"alexnet experiment run tiny --quick --out '{tmp_path / 'my out'}'" in told.err


@pytest.mark.usefixtures("listed")
def test_run_prints_the_result_file(command: Command, own_out: Path) -> None:
    told = command("experiment", "run", "tiny", "--quick", "--out", own_out, "--json")
    assert told.out == (own_out / "result.json").read_text()


@pytest.mark.usefixtures("listed")
def test_the_page_has_what_was_run_and_names_what_was_not(
    command: Command, own_out: Path, tmp_path: Path
) -> None:
    (own_out / "plot.png").write_bytes(b"a picture")
    page = tmp_path / "docs" / "claims.md"
    told = command("experiment", "report", own_out, "--out", page)
    assert told.code == 0, told.err
    findings, text = read_findings(own_out), page.read_text()
    assert findings.verdict in told.out
    assert f"**Measured (quick): {findings.verdict}.**" in text
    picture = page.parent / "images" / "claims" / "tiny-quick.png"
    assert picture.read_bytes() == b"a picture"
    assert "(images/claims/tiny-quick.png)" in text
    others = len(catalogue.EXPERIMENTS) - 1
    assert text.count(f"**Measured:** {NOT_RUN}.") == others
    with pytest.raises(UsageError, match="both hold tiny"):
        write_page([own_out, own_out], page)


def test_the_picture_shows_curves_and_effects(out: Path, experiment: Experiment) -> None:
    findings = read_findings(out)
    curves = {arm.name: [history(0.5, 0.4)] * 3 for arm in Plan(experiment=experiment).trained_arms}
    figure = draw(findings, curves)
    assert len(figure.axes) == 3
    sizes = replace(findings, arms=tuple(replace(a, series=a.name, at=5) for a in findings.arms))
    assert len(draw(sizes, curves).axes) == 2
    said = " ".join(text.get_text() for text in figure.axes[-1].texts)
    assert all(one.name in said and one.verdict in said for one in findings.comparisons)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run relu-vs-tan --quick", "did you mean relu-vs-tanh"),
        ("rnu", "did you mean run"),
        ("run relu-vs-tanh --quick --data imagenet", "--quick is not for"),
        ("run relu-vs-tanh --data imagenet", "has no imagenet protocol"),
        ("run relu-vs-tanh --data cifar10", "cifar10"),
        ("run relu-vs-tanh --seeds -1", "--seeds -1"),
        ("run small-data --without dropuot", "did you mean dropout"),
        ("list dropuot", "did you mean dropout"),
        ("report nothing", "no finished experiment"),
    ],
)
def test_mistakes_are_one_sentence(
    words: str, said: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = command("experiment", *words.split())
    assert told.code == 2
    assert said in told.err
    assert told.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_result_is_named(own_out: Path) -> None:
    (own_out / "result.json").write_text('{"format": 1')
    with pytest.raises(ModelFileError, match=r"result\.json cannot be read"):
        read_findings(own_out)
