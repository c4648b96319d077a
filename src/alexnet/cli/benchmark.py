"""`alexnet benchmark`: how fast this machine is, and whether optimized inference agrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from alexnet.cli.console import note, print_json, size_text, table
from alexnet.cli.flags import dispatch, parse
from alexnet.cli.models import with_model
from alexnet.cli.processes import is_to_be_launched, launch_again
from alexnet.cli.slow_cpu import note_slow_cpu
from alexnet.config.architecture_file import find_architecture
from alexnet.config.distributed import ONE_PROCESS, DistributedOptions
from alexnet.config.preprocessing import StoreFormat
from alexnet.config.presets import preset
from alexnet.config.recipe import Precision
from alexnet.errors import ConfigError, UsageError
from alexnet.io.text import shape_text
from alexnet.parallel.world import launched_size
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.benchmark.data import DataThroughput
    from alexnet.benchmark.memory import Memory
    from alexnet.benchmark.processes import ProcessesThroughput
    from alexnet.benchmark.throughput import Mode, Throughput
    from alexnet.benchmark.timing import Spread


HELP = """usage: alexnet benchmark KIND ...

How fast this machine is, compared with its own matrix multiplication, timed
alternately.

  train [ARCH]      training: images per second, time of each layer, memory;
                    with --devices N: of N processes, and the bytes they send
  infer [ARCH]      inference, as it is and prepared by Classifier.optimized()
  data [PRESET]     images per second: building the image store, reading,
                    augmenting
  agreement MODEL   how often the optimized model predicts the same class
                    as in float32

  alexnet benchmark train alexnet             training
  alexnet benchmark infer --batch-size 1      one image at a time
  alexnet benchmark agreement runs/NAME-001   against float32

alexnet benchmark KIND --help lists the flags of a kind."""


@dataclass(frozen=True, kw_only=True)
class NetworkFlags:
    """Measure a network's images per second, compared with the machine's matrix multiplication."""

    arch: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[ARCH]")] = "alexnet"
    """An architecture's name, or a table of your own: nets.py:NAME, or a JSON file of one."""
    batch_size: int = 128
    """Images per step."""
    repeats: int = 7
    """Measurements, alternating with the matrix multiplication."""
    precision: Precision = "auto"
    """Data type of matrix products; auto: bf16 where the hardware supports it, fp16 on GPUs with
    tensor cores for it alone (T4, V100, RTX 20), else float32."""
    compile: bool = False
    """Compile the network with torch.compile; meant for GPUs."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.repeats < 1:
            raise ConfigError("--batch-size and --repeats must be at least 1")


@dataclass(frozen=True, kw_only=True)
class TrainFlags(NetworkFlags):
    """Measure training: images per second, compared with the machine's matrix multiplication.

    Of several processes: images per second of all, efficiency, and bytes sent in a step.
    """

    distributed: DistributedOptions = ONE_PROCESS


@dataclass(frozen=True, kw_only=True)
class DataFlags:
    """Measure images per second: building the image store, reading it, augmenting."""

    preset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[PRESET]")] = "quickstart"
    """The recipe whose data set, sizes and augmentation are measured."""
    data: str = ""
    """Another data set or folder."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """Regular expression with one group that finds the class in the file name of an image, or in
    its path if the expression has a slash; unless given, classes are folders."""
    store_format: StoreFormat | None = None
    """pixels or jpeg: how the image store keeps images; unless given, as the preset."""
    repeats: int = 3
    """Measurements of each."""
    device: str = "auto"
    """Where images are augmented."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ConfigError("--repeats must be at least 1")


@dataclass(frozen=True, kw_only=True)
class AgreementFlags:
    """Measure how often the optimized model predicts the same class as in float32."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    data: str = ""
    """A data set or folder; unless given, the one the model was trained on."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """Regular expression with one group that finds the class in the file name of an image, or in
    its path if the expression has a slash; unless given, classes are folders."""
    batch_size: int = 1
    """Images at a time; CPUs without int8 instructions use another kernel for up to 8."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError("--batch-size must be at least 1")


