"""Photographs laid over renders: the noise stays that of the render, and the guides fit."""

from pathlib import Path

import pytest
import torch

from mdn.errors import UsageError
from mdn.training import textures
from mdn.training.data import Crops
from mdn.training.recipe_parse import parse
from mdn.training.renders import Scenes
from mdn.training.textures import Textures
from tests.training.test_renders import TABLE, scene

SIZE = 16


@pytest.fixture
def laid() -> Textures:
    generator = torch.Generator().manual_seed(5)
    picture = torch.randint(0, 256, (3, 40, 40), generator=generator, dtype=torch.uint8)
    return Textures(Crops([picture], SIZE, torch.device("cpu")))


def pair() -> torch.Tensor:
    made = scene().planes[[0, 2], :, :SIZE, :SIZE].clone()
    made[:, 3:6, :4] = 0  # a lamp
    return made


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_light_and_albedo_are_multiplied_alike(
    laid: Textures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textures, "LAID", 1.0)
    monkeypatch.setattr(textures, "GUIDED", 1.0)
    before = pair()
    after = laid.lay(before, seeded(0))
    torch.testing.assert_close(after[:, :, :4], before[:, :, :4])  # a lamp has no texture
    factor = after[:, :3, 4:] / before[:, :3, 4:]
    torch.testing.assert_close(factor[0], factor[1])  # so the noise is the same, relative to light
    torch.testing.assert_close(after[:, 3:6, 4:] / before[:, 3:6, 4:], factor)
    assert factor.std() > 0.1
    torch.testing.assert_close(after[:, 6:], before[:, 6:])


def test_noise_on_photographs_is_unbiased() -> None:
    flat = Textures(Crops([torch.full((3, 80, 80), 128).byte()], 64, torch.device("cpu")))
    ratios = []
    for number in range(30):
        noisy, clean = flat.alone(seeded(number))
        assert clean.shape == noisy.shape == (9, 64, 64)
        assert torch.equal(noisy[3:], clean[3:])
        ratios.append((noisy[:3] / clean[:3]).mean())
    assert float(torch.stack(ratios).mean()) == pytest.approx(1, abs=0.03)


def test_scenes_draw_them_and_recipes_name_them(laid: Textures) -> None:
    recipe, device = parse(TABLE | {"data": TABLE["data"] | {"textures": ["photos"]}}), "cpu"
    scenes = Scenes([scene()], SIZE, torch.device(device), laid)
    one, again = (scenes.draw_group(recipe, 3, 1) for _ in range(2))
    assert torch.equal(one.noisy, again.noisy)
    noise = [{"kind": "gaussian", "low": 1, "high": 2}]
    data = {"sources": ["x"], "textures": ["photos"]}
    with pytest.raises(UsageError, match="textures are for renders"):
        parse({"name": "x", "arch": "unet", "data": data, "noise": noise}, str(Path("x")))
