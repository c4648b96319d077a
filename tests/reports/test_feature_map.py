"""The map of a run in its page: which file, which marks, and why there is none."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alexnet.features.map import FeatureMap
from alexnet.reports.feature_map import MAX_POINTS, MapRow, map_chart, stored_map


def run_with_map(folder: Path) -> Any:
    """A run of which the page of a map needs the folder alone, with the map of three images."""
    found = FeatureMap(
        data="d", split="test", method="pca", class_names=("a", "b"), names=("1", "2", "3"),
        labels=[0, 1, 0], predicted=("a", "a", "a"), is_right=None, points=[(0, 5), (1, 7), (4, 6)],
        explained=None,
    )  # fmt: skip
    text = found.as_csv().replace(",,", ",1,").replace("2,b,a,1", "2,b,a,0")
    (folder / "explain").mkdir()
    (folder / "explain" / "map-pca.csv").write_text(text)
    (folder / "model.safetensors").touch()
    os.utime(folder / "model.safetensors", (1, 1))
    return SimpleNamespace(path=folder)


def test_the_map_that_explain_wrote(tmp_path: Path) -> None:
    chart, problem = stored_map(run_with_map(tmp_path))
    assert chart is not None
    assert (problem, chart.method, chart.num_images, chart.num_wrong) == ("", "PCA", 3, 1)
    assert [mark.text for mark in chart.marks] == ["1: a", "3: a", "2: b, predicted a"]
    assert [(mark.x, mark.y) for mark in chart.marks] == [(12, 408), (628, 210), (166, 12)]
    assert [name for name, *_ in chart.legend] == ["a", "b"]
    assert (chart.data, chart.split) == ("d", "test")
    assert chart.marks[0].color == chart.marks[1].color != chart.marks[2].color


def test_why_there_is_no_map(tmp_path: Path) -> None:
    run = SimpleNamespace(path=tmp_path)
    command = f"alexnet explain {tmp_path} --map, then alexnet report {tmp_path}"
    assert stored_map(run) == (None, f"{command} makes it")  # type: ignore[arg-type]
    run = run_with_map(tmp_path)
    os.utime(tmp_path / "explain" / "map-pca.csv", (0, 0))
    assert stored_map(run) == (None, f"the map is older than the model; {command} makes it anew")
    for text in ("", "a,b\n1,2\n", "image,label,predicted,right,x,y\nq,a,a,1,nan,0\n"):
        (tmp_path / "explain" / "map-pca.csv").write_text(text)
        chart, problem = stored_map(run)
        assert chart is None
        assert problem.startswith("map-pca.csv ")


@pytest.mark.parametrize("num_classes", [24, 25])
def test_many_images_and_classes(num_classes: int) -> None:
    rows = [
        MapRow(f"{i}.jpg", f"class {i % num_classes}", "x", i % 3 == 0, i % 97, i % 89)
        for i in range(4000)
    ]
    chart = map_chart(rows, "UMAP")
    assert len(chart.marks) == MAX_POINTS
    assert chart.num_wrong == 1334
    outcomes = [mark.is_wrong for mark in chart.marks]
    assert outcomes == sorted(outcomes), "wrong ones are drawn last"
    looks = {(mark.color, mark.shape) for mark in chart.marks}
    assert len(looks) == (24 if num_classes == 24 else 2)
    assert len(chart.legend) == (24 if num_classes == 24 else 0)


def test_points_at_one_place_are_in_the_middle() -> None:
    chart = map_chart([MapRow("a", "b", "b", None, 1.0, 1.0)] * 3, "PCA")
    assert {(mark.x, mark.y) for mark in chart.marks} == {(320, 210)}
    assert chart.num_wrong is None
