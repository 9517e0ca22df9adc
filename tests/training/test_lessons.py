"""Lessons of the small nets are drawn once, in parts, and taken from the folder afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from torch import Tensor

from mdn.training.data import Crops
from mdn.training.lessons import PART, TEST, draw_or_load
from tests.training.test_judged import recipe

STEPS = PART + 2


def test_a_second_run_takes_what_the_first_has_drawn(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        page = np.full((96, 96, 3), 50 * number, np.uint8)
        iio.imwrite(tmp_path / "pictures" / f"{number}.png", page)
    asked = recipe(("clean", 0, 0))
    asked = replace(
        asked,
        data=replace(asked.data, sources=("pictures",), hold_out=2, crop=32, context=0),
        optim=replace(asked.optim, steps=STEPS),
    )
    drawn: list[range] = []

    def draw(crops: Crops, steps: range) -> dict[str, Tensor]:
        drawn.append(steps)
        shade = [float(picture.float().mean()) for picture in crops.pictures]
        return {"step": torch.tensor(list(steps)), "shade": torch.tensor([shade] * len(steps))}

    seen, test = draw_or_load(asked, tmp_path, tmp_path / "out", draw)
    assert seen["step"].tolist() == list(range(STEPS))
    assert test["step"].tolist() == list(range(STEPS, STEPS + -(-STEPS // TEST)))
    assert not set(seen["shade"][0].tolist()) & set(test["shade"][0].tolist())
    assert [len(steps) for steps in drawn] == [PART, 2, len(test["step"])]
    again, _ = draw_or_load(asked, tmp_path, tmp_path / "out", draw)
    assert len(drawn) == 3
    assert torch.equal(again["step"], seen["step"])
