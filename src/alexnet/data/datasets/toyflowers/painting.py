"""Paints a flower, its stem and the background with Pillow."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from alexnet.data.datasets.toyflowers.shapes import (
    GOLDEN_ANGLE,
    GREENS,
    GROUNDS,
    LEAF,
    PETALS,
    POINTS,
    SIDE_VIEWS,
    Floats,
    Flower,
    Placement,
    Species,
    band_sizes,
    circle,
    sample_color,
    sample_flower,
    sample_petals,
    sample_placement,
)

Pen = ImageDraw.ImageDraw


def _flat(points: Floats) -> list[float]:
    """Points [N, 2] as Pillow takes them: x, y, x, y."""
    flat: list[float] = points.ravel().tolist()
    return flat


def _ink(color: Floats, tone: float = 1.0) -> tuple[int, int, int]:
    """A colour as Pillow takes it, `tone` times as bright."""
    red, green, blue = np.clip(color * tone, 0, 255).astype(int).tolist()
    return red, green, blue


def _paint(pen: Pen, bands: Floats, inner: Floats, outer: Floats) -> None:
    """Fill bands [bands, N, 2], largest first: a dark edge, then from `outer` to `inner`."""
    pen.polygon(_flat(bands[0]), fill=_ink(outer, 0.62))
    for band, fraction in zip(bands[1:], np.linspace(0, 1, len(bands) - 1) ** 1.3, strict=True):
        pen.polygon(_flat(band), fill=_ink(outer + (inner - outer) * fraction))


def _paint_petal(pen: Pen, bands: Floats, inner: Floats, outer: Floats) -> None:
    """Paint a petal or leaf: bands from tip to base, one half in the shade, and veins."""
    _paint(pen, bands, inner, outer)
    left, right = bands[1, :POINTS], np.roll(bands[1], -1, axis=0)[: -POINTS - 1 : -1]
    middle, is_large = (left + right) / 2, len(bands) > 5
    pen.polygon(_flat(np.concatenate([left, middle[::-1]])), fill=(0, 0, 0, 20))
    for across in (-0.5, 0.0, 0.5) if is_large else (0.0,):
        vein = (middle + across * (left - middle))[2:12]
        pen.line(_flat(vein), fill=(*_ink(inner, 0.7), 90), width=1 + is_large)


def _paint_disc(pen: Pen, placement: Placement, rim: Floats, inner: Floats, outer: Floats) -> None:
    """Paint a shaded disc, or any other outline [N, 2] around the origin."""
    _paint(pen, placement.at(band_sizes(5)[..., None] * rim), inner, outer)


def _paint_dots(pen: Pen, dots: Floats, radius: float, color: Floats) -> None:
    """Paint a small shaded dot at every point [N, 2] of the image."""
    for x, y in dots.tolist():
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_ink(color, 0.6))
        pen.ellipse((x - radius, y - radius, x + radius / 2, y + radius / 2), fill=_ink(color))


def _paint_stamens(pen: Pen, placement: Placement, flower: Flower) -> None:
    """Paint nine filaments of unequal length with a dot at the end of each."""
    reach = flower.radius * np.array([1.3, 1.6, 1.7, 1.4, 1.8, 1.5, 1.7, 1.3, 1.6])[:, None]
    tips = placement.at(circle(1, 9) * reach)
    for tip in tips:
        pen.line([*placement.center, *tip], fill=_ink(flower.center_color, 0.8), width=2)
    _paint_dots(pen, tips, 0.055 * placement.size(), flower.center_color)


def _paint_seeds(pen: Pen, placement: Placement, flower: Flower) -> None:
    """Paint sixty dots that fill the centre as seeds fill a sunflower."""
    turn = np.arange(60) + 0.5
    angle, away = turn * GOLDEN_ANGLE, 0.95 * flower.radius * np.sqrt(turn / 60)
    seeds = placement.at(np.stack([away * np.cos(angle), away * np.sin(angle)], axis=-1))
    _paint_dots(pen, seeds, 0.035 * placement.size(), flower.center_color * 1.25)


def _paint_center(pen: Pen, placement: Placement, flower: Flower) -> None:
    """Paint the middle of a flower."""
    color, dark, rim = flower.center_color, flower.inner * 0.5, circle(flower.radius, 48)
    match flower.center:
        case "disc":
            _paint_disc(pen, placement, rim, color * 1.1, color * 0.7)
        case "dots":
            _paint_disc(pen, placement, rim, color, color * 0.6)
            _paint_seeds(pen, placement, flower)
        case "stamens":
            _paint_disc(pen, placement, rim * 0.5, dark, dark * 1.3)
            _paint_stamens(pen, placement, flower)
        case "ring":
            _paint_disc(pen, placement, rim * 1.3, color, color * 0.9)
            _paint_disc(pen, placement, rim * 0.7, dark, dark * 1.4)
        case "trumpet":
            frill = 1 + 0.08 * np.sin(np.arange(48) * math.pi / 3)[:, None]
            _paint_disc(pen, placement, rim * frill, color * 0.85, color * 1.05)
            _paint_disc(pen, placement, rim * 0.66, color * 0.4, color * 0.8)
        case "curl":
            curl = np.tile(circle(0.17), (2, 1)) * np.linspace(0, 1, 48)[:, None]
            pen.line(_flat(placement.at(curl)), fill=_ink(dark), width=3)


def paint_flower(pen: Pen, placement: Placement, flower: Flower) -> None:
    """Paint all petals, then the centre."""
    for bands, tone in zip(placement.at(flower.petals), flower.tones, strict=True):
        _paint_petal(pen, bands, flower.inner * tone, flower.outer * tone)
    _paint_center(pen, placement, flower)


def _paint_leaf(pen: Pen, base: Floats, reach: float, green: Floats, rng: Generator) -> None:
    """Paint a leaf from its base [2], `reach` pixels long, upwards more often than not."""
    leaf = sample_petals(LEAF, rng, rng.normal(-math.pi / 2, 1, 1), np.ones(1))[0]
    _paint_petal(pen, leaf * reach + base, green * 0.7, green * rng.uniform(0.95, 1.2))


def paint_stem(pen: Pen, placement: Placement, species: Species, rng: Generator, side: int) -> None:
    """Paint a curved stem, with up to three leaves, from the flower to the edge of the image."""
    end = np.array([rng.uniform(0.2, 0.8), 1.1]) * side
    away = (
        -0.9 * placement.matrix[:, 0] if species.layout in SIDE_VIEWS else np.array([0, 0.3 * side])
    )
    t = np.linspace(0, 1, 14)[:, None]
    curve = placement.center + 2 * t * (1 - t) * away + t**2 * (end - placement.center)
    green, thick = sample_color(rng, GREENS), rng.uniform(0.018, 0.032) * side
    for tone, fraction in ((0.6, 1.0), (1.0, 0.7), (1.25, 0.25)):
        pen.line(_flat(curve), fill=_ink(green, tone), width=int(thick * fraction), joint="curve")
    for index in rng.integers(5, 11, rng.integers(0, 4)):
        _paint_leaf(pen, curve[index], rng.uniform(0.25, 0.45) * side, green, rng)


def paint_ground(rng: Generator, side: int) -> Image.Image:
    """Paint a background: mottled colour, leaves, and discs of light."""
    colors = np.stack([sample_color(rng, GROUNDS), sample_color(rng, GROUNDS)])
    mottle = colors[rng.integers(0, 2, (4, 4))] + rng.normal(0, 10, (4, 4, 3))
    small = Image.fromarray(np.clip(mottle, 0, 255).astype(np.uint8))
    ground = small.resize((side, side), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(ground, "RGBA")
    for _ in range(rng.integers(0, 9)):
        green, reach = (
            0.6 * sample_color(rng, GREENS) + 0.4 * colors[0],
            rng.uniform(0.3, 0.8) * side,
        )
        _paint_leaf(pen, rng.uniform(0, 1.2, 2) * side, reach, green, rng)
    for _ in range(rng.integers(0, 10)):
        disc = circle(rng.uniform(0.02, 0.12) * side) + rng.uniform(0, side, 2)
        ink = _ink(sample_color(rng, GROUNDS if rng.random() < 0.6 else PETALS))
        pen.polygon(_flat(disc), fill=(*ink, int(rng.integers(40, 130))))
    return ground


def paint_distant_flowers(ground: Image.Image, species: Species, rng: Generator) -> Image.Image:
    """Paint up to two flowers of the species in the background, and blur all of it."""
    pen = ImageDraw.Draw(ground, "RGBA")
    for _ in range(rng.integers(0, 3)):
        placement = sample_placement(species, rng, rng.uniform(0.12, 0.2))
        offset = 0.42 * circle(1)[rng.integers(24)]
        far = Placement(placement.matrix, placement.center + offset).scaled(ground.width)
        paint_flower(pen, far, sample_flower(species, rng))
    return ground.filter(ImageFilter.GaussianBlur(rng.uniform(0.008, 0.025) * ground.width))


def cast_shadow(ground: Image.Image, placement: Placement, flower: Flower) -> None:
    """Darken the background under a flower, softly, a little below it."""
    mask = Image.new("L", ground.size)
    pen = ImageDraw.Draw(mask)
    for bands in (placement.at(flower.petals[:24]) + 0.03) * ground.width:
        pen.polygon(_flat(bands[0]), fill=110)
    ground.paste((0, 0, 0), mask=mask.filter(ImageFilter.GaussianBlur(0.025 * ground.width)))


def add_light(image: Image.Image, rng: Generator) -> Image.Image:
    """Add light from one side, dark corners, and grain."""
    axis = np.linspace(-1, 1, image.width, dtype=np.float32)
    (across, down), corner = rng.normal(0, 0.12, 2), rng.uniform(0, 0.16)
    x, y = across * axis - corner * axis**2, down * axis - corner * axis**2
    field = rng.uniform(0.78, 1.16) + x[None, :] + y[:, None]
    grain = rng.standard_normal(field.shape, dtype=np.float32) * rng.uniform(1, 7)
    lit = np.asarray(image) * field[..., None] + grain[..., None]
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