def run(arguments: Sequence[str]) -> int:
    """Measure and print."""
    return dispatch(arguments, BENCHMARKS, HELP, "kind of benchmark")


def _train(words: Sequence[str]) -> int:
    flags = parse(TrainFlags, words, "benchmark train")
    if is_to_be_launched(devices := flags.distributed.devices):
        return launch_again("benchmark", ["train", *words], devices)
    if launched_size() > 1:
        return _processes(flags)
    if flags.distributed != ONE_PROCESS:
        raise UsageError(
            "--parallel, --exchange, --gradient-compression and --sync-batch-norm need several "
            "processes: add --devices 2"
        )
    return _network("train", flags)


def _processes(flags: TrainFlags) -> int:
    from alexnet.benchmark.processes import benchmark_processes
    from alexnet.parallel.device import device_in_world
    from alexnet.parallel.world import current_world

    world = current_world()
    device = device_in_world(flags.device, flags.precision, world)
    if flags.compile:
        raise UsageError("--compile works with one process only; leave out --compile or --devices")
    arch = find_architecture(flags.arch)
    note(
        f"train {arch.name}, batch {flags.batch_size}, {world.size} processes on {device.type}: "
        f"{flags.repeats} repeats"
    )
    note_slow_cpu(flags.device)
    result = benchmark_processes(
        arch, flags.batch_size, flags.repeats, device, flags.precision, flags.distributed
    )
    if flags.json:
        print_json(result)
    else:
        print(_processes_text(result))
    return 0


def _infer(words: Sequence[str]) -> int:
    return _network("infer", parse(NetworkFlags, words, "benchmark infer"))


def _network(mode: Mode, flags: NetworkFlags) -> int:
    from alexnet.benchmark.throughput import benchmark_network
    from alexnet.runtime.device import choose_device

    device = choose_device(flags.device)
    arch = find_architecture(flags.arch)
    note(f"{mode} {arch.name}, batch {flags.batch_size}, on {device}: {flags.repeats} repeats")
    note_slow_cpu(flags.device)
    result = benchmark_network(
        mode,
        arch,
        flags.batch_size,
        flags.repeats,
        device,
        flags.precision,
        compile=flags.compile,
    )
    if flags.json:
        print_json(result)
    else:
        print(_text(result))
    return 0


def _data(words: Sequence[str]) -> int:
    flags = parse(DataFlags, words, "benchmark data")
    from dataclasses import replace

    from alexnet.benchmark.data import benchmark_data
    from alexnet.runtime.device import choose_device

    recipe = preset(flags.preset)
    store_format = flags.store_format or recipe.data_options.store_format
    options = replace(recipe.data_options, label_from=flags.label_from, store_format=store_format)
    recipe = replace(
        recipe,
        data=flags.data or recipe.data,
        data_root=flags.data_root,
        data_options=options,
    )
    note(f"{recipe.data}, as {recipe.name} uses it: {flags.repeats} repeats")
    note_slow_cpu(flags.device)
    with ProgressReporter() as reporter:
        result = benchmark_data(recipe, flags.repeats, choose_device(flags.device), reporter)
    if flags.json:
        print_json(result)
    else:
        print(_data_text(result))
    return 0


def _agreement(words: Sequence[str]) -> int:
    flags = with_model(parse(AgreementFlags, words, "benchmark agreement"), "model")
    import numpy as np

    from alexnet.benchmark.agreement import benchmark_agreement
    from alexnet.evaluation.evaluator import open_evaluation_data
    from alexnet.inference.classifier import load

    classifier = load(flags.model, flags.device)
    with ProgressReporter() as reporter:
        store = open_evaluation_data(
            classifier, flags.data, flags.data_root, reporter, flags.label_from
        )
    result = benchmark_agreement(classifier, store, np.flatnonzero(store.usable), flags.batch_size)
    text = (
        f"same top-1 class for {result.num_agreeing:,} of {result.num_images:,} images "
        f"({result.top1_agreement:.2%}), {result.batch_size} at a time; "
        f"probabilities differ by at most {result.max_probability_difference:.4f}"
    )
    if flags.json:
        print_json(result)
    else:
        print(text)
    return 0


