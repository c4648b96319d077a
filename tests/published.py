"""The published numbers that this project is compared with, and their sources.

Paper: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
Networks", NIPS 2012. Code2012: the original source, released in 2025; its single net is 145.
Tutorial: the notebook this project started from. Errors are fractions from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Counts of a published network."""

    parameters: int
    macs: int
    """Multiply-accumulates per image, without the biases."""
    source: str


NETWORKS: dict[str, NetworkFacts] = {
    "alexnet": NetworkFacts(60_965_224, 724_406_816, "Paper, sections 3.2-3.5, counted"),
    "alexnet_2012": NetworkFacts(60_965_224, 724_406_816, "Code2012, layers-145.cfg, counted"),
    "alexnet_table": NetworkFacts(62_378_344, 1_135_256_096, "Tutorial, the table, counted"),
    "alexnet_notebook": NetworkFacts(
        28_096_769, 1_039_576_808, "Tutorial, the Keras program with 17 classes, its summary()"
    ),
    "alexnet_owt": NetworkFacts(61_100_840, 714_188_480, "torchvision's alexnet"),
    "alexnet_caffe": NetworkFacts(60_965_224, 724_406_816, "Caffe's bvlc_alexnet"),
    "caffenet": NetworkFacts(60_965_224, 724_406_816, "Caffe's bvlc_reference_caffenet"),
    "lenet5": NetworkFacts(
        61_706, 416_520, "LeCun et al. 1998, with average pooling and fully connected channels"
    ),
}
"""Parameters and multiply-accumulates of every network that others published."""

NOTEBOOK_STATISTICS = 21_136
"""Batch-norm running statistics among the parameters of alexnet_notebook; Keras's summary()."""

OTHER_HEADS: dict[tuple[str, int], int] = {
    ("alexnet", 17): 56_937_873,
    ("alexnet", 10): 56_909_194,
    ("alexnet_owt", 17): 57_073_489,
}
"""Parameters with another number of classes."""

ALEXNET_LAYERS: dict[str, tuple[int, int]] = {
    "conv1": (34_944, 105_415_200),
    "conv2": (307_456, 223_948_800),
    "conv3": (885_120, 149_520_384),
    "conv4": (663_936, 112_140_288),
    "conv5": (442_624, 74_760_192),
    "fc6": (37_752_832, 37_748_736),
    "fc7": (16_781_312, 16_777_216),
    "fc8": (4_097_000, 4_096_000),
}
"""Parameters and multiply-accumulates of the paper's layers (section 3.5, counted)."""

ALEXNET_NEURONS: dict[str, int] = {
    "conv1": 290_400,
    "conv2": 186_624,
    "conv3": 64_896,
    "conv4": 64_896,
    "conv5": 43_264,
    "fc6": 4_096,
    "fc7": 4_096,
    "fc8": 1_000,
}
"""Outputs of the layers with weights. Figure 2 prints 253,440 for the first, a mistake."""

ALEXNET_TOTAL_NEURONS = 659_272
"""Their sum."""

PRINTED_FIRST_LAYER_NEURONS = 253_440
"""Paper, caption of figure 2; 55 x 55 x 96 is 290,400."""

PRINTED_TOTAL_NEURONS = 622_312
"""Sum of the paper's own list, with that mistake."""

TUTORIAL_TABLE: dict[str, tuple[int, int]] = {
    "conv1": (34_944, 105_705_600),
    "conv2": (614_656, 448_084_224),
    "conv3": (885_120, 149_585_280),
    "conv4": (1_327_488, 224_345_472),
    "conv5": (884_992, 149_563_648),
    "fc6": (37_748_736, 37_748_736),
    "fc7": (16_777_216, 16_777_216),
    "fc8": (4_096_000, 4_096_000),
    "overall": (62_369_152, 1_135_906_176),
    "conv layers": (3_747_200, 1_077_284_224),
    "fc layers": (58_621_952, 58_621_952),
}
"""Parameters and forward computation of every row of the Tutorial's table, as it counts them."""


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """A published result; top-1 and top-5 errors from 0 to 1."""

    what: str
    top1_error: float
    top5_error: float
    crops: int
    """1 or 10."""
    source: str


ERRORS: tuple[ErrorFacts, ...] = (
    ErrorFacts("one net, ILSVRC-2012 validation", 0.407, 0.182, 10, "Paper, table 2"),
    ErrorFacts("net 145, ILSVRC-2012 validation", 0.4066, 0.1821, 10, "Code2012, its log"),
    ErrorFacts("ILSVRC-2010 test", 0.375, 0.170, 10, "Paper, table 1"),
    ErrorFacts("ILSVRC-2010 test, center crop", 0.390, 0.183, 1, "Paper, section 4.1"),
    ErrorFacts("net 147, no overlapping pooling", 0.4106, 0.1851, 10, "Code2012"),
    ErrorFacts("net 148, no response normalization", 0.4203, 0.1936, 10, "Code2012"),
    ErrorFacts(
        "145-half, ILSVRC-2010 test, one tower of half width", 0.3917, 0.1823, 10, "Code2012"
    ),
    ErrorFacts("net 150, no communication between towers", 0.4183, 0.1933, 10, "Code2012"),
    ErrorFacts("Caffe AlexNet, ILSVRC-2012 validation", 0.429, 0.198, 1, "Caffe model zoo"),
    ErrorFacts("CaffeNet, ILSVRC-2012 validation", 0.426, 0.196, 1, "Caffe model zoo"),
    ErrorFacts("torchvision alexnet, ILSVRC-2012 validation", 0.4348, 0.2093, 1, "torchvision"),
)
"""Published errors to compare with."""
