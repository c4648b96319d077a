"""All experiments by their names on the command line."""

from __future__ import annotations

from alexnet.errors import UnknownNameError
from alexnet.experiments.claims.augmentation import AUGMENTATION
from alexnet.experiments.claims.batch_norm_vs_lrn import BATCH_NORM_VS_LRN
from alexnet.experiments.claims.bias_one import BIAS_ONE
from alexnet.experiments.claims.dropout import DROPOUT
from alexnet.experiments.claims.init import INIT
from alexnet.experiments.claims.lenet_vs_alexnet import LENET_VS_ALEXNET
from alexnet.experiments.claims.overlapping_pooling import OVERLAPPING_POOLING
from alexnet.experiments.claims.relu_vs_tanh import RELU_VS_TANH
from alexnet.experiments.claims.response_norm import RESPONSE_NORM
from alexnet.experiments.claims.small_data import SMALL_DATA
from alexnet.experiments.claims.ten_crop import TEN_CROP
from alexnet.experiments.claims.two_columns import TWO_COLUMNS
from alexnet.experiments.claims.weight_decay import WEIGHT_DECAY
from alexnet.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        RELU_VS_TANH,
        OVERLAPPING_POOLING,
        RESPONSE_NORM,
        DROPOUT,
        AUGMENTATION,
        WEIGHT_DECAY,
        TEN_CROP,
        TWO_COLUMNS,
        BIAS_ONE,
        INIT,
        BATCH_NORM_VS_LRN,
        LENET_VS_ALEXNET,
        SMALL_DATA,
    )
}


def experiment(name: str) -> Experiment:
    """The experiment called `name`.

    Raises:
        UnknownNameError: no such experiment; the message suggests the nearest names.
    """
    if name not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]
