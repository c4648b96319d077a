"""Paint a grown flower, its stem and what lies behind it with Pillow."""

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
    Kind,
    Place,
    band_sizes,
    circle,
    form_petals,
    grow_flower,
    pick_colour,
    place_flower,
)

Pen = ImageDraw.ImageDraw


def _flat(points: Floats) -> list[float]:
    """Give points [N, 2] to Pillow: x, y, x, y."""
    flat: list[float] = points.ravel().tolist()
    return flat


def _ink(colour: Floats, tone: float = 1.0) -> tuple[int, int, int]:
    """Give a colour to Pillow, `tone` times as bright."""
    red, green, blue = np.clip(colour * tone, 0, 255).astype(int).tolist()
    return red, green, blue


def _paint(pen: Pen, bands: Floats, inner: Floats, outer: Floats) -> None:
    """Fill bands [bands, N, 2], largest first: a dark edge, then from `outer` to `inner`."""
    pen.polygon(_flat(bands[0]), fill=_ink(outer, 0.62))
    for band, share in zip(bands[1:], np.linspace(0, 1, len(bands) - 1) ** 1.3, strict=True):
        pen.polygon(_flat(band), fill=_ink(outer + (inner - outer) * share))


def _paint_petal(pen: Pen, bands: Floats, inner: Floats, outer: Floats) -> None:
    """Paint a petal or leaf: bands from tip to base, one half in the shade, and veins."""
    _paint(pen, bands, inner, outer)
    left, right = bands[1, :POINTS], np.roll(bands[1], -1, axis=0)[: -POINTS - 1 : -1]
    middle, is_large = (left + right) / 2, len(bands) > 5
    pen.polygon(_flat(np.concatenate([left, middle[::-1]])), fill=(0, 0, 0, 20))
    for across in (-0.5, 0.0, 0.5) if is_large else (0.0,):
        vein = (middle + across * (left - middle))[2:12]
        pen.line(_flat(vein), fill=(*_ink(inner, 0.7), 90), width=1 + is_large)


def _paint_disc(pen: Pen, place: Place, rim: Floats, inner: Floats, outer: Floats) -> None:
    """Paint a shaded disc, or any other outline [N, 2] around the origin."""
    _paint(pen, place.at(band_sizes(5)[..., None] * rim), inner, outer)


def _paint_dots(pen: Pen, dots: Floats, radius: float, colour: Floats) -> None:
    """Paint a small shaded dot at every point [N, 2] of the picture."""
    for x, y in dots.tolist():
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_ink(colour, 0.6))
        pen.ellipse((x - radius, y - radius, x + radius / 2, y + radius / 2), fill=_ink(colour))


def _paint_stamens(pen: Pen, place: Place, flower: Flower) -> None:
    """Paint nine filaments of unequal length with a dot at the end of each."""
    reach = flower.radius * np.array([1.3, 1.6, 1.7, 1.4, 1.8, 1.5, 1.7, 1.3, 1.6])[:, None]
    tips = place.at(circle(1, 9) * reach)
    for tip in tips:
        pen.line([*place.centre, *tip], fill=_ink(flower.centre_colour, 0.8), width=2)
    _paint_dots(pen, tips, 0.055 * place.size(), flower.centre_colour)


def _paint_seeds(pen: Pen, place: Place, flower: Flower) -> None:
    """Paint sixty dots that fill the centre as seeds fill a sunflower."""
    turn = np.arange(60) + 0.5
    angle, away = turn * GOLDEN_ANGLE, 0.95 * flower.radius * np.sqrt(turn / 60)
    seeds = place.at(np.stack([away * np.cos(angle), away * np.sin(angle)], axis=-1))
    _paint_dots(pen, seeds, 0.035 * place.size(), flower.centre_colour * 1.25)


def _paint_centre(pen: Pen, place: Place, flower: Flower) -> None:
    """Paint the middle of a flower."""
    colour, dark, rim = flower.centre_colour, flower.inner * 0.5, circle(flower.radius, 48)
    match flower.centre:
        case "disc":
            _paint_disc(pen, place, rim, colour * 1.1, colour * 0.7)
        case "dots":
            _paint_disc(pen, place, rim, colour, colour * 0.6)
            _paint_seeds(pen, place, flower)
        case "stamens":
            _paint_disc(pen, place, rim * 0.5, dark, dark * 1.3)
            _paint_stamens(pen, place, flower)
        case "ring":
            _paint_disc(pen, place, rim * 1.3, colour, colour * 0.9)
            _paint_disc(pen, place, rim * 0.7, dark, dark * 1.4)
        case "trumpet":
            frill = 1 + 0.08 * np.sin(np.arange(48) * math.pi / 3)[:, None]
            _paint_disc(pen, place, rim * frill, colour * 0.85, colour * 1.05)
            _paint_disc(pen, place, rim * 0.66, colour * 0.4, colour * 0.8)
        case "curl":
            curl = np.tile(circle(0.17), (2, 1)) * np.linspace(0, 1, 48)[:, None]
            pen.line(_flat(place.at(curl)), fill=_ink(dark), width=3)


