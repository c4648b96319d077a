"""Pretraining of conv layers without labels, one layer after the other.

Two kinds: convolutional denoising auto-encoders, and convolutional restricted Boltzmann machines
(RBMs). `pretrain` writes a model file that a training takes as `Recipe.init_from`.

    pretrainer     pretrain, resume_pretraining: the loop over layers, and the result
    train_layer    one layer: epochs, steps, and what is measured after an epoch
    setup          image store, splits, augmentation and new layers from a recipe
    processes      several of them share a pretraining
    batch_random   random numbers of each image of a batch
    run_files      the files of the run folder
    plots          filters, reconstructions, error curves
    transfer       converts an RBM's weights to the classifier's
    stack          encodes and decodes through several layers
    autoencoder    the auto-encoder of one stage
    rbm_layer      the RBM of one stage: scaling, pooling, loss, optimizer
    rbm            energy, probabilities, Gibbs sampling, contrastive divergence
    decoding       convolution and pooling with their transposes
    channel_stats  mean and standard deviation of each channel
    stages         conv layers of an architecture with the layers that follow them
    recipe         the options of both kinds
    records        what is recorded and reported
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.pretraining.pretrainer import Pretrained, pretrain, resume_pretraining
    from alexnet.pretraining.recipe import AutoencoderRecipe, RbmRecipe

__all__ = ["AutoencoderRecipe", "Pretrained", "RbmRecipe", "pretrain", "resume_pretraining"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "AutoencoderRecipe": "recipe",
        "Pretrained": "pretrainer",
        "RbmRecipe": "recipe",
        "pretrain": "pretrainer",
        "resume_pretraining": "pretrainer",
    },
)
