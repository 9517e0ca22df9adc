"""Clean pictures that a machine drew: (H, W, 3) uint8, 256 x 256."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.subjects import brushed

SIDE = 256
LINE = "The quick brown fox jumps over the lazy dog, and sphinx of black quartz judge my vow. " * 3


def page(size: float = 6, ink: str = "black", paper: str = "white") -> np.ndarray:
    """A page of equal lines of text."""
    image = Image.new("RGB", (SIDE, SIDE), paper)
    for top in range(0, SIDE, round(1.25 * size)):
        font = ImageFont.load_default(size)
        ImageDraw.Draw(image).text((0, top), LINE, fill=ink, font=font)
    return np.array(image)


def boards(seed: int = 0) -> np.ndarray:
    """Boards of several heights over the full width, each shaded, with a dark joint below."""
    random, rows = np.random.default_rng(seed), []
    while len(rows) < SIDE:
        height = int(random.integers(6, 14))
        rows += list(random.uniform(120, 200) - np.linspace(0, 25, height))
        rows[-1] -= 50
    return across(np.array(rows[:SIDE]))


def rulings(seed: int = 0) -> np.ndarray:
    """Lines at odd distances over the full width."""
    random, rows = np.random.default_rng(seed), np.full(SIDE, 250.0)
    tops = np.cumsum(random.integers(2, 30, 40))
    rows[tops[tops < SIDE]] = 160
    return across(rows)


def bar_code(seed: int = 0) -> np.ndarray:
    """Two grays in bars of one to three rows."""
    random = np.random.default_rng(seed)
    bars = np.repeat(60.0 + 130 * random.integers(0, 2, SIDE), random.integers(1, 4, SIDE))
    return across(bars[:SIDE])


def across(rows: np.ndarray) -> np.ndarray:
    """The same value over each row, with a hint of colour."""
    picture = np.tile(rows[:, None, None], (1, SIDE, 1)) * np.array([1.0, 0.95, 0.9])
    return picture.round().clip(0, 255).astype(np.uint8)


def mosaic(side: int = 8, seed: int = 0) -> np.ndarray:
    """Flat squares of any colour."""
    colours = np.random.default_rng(seed).integers(0, 256, (SIDE // side, SIDE // side, 3))
    return colours.astype(np.uint8).repeat(side, 0).repeat(side, 1)


def dither() -> np.ndarray:
    """A ramp in black and white dots (Floyd-Steinberg)."""
    ramp = np.tile(np.linspace(0, 255, SIDE).astype(np.uint8), (SIDE, 1))
    return np.array(Image.fromarray(ramp).convert("1").convert("RGB"))


DRAWN = {
    "page": page(),
    "small page": page(8),
    "page on cream": page(8, "#141414", "#faf5e6"),
    "page of light on dark": page(8, "#c8dcc8", "#1e1e1e"),
    "boards": boards(),
    "rulings": rulings(),
    "bar code": bar_code(),
    "mosaic": mosaic(),
    "dither": dither(),
    "brushed metal": brushed(SIDE),
}
