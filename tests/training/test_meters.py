"""Training a net that measures noise: what it is shown, what it should say, that it learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w
import torch

from mdn.commands import train
from mdn.errors import UsageError
from mdn.registry.cards import read_card
from mdn.training import meters, recipe, recipe_parse
from mdn.training.data import Crops

TABLE = {
    "name": "x",
    "arch": "meter",
    "net": {"filters": 8, "width": 8},
    "data": {"sources": ["x"], "crop": 64},
    "optim": {"batch": 4, "groups": 2},
    "noise": [{"kind": "gaussian", "low": 10.0, "high": 10.0}],
    "clip_share": 0.0,
}


def crops(scales: tuple[float, ...] = ()) -> Crops:
    ramp = torch.linspace(60, 180, 128).round().byte()
    return Crops([ramp.expand(3, 128, 128).contiguous()], 64, torch.device("cpu"), scales)


def parsed(**changes: object) -> recipe.Recipe:
    return recipe_parse.parse(TABLE | changes)


def test_the_level_is_that_of_what_was_added() -> None:
    sample = meters.draw_group(parsed(), crops(), 0, 0)
    assert sample.noisy.shape == (2, 3, 64, 64)
    assert sample.level.flatten().tolist() == pytest.approx([10, 10], rel=0.05)


def test_what_a_codec_does_by_itself_is_no_noise() -> None:
    coded = {"share": 1.0, "low": 50, "high": 50}
    none = [{"kind": "gaussian", "low": 0.0, "high": 0.0}]
    clean = meters.draw_group(parsed(jpeg=coded, noise=none), crops(), 0, 0)
    assert clean.level.max() == 0
    noisy = meters.draw_group(parsed(jpeg=coded), crops(), 0, 0)
    assert 2 < float(noisy.level.mean()) < 10  # it keeps a part of the noise
    steps = 255 * noisy.noisy
    assert torch.allclose(steps, steps.round(), atol=1e-3)


def test_neighbours_share_the_noise_of_what_was_enlarged() -> None:
    data = {"sources": ["x"], "crop": 64, "enlarged": 1.0}
    sample = meters.draw_group(parsed(data=data), crops(), 0, 0)
    added = sample.noisy - sample.clean
    beside = (added[..., 1:] * added[..., :-1]).mean() / added.square().mean()
    assert float(beside) > 0.25
    assert 4 < float(sample.level.mean()) < 11  # enlarging takes some of it


def test_the_same_step_is_drawn_the_same() -> None:
    one, two = (meters.draw_group(parsed(), crops((0.3, 2.0)), 5, 1) for _ in range(2))
    assert torch.equal(one.noisy, two.noisy)
    assert not torch.equal(one.noisy, meters.draw_group(parsed(), crops((0.3, 2.0)), 6, 1).noisy)


def test_crops_are_taken_at_many_scales() -> None:
    """The ramp falls by as much a pixel as the picture was reduced."""
    drawn = crops((0.5, 2.0)).draw(64, torch.Generator().manual_seed(0))
    middle = drawn[..., 16:48, 16:48]
    slopes = [
        float((p.amax() - p.amin()) * 255 / 31 / (120 / 127)) for p in middle
    ]  # a turned ramp has the same
    assert min(slopes) == pytest.approx(0.5, abs=0.15)
    assert max(slopes) == pytest.approx(2.0, abs=0.15)


def test_it_learns_to_tell_noise_from_none(data: Path, tmp_path: Path) -> None:
    table = TABLE | {
        "net": {"filters": 8, "side": 5, "width": 16},
        "data": {"sources": ["pictures"], "crop": 40, "hold_out": 3, "scales": [0.9, 1.1]},
        "noise": [{"kind": "gaussian", "low": v, "high": v} for v in (0.0, 25.0)],
        "optim": {"name": "adamw", "lr": 0.01, "schedule": "cosine", "steps": 120, "warmup": 2}
        | {"batch": 8, "groups": 4, "ema": 0.8},
        "watch": {"rows": [["gaussian", 0], ["gaussian", 25]], "every": 120}
        | {"crop": 40, "pictures": 2},
    }
    path = tmp_path / "recipe.toml"
    path.write_text(tomli_w.dumps(table))
    folder = tmp_path / "run"
    settings = train.Settings(path, data, folder, device="cpu")
    heard: list[dict[str, float]] = []

    class Report:
        def note(self, line: str) -> None: ...
        def begin(self, step: int, steps: int) -> None: ...
        def row(self, row: dict[str, float]) -> None:
            heard.append(row)

    assert train.run(settings, Report()).finished
    assert heard[-1]["gaussian-25"] < 8
    assert heard[-1]["gaussian-0"] < 4
    card = read_card(folder, "folder")
    assert card.hidden
    assert card.arch == "meter"
    assert "mean error of the level" in next(iter(card.scores))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"data": {"sources": ["x"], "crop": 64, "scales": [2.0, 1.0]}}, "scales"),
        ({"jpeg": {"share": 2.0}}, r"\[jpeg\] share"),
        ({"jpeg": {"low": 0}}, r"\[jpeg\] needs"),
        ({"jpeg": {"share": 0.5}, "arch": "unet", "net": {}}, "measures noise"),
        ({"data": {"sources": ["x"], "enlarged": 0.5}, "arch": "unet", "net": {}}, "measures"),
        ({"data": {"sources": ["x"], "crop": 64, "enlarged": -1.0}}, "enlarged is a share"),
        ({"mask": {"share": 0.5}}, "no masks"),
    ],
)
def test_a_recipe_that_makes_no_sense(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parsed(**changes)
