"""The tutorial's table: its seven columns, its formulas, and other networks than its own."""

from __future__ import annotations

import re
from math import prod

import pytest

from alexnet.models.architecture import Architecture
from alexnet.models.layers import Activation, BatchNorm, Conv, Dropout, Flatten, FullyConnected
from alexnet.models.tutorial_table import summarize_as_tutorial, tutorial_table
from alexnet.models.zoo import ZOO


def rows_of(name: str) -> list[list[str]]:
    return [[str(cell or "") for cell in row] for row in tutorial_table(ZOO[name]).rows]


def test_the_tutorials_rows() -> None:
    rows = rows_of("alexnet_table")
    assert [row[0] for row in rows] == [
        "3 * 227 * 227",
        "Conv1 + Relu", "96 * 55 * 55", "Max Pooling", "96 * 27 * 27", "Norm",
        "Conv2 + Relu", "256 * 27 * 27", "Max Pooling", "256 * 13 * 13", "Norm",
        "Conv3 + Relu", "384 * 13 * 13",
        "Conv4 + Relu", "384 * 13 * 13",
        "Conv5 + Relu", "256 * 13 * 13", "Max Pooling", "256 * 6 * 6",
        "Dropout (rate 0.5)", "FC6 + Relu", "4096",
        "Dropout (rate 0.5)", "FC7 + Relu", "4096",
        "FC8 + Relu", "1000 classes",
        "Overall", "Conv VS FC",
    ]  # fmt: skip
    assert rows[1] == [
        "Conv1 + Relu", "11 * 11", "96", "4", "",
        "(11*11*3 + 1) * 96 = 34944", "(11*11*3 + 1) * 96 * 55 * 55 = 105705600",
    ]  # fmt: skip
    assert rows[6][1:6] == ["5 * 5", "256", "1", "2", "(5*5*96 + 1) * 256 = 614656"]
    assert rows[3] == ["Max Pooling", "3 * 3", "", "2", "", "", ""]
    assert rows[20][5:] == ["256 * 6 * 6 * 4096 = 37748736"] * 2
    assert rows[-2][5:] == ["62369152 = 62.4 million", "1135906176 = 1.1 billion"]
    assert rows[-1][5] == "Conv: 3.7 million (6%), FC: 58.6 million (94%)"


@pytest.mark.parametrize("name", ZOO)
def test_the_formulas_give_their_results(name: str) -> None:
    formulas = [cell for row in rows_of(name)[:-2] for cell in row[5:] if cell]
    assert formulas
    for formula in formulas:
        product, result = formula.split(" = ")
        assert re.fullmatch(r"[\d*+() ]+", product)
        assert eval(product) == int(result)


def test_groups_read_their_share_of_the_channels() -> None:
    assert rows_of("alexnet")[6][5] == "(5*5*48 + 1) * 256 = 307456"


def test_zeros_on_two_sides_only_are_told() -> None:
    assert rows_of("alexnet_2012")[1][4] == "0 + 3"


def test_a_network_of_another_kind() -> None:
    net = Architecture(
        "own",
        "here",
        (1, 9, 12),
        (
            Conv("edge", 4, 3, bias=False),
            BatchNorm("norm"),
            Activation("squash", "tanh"),
            Flatten("flat"),
            Dropout("drop", 0.25),
            FullyConnected("out", 3),
        ),
    )
    rows = [[str(cell or "") for cell in row] for row in tutorial_table(net).rows]
    assert [row[0] for row in rows[1:-2]] == [
        "Edge", "4 * 7 * 10", "Batch Norm", "Tanh", "Dropout (rate 0.25)", "OUT", "3 classes",
    ]  # fmt: skip
    assert rows[1][5:] == ["3*3*1 * 4 = 36", f"3*3*1 * 4 * 7 * 10 = {36 * 70}"]
    assert rows[6][5] == f"4 * 7 * 10 * 3 = {prod((4, 7, 10, 3))}"
    assert [row.name for row in summarize_as_tutorial(net).rows][-3:] == [
        "overall", "conv layers", "fc layers",
    ]  # fmt: skip