BENCHMARKS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": _train,
    "infer": _infer,
    "data": _data,
    "agreement": _agreement,
}


def _range(values: Spread, unit: str) -> str:
    low, high = f"{values.low:,.1f}", f"{values.high:,.1f}"
    return f"{values.median:,.1f} {unit}  ({low} to {high}, n = {values.n})"


def _text(result: Throughput) -> str:
    rows = [
        (
            layer.name,
            shape_text(layer.output),
            f"{1e3 * layer.forward_seconds:.2f}",
            f"{layer.forward_gflops:,.0f}" if layer.forward_gflops else "",
            f"{1e3 * layer.backward_seconds:.2f}" if layer.backward_seconds else "",
            f"{layer.backward_gflops:,.0f}" if layer.backward_gflops else "",
        )
        for layer in result.layers
    ]
    head = ("layer", "output", "forward ms", "GFLOP/s", "backward ms", "GFLOP/s")
    machine, optimized = result.environment, result.optimized_memory
    return "\n".join(
        (
            table(head, rows, left=2),
            "",
            f"{result.mode:<15} {_range(result.images_per_second, 'images/s')}",
            *_optimized(result),
            f"matmul          {_range(result.matmul_gflops, 'GFLOP/s')}, {result.precision}",
            f"of matmul peak  {result.matmul_utilization:.1%}",
            f"memory          {_memory_text(result.memory)}",
            *([f"optimized       {_memory_text(optimized)}"] if optimized else []),
            f"machine         {machine.device_name}, {machine.threads} threads, "
            f"torch {machine.torch}, kernels: {machine.kernels}",
        )
    )


def _processes_text(result: ProcessesThroughput) -> str:
    """A text on the speed of several processes and of one alone, and on the bytes sent."""
    machine, step = result.environment, result.step_seconds
    scheme = result.parallel + (f", {result.exchange}" if result.parallel == "hybrid" else "")
    gradients = "bf16" if result.gradient_compression == "bf16" else "float32"
    rows = (
        ("processes", f"{result.processes}, {scheme}, {result.batch_size:,} images a step"),
        ("train", _range(result.images_per_second, "images/s")),
        ("step", f"{1e3 * step.median:,.0f} ms  ({1e3 * step.low:,.0f} to {1e3 * step.high:,.0f})"),
        ("one alone", f"{_range(result.alone_images_per_second, 'images/s')}, its part of a step"),
        ("efficiency", f"{result.efficiency:.1%} of {result.processes} that are alone"),
        (
            "sent in a step",
            f"{result.sent_bytes:,} bytes by the first process, counted; "
            f"{result.planned_bytes:,} by arithmetic ({gradients} gradients)",
        ),
        (
            "machine",
            f"{machine.device_name}, {machine.cores} cores, {machine.threads} threads each, "
            f"torch {machine.torch}, {result.precision}",
        ),
    )
    return "\n".join(f"{name:<15} {text}" for name, text in rows)


def _optimized(result: Throughput) -> list[str]:
    rate = result.optimized_images_per_second
    return [f"optimized       {_range(rate, 'images/s')}"] if rate else []


def _memory_text(memory: Memory | None) -> str:
    if memory is None:
        return "not measured"
    minimum = f"minimum of {size_text(memory.minimum_bytes)}"
    if memory.peak_bytes is None or memory.ratio is None:
        return f"not measured; {minimum}"
    return f"{size_text(memory.peak_bytes)}, {memory.ratio:.2f} times the {minimum}"


def _data_text(result: DataThroughput) -> str:
    return "\n".join(
        (
            f"{result.data}: {result.num_images:,} images, {result.store_bytes / 2**20:,.0f} MiB "
            f"stored, {result.cores} cores",
            f"prepare  {_range(result.prepare_per_second, 'images/s')}",
            f"read     {_range(result.read_per_second, 'images/s')}",
            f"augment  {_range(result.augment_per_second, 'images/s')}",
        )
    )
