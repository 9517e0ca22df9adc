"""A tiny recipe and a folder of pictures for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from mdn import plots

RECIPE = """
name = "tiny"
arch = "unet"
seed = 3
loss = "l1"
[net]
widths = [4, 8]
blocks = [1, 1]
[data]
sources = ["pictures"]
crop = 16
gray = 0.25
hold_out = 3
[[noise]]
kind = "gaussian"
low = 0
high = 50
[[noise]]
kind = "salt-pepper"
low = 0
high = 0.1
[mask]
share = 0.5
[optim]
name = "{name}"
lr = 0.01
steps = 8
warmup = 2
cooldown = 4
batch = 4
groups = 2
clip = 1.0
[watch]
every = 4
rows = [["gaussian", 25], ["spatial", 55]]
pictures = 2
crop = 32
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with six small pictures in `pictures`."""
    folder = tmp_path / "data" / "pictures"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(6):
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        iio.imwrite(folder / f"{index}.png", pixels)
    return folder.parent


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Writes the recipe, with words replaced, and returns its path."""

    def write(name: str = "muon", **replaced: Any) -> Path:
        text = RECIPE.format(name=name)
        for old, new in replaced.items():
            line = next(row for row in text.splitlines() if row.startswith(f"{old} ="))
            text = text.replace(line, f"{old} = {new}")
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests do without the picture, which takes longer to draw than they take to train."""
    monkeypatch.setattr(plots, "missing", lambda: "not wanted")
