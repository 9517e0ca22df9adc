"""Lessons of the small nets are drawn once, in parts, and taken from the folder afterwards."""

from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mdn.errors import UsageError
from mdn.nets.unet import UNet, UNetConfig
from mdn.training.data import Crops
from mdn.training.lessons import PART, TEST, draw_or_load
from mdn.training.recipe import Recipe
from tests.training.test_judged import recipe

STEPS = PART + 2


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        page = np.full((96, 96, 3), 50 * number, np.uint8)
        iio.imwrite(tmp_path / "pictures" / f"{number}.png", page)
    return tmp_path


@pytest.fixture
def asked() -> Recipe:
    made = recipe(("clean", 0, 0))
    return replace(
        made,
        data=replace(made.data, sources=("pictures",), hold_out=2, crop=32, context=0),
        optim=replace(made.optim, steps=STEPS),
    )


class Draw:
    """Draws the number of each step and the shades of all pictures, and remembers the steps."""

    def __init__(self) -> None:
        self.drawn: list[range] = []

    def __call__(self, crops: Crops, steps: range) -> dict[str, Tensor]:
        self.drawn.append(steps)
        shade = [float(picture.float().mean()) for picture in crops.pictures]
        return {"step": torch.tensor(list(steps)), "shade": torch.tensor([shade] * len(steps))}


def judging(seed: int, **config: bool) -> nn.Module:
    torch.manual_seed(seed)
    shape = {"widths": (8, 12), "blocks": (1, 1), "judge": True}
    return UNet(UNetConfig(**(shape | config)))


def test_a_second_run_takes_what_the_first_has_drawn(data: Path, asked: Recipe) -> None:
    draw = Draw()
    seen, test = draw_or_load(asked, data, data / "out", draw)
    assert seen["step"].tolist() == list(range(STEPS))
    assert test["step"].tolist() == list(range(STEPS, STEPS + -(-STEPS // TEST)))
    assert not set(seen["shade"][0].tolist()) & set(test["shade"][0].tolist())
    assert [len(steps) for steps in draw.drawn] == [PART, 2, len(test["step"])]
    renamed = replace(asked, name="other", about={"title": "Other"})  # draws the same
    again, _ = draw_or_load(renamed, data, data / "out", draw)
    assert len(draw.drawn) == 3
    assert torch.equal(again["step"], seen["step"])


def test_lessons_of_another_recipe_are_refused(data: Path, asked: Recipe) -> None:
    draw = Draw()
    draw_or_load(asked, data, data / "out", draw)
    longer = replace(asked, optim=replace(asked.optim, steps=2 * PART))
    for other in (longer, replace(asked, seed=5), replace(asked, clip_share=0.1)):
        with pytest.raises(UsageError, match=r"its lessons are of another recipe; choose"):
            draw_or_load(other, data, data / "out", draw)
    assert len(draw.drawn) == 3


def test_lessons_of_other_pictures_are_refused(data: Path, asked: Recipe) -> None:
    draw_or_load(asked, data, data / "out", Draw())
    (data / "pictures" / "3.png").rename(data / "pictures" / "5.png")
    with pytest.raises(UsageError, match="of another set of pictures"):
        draw_or_load(asked, data, data / "out", Draw())


def test_lessons_of_other_nets_are_refused_but_new_gates_are_none(
    data: Path, asked: Recipe
) -> None:
    draw_or_load(asked, data, data / "out", Draw(), nets=(judging(1),))
    gated = judging(2, gate=True)
    gated.load_state_dict(judging(1).state_dict(), strict=False)
    draw_or_load(asked, data, data / "out", Draw(), nets=(gated,))
    with pytest.raises(UsageError, match="of another model"):
        draw_or_load(asked, data, data / "out", Draw(), nets=(judging(2),))


@pytest.mark.parametrize("left", ["lessons-00000.safetensors", "checkpoint.pt"])
def test_what_does_not_say_what_it_was_drawn_by_is_refused(
    left: str, data: Path, asked: Recipe
) -> None:
    (data / "out").mkdir()
    (data / "out" / left).write_bytes(b"?")
    with pytest.raises(UsageError, match="nothing says what"):
        draw_or_load(asked, data, data / "out", Draw())
