"""Initial biases of 1 against 0."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config.presets import IMAGENET_2012
from alexnet.experiments import base_recipes as bases
from alexnet.experiments.experiment import Arm, Comparison, Experiment, Protocol
from alexnet.models.variants import ModelOptions

# The paper's net at its own size, with its own initial weights and batches: what biases of 1 do
# depends on all three.
FULL_SIZE = replace(bases.SMALL_ALEXNET, model=ModelOptions(), batch_size=128)

BIAS_ONE = Experiment(
    name="bias-one",
    claim="Initial biases of 1 in conv2, conv4, conv5 and the hidden fully connected layers "
    "accelerate the first epochs, because they give the ReLUs positive inputs.",
    source="Paper, section 5",
    expected="no number: the early stages of learning are faster",
    limits="The net is net 145 at its own size, with the published initial weights and the 2012 "
    "code's pixels (quick: at a quarter of its width, with weights scaled so that the signals have "
    "the sizes that they have in the full net); the images are CIFAR-10's, enlarged. Measured is "
    "the training error, averaged over the first epochs. An earlier full protocol was the quick "
    "one's net with more images and 5 seeds: 1.01 points (-0.28 to 2.30), undecided. With He "
    "initialization and pixels of unit variance, which keep the ReLUs active by themselves, "
    "biases of 1 slowed training down (an error 8.9 points higher, 5 seeds). Five seeds were "
    "planned, and four were finished.",
    measure="early_train_error",
    arms=(
        Arm(name="bias-1", changes={"model.bias": 1.0}),
        Arm(name="bias-0", changes={"model.bias": 0.0}),
    ),
    comparisons=(
        Comparison(
            name="biases of 1 lower the error of the first epochs",
            better=("bias-1",),
            worse=("bias-0",),
            min_effect=0.01,
        ),
    ),
    protocols={
        "quick": Protocol(
            base=replace(bases.limit_per_class(bases.SMALL_ALEXNET, 300, 30), epochs=4),
            lr_grid=bases.PAPER_LRS,
        ),
        "full": Protocol(
            base=replace(bases.limit_per_class(FULL_SIZE, 600, 30), epochs=5),
            num_seeds=4,
            lr_grid=bases.PAPER_LRS,
        ),
        "imagenet": replace(bases.IMAGENET, base=replace(IMAGENET_2012, epochs=5)),
    },
)
