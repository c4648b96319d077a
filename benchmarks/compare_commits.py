"""Compares the bits that two commits compute.

    python benchmarks/compare_commits.py BEFORE [AFTER]

BEFORE and AFTER are git revisions; AFTER is the working tree unless given. BEFORE may also be a
file that --out wrote earlier on this machine. Each commit runs alone: a worktree, a cache and
kernels of its own, one thread. It trains the paper's, the batch-norm, the notebook's and LeNet's
nets, is stopped and resumed once, pretrains without labels, evaluates and predicts; then sha256
digests are printed side by side.

Names may differ between the commits: numbers are compared, not their keys, and a flag that was
renamed is given as the commit's own --help prints it. "Not measured" may be null, -1 or absent.
Exit 0: identical; 1: different, or a command failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

REPOSITORY = Path(__file__).resolve().parents[1]
WORKING_TREE = "working tree"
Digests: TypeAlias = dict[str, str]

CROPS = ("--crops", "--views")
AGREEMENT = ("agreement", "agree")
SAVE_EVERY = ("--save-every-steps",)
CHECKPOINTS = ("checkpoint*/*.safetensors", "state*/*.safetensors", "state.safetensors")
MEASURED_TIME = ("second", "wait", "duration")
"""Parts of the keys whose numbers differ from run to run."""
PER_CLASS = {"train": 8, "val": 3, "test": 3}
"""Number of images per class in each split of the small folder that most runs train on."""

NARROW = ("--width", "0.125", "--seed", "3")
RUNS: dict[str, tuple[str, ...]] = {
    "paper": ("train", "imagenet_2012", "--arch", "alexnet", "--epochs", "2", *NARROW),
    "batch norm": ("train", "quickstart", "--epochs", "3", *NARROW),
    "notebook": ("train", "notebook", "--epochs", "2", *NARROW),
    "lenet": ("train", "mnist_lenet", "--epochs", "3", "--seed", "3"),
    "autoencoder": ("pretrain", "autoencoder", "quickstart", "--epochs", "1", *NARROW),
    "rbm": ("pretrain", "rbm", "quickstart", "--epochs", "1", *NARROW),
}


class CommandError(Exception):
    """A command of a commit failed."""


@dataclass(frozen=True)
class Commit:
    """One side of the comparison: a checkout, and a folder for its runs."""

    name: str
    source: Path
    """Folder of the commit's checkout."""
    folder: Path
    """An empty folder for its cache and runs."""

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `python -m alexnet WORDS` in this checkout."""
        environment = os.environ | {
            "PYTHONPATH": str(self.source / "src"),
            "ALEXNET_CACHE": str(self.folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }
        environment.pop("ALEXNET_DATA", None)
        return subprocess.Popen(
            (sys.executable, "-m", "alexnet", *words),
            env=environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str) -> str:
        """Run `alexnet WORDS`, and return what it prints.

        Raises:
            CommandError: it failed.
        """
        process = self.start(*words)
        out, err = process.communicate()
        if process.returncode:
            raise CommandError(f"{self.name}: alexnet {' '.join(words)}\n{err.strip()[-2000:]}")
        return out

    def spelling(self, known: tuple[str, ...], *words: str) -> str:
        """The first of several spellings of a flag that this commit's help prints.

        Raises:
            CommandError: none of them.
        """
        text = self.run(*words, "--help").split()
        for spelling in known:
            if any(word.rstrip(",") == spelling for word in text):
                return spelling
        raise CommandError(f"{self.name}: alexnet {' '.join(words)} knows none of {known}")


def is_measured(value: object, key: str) -> bool:
    """Whether a JSON value is a measured number, and not -1 (not measured), a choice or a time."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value != -1 and not any(part in key for part in MEASURED_TIME)


def numbers(plain: object, key: str = "") -> Iterator[float]:
    """The measured numbers in a JSON value, in order."""
    if isinstance(plain, dict):
        for name, value in plain.items():
            yield from numbers(value, name)
    elif isinstance(plain, list):
        for value in plain:
            yield from numbers(value, key)
    elif is_measured(plain, key):
        yield float(plain)  # type: ignore[arg-type]


def digest(parts: Iterable[bytes]) -> str:
    """The SHA-256 digest of the parts, each preceded by its length."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()


def digest_numbers(texts: Iterable[str]) -> str:
    """The digest of the measured numbers in JSON texts.

    Raises:
        CommandError: there is none, so that nothing would be compared.
    """
    found = [repr(number).encode() for text in texts for number in numbers(json.loads(text))]
    if not found:
        raise CommandError("no number was measured")
    return digest(found)


def tensors(path: Path) -> dict[str, bytes]:
    """Type, shape and bytes of every tensor of a safetensors file, by name."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            kind = f"{entry['dtype']} {entry['shape']} ".encode()
            found[name] = kind + content[start + first : start + last]
    return found


def digest_weights(path: Path) -> str:
    """The digest of a model's tensors, in the order of their names."""
    return digest(part for _, part in sorted(tensors(path).items()))


def digest_checkpoint(path: Path) -> str:
    """The digest of a checkpoint's tensors, whatever their names."""
    return digest(sorted(tensors(path).values()))


def small_folder(commit: Commit) -> Path:
    """Copy some of the generated flowers into a folder of splits and classes."""
    target = commit.folder / "flowers"
    for split, count in PER_CLASS.items():
        for folder in sorted((commit.folder / "cache").glob(f"**/{split}/*/")):
            for image in sorted(folder.iterdir())[:count]:
                into = target / split / folder.name
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy2(image, into)
    if not target.exists():
        raise CommandError(f"{commit.name}: the cache has no generated flowers")
    return target


