"""An estimate is believed only as far as the net finds such noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdn import noise
from mdn.pipeline import doubt
from mdn.pipeline.classical import condition, estimate_noise
from mdn.pipeline.conditioning import NoiseConditioning, blend_weight
from mdn.pipeline.doubt import LIKELY, TAKEN, believed, doubtful, nothing, uneven, windows
from tests.pipeline.test_multiscale import picture
from tests.pipeline.tools import denoised, restored


def textured(side: int = 192) -> torch.Tensor:
    """Fallen leaves: small discs of all grays on top of each other, nowhere flat; (3, H, W)."""
    random = np.random.default_rng(5)
    down, across = np.mgrid[:side, :side]
    gray = np.zeros((side, side), np.float32)
    for _ in range(6000):
        y, x, radius = *random.uniform(-4, side + 4, 2), random.uniform(2.5, 4.5)
        rows, columns = (slice(max(0, int(v) - 5), max(0, int(v) + 6)) for v in (y, x))
        far = (down[rows, columns] - y) ** 2 + (across[rows, columns] - x) ** 2
        gray[rows, columns][far < radius**2] = random.uniform(0.4, 0.6)
    colour = torch.tensor([0.9, 1.0, 0.8])[:, None, None]
    return torch.from_numpy(gray) * colour


def told(level: float, **more: object) -> NoiseConditioning:
    seen = replace(
        estimate_noise(textured()), sigma=(level,) * 3, correlated=True, impulsive=False, coarse=2.0
    )
    scales = (level / 510, level / 1000)
    return NoiseConditioning(level / 255, scales=scales, estimate=replace(seen, **more))


def test_a_level_that_the_net_finds_stays() -> None:
    known = told(10.0)
    assert believed(known, lambda each: 0.7 * 10 / 255) is known


def test_what_it_does_not_find_is_lowered_until_it_does() -> None:
    found = believed(told(20.0), lambda each: min(each.level * 0.9, 5 / 255))
    assert 5 <= 255 * found.level <= 5 / 0.58
    assert found.scales[0] == pytest.approx(found.level / 2)
    assert found.blend_weight == 1


def test_texture_of_which_it_takes_a_part_at_any_level_is_none() -> None:
    found = believed(told(12.0), lambda each: each.level * 0.45)
    assert found.blend_weight == 0
    assert found.blend_weight == blend_weight(found.level)


def test_noise_of_all_colours_and_no_scale_but_its_own_is_rather_believed() -> None:
    likely = told(12.0, coarse=0.6, colour=0.5)
    assert believed(likely, lambda each: each.level * (LIKELY + 0.02)) is likely
    lowered = believed(likely, lambda each: 0.2 * 12 / 255)
    assert lowered.level == pytest.approx(12 / 255 * 0.2 / TAKEN)


def test_gray_noise_looks_like_grain_where_it_is_strong() -> None:
    assert doubt.grainy(told(12.0, coarse=0.6, colour=0.5))
    assert not doubt.grainy(told(12.0, coarse=0.6, colour=0.2))
    assert not doubt.grainy(told(12.0, coarse=1.2, colour=0.5))
    assert doubt.grainy(told(12.0, coarse=0.6, colour=0.0))
    assert not doubt.grainy(told(4.0, coarse=0.6, colour=0.0))


@pytest.mark.parametrize("kind", ["spatial", "grain"])
def test_smooth_noise_of_a_gray_picture_is_taken_out(kind: str) -> None:
    clean = picture(256).mean(0, keepdim=True)
    noisy = noise.add(clean, kind, 30.0, torch.Generator().manual_seed(0))
    page = (noisy.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    truth = (255 * clean).permute(1, 2, 0).numpy()
    before, after = (np.square(each - truth).mean() for each in (page, denoised(page, "photo")))
    assert after < before / 2


def parts_with(taken: float, flat: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Half a window flat and half of it coarse stripes, and changes of those strengths (0-255)."""
    random = np.random.default_rng(1)
    clean = np.full((96, 96, 3), 0.5, np.float32)
    clean[:, 48:] += 0.2 * np.sign(np.sin(np.arange(48) / 2))[None, :, None]
    change = random.standard_normal(clean.shape).astype(np.float32) * taken / 255
    change[:, :48] *= flat / taken
    return [clean - change], [change]


def test_noise_is_even_and_texture_is_not() -> None:
    known = told(10.0)
    assert not uneven(known, *parts_with(8.0, 9.5))  # all of it where the picture is flat
    assert uneven(known, *parts_with(8.0, 2.0))
    assert known.estimate is not None
    gray = replace(known, estimate=replace(known.estimate, colour=0.0))
    assert not uneven(gray, *parts_with(8.0, 5.5))  # there, colour tells nothing
    white = replace(known, scales=())
    assert not uneven(white, *parts_with(8.0, 2.0))  # nobody took it for smooth noise


@pytest.mark.parametrize("shape", [(8, 8, 3), (12, 64, 3), (15, 200, 1), (3, 3, 3)])
def test_small_pictures_pass(shape: tuple[int, int, int]) -> None:
    noisy = np.random.default_rng(0).normal(128, 50, shape)
    noisy = (noisy + np.roll(noisy, 1, 0) + np.roll(noisy, 1, 1)) / 3  # shared by neighbours
    page = noisy.round().clip(0, 255).astype(np.uint8)
    assert denoised(page, "photo-fast").shape == shape


def test_noise_that_is_none_is_not_told_of() -> None:
    calm = nothing(told(10.0))
    assert calm.blend_weight == 0
    assert calm.level == 0


def test_flat_pictures_with_white_noise_leave_no_doubt() -> None:
    for kind, level in (("gaussian", 15.0), ("salt-pepper", 0.05)):
        x = noise.add(picture(192), kind, level, torch.Generator().manual_seed(0))
        assert not doubtful(condition((x.clamp(0, 1) * 255).round() / 255)), kind
    assert not doubtful(NoiseConditioning(0.1))  # the user's own level


def test_windows_cover_a_small_picture_and_spread_over_a_large_one() -> None:
    seen = np.zeros((150, 100), bool)
    for part in windows(150, 100):
        seen[part] = True
    assert seen.all()
    large = windows(4000, 3000)
    assert len(large) == 9
    assert (large[0][0].start, large[-1][0].stop, large[-1][1].stop) == (0, 4000, 3000)


def test_a_clean_picture_of_nothing_but_texture_loses_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = (textured() * 255).round().byte().permute(1, 2, 0).numpy()
    losses, levels = [], []
    for rounds, uneven_ in ((0, False), (doubt.ROUNDS, False), (doubt.ROUNDS, True)):
        monkeypatch.setattr(doubt, "ROUNDS", rounds)
        monkeypatch.setattr(doubt, "uneven", uneven if uneven_ else lambda *_: False)
        found = restored(page, "generalist-s15")
        change = found.pixels.astype(float) - page
        losses.append(float((change**2).mean()))
        assert found.noise is not None
        levels.append(found.noise.sigma)
    assert levels[1] < 0.8 * levels[0]
    assert losses[1] < 0.8 * losses[0]
    assert losses[2] == 0
