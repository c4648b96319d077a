"""Twelve species of flowers as a table of forms, and random flowers of a species; no pixels yet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Range = tuple[float, float]
POINTS = 16
"""Points along one side of a petal; its outline has 2 * POINTS - 2."""
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True, kw_only=True, slots=True)
class Species:
    """One class: the ranges from which the form of its flowers is sampled.

    Half the width of a petal at the fraction u of its length is proportional to
    u**base * (1 - u)**tip: a small `tip` gives a blunt end, a large one a pointed end.
    """

    name: str
    petals: tuple[int, int]
    """Petals in a row."""
    width: Range
    """Greatest half-width of a petal over its length."""
    base: float
    tip: float
    rows: tuple[int, int] = (1, 1)
    """Rows of petals, each shorter than the one below it."""
    layout: str = "ring"
    """"ring" or "spiral" (seen from above), "cup" (from the side) or "bell" (hanging)."""
    notch: Range = (0, 0)
    """Depth of the cut in a petal's tip, in petal lengths."""
    ruffle: Range = (0, 0)
    """Height of the waves along the tip, in petal lengths."""
    twist: Range = (0, 0)
    """Radians by which a petal bends sideways (in a ring) or outwards (seen from the side)."""
    centers: tuple[str, ...] = ("none",)
    """Kinds of centre: "disc", "dots", "stamens", "ring", "trumpet", "curl", "none"."""
    radius: Range = (0.14, 0.2)
    """Radius of the centre, in petal lengths."""


SIDE_VIEWS = ("cup", "bell")
EYES = ("disc", "stamens", "ring")
# fmt: off
SPECIES = (
    Species(name="bellflower", layout="bell", petals=(4, 6), width=(0.2, 0.26), base=0.45, tip=0.4,
         twist=(0.2, 0.6)),
    Species(name="buttercup", petals=(5, 5), width=(0.38, 0.5), base=0.75, tip=0.36, centers=EYES),
    Species(name="daffodil", petals=(6, 6), width=(0.26, 0.38), base=0.7, tip=0.65,
         centers=("trumpet",), radius=(0.34, 0.46)),
    Species(name="dahlia", petals=(11, 16), rows=(4, 5), width=(0.13, 0.19), base=0.8, tip=0.6,
         centers=("disc", "none"), radius=(0.08, 0.14)),
    Species(name="daisy", petals=(13, 24), rows=(1, 2), width=(0.07, 0.12), base=0.45, tip=0.22,
         centers=("disc", "dots"), radius=(0.2, 0.32)),
    Species(name="lily", petals=(6, 6), width=(0.18, 0.32), base=0.75, tip=0.95, twist=(-0.2, 0.2),
         centers=EYES),
    Species(name="periwinkle", petals=(5, 5), width=(0.3, 0.46), base=0.9, tip=0.34,
         twist=(0.6, 1.0), centers=EYES),
    Species(name="poppy", petals=(4, 5), rows=(1, 2), width=(0.62, 0.78), base=0.6, tip=0.3,
         ruffle=(0.05, 0.1), centers=("dots", "stamens")),
    Species(name="primrose", petals=(5, 5), width=(0.36, 0.46), base=1.0, tip=0.32,
         notch=(0.12, 0.2), centers=EYES),
    Species(name="rose", layout="spiral", petals=(15, 24), width=(0.6, 0.78), base=0.6, tip=0.32,
         ruffle=(0, 0.03), centers=("curl",)),
    Species(name="sunflower", petals=(14, 22), rows=(2, 2), width=(0.1, 0.16), base=0.7, tip=0.8,
         centers=("dots", "disc"), radius=(0.3, 0.46)),
    Species(name="tulip", layout="cup", petals=(4, 6), width=(0.24, 0.34), base=0.5, tip=0.62,
         twist=(-0.7, -0.2)),
)
# fmt: on
LEAF = Species(name="leaf", petals=(1, 1), width=(0.1, 0.2), base=0.7, tip=0.9, twist=(-0.6, 0.6))


def _palette(text: str) -> Floats:
    """Read colours [N, 3] in 0..255 from hexadecimal words."""
    return np.array([tuple(bytes.fromhex(word)) for word in text.split()], dtype=np.float64)


PETALS = _palette(
    "f7f3ee fae8ba fad236 f7962e f47a68 d2242c f5a0be d43690 8e56c0 beaaeb 566cda 96c6f2"
)
CENTERS = _palette("f6c828 e8961e 6e4222 3e2834 8ca03c f6e8aa")
GREENS = _palette("467834 60923c 346240 789c52")
GROUNDS = _palette("1e3a22 3a6030 7a9e54 b2c888 604c38 aa9270 3c4e6e 96b2cc ded6c8 ceaab0")


@dataclass(frozen=True, slots=True)
class Placement:
    """An affine map from local coordinates (petal lengths) to image coordinates."""

    matrix: Floats
    """[2, 2]: size, tilt and rotation."""
    center: Floats
    """[2]."""

    def at(self, points: Floats) -> Floats:
        """Points [..., 2] in image coordinates."""
        return points @ self.matrix.T + self.center

    def scaled(self, factor: float) -> Placement:
        """The same placement in an image `factor` times as large."""
        return Placement(self.matrix * factor, self.center * factor)

    def size(self) -> float:
        """One petal length in image coordinates."""
        return math.sqrt(abs(float(np.linalg.det(self.matrix))))


