"""Every recipe that `mdn train --list` shows begins as its file says, and takes its first steps.

The nets, losses and noises are the recipe's own; batches, crops and the pictures that are watched
are cut down, and nets whose steps are slow take fewer.
"""

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from benchmarks.scenes import rendering
from mdn import public_pictures
from mdn.commands.train import TrainRequest, run
from mdn.training import recipe_files
from mdn.training.recipe import Recipe
from tests.training.test_loop import Listener

STEPS, FEW = 20, 2
THIN = 32  # channels of the first scale of a net whose steps are quick
SLOWEST = "swinir-masked"
SIDE = 112  # of the pictures: a crop and what is around it fit in


def picture(path: Path, seed: int) -> None:
    """Stripes and noise, as large as the largest crop."""
    random = np.random.default_rng(seed)
    shade = np.linspace(40, 200, SIDE)[:, None, None] + random.normal(0, 20, (SIDE, SIDE, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, shade.clip(0, 255).astype(np.uint8))


def scene(folder: Path) -> None:
    """One scene at four numbers of samples, as the renderer writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for name, spp in (("4", 4), ("16", 16), ("64", 64), ("reference", 256)):
        light = random.gamma(spp, 1 / spp, (SIDE, SIDE, 3)).astype(np.float32)
        guides = (np.full((SIDE, SIDE, 3), value, np.float32) for value in (0.5, 1))
        about = {"samplesPerPixel": spp}
        rendering.write(folder / f"s_{name}.exr", rendering.Render(light, *guides), about)


def furnish(recipe: Recipe, root: Path) -> None:
    """The folders that a recipe names, with a few pictures in each."""
    sources = {*recipe.data.sources, *recipe.watch.sources}
    pictures = set(recipe.data.textures) | (set() if recipe.rendered else sources)
    pictures |= {f"{pair}/{half}" for pair in recipe.watch.pairs for half in ("noisy", "gt")}
    for folder in pictures - {public_pictures.SKIMAGE}:
        for number in range(3):
            picture(root / folder / f"{number}.png", number)
    for folder in sources if recipe.rendered else ():
        scene(root / folder)


@pytest.mark.parametrize("name", recipe_files.names())
def test_a_recipe_can_be_started(name: str, tmp_path: Path) -> None:
    recipe = recipe_files.load(recipe_files.find(name))
    if public_pictures.SKIMAGE in recipe.data.sources:
        pytest.importorskip("skimage")
    furnish(recipe, tmp_path)
    thin = recipe.net.get("widths", [99])[0] <= THIN and not recipe.judged
    steps, batch, crop = (STEPS, 2, 64) if thin else (FEW, 2, 64)
    if recipe.arch == SLOWEST:
        steps, batch, crop = 1, 1, 32
    changes: dict[str, Any] = {
        "optim": {"batch": batch, "groups": batch},
        "data": {"crop": crop, "context": 96 if recipe.data.context else 0},
        "watch": {"pictures": 1, "crop": 32},
    }
    request = TrainRequest(
        name, tmp_path, tmp_path / "out", stop_after=steps, device="cpu", changes=changes
    )
    result = run(request, Listener())
    assert (result.step, result.finished) == (steps, False)
    # Where a recipe has stages, those of the first one.
    assert list((tmp_path / "out").rglob("weights.safetensors"))
