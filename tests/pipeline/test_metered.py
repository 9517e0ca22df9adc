"""The meter is asked where pixels alone leave doubt, and what it says is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdn import noise
from mdn.errors import UsageError
from mdn.pipeline import metered
from mdn.pipeline.classical import estimate_noise
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.doubt import doubtful
from mdn.pipeline.metered import UNDERREAD, WINDOW, asked, readings
from mdn.registry import store
from tests.pipeline.test_doubt import textured
from tests.pipeline.test_multiscale import picture
from tests.pipeline.tools import denoised, load


def told(level: float, **more: object) -> NoiseConditioning:
    seen = replace(estimate_noise(textured()), sigma=(level,) * 3, correlated=True, texture=9.0)
    return NoiseConditioning(level / 255, scales=(level / 255,) * 3, estimate=replace(seen, **more))


def noisy(clean: torch.Tensor, kind: str, level: float) -> torch.Tensor:
    x = noise.add(clean, kind, level, torch.Generator().manual_seed(0))
    return (x.clamp(0, 1) * 255).round() / 255


def test_texture_is_no_noise_to_it_and_noise_on_texture_is() -> None:
    clean = (textured(256) * 255).round() / 255
    assert readings(clean)[0] < 0.6 * estimate_noise(clean).level  # to who looks at flat places
    sigma = 20.0
    assert readings(noisy(clean, "gaussian", sigma))[0] == pytest.approx(sigma, rel=0.25)


def test_readings_halve_with_the_size_for_white_noise() -> None:
    found = readings(noisy(picture(320), "gaussian", 20))
    assert len(found) == 3
    assert found[0] == pytest.approx(20, rel=0.2)
    assert found[1] == pytest.approx(10, rel=0.35)


def test_windows_of_a_large_picture_agree_with_the_noise_of_all() -> None:
    x = noisy(picture(WINDOW + 90), "gaussian", 12)
    assert readings(x)[0] == pytest.approx(12, rel=0.2)
    assert metered._starts(WINDOW + 90) == [0, 90]
    assert metered._starts(3 * WINDOW) == [0, WINDOW, 2 * WINDOW]


@pytest.mark.parametrize("shape", [(3, 20, 400), (1, 64, 64), (2, 64, 64), (4, 64, 64), (3, 4, 4)])
def test_pictures_of_any_shape(shape: tuple[int, ...]) -> None:
    found = readings(torch.rand(shape, generator=torch.Generator().manual_seed(0)))
    assert len(found) == (0 if min(shape[1:]) < 31 else 2)  # 64 can be halved once


def test_nothing_read_is_nothing_told() -> None:
    calm = asked(told(9.0), (0.1, 3.0, 3.0))
    assert calm.blend_weight == 0
    assert calm.scales == ()
    assert calm.level == 0


def test_a_soft_picture_is_noisy_where_little_is_read() -> None:
    soft = told(9.0, texture=15.0)
    assert asked(soft, (0.25, 0.3, 0.3)).blend_weight == 0
    little = asked(soft, (0.6, 0.6, 0.3))
    assert little.blend_weight == 1
    assert 255 * little.sigma == pytest.approx(UNDERREAD * 0.6 + metered.UNDERREAD_SOFT)
    assert [255 * level / 1.98 for level in little.scales] == pytest.approx([1, 1, 0.5], rel=0.01)
    assert asked(soft, (0.6, 0.3, 0.1)).scales == ()  # white


def test_smooth_noise_is_bounded_by_the_finest_reading() -> None:
    found = asked(told(9.0), (5.0, 40.0, 40.0))
    widest = [UNDERREAD * 5 / 255 * share for share in (1, *(high for _, high in metered.SMOOTH))]
    assert found.scales == pytest.approx(widest)
    found = asked(told(9.0), (5.0, 3.5001, 0.1))
    narrowest = [UNDERREAD * 5 / 255 * share for share in (1, *(low for low, _ in metered.SMOOTH))]
    assert found.scales == pytest.approx(narrowest, rel=1e-3)
    assert found.scales


def test_white_noise_has_one_level_and_flat_places_bound_it() -> None:
    found = asked(told(9.0, correlated=False, texture=3.0), (5.0, 2.5, 1.3))
    assert (found.scales, found.sigma) == ((), pytest.approx(5 / 255))
    flat = asked(told(4.0, correlated=False, texture=1.5), (5.0, 2.5, 1.3))
    assert flat.sigma == pytest.approx(4 / 255)


def test_what_was_seen_clearly_or_said_by_the_user_is_not_asked_about() -> None:
    assert not doubtful(NoiseConditioning(0.1), faint=True)
    assert not doubtful(told(9.0, correlated=False, texture=1.0), faint=True)
    faint = replace(told(0.4, correlated=False, texture=1.0), blend_weight=0.0)
    assert doubtful(faint, faint=True)
    assert not doubtful(faint)
    assert asked(told(9.0), ()) == told(9.0)  # too small for the meter


def test_who_knows_one_noise_alone_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(sample: torch.Tensor) -> tuple[float, ...]:
        raise AssertionError("asked")

    monkeypatch.setattr(metered, "readings", never)
    assert not store.find("generalist-s15").knows_several
    page = (textured(96) * 255).round().byte().permute(1, 2, 0).numpy()
    denoised(page, "generalist-s15")
    assert store.find("photo").knows_several
    with pytest.raises(AssertionError, match="asked"):
        denoised(page, "photo")


def test_a_clean_picture_of_nothing_but_texture_loses_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = (textured() * 255).round().byte().permute(1, 2, 0).numpy()
    photo = load("photo")
    with_it = np.square(denoised(page, photo).astype(float) - page).mean()
    monkeypatch.setattr(metered, "asked", lambda noise, found: noise)
    without = np.square(denoised(page, photo).astype(float) - page).mean()
    assert with_it < without / 2


def test_it_denoises_nothing_itself() -> None:
    with pytest.raises(UsageError, match="takes none out"):
        load(metered.MODEL)
    assert metered.MODEL not in [card.name for card in store.list_cards()]
