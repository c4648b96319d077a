"""Layers that learn from pictures without labels, one after the other, before a classifier does.

Two kinds: convolutional auto-encoders and convolutional restricted Boltzmann machines (RBMs).
"""