def paint_flower(pen: Pen, place: Place, flower: Flower) -> None:
    """Paint all petals, then the centre."""
    for bands, tone in zip(place.at(flower.petals), flower.tones, strict=True):
        _paint_petal(pen, bands, flower.inner * tone, flower.outer * tone)
    _paint_centre(pen, place, flower)


def _paint_leaf(pen: Pen, base: Floats, reach: float, green: Floats, rng: Generator) -> None:
    """Paint a leaf from its base [2], `reach` pixels long, upwards more often than not."""
    leaf = form_petals(LEAF, rng, rng.normal(-math.pi / 2, 1, 1), np.ones(1))[0]
    _paint_petal(pen, leaf * reach + base, green * 0.7, green * rng.uniform(0.95, 1.2))


def paint_stem(pen: Pen, place: Place, kind: Kind, rng: Generator, pixels: int) -> None:
    """Paint a curved stem, with up to three leaves, from the flower out of the picture."""
    end = np.array([rng.uniform(0.2, 0.8), 1.1]) * pixels
    away = -0.9 * place.matrix[:, 0] if kind.layout in SIDE_VIEWS else np.array([0, 0.3 * pixels])
    t = np.linspace(0, 1, 14)[:, None]
    curve = place.centre + 2 * t * (1 - t) * away + t**2 * (end - place.centre)
    green, thick = pick_colour(rng, GREENS), rng.uniform(0.018, 0.032) * pixels
    for tone, share in ((0.6, 1.0), (1.0, 0.7), (1.25, 0.25)):
        pen.line(_flat(curve), fill=_ink(green, tone), width=int(thick * share), joint="curve")
    for index in rng.integers(5, 11, rng.integers(0, 4)):
        _paint_leaf(pen, curve[index], rng.uniform(0.25, 0.45) * pixels, green, rng)


def paint_ground(rng: Generator, pixels: int) -> Image.Image:
    """Paint a background: mottled colour, leaves, and discs of light."""
    colours = np.stack([pick_colour(rng, GROUNDS), pick_colour(rng, GROUNDS)])
    mottle = colours[rng.integers(0, 2, (4, 4))] + rng.normal(0, 10, (4, 4, 3))
    small = Image.fromarray(np.clip(mottle, 0, 255).astype(np.uint8))
    ground = small.resize((pixels, pixels), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(ground, "RGBA")
    for _ in range(rng.integers(0, 9)):
        green, reach = (
            0.6 * pick_colour(rng, GREENS) + 0.4 * colours[0],
            rng.uniform(0.3, 0.8) * pixels,
        )
        _paint_leaf(pen, rng.uniform(0, 1.2, 2) * pixels, reach, green, rng)
    for _ in range(rng.integers(0, 10)):
        disc = circle(rng.uniform(0.02, 0.12) * pixels) + rng.uniform(0, pixels, 2)
        ink = _ink(pick_colour(rng, GROUNDS if rng.random() < 0.6 else PETALS))
        pen.polygon(_flat(disc), fill=(*ink, int(rng.integers(40, 130))))
    return ground


def add_distance(ground: Image.Image, kind: Kind, rng: Generator) -> Image.Image:
    """Add up to two flowers of the kind far behind, and put all of it out of focus."""
    pen = ImageDraw.Draw(ground, "RGBA")
    for _ in range(rng.integers(0, 3)):
        place = place_flower(kind, rng, rng.uniform(0.12, 0.2))
        aside = 0.42 * circle(1)[rng.integers(24)]
        far = Place(place.matrix, place.centre + aside).scaled(ground.width)
        paint_flower(pen, far, grow_flower(kind, rng))
    return ground.filter(ImageFilter.GaussianBlur(rng.uniform(0.008, 0.025) * ground.width))


def cast_shadow(ground: Image.Image, place: Place, flower: Flower) -> None:
    """Darken the background under a flower, softly, a little below it."""
    mask = Image.new("L", ground.size)
    pen = ImageDraw.Draw(mask)
    for bands in (place.at(flower.petals[:24]) + 0.03) * ground.width:
        pen.polygon(_flat(bands[0]), fill=110)
    ground.paste((0, 0, 0), mask=mask.filter(ImageFilter.GaussianBlur(0.025 * ground.width)))


def add_light(picture: Image.Image, rng: Generator) -> Image.Image:
    """Add light from one side, dark corners, and grain."""
    axis = np.linspace(-1, 1, picture.width, dtype=np.float32)
    (across, down), corner = rng.normal(0, 0.12, 2), rng.uniform(0, 0.16)
    x, y = across * axis - corner * axis**2, down * axis - corner * axis**2
    field = rng.uniform(0.78, 1.16) + x[None, :] + y[:, None]
    grain = rng.standard_normal(field.shape, dtype=np.float32) * rng.uniform(1, 7)
    lit = np.asarray(picture) * field[..., None] + grain[..., None]
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
