"""Noise that neighbours share, scale by scale."""

import numpy as np
import torch
import torch.nn.functional as F

from mdn import noise
from mdn.pipeline.classical import condition
from mdn.pipeline.multiscale import CoarseResidual, upsample2
from tests.pipeline import tools


def test_a_correction_is_the_same_for_tiles_and_the_whole() -> None:
    change = np.random.default_rng(0).random((40, 50, 3), np.float32)
    correction = CoarseResidual(change)
    whole = correction.added_to(torch.zeros(1, 3, 80, 100), [(0, 0)])
    tiles = correction.added_to(torch.zeros(2, 3, 32, 48), [(16, 8), (40, 52)])
    assert torch.allclose(tiles[0], whole[0, :, 16:48, 8:56], atol=1e-6)
    assert torch.allclose(tiles[1], whole[0, :, 40:72, 52:100], atol=1e-6)
    # A page is doubled as the measure of its noise assumes.
    plain = upsample2(torch.from_numpy(change.transpose(2, 0, 1))[None])
    assert torch.allclose(whole[..., 2:-2, 2:-2], plain[..., 2:-2, 2:-2], atol=1e-6)


def test_only_noise_that_neighbours_share_is_seen_by_scales() -> None:
    ramp = torch.linspace(0.3, 0.7, 256).expand(3, 256, 256)
    for kind, level, wanted in (
        ("gaussian", 25.0, 0),
        ("spatial", 50.0, 3),
        ("salt-pepper", 0.1, 0),
    ):
        noisy = noise.add(ramp, kind, level, torch.Generator().manual_seed(0)).clamp(0, 1)
        assert len(condition(noisy).scales) == wanted, kind


def page_of(clean: torch.Tensor, level: float) -> np.ndarray:
    noisy = noise.add(clean, "spatial", level, torch.Generator().manual_seed(0)).clamp(0, 1)
    return (noisy * 255).round().byte().permute(1, 2, 0).numpy()


def denoised(page: np.ndarray, **options) -> np.ndarray:
    return tools.denoised(page, "generalist-s15", **options)


def picture(side: int) -> torch.Tensor:
    """A soft scene with edges: (3, side, side)."""
    blobs = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(3))
    soft = F.interpolate(blobs, size=(side, side), mode="bicubic")[0].clamp(0.1, 0.9)
    soft[:, side // 3 : side // 2, side // 4 : side // 2] = 0.75
    return soft


def test_it_removes_what_a_net_for_white_noise_keeps() -> None:
    clean = picture(192)
    page = page_of(clean, 50.0)
    truth = clean.permute(1, 2, 0).numpy() * 255
    error = ((denoised(page) - truth) ** 2).mean()
    assert error < 0.25 * ((page - truth) ** 2).mean()


def test_tiles_agree_with_the_whole_and_strength_mixes() -> None:
    page = page_of(picture(260), 50.0)
    whole, tiled, half = denoised(page), denoised(page, tile=128), denoised(page, strength=0.5)
    assert np.abs(whole.astype(int) - tiled).max() <= 2
    assert np.abs((whole.astype(int) + page) / 2 - half).max() <= 1