def interrupt_after_first_checkpoint(commit: Commit, words: tuple[str, ...], out: Path) -> Path:
    """Begin a run, keep a copy of its first checkpoint, and stop it.

    Raises:
        CommandError: it ended before it had saved one.
    """
    process, copy = commit.start(*words, "--out", str(out)), out.with_suffix(".checkpoint")
    while process.poll() is None:
        found = sorted(path for pattern in CHECKPOINTS for path in out.glob(pattern))
        if found:
            shutil.copyfile(found[0], copy)
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.02)
    _, err = process.communicate()
    if not copy.exists():
        raise CommandError(f"{commit.name}: {' '.join(words)} saved no checkpoint\n{err[-2000:]}")
    return copy


def training_digests(commit: Commit, flowers: str) -> Iterator[tuple[str, str]]:
    """Digests of every run's weights and metrics, and of a run that is stopped and resumed."""
    for name, words in RUNS.items():
        out = commit.folder / name.replace(" ", "_")
        commit.run(*words, "--data", flowers, "--out", str(out))
        yield f"{name}: weights", digest_weights(out / "model.safetensors")
        lines = (out / "metrics.jsonl").read_text().splitlines()
        yield f"{name}: metrics", digest_numbers(lines)
    every = commit.spelling(SAVE_EVERY, "train", "quickstart")
    words = (*RUNS["batch norm"], "--data", flowers, every, "5")
    out = commit.folder / "stopped"
    checkpoint = interrupt_after_first_checkpoint(commit, words, out)
    yield "batch norm: state after 5 steps", digest_checkpoint(checkpoint)
    commit.run("train", "--resume", str(out))
    yield "batch norm: weights when resumed", digest_weights(out / "model.safetensors")


def inference_digests(commit: Commit, flowers: str) -> Iterator[tuple[str, str]]:
    """Digests of evaluation, prediction and optimized inference with two trained networks."""
    crops = commit.spelling(CROPS, "evaluate")
    agreement = commit.spelling(AGREEMENT, "benchmark")
    for name in ("paper", "batch norm"):
        model = str(commit.folder / name.replace(" ", "_"))
        for count in ("1", "10"):
            out = str(commit.folder / "evaluation")
            words = (model, "--data", flowers, crops, count, "--json", "--out", out)
            text = commit.run("evaluate", *words)
            yield f"{name}: evaluation, {count} crops", digest_numbers([text])
        text = commit.run("predict", model, f"{flowers}/test", "--json")
        yield f"{name}: predictions", digest_numbers([text])
        text = commit.run("benchmark", agreement, model, "--data", flowers, "--json")
        yield f"{name}: optimized", digest_numbers([text])


def summary_digests(commit: Commit) -> Iterator[tuple[str, str]]:
    """Digests of the layer tables of two architectures."""
    for name in ("alexnet", "alexnet_bn"):
        text = commit.run("summary", name, "--json")
        yield f"{name}: summary", digest_numbers([text])


def digests(commit: Commit) -> Digests:
    """All digests that are compared, by name."""
    commit.run("train", "quickstart", *NARROW, "--epochs", "1", "--out", "drawing")
    flowers = str(small_folder(commit))
    found = {"all flowers: weights": digest_weights(commit.folder / "drawing/model.safetensors")}
    return found | dict(
        [
            *summary_digests(commit),
            *training_digests(commit, flowers),
            *inference_digests(commit, flowers),
        ]
    )


@contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """A temporary checkout of a revision."""
    git = ("git", "-C", str(REPOSITORY), "worktree")
    subprocess.run((*git, "add", "--detach", "--quiet", str(folder), revision), check=True)
    try:
        yield folder
    finally:
        subprocess.run((*git, "remove", "--force", str(folder)), check=True)


def measure(revision: str) -> Digests:
    """The digests of a revision or the working tree, or those in a JSON file of an earlier run."""
    if revision.endswith(".json"):
        return dict(json.loads(Path(revision).read_text()))
    with tempfile.TemporaryDirectory(prefix="alexnet-compare-") as path:
        folder = Path(path)
        (folder / "run").mkdir()
        is_here = revision == WORKING_TREE
        checkout = nullcontext(REPOSITORY) if is_here else worktree(revision, folder / "source")
        with checkout as source:
            return digests(Commit(revision, source, folder / "run"))


def report(names: tuple[str, str], before: Digests, after: Digests) -> list[str]:
    """Print both sides; return the names of those that differ."""
    keys = list(dict.fromkeys((*before, *after)))
    changed = [key for key in keys if before.get(key) != after.get(key)]
    print(f"{'':34}{names[0]:18.16}{names[1]:18.16}")
    for key in keys:
        sides = (side.get(key, "missing")[:16] for side in (before, after))
        print(f"{key:34}{'  '.join(sides)}{'  DIFFERENT' if key in changed else ''}")
    print(f"different: {', '.join(changed)}" if changed else f"all {len(keys)} are identical")
    return changed


def main() -> int:
    """Compare and print; the exit code tells whether all digests are identical."""
    parser = argparse.ArgumentParser(description="Check whether two commits compute the same bits.")
    parser.add_argument("before", help="a git revision, or a .json file that --out wrote")
    parser.add_argument("after", nargs="?", default=WORKING_TREE, help="a git revision")
    parser.add_argument("--out", type=Path, help="write the digests of AFTER as JSON")
    flags = parser.parse_args()
    started, names = time.monotonic(), (flags.before, flags.after)
    try:
        with ThreadPoolExecutor(2) as pool:
            before, after = pool.map(measure, names)
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    if flags.out:
        flags.out.write_text(json.dumps(after, indent=1) + "\n")
    changed = report(names, before, after)
    print(f"{time.monotonic() - started:.0f} s")
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