@dataclass(frozen=True, slots=True)
class Flower:
    """One flower of a species: all that is needed to paint it anywhere."""

    petals: Floats
    """[petals, bands, points, 2], in painting order, in petal lengths."""
    tones: Floats
    """[petals], brightness about 1."""
    inner: Floats
    outer: Floats
    center: str
    radius: float
    center_color: Floats


def sample_color(rng: Generator, palette: Floats) -> Floats:
    """A random colour of a palette with a little noise: float [3] in 0..255."""
    color: Floats = palette[rng.integers(len(palette))] + rng.normal(0, 14, 3)
    return color.clip(8, 252)


def _rotation(angle: float) -> Floats:
    """The matrix [2, 2] that rotates by an angle in radians."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])


def circle(radius: float, points: int = 24) -> Floats:
    """Points of a circle around the origin, [N, 2]."""
    angle = np.linspace(0, 2 * math.pi, points, endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def band_sizes(bands: int) -> Floats:
    """Sizes [bands + 1, 1] of the copies of an outline: dark edge first, innermost last."""
    return np.array([1.02, *np.linspace(0.985, 0.085, bands)])[:, None]


def _sample_positions(species: Species, rng: Generator) -> tuple[Floats, Floats]:
    """Angles in radians and lengths of the petals, [P] each, in painting order."""
    count = int(rng.integers(*species.petals, endpoint=True))
    if species.layout == "spiral":
        return np.arange(count, dtype=np.float64) * GOLDEN_ANGLE, np.linspace(1, 0.2, count)
    if species.layout in SIDE_VIEWS:
        fan: Floats = np.linspace(-1, 1, count) * rng.uniform(0.3, 0.42)
        return fan[np.argsort(-np.abs(fan))], np.ones(count)
    rows = int(rng.integers(*species.rows, endpoint=True))
    row, step = np.repeat(np.arange(rows), count), math.pi / count
    angles: Floats = np.tile(np.arange(count) * 2 * step, rows) + row * step
    return angles, 1 - row * rng.uniform(0.72, 0.88) / max(rows, 4)


def sample_petals(species: Species, rng: Generator, angles: Floats, lengths: Floats) -> Floats:
    """Random petals [P, bands, N, 2] of a species, their bases at the origin."""
    along_edge = (1 - np.cos(np.linspace(0, math.pi, POINTS))) / 2
    u, peak = (
        np.concatenate([along_edge, along_edge[-2:0:-1]]),
        species.base / (species.base + species.tip),
    )
    side = np.where(np.arange(len(u)) < POINTS, 1.0, -1.0)
    half = side * (u / peak) ** species.base * ((1 - u) / (1 - peak)) ** species.tip
    each = (len(angles), 1)
    waves = np.sin(half * rng.uniform(6, 9) + rng.uniform(0, 6.3, each))
    along = u - rng.uniform(*species.notch) * u**6 * np.exp(-((half / 0.35) ** 2))
    along = (along + rng.uniform(*species.ruffle) * u**3 * waves) * rng.normal(1, 0.035, each)
    across = half * rng.uniform(*species.width) * rng.normal(1, 0.06, each)
    size = band_sizes(int(np.clip(70 // len(angles), 3, 11)))
    bend = rng.uniform(*species.twist) * (np.sign(angles) if species.layout in SIDE_VIEWS else 1)
    turn = np.reshape(angles + rng.normal(0, 0.04, len(angles)), (-1, 1, 1))
    turn = turn + np.reshape(bend, (-1, 1, 1)) * (size * u) ** 2
    x, y = (lengths[:, None, None] * size * v[:, None] for v in (along, across))
    c, s = np.cos(turn), np.sin(turn)
    return np.stack([x * c - y * s, x * s + y * c], axis=-1)


def sample_flower(species: Species, rng: Generator) -> Flower:
    """A flower of random form and colours."""
    angles, lengths = _sample_positions(species, rng)
    outer = sample_color(rng, PETALS)
    throat = (outer * rng.uniform(0.35, 0.7), sample_color(rng, PETALS), sample_color(rng, CENTERS))
    tones = 1 + 0.1 * np.cos(angles - rng.uniform(0, 6.3)) + rng.normal(0, 0.03, len(angles))
    return Flower(
        petals=sample_petals(species, rng, angles, lengths),
        tones=tones - 0.18 * (1 - lengths),
        inner=0.75 * throat[rng.integers(3)] + 0.25 * outer,
        outer=outer,
        center=species.centers[rng.integers(len(species.centers))],
        radius=rng.uniform(*species.radius),
        center_color=sample_color(rng, PETALS if "trumpet" in species.centers else CENTERS),
    )


def sample_placement(species: Species, rng: Generator, reach: float) -> Placement:
    """Random size, tilt, rotation and position of a flower in an image of side 1."""
    center = rng.normal(0.5, 0.05, 2)
    if species.layout in SIDE_VIEWS:
        up = math.pi / 2 if species.layout == "bell" else -math.pi / 2
        turn = _rotation(up + rng.normal(0, 0.35)) @ np.diag([1, rng.uniform(0.85, 1.15)])
        return Placement(turn * reach * 1.45, center - 0.6 * reach * turn[:, 0])
    tilt = _rotation(rng.uniform(0, 6.3)) @ np.diag([1, rng.uniform(0.66, 1)])
    return Placement(tilt @ _rotation(rng.uniform(0, 6.3)) * reach, center)
