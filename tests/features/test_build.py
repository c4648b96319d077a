"""Building a feature index: resuming to the same bits, what the features are, and the cache."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import nn

from alexnet.config.preprocessing import Preprocessing
from alexnet.data.load import load_dataset
from alexnet.data.store.store import Store
from alexnet.errors import DataError, UnknownNameError, UsageError
from alexnet.features import build
from alexnet.features.build import build_index, model_digest
from alexnet.inference.classifier import Classifier
from alexnet.io.cache import IN_USE, cache_entries, remove_entry
from alexnet.models.zoo import ZOO
from alexnet.parallel.world import current_world
from support.narrow_nets import narrow_classifier
from support.processes import Processes
from support.slow import first_fast


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return narrow_classifier("lenet5")


@pytest.fixture
def store(flowers: Path, classifier: Classifier) -> Store:
    preprocessing = classifier.info.preprocessing
    return load_dataset(
        str(flowers), resize=preprocessing.resize, resize_size=preprocessing.resize_size
    )


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "CHUNK", 16)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def build_in_a_world(flowers: str, cache: Path) -> tuple[Path, int]:
    build.CHUNK = 16
    classifier = narrow_classifier("lenet5")
    store = load_dataset(
        flowers, resize=classifier.info.preprocessing.resize,
        resize_size=classifier.info.preprocessing.resize_size,
    )  # fmt: skip
    computed: list[int] = []
    whole = build._compute
    build._compute = lambda spec, rows: computed.append(rows.start) or whole(spec, rows)  # type: ignore[func-returns-value]
    try:
        return build_index(classifier, store, cache=cache).folder, len(computed)
    finally:
        build._compute = whole


@pytest.mark.parametrize("partial", [False, True])
def test_processes_share_the_images_of_the_same_index(
    classifier: Classifier, store: Store, tmp_path: Path, flowers: Path, pair: Processes,
    partial: bool,
) -> None:  # fmt: skip
    whole = build_index(classifier, store, cache=tmp_path / "one").folder
    if partial:
        with pytest.raises(KeyboardInterrupt):
            build_index(classifier, store, cache=tmp_path / "two", on_progress=stop_at(32))
    (folder, first), (_, second) = pair.run(build_in_a_world, str(flowers), tmp_path / "two")
    assert contents(folder) == contents(whole)
    assert first + second == build_count(store) - (2 if partial else 0)
    assert abs(first - second) <= 1
    assert pair.run(build_in_a_world, str(flowers), tmp_path / "two") == [(folder, 0)] * 2


def build_with_local_rank_0(flowers: str, cache: Path) -> tuple[Path, int]:
    """As two hosts do that share their cache."""
    world = current_world()
    build.current_world = lambda: replace(world, local_rank=0, local_size=1)  # type: ignore[attr-defined]
    try:
        return build_in_a_world(flowers, cache)
    finally:
        build.current_world = current_world  # type: ignore[attr-defined]


def test_one_process_writes_in_a_folder_that_all_see(
    flowers: Path, store: Store, tmp_path: Path, pair: Processes
) -> None:
    """Two would wait for each other: one for the lock, and one for the features."""
    (folder, first), (_, second) = pair.run(build_with_local_rank_0, str(flowers), tmp_path)
    assert first + second == build_count(store)
    assert sorted(path.name for path in folder.parent.iterdir() if path.is_dir()) == [folder.name]
    assert not list(folder.parent.glob("*-writer-*"))


def build_unlike(flowers: str, cache: Path) -> str:
    whole = build.model_digest
    build.model_digest = lambda classifier: f"{whole(classifier)}{current_world().rank}"
    try:
        build_in_a_world(flowers, cache)
    except UsageError as error:
        return str(error)
    finally:
        build.model_digest = whole
    return ""


def test_processes_that_would_compute_other_features_are_refused(
    flowers: Path, tmp_path: Path, pair: Processes
) -> None:
    told = "the processes would compute different features of this data set, as their devices"
    for text in pair.run(build_unlike, str(flowers), tmp_path):
        assert text.startswith(told)


def build_count(store: Store) -> int:
    return -(-len(store) // 16)


def stop_at(images: int) -> Callable[[int, int], None]:
    def on_progress(done: int, total: int) -> None:
        if done >= images:
            raise KeyboardInterrupt

    return on_progress


def test_a_copy_of_an_index_is_opened_anew(classifier: Classifier, store: Store) -> None:
    index = build_index(classifier, store)
    pickled = pickle.dumps(index)
    assert index.features.tobytes() not in pickled
    for copied in (pickle.loads(pickled), copy.deepcopy(index)):
        for block, same in zip(copied.blocks(100), index.blocks(100), strict=True):
            np.testing.assert_equal(block, same)


@pytest.mark.parametrize("name", first_fast(sorted(ZOO, key="lenet5".__ne__)))
def test_features_are_the_input_of_the_last_layer_with_weights(name: str) -> None:
    classifier = narrow_classifier(name)
    last = [one.name for one in classifier.info.architecture.layers if hasattr(one, "init")][-1]
    assert classifier.info.architecture.output_layer == last
    captured = []
    module = classifier.network.get_submodule(last)
    module.register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0]))
    size = classifier.info.preprocessing.resize_size
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    logits = classifier.logits(pixels)
    features = classifier.features(pixels)
    np.testing.assert_array_equal(features, captured[0].flatten(1).float().numpy())
    np.testing.assert_allclose(classifier.logits_from(features), logits, rtol=1e-5, atol=1e-6)


def test_an_interrupted_build_resumes_to_the_same_bits(
    classifier: Classifier, store: Store, tmp_path: Path, cache: Path
) -> None:
    whole = build_index(classifier, store, cache=tmp_path).folder
    with pytest.raises(KeyboardInterrupt):
        build_index(classifier, store, on_progress=stop_at(32))
    (partial,) = (cache / "features").glob("*.partial")
    assert not partial.with_suffix("").exists()
    assert np.load(partial / "done.npy").tolist() == [True, True, False, False]
    seen = []
    resumed = build_index(classifier, store, on_progress=lambda done, total: seen.append(done))
    assert contents(resumed.folder) == contents(whole)
    assert seen == [16, 32, 48, 60]
    assert not partial.exists()


def test_a_chunk_that_a_power_cut_lost_is_computed_again(
    classifier: Classifier, store: Store, tmp_path: Path, cache: Path
) -> None:
    whole = build_index(classifier, store, cache=tmp_path).folder
    with pytest.raises(KeyboardInterrupt):
        build_index(classifier, store, on_progress=stop_at(48))
    (partial,) = (cache / "features").glob("*.partial")
    features = np.lib.format.open_memmap(partial / "features.npy", mode="r+")
    features[20] = 0
    del features
    assert contents(build_index(classifier, store).folder) == contents(whole)


def test_an_index_is_built_once_per_model_and_data(
    classifier: Classifier, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = build_index(classifier, store)
    assert index.features.dtype == np.float32
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "layer_inputs", lambda *_: pytest.fail("computed again"))
        assert build_index(classifier, store).folder == index.folder
    other = build_index(classifier, store, "fc4")
    assert other.folder != index.folder
    with pytest.raises(UnknownNameError, match="fc99"):
        build_index(classifier, store, "fc99")


def changed_weight(classifier: Classifier) -> Classifier:
    other = narrow_classifier("lenet5")
    with torch.no_grad():
        other.network.conv1.bias[0] += 1  # type: ignore[index, operator, union-attr]
    return other


def changed_mean(classifier: Classifier) -> Classifier:
    preprocessing: Preprocessing = replace(classifier.info.preprocessing, mean=(1.0, 2.0, 3.0))
    return replace(classifier, info=replace(classifier.info, preprocessing=preprocessing))


def with_mean_image(classifier: Classifier, value: float = 1.0) -> Classifier:
    preprocessing = replace(classifier.info.preprocessing, has_mean_image=True)
    info = replace(classifier.info, preprocessing=preprocessing)
    return replace(classifier, info=info, mean_image=torch.full((1, 32, 32), value))


@pytest.mark.parametrize("change", [changed_weight, changed_mean, with_mean_image])
def test_another_model_has_another_digest(
    classifier: Classifier, change: Callable[[Classifier], Classifier]
) -> None:
    assert model_digest(classifier) == model_digest(narrow_classifier("lenet5"))
    assert model_digest(change(classifier)) != model_digest(classifier)


def test_another_mean_image_has_another_digest(classifier: Classifier) -> None:
    one, other = (with_mean_image(classifier, value) for value in (1.0, 2.0))
    assert model_digest(one) != model_digest(other)


def test_an_optimized_network_has_no_index(classifier: Classifier, store: Store) -> None:
    with pytest.raises(UsageError, match="the one it was made of"):
        build_index(classifier.optimized(), store)


def test_an_edited_network_has_no_index(store: Store) -> None:
    """Its weights, and so the key in the cache, are those of another one."""
    classifier = narrow_classifier("lenet5")
    hook = classifier.network.register_forward_pre_hook(lambda *_: None)
    with pytest.raises(UsageError, match="feature index: the network has a forward pre-hook"):
        build_index(classifier, store)
    hook.remove()
    classifier.network.tanh1 = nn.ReLU()
    with pytest.raises(UsageError, match=r"feature index: .* tanh1 is torch's ReLU"):
        build_index(classifier, store)


def test_features_that_are_not_finite_are_told(
    classifier: Classifier, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classifier, "layer_inputs", lambda *_: np.full((16, 42), np.inf))
    with pytest.raises(DataError, match="not finite"):
        build_index(classifier, store)


def test_the_cache_lists_and_removes_it(classifier: Classifier, store: Store, cache: Path) -> None:
    index = build_index(classifier, store)
    (entry,) = [one for one in cache_entries(cache) if "feature" in one.kind]
    assert (entry.kind, entry.path) == ("feature index", str(index.folder))
    assert remove_entry(entry) == IN_USE
    del index
    with FileLock(f"{entry.path}.lock"):
        assert remove_entry(entry) == IN_USE
    assert remove_entry(entry) == ""
    assert not Path(entry.path).exists()


def test_features_of_files(classifier: Classifier, flowers: Path, tmp_path: Path) -> None:
    paths = sorted((flowers / "test").rglob("*.jpg"))[:3]
    features = classifier.features(paths)
    assert features.shape == (3, classifier.features(paths[0]).shape[1])
    assert features.dtype == np.float32
    (tmp_path / "x.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot read .*x\.jpg"):
        classifier.features([*paths, tmp_path / "x.jpg"])
