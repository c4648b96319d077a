"""Two-dimensional maps: the principal components, the points of a split, and the figure."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

import alexnet
from alexnet.errors import DataError, UsageError
from alexnet.features import map as module
from alexnet.features.map import FeatureMap, map_split, principal_components
from alexnet.features.plots import map_figure
from alexnet.features.split import SplitFeatures, open_split
from alexnet.runtime import extras
from alexnet.training.run_folder import RunFolder
from support.figures import drawn_texts, overlapping_texts
from support.slow import first_fast


@pytest.fixture
def split(trained: RunFolder) -> SplitFeatures:
    return open_split(alexnet.load(trained.path), split="all")


def drawn_map(num_classes: int, per_class: int = 4) -> FeatureMap:
    """Classes on a grid."""
    labels = np.repeat(np.arange(num_classes), per_class)
    centers = np.stack([labels % 40, labels // 40], 1)
    random = np.random.default_rng(0)
    return FeatureMap(
        data="numbers",
        split="test",
        method="pca",
        class_names=tuple(f"<b>class {i}" for i in range(num_classes)),
        names=tuple(f"{i}.jpg" for i in range(len(labels))),
        labels=labels,
        predicted=tuple("x" for _ in labels),
        is_right=random.random(len(labels)) < 0.8,
        points=centers + random.normal(scale=0.2, size=(len(labels), 2)),
        explained=(0.5, 0.25),
    )


@pytest.mark.parametrize("shape", [(300, 20), (6, 500), (3, 1)])
def test_principal_components_are_those_of_the_singular_value_decomposition(
    shape: tuple[int, int],
) -> None:
    features = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    features *= np.linspace(5, 0.5, shape[1]).astype(np.float32)
    mean, directions, explained = principal_components(features)
    centered = features - features.mean(0)
    _, values, vectors = np.linalg.svd(centered.astype(np.float64), full_matrices=False)
    fractions = values**2 / (values**2).sum()
    np.testing.assert_allclose(mean, features.mean(0), atol=1e-5)
    assert directions.shape == (shape[1], 2)
    for i in range(min(2, shape[1])):
        np.testing.assert_allclose(explained[i], fractions[i], rtol=1e-4)
        assert abs(directions[:, i] @ vectors[i]) == pytest.approx(1, abs=1e-3)
        assert directions[np.abs(directions[:, i]).argmax(), i] > 0


def test_a_map_has_a_point_and_a_prediction_for_each_image(split: SplitFeatures) -> None:
    found = map_split(split)
    store, classifier = split.store, split.classifier
    best = classifier.logits(store.images(split.rows)).argmax(1)
    assert found.predicted == tuple(classifier.class_names[one] for one in best)
    assert found.is_right is not None
    assert found.is_right.tolist() == (best == store.labels[split.rows]).tolist()
    features = split.index.features[split.rows]
    _, directions, _ = principal_components(features)
    expected = (features - features.mean(0)) @ directions
    np.testing.assert_allclose(found.points, expected, atol=1e-3)
    rows = list(csv.DictReader(io.StringIO(found.as_csv())))
    assert len(rows) == 60
    assert list(rows[0]) == ["image", "label", "predicted", "right", "x", "y", "data", "split"]
    assert {(row["data"], row["split"]) for row in rows} == {(found.data, found.split)}
    assert float(rows[7]["x"]) == pytest.approx(found.points[7, 0], rel=1e-4)
    assert rows[7]["image"] == store.info.names[7]


def test_the_directions_of_many_images_are_those_of_a_sample(
    split: SplitFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = module.principal_components
    monkeypatch.setattr(
        module, "principal_components", lambda x, seed: seen.append(len(x)) or real(x, seed)
    )
    monkeypatch.setattr(module, "MAX_FIT_BYTES", 4 * split.index.info.num_features * 25)
    assert len(map_split(split).points) == 60
    assert seen == [20]


@pytest.mark.parametrize("count", first_fast([24, 3]))
def test_up_to_24_classes_have_a_legend(count: int) -> None:
    figure = map_figure(drawn_map(count))
    (legend,) = [axes.get_legend() for axes in figure.axes]
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == count + 1
    assert names[-1] == "wrong prediction"
    looks = {
        (h.get_marker(), h.get_color(), h.get_markerfacecolor()) for h in legend.legend_handles
    }
    assert len(looks) == count + 1
    right = sum(drawn_map(count).is_right)  # type: ignore[arg-type]
    text = f"{right} of {4 * count} images are predicted right"
    assert any(text in words for words, _ in drawn_texts(figure))
    assert overlapping_texts(figure) == []


@pytest.mark.slow
@pytest.mark.parametrize("count", first_fast([60, 1000]))
def test_of_more_classes_those_are_named_that_fit(count: int) -> None:
    figure = map_figure(drawn_map(count))
    (axes,) = figure.axes
    assert axes.get_legend() is None
    named = [text for text in axes.texts if "<b>class" in text.get_text()]
    assert 10 < len(named) < count
    words = " ".join(text for text, _ in drawn_texts(figure))
    assert f"{len(named)} of {count:,} classes are named" in words
    assert overlapping_texts(figure) == []


def test_what_cannot_be_mapped(split: SplitFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="at least three images"):
        map_split(replace(split, rows=split.rows[:2]))
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "alexnet\[umap\]"'):
        map_split(split, "umap")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_umap_keeps_groups_together(split: SplitFeatures) -> None:
    pytest.importorskip("umap", reason="needs umap-learn")
    found = map_split(split, "umap", seed=1)
    assert found.points.shape == (60, 2)
    assert found.explained is None
    np.testing.assert_array_equal(found.points, map_split(split, "umap", seed=1).points)
