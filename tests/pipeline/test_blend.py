"""What is taken of a denoised picture: luma, chroma, strength, and none where it is protected."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdn.pipeline.blend import LUMA, blend, kept, luma_chroma
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.options import Options

NOISY, CLEAN = torch.rand(2, 2, 3, 8, 9, generator=torch.Generator().manual_seed(0))


def luma(x: torch.Tensor) -> torch.Tensor:
    return (x * torch.tensor(LUMA)[:, None, None]).sum(-3, keepdim=True)


def test_all_is_taken_by_default() -> None:
    assert torch.equal(blend(NOISY, CLEAN, Options()), CLEAN)
    torch.testing.assert_close(
        blend(NOISY, CLEAN, Options(strength=0.25)), 0.75 * NOISY + 0.25 * CLEAN
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(), "removed"),
        (Options(strength=0.5), "50 % of it removed"),
        (Options(strength=0.5, luma=0.5, chroma=0.5), "25 % of it removed"),
        (Options(luma=0.5), "50 % of it removed in brightness, 100 % in colour"),
    ],
)
def test_what_is_taken_is_said(options: Options, words: str) -> None:
    assert options.removed == words


def test_luma_and_chroma_go_apart() -> None:
    colour_only = blend(NOISY, CLEAN, Options(luma=0))
    torch.testing.assert_close(luma(colour_only), luma(NOISY))
    torch.testing.assert_close(colour_only - luma(colour_only), CLEAN - luma(CLEAN))
    luma_only = blend(NOISY, CLEAN, Options(chroma=0))
    torch.testing.assert_close(luma(luma_only), luma(CLEAN))
    torch.testing.assert_close(luma_only - luma(luma_only), NOISY - luma(NOISY))


def test_equal_shares_are_a_strength() -> None:
    both = blend(NOISY, CLEAN, Options(luma=0.4, chroma=0.4))
    torch.testing.assert_close(both, blend(NOISY, CLEAN, Options(strength=0.4)))
    half = blend(NOISY, CLEAN, Options(strength=0.5, luma=0.6, chroma=0.2))
    torch.testing.assert_close(half, NOISY + 0.5 * luma_chroma(CLEAN - NOISY, 0.6, 0.2))


def test_gray_follows_luma() -> None:
    gray = blend(NOISY[:, :1], CLEAN[:, :1], Options(luma=0.3, chroma=0))
    torch.testing.assert_close(gray, torch.lerp(NOISY[:, :1], CLEAN[:, :1], 0.3))


def test_the_deviation_shrinks_with_what_is_taken() -> None:
    both = torch.cat([CLEAN, torch.ones_like(CLEAN)], 1)
    assert float(blend(NOISY, both, Options(strength=0.5))[:, 3:].max()) == 0.5


def test_protected_places_stay_bit_for_bit() -> None:
    mask = np.zeros((20, 30), np.float32)
    mask[6:, 12:] = 1
    mask[3] = 0.5
    places = kept(NOISY, [(0, 0), (4, 8)], NoiseConditioning(), mask)
    assert places is not None
    assert places.shape == (2, 1, 8, 9)
    mixed = blend(NOISY, CLEAN, Options(), places)
    assert torch.equal(mixed[1, :, 2:, 4:], NOISY[1, :, 2:, 4:])
    assert torch.equal(mixed[0, :, :3], CLEAN[0, :, :3])
    torch.testing.assert_close(mixed[0, :, 3], (NOISY[0, :, 3] + CLEAN[0, :, 3]) / 2)


def test_a_tile_beyond_the_picture_sees_the_mask_mirrored() -> None:
    mask = np.tile(np.linspace(0, 1, 9, dtype=np.float32), (8, 1))
    places = kept(NOISY[:1], [(2, 4)], NoiseConditioning(), mask)
    assert places is not None
    assert places[0, 0, 0].tolist() == [*mask[0, 4:], *mask[0, 7:3:-1]]


def test_places_free_of_noise_stay_but_for_salt_and_pepper() -> None:
    free = np.zeros((8, 9), bool)
    free[:, 4:] = True
    tiles = NOISY[:1, :, :8, :9].clamp(0.1, 0.9)
    tiles[0, 1, 3, 6] = 1.0
    clean = kept(tiles, [(0, 0)], NoiseConditioning(free=free), None)
    struck = kept(tiles, [(0, 0)], NoiseConditioning(free=free, impulse_spread=0.1), None)
    assert clean is not None
    assert struck is not None
    assert torch.equal(clean[0, 0].bool(), torch.from_numpy(free))
    assert torch.nonzero(clean - struck).tolist() == [[0, 0, 3, 6]]
    both = kept(tiles, [(0, 0)], NoiseConditioning(free=free), np.ones((8, 9), np.float32))
    assert both is not None
    assert bool((both == 1).all())


@pytest.mark.parametrize("option", ["luma", "chroma"])
def test_shares_are_checked(option: str) -> None:
    with pytest.raises(Exception, match=f"--{option} 2"):
        Options(**{option: 2.0})
