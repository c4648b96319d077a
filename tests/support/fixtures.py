"""Fixtures for all tests: goldens, a cache of its own, tiny flowers, a tiny trained run."""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings

import alexnet
from alexnet import plots
from alexnet.checkpoints.model_file import load_model, save_model
from alexnet.cli import main
from alexnet.config.augmentation import Augmentation
from alexnet.config.recipe import DataOptions, LRSchedule, OptimizerOptions, Recipe
from alexnet.data.datasets.toyflowers import dataset as toyflowers
from alexnet.models.variants import ModelOptions
from alexnet.training.data import prepare_data
from alexnet.training.run_folder import RunFolder
from alexnet.training.trainer import train
from support.commands import Alexnet, Command, CommandResult
from support.json_outputs import check_json
from support.places import SHARED
from support.processes import Processes, start_processes
from support.runs import SetAside, Witness, empty_plot

pytest_plugins = ["support.experiments"]

# Derandomized, so that a failure can be repeated. No deadline, since the machine may be busy.
settings.register_profile("alexnet", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("alexnet")

SLOW_FIXTURES = frozenset({"pair", "four", "onnx_exports"})
"""Of processes that import torch, and of torch's ONNX exporter: what uses one is a slow test."""

SAVE_PLOT = plots.save_plot
"""The real one, also while a test replaces it."""
NUMBERS = itertools.count()
"""For the folders of tests and their caches, in this session."""


def pytest_itemcollected(item: pytest.Item) -> None:
    if not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """The garbage collector does not look at thousands of tests again and again."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """SIGINT raises KeyboardInterrupt, even if these tests run as a background job of a shell."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """No flush to the disk: what a test reads again comes from the system's memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout, or $ALEXNET_SHARED."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder {SHARED} with goldens and data; or set ALEXNET_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def built_kernels(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where kernels are kept between sessions: their names are digests of source and compiler."""
    cache = getattr(pytestconfig, "cache", None)  # absent under -p no:cacheprovider
    return cache.mkdir("kernels") if cache else tmp_path_factory.mktemp("kernels")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests have their folders."""
    return tmp_path_factory.mktemp("tests")


@pytest.fixture
def tmp_path(folders: Path, request: pytest.FixtureRequest) -> Path:
    """As pytest's own, which finds its number by a look at the folders of all earlier tests."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = folders / f"{name}{next(NUMBERS)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session")
def new_cache(tmp_path_factory: pytest.TempPathFactory, built_kernels: Path) -> Callable[[], Path]:
    """Makes a cache folder that has the kernels already."""
    parent = tmp_path_factory.mktemp("caches")

    def make() -> Path:
        folder = parent / str(next(NUMBERS))
        folder.mkdir()
        (folder / "kernels").symlink_to(built_kernels)
        return folder

    return make


@pytest.fixture(autouse=True)
def cache(new_cache: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for this test alone, so that none reads or writes the user's; no network."""
    folder = new_cache()
    monkeypatch.setenv("ALEXNET_CACHE", str(folder))
    monkeypatch.delenv("ALEXNET_DATA", raising=False)
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    return folder


@pytest.fixture(scope="session")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic flowers of 40 pixels: 12 classes, each with 3 train, 1 val and 1 test image."""
    folder = tmp_path_factory.mktemp("pictures") / "flowers"
    toyflowers.write(folder, train_per_class=3, val_per_class=1, test_per_class=1, side=40)
    return folder


@pytest.fixture
def set_aside(flowers: Path, tmp_path: Path) -> SetAside:
    """Copies some splits of the flowers into a folder that a test may change."""

    def copy(*splits: str) -> Path:
        for split in splits:
            shutil.copytree(flowers / split, tmp_path / "data" / split)
        return tmp_path / "data"

    return copy


@pytest.fixture(scope="session")
def tiny(flowers: Path) -> Recipe:
    """A recipe of 3 epochs of 4 steps; change it with `dataclasses.replace`."""
    return Recipe(
        name="tiny",
        data=str(flowers),
        arch="alexnet_bn",
        model=ModelOptions(width=0.05, input_size=67),
        data_options=DataOptions(resize_size=72),
        augment=Augmentation(min_scale=0.5, max_aspect_ratio=1.2),
        optimizer=OptimizerOptions(optimizer="adamw", lr=2e-3),
        schedule=LRSchedule(schedule="cosine", warmup_steps=2),
        epochs=3,
        batch_size=8,
        precision="float32",
        keep_state=False,  # its header holds measured times; all other files can be compared
    )


@pytest.fixture(scope="session")
def flowers_cache(tiny: Recipe, new_cache: Callable[[], Path]) -> Path:
    """A cache with the image store of the tiny recipe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_CACHE", str(folder := new_cache()))
        prepare_data(tiny)
    return folder


@pytest.fixture
def prepared_flowers(flowers_cache: Path, cache: Path) -> None:
    """The test's cache has a copy of the tiny recipe's image store, which need not be built."""
    shutil.copytree(flowers_cache / "stores", cache / "stores")


@pytest.fixture(scope="session")
def trained_once(
    tiny: Recipe, flowers_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """The tiny run, finished; tests must not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_CACHE", str(flowers_cache))
        out = tmp_path_factory.mktemp("runs") / "tiny"
        return train(tiny, out=out, save_plot=SAVE_PLOT).folder


@pytest.fixture
def trained(trained_once: RunFolder, prepared_flowers: None) -> RunFolder:
    """As `trained_once`, and its image store is there."""
    return trained_once


@pytest.fixture
def own(trained: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the trained run that a test may change."""
    return RunFolder(Path(shutil.copytree(trained.path, tmp_path / "own")))


@pytest.fixture
def auto(own: RunFolder) -> Path:
    """The tiny run as if it had been trained with the default precision."""
    weights, info, mean_image = load_model(own.model)
    recipe = replace(info.recipe, precision="auto")
    copies = {name: tensor.clone() for name, tensor in weights.items()}
    save_model(own.model, copies, replace(info, recipe=recipe), mean_image)
    return own.path


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty plots and no report, for tests that train by a command or in an experiment."""
    importlib.import_module("alexnet.api.runs")  # imported below, it would keep one of these
    monkeypatch.setattr("alexnet.reports.run_report.write_run_report", lambda *_, **__: None)
    monkeypatch.setattr("alexnet.plots.save_plot", empty_plot)
    monkeypatch.setattr("alexnet.plots.save", empty_plot)
    for figure in ("confusion", "reliability_diagram", "top_losses"):  # built before they are saved
        monkeypatch.setattr(f"alexnet.evaluation.report.{figure}", lambda *_, **__: None)


@pytest.fixture(scope="session")
def small(tiny: Recipe) -> Recipe:
    """A LeNet for 3 epochs of 4 steps, saved after every second step; the best is not the last."""
    return replace(
        tiny,
        arch="lenet5",
        model=ModelOptions(width=0.5),
        data_options=DataOptions(resize_size=32),
        optimizer=OptimizerOptions(optimizer="paper", lr=0.01),
        save_every_minutes=1e6,
        save_every_steps=2,
    )


@pytest.fixture(scope="session")
def small_cache(new_cache: Callable[[], Path]) -> Path:
    """The cache with the small recipe's image store."""
    return new_cache()


@pytest.fixture(scope="session")
def small_whole(
    small: Recipe, small_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """The small run, uninterrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_CACHE", str(small_cache))
        out = tmp_path_factory.mktemp("small") / "whole"
        return train(small, out=out, save_plot=empty_plot).folder


@pytest.fixture
def small_place(
    small_whole: RunFolder, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunFolder:
    """Where a test may run the small recipe, whose image store is there already."""
    monkeypatch.setenv("ALEXNET_CACHE", str(small_cache))
    return RunFolder(tmp_path / "run")


@pytest.fixture(scope="session")
def pair() -> Iterator[Processes]:
    """Two connected processes."""
    with start_processes(2) as processes:
        yield processes


@pytest.fixture(scope="session")
def four() -> Iterator[Processes]:
    """Four connected processes, for slow tests."""
    with start_processes(4) as processes:
        yield processes


@pytest.fixture
def witness() -> Witness:
    """A reporter that remembers what was reported."""
    return Witness()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs one command in this process, as a terminal of 200 columns would.

    What it prints with --json must be as its JSON Schema says.
    """
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> CommandResult:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        if "--json" in words and code in (0, 1) and captured.out:
            check_json([str(word) for word in words], captured.out)
        return CommandResult(code, captured.out, captured.err)

    return run


@pytest.fixture
def alexnet_process() -> Iterator[Alexnet]:
    """Starts `python -m alexnet WORDS` as a subprocess with as many threads as this one."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: object, cwd: Path | None = None) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(torch.get_num_threads()),
            "PYTHONUNBUFFERED": "",
            "PYTHONPATH": str(Path(alexnet.__file__).parents[1]),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "alexnet", *map(str, words)],
            env=environment,
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
