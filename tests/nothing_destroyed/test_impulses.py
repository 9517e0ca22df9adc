"""Impulses of any value in a photograph without other noise: gone on every route, alike."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import judgement
from tests.nothing_destroyed.routes import COLOUR

SIDE = 192


@pytest.fixture(scope="module")
def photo(shared_data: Path) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8."""
    path = min((shared_data / "val" / "cameras" / "gt").iterdir())
    return judgement.middle(Image.open(path), SIDE)


def struck(page: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A page with other values on 1 % of its pixels, and where."""
    dice = np.random.default_rng(1)
    hit = dice.random(page.shape[:2]) < 0.01
    noisy = page.copy()
    noisy[hit] = dice.integers(0, 256, noisy[hit].shape)
    return noisy, hit


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("route", COLOUR)
def test_in_colour(photo: np.ndarray, route: str, depth: type) -> None:
    noisy, hit = struck(photo)
    scale = np.iinfo(depth).max // 255
    result = COLOUR[route]((noisy * depth(scale)).astype(depth))
    shown = np.rint(result.pixels / scale).astype(np.uint8)
    assert judgement.psnr(shown, photo) >= judgement.psnr(noisy, photo) + 1
    assert (shown[~hit] != photo[~hit]).mean() < 0.005
    assert not result.lines or "impulses on" in "; ".join(result.lines)
